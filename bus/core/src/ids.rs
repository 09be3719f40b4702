//! Ids: a call's id is 128 bits, time-ordered (RFC 9562 version 7), written as 32 lower-case hex digits.
use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Names one call for ever. Its text form is also a valid W3C trace id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(uuid::Uuid);

impl CallId {
    /// A new id for a call that starts now.
    pub fn generate() -> Self {
        Self(uuid::Uuid::now_v7())
    }

    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(uuid::Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.simple(), f)
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is not 32 hex digits.
#[derive(Debug, thiserror::Error)]
#[error("a call id is 32 hex digits, for instance 0191a2b3c4d57e8f90a1b2c3d4e5f607")]
pub struct NotACallId;

impl FromStr for CallId {
    type Err = NotACallId;

    fn from_str(text: &str) -> Result<Self, NotACallId> {
        if text.len() != 32 {
            return Err(NotACallId);
        }
        uuid::Uuid::try_parse(text).map(Self).map_err(|_| NotACallId)
    }
}

impl Serialize for CallId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CallId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_other_text_is_refused() {
        let id = CallId::generate();
        assert_eq!(id.to_string().parse::<CallId>().expect("own text"), id);
        assert_eq!(id.to_string().len(), 32);
        assert!("0191a2b3".parse::<CallId>().is_err());
        assert!("{0191a2b3c4d57e8f90a1b2c3d4e5f6}".parse::<CallId>().is_err());
    }

    #[test]
    fn later_ids_sort_later() {
        let first = CallId::generate();
        let second = CallId::generate();
        assert!(first < second);
    }
}
