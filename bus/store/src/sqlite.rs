//! The embedded call index: one SQLite file in WAL mode, written by the shipping thread, read through a small pool.
pub(crate) mod bodies;
mod pool;
pub(crate) mod schema;
pub(crate) mod ship;
mod tail;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use parking_lot::Mutex;
use qiao_core::{
    BoxFuture, CallFilter, CallId, CallRecord, CallSummary, Outcome, SealedBody, Store, StoreError,
};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, ToSql};

use self::{pool::Pool, tail::Tail};
use crate::{ShipTarget, codec, recorder::SegmentRecorder};

/// How long a read may take, waiting for a connection included.
const READ_DEADLINE: Duration = Duration::from_secs(10);
/// How long looking up one call waits for the log to be shipped, before it looks into the log itself.
const FLUSH_FOR_CALL: Duration = Duration::from_secs(2);
/// How long listings wait for it; they then show what is there.
const FLUSH_FOR_LIST: Duration = Duration::from_millis(250);
/// Most lines of one listing.
const MAX_LIMIT: usize = 1000;

/// [`Store`] on one SQLite file.
pub struct SqliteStore {
    inner: Arc<Inner>,
}

struct Inner {
    place: PathBuf,
    read_only: bool,
    readers: Pool,
    /// For direct inserts; the shipping thread has its own connection.
    writer: Mutex<Option<Connection>>,
    tail: OnceLock<Tail>,
}

impl SqliteStore {
    /// Opens the file, making and migrating it as needed. Blocks, at most a few seconds.
    ///
    /// # Errors
    /// `Unavailable` where the file cannot be opened or is locked; `Corrupt` where it is no such store or of a newer version.
    pub fn open(file: impl Into<PathBuf>) -> Result<Arc<Self>, StoreError> {
        let place = file.into();
        schema::prepare(&place)?;
        Ok(Self::with(place, false))
    }

    /// Opens an existing store for reading while another process writes it. Calls that process has recorded but not
    /// shipped yet are found in the log beside the file (`log/`).
    ///
    /// # Errors
    /// As [`SqliteStore::open`]; also where there is no store yet.
    pub fn open_read_only(file: impl Into<PathBuf>) -> Result<Arc<Self>, StoreError> {
        let place = file.into();
        schema::check(&place)?;
        let store = Self::with(place, true);
        let folder = store.inner.place.parent().unwrap_or(Path::new(".")).join("log");
        store.set_tail(Tail::Watched(folder));
        Ok(store)
    }

    fn with(place: PathBuf, read_only: bool) -> Arc<Self> {
        let readers = Pool::new(place.clone());
        let inner = Inner { place, read_only, readers, writer: Mutex::new(None), tail: OnceLock::new() };
        Arc::new(Self { inner: Arc::new(inner) })
    }

    /// Lets reads find what `recorder` has written and not shipped. Once per store.
    pub fn follow(&self, recorder: &SegmentRecorder) {
        self.set_tail(Tail::Own(recorder.shared()));
    }

    fn set_tail(&self, tail: Tail) {
        if self.inner.tail.set(tail).is_err() {
            tracing::warn!("the store already follows a log; the second one is not followed");
        }
    }

    /// Where a recorder ships to.
    pub fn ship_target(&self) -> Box<dyn ShipTarget> {
        Box::new(ship::Target::new(self.inner.place.clone()))
    }

    async fn flush(&self, wait: Duration) {
        if let Some(Tail::Own(state)) = self.inner.tail.get() {
            state.flush(wait).await;
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.inner.readers.run(READ_DEADLINE, job).await
    }

    async fn stored(&self, id: CallId) -> Result<Option<CallRecord>, StoreError> {
        let payload = self.read(move |connection| {
            let mut find = connection.prepare_cached("SELECT record FROM calls WHERE id = ?1")?;
            find.query_row([id.as_bytes()], |row| row.get::<_, Vec<u8>>(0)).optional()
        });
        let Some(payload) = payload.await? else { return Ok(None) };
        codec::decode(&payload).map(Some).map_err(|error| {
            let place = self.inner.place.display().to_string();
            StoreError::Corrupt { place, reason: format!("call {id}: {error}") }
        })
    }

    async fn find(&self, id: CallId) -> Result<Option<CallRecord>, StoreError> {
        if let Some(record) = self.stored(id).await? {
            return Ok(Some(record));
        }
        let Some(tail) = self.inner.tail.get() else { return Ok(None) };
        if let Tail::Own(state) = tail {
            if state.caught_up() {
                // It may have been shipped since the first look.
                return self.stored(id).await;
            }
            if state.flush(FLUSH_FOR_CALL).await {
                return self.stored(id).await;
            }
        }
        let position = match tail.log()? {
            Some(log) => self.read(move |connection| ship::position(connection, log)).await?,
            None => return Ok(None),
        };
        if let Some(record) = tail.find(position, id).await? {
            return Ok(Some(record));
        }
        // Shipped, and its segment deleted, while the log was read.
        self.stored(id).await
    }

    async fn list(&self, filter: &CallFilter) -> Result<Vec<CallSummary>, StoreError> {
        self.flush(FLUSH_FOR_LIST).await;
        let filter = filter.clone();
        self.read(move |connection| list(connection, &filter)).await
    }

    async fn count(&self) -> Result<u64, StoreError> {
        self.flush(FLUSH_FOR_LIST).await;
        let count = self.read(|connection| {
            connection
                .query_row("SELECT value FROM totals WHERE name = 'calls'", [], |row| row.get::<_, i64>(0))
        });
        Ok(count.await?.unsigned_abs())
    }

    async fn insert(&self, records: &[CallRecord]) -> Result<(), StoreError> {
        let inner = Arc::clone(&self.inner);
        let mut payloads = Vec::with_capacity(records.len());
        for record in records {
            let mut payload = Vec::with_capacity(512);
            if codec::encode(record, &mut payload) == codec::Encoded::TooLarge {
                let reason = format!("call {} is larger than {} bytes", record.id, codec::MAX_PAYLOAD_BYTES);
                return Err(StoreError::Unavailable { place: inner.place.display().to_string(), reason });
            }
            payloads.push(payload);
        }
        let place = inner.place.clone();
        let inserted = tokio::task::spawn_blocking(move || inner.insert(&payloads)).await;
        inserted.map_err(|_| unavailable(&place, "the insert panicked"))?
    }
}

impl Inner {
    fn insert(&self, payloads: &[Vec<u8>]) -> Result<(), StoreError> {
        if self.read_only {
            return Err(unavailable(&self.place, "it was opened for reading only"));
        }
        let mut writer = self.writer.lock();
        let connection = match writer.as_mut() {
            Some(connection) => connection,
            None => writer.insert(schema::connect_writer(&self.place).map_err(fault(&self.place))?),
        };
        let payloads: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
        let inserted = ship::insert_all(connection, &payloads);
        if inserted.is_err() {
            *writer = None;
        }
        inserted.map_err(fault(&self.place))
    }
}

fn list(connection: &Connection, filter: &CallFilter) -> rusqlite::Result<Vec<CallSummary>> {
    let mut sql = String::from(
        "SELECT id, interface, caller, started_us, duration_us, outcome, status, fault FROM calls WHERE id < ?1",
    );
    // Above every id: a time in the year 10889.
    let before = filter.before.unwrap_or(CallId::from_bytes([0xff; 16]));
    let limit = filter.limit.min(MAX_LIMIT) as i64;
    let mut values: Vec<&dyn ToSql> = vec![before.as_bytes()];
    for (column, value) in [("interface", &filter.interface), ("caller", &filter.caller)] {
        if let Some(value) = value {
            values.push(value);
            sql.push_str(&format!(" AND {column} = ?{}", values.len()));
        }
    }
    if let Some(outcome) = filter.outcome {
        // Written out, since the index over what did not go well is chosen by the statement's text.
        let but = if outcome == Outcome::Ok { "" } else { " AND outcome <> 1" };
        sql.push_str(&format!(" AND outcome = {}{but}", codec::outcome_number(outcome)));
    }
    if let Some((name, hash)) = &filter.key {
        values.extend([name as &dyn ToSql, hash]);
        let (name, hash) = (values.len() - 1, values.len());
        sql.push_str(&format!(
            " AND id IN (SELECT id FROM call_keys WHERE name = ?{name} AND hash = ?{hash})"
        ));
    }
    values.push(&limit);
    sql.push_str(&format!(" ORDER BY id DESC LIMIT ?{}", values.len()));
    connection.prepare_cached(&sql)?.query_map(values.as_slice(), line)?.collect()
}

fn line(row: &Row<'_>) -> rusqlite::Result<CallSummary> {
    let outcome: u8 = row.get(5)?;
    Ok(CallSummary {
        id: CallId::from_bytes(row.get(0)?),
        interface: row.get(1)?,
        caller: row.get(2)?,
        started_us: row.get(3)?,
        duration_us: row.get::<_, i64>(4)?.unsigned_abs(),
        outcome: codec::outcome_of(u64::from(outcome))
            .ok_or(rusqlite::Error::IntegralValueOutOfRange(5, i64::from(outcome)))?,
        status: row.get(6)?,
        fault: row.get(7)?,
    })
}

impl Store for SqliteStore {
    fn insert_calls<'a>(&'a self, records: &'a [CallRecord]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.insert(records))
    }

    fn call(&self, id: CallId) -> BoxFuture<'_, Result<Option<CallRecord>, StoreError>> {
        Box::pin(self.find(id))
    }

    fn calls<'a>(&'a self, filter: &'a CallFilter) -> BoxFuture<'a, Result<Vec<CallSummary>, StoreError>> {
        Box::pin(self.list(filter))
    }

    fn bodies(&self, id: CallId) -> BoxFuture<'_, Result<Vec<SealedBody>, StoreError>> {
        Box::pin(async move {
            self.flush(FLUSH_FOR_CALL).await;
            self.read(move |connection| bodies::of_call(connection, id)).await
        })
    }

    fn count_calls(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(self.count())
    }
}

pub(crate) fn unavailable(place: &Path, reason: &str) -> StoreError {
    StoreError::Unavailable { place: place.display().to_string(), reason: reason.to_owned() }
}

/// SQLite's word on a file in ours.
pub(crate) fn fault(place: &Path) -> impl Fn(rusqlite::Error) -> StoreError {
    let place = place.display().to_string();
    move |error| {
        let (place, reason) = (place.clone(), error.to_string());
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                StoreError::Corrupt { place, reason }
            }
            _ if matches!(error, rusqlite::Error::IntegralValueOutOfRange(..)) => {
                StoreError::Corrupt { place, reason }
            }
            _ => StoreError::Unavailable { place, reason },
        }
    }
}

#[cfg(test)]
mod tests;
