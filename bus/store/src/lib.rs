//! Keeps call records and, where settings say so, the vault's sealed keys: a local, checksummed segment log first, and the SQLite index shipped to behind it.
//!
//! A record is *kept* once its bytes were written to the log file; a killed process does not lose it. The index is
//! filled from the log by one thread and may lag or be down; the log is the truth until the index has it durably.
pub mod audit;
pub mod body;
pub mod chain;
pub mod codec;
pub mod embedded;
pub mod keys;
pub mod log;
pub mod recorder;
pub mod ship;
pub mod sqlite;

#[cfg(test)]
mod testing;

pub use chain::{Checkpoint, CheckpointKey};
pub use embedded::{Embedded, EmbeddedConfig, OpenError, open_embedded};
pub use keys::SqliteKeyStorage;
pub use log::{LogError, LogId, Position};
pub use recorder::{CloseReport, RecorderConfig, RecorderCounters, SegmentRecorder, SyncPolicy};
pub use ship::{ShipReport, ShipTarget};
pub use sqlite::{SqliteStore, bodies::BodyRows};
