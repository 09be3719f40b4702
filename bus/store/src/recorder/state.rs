//! What the recorder's handle and its two threads share.
use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{
            AtomicBool,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use qiao_core::{Clock, SystemClock};
use tokio::sync::watch;

use super::{
    RecorderConfig, RecorderCounters,
    commit::Pending,
    counters::{Counters, add},
    wake::{HURRY, STOP, WORK, Wake},
};
use crate::{
    chain::Head,
    log::{
        LogError, LogId, Position,
        segment::{self, HEADER_BYTES, Listed},
        writer::Writer,
    },
};

/// What is written and removed again to see whether the disk takes writes.
const PROBE_BYTES: usize = 64 << 10;

#[derive(Debug)]
pub struct State {
    pub config: RecorderConfig,
    pub folder: PathBuf,
    pub log: LogId,
    /// Segments earlier starts left.
    pub inherited: Vec<Listed>,
    /// The first file of this start.
    pub first: u64,
    pub pending: Mutex<Pending>,
    /// Held for a write(2), never over an await.
    pub writer: Mutex<Writer>,
    end: Mutex<Position>,
    pub shipped: watch::Sender<Position>,
    pub counters: Counters,
    /// The last write failed; cleared by a write or probe that succeeds.
    pub write_failing: AtomicBool,
    pub sync_failing: AtomicBool,
    /// The sync thread knows that there is something to sync.
    pub active: AtomicBool,
    /// Held while the chain is signed: one signature at a time, each from where the last ended.
    pub signing: Mutex<()>,
    pub sync_wake: Wake,
    /// The shipping thread has nothing to do and wants to be woken.
    pub ship_idle: AtomicBool,
    pub ship_wake: Wake,
    /// Until when shipping goes on after [`STOP`]; none ends it at once.
    pub ship_until: Mutex<Option<Instant>>,
    /// Keeps other processes out, until the last thread ends.
    lock: Mutex<Option<File>>,
}

impl State {
    pub fn open(config: RecorderConfig) -> Result<Arc<Self>, LogError> {
        let folder = config.folder.join("log");
        fs::create_dir_all(&folder).map_err(LogError::io("make the folder", &folder))?;
        // A new log folder must outlive a power cut too; its files are synced with the records in them.
        let synced = File::open(&config.folder).and_then(|folder| folder.sync_all());
        synced.map_err(LogError::io("sync", &config.folder))?;
        let lock = lock(&folder)?;
        let found = segment::recover(&folder)?;
        let writer = Writer::create(&folder, found.log, found.next, config.segment_bytes, found.heads)
            .map_err(LogError::io("start a segment in", &folder))?;
        let counters = Counters::default();
        let inherited: u64 = found.segments.iter().map(|listed| listed.bytes).sum();
        add(&counters.disk_bytes, inherited + HEADER_BYTES);
        add(&counters.unshipped_bytes, inherited.saturating_sub(HEADER_BYTES * found.segments.len() as u64));
        Ok(Arc::new(Self {
            config,
            folder,
            log: found.log,
            inherited: found.segments,
            first: found.next,
            pending: Mutex::default(),
            end: Mutex::new(writer.end()),
            writer: Mutex::new(writer),
            shipped: watch::Sender::new(Position::default()),
            counters,
            write_failing: AtomicBool::new(false),
            sync_failing: AtomicBool::new(false),
            active: AtomicBool::new(false),
            signing: Mutex::new(()),
            sync_wake: Wake::default(),
            ship_idle: AtomicBool::new(false),
            ship_wake: Wake::default(),
            ship_until: Mutex::new(None),
            lock: Mutex::new(Some(lock)),
        }))
    }

    /// Behind the last written record.
    pub fn end(&self) -> Position {
        *self.end.lock()
    }

    /// Moves the end and wakes the shipping thread where it rests. Called with the writer locked, so it never moves back.
    pub fn moved_on(&self, end: Position) {
        *self.end.lock() = end;
        if self.ship_idle.load(SeqCst) && self.ship_idle.swap(false, SeqCst) {
            self.ship_wake.raise(WORK);
        }
    }

    pub fn caught_up(&self) -> bool {
        *self.shipped.borrow() >= self.end()
    }

    /// Waits until the store has everything written so far.
    pub async fn flush(&self, wait: Duration) -> bool {
        self.commit();
        let goal = self.end();
        let mut shipped = self.shipped.subscribe();
        if *shipped.borrow_and_update() >= goal {
            return true;
        }
        self.ship_wake.raise(HURRY);
        let reached = tokio::time::timeout(wait, shipped.wait_for(|position| *position >= goal)).await;
        matches!(reached, Ok(Ok(_)))
    }

    /// Whether records wait for a checkpoint.
    pub fn unsigned(&self) -> bool {
        let heads = self.writer.lock().heads();
        self.config.checkpoints.is_some() && heads.signed.records < heads.written.records
    }

    /// Signs the chain as far as it goes, off the path of calls: the writer is not held while the signature is made. What
    /// cannot be signed now is under the next checkpoint.
    pub fn checkpoint(&self) {
        let _alone = self.signing.lock();
        let Some(key) = self.config.checkpoints.as_ref().filter(|_| self.unsigned()) else { return };
        let heads = self.writer.lock().heads();
        let written = key
            .sign(self.log, heads.signed, heads.written, SystemClock.now_us())
            .and_then(|signed| self.keep_checkpoint(&signed.payload(), heads.written));
        match written {
            Ok(()) => add(&self.counters.checkpoints, 1),
            Err(error) => {
                add(&self.counters.checkpoint_errors, 1);
                let failures = self.counters.checkpoint_errors.load(Relaxed);
                // A lasting failure must not flood the operator's log.
                if failures.is_power_of_two() {
                    tracing::error!(error, failures, "the call log's chain is not signed; it is tried again");
                }
            }
        }
    }

    fn keep_checkpoint(&self, payload: &[u8], signed: Head) -> Result<(), String> {
        let mut writer = self.writer.lock();
        let written = writer.checkpoint(payload, signed).map_err(|error| error.to_string())?;
        add(&self.counters.bytes, written.bytes);
        add(&self.counters.unshipped_bytes, written.bytes);
        add(&self.counters.disk_bytes, written.grown);
        self.moved_on(written.end);
        Ok(())
    }

    /// Takes no more records and stops the threads, one after the other.
    pub fn begin_close(&self, ship_until: Option<Instant>) {
        self.pending.lock().close();
        *self.ship_until.lock() = ship_until;
        self.sync_wake.raise(STOP);
    }

    /// The last thread is done with the folder.
    pub fn release(&self) {
        *self.lock.lock() = None;
    }

    pub fn counters(&self) -> RecorderCounters {
        self.counters.snapshot()
    }

    /// Writes, syncs and removes a small file: whether the disk takes writes again.
    pub fn probe(&self) -> io::Result<()> {
        let place = self.folder.join("probe");
        let written = File::create(&place).and_then(|mut file| {
            file.write_all(&[0; PROBE_BYTES])?;
            file.sync_data()
        });
        written.and(fs::remove_file(&place))
    }
}

fn lock(folder: &Path) -> Result<File, LogError> {
    let place = folder.join("lock");
    let options = File::options().create(true).truncate(false).write(true).open(&place);
    let file = options.map_err(LogError::io("open", &place))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LogError::InUse { place: folder.display().to_string() }),
        Err(TryLockError::Error(error)) => Err(LogError::io("lock", &place)(error)),
    }
}
