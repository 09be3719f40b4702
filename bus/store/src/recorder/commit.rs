//! Group commit: the records of one scheduler tick share one write(2).
//!
//! A record is encoded into the pending buffer under a short lock. The first one of a batch leads it: it yields once,
//! so that the other tasks of this tick join, then writes the buffer inline and wakes the others. Inline, not on a
//! blocking thread: copying some kilobytes into the page cache takes less than handing them over and back.
//!
//! Nothing depends on a leader being polled: dropped, it writes at once; forgotten, the sync thread writes within
//! 50 ms. Where a write is under way, its thread takes the next batch along.
use std::sync::{
    Arc,
    atomic::{
        AtomicU8,
        Ordering::{Acquire, Relaxed, Release, SeqCst},
    },
};

use parking_lot::MutexGuard;
use qiao_core::{CallRecord, Recorded};
use tokio::sync::Notify;

use super::{
    State, SyncPolicy,
    counters::add,
    turn,
    wake::{HURRY, SIGN, WORK},
};
use crate::{
    body,
    chain::MOST_UNSIGNED,
    codec::{self, Encoded},
    log::{frame, writer::Writer},
};

/// Batches one caller writes for others before it hands over to the sync thread.
const MAX_ROUNDS: usize = 16;

/// Capacity a buffer keeps between batches.
const BUFFER_BYTES: usize = 1 << 20;

/// Where `strict` calls are refused lies this much below the budget (at most a sixteenth of it), so that calls already admitted fit.
const MAX_RESERVE_BYTES: u64 = 64 << 20;

/// Records that are written together.
#[derive(Debug, Default)]
pub struct Batch {
    /// 0 open, 1 kept, 2 lost.
    outcome: AtomicU8,
    done: Notify,
}

impl Batch {
    fn outcome(&self) -> Option<Recorded> {
        match self.outcome.load(Acquire) {
            0 => None,
            1 => Some(Recorded::Kept),
            _ => Some(Recorded::Lost),
        }
    }

    fn finish(&self, outcome: Recorded) {
        self.outcome.store(if outcome == Recorded::Kept { 1 } else { 2 }, Release);
        self.done.notify_waiters();
    }
}

/// What waits to be written.
#[derive(Debug, Default)]
pub struct Pending {
    frames: Vec<u8>,
    records: u64,
    batch: Arc<Batch>,
    /// Someone wants this batch written now; whoever holds the writer takes it along.
    wanted: bool,
    /// A waiting record leads this batch; detached ones do not.
    led: bool,
    closed: bool,
    spare: Vec<u8>,
}

#[derive(Debug)]
struct Taken {
    frames: Vec<u8>,
    records: u64,
    batch: Arc<Batch>,
}

/// Why a record was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    Closed,
    TooLarge,
    Stalled,
    OverBudget,
}

impl Pending {
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Encodes the record behind those that wait; true where spans had to be left out.
    fn append(&mut self, record: &CallRecord, disk_room: u64, max_pending: usize) -> Result<bool, Loss> {
        if self.closed {
            return Err(Loss::Closed);
        }
        let at = frame::begin(&mut self.frames);
        let encoded = codec::encode(record, &mut self.frames);
        frame::set_length(&mut self.frames, at);
        for payload in body::payloads(record) {
            let at = frame::begin(&mut self.frames);
            body::push(&mut self.frames, record.id, payload);
            frame::set_length(&mut self.frames, at);
        }
        let loss = if encoded == Encoded::TooLarge {
            Some(Loss::TooLarge)
        } else if self.frames.len() > max_pending {
            Some(Loss::Stalled)
        } else {
            (self.frames.len() as u64 > disk_room).then_some(Loss::OverBudget)
        };
        if let Some(loss) = loss {
            self.frames.truncate(at);
            return Err(loss);
        }
        self.records += 1;
        Ok(encoded != Encoded::Whole)
    }

    fn take(&mut self) -> Option<Taken> {
        self.wanted = false;
        self.led = false;
        if self.frames.is_empty() {
            return None;
        }
        let frames = std::mem::replace(&mut self.frames, std::mem::take(&mut self.spare));
        Some(Taken {
            frames,
            records: std::mem::take(&mut self.records),
            batch: std::mem::take(&mut self.batch),
        })
    }

    fn give_back(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        buffer.shrink_to(BUFFER_BYTES);
        self.spare = buffer;
    }
}

/// A record handed in; resolves with its batch, when the disk has answered. There is no deadline of its own, since a
/// write cannot be called back: who must go on sooner drops the future, and the record is written all the same.
#[derive(Debug)]
pub struct Ticket<'a> {
    state: &'a State,
    batch: Arc<Batch>,
    leads: bool,
}

impl Ticket<'_> {
    pub async fn kept(mut self) -> Recorded {
        if self.leads {
            turn::over().await;
            self.lead();
        }
        // Made before the check: a batch finished in between is not missed.
        let done = self.batch.done.notified();
        if let Some(outcome) = self.batch.outcome() {
            return outcome;
        }
        done.await;
        self.batch.outcome().unwrap_or(Recorded::Lost)
    }

    /// Writes the batch, unless somebody took it meanwhile.
    fn lead(&mut self) {
        self.leads = false;
        if Arc::ptr_eq(&self.state.pending.lock().batch, &self.batch) {
            self.state.commit();
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if self.leads {
            self.lead();
        }
    }
}

/// Hands a record in. None where it is lost. With `waits` the ticket leads its batch if no other does.
pub fn enqueue<'a>(state: &'a State, record: &CallRecord, waits: bool) -> Option<Ticket<'a>> {
    let room = state.config.budget_bytes.saturating_sub(state.counters.disk_bytes.load(Relaxed));
    let mut pending = state.pending.lock();
    let appended = pending.append(record, room, state.config.max_pending_bytes);
    let batch = Arc::clone(&pending.batch);
    let may_lead = waits && appended.is_ok() && state.config.sync == SyncPolicy::Interval;
    let leads = may_lead && !pending.led;
    pending.led |= may_lead;
    drop(pending);
    match appended {
        Ok(true) => add(&state.counters.truncated, 1),
        Ok(false) => {}
        Err(loss) => {
            state.lose(1, loss);
            return None;
        }
    }
    if !state.active.load(SeqCst) && !state.active.swap(true, SeqCst) {
        state.sync_wake.raise(WORK);
    }
    Some(Ticket { state, batch, leads })
}

impl State {
    /// Why a `strict` call cannot be recorded now, or none.
    pub fn obstacle(&self) -> Option<&'static str> {
        let reserve = MAX_RESERVE_BYTES.min(self.config.budget_bytes / 16);
        if self.write_failing.load(Relaxed) || self.sync_failing.load(Relaxed) {
            return Some("the call log cannot be written: check space and health of the data folder's disk");
        }
        if self.counters.disk_bytes.load(Relaxed) >= self.config.budget_bytes - reserve {
            return Some("the call log nears its disk budget: bring the store back, or raise budget_bytes");
        }
        None
    }

    /// Writes what is pending, or leaves it to the thread that is writing. With [`SyncPolicy::Each`] the sync thread does it.
    pub fn commit(&self) {
        match self.config.sync {
            SyncPolicy::Interval => self.drain(|| self.writer.try_lock()),
            SyncPolicy::Each => self.sync_wake.raise(WORK),
        }
    }

    /// Writes what is pending and returns when no write is under way. For threads that may block.
    pub fn commit_waiting(&self) {
        self.drain(|| Some(self.writer.lock()));
    }

    fn drain<'a>(&'a self, lock: impl Fn() -> Option<MutexGuard<'a, Writer>>) {
        self.pending.lock().wanted = true;
        for _ in 0..MAX_ROUNDS {
            // Whoever holds the lock looks at `wanted` after letting go of it.
            let Some(writer) = lock() else { return };
            if let Some((batch, outcome)) = self.write_pending(writer) {
                batch.finish(outcome);
            }
            if !self.pending.lock().wanted {
                return;
            }
        }
        self.sync_wake.raise(HURRY);
    }

    /// One write(2). The batch is not told yet.
    pub fn write_pending(&self, mut writer: MutexGuard<'_, Writer>) -> Option<(FinishBatch, Recorded)> {
        let Taken { frames, records, batch } = self.pending.lock().take()?;
        add(&self.counters.writes, 1);
        let outcome = match writer.append(&frames) {
            Ok(written) => {
                add(&self.counters.appended, records);
                add(&self.counters.bytes, written.bytes);
                add(&self.counters.unshipped_bytes, written.bytes);
                add(&self.counters.disk_bytes, written.grown);
                self.moved_on(written.end);
                if written.rotated {
                    self.sync_wake.raise(HURRY);
                }
                let heads = writer.heads();
                let unsigned = heads.written.records.saturating_sub(heads.signed.records);
                if unsigned >= MOST_UNSIGNED && self.config.checkpoints.is_some() {
                    self.sync_wake.raise(SIGN);
                }
                self.write_works();
                Recorded::Kept
            }
            Err(error) => {
                add(&self.counters.write_errors, 1);
                add(&self.counters.lost, records);
                if !self.write_failing.swap(true, SeqCst) {
                    tracing::error!(%error, records, "the call log cannot be written; records are lost and strict calls refused");
                    self.sync_wake.raise(WORK);
                }
                Recorded::Lost
            }
        };
        drop(writer);
        self.pending.lock().give_back(frames);
        Some((FinishBatch(batch), outcome))
    }

    pub fn write_works(&self) {
        if self.write_failing.load(Relaxed) && self.write_failing.swap(false, SeqCst) {
            tracing::info!("the call log can be written again");
        }
    }

    fn lose(&self, records: u64, loss: Loss) {
        add(&self.counters.lost, records);
        let lost = self.counters.lost.load(Relaxed);
        // A lasting outage must not flood the operator's log.
        if lost.is_power_of_two() {
            tracing::error!(reason = ?loss, lost, "a call record was lost");
        }
    }
}

/// A written batch whose records wait to be told.
#[derive(Debug)]
pub struct FinishBatch(Arc<Batch>);

impl FinishBatch {
    pub fn finish(self, outcome: Recorded) {
        self.0.finish(outcome);
    }
}

#[cfg(test)]
mod tests {
    use qiao_core::CallId;

    use super::*;
    use crate::testing::sample;

    #[test]
    fn what_waits_for_the_disk_is_bounded_and_a_refused_record_leaves_no_bytes() {
        let record = sample(CallId::generate());
        let mut pending = Pending::default();
        assert_eq!(pending.append(&record, u64::MAX, 1 << 20), Ok(false));
        let one = pending.frames.clone();
        assert_eq!(pending.append(&record, u64::MAX, 2 * one.len() - 1), Err(Loss::Stalled));
        assert_eq!(pending.append(&record, 2 * one.len() as u64 - 1, 1 << 20), Err(Loss::OverBudget));
        assert_eq!((&pending.frames, pending.records), (&one, 1));
        assert_eq!(pending.append(&record, 2 * one.len() as u64, 2 * one.len()), Ok(false));
        pending.close();
        assert_eq!(pending.append(&record, u64::MAX, 1 << 20), Err(Loss::Closed));
        let taken = pending.take().expect("two records wait");
        assert_eq!((taken.records, taken.frames.len()), (2, 2 * one.len()));
        assert!(pending.take().is_none());
    }

    #[test]
    fn a_record_that_is_too_large_is_lost_alone() {
        let mut record = sample(CallId::generate());
        let mut pending = Pending::default();
        assert_eq!(pending.append(&record, u64::MAX, 8 << 20), Ok(false));
        record.interface = "x".repeat(codec::MAX_PAYLOAD_BYTES).into();
        assert_eq!(pending.append(&record, u64::MAX, 8 << 20), Err(Loss::TooLarge));
        assert_eq!(pending.records, 1);
    }
}
