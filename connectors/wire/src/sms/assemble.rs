//! Putting the parts of long messages together again, within bounds of memory and time.

use super::udh::Concatenation;
use std::collections::{BTreeMap, HashMap};

/// What the parts of one message have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PartKey {
    /// The sender's number.
    pub source: Vec<u8>,
    /// The recipient's number.
    pub destination: Vec<u8>,
    /// The sender's number of the message.
    pub reference: u16,
    /// How many parts it has.
    pub total: u8,
}

/// The bounds of an [`Assembler`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssemblerLimits {
    /// The most unfinished messages.
    pub messages: usize,
    /// The most bytes of keys and parts of unfinished messages.
    pub bytes: usize,
    /// How long a message may stay unfinished after its first part, in milliseconds of the caller's clock.
    pub timeout_ms: u64,
}

impl Default for AssemblerLimits {
    /// 4 096 messages, 4 MiB, 10 minutes.
    fn default() -> AssemblerLimits {
        AssemblerLimits { messages: 4096, bytes: 4 << 20, timeout_ms: 600_000 }
    }
}

/// What a part led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Parts are missing.
    Waiting {
        /// Parts present.
        have: u8,
        /// Parts needed.
        total: u8,
    },
    /// The part was here before, with the same bytes.
    Duplicate,
    /// All parts are here: their payloads in order. Decode only now: a sender may cut inside a character.
    Complete(Vec<u8>),
}

/// A message that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abandoned {
    /// Which message.
    pub key: PartKey,
    /// Parts that were present.
    pub have: u8,
    /// When its first part came, in milliseconds of the caller's clock.
    pub since_ms: u64,
}

/// The outcome of a part, and what had to go for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// What the part led to.
    pub outcome: Outcome,
    /// Messages given up: too old, in the way of the bounds, or contradicted by this part.
    pub abandoned: Vec<Abandoned>,
}

/// A part that cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AssemblyError {
    /// Key and concatenation disagree, or the part is outside its total.
    #[error("part {number} of {total} does not belong to a message of {key_total} parts")]
    Part {
        /// The part.
        number: u8,
        /// The concatenation's total.
        total: u8,
        /// The key's total.
        key_total: u8,
    },
    /// One part alone is above the bound of bytes.
    #[error("a part of {bytes} bytes exceeds the bound of {most}")]
    TooLarge {
        /// Bytes of key and payload.
        bytes: usize,
        /// The bound.
        most: usize,
    },
}

#[derive(Debug)]
struct Unfinished {
    age: u64,
    since_ms: u64,
    bytes: usize,
    parts: BTreeMap<u8, Vec<u8>>,
}

/// Bytes that one part costs besides its payload and key: a rough, fixed estimate, so that empty parts cost too.
const PART_COST: usize = 64;

/// Unfinished long messages. Not shared: one per connection, or behind the caller's lock.
#[derive(Debug)]
pub struct Assembler {
    limits: AssemblerLimits,
    messages: HashMap<PartKey, Unfinished>,
    by_age: BTreeMap<u64, PartKey>,
    next_age: u64,
    bytes: usize,
}

impl Assembler {
    /// An empty one.
    pub fn new(limits: AssemblerLimits) -> Assembler {
        Assembler { limits, messages: HashMap::new(), by_age: BTreeMap::new(), next_age: 0, bytes: 0 }
    }

    /// Takes one part. The oldest unfinished messages go when it would exceed the bounds. A part whose number was
    /// here with other bytes starts a new message: the sender has used the reference again.
    ///
    /// # Errors
    /// A part outside its message, or one larger than the whole bound; nothing changes then.
    pub fn push(
        &mut self,
        key: PartKey,
        part: Concatenation,
        payload: &[u8],
        now_ms: u64,
    ) -> Result<Pushed, AssemblyError> {
        let Concatenation { total, number, .. } = part;
        if total != key.total || number == 0 || number > total {
            return Err(AssemblyError::Part { number, total, key_total: key.total });
        }
        let cost = payload.len() + PART_COST + key.source.len() + key.destination.len();
        if cost > self.limits.bytes {
            return Err(AssemblyError::TooLarge { bytes: cost, most: self.limits.bytes });
        }
        let mut abandoned = self.expire(now_ms);
        match self.messages.get(&key).and_then(|message| message.parts.get(&number)) {
            Some(held) if held == payload => return Ok(Pushed { outcome: Outcome::Duplicate, abandoned }),
            Some(_) => abandoned.extend(self.abandon(&key)),
            None => {}
        }
        if total == 1 {
            return Ok(Pushed { outcome: Outcome::Complete(payload.to_vec()), abandoned });
        }
        self.make_room(&key, cost, &mut abandoned);
        Ok(Pushed { outcome: self.keep(key, number, payload, cost, now_ms), abandoned })
    }

    /// Gives up the messages whose time is over; also done by every [`Assembler::push`].
    pub fn expire(&mut self, now_ms: u64) -> Vec<Abandoned> {
        let mut expired = Vec::new();
        while let Some(oldest) = self.by_age.first_entry() {
            let since = self.messages.get(oldest.get()).map_or(0, |message| message.since_ms);
            if now_ms.saturating_sub(since) < self.limits.timeout_ms {
                break;
            }
            let key = oldest.get().clone();
            expired.extend(self.abandon(&key));
        }
        expired
    }

    /// How many messages are unfinished.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether no message is unfinished.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Bytes of keys and parts held, never above the bound.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn keep(&mut self, key: PartKey, number: u8, payload: &[u8], cost: usize, now_ms: u64) -> Outcome {
        if !self.messages.contains_key(&key) {
            self.by_age.insert(self.next_age, key.clone());
        }
        let message = self.messages.entry(key.clone()).or_insert_with(|| {
            let age = self.next_age;
            self.next_age += 1;
            Unfinished { age, since_ms: now_ms, bytes: 0, parts: BTreeMap::new() }
        });
        message.parts.insert(number, payload.to_vec());
        message.bytes += cost;
        self.bytes += cost;
        // distinct numbers of one byte: at most 255
        let have = message.parts.len() as u8;
        if have < key.total {
            return Outcome::Waiting { have, total: key.total };
        }
        let finished = self.remove(&key).map(|message| message.parts).unwrap_or_default();
        Outcome::Complete(finished.into_values().flatten().collect())
    }

    fn make_room(&mut self, key: &PartKey, cost: usize, abandoned: &mut Vec<Abandoned>) {
        loop {
            let full = !self.messages.contains_key(key) && self.messages.len() >= self.limits.messages.max(1);
            if !full && self.bytes + cost <= self.limits.bytes {
                return;
            }
            let Some(oldest) = self.by_age.first_key_value().map(|(_, key)| key.clone()) else { return };
            abandoned.extend(self.abandon(&oldest));
        }
    }

    fn abandon(&mut self, key: &PartKey) -> Option<Abandoned> {
        let message = self.remove(key)?;
        // distinct numbers of one byte: at most 255
        let have = message.parts.len() as u8;
        Some(Abandoned { key: key.clone(), have, since_ms: message.since_ms })
    }

    fn remove(&mut self, key: &PartKey) -> Option<Unfinished> {
        let message = self.messages.remove(key)?;
        self.by_age.remove(&message.age);
        self.bytes -= message.bytes;
        Some(message)
    }
}
