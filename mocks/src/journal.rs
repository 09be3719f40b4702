//! What the mock partners were asked and what they answered: a ring bounded in bytes, read in pages by cursor.
use std::{
    collections::VecDeque,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::{Notify, broadcast, futures::Notified};

/// Default bound of the ring in bytes.
pub const DEFAULT_BYTES: usize = 64 << 20;
/// Largest bound of the ring in bytes: about six million entries with bodies of a few words, one with bodies of 3 KiB.
pub const MAX_BYTES: usize = 4 << 30;
/// Bodies are cut to this many bytes.
pub const BODY_CUT: usize = 8 << 10;
/// Entries in one page at most.
pub const MAX_PAGE: usize = 500;
/// Entries that are read for one page at most.
pub const READ: usize = 100_000;
/// Entries that one who looks on may be behind.
const TAIL: usize = 1_024;

/// One request to a mock partner.
#[derive(Debug, Default)]
pub struct Entry {
    /// Ascending from 1, never used twice while the server runs.
    pub id: u64,
    /// Unix time in microseconds.
    pub at_us: i64,
    pub partner: Arc<str>,
    pub listener: Arc<str>,
    /// From the header `X-Mock-Session`; empty in the common session.
    pub session: Box<str>,
    /// Who called, where the partner's `caller` says how that is told.
    pub caller: Option<Box<str>>,
    pub traceparent: Option<Box<str>>,
    pub method: Box<str>,
    /// Path below the listener's.
    pub path: Box<str>,
    /// Value of `select`.
    pub item: Option<Box<str>>,
    /// Business key, where the request has one.
    pub key: Option<Box<str>>,
    /// `partner/stub@hash`, none for a miss.
    pub stub: Option<Arc<str>>,
    pub state_before: Option<Box<str>>,
    pub state_after: Option<Box<str>>,
    /// Changes of shared tables, as JSON.
    pub writes: Option<Box<str>>,
    /// The fault that struck and where it came from: `reset (dial flaky)`.
    pub fault: Option<Box<str>>,
    /// Wait before the answer, in milliseconds.
    pub delay_ms: u64,
    /// Time to the answer without the wait, in microseconds.
    pub took_us: u64,
    /// 0 where no answer was given.
    pub status: u16,
    pub request: Body,
    /// The opened business document as JSON, where requests are sealed.
    pub plain: Option<Body>,
    pub answer: Body,
    /// What kept the request from being understood, or the answer from being made.
    pub problem: Option<Box<str>>,
    /// For a miss: the stubs that came nearest, once the diagnosis is done.
    pub nearest: OnceLock<Vec<Nearest>>,
    /// What `nearest` weighs; changed under the ring's lock only.
    pub explained: AtomicUsize,
}

/// A body as kept: cut, with its whole size.
#[derive(Clone, Debug, Default)]
pub struct Body {
    pub bytes: Bytes,
    pub size: usize,
}

impl Body {
    /// A copy of the first [`BODY_CUT`] bytes: the original may be a slice of a much larger buffer.
    pub fn cut(bytes: &[u8]) -> Self {
        Self { bytes: Bytes::copy_from_slice(&bytes[..bytes.len().min(BODY_CUT)]), size: bytes.len() }
    }
}

/// A stub that did not match, and why.
#[derive(Clone, Debug, Serialize)]
pub struct Nearest {
    pub stub: String,
    pub criteria: Vec<Verdict>,
}

/// One criterion of a stub against one request.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct Verdict {
    /// As written, for instance `$.request.body.age`.
    pub criterion: String,
    pub wanted: String,
    /// What the request held, cut to 200 characters; none where it held nothing.
    pub seen: Option<String>,
    pub ok: bool,
}

impl Nearest {
    fn weight(&self) -> usize {
        let verdict = |verdict: &Verdict| {
            let seen = verdict.seen.as_ref().map_or(0, String::len);
            size_of::<Verdict>() + verdict.criterion.len() + verdict.wanted.len() + seen
        };
        size_of::<Self>() + self.stub.len() + self.criteria.iter().map(verdict).sum::<usize>()
    }
}

impl Entry {
    /// What it weighs in the ring: its texts and an allowance for its fields.
    fn weight(&self) -> usize {
        let text = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
        let plain = self.plain.as_ref().map_or(0, |plain| plain.bytes.len());
        let fields = [
            &self.caller,
            &self.traceparent,
            &self.item,
            &self.key,
            &self.state_before,
            &self.state_after,
            &self.fault,
        ];
        size_of::<Self>()
            + 64
            + self.request.bytes.len()
            + self.answer.bytes.len()
            + plain
            + self.method.len()
            + self.path.len()
            + self.session.len()
            + text(&self.problem)
            + text(&self.writes)
            + fields.into_iter().map(text).sum::<usize>()
            + self.explained.load(Ordering::Relaxed)
    }
}

/// Which entries a page holds.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub partner: Option<String>,
    pub session: Option<String>,
    pub item: Option<String>,
    /// The business key.
    pub key: Option<String>,
    pub stub: Option<String>,
    pub caller: Option<String>,
    /// The trace's id, or the whole `traceparent`.
    pub trace: Option<String>,
    /// Only misses, or only matches.
    pub miss: Option<bool>,
}

impl Filter {
    /// Whether it lets everything pass.
    pub fn is_everything(&self) -> bool {
        let Self { partner, session, item, key, stub, caller, trace, .. } = self;
        let texts = [partner, session, item, key, stub, caller, trace];
        texts.into_iter().all(Option::is_none) && self.miss.is_none()
    }

    pub fn fits(&self, entry: &Entry) -> bool {
        let same = |wanted: &Option<String>, seen: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| seen == Some(wanted))
        };
        let stub = || entry.stub.as_deref().and_then(|name| name.split(['/', '@']).nth(1));
        same(&self.partner, Some(&entry.partner))
            && same(&self.session, Some(&entry.session))
            && same(&self.item, entry.item.as_deref())
            && same(&self.key, entry.key.as_deref())
            && (self.stub.is_none() || same(&self.stub, stub()))
            && same(&self.caller, entry.caller.as_deref())
            && self.trace.as_deref().is_none_or(|trace| of_trace(entry, trace))
            && self.miss.is_none_or(|miss| miss == entry.stub.is_none())
    }
}

/// Whether an entry belongs to a trace, by its id or the whole `traceparent`.
pub fn of_trace(entry: &Entry, trace: &str) -> bool {
    let traceparent = entry.traceparent.as_deref().unwrap_or_default();
    traceparent == trace || traceparent.split('-').nth(1) == Some(trace)
}

/// Entries, newest first, and the cursor of the next page.
#[derive(Debug)]
pub struct Page {
    pub entries: Vec<Arc<Entry>>,
    /// Pass as `before` for the next page; none at the end.
    pub next: Option<u64>,
    /// Entries looked at.
    pub read: usize,
}

/// Entries in the order in which they came.
#[derive(Debug)]
pub struct Span {
    pub entries: Vec<Arc<Entry>>,
    /// Pass as `from` to go on.
    pub next: u64,
    /// Whether entries from `from` on had to make room before they were read.
    pub forgotten: bool,
}

/// The ring.
#[derive(Debug)]
pub struct Journal {
    ring: Mutex<Ring>,
    max: usize,
    /// Wakes those who wait for entries.
    changed: Notify,
    /// To those who look on; what they do not take in time they miss.
    tail: broadcast::Sender<Arc<Entry>>,
}

#[derive(Debug)]
struct Ring {
    entries: VecDeque<Arc<Entry>>,
    /// The id of the front entry; ids ascend without gaps.
    first: u64,
    bytes: usize,
    /// Entries before this one were cleared on purpose.
    cleared: u64,
}

impl Ring {
    /// Takes the oldest entries out until the rest fits.
    fn evict(&mut self, max: usize) -> Vec<Arc<Entry>> {
        let mut dropped = Vec::new();
        while self.bytes > max {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.first += 1;
            self.bytes -= oldest.weight();
            dropped.push(oldest);
        }
        dropped
    }
}

impl Journal {
    /// A ring of at most `max` bytes, itself at most [`MAX_BYTES`].
    pub fn new(max: usize) -> Self {
        let ring = Ring { entries: VecDeque::new(), first: 1, bytes: 0, cleared: 1 };
        let tail = broadcast::Sender::new(TAIL);
        Self { ring: Mutex::new(ring), max: max.min(MAX_BYTES), changed: Notify::new(), tail }
    }

    /// Adds an entry, which gets its id here, and forgets the oldest over the bound. An entry larger than the whole ring is not kept.
    pub fn push(&self, mut entry: Entry) -> Arc<Entry> {
        let weight = entry.weight();
        let mut ring = self.ring.lock();
        entry.id = ring.first + ring.entries.len() as u64;
        let entry = Arc::new(entry);
        ring.bytes += weight;
        ring.entries.push_back(Arc::clone(&entry));
        let dropped = ring.evict(self.max);
        drop(ring);
        // The forgotten entries are freed here, outside the lock.
        drop(dropped);
        self.changed.notify_waiters();
        if self.tail.receiver_count() > 0 {
            // An error means that the last of them has just left.
            drop(self.tail.send(Arc::clone(&entry)));
        }
        entry
    }

    /// Entries as they come from now on. Who is more than a thousand behind misses some and is told so.
    pub fn tail(&self) -> broadcast::Receiver<Arc<Entry>> {
        self.tail.subscribe()
    }

    /// Done when an entry comes after this call.
    pub fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Up to `limit` entries from an id on, in the order in which they came.
    pub fn span(&self, from: u64, limit: usize) -> Span {
        let ring = self.ring.lock();
        let start = from.max(ring.first);
        let skipped = usize::try_from(start - ring.first).unwrap_or(usize::MAX).min(ring.entries.len());
        let entries: Vec<_> = ring.entries.range(skipped..).take(limit).cloned().collect();
        let next = start + entries.len() as u64;
        Span { entries, next, forgotten: ring.first > from.max(ring.cleared) }
    }

    /// The id that the next entry will have.
    pub fn next_id(&self) -> u64 {
        let ring = self.ring.lock();
        ring.first + ring.entries.len() as u64
    }

    /// Adds the diagnosis of a miss, whose weight counts as well.
    pub fn explain(&self, entry: &Entry, nearest: Vec<Nearest>) {
        let weight = nearest.iter().map(Nearest::weight).sum();
        let mut ring = self.ring.lock();
        if entry.nearest.set(nearest).is_err() || entry.id < ring.first {
            return;
        }
        entry.explained.store(weight, Ordering::Relaxed);
        ring.bytes += weight;
        let dropped = ring.evict(self.max);
        drop(ring);
        drop(dropped);
    }

    /// The entry of that id, unless it is forgotten.
    pub fn get(&self, id: u64) -> Option<Arc<Entry>> {
        let ring = self.ring.lock();
        let place = usize::try_from(id.checked_sub(ring.first)?).ok()?;
        ring.entries.get(place).cloned()
    }

    /// A page of the newest entries older than `before` that fit. At most [`MAX_PAGE`]; reads at most [`READ`] entries, the
    /// cursor goes on from there. The ring is locked for a thousand entries at a time, so that requests need not wait.
    pub fn page(&self, filter: &Filter, before: Option<u64>, limit: usize) -> Page {
        const STEP: usize = 1_000;
        let limit = limit.clamp(1, MAX_PAGE);
        let (mut entries, mut read, mut before) = (Vec::new(), 0, before.unwrap_or(u64::MAX));
        loop {
            let (step, first): (Vec<_>, u64) = {
                let ring = self.ring.lock();
                let end = usize::try_from(before.saturating_sub(ring.first)).unwrap_or(usize::MAX);
                let end = end.min(ring.entries.len());
                let most = if filter.is_everything() { limit - entries.len() } else { STEP };
                (ring.entries.range(end.saturating_sub(most)..end).rev().cloned().collect(), ring.first)
            };
            if step.is_empty() {
                return Page { entries, next: None, read };
            }
            for entry in step {
                read += 1;
                before = entry.id;
                if filter.fits(&entry) {
                    entries.push(entry);
                }
                if entries.len() == limit || read == READ {
                    let next = (before > first).then_some(before);
                    return Page { entries, next, read };
                }
            }
        }
    }

    /// Forgets the entries of a session, or all. Ids go on ascending.
    pub fn clear(&self) {
        let mut ring = self.ring.lock();
        ring.first += ring.entries.len() as u64;
        ring.cleared = ring.first;
        ring.bytes = 0;
        let entries = std::mem::take(&mut ring.entries);
        drop(ring);
        drop(entries);
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.ring.lock().bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(partner: &str, stub: Option<&str>, size: usize) -> Entry {
        Entry {
            partner: partner.into(),
            stub: stub.map(Into::into),
            request: Body::cut(&vec![b'x'; size]),
            ..Entry::default()
        }
    }

    #[test]
    fn the_ring_never_exceeds_its_bytes_and_keeps_the_newest() {
        let journal = Journal::new(100_000);
        for _ in 0..1_000 {
            journal.push(entry("ems", Some("ems/a@1"), 5_000));
            assert!(journal.bytes() <= 100_000);
        }
        assert!(journal.ring.lock().entries.len() > 10);
        assert_eq!(journal.get(1_000).map(|entry| entry.id), Some(1_000));
        assert!(journal.get(1).is_none());
    }

    #[test]
    fn a_diagnosis_counts_towards_the_bytes() {
        let journal = Journal::new(20_000);
        let entries: Vec<_> = (0..10).map(|_| journal.push(entry("ems", None, 10))).collect();
        let before = journal.bytes();
        let verdict =
            || Verdict { criterion: "c".repeat(500), wanted: "w".repeat(500), seen: None, ok: false };
        let nearest = || vec![Nearest { stub: "s".into(), criteria: (0..5).map(|_| verdict()).collect() }];
        for entry in &entries {
            journal.explain(entry, nearest());
            assert!(journal.bytes() <= 20_000);
        }
        assert!(journal.bytes() > before && journal.get(1).is_none(), "the oldest made room");
        journal.explain(&entries[9], nearest());
        journal.clear();
        assert_eq!(journal.bytes(), 0);
        journal.explain(&entries[9], nearest());
        assert_eq!(journal.bytes(), 0, "a forgotten entry weighs nothing");
    }

    #[test]
    fn bodies_are_cut_and_keep_their_whole_size() {
        let body = Body::cut(&vec![0; 20_000]);
        assert_eq!((body.bytes.len(), body.size), (BODY_CUT, 20_000));
    }

    #[test]
    fn pages_follow_the_cursor_without_gap_or_repeat() {
        let journal = Journal::new(MAX_BYTES);
        for n in 0..25 {
            journal.push(entry(if n % 2 == 0 { "ems" } else { "hrss" }, None, 10));
        }
        let filter = Filter { partner: Some("ems".into()), ..Filter::default() };
        let (mut seen, mut before) = (Vec::new(), None);
        loop {
            let page = journal.page(&filter, before, 4);
            seen.extend(page.entries.iter().map(|entry| entry.id));
            journal.push(entry("ems", None, 10)); // later entries do not disturb the walk
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(seen, (1..=25).rev().filter(|id| id % 2 == 1).collect::<Vec<u64>>());
    }

    #[test]
    fn a_page_reads_no_more_than_it_shows_however_many_entries_there_are() {
        let journal = Journal::new(DEFAULT_BYTES);
        let count = 60_000;
        for n in 0..count {
            journal.push(entry(if n == 10 { "rare" } else { "ems" }, Some("ems/a@1"), 0));
        }
        let page = journal.page(&Filter::default(), None, 50);
        assert_eq!((page.entries.len(), page.read, page.next), (50, 50, Some(count - 49)));
        let rare = Filter { partner: Some("rare".into()), ..Filter::default() };
        let page = journal.page(&rare, None, 50);
        assert_eq!((page.entries.len(), page.next), (1, None));
        assert!(page.read as u64 == count && page.read <= READ, "{}", page.read);
    }

    #[test]
    fn a_span_goes_on_where_it_ended_and_tells_what_was_forgotten() {
        let journal = Journal::new(20_000);
        for _ in 0..5 {
            journal.push(entry("ems", None, 10));
        }
        let span = journal.span(2, 2);
        assert_eq!(span.entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), [2, 3]);
        assert_eq!((span.next, span.forgotten), (4, false));
        for _ in 0..100 {
            journal.push(entry("ems", None, 1_000));
        }
        assert!(journal.span(4, 1).forgotten);
        journal.clear();
        let span = journal.span(4, 10);
        assert_eq!((span.entries.len(), span.next, span.forgotten), (0, 106, false), "cleared on purpose");
    }

    #[test]
    fn misses_are_told_from_matches() {
        let journal = Journal::new(MAX_BYTES);
        journal.push(entry("ems", None, 1));
        journal.push(entry("ems", Some("ems/order@77"), 1));
        let page = |filter| journal.page(&filter, None, 10).entries.iter().map(|e| e.id).collect::<Vec<_>>();
        assert_eq!(page(Filter { miss: Some(true), ..Filter::default() }), [1]);
        assert_eq!(page(Filter { stub: Some("order".into()), ..Filter::default() }), [2]);
    }
}
