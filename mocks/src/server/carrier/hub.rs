//! What the gateways remember beyond one connection: who is logged in, what waits for them, which ids were given. Kept over reloads.
use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::{Notify, oneshot};

use super::{Part, Report, assembly::Long, link::Link};
use crate::entropy::Fnv;

/// Partner, listener, account.
type Name = (Arc<str>, Arc<str>, Arc<str>);

/// Partner, listener.
type Gateway = (Arc<str>, Arc<str>);

/// All gateways.
#[derive(Default)]
pub struct Carriers {
    accounts: Mutex<HashMap<Name, Arc<AccountState>>>,
    numbers: Mutex<HashMap<Gateway, Numbers>>,
}

impl Carriers {
    /// What is remembered of an account.
    pub fn account(&self, partner: &Arc<str>, listener: &Arc<str>, account: &Arc<str>) -> Arc<AccountState> {
        let name = (Arc::clone(partner), Arc::clone(listener), Arc::clone(account));
        Arc::clone(self.accounts.lock().entry(name).or_default())
    }

    /// The time (in seconds) and number of a listener's next id; see [`Numbers::next`].
    pub fn number(
        &self,
        place: (&Arc<str>, &Arc<str>),
        seed: u64,
        now_s: i64,
        space: (i64, u32),
    ) -> (i64, u32) {
        let name = (Arc::clone(place.0), Arc::clone(place.1));
        let mut numbers = self.numbers.lock();
        let start = || Numbers::starting(Fnv::hash(&seed.to_le_bytes()));
        numbers.entry(name).or_insert_with(start).next(now_s, space)
    }
}

/// Ids of one listener: a number that counts up and wraps, never used twice with the same time.
#[derive(Debug)]
struct Numbers {
    start: u64,
    next: Option<u32>,
    unit: i64,
    used: u32,
}

impl Numbers {
    fn starting(start: u64) -> Self {
        Self { start, next: None, unit: i64::MIN, used: 0 }
    }

    /// The next id's time in seconds and its number. `space`: seconds of the time's unit, numbers before they wrap. When all
    /// numbers of a unit are used, the time runs ahead.
    fn next(&mut self, now_s: i64, (seconds, span): (i64, u32)) -> (i64, u32) {
        let unit = now_s.div_euclid(seconds);
        if unit > self.unit {
            (self.unit, self.used) = (unit, 0);
        } else if self.used == span {
            (self.unit, self.used) = (self.unit + 1, 0);
        }
        self.used += 1;
        let first = || u32::try_from(self.start % u64::from(span)).unwrap_or(0);
        let number = self.next.unwrap_or_else(first);
        self.next = Some((number + 1) % span);
        (self.unit * seconds, number)
    }
}

/// Something to be delivered.
pub struct Parcel {
    pub cargo: Cargo,
    /// Connections on which it was tried in vain.
    pub rounds: u32,
    /// Told when it has been written.
    pub written: Option<oneshot::Sender<()>>,
}

#[derive(Clone)]
pub enum Cargo {
    Report(Report),
    Uplink(Part),
}

impl Parcel {
    pub fn new(cargo: Cargo) -> Self {
        Self { cargo, rounds: 0, written: None }
    }
}

/// What is remembered of an account.
#[derive(Default)]
pub struct AccountState {
    outbox: Mutex<VecDeque<Parcel>>,
    pub arrived: Notify,
    links: Mutex<Vec<Arc<Link>>>,
    pub long: Mutex<Long>,
    /// Whether a connection to the account's own listener is open or being opened.
    pub calling: AtomicBool,
    pub counts: Counts,
}

/// What has happened since the start or the last reset.
#[derive(Default)]
pub struct Counts {
    /// Messages taken.
    pub accepted: AtomicU64,
    /// Messages refused.
    pub refused: AtomicU64,
    /// Deliveries that the account acknowledged.
    pub delivered: AtomicU64,
    /// Deliveries that it answered with a refusal.
    pub rejected: AtomicU64,
    /// Deliveries given up: never acknowledged, or more than are kept.
    pub lost: AtomicU64,
}

impl Counts {
    pub fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl AccountState {
    /// Puts a parcel at the end; over `kept` the oldest goes.
    pub fn push(&self, parcel: Parcel, kept: usize) {
        let mut outbox = self.outbox.lock();
        outbox.push_back(parcel);
        let over = outbox.len().saturating_sub(kept.max(1));
        let gone: Vec<Parcel> = outbox.drain(..over).collect();
        drop(outbox);
        gone.iter().for_each(|_| Counts::add(&self.counts.lost));
        self.arrived.notify_waiters();
    }

    /// Puts a parcel back to the front.
    pub fn put_back(&self, parcel: Parcel) {
        self.outbox.lock().push_front(parcel);
        self.arrived.notify_waiters();
    }

    pub fn take(&self) -> Option<Parcel> {
        self.outbox.lock().pop_front()
    }

    pub fn waiting(&self) -> usize {
        self.outbox.lock().len()
    }

    pub fn connections(&self) -> usize {
        self.links.lock().len()
    }

    /// Joins a connection, unless there are `most` already.
    pub fn join(&self, link: &Arc<Link>, most: usize) -> bool {
        let mut links = self.links.lock();
        let fits = links.len() < most;
        if fits {
            links.push(Arc::clone(link));
        }
        fits
    }

    pub fn leave(&self, link: &Arc<Link>) {
        self.links.lock().retain(|other| !Arc::ptr_eq(other, link));
    }

    /// Ends its connections; how many.
    pub fn disconnect(&self) -> usize {
        let links = self.links.lock();
        links.iter().for_each(|link| link.close());
        links.len()
    }

    /// Forgets what waits, unfinished messages and counts.
    pub fn forget(&self) {
        self.outbox.lock().clear();
        *self.long.lock() = Long::default();
        let counts = &self.counts;
        for counter in [&counts.accepted, &counts.refused, &counts.delivered, &counts.rejected, &counts.lost]
        {
            counter.store(0, Ordering::Relaxed);
        }
    }

    /// For the admin API.
    pub fn view(&self) -> Value {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counts = &self.counts;
        json!({
            "connections": self.connections(),
            "waiting": self.waiting(),
            "accepted": count(&counts.accepted),
            "refused": count(&counts.refused),
            "delivered": count(&counts.delivered),
            "rejected": count(&counts.rejected),
            "lost": count(&counts.lost),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_comes_twice_even_when_the_clock_stands_still() {
        let mut numbers = Numbers::starting(3);
        let mut seen = std::collections::HashSet::new();
        for now in [100, 100, 100, 100, 100, 101, 101, 99, 99, 99, 105] {
            assert!(seen.insert(numbers.next(now, (1, 4))), "{numbers:?}");
        }
        assert!(seen.contains(&(100, 3)) && seen.contains(&(105, 1)), "{seen:?}");
    }

    #[test]
    fn the_same_seed_gives_the_same_ids() {
        let ids = |seed| {
            let (partner, listener) = (Arc::from("mobile"), Arc::from("ismg"));
            let hub = Carriers::default();
            (0..3).map(|_| hub.number((&partner, &listener), seed, 60, (60, 1_000_000))).collect::<Vec<_>>()
        };
        assert_eq!(ids(7), ids(7));
        assert_ne!(ids(7), ids(8));
    }

    #[test]
    fn over_the_bound_the_oldest_parcels_go() {
        let state = AccountState::default();
        let part = |number: u8| Part {
            id: super::super::MessageId::Sgip(super::super::counted(number.into())),
            from: String::new(),
            to: String::new(),
            service: String::new(),
            has_header: false,
            format: 0,
            content: Vec::new(),
            total: 3,
            number,
            text: String::new(),
            sent_ms: 0,
        };
        (1..=3).for_each(|number| state.push(Parcel::new(Cargo::Uplink(part(number))), 2));
        assert_eq!(state.view()["lost"], 1);
        let first = state.take().map(|parcel| parcel.cargo);
        assert!(matches!(first, Some(Cargo::Uplink(Part { number: 2, .. }))));
    }
}
