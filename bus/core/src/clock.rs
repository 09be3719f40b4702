//! Time as a dependency, so that tests and mock partners can set it.
use std::time::{SystemTime, UNIX_EPOCH};

/// Wall-clock time. Durations and deadlines use `tokio::time`, which tests pause.
pub trait Clock: Send + Sync {
    /// Unix time in microseconds.
    fn now_us(&self) -> i64;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_us(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }
}
