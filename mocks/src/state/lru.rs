//! A map that forgets: the longest untouched first when it is full, and each entry some time after its last use.
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::Instance;

const NONE: usize = usize::MAX;

/// A hash map whose entries are linked in the order of their last use; all operations but the prefix removal are O(1).
#[derive(Debug)]
pub struct Lru {
    index: HashMap<Box<str>, usize>,
    slots: Vec<Slot>,
    free: Vec<usize>,
    newest: usize,
    oldest: usize,
    max: usize,
    ttl: Duration,
}

#[derive(Debug)]
struct Slot {
    key: Box<str>,
    instance: Instance,
    touched: Instant,
    newer: usize,
    older: usize,
}

impl Lru {
    pub fn new(max: usize, ttl: Duration) -> Self {
        Self {
            index: HashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            newest: NONE,
            oldest: NONE,
            max,
            ttl,
        }
    }

    pub fn resize(&mut self, max: usize, ttl: Duration) {
        (self.max, self.ttl) = (max, ttl);
    }

    pub fn len(&self) -> usize {
        self.index.len()
    }

    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.index.keys().map(|key| &**key)
    }

    /// The entry as it is, unless it has expired.
    pub fn peek(&self, key: &str, now: Instant) -> Option<&Instance> {
        let slot = &self.slots[*self.index.get(key)?];
        (now.saturating_duration_since(slot.touched) < self.ttl).then_some(&slot.instance)
    }

    /// The entry, made anew when it is not there or has expired; it is now the newest.
    pub fn touch(&mut self, key: &str, now: Instant) -> &mut Instance {
        let place = match self.index.get(key) {
            Some(&place) => {
                self.unlink(place);
                let slot = &mut self.slots[place];
                if now.saturating_duration_since(slot.touched) >= self.ttl {
                    slot.instance = Instance::default();
                }
                place
            }
            None => self.insert(key, now),
        };
        self.slots[place].touched = now;
        self.link(place);
        &mut self.slots[place].instance
    }

    fn insert(&mut self, key: &str, now: Instant) -> usize {
        self.sweep(now);
        let slot =
            Slot { key: key.into(), instance: Instance::default(), touched: now, newer: NONE, older: NONE };
        let place = match self.free.pop() {
            Some(place) => {
                self.slots[place] = slot;
                place
            }
            None => {
                self.slots.push(slot);
                self.slots.len() - 1
            }
        };
        self.index.insert(key.into(), place);
        place
    }

    /// Makes room for one entry, and drops up to two expired ones, so that a quiet table shrinks.
    fn sweep(&mut self, now: Instant) {
        while self.index.len() >= self.max && self.oldest != NONE {
            self.drop_slot(self.oldest);
        }
        for _ in 0..2 {
            if self.oldest == NONE
                || now.saturating_duration_since(self.slots[self.oldest].touched) < self.ttl
            {
                return;
            }
            self.drop_slot(self.oldest);
        }
    }

    pub fn remove(&mut self, key: &str) -> bool {
        let Some(&place) = self.index.get(key) else { return false };
        self.drop_slot(place);
        true
    }

    pub fn remove_prefix(&mut self, prefix: &str) {
        let places: Vec<usize> =
            self.index.iter().filter(|(key, _)| key.starts_with(prefix)).map(|(_, place)| *place).collect();
        places.into_iter().for_each(|place| self.drop_slot(place));
    }

    fn drop_slot(&mut self, place: usize) {
        self.unlink(place);
        let slot = &mut self.slots[place];
        slot.instance = Instance::default();
        let key = std::mem::take(&mut slot.key);
        self.index.remove(&key);
        self.free.push(place);
    }

    fn unlink(&mut self, place: usize) {
        let (newer, older) = (self.slots[place].newer, self.slots[place].older);
        match newer {
            NONE => self.newest = older,
            newer => self.slots[newer].older = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => self.slots[older].newer = newer,
        }
    }

    fn link(&mut self, place: usize) {
        let older = self.newest;
        (self.slots[place].newer, self.slots[place].older) = (NONE, older);
        match older {
            NONE => self.oldest = place,
            older => self.slots[older].newer = place,
        }
        self.newest = place;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TTL: Duration = Duration::from_secs(60);

    #[test]
    fn the_longest_untouched_is_forgotten_first() {
        let now = Instant::now();
        let mut lru = Lru::new(2, TTL);
        lru.touch("a", now).count = 1;
        lru.touch("b", now).count = 2;
        lru.touch("a", now);
        lru.touch("c", now);
        assert!(lru.peek("b", now).is_none());
        assert_eq!(lru.peek("a", now).map(|instance| instance.count), Some(1));
    }

    #[test]
    fn an_entry_lives_a_ttl_after_its_last_use() {
        let start = Instant::now();
        let mut lru = Lru::new(10, TTL);
        lru.touch("a", start).count = 5;
        assert_eq!(lru.touch("a", start + TTL / 2).count, 5);
        assert_eq!(lru.touch("a", start + TTL).count, 5, "the second use prolonged it");
        assert!(lru.peek("a", start + TTL * 2).is_none());
        assert_eq!(lru.touch("a", start + TTL * 3).count, 0);
    }

    proptest! {
        /// Against a plain list ordered by use.
        #[test]
        fn agrees_with_a_list_in_order_of_use(steps in prop::collection::vec((0_u8..12, any::<bool>()), 0..200)) {
            let now = Instant::now();
            let mut lru = Lru::new(5, TTL);
            let mut list: Vec<String> = Vec::new();
            for (key, remove) in steps {
                let key = key.to_string();
                let known = list.iter().position(|k| *k == key);
                if remove {
                    prop_assert_eq!(lru.remove(&key), known.is_some());
                    known.map(|at| list.remove(at));
                } else {
                    lru.touch(&key, now);
                    known.map(|at| list.remove(at));
                    if list.len() == 5 { list.remove(0); }
                    list.push(key);
                }
                prop_assert_eq!(lru.len(), list.len());
                prop_assert!(list.iter().all(|key| lru.peek(key, now).is_some()));
            }
        }
    }
}
