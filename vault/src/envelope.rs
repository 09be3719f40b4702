//! Partners' envelopes as compiled descriptions: how a message is sealed onto the wire and opened from it. For the engine,
//! the gateway, the mock partners and `qiao call`, which all use the same description, each from its own side.
use crate::{error::VaultError, key::KeyRef, vault::Vault};
use serde_json::Value;
use std::str::FromStr;
use zeroize::Zeroizing;

mod compile;
mod freshness;
mod json;
mod keys;
mod op;
mod run;
mod spec;

pub use freshness::{FreshnessSpec, Stale, Stamp, TimeForm};
pub use keys::{RequiredKey, Role, required_keys};
pub use spec::{
    EnvelopeSpec, IdentitySpec, OpenMessageSpec, PartSpec, RsaCipherSpec, SealMessageSpec, WriteSpec,
};

/// Who uses the description. It is written from the bus's side; a partner (a mock, `qiao call`) swaps `ours` and `theirs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Bus,
    Partner,
}

/// A mistake in a description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Within the description, for example `seal[2].sm2Encrypt.key`.
    pub path: String,
    pub message: String,
}

/// Text values a description asks for by name, such as an app id or a timestamp.
#[derive(Default, Clone)]
pub struct Params(Vec<(String, String)>);

impl Params {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces a value.
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.set(name, value);
        self
    }

    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some(entry) => entry.1 = value,
            None => self.0.push((name, value)),
        }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A compiled description. Immutable; one serves any number of messages at once.
pub struct Envelope {
    seal: Vec<op::Step>,
    write: Vec<op::Field>,
    open: Vec<op::Step>,
    /// Handles whose bytes the open list uses; while they overlap in rotation, older versions are tried too.
    shared_keys: Vec<crate::vault::KeyHandle>,
    /// Every key of both lists.
    keys: Vec<crate::vault::KeyHandle>,
    params: Vec<String>,
    freshness: Option<freshness::Freshness>,
    provider: std::sync::Arc<dyn crate::provider::Provider>,
}

impl Envelope {
    /// Compiles a description for one side. Every mistake is reported at once. Keys need not exist yet, but one that does
    /// must be of the kind and purpose the description needs.
    pub fn compile(spec: &EnvelopeSpec, vault: &Vault, side: Side) -> Result<Self, Vec<Mistake>> {
        compile::compile(spec, vault, side)
    }

    /// The parameters that sealing or opening asks for.
    pub fn params(&self) -> &[String] {
        &self.params
    }

    /// Whether sealing or opening may wait for a device or service that holds one of the keys, so that an async caller must
    /// step aside first. Follows rotation; costs a look per key.
    pub fn blocks(&self) -> bool {
        self.keys.iter().any(crate::vault::KeyHandle::blocks)
    }

    /// Seals a message: an object with the fields the description writes.
    pub fn seal(&self, plain: &[u8], params: &Params) -> Result<Value, VaultError> {
        run::seal(self, plain, params)
    }

    /// Opens a message. A missing or misshapen field is [`VaultError::Malformed`]; everything that depends on keys is the
    /// one [`VaultError::Refused`].
    pub fn open(&self, wire: &Value, params: &Params) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        run::open(self, wire, params).map(|(plain, _)| plain)
    }

    /// As [`Envelope::open`], with what the message says of its newness where the description has that. Whoever opens what may be
    /// sent twice checks it: its time, then that its nonce was not used.
    pub fn open_fresh(
        &self,
        wire: &Value,
        params: &Params,
    ) -> Result<(Zeroizing<Vec<u8>>, Option<Stamp>), VaultError> {
        run::open(self, wire, params)
    }

    /// Whether there is something to seal; a caller's form may only be opened.
    pub fn seals(&self) -> bool {
        !self.seal.is_empty()
    }
}

fn key_ref(text: &str) -> Result<KeyRef, String> {
    KeyRef::from_str(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
