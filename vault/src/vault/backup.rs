//! Taking the whole vault elsewhere, encrypted. Root operations: each needs the root secret, so under custodians' shares each
//! needs several people, and under dual control two operators' signatures as well.
use super::{
    Vault, VaultState,
    control::{self, Kept, RootOperation, RootRequest},
    hierarchy::Hierarchy,
    root::{RootSecret, lock, unlock},
};
use crate::{
    error::VaultError,
    storage::{JournalEntry, KeyChange, StoredKey, VaultHeader},
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
    journal: Vec<JournalEntry>,
    /// HMAC-SM3 over the header's `kek`, all keys and the journal, so that none can be left out.
    mac: String,
}

/// The largest backup read: four times what the file storage holds.
const MAX_BACKUP: usize = 64 << 20;

impl Vault {
    /// The whole vault as text, opened only by `under`. Needs the vault's own root secret. A root operation.
    pub fn backup(
        &self,
        current: &RootSecret,
        under: &RootSecret,
        request: Option<&RootRequest>,
    ) -> Result<String, VaultError> {
        let _inner = self.0.inner.lock();
        let provider = &**self.provider();
        let header = self.0.storage.header()?.ok_or(VaultError::Uninitialised)?;
        let root = unlock(provider, &header, current)?;
        let hierarchy = Hierarchy::open(provider, &header, current)?;
        // Recorded first: the backup holds its own entry.
        let entry = self.authorise(&hierarchy, &RootOperation::Backup, request)?;
        let header = VaultHeader { locks: vec![lock(provider, under, &root)?], ..header };
        self.0.storage.apply(&[entry])?;
        let (keys, journal) = (self.0.storage.keys()?, self.0.storage.journal()?);
        let mac = backup_mac(&hierarchy, provider, &header, &keys, &journal)?;
        let backup = Backup { qiao_vault_backup: 1, header, keys, journal, mac };
        serde_json::to_string_pretty(&backup).map_err(|error| VaultError::invalid(error.to_string()))
    }

    /// A request to restore this backup, as [`Vault::request`] makes them for what a vault holds.
    pub fn request_restore(&self, text: &str, life: i64) -> Result<RootRequest, VaultError> {
        control::request(&**self.provider(), &parse(text)?.header, &RootOperation::Restore, life)
    }

    /// Fills an uninitialised, empty vault from a backup and locks it under `new_root` alone. It stays sealed. Gives the
    /// number of key versions. A root operation: the backup's own operators approve it.
    pub fn restore(
        &self,
        text: &str,
        under: &RootSecret,
        new_root: &RootSecret,
        request: Option<&RootRequest>,
    ) -> Result<usize, VaultError> {
        let _inner = self.0.inner.lock();
        if self.state()? != VaultState::Uninitialised || !self.0.storage.keys()?.is_empty() {
            return Err(VaultError::AlreadyInitialised);
        }
        let backup = parse(text)?;
        let provider = &**self.provider();
        let root = unlock(provider, &backup.header, under)?;
        let hierarchy = Hierarchy::open(provider, &backup.header, under)?;
        let mac = backup_mac(&hierarchy, provider, &backup.header, &backup.keys, &backup.journal)?;
        if !super::constant_time_eq(mac.as_bytes(), backup.mac.as_bytes()) {
            return Err(VaultError::invalid("the backup was altered"));
        }
        for key in &backup.keys {
            hierarchy.load(provider, &self.0.devices.load(), key)?;
        }
        let kept = Kept { header: &backup.header, keys: &backup.keys, journal: &backup.journal };
        let entry = control::authorise(provider, &hierarchy, &kept, &RootOperation::Restore, request)?;
        let count = backup.keys.len();
        let header = VaultHeader { locks: vec![lock(provider, new_root, &root)?], ..backup.header };
        let mut changes = vec![KeyChange::Header { expected: None, new: header }];
        changes.extend(backup.keys.into_iter().map(KeyChange::Insert));
        changes.extend(backup.journal.into_iter().map(KeyChange::Journal));
        changes.push(entry);
        self.0.storage.apply(&changes)?;
        Ok(count)
    }
}

fn parse(text: &str) -> Result<Backup, VaultError> {
    if text.len() > MAX_BACKUP {
        return Err(VaultError::invalid("a backup has at most 64 MiB"));
    }
    let backup: Backup = serde_json::from_str(text)
        .map_err(|error| VaultError::invalid(format!("this is no vault backup: {error}")))?;
    if backup.qiao_vault_backup != 1 {
        return Err(VaultError::invalid("the backup is newer than this program"));
    }
    Ok(backup)
}

fn backup_mac(
    hierarchy: &Hierarchy,
    provider: &dyn crate::provider::Provider,
    header: &VaultHeader,
    keys: &[StoredKey],
    journal: &[JournalEntry],
) -> Result<String, VaultError> {
    let invalid = |error: serde_json::Error| VaultError::invalid(error.to_string());
    let keys = serde_json::to_vec(keys).map_err(invalid)?;
    let journal = serde_json::to_vec(journal).map_err(invalid)?;
    let parts: [&[u8]; 6] = [b"qiao vault backup", header.kek.as_bytes(), b"\n", &keys, b"\n", &journal];
    Ok(hex::encode(hierarchy.mac(provider, &parts)))
}
