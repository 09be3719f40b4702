//! The walk itself: records in the order of their log, first from the index, then from the log's files.
use std::{collections::BTreeMap, io, path::Path};

use qiao_core::{CallId, StoreError};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{Audit, Finding, Trust, WalkedLog};
use crate::{
    Checkpoint, LogId, Position, body,
    chain::{self, Digest, Head},
    codec,
    log::{reader::Reader, segment},
    sqlite::{self, schema, ship},
};

/// Records of the log's files read at a time.
const BATCH: usize = 500;

/// Links kept behind the last checkpoint; a node asks for one every 1024 records.
const MOST_LINKS: usize = 1 << 20;

/// Why a walk ended early.
enum Stop {
    Found(Finding),
    /// The node shipped and deleted what was about to be read.
    Moved,
    Failed(StoreError),
}

impl From<Finding> for Stop {
    fn from(finding: Finding) -> Self {
        Self::Found(finding)
    }
}

/// None where the log moved on under the walk.
pub fn everything(
    index: &Path,
    log: &Path,
    contains: Option<&str>,
    trust: Trust<'_>,
) -> Result<Option<Audit>, StoreError> {
    schema::check(index)?;
    let failed = sqlite::fault(index);
    let connection = schema::connect_reader(index).map_err(&failed)?;
    // One view of the index for the whole walk.
    connection.execute_batch("BEGIN").map_err(&failed)?;
    let mut audit = Audit { logs: Vec::new(), keys: Vec::new(), finding: None };
    let wanted = contains.map(Wanted::new);
    let mut view = View { connection: &connection, index, folder: log, wanted };
    let ended =
        view.all_logs(trust, &mut audit).and_then(|()| Ok(view.wanted.map_or(Ok(()), Wanted::met)?));
    match ended {
        Ok(()) => Ok(Some(audit)),
        Err(Stop::Found(finding)) => Ok(Some(Audit { finding: Some(finding), ..audit })),
        Err(Stop::Moved) => Ok(None),
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// A link that must be passed.
struct Wanted {
    text: String,
    met: bool,
}

impl Wanted {
    fn new(text: &str) -> Self {
        Self { text: text.to_ascii_lowercase(), met: false }
    }

    fn met(self) -> Result<(), Finding> {
        if self.met {
            return Ok(());
        }
        let what = format!(
            "no chain passes the link {} that was noted: the end of a log was cut off, or the log was made anew",
            self.text
        );
        Err(Finding { log: "-".to_owned(), record: None, call: None, what })
    }
}

/// What is walked.
struct View<'a> {
    connection: &'a Connection,
    index: &'a Path,
    folder: &'a Path,
    wanted: Option<Wanted>,
}

impl View<'_> {
    fn all_logs(&mut self, trust: Trust<'_>, audit: &mut Audit) -> Result<(), Stop> {
        let (connection, index, folder) = (self.connection, self.index, self.folder);
        let failed = |error| Stop::Failed(sqlite::fault(index)(error));
        let here = if folder.is_dir() {
            segment::identify(folder)
                .map_err(|error| Stop::Failed(sqlite::unavailable(folder, &error.to_string())))?
        } else {
            None
        };
        let mut logs = logs(connection).map_err(failed)?;
        if let Some(here) = here.filter(|here| !logs.iter().any(|(_, log)| log == here)) {
            logs.push((None, here));
        }
        for (number, log) in logs {
            let mut walk = Walk::new(log, trust);
            walk.wanted = self.wanted.take();
            if let Some(number) = number {
                walk.signed = checkpoints(connection, number, log).map_err(failed)??;
                match walk.index(connection, number) {
                    Ok(walked) => walked?,
                    Err(error) if is_alteration(&error) => {
                        let what = format!("its row in the index is not what was written: {error}");
                        return Err(walk.finding(Some(walk.head.records + 1), None, what).into());
                    }
                    Err(error) => return Err(failed(error)),
                }
            }
            if here == Some(log) {
                let position = ship::position(connection, log).map_err(failed)?;
                walk.files(folder, position)?;
            }
            self.wanted = walk.wanted.take();
            let (walked, keys) = walk.end()?;
            audit.logs.push(walked);
            for key in keys {
                if !audit.keys.contains(&key) {
                    audit.keys.push(key);
                }
            }
        }
        outside(connection).map_err(failed)?.map_or(Ok(()), |finding| Err(finding.into()))
    }
}

/// A value of another type than was written, not an index that cannot be read.
fn is_alteration(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType};
    matches!(error, FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..))
}

fn logs(connection: &Connection) -> rusqlite::Result<Vec<(Option<i64>, LogId)>> {
    let mut find = connection.prepare("SELECT id, log FROM logs ORDER BY id")?;
    find.query_map([], |row| Ok((Some(row.get(0)?), LogId(row.get(1)?))))?.collect()
}

/// Every checkpoint of a log in the index, by the last record it covers.
fn checkpoints(
    connection: &Connection,
    number: i64,
    log: LogId,
) -> rusqlite::Result<Result<BTreeMap<u64, Checkpoint>, Finding>> {
    let mut find = connection.prepare("SELECT upto, signed FROM checkpoints WHERE log = ?1 ORDER BY upto")?;
    let mut rows = find.query([number])?;
    let mut found = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let upto = row.get::<_, i64>(0)?.unsigned_abs();
        match serde_json::from_str::<Checkpoint>(&row.get::<_, String>(1)?) {
            Ok(checkpoint) => found.insert(upto, checkpoint),
            Err(_) => {
                let what = "its checkpoint is not what was written".to_owned();
                return Ok(Err(Finding { log: log.to_string(), record: Some(upto), call: None, what }));
            }
        };
    }
    Ok(Ok(found))
}

/// A call that stands in the index and in no chain: nobody's log wrote it.
fn outside(connection: &Connection) -> rusqlite::Result<Option<Finding>> {
    let sql = "SELECT calls.id FROM calls LEFT JOIN chain ON chain.log = calls.log AND chain.seq = calls.seq
        WHERE chain.call IS NOT calls.id LIMIT 1";
    let found = connection.query_row(sql, [], |row| row.get::<_, [u8; 16]>(0)).optional()?;
    Ok(found.map(|id| Finding {
        log: "-".to_owned(),
        record: None,
        call: Some(CallId::from_bytes(id)),
        what: "it stands in the index and in no log's chain: it was put in beside the log".to_owned(),
    }))
}

/// One log under way.
struct Walk<'a> {
    log: LogId,
    trust: Trust<'a>,
    head: Head,
    /// The end of the last checkpoint that held.
    under: Head,
    /// The links of the records behind it: a checkpoint may stand some records after the last it covers.
    links: Vec<Digest>,
    /// Checkpoints yet to be met, by the last record each covers.
    signed: BTreeMap<u64, Checkpoint>,
    records: u64,
    checkpoints: u64,
    signed_us: Option<i64>,
    keys: Vec<(String, String)>,
    wanted: Option<Wanted>,
}

impl<'a> Walk<'a> {
    fn new(log: LogId, trust: Trust<'a>) -> Self {
        let head = Head::start(log);
        Self {
            log,
            trust,
            head,
            under: head,
            links: Vec::new(),
            signed: BTreeMap::new(),
            records: 0,
            checkpoints: 0,
            signed_us: None,
            keys: Vec::new(),
            wanted: None,
        }
    }

    fn finding(&self, record: Option<u64>, call: Option<CallId>, what: impl Into<String>) -> Finding {
        Finding { log: self.log.to_string(), record, call, what: what.into() }
    }

    fn index(&mut self, connection: &Connection, number: i64) -> rusqlite::Result<Result<(), Finding>> {
        let sql = "SELECT chain.seq, chain.call, chain.link, calls.record, calls.interface, calls.caller,
                calls.outcome, calls.status, calls.fault, calls.started_us, calls.duration_us
            FROM chain LEFT JOIN calls ON calls.id = chain.call WHERE chain.log = ?1 ORDER BY chain.seq";
        let mut find = connection.prepare(sql)?;
        let mut rows = find.query([number])?;
        while let Some(row) = rows.next()? {
            let at = Head { records: row.get::<_, i64>(0)?.unsigned_abs(), link: row.get::<_, Digest>(2)? };
            let call = CallId::from_bytes(row.get(1)?);
            let Some(payload) = row.get::<_, Option<Vec<u8>>>(3)? else {
                let what = "it was taken out of the index";
                return Ok(Err(self.finding(Some(at.records), Some(call), what)));
            };
            if let Err(finding) = self.record(at, Some(call), &payload) {
                return Ok(Err(finding));
            }
            if !says_the_same(row, &payload)? {
                let what = "its line in the index says something else than its record";
                return Ok(Err(self.finding(Some(at.records), Some(call), what)));
            }
        }
        Ok(Ok(()))
    }

    fn files(&mut self, folder: &Path, mut at: Position) -> Result<(), Stop> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Stop::Moved,
            _ => Stop::Failed(sqlite::unavailable(folder, &error.to_string())),
        };
        let Some(newest) = segment::list(folder).map_err(failed)?.pop() else { return Ok(()) };
        let end = Position { segment: newest.number, offset: newest.bytes };
        let mut reader = Reader::watching(folder);
        while at < end {
            let batch = reader.read(at, end, BATCH).map_err(failed)?;
            for framed in batch.payloads() {
                match (Checkpoint::of_payload(framed), chain::split(framed)) {
                    (Some(checkpoint), _) => self.later_checkpoint(checkpoint)?,
                    (None, Some((payload, place))) => {
                        let call = codec::summary(payload).ok().map(|head| head.id);
                        self.record(place, call, payload)?;
                    }
                    (None, None) if body::of_payload(framed).is_some() => {}
                    (None, None) => {
                        let what = "a record of its files carries no place in the chain";
                        return Err(self.finding(Some(self.head.records + 1), None, what).into());
                    }
                }
            }
            at = batch.next;
        }
        Ok(())
    }

    /// The next record: it must have the next number, and its content must lead to its link.
    fn record(&mut self, at: Head, call: Option<CallId>, payload: &[u8]) -> Result<(), Finding> {
        let next = self.head.records + 1;
        if at.records != next {
            let what =
                if at.records > next { "it is missing" } else { "it stands where another record belongs" };
            let (record, call) = if at.records > next { (next, None) } else { (at.records, call) };
            return Err(self.finding(Some(record), call, what));
        }
        if codec::summary(payload).ok().map(|head| head.id) != call {
            return Err(self.finding(Some(next), call, "its content is another call's"));
        }
        let head = self.head.after(payload);
        if head.link != at.link {
            return Err(self.finding(
                Some(next),
                call,
                "its content is not what was recorded, or its link was altered",
            ));
        }
        self.head = head;
        self.records += 1;
        if let Some(wanted) = self.wanted.as_mut().filter(|wanted| !wanted.met) {
            wanted.met = wanted.text == chain::hex(&head.link);
        }
        if self.links.len() < MOST_LINKS {
            self.links.push(head.link);
        }
        match self.signed.remove(&next) {
            Some(checkpoint) => self.checkpoint(&checkpoint),
            None => Ok(()),
        }
    }

    /// The chain as it was walked at this record, behind the last checkpoint.
    fn walked(&self, record: u64) -> Option<Head> {
        if record == self.head.records {
            return Some(self.head);
        }
        let behind = usize::try_from(record.checked_sub(self.under.records + 1)?).ok()?;
        Some(Head { records: record, link: *self.links.get(behind)? })
    }

    /// A checkpoint that is met behind the records it covers, as the files have them.
    fn later_checkpoint(&mut self, checkpoint: Checkpoint) -> Result<(), Finding> {
        if checkpoint.to > self.head.records {
            self.signed.insert(checkpoint.to, checkpoint);
            return Ok(());
        }
        if checkpoint.to > self.under.records { self.checkpoint(&checkpoint) } else { Ok(()) }
    }

    /// A checkpoint over records that were all walked.
    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), Finding> {
        let upto = Some(checkpoint.to);
        if checkpoint.log != self.log.to_string() {
            return Err(self.finding(upto, None, "its checkpoint belongs to another log"));
        }
        let Some((from, to)) = checkpoint.heads() else {
            return Err(self.finding(upto, None, "its checkpoint cannot be read"));
        };
        if !checkpoint.own_key().is_some_and(|key| checkpoint.is_signed_by(&key)) {
            return Err(self.finding(upto, None, "the signature of its checkpoint does not hold"));
        }
        (self.trust)(checkpoint).map_err(|why| self.finding(upto, None, why))?;
        if from != self.under {
            let what = format!(
                "no checkpoint covers the records from here to {}: one was taken away, or does not fit its neighbour",
                from.records
            );
            return Err(self.finding(Some(self.under.records + 1), None, what));
        }
        if self.walked(to.records) != Some(to) {
            let what = format!(
                "the chain does not lead to what was signed at {}: one of the records from {} to {} was altered and the links after it made anew",
                checkpoint.time_us,
                from.records + 1,
                to.records
            );
            return Err(self.finding(Some(from.records + 1), None, what));
        }
        let covered = usize::try_from(to.records - self.under.records).unwrap_or(usize::MAX);
        self.links.drain(..covered.min(self.links.len()));
        self.under = to;
        self.checkpoints += 1;
        self.signed_us = Some(checkpoint.time_us);
        let key = (checkpoint.key.clone(), checkpoint.public_key.clone());
        if !self.keys.contains(&key) {
            self.keys.push(key);
        }
        Ok(())
    }

    fn end(self) -> Result<(WalkedLog, Vec<(String, String)>), Finding> {
        if let Some((upto, _)) = self.signed.first_key_value() {
            let what = format!("a checkpoint covers the records up to {upto}, which are gone");
            return Err(self.finding(Some(self.head.records + 1), None, what));
        }
        let walked = WalkedLog {
            log: self.log.to_string(),
            records: self.records,
            checkpoints: self.checkpoints,
            unsigned: self.head.records - self.under.records,
            signed_us: self.signed_us,
            head: chain::hex(&self.head.link),
        };
        Ok((walked, self.keys))
    }
}

/// Whether the columns that listings show are those of the record.
fn says_the_same(row: &Row<'_>, payload: &[u8]) -> rusqlite::Result<bool> {
    let Ok(head) = codec::summary(payload) else { return Ok(false) };
    Ok(row.get::<_, String>(4)? == head.interface
        && row.get::<_, String>(5)? == head.caller
        && row.get::<_, u8>(6)? == codec::outcome_number(head.outcome)
        && row.get::<_, u16>(7)? == head.status
        && row.get::<_, Option<u16>>(8)? == head.fault
        && row.get::<_, i64>(9)? == head.started_us
        && row.get::<_, i64>(10)?.unsigned_abs() == head.duration_us)
}
