//! The ring's memory: records one after another in segments, the oldest of which is used again when there is no more room. Nothing
//! is allocated or freed per entry, and what is forgotten is not looked at once more.
use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
    sync::Arc,
};

use super::{
    entry::{Entry, Nearest},
    packed::{HEAD, Parts, read},
};

/// A ring has about so many segments: that part of it is forgotten at once.
const SEGMENTS: usize = 64;
/// Bounds of a segment in bytes.
const LEAST: usize = 1 << 10;
const MOST: usize = 1 << 20;
/// Bytes of a record's place in its segment.
const PLACE: usize = size_of::<u32>();

#[derive(Debug)]
pub struct Ring {
    /// The oldest first; the last is being written.
    segments: VecDeque<Segment>,
    /// Explanations of misses, with what they weigh.
    nearest: BTreeMap<u64, (Arc<[Nearest]>, usize)>,
    max: usize,
    /// Bytes of memory taken.
    held: usize,
    /// Bytes of them in use.
    used: usize,
    /// The id that the next entry will have; ids ascend without gaps.
    pub next: u64,
    /// Entries before this one were cleared on purpose.
    pub cleared: u64,
}

#[derive(Debug)]
struct Segment {
    /// Id of its first record.
    first: u64,
    bytes: Vec<u8>,
    /// Where each record begins.
    places: Vec<u32>,
    /// What `bytes` may hold.
    capacity: usize,
}

/// What a segment of so many bytes takes with the places of the most records that it can hold.
fn weight(capacity: usize) -> usize {
    capacity + most_records(capacity) * PLACE
}

fn most_records(capacity: usize) -> usize {
    capacity / HEAD
}

impl Segment {
    fn new(first: u64, capacity: usize) -> Self {
        let places = Vec::with_capacity(most_records(capacity));
        Self { first, bytes: Vec::with_capacity(capacity), places, capacity }
    }

    fn used(&self) -> usize {
        self.bytes.len() + self.places.len() * PLACE
    }

    fn record(&self, number: usize) -> Option<&[u8]> {
        let start = *self.places.get(number)? as usize;
        let end = self.places.get(number + 1).map_or(self.bytes.len(), |next| *next as usize);
        self.bytes.get(start..end)
    }
}

impl Ring {
    pub fn new(max: usize) -> Self {
        Self {
            segments: VecDeque::new(),
            nearest: BTreeMap::new(),
            max,
            held: 0,
            used: 0,
            next: 1,
            cleared: 1,
        }
    }

    /// The oldest entry's id; that of the next where there is none.
    pub fn first(&self) -> u64 {
        self.segments.front().map_or(self.next, |segment| segment.first)
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Adds an entry and tells its id. One larger than the whole ring is not kept, nor is anything before it.
    pub fn push(&mut self, entry: &Entry<'_>) -> u64 {
        let (id, parts) = (self.next, Parts::of(entry));
        let length = parts.record_len();
        self.next += 1;
        let fits = |segment: &Segment| segment.bytes.len() + length <= segment.capacity;
        if !self.segments.back().is_some_and(fits) {
            self.open(id, length);
        }
        // None where it is too large.
        if let Some(segment) = self.segments.back_mut() {
            let before = segment.used();
            segment.places.push(u32::try_from(segment.bytes.len()).unwrap_or(u32::MAX));
            parts.write(entry, &mut segment.bytes);
            self.used += segment.used() - before;
        }
        id
    }

    /// A segment for a record of that length; the oldest make room for it.
    fn open(&mut self, first: u64, length: usize) {
        let capacity = (self.max / SEGMENTS).clamp(LEAST, MOST).max(length);
        let mut spare = None;
        while self.held + weight(capacity) > self.max {
            let Some(oldest) = self.forget_oldest() else { return };
            spare = Some(oldest);
        }
        self.held += weight(capacity);
        self.segments.push_back(match spare.filter(|spare| spare.capacity == capacity) {
            Some(mut spare) => {
                spare.bytes.clear();
                spare.places.clear();
                Segment { first, ..spare }
            }
            None => Segment::new(first, capacity),
        });
    }

    fn forget_oldest(&mut self) -> Option<Segment> {
        let oldest = self.segments.pop_front()?;
        self.held -= weight(oldest.capacity);
        self.used -= oldest.used();
        let first = self.first();
        while self.nearest.first_key_value().is_some_and(|(id, _)| *id < first) {
            self.forget_explanation();
        }
        Some(oldest)
    }

    fn forget_explanation(&mut self) {
        if let Some((_, (_, weight))) = self.nearest.pop_first() {
            self.held -= weight;
            self.used -= weight;
        }
    }

    /// Adds why an entry was a miss, unless it is forgotten or explained already. The oldest entries make room; where only the newest
    /// are left, the oldest explanations.
    pub fn explain(&mut self, id: u64, nearest: Vec<Nearest>) {
        if id < self.first() || id >= self.next || self.nearest.contains_key(&id) {
            return;
        }
        let weight = nearest.iter().map(Nearest::weight).sum();
        self.nearest.insert(id, (nearest.into(), weight));
        self.held += weight;
        self.used += weight;
        while self.held > self.max {
            if self.segments.len() > 1 {
                drop(self.forget_oldest());
            } else {
                self.forget_explanation();
            }
        }
    }

    pub fn nearest(&self, id: u64) -> Option<Arc<[Nearest]>> {
        self.nearest.get(&id).map(|(nearest, _)| Arc::clone(nearest))
    }

    /// The bytes of an entry, unless it is forgotten.
    pub fn record(&self, id: u64) -> Option<&[u8]> {
        let after = self.segments.partition_point(|segment| segment.first <= id);
        let segment = self.segments.get(after.checked_sub(1)?)?;
        segment.record(usize::try_from(id - segment.first).ok()?)
    }

    /// Entries of these ids, as far as they are there.
    pub fn entries(&self, ids: Range<u64>) -> impl DoubleEndedIterator<Item = (Entry<'_>, &[u8])> {
        let (from, to) = (ids.start.max(self.first()), ids.end.min(self.next));
        (from..to).filter_map(|id| self.record(id).map(|record| (read(id, record), record)))
    }

    /// Forgets everything on purpose. What comes back holds the memory, to be freed where no request waits.
    pub fn clear(&mut self) -> impl Sized + use<> {
        self.cleared = self.next;
        (self.held, self.used) = (0, 0);
        (std::mem::take(&mut self.segments), std::mem::take(&mut self.nearest))
    }

    #[cfg(test)]
    pub fn held(&self) -> usize {
        self.held
    }
}
