//! The evidence of one call: its record, its place in the chain, and the signature over it, in one file that a third party checks
//! without the bus (GB/T 39786 level 3: signing of important data, non-repudiation).
use std::path::Path;

use qiao_core::{CallId, CallRecord, StoreError};
use qiao_vault::timestamp::StampHash;
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use crate::{
    Checkpoint, LogId,
    chain::{self, Head, hex, unhex},
    codec,
    sqlite::{self, schema},
};

/// Records between the one shown and its checkpoint, at most; a node asks for a checkpoint every 1024.
const MOST_FOLLOWING: usize = 100_000;

/// What is handed over. Holds the digests of other calls, nothing else of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Evidence {
    /// 1.
    pub qiao_evidence: u32,
    pub call: CallId,
    /// The log the record is of, 32 hex digits.
    pub log: String,
    /// Its number there, from 1.
    pub number: u64,
    /// The link before it, in hex.
    pub previous_link: String,
    /// The record in its binary form, in hex: what is proven.
    pub record: String,
    /// SM3 of every record after it up to the checkpoint, in hex.
    pub following: Vec<String>,
    pub checkpoint: Checkpoint,
    /// Says that an authority saw the signed checkpoint, and with it the record, at a time of its own clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_stamp: Option<EvidenceStamp>,
    /// The same record for reading. A check compares it with the binary form.
    pub shown: serde_json::Value,
}

/// A time stamp over [`Evidence::stamped`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct EvidenceStamp {
    pub hash: StampHash,
    /// The token (RFC 3161 §2.4.2) in hex.
    pub token: String,
}

/// Why evidence proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    #[error("it is newer than this program, or no evidence")]
    Form,
    #[error("its {0} cannot be read")]
    Unreadable(&'static str),
    #[error(
        "the record does not lead to what was signed: the record, its number or its neighbours were altered"
    )]
    Chain,
    #[error("the signature of the checkpoint does not hold for {0}")]
    Signature(&'static str),
    #[error("what is shown is not what the record says")]
    Shown,
}

impl Evidence {
    /// What a time stamp is over: the checkpoint's text, a line end, and its signature in hex.
    pub fn stamped(&self) -> Vec<u8> {
        format!("{}\n{}", self.checkpoint.text(), self.checkpoint.signature).into_bytes()
    }

    /// Checks everything; gives the record. With a public key (x ‖ y) the signature must be that key's; without one it is the key
    /// named in the checkpoint, and whoever relies on it must know that key to be the bus's.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn verify(&self, public: Option<&[u8; 64]>) -> Result<CallRecord, EvidenceError> {
        if self.qiao_evidence != 1 || self.following.len() > MOST_FOLLOWING {
            return Err(EvidenceError::Form);
        }
        let payload = bytes(&self.record).ok_or(EvidenceError::Unreadable("record"))?;
        let record = codec::decode(&payload).map_err(|_| EvidenceError::Unreadable("record"))?;
        self.lead_to_checkpoint(&payload)?;
        let (key, whose) = match public {
            Some(public) => (*public, "the key that was given"),
            None => {
                let own = self.checkpoint.own_key().ok_or(EvidenceError::Unreadable("public key"))?;
                (own, "its own key")
            }
        };
        if !self.checkpoint.is_signed_by(&key) {
            return Err(EvidenceError::Signature(whose));
        }
        if record.id != self.call || serde_json::to_value(&record).ok().as_ref() != Some(&self.shown) {
            return Err(EvidenceError::Shown);
        }
        Ok(record)
    }

    fn lead_to_checkpoint(&self, payload: &[u8]) -> Result<(), EvidenceError> {
        let (from, to) = self.checkpoint.heads().ok_or(EvidenceError::Unreadable("checkpoint"))?;
        let link = unhex(&self.previous_link).ok_or(EvidenceError::Unreadable("previous link"))?;
        let records = self.number.checked_sub(1).ok_or(EvidenceError::Unreadable("number"))?;
        let mut head = Head { records, link }.after(payload);
        for digest in &self.following {
            let digest = unhex(digest).ok_or(EvidenceError::Unreadable("following digests"))?;
            head = head.after_digest(&digest);
        }
        if head != to || self.log != self.checkpoint.log || from.records > records {
            return Err(EvidenceError::Chain);
        }
        Ok(())
    }
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() || text.len() > 2 * codec::MAX_PAYLOAD_BYTES {
        return None;
    }
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// The evidence of a call that is in the index of this data folder. A running node ships and signs within a second or two.
///
/// # Errors
/// Where the index cannot be read, or the call is not in it, or not yet under a checkpoint.
pub fn export(data: &Path, call: CallId) -> Result<Evidence, StoreError> {
    let (index, _) = super::places(data);
    schema::check(&index)?;
    let connection = schema::connect_reader(&index).map_err(sqlite::fault(&index))?;
    connection.execute_batch("BEGIN").map_err(sqlite::fault(&index))?;
    let missing = |what: &str| sqlite::unavailable(&index, &format!("call {call} {what}"));
    let found = read(&connection, call).map_err(sqlite::fault(&index))?;
    let Some((log, number, payload)) = found else {
        return Err(missing("is not in the index, or was put there without a log"));
    };
    let signed = signed_after(&connection, log, number).map_err(sqlite::fault(&index))?;
    let Some(checkpoint) = signed.and_then(|text| serde_json::from_str::<Checkpoint>(&text).ok()) else {
        return Err(missing(
            "is not under a checkpoint yet: a running node signs within a second, a node without a key never",
        ));
    };
    let record = codec::decode(&payload).map_err(|error| missing(&error.to_string()))?;
    let following = following(&connection, log, number, checkpoint.to).map_err(sqlite::fault(&index))?;
    Ok(Evidence {
        qiao_evidence: 1,
        call,
        log: checkpoint.log.clone(),
        number,
        previous_link: previous(&connection, log, number).map_err(sqlite::fault(&index))?,
        record: hex(&payload),
        following,
        checkpoint,
        time_stamp: None,
        shown: serde_json::to_value(&record).map_err(|error| missing(&error.to_string()))?,
    })
}

fn read(connection: &Connection, call: CallId) -> rusqlite::Result<Option<(i64, u64, Vec<u8>)>> {
    let sql = "SELECT log, seq, record FROM calls WHERE id = ?1 AND seq IS NOT NULL";
    let row = connection.query_row(sql, [call.as_bytes()], |row| {
        Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs(), row.get(2)?))
    });
    row.optional()
}

fn signed_after(connection: &Connection, log: i64, number: u64) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT signed FROM checkpoints WHERE log = ?1 AND upto >= ?2 ORDER BY upto LIMIT 1";
    connection.query_row(sql, params![log, number.cast_signed()], |row| row.get(0)).optional()
}

fn previous(connection: &Connection, log: i64, number: u64) -> rusqlite::Result<String> {
    if number == 1 {
        let id = connection.query_row("SELECT log FROM logs WHERE id = ?1", [log], |row| row.get(0))?;
        return Ok(hex(&Head::start(LogId(id)).link));
    }
    let sql = "SELECT link FROM chain WHERE log = ?1 AND seq = ?2";
    let before = (number - 1).cast_signed();
    connection.query_row(sql, params![log, before], |row| Ok(hex(&row.get::<_, chain::Digest>(0)?)))
}

/// The digests of the records behind the one shown, up to the checkpoint's last.
fn following(connection: &Connection, log: i64, number: u64, to: u64) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT calls.record FROM chain JOIN calls ON calls.id = chain.call
        WHERE chain.log = ?1 AND chain.seq > ?2 AND chain.seq <= ?3 ORDER BY chain.seq";
    let mut find = connection.prepare(sql)?;
    let rows = find.query_map(params![log, number.cast_signed(), to.cast_signed()], |row| {
        Ok(hex(&chain::digest(&row.get::<_, Vec<u8>>(0)?)))
    })?;
    rows.collect()
}
