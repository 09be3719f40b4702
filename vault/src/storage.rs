//! Where sealed keys are kept. Implemented here on a file and in memory; the bus's store implements it on databases.
use crate::key::{KeyKind, KeyState, Purpose};
use serde::{Deserialize, Serialize};

mod file;
mod memory;

pub use file::FileStorage;
pub use memory::MemoryStorage;

/// Why the storage could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// Another process changed the same record first; reload and try again.
    #[error("the record was changed by somebody else")]
    Conflict,
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// What is stored cannot be read.
    #[error("damaged: {0}")]
    Damaged(String),
}

/// One version of one key, as kept: metadata in the clear, material sealed with SM4-GCM under the vault's
/// key-encryption key, and the whole record under an HMAC-SM3 so that nothing in it can be exchanged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct StoredKey {
    pub name: String,
    /// From 1.
    pub version: u32,
    pub kind: KeyKind,
    pub purpose: Purpose,
    pub state: KeyState,
    /// Unix seconds.
    pub created: i64,
    /// Unix seconds.
    pub expires: Option<i64>,
    /// Hex: x ‖ y for SM2, 04 ‖ x ‖ y for P-256, the PKCS#1 RSAPublicKey for RSA.
    pub public: Option<String>,
    /// Base64 of nonce ‖ ciphertext ‖ tag; absent for public-only and destroyed keys.
    pub sealed: Option<String>,
    /// HMAC-SM3 in hex over the record with this field empty.
    pub mac: String,
}

/// How the vault's root key is sealed, and the key-encryption key under it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct VaultHeader {
    /// 1.
    pub format: u32,
    /// The ways to unseal; any one of them opens the vault.
    pub locks: Vec<RootLock>,
    /// Base64 of the key-encryption key sealed under the root key.
    pub kek: String,
}

/// One way to unseal: the root key, sealed under something operators hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RootLock {
    pub kind: LockKind,
    /// Hex, 16 bytes.
    pub salt: String,
    /// For passphrases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<PassphraseCost>,
    /// Base64 of nonce ‖ sealed root key ‖ tag.
    pub sealed: String,
}

/// What unseals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LockKind {
    /// A file of at least 16 random bytes.
    KeyFile,
    /// A passphrase, through Argon2id.
    Passphrase,
    /// Enough of the custodians' shares.
    Custodians,
}

/// The work Argon2id (RFC 9106) does for one guess, one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PassphraseCost {
    /// KiB, 8 to 1048576.
    pub memory_kib: u32,
    /// 1 to 16.
    pub passes: u32,
}

impl Default for PassphraseCost {
    /// RFC 9106 §4, second recommendation: 64 MiB, 3 passes.
    fn default() -> Self {
        Self { memory_kib: 64 << 10, passes: 3 }
    }
}

/// One change to the stored keys.
#[derive(Debug, Clone)]
pub enum KeyChange {
    /// A (name, version) that must not exist yet.
    Insert(StoredKey),
    /// A (name, version) that must still be as it was read.
    Replace {
        /// The `mac` of the record as read; any difference is a [`StorageError::Conflict`].
        expected_mac: String,
        new: StoredKey,
    },
}

/// A place for sealed keys. Holds nothing secret in the clear. Calls may block on I/O, each within the implementation's
/// own deadline; the vault makes them only for administration and when it is unsealed or reloaded, never per message.
pub trait KeyStorage: Send + Sync {
    /// `None` before the vault is initialised.
    fn header(&self) -> Result<Option<VaultHeader>, StorageError>;

    /// Replaces the header; `expected` is the one read before (`None` for none), else [`StorageError::Conflict`].
    fn put_header(&self, expected: Option<&VaultHeader>, header: &VaultHeader) -> Result<(), StorageError>;

    /// Every version of every key.
    fn keys(&self) -> Result<Vec<StoredKey>, StorageError>;

    /// All changes or none; [`StorageError::Conflict`] where an insert exists or a replaced record is not as expected.
    fn apply(&self, changes: &[KeyChange]) -> Result<(), StorageError>;
}

/// Applies changes to a list, the shared half of the file and memory implementations.
fn apply_to(keys: &mut Vec<StoredKey>, changes: &[KeyChange]) -> Result<(), StorageError> {
    for change in changes {
        let (KeyChange::Insert(new) | KeyChange::Replace { new, .. }) = change;
        let found = keys.iter_mut().find(|key| key.name == new.name && key.version == new.version);
        match (change, found) {
            (KeyChange::Insert(_), None) => keys.push(new.clone()),
            (KeyChange::Replace { expected_mac, .. }, Some(old)) if old.mac == *expected_mac => {
                *old = new.clone()
            }
            _ => return Err(StorageError::Conflict),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
