//! The store's tables, how they came to be, and how connections are set up.
use std::{fs, path::Path, time::Duration};

use qiao_core::StoreError;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::fault;

/// Numbered steps from an empty file to the newest form; `PRAGMA user_version` is the number of the last one done.
/// Steps are added at the end and never changed.
const MIGRATIONS: &[(u32, &str)] = &[(1, CALLS), (2, CHAIN), (3, BODIES)];

/// Ids begin with the time, so a table in id order grows at its end and is newest-last. `outcome` holds the numbers of
/// [`crate::codec::outcome_number`], `record` the payload of [`crate::codec`]. Most calls go well (1): the index over
/// outcomes leaves them out.
const CALLS: &str = "
CREATE TABLE calls (
    id BLOB PRIMARY KEY,
    started_us INTEGER NOT NULL,
    interface TEXT NOT NULL,
    caller TEXT NOT NULL,
    outcome INTEGER NOT NULL,
    status INTEGER NOT NULL,
    fault INTEGER,
    duration_us INTEGER NOT NULL,
    record BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX calls_by_interface ON calls (interface, id);
CREATE INDEX calls_by_caller ON calls (caller, id);
CREATE INDEX calls_by_outcome ON calls (outcome, id) WHERE outcome <> 1;
CREATE TABLE totals (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO totals VALUES ('calls', 0);
CREATE TABLE log_positions (log BLOB PRIMARY KEY, segment INTEGER NOT NULL, byte INTEGER NOT NULL) WITHOUT ROWID;
";

/// `chain` holds each record's place and link in the order of its log, `checkpoints` the signed statements over it as JSON; see
/// [`crate::chain`]. `calls.log` and `calls.seq` lead from a call to its place.
const CHAIN: &str = "
CREATE TABLE logs (id INTEGER PRIMARY KEY, log BLOB NOT NULL UNIQUE);
CREATE TABLE chain (
    log INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    call BLOB NOT NULL,
    link BLOB NOT NULL,
    PRIMARY KEY (log, seq)
) WITHOUT ROWID;
CREATE TABLE checkpoints (
    log INTEGER NOT NULL,
    upto INTEGER NOT NULL,
    signed TEXT NOT NULL,
    PRIMARY KEY (log, upto)
) WITHOUT ROWID;
ALTER TABLE calls ADD COLUMN log INTEGER;
ALTER TABLE calls ADD COLUMN seq INTEGER;
";

/// Encrypted bodies, which are re-encrypted without their records; and where a business key's keyed hash was met.
const BODIES: &str = "
CREATE TABLE bodies (
    id BLOB NOT NULL,
    part INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (id, part)
);
CREATE TABLE call_keys (
    name TEXT NOT NULL,
    hash TEXT NOT NULL,
    id BLOB NOT NULL,
    PRIMARY KEY (name, hash, id)
) WITHOUT ROWID;
";

const NEWEST: u32 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// How long opening waits for another process's write.
const OPEN_BUSY: Duration = Duration::from_secs(5);
/// How long a write waits before it is tried again later, from the top.
const WRITE_BUSY: Duration = Duration::from_millis(500);
const READ_BUSY: Duration = Duration::from_secs(2);

/// Makes the file and brings it to the newest form.
pub fn prepare(place: &Path) -> Result<(), StoreError> {
    if let Some(folder) = place.parent() {
        let unavailable = |error: std::io::Error| super::unavailable(folder, &error.to_string());
        fs::create_dir_all(folder).map_err(unavailable)?;
    }
    let mut connection = open_for_writing(place, OPEN_BUSY).map_err(fault(place))?;
    migrate(&mut connection, MIGRATIONS, place)
}

/// Refuses a file that this version cannot read.
pub fn check(place: &Path) -> Result<(), StoreError> {
    let connection = connect_reader(place).map_err(fault(place))?;
    let found = version(&connection).map_err(fault(place))?;
    if found == NEWEST { Ok(()) } else { Err(other_version(place, found)) }
}

/// A connection that writes calls: it gives up soon where another one writes.
pub fn connect_writer(place: &Path) -> rusqlite::Result<Connection> {
    let connection = open_for_writing(place, WRITE_BUSY)?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    // Pages, 16 MiB: checkpoints write to the main file and sync it, so seldom and in bulk.
    connection.pragma_update(None, "wal_autocheckpoint", 1_000)?;
    Ok(connection)
}

/// A connection that can only read.
pub fn connect_reader(place: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(place, flags)?;
    connection.busy_timeout(READ_BUSY)?;
    Ok(connection)
}

fn open_for_writing(place: &Path, busy: Duration) -> rusqlite::Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(place, flags)?;
    connection.busy_timeout(busy)?;
    // Only heard by a new file. Larger pages take fewer writes per batch; smaller ones less disk traffic when idle.
    connection.pragma_update(None, "page_size", 16_384)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "normal")?;
    Ok(connection)
}

fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn other_version(place: &Path, found: u32) -> StoreError {
    let reason =
        format!("its schema has version {found}, this program's is {NEWEST}: run the newer one of both");
    StoreError::Corrupt { place: place.display().to_string(), reason }
}

fn migrate(connection: &mut Connection, steps: &[(u32, &str)], place: &Path) -> Result<(), StoreError> {
    let newest = steps.last().map_or(0, |step| step.0);
    let found = version(connection).map_err(fault(place))?;
    if found > newest {
        return Err(other_version(place, found));
    }
    if found < newest {
        run(connection, steps).map_err(fault(place))?;
    }
    Ok(())
}

/// All missing steps in one transaction; the version is read again inside it, since another process may have been first.
fn run(connection: &mut Connection, steps: &[(u32, &str)]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&transaction)?;
    for (number, sql) in steps.iter().filter(|(number, _)| *number > found) {
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", number)?;
    }
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_by_one() {
        let numbers: Vec<u32> = MIGRATIONS.iter().map(|step| step.0).collect();
        assert_eq!(numbers, (1..=NEWEST).collect::<Vec<_>>());
    }

    #[test]
    fn a_later_step_runs_once_on_an_older_file() {
        let folder = tempfile::tempdir().expect("folder");
        let place = folder.path().join("calls.db");
        prepare(&place).expect("made");
        let steps = [
            MIGRATIONS[0],
            MIGRATIONS[1],
            MIGRATIONS[2],
            (4, "CREATE TABLE later (a); INSERT INTO later VALUES (1);"),
        ];
        let mut connection = connect_writer(&place).expect("opens");
        migrate(&mut connection, &steps, &place).expect("migrates");
        migrate(&mut connection, &steps, &place).expect("has nothing to do");
        let count: i64 =
            connection.query_row("SELECT count(*) FROM later", [], |row| row.get(0)).expect("table");
        assert_eq!((count, version(&connection).expect("version")), (1, 4));
        drop(connection);
        assert!(
            matches!(prepare(&place), Err(StoreError::Corrupt { .. })),
            "version 4 is newer than this program"
        );
        assert!(matches!(check(&place), Err(StoreError::Corrupt { .. })));
    }

    #[test]
    fn a_file_that_is_no_database_is_refused_as_corrupt() {
        let folder = tempfile::tempdir().expect("folder");
        let place = folder.path().join("calls.db");
        fs::write(&place, "nothing of the kind ".repeat(1_000)).expect("written");
        assert!(matches!(prepare(&place), Err(StoreError::Corrupt { .. })));
    }
}
