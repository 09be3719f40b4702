//! What is to happen later by the mock partners' clock: pushes, status reports. Bounded; fired in the order of their times.
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, Semaphore},
    time::timeout,
};

use crate::clock::Clock;

/// Timers that wait at most.
pub const MAX_TIMERS: usize = 100_000;
/// Timers that run at once while the clock runs by itself.
const AT_ONCE: usize = 256;
/// A timer's work is given up after this.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What a timer does.
pub type Task = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>;

/// More than [`MAX_TIMERS`] wait already.
#[derive(Debug, thiserror::Error)]
#[error("more than {MAX_TIMERS} pushes and reports wait already; advance the clock or reset the partner")]
pub struct Full;

/// A timer that waits, for the admin API.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pending {
    pub id: u64,
    /// Unix time in microseconds by the mock partners' clock.
    pub due_us: i64,
    pub partner: Arc<str>,
    pub session: Box<str>,
    /// What is due: `push track-posted`, `report …`.
    pub what: Box<str>,
    /// The business key, where there is one.
    pub key: Box<str>,
}

struct Timer {
    about: Pending,
    task: Task,
}

/// The timers. Tasks that schedule others while the clock is moved take part in the same move.
pub struct Timers {
    clock: Arc<Clock>,
    waiting: Mutex<Waiting>,
    changed: Notify,
    places: Arc<Semaphore>,
    /// One move of the clock at a time.
    moving: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Waiting {
    /// By time, then by number: those of one time fire in the order in which they were scheduled.
    by_time: BTreeMap<(i64, u64), Timer>,
    times: HashMap<u64, i64>,
    next: u64,
}

impl Waiting {
    fn take(&mut self, id: u64) -> Option<Timer> {
        let due = self.times.remove(&id)?;
        self.by_time.remove(&(due, id))
    }

    fn first_until(&mut self, until: i64) -> Option<Timer> {
        let (&(due, id), _) = self.by_time.first_key_value()?;
        if due > until {
            return None;
        }
        self.take(id)
    }
}

impl Timers {
    pub fn new(clock: Arc<Clock>) -> Self {
        Self {
            clock,
            waiting: Mutex::default(),
            changed: Notify::new(),
            places: Arc::new(Semaphore::new(AT_ONCE)),
            moving: tokio::sync::Mutex::default(),
        }
    }

    /// Does `task` when the clock shows `after` more than now. Gives the timer's number.
    ///
    /// # Errors
    /// [`Full`].
    pub fn schedule(
        &self,
        after: Duration,
        (partner, session): (&Arc<str>, &str),
        (what, key): (&str, &str),
        task: Task,
    ) -> Result<u64, Full> {
        let after = i64::try_from(after.as_micros()).unwrap_or(i64::MAX);
        let due_us = self.clock.now_us().saturating_add(after);
        let mut waiting = self.waiting.lock();
        if waiting.by_time.len() >= MAX_TIMERS {
            return Err(Full);
        }
        waiting.next += 1;
        let id = waiting.next;
        let about = Pending {
            id,
            due_us,
            partner: Arc::clone(partner),
            session: session.into(),
            what: what.into(),
            key: key.into(),
        };
        waiting.times.insert(id, due_us);
        waiting.by_time.insert((due_us, id), Timer { about, task });
        drop(waiting);
        self.changed.notify_one();
        Ok(id)
    }

    /// Takes a timer away. False where it has fired or never was.
    pub fn cancel(&self, id: u64) -> bool {
        self.waiting.lock().take(id).is_some()
    }

    /// Does a timer's work now. False where it has fired or never was.
    pub async fn fire(&self, id: u64) -> bool {
        let timer = self.waiting.lock().take(id);
        match timer {
            Some(timer) => {
                run(timer).await;
                true
            }
            None => false,
        }
    }

    /// Takes away the timers of a partner, of one of its sessions only where one is named. Gives how many.
    pub fn clear(&self, partner: &str, session: Option<&str>) -> usize {
        let mut waiting = self.waiting.lock();
        let theirs = |about: &Pending| {
            *about.partner == *partner && session.is_none_or(|session| *about.session == *session)
        };
        let ids: Vec<u64> = waiting
            .by_time
            .values()
            .filter(|timer| theirs(&timer.about))
            .map(|timer| timer.about.id)
            .collect();
        ids.into_iter().filter(|id| waiting.take(*id).is_some()).count()
    }

    /// The first `limit` timers that wait, by time.
    pub fn pending(&self, limit: usize) -> Vec<Pending> {
        self.waiting.lock().by_time.values().take(limit).map(|timer| timer.about.clone()).collect()
    }

    /// Moves the clock on by `by`, doing what falls due on the way one after the other, each at its own time. Gives how many
    /// were done.
    pub async fn advance(&self, by: Duration) -> usize {
        let _one_at_a_time = self.moving.lock().await;
        let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        let until = self.clock.now_us().saturating_add(by);
        let mut done = 0;
        loop {
            let timer = self.waiting.lock().first_until(until);
            let Some(timer) = timer else { break };
            self.clock.move_to(timer.about.due_us);
            run(timer).await;
            done += 1;
        }
        self.clock.move_to(until);
        self.changed.notify_one();
        done
    }

    /// Does what falls due by itself while the clock runs. Never ends.
    pub async fn keep(self: Arc<Self>) {
        loop {
            let due = self.due();
            if let Some(timer) = due {
                let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return };
                tokio::spawn(async move {
                    run(timer).await;
                    drop(place);
                });
                continue;
            }
            let changed = self.changed.notified();
            match self.until_next() {
                Some(wait) => drop(timeout(wait, changed).await),
                None => changed.await,
            }
        }
    }

    fn due(&self) -> Option<Timer> {
        if !self.clock.is_running() {
            return None;
        }
        self.waiting.lock().first_until(self.clock.now_us())
    }

    /// Time to the next timer; none where nothing waits or the clock stands still.
    fn until_next(&self) -> Option<Duration> {
        if !self.clock.is_running() {
            return None;
        }
        let waiting = self.waiting.lock();
        let (&(due, _), _) = waiting.by_time.first_key_value()?;
        Some(Duration::from_micros(due.saturating_sub(self.clock.now_us()).try_into().unwrap_or(0)))
    }

    /// Tells that the clock was stopped, set or started by hand.
    pub fn clock_changed(&self) {
        self.changed.notify_one();
    }
}

async fn run(timer: Timer) {
    if timeout(PATIENCE, (timer.task)()).await.is_err() {
        tracing::warn!(partner = %timer.about.partner, what = %timer.about.what, "given up after {PATIENCE:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Told(Arc<Mutex<Vec<(&'static str, i64)>>>);

    impl Told {
        fn task(&self, timers: &Timers, name: &'static str) -> Task {
            let (told, clock) = (Arc::clone(&self.0), Arc::clone(&timers.clock));
            Box::new(move || {
                Box::pin(async move {
                    told.lock().push((name, clock.now_us()));
                })
            })
        }
    }

    fn standing() -> (Arc<Timers>, Told) {
        let clock = Arc::new(Clock::default());
        clock.stop_at(0);
        (Arc::new(Timers::new(clock)), Told(Arc::default()))
    }

    fn schedule(timers: &Timers, seconds: u64, name: &str, task: Task) -> u64 {
        let after = Duration::from_secs(seconds);
        timers.schedule(after, (&Arc::from("ems"), ""), (name, ""), task).expect("room")
    }

    #[tokio::test]
    async fn a_move_of_the_clock_does_what_is_due_in_order_each_at_its_time() {
        let (timers, told) = standing();
        schedule(&timers, 3, "c", told.task(&timers, "c"));
        schedule(&timers, 1, "a", told.task(&timers, "a"));
        schedule(&timers, 1, "b", told.task(&timers, "b"));
        schedule(&timers, 9, "late", told.task(&timers, "late"));
        assert_eq!(timers.advance(Duration::from_secs(5)).await, 3);
        assert_eq!(*told.0.lock(), [("a", 1_000_000), ("b", 1_000_000), ("c", 3_000_000)]);
        assert_eq!(timers.clock.now_us(), 5_000_000);
        assert_eq!(timers.pending(10).len(), 1);
    }

    #[tokio::test]
    async fn a_timer_set_by_another_takes_part_in_the_same_move() {
        let (timers, told) = standing();
        let (inner, again) = (told.task(&timers, "second"), Arc::clone(&timers));
        let first: Task = Box::new(move || {
            Box::pin(async move {
                schedule(&again, 2, "second", inner);
            })
        });
        schedule(&timers, 1, "first", first);
        assert_eq!(timers.advance(Duration::from_secs(10)).await, 2);
        assert_eq!(*told.0.lock(), [("second", 3_000_000)]);
    }

    #[tokio::test]
    async fn a_cancelled_timer_stays_away_and_a_fired_one_does_not_come_twice() {
        let (timers, told) = standing();
        let gone = schedule(&timers, 1, "gone", told.task(&timers, "gone"));
        let early = schedule(&timers, 2, "early", told.task(&timers, "early"));
        assert!(timers.cancel(gone));
        assert!(!timers.cancel(gone));
        assert!(timers.fire(early).await);
        assert_eq!(timers.advance(Duration::from_secs(10)).await, 0);
        assert_eq!(*told.0.lock(), [("early", 0)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_running_clock_does_what_is_due_by_itself() {
        let timers = Arc::new(Timers::new(Arc::default()));
        let told = Told(Arc::default());
        let kept = tokio::spawn(Arc::clone(&timers).keep());
        let (done, heard) = tokio::sync::oneshot::channel();
        let task: Task = Box::new(move || Box::pin(async move { assert!(done.send(()).is_ok()) }));
        schedule(&timers, 0, "now", task);
        assert!(heard.await.is_ok());
        assert!(told.0.lock().is_empty());
        kept.abort();
    }

    #[tokio::test]
    async fn more_timers_than_the_bound_are_refused() {
        let (timers, _) = standing();
        let nothing = || -> Task { Box::new(|| Box::pin(async {})) };
        for _ in 0..MAX_TIMERS {
            schedule(&timers, 1, "n", nothing());
        }
        let one_more = timers.schedule(Duration::ZERO, (&Arc::from("ems"), ""), ("n", ""), nothing());
        assert!(one_more.is_err());
        assert_eq!(timers.clear("ems", Some("")), MAX_TIMERS);
    }
}
