//! The operations on a vault's root, and the one wording of each that operators sign. For requests and the journal.
use crate::{
    key::KeyRef,
    storage::LockKind,
    vault::locks::{LockForm, kind_name},
};
use std::fmt;

/// What needs two operators under dual control. `Display` is the text that is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootOperation {
    /// Wipe one version of a key.
    Destroy(KeyRef),
    /// Hand a key out, wrapped under another's public key.
    Export {
        key: KeyRef,
        to: KeyRef,
    },
    /// Write a backup.
    Backup,
    /// Fill an empty vault from a backup.
    Restore,
    AddLock(LockForm),
    /// All locks of the kind go, one takes their place.
    ReplaceLock {
        old: LockKind,
        new: LockForm,
    },
    RemoveLock(LockKind),
    /// x ‖ y.
    RegisterOperator {
        name: String,
        public: [u8; 64],
    },
    RemoveOperator {
        name: String,
    },
}

impl fmt::Display for RootOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Destroy(key) => write!(f, "destroy {key}"),
            Self::Export { key, to } => write!(f, "export {key} wrapped for {to}"),
            Self::Backup => f.write_str("write a backup"),
            Self::Restore => f.write_str("restore a backup"),
            Self::AddLock(form) => write!(f, "add {form}"),
            Self::ReplaceLock { old, new } => write!(f, "replace {} by {new}", kind_name(*old)),
            Self::RemoveLock(kind) => write!(f, "remove {}", kind_name(*kind)),
            Self::RegisterOperator { name, public } => {
                write!(f, "register operator {name} with key 04{}", hex::encode(public))
            }
            Self::RemoveOperator { name } => write!(f, "remove operator {name}"),
        }
    }
}
