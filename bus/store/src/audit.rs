//! Walks the chain of every record a node keeps, in the index and in the log behind it, and names the first that is not as it was
//! written. For auditors: works beside a running node and on a folder that was copied away.
mod evidence;
mod walk;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use qiao_core::{CallId, StoreError};
use serde::Serialize;

pub use evidence::{Evidence, EvidenceError, EvidenceStamp, export};

use crate::{Checkpoint, sqlite};

/// What of one log was walked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WalkedLog {
    /// 32 hex digits.
    pub log: String,
    pub records: u64,
    pub checkpoints: u64,
    /// Records behind the last checkpoint: they hang together, and nothing is signed of them yet.
    pub unsigned: u64,
    /// Unix time of the last checkpoint, microseconds; none without one.
    pub signed_us: Option<i64>,
    /// The last link in hex. Whoever writes it down elsewhere sees later whether the end of the log was cut off.
    pub head: String,
}

/// The first thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    pub log: String,
    /// Number of the record in its log, from 1.
    pub record: Option<u64>,
    pub call: Option<CallId>,
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(record) = self.record {
            write!(f, "record {record} ")?;
        }
        if let Some(call) = self.call {
            write!(f, "(call {call}) ")?;
        }
        write!(f, "of log {}: {}", self.log, self.what)
    }
}

/// What an audit came to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Audit {
    pub logs: Vec<WalkedLog>,
    /// Every key that signed a checkpoint: reference and public half in hex.
    pub keys: Vec<(String, String)>,
    pub finding: Option<Finding>,
}

/// Whether a checkpoint's key is one to be trusted; says why not.
pub type Trust<'a> = &'a dyn Fn(&Checkpoint) -> Result<(), String>;

/// How often an audit begins again because the running node shipped and deleted a part of the log meanwhile.
const MOST_ATTEMPTS: usize = 20;

/// Walks everything in a node's data folder. Blocks; reads each record once. With `contains`, a link in hex that an earlier audit
/// ended with, the chain must still pass it: a log whose end was cut off, or that was made anew, hangs together without it.
///
/// # Errors
/// Where index or log cannot be read at all. What they hold that they should not is a [`Finding`].
pub fn verify(data: &Path, contains: Option<&str>, trust: Trust<'_>) -> Result<Audit, StoreError> {
    let (index, log) = places(data);
    let mut before = None;
    for _ in 0..MOST_ATTEMPTS {
        let Some(audit) = walk::everything(&index, &log, contains, trust)? else { continue };
        // A running node moves records from the log to the index under the walk: what is wrong is wrong twice.
        if audit.finding.is_none() || audit.finding == before {
            return Ok(audit);
        }
        before = audit.finding;
    }
    Err(sqlite::unavailable(&log, "the node ships its log faster than it can be walked: try again"))
}

/// Index and log below a data folder.
fn places(data: &Path) -> (PathBuf, PathBuf) {
    (data.join("calls.db"), data.join("log"))
}

#[cfg(test)]
mod tests;
