//! What a mock partner remembers per session and business key: states, stored values, counts. Bounded, O(1) per request.
mod lru;

use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use serde_json::{Map, Value};

use crate::entropy::Fnv;
use lru::Lru;

/// The state every machine starts in.
pub const INITIAL: &str = "new";
/// Bytes of stored values per key, names included.
const MAX_DATA: usize = 16 * 1024;
const SHARDS: usize = 16;

/// What is remembered of one business key.
#[derive(Clone, Debug, Default)]
pub struct Instance {
    states: Vec<(Box<str>, Box<str>)>,
    /// Values that stubs stored.
    pub data: Map<String, Value>,
    /// Requests matched with this key.
    pub count: u64,
    counters: Vec<(u64, u64)>,
}

impl Instance {
    /// The state of a machine.
    pub fn state(&self, machine: &str) -> &str {
        self.states.iter().find(|(name, _)| &**name == machine).map_or(INITIAL, |(_, state)| state)
    }

    /// Moves a machine.
    pub fn go(&mut self, machine: &str, state: &str) {
        match self.states.iter_mut().find(|(name, _)| &**name == machine) {
            Some((_, current)) => *current = state.into(),
            None => self.states.push((machine.into(), state.into())),
        }
    }

    /// All machines that have left their first state, or were set.
    pub fn states(&self) -> impl Iterator<Item = (&str, &str)> {
        self.states.iter().map(|(machine, state)| (&**machine, &**state))
    }

    /// Counts one more of what `counter` counts for this key: 1 the first time.
    pub fn tick(&mut self, counter: u64) -> u64 {
        match self.counters.iter_mut().find(|(id, _)| *id == counter) {
            Some((_, n)) => {
                *n += 1;
                *n
            }
            None => {
                self.counters.push((counter, 1));
                1
            }
        }
    }

    /// Whether the stored values keep within their bound.
    pub fn fits(&self) -> bool {
        let size = |(name, value): (&String, &Value)| name.len() + weight(value);
        self.data.iter().map(size).sum::<usize>() <= MAX_DATA
    }
}

/// An estimate of the bytes a value holds, without writing it out.
fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(elements) => elements.iter().map(weight).sum::<usize>() + 2,
        Value::Object(members) => {
            members.iter().map(|(name, value)| name.len() + weight(value)).sum::<usize>() + 2
        }
        _ => 8,
    }
}

/// The instances of one partner, in shards so that keys do not wait for one another.
#[derive(Debug)]
pub struct StateTable {
    shards: Vec<Mutex<Lru>>,
}

/// A locked shard: what is read and written through it is one step.
pub struct Locked<'a>(MutexGuard<'a, Lru>);

impl Locked<'_> {
    /// The instance of that key, made when it is not there or has expired.
    pub fn instance(&mut self, key: &str, now: Instant) -> &mut Instance {
        self.0.touch(key, now)
    }

    /// The instance of that key as it is, or none.
    pub fn peek(&self, key: &str, now: Instant) -> Option<&Instance> {
        self.0.peek(key, now)
    }
}

impl StateTable {
    /// A table of at most `max` keys, each forgotten `ttl` after its last use.
    pub fn new(max: usize, ttl: Duration) -> Self {
        // A small table has one shard, so that its bound is exact.
        let shards = if max < 1024 { 1 } else { SHARDS };
        let each = max.div_ceil(shards).max(1);
        Self { shards: (0..shards).map(|_| Mutex::new(Lru::new(each, ttl))).collect() }
    }

    /// Locks the shard of a key.
    pub fn lock(&self, key: &str) -> Locked<'_> {
        Locked(self.shards[self.shard(key)].lock())
    }

    /// The number of the key's shard.
    pub fn shard(&self, key: &str) -> usize {
        let count = u64::try_from(self.shards.len()).unwrap_or(1);
        // The low bits of FNV-1a are its weak ones.
        usize::try_from((Fnv::hash(key.as_bytes()) >> 32) % count).unwrap_or(0)
    }

    /// Changes the bounds, on reload. Keys over the new bound are forgotten as others come.
    pub fn resize(&self, max: usize, ttl: Duration) {
        let each = max.div_ceil(self.shards.len()).max(1);
        self.shards.iter().for_each(|shard| shard.lock().resize(each, ttl));
    }

    /// Forgets one key; whether it was there.
    pub fn remove(&self, key: &str) -> bool {
        self.shards[self.shard(key)].lock().remove(key)
    }

    /// Forgets every key that begins with `prefix`.
    pub fn clear(&self, prefix: &str) {
        self.shards.iter().for_each(|shard| shard.lock().remove_prefix(prefix));
    }

    /// Keys remembered, expired ones not yet swept included.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Up to `limit` keys of a session with their instances, those after `after` in the order of keys.
    pub fn list(&self, prefix: &str, after: &str, limit: usize, now: Instant) -> Vec<(String, Instance)> {
        let mut found = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock();
            let wanted = shard.keys().filter(|key| key.starts_with(prefix) && *key > after);
            found.extend(wanted.filter_map(|key| Some((key.to_owned(), shard.peek(key, now)?.clone()))));
        }
        found.sort_by(|left, right| left.0.cmp(&right.0));
        found.truncate(limit);
        found
    }
}

/// The key under which a session's business key is kept. Sessions hold no control characters, so they cannot collide.
pub fn full_key(session: &str, key: &str) -> String {
    format!("{session}\n{key}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_start_new_and_move_apart() {
        let mut instance = Instance::default();
        instance.go("card", "lost");
        assert_eq!((instance.state("card"), instance.state("permit")), ("lost", INITIAL));
        instance.go("card", "found");
        assert_eq!(instance.states().collect::<Vec<_>>(), [("card", "found")]);
    }

    #[test]
    fn sessions_do_not_see_one_another() {
        let table = StateTable::new(100, Duration::from_secs(60));
        let now = Instant::now();
        table.lock("a\nk").instance("a\nk", now).go("main", "done");
        assert_eq!(table.lock("b\nk").instance("b\nk", now).state("main"), INITIAL);
        table.clear("a\n");
        assert_eq!(table.lock("a\nk").instance("a\nk", now).state("main"), INITIAL);
        assert_eq!(table.list("b\n", "", 10, now).len(), 1);
    }

    #[test]
    fn values_beyond_the_bound_do_not_fit() {
        let mut instance = Instance::default();
        assert!(instance.fits());
        instance.data.insert("long".into(), Value::from("x".repeat(MAX_DATA)));
        assert!(!instance.fits());
    }

    #[test]
    fn a_large_table_never_holds_more_than_its_bound() {
        let table = StateTable::new(1024, Duration::from_secs(60));
        for n in 0..10_000 {
            let key = format!("\n{n}");
            table.lock(&key).instance(&key, Instant::now());
        }
        assert!(table.len() <= 1024, "{}", table.len());
    }
}
