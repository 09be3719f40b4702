//! Changing who can unseal, and taking the whole vault elsewhere, encrypted. Root operations: each needs the root secret,
//! so under custodians' shares each needs several people.
use super::{
    Vault, VaultState,
    hierarchy::Hierarchy,
    root::{RootSecret, lock, unlock},
};
use crate::{
    error::VaultError,
    storage::{KeyChange, StoredKey, VaultHeader},
};
use serde::{Deserialize, Serialize};

/// Everything the storage holds, with the root key locked under the backup's own secret.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Backup {
    /// 1.
    qiao_vault_backup: u32,
    header: VaultHeader,
    keys: Vec<StoredKey>,
    /// HMAC-SM3 over the header's `kek` and all keys, so that none can be left out.
    mac: String,
}

/// The largest backup read: as much as the file storage holds.
const MAX_BACKUP: usize = 64 << 20;

impl Vault {
    /// Adds a way to unseal.
    pub fn add_root(&self, current: &RootSecret, new: &RootSecret) -> Result<(), VaultError> {
        self.change_locks(current, new, false)
    }

    /// Makes `new` the only way to unseal.
    pub fn change_root(&self, current: &RootSecret, new: &RootSecret) -> Result<(), VaultError> {
        self.change_locks(current, new, true)
    }

    fn change_locks(&self, current: &RootSecret, new: &RootSecret, only: bool) -> Result<(), VaultError> {
        let _inner = self.0.inner.lock();
        let old = self.0.storage.header()?.ok_or(VaultError::Uninitialised)?;
        let root = unlock(&**self.provider(), &old, current)?;
        let mut header = old.clone();
        if only {
            header.locks.clear();
        }
        header.locks.push(lock(&**self.provider(), new, &root)?);
        Ok(self.0.storage.put_header(Some(&old), &header)?)
    }

    /// The whole vault as text, opened only by `under`. Needs the vault's own root secret.
    pub fn backup(&self, current: &RootSecret, under: &RootSecret) -> Result<String, VaultError> {
        let _inner = self.0.inner.lock();
        let provider = &**self.provider();
        let header = self.0.storage.header()?.ok_or(VaultError::Uninitialised)?;
        let root = unlock(provider, &header, current)?;
        let hierarchy = Hierarchy::open(provider, &header, current)?;
        let keys = self.0.storage.keys()?;
        let header = VaultHeader { locks: vec![lock(provider, under, &root)?], ..header };
        let mac = backup_mac(&hierarchy, provider, &header, &keys)?;
        let backup = Backup { qiao_vault_backup: 1, header, keys, mac };
        serde_json::to_string_pretty(&backup).map_err(|error| VaultError::invalid(error.to_string()))
    }

    /// Fills an uninitialised, empty vault from a backup and locks it under `new_root` alone. It stays sealed. Gives the
    /// number of key versions.
    pub fn restore(
        &self,
        text: &str,
        under: &RootSecret,
        new_root: &RootSecret,
    ) -> Result<usize, VaultError> {
        let _inner = self.0.inner.lock();
        if self.state()? != VaultState::Uninitialised || !self.0.storage.keys()?.is_empty() {
            return Err(VaultError::AlreadyInitialised);
        }
        if text.len() > MAX_BACKUP {
            return Err(VaultError::invalid("a backup has at most 64 MiB"));
        }
        let backup: Backup = serde_json::from_str(text)
            .map_err(|error| VaultError::invalid(format!("this is no vault backup: {error}")))?;
        if backup.qiao_vault_backup != 1 {
            return Err(VaultError::invalid("the backup is newer than this program"));
        }
        let provider = &**self.provider();
        let root = unlock(provider, &backup.header, under)?;
        let hierarchy = Hierarchy::open(provider, &backup.header, under)?;
        let mac = backup_mac(&hierarchy, provider, &backup.header, &backup.keys)?;
        if !super::constant_time_eq(mac.as_bytes(), backup.mac.as_bytes()) {
            return Err(VaultError::invalid("the backup was altered"));
        }
        for key in &backup.keys {
            hierarchy.load(provider, key)?;
        }
        let count = backup.keys.len();
        let changes: Vec<_> = backup.keys.into_iter().map(KeyChange::Insert).collect();
        self.0.storage.apply(&changes)?;
        let header = VaultHeader { locks: vec![lock(provider, new_root, &root)?], ..backup.header };
        self.0.storage.put_header(None, &header)?;
        Ok(count)
    }
}

fn backup_mac(
    hierarchy: &Hierarchy,
    provider: &dyn crate::provider::Provider,
    header: &VaultHeader,
    keys: &[StoredKey],
) -> Result<String, VaultError> {
    let keys = serde_json::to_vec(keys).map_err(|error| VaultError::invalid(error.to_string()))?;
    Ok(hex::encode(hierarchy.mac(provider, &[b"qiao vault backup", header.kek.as_bytes(), &keys])))
}
