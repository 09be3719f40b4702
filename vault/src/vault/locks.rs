//! Who can unseal: adding, replacing and removing the locks on the root key. Root operations, each with the root secret.
use super::{
    Vault,
    control::{RootOperation, RootRequest},
    hierarchy::Hierarchy,
    root::{RootSecret, lock, unlock},
};
use crate::{
    error::VaultError,
    storage::{KeyChange, LockKind, RootLock},
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What may be told about a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LockForm {
    pub kind: LockKind,
    /// How many shares of how many, for custodians.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shares: Option<(u8, u8)>,
}

impl LockForm {
    fn of(lock: &RootLock) -> Self {
        let shares = lock.custodians.as_ref().map(|set| (set.needed, set.total));
        Self { kind: lock.kind, shares }
    }

    fn of_secret(secret: &RootSecret) -> Self {
        let shares = match secret {
            RootSecret::Custodians(_, set) => Some((set.needed, set.total)),
            _ => None,
        };
        Self { kind: secret.kind(), shares }
    }
}

impl fmt::Display for LockForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shares {
            Some((needed, total)) => write!(f, "{needed} of {total} custodians"),
            None => f.write_str(kind_name(self.kind)),
        }
    }
}

pub(super) fn kind_name(kind: LockKind) -> &'static str {
    match kind {
        LockKind::KeyFile => "a key file",
        LockKind::Passphrase => "a passphrase",
        LockKind::Custodians => "the custodians",
        LockKind::Device => "a device",
    }
}

/// How to change the locks.
#[derive(Clone, Copy)]
pub enum LockChange<'a> {
    Add(&'a RootSecret),
    /// All locks of the kind go, this one takes their place.
    Replace(LockKind, &'a RootSecret),
    /// All locks of the kind go; another one must remain.
    Remove(LockKind),
}

impl LockChange<'_> {
    fn operation(self) -> RootOperation {
        match self {
            Self::Add(new) => RootOperation::AddLock(LockForm::of_secret(new)),
            Self::Replace(old, new) => RootOperation::ReplaceLock { old, new: LockForm::of_secret(new) },
            Self::Remove(kind) => RootOperation::RemoveLock(kind),
        }
    }
}

/// More ways to unseal than anybody oversees; bounds the work of one try.
const MAX_LOCKS: usize = 8;

impl Vault {
    /// The ways to unseal. Known while sealed.
    pub fn locks(&self) -> Result<Vec<LockForm>, VaultError> {
        let header = self.0.storage.header()?.ok_or(VaultError::Uninitialised)?;
        Ok(header.locks.iter().map(LockForm::of).collect())
    }

    /// Changes who can unseal. Needs what unseals the vault now. Copies of the storage made before still open with the locks
    /// they hold.
    pub fn change_locks(
        &self,
        current: &RootSecret,
        change: LockChange<'_>,
        request: Option<&RootRequest>,
    ) -> Result<(), VaultError> {
        let _inner = self.0.inner.lock();
        let provider = &**self.provider();
        let old = self.0.storage.header()?.ok_or(VaultError::Uninitialised)?;
        let hierarchy = Hierarchy::open(provider, &old, current)?;
        let mut header = old.clone();
        if let LockChange::Replace(kind, _) | LockChange::Remove(kind) = change {
            header.locks.retain(|lock| lock.kind != kind);
            if header.locks.len() == old.locks.len() {
                return Err(VaultError::invalid(format!("{} does not unseal this vault", kind_name(kind))));
            }
        }
        if let LockChange::Add(new) | LockChange::Replace(_, new) = change {
            let root = unlock(provider, &old, current)?;
            header.locks.push(lock(provider, new, &root)?);
        }
        if header.locks.is_empty() || header.locks.len() > MAX_LOCKS {
            return Err(VaultError::invalid(format!("a vault has 1 to {MAX_LOCKS} ways to unseal it")));
        }
        let entry = self.authorise(&hierarchy, &change.operation(), request)?;
        let header = KeyChange::Header { expected: Some(old), new: header };
        Ok(self.0.storage.apply(&[header, entry])?)
    }
}
