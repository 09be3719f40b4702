//! The segment log: append-only, checksummed files that hold every record until the store has it durably.
//!
//! A file is `log/NNNNNNNNNNNNNNNNNNNN.seg`: a 120-byte header, then frames (length u32, CRC-32 u32, payload; little
//! endian): records, each with its place in the chain, and the chain's signed checkpoints. Every open starts a new file, numbered above all before it, so a position once shipped never names later bytes.
pub(crate) mod frame;
pub(crate) mod reader;
pub(crate) mod segment;
pub(crate) mod writer;

use std::{fmt, io, path::Path};

/// Names one log for ever, so that a store which ships several (or a log that was replaced) keeps their positions apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogId(pub [u8; 16]);

impl LogId {
    pub(crate) fn generate() -> Self {
        Self(*uuid::Uuid::new_v4().as_bytes())
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A place between two frames: file number and byte offset in that file. The default lies before everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub segment: u64,
    pub offset: u64,
}

impl Position {
    /// Where the first frame of a file begins.
    pub(crate) fn start_of(segment: u64) -> Self {
        Self { segment, offset: segment::HEADER_BYTES }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.segment, self.offset)
    }
}

/// Why the log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("cannot {action} {place}: {source}")]
    Io { action: &'static str, place: String, source: io::Error },
    #[error("the log at {place} is in use by another process: stop it, or give this one another data folder")]
    InUse { place: String },
    #[error(
        "{place} has log format {found}, this version reads {known}: run the version that wrote it until its records are shipped"
    )]
    Format { place: String, found: u32, known: u32 },
    #[error("{key} is {value}: {rule}")]
    Setting { key: &'static str, value: String, rule: &'static str },
}

impl LogError {
    pub(crate) fn io(action: &'static str, place: &Path) -> impl FnOnce(io::Error) -> Self {
        let place = place.display().to_string();
        move |source| Self::Io { action, place, source }
    }
}
