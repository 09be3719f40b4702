//! The shipping thread: reads the log behind its writers, stores it in batches, and deletes what the store has.
use std::{
    collections::BTreeSet,
    fs, io,
    sync::{
        Arc,
        atomic::Ordering::{Relaxed, SeqCst},
    },
    time::{Duration, Instant},
};

use qiao_core::StoreError;

use super::{
    State,
    counters::{add, take},
    wake::{HURRY, STOP, WORK},
};
use crate::{
    ShipTarget,
    log::{
        Position,
        reader::{Batch, Reader},
        segment::{self, HEADER_BYTES},
    },
};

/// Most records in one transaction.
pub const MAX_BATCH: usize = 500;
/// How long records gather before they are shipped.
const LINGER: Duration = Duration::from_millis(100);
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(5);
/// Longest rest; a safety net, since whoever writes wakes a resting thread.
const REST: Duration = Duration::from_secs(60);

#[derive(Debug, thiserror::Error)]
enum ShipError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the log cannot be read: {0}")]
    Log(#[from] io::Error),
}

struct Shipper {
    state: Arc<State>,
    target: Box<dyn ShipTarget>,
    reader: Reader,
    position: Option<Position>,
    /// Segments that held damage: set aside instead of deleted.
    suspect: BTreeSet<u64>,
    failures: u32,
}

pub fn run(state: Arc<State>, target: Box<dyn ShipTarget>) {
    let reader = Reader::new(&state.folder);
    let mut shipper =
        Shipper { state, target, reader, position: None, suspect: BTreeSet::new(), failures: 0 };
    while !shipper.out_of_time() {
        match shipper.step() {
            Ok(more) => {
                shipper.failures = 0;
                if !more && shipper.rest() {
                    break;
                }
            }
            Err(error) => shipper.back_off(&error),
        }
    }
    // The sync thread ended before this one was told to.
    shipper.state.release();
}

impl Shipper {
    /// Ships one batch; true where more is there.
    fn step(&mut self) -> Result<bool, ShipError> {
        let position = self.position()?;
        let end = self.state.end();
        if position >= end {
            return Ok(false);
        }
        let batch = self.reader.read(position, end, MAX_BATCH)?;
        let leaves_file = batch.next.segment > position.segment;
        let report = self.target.ship(self.state.log, &batch.payloads(), batch.next, leaves_file)?;
        self.position = Some(batch.next);
        self.count(&batch, report.unreadable);
        if leaves_file {
            self.delete_shipped(batch.next);
        }
        self.state.shipped.send_replace(batch.next);
        Ok(batch.next < end)
    }

    /// Where the store stands, asked once.
    fn position(&mut self) -> Result<Position, ShipError> {
        if let Some(position) = self.position {
            return Ok(position);
        }
        let mut position = self.target.position(self.state.log)?;
        if position.segment > self.state.end().segment {
            tracing::error!(%position, "the store stands behind the end of the log, which was put back: shipping it all again");
            position = Position::default();
        }
        for listed in &self.state.inherited {
            let shipped = match listed.number.cmp(&position.segment) {
                std::cmp::Ordering::Less => listed.bytes,
                std::cmp::Ordering::Equal => listed.bytes.min(position.offset),
                std::cmp::Ordering::Greater => 0,
            };
            take(&self.state.counters.unshipped_bytes, shipped.saturating_sub(HEADER_BYTES));
        }
        self.delete_shipped(position);
        self.position = Some(position);
        self.state.shipped.send_replace(position);
        Ok(position)
    }

    fn count(&mut self, batch: &Batch, unreadable: u64) {
        let counters = &self.state.counters;
        let records = batch.records();
        add(&counters.shipped, records);
        if batch.from.segment >= self.state.first {
            add(&counters.shipped_of_this_start, records);
        }
        take(&counters.unshipped_bytes, batch.consumed);
        add(&counters.damaged, batch.damaged);
        add(&counters.unreadable, unreadable);
        if batch.damaged + unreadable > 0 {
            self.suspect.insert(batch.from.segment);
        }
    }

    /// Deletes files that lie wholly before `position`, except those to keep. The store has them durably. What cannot
    /// be deleted now is tried again with the next file.
    fn delete_shipped(&mut self, position: Position) {
        let keep_from = position.segment.saturating_sub(u64::from(self.state.config.keep_shipped_segments));
        if let Err(error) = self.delete_before(keep_from) {
            tracing::error!(%error, "shipped log segments cannot be deleted");
        }
    }

    fn delete_before(&mut self, number: u64) -> io::Result<()> {
        for listed in
            segment::list(&self.state.folder)?.into_iter().take_while(|listed| listed.number < number)
        {
            if self.suspect.contains(&listed.number) {
                segment::set_aside(&self.state.folder, listed.number)?;
            } else {
                fs::remove_file(segment::path(&self.state.folder, listed.number))?;
            }
            self.suspect.remove(&listed.number);
            take(&self.state.counters.disk_bytes, listed.bytes);
        }
        Ok(())
    }

    /// Waits for work and lets it gather. True where the thread is to end.
    fn rest(&self) -> bool {
        let state = &self.state;
        let behind = || self.position.is_none_or(|position| position < state.end());
        if state.ship_wake.stopped() {
            return !behind();
        }
        state.ship_idle.store(true, SeqCst);
        let seen = if behind() { WORK } else { state.ship_wake.wait(STOP | WORK | HURRY, REST) };
        state.ship_idle.store(false, SeqCst);
        if seen & (STOP | HURRY) == 0 {
            state.ship_wake.wait(STOP | HURRY, LINGER);
        }
        false
    }

    fn back_off(&mut self, error: &ShipError) {
        add(&self.state.counters.ship_errors, 1);
        self.failures = self.failures.saturating_add(1);
        if self.failures.is_power_of_two() {
            let unshipped = self.state.counters.unshipped_bytes.load(Relaxed);
            tracing::warn!(%error, failures = self.failures, unshipped, "call records cannot be shipped; calls go on");
        }
        let backoff = FIRST_BACKOFF.saturating_mul(1 << (self.failures - 1).min(8)).min(MAX_BACKOFF);
        if self.state.ship_wake.stopped() {
            // Stopping does not make the store answer sooner: nothing cuts this wait short but the deadline.
            let left =
                self.state.ship_until.lock().map(|until| until.saturating_duration_since(Instant::now()));
            self.state.ship_wake.wait(0, backoff.min(left.unwrap_or_default()));
        } else {
            self.state.ship_wake.wait(STOP, backoff);
        }
    }

    fn out_of_time(&self) -> bool {
        self.state.ship_wake.stopped()
            && self.state.ship_until.lock().is_none_or(|until| Instant::now() >= until)
    }
}
