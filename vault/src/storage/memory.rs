//! Keys kept in memory only. For tests and for mock partners that start afresh each time.
use super::{KeyChange, KeyStorage, StorageError, StoredKey, VaultHeader, apply_to};
use parking_lot::Mutex;

/// Forgets everything when dropped.
#[derive(Default)]
pub struct MemoryStorage(Mutex<(Option<VaultHeader>, Vec<StoredKey>)>);

impl KeyStorage for MemoryStorage {
    fn header(&self) -> Result<Option<VaultHeader>, StorageError> {
        Ok(self.0.lock().0.clone())
    }

    fn put_header(&self, expected: Option<&VaultHeader>, header: &VaultHeader) -> Result<(), StorageError> {
        let mut kept = self.0.lock();
        if kept.0.as_ref() != expected {
            return Err(StorageError::Conflict);
        }
        kept.0 = Some(header.clone());
        Ok(())
    }

    fn keys(&self) -> Result<Vec<StoredKey>, StorageError> {
        Ok(self.0.lock().1.clone())
    }

    fn apply(&self, changes: &[KeyChange]) -> Result<(), StorageError> {
        let mut kept = self.0.lock();
        let mut keys = kept.1.clone();
        apply_to(&mut keys, changes)?;
        kept.1 = keys;
        Ok(())
    }
}
