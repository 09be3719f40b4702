//! Keys kept in memory only. For tests and for mock partners that start afresh each time.
use super::{Content, JournalEntry, KeyChange, KeyStorage, StorageError, StoredKey, VaultHeader};
use parking_lot::Mutex;

/// Forgets everything when dropped.
#[derive(Default)]
pub struct MemoryStorage(Mutex<Content>);

impl KeyStorage for MemoryStorage {
    fn header(&self) -> Result<Option<VaultHeader>, StorageError> {
        Ok(self.0.lock().header.clone())
    }

    fn keys(&self) -> Result<Vec<StoredKey>, StorageError> {
        Ok(self.0.lock().keys.clone())
    }

    fn journal(&self) -> Result<Vec<JournalEntry>, StorageError> {
        Ok(self.0.lock().journal.clone())
    }

    fn apply(&self, changes: &[KeyChange]) -> Result<(), StorageError> {
        let mut kept = self.0.lock();
        let mut changed = kept.clone();
        changed.apply(changes)?;
        *kept = changed;
        Ok(())
    }
}
