//! Which endpoint gets the next call: weighted turns, the less busy of two, without those that are down.
use std::{
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU32, AtomicU64, AtomicUsize,
            Ordering::{Relaxed, Release},
        },
    },
    time::Duration,
};

use qiao_core::EndpointHealth;
use tokio::{sync::watch, time::Instant};

use super::dial::Target;
use crate::config::PassiveHealth;

/// One endpoint and its state.
pub(super) struct EndpointState {
    pub(super) name: Arc<str>,
    pub(super) target: Target,
    weight: u32,
    active: AtomicU32,
    /// What active checks say.
    checked_up: AtomicBool,
    /// Failed connects in a row.
    failures: AtomicU32,
    /// Held down by failed connects until then, in milliseconds since `Endpoints::epoch`.
    down_until: AtomicU64,
}

/// All endpoints of a system.
pub(super) struct Endpoints {
    pub(super) all: Vec<EndpointState>,
    /// Indices in the order of smooth weighted turns.
    turns: Vec<u16>,
    next: AtomicUsize,
    passive: PassiveHealth,
    epoch: Instant,
    /// Counts changes of health.
    changes: watch::Sender<u64>,
}

impl Endpoints {
    /// Takes 1 to 64 endpoints with weights of 1 to 1000.
    pub(super) fn new(targets: Vec<(Arc<str>, u32, Target)>, passive: PassiveHealth) -> Self {
        let weights: Vec<u32> = targets.iter().map(|(_, weight, _)| *weight).collect();
        let all = targets.into_iter().map(|(name, weight, target)| EndpointState {
            name,
            target,
            weight,
            active: AtomicU32::new(0),
            checked_up: AtomicBool::new(true),
            failures: AtomicU32::new(0),
            down_until: AtomicU64::new(0),
        });
        Self {
            all: all.collect(),
            turns: smooth_turns(&weights),
            next: AtomicUsize::new(0),
            passive,
            epoch: Instant::now(),
            changes: watch::Sender::new(0),
        }
    }

    /// The endpoint for the next attempt. With none healthy any is tried: a wrong verdict must not stop everything.
    pub(super) fn pick(&self, avoid: Option<&str>) -> usize {
        if self.all.len() == 1 {
            return 0;
        }
        let start = self.next.fetch_add(1, Relaxed);
        let avoided = |endpoint: &EndpointState| avoid.is_some_and(|name| *endpoint.name == *name);
        self.less_busy(start, |endpoint| self.is_healthy(endpoint) && !avoided(endpoint))
            .or_else(|| self.less_busy(start, |endpoint| self.is_healthy(endpoint)))
            .or_else(|| self.less_busy(start, |endpoint| !avoided(endpoint)))
            .unwrap_or(0)
    }

    /// Of the next two different endpoints in turn the one with fewer calls for its weight, the first on a tie.
    fn less_busy(&self, start: usize, usable: impl Fn(&EndpointState) -> bool) -> Option<usize> {
        let mut first: Option<usize> = None;
        for step in 0..self.turns.len() {
            let index = usize::from(self.turns[(start.wrapping_add(step)) % self.turns.len()]);
            if first == Some(index) || !usable(&self.all[index]) {
                continue;
            }
            match first {
                None => first = Some(index),
                Some(one) => {
                    return Some(if self.all[index].is_less_busy_than(&self.all[one]) { index } else { one });
                }
            }
        }
        first
    }

    pub(super) fn is_healthy(&self, endpoint: &EndpointState) -> bool {
        if !endpoint.checked_up.load(Relaxed) {
            return false;
        }
        let until = endpoint.down_until.load(Relaxed);
        until == 0 || self.now_ms() >= until
    }

    pub(super) fn connected(&self, index: usize) {
        let endpoint = &self.all[index];
        if endpoint.failures.swap(0, Relaxed) >= self.passive.fall {
            endpoint.down_until.store(0, Relaxed);
            self.changed(index, true, "connected again");
        }
    }

    pub(super) fn connect_failed(&self, index: usize) {
        let endpoint = &self.all[index];
        let failures = endpoint.failures.fetch_add(1, Relaxed).saturating_add(1);
        if failures >= self.passive.fall {
            let hold = u64::try_from(self.passive.hold.as_millis()).unwrap_or(u64::MAX);
            endpoint.down_until.store(self.now_ms().saturating_add(hold).max(1), Relaxed);
            if failures == self.passive.fall {
                self.changed(index, false, "connects failed in a row");
            }
        }
    }

    /// What active checks concluded.
    pub(super) fn checked(&self, index: usize, up: bool) {
        if self.all[index].checked_up.swap(up, Relaxed) != up {
            self.changed(index, up, "health checks");
        }
    }

    fn changed(&self, index: usize, up: bool, why: &'static str) {
        tracing::info!(endpoint = %self.all[index].name, up, why, "endpoint changed its state");
        self.changes.send_modify(|count| *count += 1);
    }

    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn health(&self) -> Vec<EndpointHealth> {
        self.all
            .iter()
            .map(|endpoint| EndpointHealth {
                endpoint: endpoint.name.clone(),
                healthy: self.is_healthy(endpoint),
                active: endpoint.active.load(Relaxed),
            })
            .collect()
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(Duration::as_millis(&self.epoch.elapsed())).unwrap_or(u64::MAX)
    }
}

impl EndpointState {
    fn is_less_busy_than(&self, other: &Self) -> bool {
        let load = |mine: &Self, weight: u32| u64::from(mine.active.load(Relaxed)) * u64::from(weight);
        load(self, other.weight) < load(other, self.weight)
    }
}

/// A call under way on an endpoint, counted until dropped.
pub(super) struct ActiveCall {
    endpoints: Arc<Endpoints>,
    pub(super) index: usize,
}

impl ActiveCall {
    pub(super) fn new(endpoints: Arc<Endpoints>, index: usize) -> Self {
        endpoints.all[index].active.fetch_add(1, Relaxed);
        Self { endpoints, index }
    }

    pub(super) fn endpoint(&self) -> &EndpointState {
        &self.endpoints.all[self.index]
    }
}

impl Drop for ActiveCall {
    fn drop(&mut self) {
        self.endpoints.all[self.index].active.fetch_sub(1, Release);
    }
}

/// Smooth weighted round robin, written out once: 3:1 gives 0 0 1 0, not 0 0 0 1.
fn smooth_turns(weights: &[u32]) -> Vec<u16> {
    let divisor = weights.iter().copied().fold(0, greatest_common_divisor).max(1);
    let weights: Vec<i64> = weights.iter().map(|weight| i64::from(weight / divisor)).collect();
    let total: i64 = weights.iter().sum();
    let mut credit = vec![0; weights.len()];
    let mut turns = Vec::new();
    for _ in 0..total {
        for (credit, weight) in credit.iter_mut().zip(&weights) {
            *credit += weight;
        }
        // The first of the largest, so that equal weights go in the order they are written.
        let chosen = (0..credit.len()).rev().max_by_key(|index| credit[*index]).unwrap_or(0);
        credit[chosen] -= total;
        turns.push(u16::try_from(chosen).unwrap_or(0));
    }
    turns
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HttpConfig;

    fn endpoints(weights: &[u32]) -> Arc<Endpoints> {
        let config = HttpConfig::new("card");
        let targets = weights.iter().enumerate().map(|(index, weight)| {
            let name = format!("http://127.0.0.{}:1", index + 1);
            let target = Target::new(&name, &config, &mut || Err(String::new())).expect("valid");
            (Arc::from(name), *weight, target)
        });
        let passive = PassiveHealth { fall: 2, hold: Duration::from_secs(10) };
        Arc::new(Endpoints::new(targets.collect(), passive))
    }

    fn picks(endpoints: &Endpoints, count: usize) -> Vec<usize> {
        (0..count).map(|_| endpoints.pick(None)).collect()
    }

    #[tokio::test]
    async fn turns_follow_the_weights_smoothly() {
        assert_eq!(picks(&endpoints(&[1, 1, 1]), 6), [0, 1, 2, 0, 1, 2]);
        assert_eq!(picks(&endpoints(&[300, 100]), 8), [0, 0, 1, 0, 0, 0, 1, 0]);
    }

    #[tokio::test]
    async fn the_less_busy_of_two_gets_the_call() {
        let endpoints = endpoints(&[1, 1]);
        let busy = ActiveCall::new(endpoints.clone(), 0);
        assert_eq!(picks(&endpoints, 4), [1, 1, 1, 1]);
        drop(busy);
        assert_eq!(picks(&endpoints, 4), [0, 1, 0, 1]);
    }

    #[tokio::test]
    async fn the_avoided_endpoint_is_used_only_when_no_other_is_healthy() {
        let endpoints = endpoints(&[1, 1]);
        let first = endpoints.all[0].name.clone();
        for _ in 0..4 {
            assert_eq!(endpoints.pick(Some(&first)), 1);
        }
        endpoints.checked(1, false);
        assert_eq!(endpoints.pick(Some(&first)), 0);
        endpoints.checked(0, false);
        assert_eq!(endpoints.pick(Some(&first)), 1, "with none healthy the other is tried");
    }

    #[tokio::test(start_paused = true)]
    async fn failed_connects_in_a_row_hold_an_endpoint_down_for_a_while() {
        let endpoints = endpoints(&[1, 1]);
        let mut changes = endpoints.watch();
        endpoints.connect_failed(0);
        assert!(endpoints.is_healthy(&endpoints.all[0]), "one failure is not enough");
        endpoints.connect_failed(0);
        assert!(!endpoints.is_healthy(&endpoints.all[0]));
        assert!(changes.has_changed().expect("alive"));
        assert_eq!(picks(&endpoints, 3), [1, 1, 1]);
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(endpoints.is_healthy(&endpoints.all[0]));
        endpoints.connect_failed(0);
        assert!(!endpoints.is_healthy(&endpoints.all[0]), "the first failure after the hold renews it");
        changes.mark_unchanged();
        endpoints.connected(0);
        assert!(endpoints.is_healthy(&endpoints.all[0]));
        assert!(changes.has_changed().expect("alive"));
    }
}
