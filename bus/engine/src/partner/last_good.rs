//! The last good answers of one step, for the day its partner is down. In memory only; of the key only a hash is kept.
use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use serde_json::Value;
use tokio::time::Instant;

/// All answers of one step together, by the size they had on the wire.
const BYTES: usize = 64 << 20;

/// Answers by key, bounded in number and size; the oldest goes first.
pub struct LastGoodAnswers {
    entries: usize,
    /// Two keyed hashes of 64 bits make a key nobody can make collide.
    hashers: [RandomState; 2],
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    answers: HashMap<u128, Kept>,
    order: VecDeque<(u128, u64)>,
    written: u64,
    bytes: usize,
}

struct Kept {
    answer: Arc<Value>,
    at: Instant,
    bytes: usize,
    /// Which write this is: tells a stale place in the order from the current one.
    write: u64,
}

impl LastGoodAnswers {
    pub fn new(entries: usize) -> Self {
        Self { entries: entries.max(1), hashers: Default::default(), inner: Mutex::default() }
    }

    fn hash(&self, key: &str) -> u128 {
        let [left, right] = &self.hashers;
        u128::from(left.hash_one(key)) << 64 | u128::from(right.hash_one(key))
    }

    /// Keeps an answer; `bytes` is about what it weighs. An answer above the whole bound is not kept.
    pub fn keep(&self, key: &str, answer: Arc<Value>, bytes: usize) {
        if bytes > BYTES {
            return;
        }
        let key = self.hash(key);
        let mut inner = self.inner.lock();
        inner.written += 1;
        let write = inner.written;
        let kept = Kept { answer, at: Instant::now(), bytes, write };
        if let Some(before) = inner.answers.insert(key, kept) {
            inner.bytes -= before.bytes;
        }
        inner.bytes += bytes;
        inner.order.push_back((key, write));
        inner.trim(self.entries);
    }

    /// The answer to the same key, unless it is older than `max_age`.
    pub fn get(&self, key: &str, max_age: Duration) -> Option<Arc<Value>> {
        let key = self.hash(key);
        let inner = self.inner.lock();
        let kept = inner.answers.get(&key)?;
        (kept.at.elapsed() <= max_age).then(|| kept.answer.clone())
    }
}

impl Inner {
    fn trim(&mut self, entries: usize) {
        if self.order.len() > 2 * entries {
            // Keys written again leave stale places behind.
            let answers = &self.answers;
            self.order.retain(|(key, write)| answers.get(key).is_some_and(|kept| kept.write == *write));
        }
        while self.answers.len() > entries || self.bytes > BYTES {
            let Some((key, write)) = self.order.pop_front() else { return };
            let current = self.answers.get(&key).is_some_and(|kept| kept.write == write);
            if current && let Some(kept) = self.answers.remove(&key) {
                self.bytes -= kept.bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Arc<Value> {
        Arc::new(Value::from(text))
    }

    #[tokio::test(start_paused = true)]
    async fn gives_the_answer_of_the_same_key_until_it_is_too_old() {
        let kept = LastGoodAnswers::new(10);
        kept.keep("a", answer("one"), 5);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(kept.get("a", Duration::from_secs(60)), Some(answer("one")));
        assert_eq!(kept.get("b", Duration::from_secs(60)), None);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(kept.get("a", Duration::from_secs(60)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_a_bounded_number_and_drops_the_oldest_write_first() {
        let kept = LastGoodAnswers::new(2);
        let hour = Duration::from_secs(3600);
        kept.keep("a", answer("one"), 5);
        kept.keep("b", answer("two"), 5);
        kept.keep("a", answer("three"), 5);
        kept.keep("c", answer("four"), 5);
        assert_eq!(kept.get("b", hour), None, "the oldest write");
        assert_eq!(kept.get("a", hour), Some(answer("three")));
        for _ in 0..100 {
            kept.keep("c", answer("again"), 5);
        }
        assert_eq!(kept.get("a", hour), Some(answer("three")), "a busy neighbour does not push it out");
        let inner = kept.inner.lock();
        assert!(inner.order.len() <= 4 && inner.bytes <= 10, "{} {}", inner.order.len(), inner.bytes);
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_a_bounded_number_of_bytes() {
        let kept = LastGoodAnswers::new(1000);
        kept.keep("a", answer("one"), BYTES / 2);
        kept.keep("b", answer("two"), BYTES / 2);
        kept.keep("c", answer("three"), BYTES / 2);
        kept.keep("huge", answer("four"), BYTES + 1);
        let hour = Duration::from_secs(3600);
        let found = ["a", "b", "c", "huge"].map(|key| kept.get(key, hour).is_some());
        assert_eq!(found, [false, true, true, false]);
    }
}
