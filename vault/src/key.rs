//! Names and kinds of keys. For everything that refers to a key without ever seeing its bytes.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A reference to a key in the vault: `vault:civil/sign`, or one version of it: `vault:civil/sign#3`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyRef {
    name: String,
    version: Option<u32>,
}

/// Why a text is no key reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefError {
    #[error("a key reference starts with `vault:`, for example vault:civil/sign")]
    Prefix,
    #[error(
        "a key name is segments of letters, digits, `.`, `_` and `-` joined by `/`, at most 128 characters"
    )]
    Name,
    #[error("a key version is a whole number from 1, for example vault:civil/sign#2")]
    Version,
}

impl KeyRef {
    pub const MAX_NAME: usize = 128;

    /// The key's name without prefix and version, for example `civil/sign`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version, where the reference fixes one; otherwise the key's current versions are meant.
    pub fn version(&self) -> Option<u32> {
        self.version
    }

    /// The same key, at one version.
    pub fn at(&self, version: u32) -> Self {
        Self { name: self.name.clone(), version: Some(version) }
    }

    /// From a bare name such as `civil/sign`.
    pub fn from_name(name: &str) -> Result<Self, KeyRefError> {
        let fine = |segment: &str| {
            !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        if name.len() > Self::MAX_NAME || !name.split('/').all(fine) {
            return Err(KeyRefError::Name);
        }
        Ok(Self { name: name.to_owned(), version: None })
    }
}

impl TryFrom<String> for KeyRef {
    type Error = KeyRefError;

    fn try_from(text: String) -> Result<Self, KeyRefError> {
        text.parse()
    }
}

impl From<KeyRef> for String {
    fn from(key: KeyRef) -> Self {
        key.to_string()
    }
}

impl FromStr for KeyRef {
    type Err = KeyRefError;

    fn from_str(text: &str) -> Result<Self, KeyRefError> {
        let rest = text.strip_prefix("vault:").ok_or(KeyRefError::Prefix)?;
        let (name, version) = match rest.split_once('#') {
            None => (rest, None),
            Some((name, digits)) => {
                let digits_only = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
                let number = digits.parse().ok().filter(|n| digits_only && *n > 0);
                (name, Some(number.ok_or(KeyRefError::Version)?))
            }
        };
        Ok(Self { version, ..Self::from_name(name)? })
    }
}

impl fmt::Display for KeyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vault:{}", self.name)?;
        match self.version {
            Some(version) => write!(f, "#{version}"),
            None => Ok(()),
        }
    }
}

/// What a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// SM2 pair, or only its public half (a partner's). GB/T 32918.
    Sm2,
    /// SM4 key of 16 bytes. GB/T 32907.
    Sm4,
    /// HMAC-SM3 key of 1 to 1024 bytes (generated: 32). GB/T 15852.2.
    Hmac,
    /// AES key of 16, 24 or 32 bytes (generated: 32), for old partners.
    Aes,
    /// RSA pair of 2048 to 4096 bits in PKCS#8 (generated: 3072), or its public half; for old partners.
    Rsa,
    /// ECDSA pair on P-256 in PKCS#8, or its public half; for old partners.
    P256,
    /// A shared secret whose bytes take part in an envelope (an EMS signKey), 1 to 1024 bytes (generated: 16).
    Secret,
}

/// What a key may be used for; exactly one purpose per key, and no other use is possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Sign with the secret half, verify with the public one.
    Sign,
    /// Encrypt and decrypt.
    Encrypt,
    /// Compute message authentication codes.
    Mac,
    /// Let its bytes take part in an envelope's computation.
    Secret,
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sign => "signing",
            Self::Encrypt => "encryption",
            Self::Mac => "authentication codes",
            Self::Secret => "envelope secrets",
        })
    }
}

impl KeyKind {
    /// The purpose of a symmetric key; it has no other.
    pub(crate) fn symmetric_purpose(self) -> Purpose {
        match self {
            Self::Hmac => Purpose::Mac,
            Self::Secret => Purpose::Secret,
            _ => Purpose::Encrypt,
        }
    }

    /// Whether a key of this kind has a public half.
    pub(crate) fn is_pair(self) -> bool {
        matches!(self, Self::Sm2 | Self::Rsa | Self::P256)
    }

    /// Whether a key of this kind can have the purpose.
    pub fn allows(self, purpose: Purpose) -> bool {
        matches!(
            (self, purpose),
            (Self::Sm2, Purpose::Sign | Purpose::Encrypt)
                | (Self::Rsa, Purpose::Sign | Purpose::Encrypt)
                | (Self::P256, Purpose::Sign)
                | (Self::Sm4 | Self::Aes, Purpose::Encrypt)
                | (Self::Hmac, Purpose::Mac)
                | (Self::Secret, Purpose::Secret)
        )
    }
}

/// Where a key version is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// Announced; accepted from partners, not yet used to produce.
    Pending,
    /// Used to produce and to accept. At most one version of a key is active.
    Active,
    /// The overlap after a rotation: accepts, no longer produces.
    Retiring,
    /// Only reached by an explicit version (`#2`), to verify or open what was kept.
    Retired,
    /// Material wiped; the record remains for the audit.
    Destroyed,
}

/// When a key's new version is made by itself, and how long the one before goes on accepting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Rotation {
    /// Seconds from a version's creation to its replacement, at least 3600.
    pub every: i64,
    /// Seconds, less than `every`.
    pub overlap: i64,
}

/// What may be told about a key version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyInfo {
    pub name: String,
    pub version: u32,
    pub kind: KeyKind,
    pub purpose: Purpose,
    pub state: KeyState,
    /// Unix seconds.
    pub created: i64,
    /// Unix seconds after which a warning is due; the key keeps working.
    pub expires: Option<i64>,
    /// Hex: 04 ‖ x ‖ y for SM2 and P-256, the PKCS#1 RSAPublicKey for RSA.
    pub public: Option<String>,
    /// Whether the secret half (or the symmetric bytes) can be used here.
    pub secret: bool,
    /// Of the whole key, told with its newest version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    /// `device/id` of a key that lives in a device or at a service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_a_reference_with_and_without_version() {
        let plain: KeyRef = "vault:civil/sign".parse().unwrap();
        assert_eq!((plain.name(), plain.version()), ("civil/sign", None));
        let fixed: KeyRef = "vault:civil/sign#2".parse().unwrap();
        assert_eq!((fixed.name(), fixed.version()), ("civil/sign", Some(2)));
    }

    #[test]
    fn refuses_what_is_no_reference_and_says_why() {
        for (text, why) in [
            ("civil/sign", KeyRefError::Prefix),
            ("vault:", KeyRefError::Name),
            ("vault:civil//sign", KeyRefError::Name),
            ("vault:../etc/passwd\0", KeyRefError::Name),
            ("vault:civil sign", KeyRefError::Name),
            ("vault:a#0", KeyRefError::Version),
            ("vault:a#+1", KeyRefError::Version),
            ("vault:a#", KeyRefError::Version),
        ] {
            assert_eq!(text.parse::<KeyRef>(), Err(why), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_reference_that_parses_prints_as_it_was_written(text in "vault:[a-z./#0-9]{1,20}") {
            if let Ok(reference) = text.parse::<KeyRef>() {
                let again: KeyRef = reference.to_string().parse().unwrap();
                prop_assert_eq!(again, reference);
            }
        }
    }
}
