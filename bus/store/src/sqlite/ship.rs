//! Ships the log into SQLite: records and position in one transaction, so each record enters the index exactly once.
use std::path::PathBuf;

use qiao_core::StoreError;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::{fault, schema};
use crate::{
    Checkpoint, LogId, Position, ShipReport, ShipTarget, body,
    chain::{self, Head},
    codec::{self, Summary},
};

const INSERT: &str =
    "INSERT INTO calls (id, started_us, interface, caller, outcome, status, fault, duration_us, record, log, seq)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING";

const LINK: &str = "INSERT INTO chain (log, seq, call, link) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";

const SIGN: &str = "INSERT INTO checkpoints (log, upto, signed) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";

const KEEP: &str = "INSERT INTO bodies (id, part, sealed) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";

const FIND: &str = "INSERT INTO call_keys (name, hash, id) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";

const MOVE: &str = "INSERT INTO log_positions (log, segment, byte) VALUES (?1, ?2, ?3)
    ON CONFLICT DO UPDATE SET segment = excluded.segment, byte = excluded.byte";

/// The shipping thread's connection. Made anew after an error.
pub struct Target {
    place: PathBuf,
    connection: Option<Connection>,
}

impl Target {
    pub fn new(place: PathBuf) -> Self {
        Self { place, connection: None }
    }

    fn with<T>(&mut self, job: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let connection = match self.connection.as_mut() {
            Some(connection) => connection,
            None => {
                // Also makes the file again, should it have been taken away.
                schema::prepare(&self.place)?;
                self.connection.insert(schema::connect_writer(&self.place).map_err(fault(&self.place))?)
            }
        };
        let done = job(connection);
        if done.is_err() {
            self.connection = None;
        }
        done.map_err(fault(&self.place))
    }
}

impl ShipTarget for Target {
    fn position(&mut self, log: LogId) -> Result<Position, StoreError> {
        self.with(|connection| position(connection, log))
    }

    fn ship(
        &mut self,
        log: LogId,
        payloads: &[&[u8]],
        next: Position,
        durable: bool,
    ) -> Result<ShipReport, StoreError> {
        self.with(|connection| {
            // NORMAL syncs at checkpoints only. Before the log goes, this commit syncs the WAL, with all before it.
            connection.pragma_update(None, "synchronous", if durable { "full" } else { "normal" })?;
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let log_number = number(&transaction, log)?;
            let unreadable = insert(&transaction, payloads, Some(log_number))?;
            let (segment, byte) = (signed(next.segment), signed(next.offset));
            transaction.prepare_cached(MOVE)?.execute(params![log.0, segment, byte])?;
            transaction.commit()?;
            Ok(ShipReport { unreadable })
        })
    }
}

/// The store's own short number of a log.
fn number(transaction: &Transaction<'_>, log: LogId) -> rusqlite::Result<i64> {
    transaction
        .prepare_cached("INSERT INTO logs (log) VALUES (?1) ON CONFLICT DO NOTHING")?
        .execute([log.0])?;
    transaction.prepare_cached("SELECT id FROM logs WHERE log = ?1")?.query_row([log.0], |row| row.get(0))
}

/// How far a log was shipped.
pub fn position(connection: &Connection, log: LogId) -> rusqlite::Result<Position> {
    let mut find = connection.prepare_cached("SELECT segment, byte FROM log_positions WHERE log = ?1")?;
    let found = find.query_row([log.0], |row| {
        let (segment, offset) = (row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, i64>(1)?.unsigned_abs());
        Ok(Position { segment, offset })
    });
    Ok(found.optional()?.unwrap_or_default())
}

/// Inserts without a log behind it: durable on return.
pub fn insert_all(connection: &mut Connection, payloads: &[&[u8]]) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", "full")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    insert(&transaction, payloads, None)?;
    transaction.commit()
}

/// Inserts what is new and counts it; returns how many could not be read. Without a log there are no places in a chain.
fn insert(transaction: &Transaction<'_>, payloads: &[&[u8]], log: Option<i64>) -> rusqlite::Result<u64> {
    let mut insert = transaction.prepare_cached(INSERT)?;
    let mut link = transaction.prepare_cached(LINK)?;
    let (mut new, mut unreadable) = (0_usize, 0);
    for framed in payloads {
        if let Some(checkpoint) = Checkpoint::of_payload(framed) {
            sign(transaction, log, &checkpoint)?;
            continue;
        }
        if let Some((id, part, sealed)) = body::of_payload(framed) {
            let part = codec::part_number(part);
            transaction.prepare_cached(KEEP)?.execute(params![id.as_bytes(), part, sealed])?;
            continue;
        }
        let (payload, place) =
            chain::split(framed).map_or((*framed, None), |(payload, at)| (payload, Some(at)));
        match codec::summary(payload) {
            Ok(head) => {
                let place = log.zip(place);
                if let Some((log, at)) = place {
                    link.execute(params![log, signed(at.records), head.id.as_bytes(), at.link])?;
                }
                let inserted = insert.execute(values(&head, payload, place))?;
                new += inserted;
                if inserted > 0 {
                    keys(transaction, &head, payload)?;
                }
            }
            Err(error) => {
                tracing::error!(%error, "a record of the log cannot be read; its segment is set aside");
                unreadable += 1;
            }
        }
    }
    if new > 0 {
        let mut count =
            transaction.prepare_cached("UPDATE totals SET value = value + ?1 WHERE name = 'calls'")?;
        count.execute([signed(new as u64)])?;
    }
    Ok(unreadable)
}

fn keys(transaction: &Transaction<'_>, head: &Summary<'_>, payload: &[u8]) -> rusqlite::Result<()> {
    // A payload whose head reads and whose keys do not is found by them no more, and shown all the same.
    for key in codec::keys(payload).unwrap_or_default() {
        transaction.prepare_cached(FIND)?.execute(params![&*key.name, &*key.hash, head.id.as_bytes()])?;
    }
    Ok(())
}

fn sign(transaction: &Transaction<'_>, log: Option<i64>, checkpoint: &Checkpoint) -> rusqlite::Result<()> {
    let text = serde_json::to_string(checkpoint)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    transaction.prepare_cached(SIGN)?.execute(params![log, signed(checkpoint.to), text])?;
    Ok(())
}

fn values<'a>(
    head: &Summary<'a>,
    payload: &'a [u8],
    place: Option<(i64, Head)>,
) -> impl rusqlite::Params + use<'a> {
    let outcome = codec::outcome_number(head.outcome);
    let duration_us = signed(head.duration_us);
    (
        *head.id.as_bytes(),
        head.started_us,
        head.interface,
        head.caller,
        outcome,
        head.status,
        head.fault,
        duration_us,
        payload,
        place.map(|(log, _)| log),
        place.map(|(_, at)| signed(at.records)),
    )
}

/// SQLite's integers are signed; nothing here comes near the bound.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
