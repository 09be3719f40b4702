//! When an idle connection is tested and when it is given up: C, T and N of CMPP and SMGP, the idle time of SGIP.
use std::time::{Duration, Instant};

/// What is due on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing before then.
    Wait(Instant),
    /// A link test.
    Test,
    /// The peer is gone.
    GiveUp,
}

/// The idle clock of one connection.
#[derive(Debug)]
pub struct KeepAlive {
    idle: Duration,
    answer: Duration,
    /// Tests before giving up; none: an idle connection is given up.
    tries: u32,
    heard: Instant,
    sent: u32,
    last: Instant,
}

impl KeepAlive {
    pub fn new(idle: Duration, answer: Duration, tries: u32, now: Instant) -> Self {
        Self { idle, answer, tries, heard: now, sent: 0, last: now }
    }

    /// Something came: whatever it is, the peer lives.
    pub fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.sent = 0;
    }

    /// What is due. [`Due::Test`] counts the test as sent.
    pub fn due(&mut self, now: Instant) -> Due {
        let next = if self.sent == 0 { self.heard + self.idle } else { self.last + self.answer };
        if now < next {
            return Due::Wait(next);
        }
        if self.sent >= self.tries {
            return Due::GiveUp;
        }
        self.sent += 1;
        self.last = now;
        Due::Test
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn tests_after_three_minutes_and_gives_up_after_three_tests() {
        let start = Instant::now();
        let mut alive = KeepAlive::new(3 * MINUTE, MINUTE, 3, start);
        assert_eq!(alive.due(start), Due::Wait(start + 3 * MINUTE));
        assert_eq!(alive.due(start + 3 * MINUTE), Due::Test);
        assert_eq!(alive.due(start + 3 * MINUTE), Due::Wait(start + 4 * MINUTE));
        assert_eq!(alive.due(start + 4 * MINUTE), Due::Test);
        assert_eq!(alive.due(start + 5 * MINUTE), Due::Test);
        assert_eq!(alive.due(start + 6 * MINUTE), Due::GiveUp);
    }

    #[test]
    fn whatever_comes_starts_the_clock_anew() {
        let start = Instant::now();
        let mut alive = KeepAlive::new(3 * MINUTE, MINUTE, 3, start);
        assert_eq!(alive.due(start + 3 * MINUTE), Due::Test);
        alive.heard(start + 4 * MINUTE);
        assert_eq!(alive.due(start + 4 * MINUTE), Due::Wait(start + 7 * MINUTE));
        assert_eq!(alive.due(start + 7 * MINUTE), Due::Test);
    }

    #[test]
    fn without_tests_an_idle_connection_is_given_up() {
        let start = Instant::now();
        let mut alive = KeepAlive::new(MINUTE, MINUTE, 0, start);
        assert_eq!(alive.due(start + MINUTE), Due::GiveUp);
    }
}
