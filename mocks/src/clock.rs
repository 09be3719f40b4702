//! The mock partners' clock: real time with an offset, or standing still; moved by testers so that days pass in a second.
use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

/// Not standing still.
const RUNNING: i64 = i64::MIN;

/// The clock that templates, pushes and reports go by. Faults' and state's own lives go by real time.
#[derive(Debug)]
pub struct Clock {
    /// Microseconds that the clock is ahead of real time, while it runs.
    offset: AtomicI64,
    /// Unix microseconds at which it stands still, or [`RUNNING`].
    stopped: AtomicI64,
}

impl Default for Clock {
    fn default() -> Self {
        Self { offset: AtomicI64::new(0), stopped: AtomicI64::new(RUNNING) }
    }
}

impl Clock {
    /// Unix time in microseconds.
    pub fn now_us(&self) -> i64 {
        match self.stopped.load(Ordering::Acquire) {
            RUNNING => real_us().saturating_add(self.offset.load(Ordering::Acquire)),
            stopped => stopped,
        }
    }

    /// Unix time in milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.now_us().div_euclid(1000)
    }

    /// Whether it goes on by itself.
    pub fn is_running(&self) -> bool {
        self.stopped.load(Ordering::Acquire) == RUNNING
    }

    /// Stands still at that Unix time in microseconds.
    pub fn stop_at(&self, at_us: i64) {
        self.stopped.store(at_us.max(RUNNING + 1), Ordering::Release);
    }

    /// Goes on from where it stands.
    pub fn run(&self) {
        let now = self.now_us();
        self.offset.store(now.saturating_sub(real_us()), Ordering::Release);
        self.stopped.store(RUNNING, Ordering::Release);
    }

    /// Back to real time.
    pub fn reset(&self) {
        self.offset.store(0, Ordering::Release);
        self.stopped.store(RUNNING, Ordering::Release);
    }

    /// Moves to that Unix time in microseconds; never back. Runs on where it ran.
    pub fn move_to(&self, at_us: i64) {
        let ahead = at_us.saturating_sub(self.now_us());
        if ahead <= 0 {
            return;
        }
        if self.is_running() {
            self.offset.fetch_add(ahead, Ordering::AcqRel);
        } else {
            self.stop_at(at_us);
        }
    }
}

fn real_us() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stands_still_moves_on_and_returns_to_real_time() {
        let clock = Clock::default();
        clock.stop_at(1_000);
        clock.move_to(5_000);
        assert_eq!((clock.now_us(), clock.is_running()), (5_000, false));
        clock.move_to(2_000);
        assert_eq!(clock.now_us(), 5_000, "time does not go back");
        clock.run();
        let later = clock.now_us();
        assert!((5_000..60_000_000).contains(&later), "{later}");
        clock.reset();
        assert!(clock.now_us() > 60_000_000);
    }
}
