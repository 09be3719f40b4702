//! The bulkhead: how many calls one partner may hold, and how many may wait for a place.
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use qiao_core::{Fault, fault_codes};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use crate::definitions::partner::Limits;

const CONCURRENT: u32 = 256;
const WAITING: u32 = 512;
const WAIT: Duration = Duration::from_secs(1);

/// Places towards one partner. A place is held for one attempt, never while a retry waits.
pub struct Bulkhead {
    places: Arc<Semaphore>,
    concurrent: u32,
    waiting: AtomicU32,
    waiting_most: u32,
    wait: Duration,
}

/// A held place; dropped, it is free again.
#[must_use = "the place is free again once this is dropped"]
pub struct Place {
    _permit: OwnedSemaphorePermit,
}

/// Counts a waiting call for as long as it waits, also when it is cancelled.
struct Waiting<'a>(&'a AtomicU32);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Bulkhead {
    pub fn new(limits: Option<&Limits>) -> Self {
        let concurrent = limits.and_then(|limits| limits.concurrent).unwrap_or(CONCURRENT).max(1);
        Self {
            places: Arc::new(Semaphore::new(concurrent as usize)),
            concurrent,
            waiting: AtomicU32::new(0),
            waiting_most: limits.and_then(|limits| limits.waiting).unwrap_or(WAITING),
            wait: limits.and_then(|limits| limits.wait).map_or(WAIT, |wait| wait.0),
        }
    }

    /// A place, at once or after waiting its turn. Errors: `PARTNER_BUSY` when too many wait already or the wait is
    /// over, `DEADLINE_EXCEEDED` when the call's own time ran out first. Nothing was sent in either case.
    pub async fn enter(&self, deadline: Instant) -> Result<Place, Fault> {
        if let Ok(permit) = self.places.clone().try_acquire_owned() {
            return Ok(Place { _permit: permit });
        }
        let ahead = self.waiting.fetch_add(1, Relaxed);
        let _waiting = Waiting(&self.waiting);
        if ahead >= self.waiting_most {
            return Err(Fault::new(
                &fault_codes::PARTNER_BUSY,
                format!("{} calls under way and {ahead} waiting already", self.concurrent),
            ));
        }
        let patience = Instant::now() + self.wait;
        match timeout_at(patience.min(deadline), self.places.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Place { _permit: permit }),
            _ if deadline < patience => Err(Fault::new(
                &fault_codes::DEADLINE_EXCEEDED,
                "the time ran out while waiting for a place at the partner; nothing was sent",
            )
            .with_repeat(qiao_core::Repeat::Safe)),
            _ => Err(Fault::new(
                &fault_codes::PARTNER_BUSY,
                format!("no place within {} ms, {} calls under way", self.wait.as_millis(), self.concurrent),
            )),
        }
    }

    /// Attempts under way.
    pub fn concurrent(&self) -> u32 {
        let free = u32::try_from(self.places.available_permits()).unwrap_or(u32::MAX);
        self.concurrent.saturating_sub(free)
    }

    /// Calls waiting for a place.
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::Duration as Length;

    fn limits(concurrent: u32, waiting: u32, wait_ms: u64) -> Limits {
        Limits {
            concurrent: Some(concurrent),
            waiting: Some(waiting),
            wait: Some(Length(Duration::from_millis(wait_ms))),
            answer_bytes: None,
        }
    }

    fn in_ms(ms: u64) -> Instant {
        Instant::now() + Duration::from_millis(ms)
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_bulkhead_lets_a_bounded_number_wait_and_refuses_the_rest_at_once() {
        let bulkhead = Arc::new(Bulkhead::new(Some(&limits(1, 1, 500))));
        let place = bulkhead.enter(in_ms(1000)).await.expect("free");
        let waiter = tokio::spawn({
            let bulkhead = bulkhead.clone();
            async move { bulkhead.enter(in_ms(1000)).await.map(drop) }
        });
        tokio::task::yield_now().await;
        assert_eq!((bulkhead.concurrent(), bulkhead.waiting()), (1, 1));
        let before = Instant::now();
        let refusal = bulkhead.enter(in_ms(1000)).await.err().expect("full");
        assert_eq!(refusal.code(), &fault_codes::PARTNER_BUSY);
        assert_eq!(Instant::now(), before, "refused without waiting");
        drop(place);
        waiter.await.expect("joins").expect("got the freed place");
        assert_eq!((bulkhead.concurrent(), bulkhead.waiting()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_with_the_declared_wait_or_with_the_calls_own_deadline() {
        let bulkhead = Bulkhead::new(Some(&limits(1, 4, 500)));
        let _place = bulkhead.enter(in_ms(1000)).await.expect("free");
        let start = Instant::now();
        let busy = bulkhead.enter(in_ms(9000)).await.err().expect("no place");
        assert_eq!((busy.code().number, start.elapsed().as_millis()), (5006, 500));
        let start = Instant::now();
        let late = bulkhead.enter(in_ms(200)).await.err().expect("no time");
        assert_eq!((late.code().number, start.elapsed().as_millis()), (6005, 200));
        assert_eq!(late.repeat(), qiao_core::Repeat::Safe);
        assert_eq!(bulkhead.waiting(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_waiter_is_no_longer_counted() {
        let bulkhead = Bulkhead::new(Some(&limits(1, 4, 500)));
        let _place = bulkhead.enter(in_ms(1000)).await.expect("free");
        {
            let waiting = bulkhead.enter(in_ms(1000));
            tokio::pin!(waiting);
            assert!(futures_util::poll!(waiting.as_mut()).is_pending());
            assert_eq!(bulkhead.waiting(), 1);
        }
        assert_eq!(bulkhead.waiting(), 0);
    }
}
