//! What the recorder counts for metrics and alarms.
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// A snapshot; counters since this start unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecorderCounters {
    /// Records written to the log.
    pub appended: u64,
    /// Records that were not: over budget, disk failure, closed.
    pub lost: u64,
    /// Records kept without their last spans, which passed the size bound.
    pub truncated: u64,
    /// Bytes of records written, frames included.
    pub bytes: u64,
    /// write(2) calls for records: far below `appended` under concurrency.
    pub writes: u64,
    pub write_errors: u64,
    pub syncs: u64,
    pub sync_errors: u64,
    /// Unix time of the last sync, microseconds; 0 before the first.
    pub last_sync_us: i64,
    /// Records handed to the store, those of earlier starts included.
    pub shipped: u64,
    pub ship_errors: u64,
    /// Records of this start that the store has not.
    pub unshipped_records: u64,
    /// Bytes of the log that the store has not, those of earlier starts included.
    pub unshipped_bytes: u64,
    /// Size of all segment files now.
    pub disk_bytes: u64,
    /// Damaged stretches met.
    pub damaged: u64,
    /// Valid records that this version cannot read.
    pub unreadable: u64,
    /// Signed checkpoints written.
    pub checkpoints: u64,
    /// Checkpoints that could not be signed or written, for instance while the vault is sealed; each is tried again.
    pub checkpoint_errors: u64,
}

/// The live counters.
#[derive(Debug, Default)]
pub struct Counters {
    pub appended: AtomicU64,
    pub lost: AtomicU64,
    pub truncated: AtomicU64,
    pub bytes: AtomicU64,
    pub writes: AtomicU64,
    pub write_errors: AtomicU64,
    pub syncs: AtomicU64,
    pub sync_errors: AtomicU64,
    pub last_sync_us: AtomicI64,
    pub shipped: AtomicU64,
    pub shipped_of_this_start: AtomicU64,
    pub ship_errors: AtomicU64,
    pub unshipped_bytes: AtomicU64,
    pub disk_bytes: AtomicU64,
    pub damaged: AtomicU64,
    pub unreadable: AtomicU64,
    pub checkpoints: AtomicU64,
    pub checkpoint_errors: AtomicU64,
}

impl Counters {
    pub fn snapshot(&self) -> RecorderCounters {
        // Read before `appended`, so that the difference is never negative by a race.
        let shipped_of_this_start = self.shipped_of_this_start.load(Relaxed);
        let appended = self.appended.load(Relaxed);
        RecorderCounters {
            appended,
            lost: self.lost.load(Relaxed),
            truncated: self.truncated.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            writes: self.writes.load(Relaxed),
            write_errors: self.write_errors.load(Relaxed),
            syncs: self.syncs.load(Relaxed),
            sync_errors: self.sync_errors.load(Relaxed),
            last_sync_us: self.last_sync_us.load(Relaxed),
            shipped: self.shipped.load(Relaxed),
            ship_errors: self.ship_errors.load(Relaxed),
            unshipped_records: appended.saturating_sub(shipped_of_this_start),
            unshipped_bytes: self.unshipped_bytes.load(Relaxed),
            disk_bytes: self.disk_bytes.load(Relaxed),
            damaged: self.damaged.load(Relaxed),
            unreadable: self.unreadable.load(Relaxed),
            checkpoints: self.checkpoints.load(Relaxed),
            checkpoint_errors: self.checkpoint_errors.load(Relaxed),
        }
    }
}

/// Adds; all counters are independent of each other and order nothing.
pub fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Relaxed);
}

/// Takes off, never below zero.
pub fn take(counter: &AtomicU64, amount: u64) {
    counter.update(Relaxed, Relaxed, |value| value.saturating_sub(amount));
}
