//! The vault's sealed keys in one SQLite file of their own. For nodes whose settings say `vault.storage: database`.
//!
//! PostgreSQL will hold the same three tables: a change is one transaction, `Replace` is `UPDATE … WHERE mac = $expected`, and
//! a row that was not there to update is the conflict. Nothing above [`KeyStorage`] changes.
use std::{
    fs::OpenOptions,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use qiao_vault::{JournalEntry, KeyChange, KeyStorage, StorageError, StoredKey, VaultHeader};
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, params};
use serde::{Serialize, de::DeserializeOwned};

/// Marks the file as a key store, in SQLite's header: the letters QKEY.
const APPLICATION: i32 = 0x514b_4559;
/// The schema's number; a file with a higher one is of a newer program.
const VERSION: i32 = 1;

/// `record` columns hold JSON, sealed and under the vault's own codes; `mac` repeats the record's, for conflicts.
const SCHEMA: &str = "
CREATE TABLE vault_header (one INTEGER PRIMARY KEY CHECK (one = 1), record TEXT NOT NULL);
CREATE TABLE vault_keys (
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    mac TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (name, version)
) WITHOUT ROWID;
CREATE TABLE vault_journal (number INTEGER PRIMARY KEY, record TEXT NOT NULL);
";

/// How long an operation waits for another process's.
const BUSY: Duration = Duration::from_secs(5);

/// [`KeyStorage`] on one SQLite file, readable by its owner only. Opened anew for each operation: the vault reads it when it is
/// unsealed and writes it when keys change.
pub struct SqliteKeyStorage {
    place: PathBuf,
}

impl SqliteKeyStorage {
    /// The file need not exist yet; its folder must.
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self { place: file.into() }
    }

    /// `None` where there is no file yet.
    fn reader(&self) -> Result<Option<Connection>, StorageError> {
        if !self.place.exists() {
            return Ok(None);
        }
        let connection = self.open()?;
        match self.marks(&connection)? {
            // Made by a process that was killed before its first change.
            (0, 0) => Ok(None),
            _ => Ok(Some(connection)),
        }
    }

    fn open(&self) -> Result<Connection, StorageError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || {
            let connection = Connection::open_with_flags(&self.place, flags)?;
            connection.busy_timeout(BUSY)?;
            // A change is on the disk when it is done, and what a destroyed key's record held is overwritten.
            connection.pragma_update(None, "synchronous", "extra")?;
            connection.pragma_update(None, "secure_delete", "on")?;
            Ok(connection)
        };
        open().map_err(fault(&self.place))
    }

    /// Application and schema version; another program's file is refused.
    fn marks(&self, connection: &Connection) -> Result<(i32, i32), StorageError> {
        let mark = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
        let read = || Ok((mark("application_id")?, mark("user_version")?));
        match read().map_err(fault(&self.place))? {
            marks @ ((0, 0) | (APPLICATION, VERSION)) => Ok(marks),
            (APPLICATION, found) => {
                Err(self.damaged(format!("version {found} is newer than this program's {VERSION}")))
            }
            _ => Err(self.damaged("this database is no key store; name another file".to_owned())),
        }
    }

    fn damaged(&self, reason: impl std::fmt::Display) -> StorageError {
        StorageError::Damaged(format!("{}: {reason}", self.place.display()))
    }

    fn rows<T: DeserializeOwned>(&self, connection: &Connection, sql: &str) -> Result<Vec<T>, StorageError> {
        let texts = || {
            let mut find = connection.prepare(sql)?;
            find.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()
        };
        let texts = texts().map_err(fault(&self.place))?;
        texts.iter().map(|text| serde_json::from_str(text).map_err(|error| self.damaged(error))).collect()
    }

    fn read_header(&self, connection: &Connection) -> Result<Option<VaultHeader>, StorageError> {
        Ok(self.rows(connection, "SELECT record FROM vault_header")?.pop())
    }

    fn put(&self, transaction: &Transaction<'_>, change: &KeyChange) -> Result<(), StorageError> {
        let rows = match change {
            KeyChange::Insert(new) => transaction.execute(
                "INSERT OR IGNORE INTO vault_keys VALUES (?1, ?2, ?3, ?4)",
                params![new.name, new.version, new.mac, self.text(new)?],
            ),
            KeyChange::Replace { expected_mac, new } => transaction.execute(
                "UPDATE vault_keys SET mac = ?3, record = ?4 WHERE name = ?1 AND version = ?2 AND mac = ?5",
                params![new.name, new.version, new.mac, self.text(new)?, expected_mac],
            ),
            KeyChange::Header { expected, new } => {
                if self.read_header(transaction)? != *expected {
                    return Err(StorageError::Conflict);
                }
                transaction.execute("INSERT OR REPLACE INTO vault_header VALUES (1, ?1)", [self.text(new)?])
            }
            KeyChange::Journal(entry) => transaction.execute(
                "INSERT INTO vault_journal SELECT ?1, ?2 WHERE (SELECT count(*) FROM vault_journal) + 1 = ?1",
                params![entry.number, self.text(entry)?],
            ),
        };
        match rows.map_err(fault(&self.place))? {
            1 => Ok(()),
            _ => Err(StorageError::Conflict),
        }
    }

    fn text(&self, value: &impl Serialize) -> Result<String, StorageError> {
        serde_json::to_string(value).map_err(|error| self.damaged(error))
    }

    /// Makes the file where there is none, for its owner alone.
    fn writer(&self) -> Result<Connection, StorageError> {
        let made = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.place);
        made.map_err(|error| StorageError::Unavailable(format!("{}: {error}", self.place.display())))?;
        self.open()
    }
}

impl KeyStorage for SqliteKeyStorage {
    fn header(&self) -> Result<Option<VaultHeader>, StorageError> {
        match self.reader()? {
            Some(connection) => self.read_header(&connection),
            None => Ok(None),
        }
    }

    fn keys(&self) -> Result<Vec<StoredKey>, StorageError> {
        match self.reader()? {
            Some(connection) => {
                self.rows(&connection, "SELECT record FROM vault_keys ORDER BY name, version")
            }
            None => Ok(Vec::new()),
        }
    }

    fn journal(&self) -> Result<Vec<JournalEntry>, StorageError> {
        match self.reader()? {
            Some(connection) => self.rows(&connection, "SELECT record FROM vault_journal ORDER BY number"),
            None => Ok(Vec::new()),
        }
    }

    fn apply(&self, changes: &[KeyChange]) -> Result<(), StorageError> {
        let mut connection = self.writer()?;
        let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = begun.map_err(fault(&self.place))?;
        if self.marks(&transaction)? == (0, 0) {
            let make = || {
                transaction.execute_batch(SCHEMA)?;
                transaction.pragma_update(None, "application_id", APPLICATION)?;
                transaction.pragma_update(None, "user_version", VERSION)
            };
            make().map_err(fault(&self.place))?;
        }
        for change in changes {
            self.put(&transaction, change)?;
        }
        transaction.commit().map_err(fault(&self.place))
    }
}

/// SQLite's word on the file in the vault's.
fn fault(place: &Path) -> impl Fn(rusqlite::Error) -> StorageError {
    let place = place.display().to_string();
    move |error| match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StorageError::Damaged(format!("{place}: {error}"))
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            StorageError::Unavailable(format!("{place} is locked by another process"))
        }
        _ => StorageError::Unavailable(format!("{place}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qiao_vault::{KeyKind, KeyRef, Purpose, RootSecret, Vault};
    use std::{os::unix::fs::PermissionsExt, sync::Arc};

    #[test]
    fn a_database_applies_all_changes_or_none_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("vault.db");
        qiao_vault::hold_contract(&SqliteKeyStorage::new(&place)).expect("the contract");
        assert_eq!(SqliteKeyStorage::new(&place).keys().expect("keys").len(), 2);
        let mode = std::fs::metadata(&place).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_vault_lives_on_it_and_two_of_its_handles_see_each_others_keys() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || Vault::open(Arc::new(SqliteKeyStorage::new(folder.path().join("vault.db"))));
        let root = RootSecret::KeyFile(vec![1; 32].into());
        let (vault, key): (_, KeyRef) = (open(), "vault:m".parse().expect("a name"));
        vault.init(&root).expect("made");
        vault.generate(&key, KeyKind::Hmac, Purpose::Mac).expect("generated");
        let other = open();
        other.unseal(&root).expect("unsealed");
        let mac = vault.key(&key).hmac(&[b"x"]).expect("computed");
        assert_eq!(other.key(&key).hmac(&[b"x"]).expect("computed"), mac);
        vault.rotate(&key, qiao_vault::NewVersion::Generated).expect("rotated");
        let late =
            other.rotate(&key, qiao_vault::NewVersion::Generated).expect("edits read the storage first");
        assert_eq!(late.version, 3);
        assert_eq!(other.journal().expect("a chain").len(), 1);
    }

    #[test]
    fn another_database_and_a_newer_key_store_are_refused_and_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let calls = folder.path().join("calls.db");
        drop(crate::SqliteStore::open(&calls).expect("a call index"));
        let error = SqliteKeyStorage::new(&calls).keys().expect_err("no key store").to_string();
        assert!(error.contains("no key store"), "{error}");
        let place = folder.path().join("vault.db");
        let storage = SqliteKeyStorage::new(&place);
        storage.apply(&[]).expect("made");
        let connection = Connection::open(&place).expect("opens");
        connection.pragma_update(None, "user_version", VERSION + 1).expect("written");
        assert!(storage.apply(&[]).expect_err("newer").to_string().contains("newer"));
        std::fs::write(&place, "nothing of the kind ".repeat(100)).expect("written");
        assert!(matches!(storage.keys(), Err(StorageError::Damaged(_))));
    }

    #[test]
    fn a_change_that_was_not_finished_leaves_nothing_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("vault.db");
        let storage = SqliteKeyStorage::new(&place);
        storage.apply(&[]).expect("made");
        // A writer that vanishes in the middle: its transaction is open when its connection goes.
        let mut connection = storage.open().expect("opens");
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).expect("begun");
        transaction.execute("INSERT INTO vault_keys VALUES ('k', 1, 'm', '{}')", []).expect("inserted");
        std::mem::drop(transaction);
        drop(connection);
        assert!(storage.keys().expect("readable").is_empty());
    }
}
