//! Keys kept in one file, replaced atomically. For the demo, single nodes and the command line.
use super::{Content, JournalEntry, KeyChange, KeyStorage, StorageError, StoredKey, VaultHeader};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// One JSON file, readable by its owner only. Writers in several processes exclude one another with a lock file beside
/// it; a lock held by another process is [`StorageError::Unavailable`], never waited for.
pub struct FileStorage {
    path: PathBuf,
}

/// Above this the file is not ours: 16 MiB holds some thirty thousand keys.
const MAX_BYTES: u64 = 16 << 20;

impl FileStorage {
    /// The file need not exist yet; its folder must.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    fn read(&self) -> Result<Content, StorageError> {
        match fs::metadata(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Content::default()),
            Err(error) => return Err(unavailable(&self.path, &error)),
            Ok(meta) if meta.len() > MAX_BYTES => {
                return Err(StorageError::Damaged(format!("{} is larger than 16 MiB", self.path.display())));
            }
            Ok(_) => {}
        }
        let bytes = fs::read(&self.path).map_err(|error| unavailable(&self.path, &error))?;
        serde_json::from_slice(&bytes)
            .map_err(|error| StorageError::Damaged(format!("{}: {error}", self.path.display())))
    }

    fn change(
        &self,
        edit: impl FnOnce(&mut Content) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let lock_path = self.path.with_extension("lock");
        let lock = private_file(&lock_path, false).map_err(|error| unavailable(&lock_path, &error))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                StorageError::Unavailable(format!("{} is locked by another process", lock_path.display()))
            }
            TryLockError::Error(error) => unavailable(&lock_path, &error),
        })?;
        let mut content = self.read()?;
        edit(&mut content)?;
        self.write(&content)
    }

    /// Written beside, synced and renamed, so a crash leaves the old or the new file, never half of one.
    fn write(&self, content: &Content) -> Result<(), StorageError> {
        let bytes =
            serde_json::to_vec_pretty(content).map_err(|error| StorageError::Damaged(error.to_string()))?;
        let beside = self.path.with_extension("new");
        let written = private_file(&beside, true)
            .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&beside, &self.path))
            .and_then(|()| match self.path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                Some(parent) => File::open(parent)?.sync_all(),
                None => Ok(()),
            });
        written.map_err(|error| unavailable(&self.path, &error))
    }
}

impl KeyStorage for FileStorage {
    fn header(&self) -> Result<Option<VaultHeader>, StorageError> {
        Ok(self.read()?.header)
    }

    fn keys(&self) -> Result<Vec<StoredKey>, StorageError> {
        Ok(self.read()?.keys)
    }

    fn journal(&self) -> Result<Vec<JournalEntry>, StorageError> {
        Ok(self.read()?.journal)
    }

    fn apply(&self, changes: &[KeyChange]) -> Result<(), StorageError> {
        self.change(|content| content.apply(changes))
    }
}

fn private_file(path: &Path, empty: bool) -> std::io::Result<File> {
    OpenOptions::new().create(true).write(true).truncate(empty).mode(0o600).open(path)
}

fn unavailable(path: &Path, error: &std::io::Error) -> StorageError {
    StorageError::Unavailable(format!("{}: {error}", path.display()))
}
