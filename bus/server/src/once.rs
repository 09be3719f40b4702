//! What this node remembers of callers so that nothing takes effect twice: used nonces, and answers under idempotency keys. In
//! memory: a restart forgets it, and another node knows nothing of it.
use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    future::ready,
    sync::Arc,
};

use parking_lot::Mutex;
use qiao_core::{
    AnswerStore, BoxFuture, NonceStore, StoreError,
    once::{AnswerKey, Begun, Ended, KeptAnswer, NonceUse, Remembered},
};

/// How long an answer is kept for repeats.
const ANSWER_LIFE_MS: i64 = 10 * 60_000;
/// Keys and bytes of answers kept for one caller.
const MOST_KEYS: usize = 20_000;
const MOST_BYTES: usize = 16 << 20;
/// Places in the order that may be left of keys given back, beside as many as there are keys.
const GIVEN_BACK: usize = 64;
/// A larger answer is not kept.
const LARGEST_ANSWER: usize = 256 << 10;

/// The memory of one node. Bounded per caller, so that none can take another's room; callers are those of the definitions.
#[derive(Default)]
pub struct CallerMemory {
    nonces: Mutex<HashMap<Box<str>, Nonces>>,
    answers: Mutex<HashMap<Arc<str>, Answers>>,
}

/// Nonces of one caller with the time they may be forgotten.
#[derive(Default)]
struct Nonces {
    until: HashMap<[u8; 16], i64>,
    order: VecDeque<(i64, [u8; 16])>,
}

impl Nonces {
    fn forget(&mut self, now_ms: i64) {
        while let Some((until, nonce)) = self.order.front().copied().filter(|(until, _)| *until <= now_ms) {
            self.order.pop_front();
            // It may stand there anew since.
            if self.until.get(&nonce) == Some(&until) {
                self.until.remove(&nonce);
            }
        }
    }

    fn remember(&mut self, nonce: NonceUse<'_>) -> Remembered {
        self.forget(nonce.now_ms);
        let until = nonce.now_ms.saturating_add(nonce.keep_ms);
        let room = self.until.len() < nonce.most;
        match self.until.entry(nonce.nonce) {
            Entry::Occupied(known) if *known.get() > nonce.now_ms => return Remembered::Again,
            Entry::Vacant(_) if !room => return Remembered::Full,
            Entry::Occupied(mut known) => *known.get_mut() = until,
            Entry::Vacant(free) => {
                free.insert(until);
            }
        }
        self.order.push_back((until, nonce.nonce));
        Remembered::First
    }
}

/// Keys of one caller.
#[derive(Default)]
struct Answers {
    entries: HashMap<AnswerKey, Held>,
    order: VecDeque<(i64, AnswerKey)>,
    bytes: usize,
}

struct Held {
    request: [u8; 32],
    until_ms: i64,
    state: State,
}

enum State {
    Running,
    Answered(KeptAnswer),
    Unknown,
}

impl Held {
    fn bytes(&self) -> usize {
        match &self.state {
            State::Answered(answer) => size(answer),
            State::Running | State::Unknown => 0,
        }
    }
}

fn size(answer: &KeptAnswer) -> usize {
    let headers = answer.headers.iter().map(|(name, value)| name.as_str().len() + value.len());
    answer.body.len() + headers.sum::<usize>()
}

impl Answers {
    fn forget(&mut self, now_ms: i64) {
        while let Some((until, key)) = self.order.pop_front_if(|(until, _)| *until <= now_ms) {
            if self.entries.get(&key).is_some_and(|held| held.until_ms == until)
                && let Some(held) = self.entries.remove(&key)
            {
                self.bytes -= held.bytes();
            }
        }
    }

    fn begin(&mut self, key: &AnswerKey, request: [u8; 32], now_ms: i64) -> Begun {
        self.forget(now_ms);
        if let Some(held) = self.entries.get(key) {
            return match &held.state {
                _ if held.request != request => Begun::Other,
                State::Running => Begun::Running,
                State::Answered(answer) => Begun::Answered(answer.clone()),
                State::Unknown => Begun::Unknown,
            };
        }
        if self.entries.len() >= MOST_KEYS || self.bytes >= MOST_BYTES {
            return Begun::Full;
        }
        let until_ms = now_ms.saturating_add(ANSWER_LIFE_MS);
        self.entries.insert(key.clone(), Held { request, until_ms, state: State::Running });
        self.order.push_back((until_ms, key.clone()));
        Begun::First
    }

    /// Keys that were given back leave their places in the order behind: no more of them than there are keys, and a few. Each
    /// sweep drops at least half, so that a key given back costs the same however many there are.
    fn forget_given_back(&mut self) {
        if self.order.len() > 2 * self.entries.len() + GIVEN_BACK {
            let entries = &self.entries;
            self.order.retain(|(until, key)| entries.get(key).is_some_and(|held| held.until_ms == *until));
        }
    }

    fn finish(&mut self, key: &AnswerKey, ended: Ended) {
        let state = match ended {
            Ended::Nothing => {
                self.entries.remove(key);
                self.forget_given_back();
                return;
            }
            Ended::Answer(answer) if size(&answer) <= LARGEST_ANSWER => State::Answered(answer),
            Ended::Answer(_) | Ended::Unknown => State::Unknown,
        };
        if let Some(held) = self.entries.get_mut(key) {
            held.state = state;
            self.bytes += held.bytes();
        }
    }
}

impl CallerMemory {
    /// Forgets what is over, so that callers who went away take no room.
    pub fn forget_old(&self, now_ms: i64) {
        self.nonces.lock().retain(|_, nonces| {
            nonces.forget(now_ms);
            !nonces.order.is_empty()
        });
        self.answers.lock().retain(|_, answers| {
            answers.forget(now_ms);
            !answers.order.is_empty()
        });
    }

    /// Nonces and idempotency keys remembered now.
    pub fn counts(&self) -> (usize, usize) {
        let nonces = self.nonces.lock().values().map(|nonces| nonces.until.len()).sum();
        (nonces, self.answers.lock().values().map(|answers| answers.entries.len()).sum())
    }
}

impl NonceStore for CallerMemory {
    fn remember<'a>(&'a self, nonce: NonceUse<'a>) -> BoxFuture<'a, Result<Remembered, StoreError>> {
        let mut all = self.nonces.lock();
        let told = match all.get_mut(nonce.caller) {
            Some(nonces) => nonces.remember(nonce),
            None => all.entry(nonce.caller.into()).or_default().remember(nonce),
        };
        Box::pin(ready(Ok(told)))
    }
}

impl AnswerStore for CallerMemory {
    fn begin<'a>(
        &'a self,
        key: &'a AnswerKey,
        request: [u8; 32],
        now_ms: i64,
    ) -> BoxFuture<'a, Result<Begun, StoreError>> {
        let mut all = self.answers.lock();
        let begun = all.entry(Arc::clone(&key.caller)).or_default().begin(key, request, now_ms);
        Box::pin(ready(Ok(begun)))
    }

    fn finish(&self, key: &AnswerKey, ended: Ended) {
        if let Some(answers) = self.answers.lock().get_mut(&key.caller) {
            answers.finish(key, ended);
        }
    }
}

#[cfg(test)]
mod tests;
