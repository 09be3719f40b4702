//! Wakes one thread for a reason: bits under a mutex with a condition variable. A bit raised twice wakes once.
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Stays raised once raised.
pub const STOP: u8 = 1;
/// There is something to do.
pub const WORK: u8 = 2;
/// Do it without lingering.
pub const HURRY: u8 = 4;
/// Sign the chain.
pub const SIGN: u8 = 8;

#[derive(Debug, Default)]
pub struct Wake {
    raised: Mutex<u8>,
    changed: Condvar,
}

impl Wake {
    pub fn raise(&self, bits: u8) {
        let mut raised = self.raised.lock();
        if *raised & bits != bits {
            *raised |= bits;
            self.changed.notify_one();
        }
    }

    /// Waits until one of `bits` is raised or the time is up; returns and lowers those raised, except [`STOP`].
    pub fn wait(&self, bits: u8, limit: Duration) -> u8 {
        let until = Instant::now() + limit;
        let mut raised = self.raised.lock();
        while *raised & bits == 0 {
            if self.changed.wait_until(&mut raised, until).timed_out() {
                break;
            }
        }
        let seen = *raised & bits;
        *raised &= !(seen & !STOP);
        seen
    }

    pub fn stopped(&self) -> bool {
        *self.raised.lock() & STOP != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raised_bit_is_seen_once_and_stop_for_ever() {
        let wake = Wake::default();
        wake.raise(WORK | STOP);
        assert_eq!(wake.wait(WORK, Duration::from_secs(10)), WORK);
        assert_eq!(wake.wait(WORK, Duration::ZERO), 0);
        assert_eq!(wake.wait(WORK | STOP, Duration::from_secs(10)), STOP);
        assert_eq!(wake.wait(WORK | STOP, Duration::from_secs(10)), STOP);
    }

    #[test]
    fn a_bit_that_is_not_waited_for_stays_raised() {
        let wake = Wake::default();
        wake.raise(HURRY);
        assert_eq!(wake.wait(WORK, Duration::ZERO), 0);
        assert_eq!(wake.wait(WORK | HURRY, Duration::ZERO), HURRY);
    }
}
