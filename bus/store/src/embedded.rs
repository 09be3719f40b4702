//! The whole embedded storage of call records in one step: SQLite index and segment log in one data folder.
use std::{path::PathBuf, sync::Arc, time::Duration};

use qiao_core::StoreError;

use crate::{CloseReport, LogError, RecorderConfig, SegmentRecorder, SqliteStore};

/// Where and how.
#[derive(Clone, Debug)]
pub struct EmbeddedConfig {
    pub recorder: RecorderConfig,
    /// The SQLite file. `qiao trace` beside a running bus finds the log in the file's folder, under `log`.
    pub database: PathBuf,
}

impl EmbeddedConfig {
    /// Log and database in one data folder: `log/` and `calls.db`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let recorder = RecorderConfig::new(folder);
        let database = recorder.folder.join("calls.db");
        Self { recorder, database }
    }
}

/// Why the storage cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Recorder and store that belong together.
pub struct Embedded {
    pub recorder: Arc<SegmentRecorder>,
    pub store: Arc<SqliteStore>,
}

impl Embedded {
    /// Takes no more records, ships everything and syncs; see [`SegmentRecorder::close`].
    pub async fn close(&self, deadline: Duration) -> CloseReport {
        self.recorder.close(deadline).await
    }
}

/// Opens both and ties them together. Blocks for milliseconds; after a crash for as long as one segment takes to read.
pub fn open_embedded(config: EmbeddedConfig) -> Result<Embedded, OpenError> {
    let store = SqliteStore::open(config.database)?;
    let recorder = SegmentRecorder::open(config.recorder, store.ship_target())?;
    store.follow(&recorder);
    Ok(Embedded { recorder, store })
}
