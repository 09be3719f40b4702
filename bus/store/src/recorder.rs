//! The recorder: takes one record per call into the segment log by group commit, and ships the log to a store behind it.
mod background;
mod commit;
mod counters;
mod shipper;
mod state;
mod turn;
mod wake;

use std::{
    path::PathBuf,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use qiao_core::{
    BoxFuture, CallRecord, Fault, RecordPolicy, Recorded, Recorder, fault_codes::RECORD_UNAVAILABLE,
};
use serde::{Deserialize, Serialize};

pub use counters::RecorderCounters;
pub(crate) use state::State;

use crate::{CheckpointKey, LogError, ShipTarget};

/// When written records are forced to the disk. A killed process loses nothing either way; a power cut may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SyncPolicy {
    /// Every `sync_every`: a power cut loses at most that much.
    #[default]
    Interval,
    /// Before a record counts as kept. Each call waits for the disk, together with those that came meanwhile.
    Each,
}

/// How records are kept on this node.
#[derive(Clone, Debug)]
pub struct RecorderConfig {
    /// The data folder; the log is its subfolder `log`.
    pub folder: PathBuf,
    /// Size at which a new segment file is started; 4 KiB to 1 GiB, 64 MiB unless told.
    pub segment_bytes: u64,
    /// Disk space the log may take while the store is down; 4 GiB unless told. Must hold three segments plus those kept.
    pub budget_bytes: u64,
    pub sync: SyncPolicy,
    /// Longest time between a write and its sync; 10 ms to 60 s, 1 s unless told.
    pub sync_every: Duration,
    /// Segments kept although the store has them; none unless told.
    pub keep_shipped_segments: u32,
    /// Bytes that may wait for one write while the disk stalls; 64 KiB to 1 GiB, 8 MiB unless told.
    pub max_pending_bytes: usize,
    /// Signs the chain of records with every sync, every 1024 records and at the end; none leaves the chain unsigned.
    pub checkpoints: Option<CheckpointKey>,
}

impl RecorderConfig {
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            segment_bytes: 64 << 20,
            budget_bytes: 4 << 30,
            sync: SyncPolicy::Interval,
            sync_every: Duration::from_secs(1),
            keep_shipped_segments: 0,
            max_pending_bytes: 8 << 20,
            checkpoints: None,
        }
    }

    fn check(&self) -> Result<(), LogError> {
        let refuse = |key, value: String, rule| Err(LogError::Setting { key, value, rule });
        if !(4 << 10..=1 << 30).contains(&self.segment_bytes) {
            return refuse(
                "segment_bytes",
                self.segment_bytes.to_string(),
                "must lie between 4 KiB and 1 GiB",
            );
        }
        if self.budget_bytes / self.segment_bytes < 3 + u64::from(self.keep_shipped_segments) {
            let rule = "must hold at least three segments plus keep_shipped_segments";
            return refuse("budget_bytes", self.budget_bytes.to_string(), rule);
        }
        if !(Duration::from_millis(10)..=Duration::from_secs(60)).contains(&self.sync_every) {
            return refuse("sync_every", format!("{:?}", self.sync_every), "must lie between 10 ms and 60 s");
        }
        if !(64 << 10..=1 << 30).contains(&self.max_pending_bytes) {
            let rule = "must lie between 64 KiB and 1 GiB";
            return refuse("max_pending_bytes", self.max_pending_bytes.to_string(), rule);
        }
        Ok(())
    }
}

/// How a close ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseReport {
    /// Whether the store has everything. What it has not stays in the log and is shipped after the next start.
    pub shipped_all: bool,
    pub unshipped_bytes: u64,
}

/// The [`Recorder`] of a bus node. One process per data folder.
pub struct SegmentRecorder {
    state: Arc<State>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl SegmentRecorder {
    /// Opens the log, cutting off what a crash left half written, and starts the sync and the shipping thread. Does
    /// not need the store to be up.
    ///
    /// # Errors
    /// A setting out of bounds, a log in use by another process or of a newer version, or a folder that cannot be used.
    pub fn open(config: RecorderConfig, target: Box<dyn ShipTarget>) -> Result<Arc<Self>, LogError> {
        config.check()?;
        let folder = config.folder.clone();
        let state = State::open(config)?;
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            thread::Builder::new()
                .name(name.to_owned())
                .spawn(run)
                .map_err(LogError::io("start a thread for", &folder))
        };
        let recorder = Arc::new(Self { state: Arc::clone(&state), threads: Mutex::default() });
        let for_sync = Arc::clone(&state);
        recorder.threads.lock().push(spawn("qiao-log-sync", Box::new(move || background::run(&for_sync)))?);
        recorder.threads.lock().push(spawn("qiao-log-ship", Box::new(move || shipper::run(state, target)))?);
        Ok(recorder)
    }

    /// What reads of the unshipped tail look at.
    pub(crate) fn shared(&self) -> Arc<State> {
        Arc::clone(&self.state)
    }

    /// A snapshot for metrics.
    pub fn counters(&self) -> RecorderCounters {
        self.state.counters()
    }

    /// Waits until the store has everything that was answered so far; false where that took longer than `wait`.
    pub async fn flush(&self, wait: Duration) -> bool {
        self.state.flush(wait).await
    }

    /// Takes no more records, writes and syncs those handed in, ships everything, and ends both threads.
    /// Records handed in afterwards are lost and counted.
    pub async fn close(&self, deadline: Duration) -> CloseReport {
        let until = Instant::now() + deadline;
        self.state.begin_close(Some(until));
        let threads = std::mem::take(&mut *self.threads.lock());
        let joined = tokio::task::spawn_blocking(move || join(threads));
        // The shipping thread keeps the deadline itself; one batch more than that is the store's own timeout.
        if tokio::time::timeout(deadline + Duration::from_secs(5), joined).await.is_err() {
            tracing::error!(
                "the log threads did not end in time; the process may end all the same, the log is written"
            );
        }
        let shipped_all = self.state.caught_up();
        let unshipped_bytes = if shipped_all { 0 } else { self.state.counters().unshipped_bytes };
        CloseReport { shipped_all, unshipped_bytes }
    }
}

impl Drop for SegmentRecorder {
    /// Without a close: writes and syncs what was handed in and ends the threads without shipping the rest.
    fn drop(&mut self) {
        self.state.begin_close(None);
        join(std::mem::take(self.threads.get_mut()));
    }
}

fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        if thread.join().is_err() {
            tracing::error!("a log thread had panicked");
        }
    }
}

impl Recorder for SegmentRecorder {
    fn admit(&self, policy: RecordPolicy) -> Result<(), Fault> {
        if policy == RecordPolicy::Standard {
            return Ok(());
        }
        match self.state.obstacle() {
            None => Ok(()),
            Some(obstacle) => Err(Fault::new(&RECORD_UNAVAILABLE, obstacle)),
        }
    }

    fn record(&self, record: CallRecord) -> BoxFuture<'_, Recorded> {
        let ticket = commit::enqueue(&self.state, &record, true);
        Box::pin(async move {
            match ticket {
                Some(ticket) => ticket.kept().await,
                None => Recorded::Lost,
            }
        })
    }

    fn record_detached(&self, record: CallRecord) {
        drop(commit::enqueue(&self.state, &record, false));
    }
}

#[cfg(test)]
mod tests;
