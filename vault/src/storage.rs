//! Where sealed keys are kept. Implemented here on a file and in memory; the bus's store implements it on databases.
use crate::{
    external::ExternalKey,
    key::{KeyKind, KeyState, Purpose, Rotation},
};
use serde::{Deserialize, Serialize};

mod contract;
mod file;
mod memory;

pub use contract::hold_contract;
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
    /// Of the whole key, kept on its newest version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    /// Where the material is, for a key of a device or service; then `sealed` is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalKey>,
    /// HMAC-SM3 in hex over the record with this field empty.
    pub mac: String,
}

/// How the vault's root key is sealed, and the key-encryption key under it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct VaultHeader {
    /// 1.
    pub format: u32,
    /// Bound to the key-encryption key's seal: changed here alone, the vault no longer opens.
    #[serde(default, skip_serializing_if = "Control::is_single")]
    pub control: Control,
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
    /// For custodians.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custodians: Option<CustodianSet>,
    /// For devices: the session key whose use opens the lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<ExternalKey>,
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
    /// A key inside a device, which must be there and be given its password.
    Device,
}

/// Which shares open a custodians' lock. Tells nothing about them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CustodianSet {
    /// Hex; stands in every share of the set.
    pub set: String,
    pub needed: u8,
    pub total: u8,
}

/// Whether operations on the root of the vault need two people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Control {
    /// One operator suffices. For demos and tests, and where the owner chose so.
    #[default]
    Single,
    /// Two operators' signatures are needed, verified by the vault.
    Dual,
}

impl Control {
    fn is_single(&self) -> bool {
        *self == Self::Single
    }
}

/// One operation on the root of the vault, as it was recorded. The entries form a chain: each seals the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct JournalEntry {
    /// From 1, without gaps.
    pub number: u32,
    /// Unix seconds.
    pub at: i64,
    /// What was done, in the words that were approved.
    pub operation: String,
    /// Who approved it; nobody under single control.
    pub operators: Vec<String>,
    /// Of the approved request, so that it counts once; empty under single control.
    pub nonce: String,
    /// HMAC-SM3 in hex over the mac of the entry before and this entry with the field empty.
    pub mac: String,
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

/// One change to what is stored.
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
    /// A header in the place of the one that was read (`None` for none).
    Header { expected: Option<VaultHeader>, new: VaultHeader },
    /// An entry at the journal's end; its number must be the next.
    Journal(JournalEntry),
}

/// A place for sealed keys. Holds nothing secret in the clear. Calls may block on I/O, each within the implementation's
/// own deadline; the vault makes them only for administration and when it is unsealed or reloaded, never per message.
/// [`hold_contract`] tests an implementation.
pub trait KeyStorage: Send + Sync {
    /// `None` before the vault is initialised.
    fn header(&self) -> Result<Option<VaultHeader>, StorageError>;

    /// Every version of every key.
    fn keys(&self) -> Result<Vec<StoredKey>, StorageError>;

    /// Every entry by number.
    fn journal(&self) -> Result<Vec<JournalEntry>, StorageError>;

    /// All changes or none, on disk when this returns; [`StorageError::Conflict`] where something is not as expected.
    fn apply(&self, changes: &[KeyChange]) -> Result<(), StorageError>;
}

/// Everything stored: what a file holds, and the memory.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    header: Option<VaultHeader>,
    keys: Vec<StoredKey>,
    #[serde(default)]
    journal: Vec<JournalEntry>,
}

impl Content {
    /// With a conflict, what is here is half changed and to be thrown away.
    fn apply(&mut self, changes: &[KeyChange]) -> Result<(), StorageError> {
        for change in changes {
            match change {
                KeyChange::Insert(new) if self.position(new).is_none() => self.keys.push(new.clone()),
                KeyChange::Replace { expected_mac, new } => {
                    let old = self.position(new).map(|at| &mut self.keys[at]);
                    *old.filter(|old| old.mac == *expected_mac).ok_or(StorageError::Conflict)? = new.clone();
                }
                KeyChange::Header { expected, new } if self.header == *expected => {
                    self.header = Some(new.clone());
                }
                KeyChange::Journal(entry) if entry.number as usize == self.journal.len() + 1 => {
                    self.journal.push(entry.clone());
                }
                _ => return Err(StorageError::Conflict),
            }
        }
        Ok(())
    }

    fn position(&self, key: &StoredKey) -> Option<usize> {
        self.keys.iter().position(|kept| kept.name == key.name && kept.version == key.version)
    }
}

#[cfg(test)]
mod tests;
