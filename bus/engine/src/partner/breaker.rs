//! The circuit breaker: stops asking a partner that keeps failing, and lets a single trial through to see whether it is back.
use std::time::Duration;

use parking_lot::Mutex;
use qiao_core::{Fault, fault_codes};
use tokio::time::Instant;

use crate::definitions::partner::Breaker as BreakerDefinition;

const BUCKETS: usize = 10;
const WINDOW: Duration = Duration::from_secs(10);
const MINIMUM: u32 = 20;
const FAILURE_RATE: f64 = 0.5;
const OPEN: Duration = Duration::from_secs(10);

/// Whether a partner is asked at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BreakerState {
    Closed,
    /// One trial is allowed or under way.
    HalfOpen,
    Open,
}

/// Counts attempts in a rolling window of ten buckets. One short mutex, never held over an await.
pub struct Breaker {
    bucket: Duration,
    minimum: u32,
    failure_rate: f64,
    open: Duration,
    inner: Mutex<Inner>,
}

struct Inner {
    start: Instant,
    /// Number of the newest bucket since `start`.
    newest: u64,
    counts: [Count; BUCKETS],
    phase: Phase,
    /// Rises with every change of phase, so that an attempt from before it counts no more.
    era: u64,
}

#[derive(Clone, Copy, Default)]
struct Count {
    good: u32,
    bad: u32,
}

enum Phase {
    Closed,
    Open { until: Instant },
    Trial,
}

/// Leave to make one attempt. Dropped without a word, it counts as neither good nor bad; a trial is then given back.
#[must_use = "tell the breaker how the attempt went"]
pub struct Leave<'a> {
    breaker: &'a Breaker,
    era: u64,
    told: bool,
}

impl Breaker {
    /// Left out, every figure has its default: no system is without a breaker.
    pub fn new(definition: Option<&BreakerDefinition>) -> Self {
        let window = definition.and_then(|breaker| breaker.window).map_or(WINDOW, |window| window.0);
        let inner = Inner {
            start: Instant::now(),
            newest: 0,
            counts: [Count::default(); BUCKETS],
            phase: Phase::Closed,
            era: 0,
        };
        Self {
            bucket: window.max(Duration::from_millis(10)) / BUCKETS as u32,
            minimum: definition.and_then(|breaker| breaker.minimum).unwrap_or(MINIMUM).max(1),
            failure_rate: definition.and_then(|breaker| breaker.failure_rate).unwrap_or(FAILURE_RATE),
            open: definition.and_then(|breaker| breaker.open).map_or(OPEN, |open| open.0),
            inner: Mutex::new(inner),
        }
    }

    /// Leave for one attempt. Error: `BREAKER_OPEN`, with the time after which a trial is made.
    pub fn admit(&self, now: Instant) -> Result<Leave<'_>, Fault> {
        let mut inner = self.inner.lock();
        match inner.phase {
            Phase::Closed => {}
            Phase::Open { until } if now >= until => {
                inner.phase = Phase::Trial;
                inner.era += 1;
            }
            Phase::Open { until } => return Err(refused(until - now)),
            Phase::Trial => return Err(refused(Duration::from_secs(1))),
        }
        Ok(Leave { breaker: self, era: inner.era, told: false })
    }

    /// Refuses like [`Breaker::admit`], without taking the trial: asked before waiting in a queue.
    pub fn peek(&self, now: Instant) -> Result<(), Fault> {
        match self.inner.lock().phase {
            Phase::Open { until } if now < until => Err(refused(until - now)),
            Phase::Trial => Err(refused(Duration::from_secs(1))),
            _ => Ok(()),
        }
    }

    pub fn state(&self, now: Instant) -> BreakerState {
        match self.inner.lock().phase {
            Phase::Closed => BreakerState::Closed,
            Phase::Open { until } if now < until => BreakerState::Open,
            Phase::Open { .. } | Phase::Trial => BreakerState::HalfOpen,
        }
    }

    fn tell(&self, era: u64, good: bool, now: Instant) {
        let mut inner = self.inner.lock();
        if inner.era != era {
            return;
        }
        match inner.phase {
            Phase::Trial => {
                inner.change(if good { Phase::Closed } else { Phase::Open { until: now + self.open } })
            }
            Phase::Closed => {
                inner.roll(now, self.bucket);
                inner.count(good);
                let (sum_good, sum_bad) = inner.sums();
                let total = sum_good.saturating_add(sum_bad);
                let failing = f64::from(sum_bad) >= self.failure_rate * f64::from(total);
                if !good && total >= self.minimum && failing {
                    inner.change(Phase::Open { until: now + self.open });
                }
            }
            Phase::Open { .. } => {}
        }
    }

    fn give_back(&self, era: u64) {
        let mut inner = self.inner.lock();
        if inner.era == era && matches!(inner.phase, Phase::Trial) {
            inner.change(Phase::Open { until: Instant::now() });
        }
    }
}

impl Inner {
    fn change(&mut self, phase: Phase) {
        self.phase = phase;
        self.era += 1;
        self.counts = [Count::default(); BUCKETS];
    }

    /// Empties the buckets that time has passed.
    fn roll(&mut self, now: Instant, bucket: Duration) {
        let elapsed = now.saturating_duration_since(self.start).as_nanos() / bucket.as_nanos().max(1);
        let current = u64::try_from(elapsed).unwrap_or(u64::MAX);
        let passed = current.saturating_sub(self.newest).min(BUCKETS as u64);
        for step in 0..passed {
            self.counts[((current - step) % BUCKETS as u64) as usize] = Count::default();
        }
        self.newest = self.newest.max(current);
    }

    fn count(&mut self, good: bool) {
        let count = &mut self.counts[(self.newest % BUCKETS as u64) as usize];
        if good {
            count.good = count.good.saturating_add(1);
        } else {
            count.bad = count.bad.saturating_add(1);
        }
    }

    fn sums(&self) -> (u32, u32) {
        self.counts.iter().fold((0, 0), |(good, bad): (u32, u32), count| {
            (good.saturating_add(count.good), bad.saturating_add(count.bad))
        })
    }
}

impl Leave<'_> {
    /// The partner answered, whatever it said.
    pub fn good(mut self) {
        self.told = true;
        self.breaker.tell(self.era, true, Instant::now());
    }

    /// The partner was down, too slow, not to be understood, or asked for patience.
    pub fn bad(mut self) {
        self.told = true;
        self.breaker.tell(self.era, false, Instant::now());
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if !self.told {
            self.breaker.give_back(self.era);
        }
    }
}

fn refused(after: Duration) -> Fault {
    Fault::new(&fault_codes::BREAKER_OPEN, "the breaker is open: too many of the latest attempts failed")
        .with_retry_after(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::Duration as Length;

    fn breaker() -> Breaker {
        Breaker::new(Some(&BreakerDefinition {
            window: Some(Length(Duration::from_secs(10))),
            minimum: Some(4),
            failure_rate: Some(0.5),
            open: Some(Length(Duration::from_secs(5))),
        }))
    }

    fn attempt(breaker: &Breaker, good: bool) {
        let leave = breaker.admit(Instant::now()).expect("let through");
        if good { leave.good() } else { leave.bad() }
    }

    fn state(breaker: &Breaker) -> BreakerState {
        breaker.state(Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn opens_at_the_failure_rate_but_not_below_the_minimum() {
        let breaker = breaker();
        attempt(&breaker, false);
        attempt(&breaker, false);
        attempt(&breaker, true);
        assert_eq!(state(&breaker), BreakerState::Closed, "three attempts are below the minimum");
        attempt(&breaker, true);
        assert_eq!(state(&breaker), BreakerState::Closed, "a success is no moment to open");
        attempt(&breaker, false);
        assert_eq!(state(&breaker), BreakerState::Open);
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_breaker_refuses_with_the_time_left_and_then_lets_one_trial_through() {
        let breaker = breaker();
        (0..4).for_each(|_| attempt(&breaker, false));
        assert_eq!(state(&breaker), BreakerState::Open);
        tokio::time::advance(Duration::from_secs(2)).await;
        let refusal = breaker.admit(Instant::now()).err().expect("open");
        assert_eq!(refusal.code(), &fault_codes::BREAKER_OPEN);
        assert_eq!(refusal.retry_after(), Some(Duration::from_secs(3)));
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(state(&breaker), BreakerState::HalfOpen);
        let trial = breaker.admit(Instant::now()).expect("the trial");
        assert!(breaker.admit(Instant::now()).is_err(), "only one trial at a time");
        assert!(breaker.peek(Instant::now()).is_err());
        trial.good();
        assert_eq!(state(&breaker), BreakerState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_trial_opens_again_and_a_dropped_trial_is_given_back() {
        let breaker = breaker();
        (0..4).for_each(|_| attempt(&breaker, false));
        tokio::time::advance(Duration::from_secs(5)).await;
        drop(breaker.admit(Instant::now()).expect("the trial"));
        breaker.admit(Instant::now()).expect("the trial again").bad();
        assert_eq!(state(&breaker), BreakerState::Open);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_older_than_the_window_are_forgotten() {
        let breaker = breaker();
        (0..3).for_each(|_| attempt(&breaker, false));
        tokio::time::advance(Duration::from_secs(11)).await;
        (0..3).for_each(|_| attempt(&breaker, false));
        assert_eq!(state(&breaker), BreakerState::Closed);
        attempt(&breaker, false);
        assert_eq!(state(&breaker), BreakerState::Open);
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_from_before_the_breaker_opened_does_not_close_it() {
        let breaker = breaker();
        let early = breaker.admit(Instant::now()).expect("closed");
        (0..4).for_each(|_| attempt(&breaker, false));
        tokio::time::advance(Duration::from_secs(5)).await;
        let trial = breaker.admit(Instant::now()).expect("the trial");
        early.good();
        assert_eq!(state(&breaker), BreakerState::HalfOpen);
        trial.bad();
        assert_eq!(state(&breaker), BreakerState::Open);
    }
}
