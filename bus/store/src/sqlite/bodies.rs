//! Encrypted bodies in the index: read for a reveal, and re-encrypted row by row after a key was rotated.
use std::path::Path;

use parking_lot::Mutex;
use qiao_core::{CallId, SealedBody, StoreError};
use qiao_vault::{FieldStore, StorageError, VaultError};
use rusqlite::{Connection, params};

use super::{fault, schema};
use crate::codec;

pub(super) fn of_call(connection: &Connection, id: CallId) -> rusqlite::Result<Vec<SealedBody>> {
    let mut find =
        connection.prepare_cached("SELECT part, sealed FROM bodies WHERE id = ?1 ORDER BY part")?;
    let rows = find.query_map([id.as_bytes()], |row| {
        let part: u8 = row.get(0)?;
        let known = codec::part_of(u64::from(part));
        Ok((known.ok_or(rusqlite::Error::IntegralValueOutOfRange(0, i64::from(part)))?, row.get(1)?))
    })?;
    rows.collect()
}

/// Every encrypted body of an index, for re-encryption beside a running node.
pub struct BodyRows(Mutex<Connection>);

impl BodyRows {
    /// Opens an existing index.
    ///
    /// # Errors
    /// As [`crate::SqliteStore::open_read_only`].
    pub fn open(file: &Path) -> Result<Self, StoreError> {
        schema::check(file)?;
        Ok(Self(Mutex::new(schema::connect_writer(file).map_err(fault(file))?)))
    }

    /// How many there are.
    pub fn count(&self) -> Result<u64, VaultError> {
        let count = self.0.lock().query_row("SELECT count(*) FROM bodies", [], |row| row.get::<_, i64>(0));
        count.map(i64::unsigned_abs).map_err(unavailable)
    }
}

fn unavailable(error: rusqlite::Error) -> VaultError {
    StorageError::Unavailable(error.to_string()).into()
}

/// Rows are named by their number, in digits of one length so that text sorts as numbers do.
fn name(row: i64) -> String {
    format!("{row:020}")
}

impl FieldStore for BodyRows {
    fn rows(&self, after: Option<&str>, limit: usize) -> Result<Vec<(String, Vec<u8>)>, VaultError> {
        let after: i64 = after.and_then(|name| name.parse().ok()).unwrap_or(0);
        let connection = self.0.lock();
        let sql = "SELECT rowid, sealed FROM bodies WHERE rowid > ?1 ORDER BY rowid LIMIT ?2";
        let rows = connection.prepare_cached(sql).and_then(|mut find| {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            find.query_map(params![after, limit], |row| Ok((name(row.get(0)?), row.get(1)?)))?.collect()
        });
        rows.map_err(unavailable)
    }

    fn replace(&self, id: &str, old: &[u8], new: &[u8]) -> Result<bool, VaultError> {
        let row: i64 = id.parse().unwrap_or(0);
        let sql = "UPDATE bodies SET sealed = ?1 WHERE rowid = ?2 AND sealed = ?3";
        let changed = self.0.lock().execute(sql, params![new, row, old]);
        changed.map(|changed| changed > 0).map_err(unavailable)
    }
}
