//! What the mock partners were asked and what they answered: a ring bounded in bytes, read in pages by cursor.
mod entry;
mod packed;
mod ring;

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast, futures::Notified};

pub use entry::{Body, Entry, Nearest, Verdict};
use packed::Parts;
pub use packed::Record;
use ring::Ring;

/// Default bound of the ring in bytes.
pub const DEFAULT_BYTES: usize = 64 << 20;
/// Largest bound of the ring in bytes: about ten million entries with bodies of a few words, one with bodies of 3 KiB.
pub const MAX_BYTES: usize = 4 << 30;
/// Entries in one page at most.
pub const MAX_PAGE: usize = 500;
/// Entries that are read for one page at most.
pub const READ: usize = 100_000;
/// Entries that are read while requests wait to be journaled.
const STEP: usize = 250;
/// Entries that one who looks on may be behind.
const TAIL: usize = 1_024;

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
    pub fn fits(&self, entry: &Entry<'_>) -> bool {
        let same = |wanted: &Option<String>, seen: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| seen == Some(wanted))
        };
        same(&self.partner, Some(entry.partner))
            && same(&self.session, Some(entry.session))
            && same(&self.item, entry.item)
            && same(&self.key, entry.key)
            && same(&self.stub, entry.stub_id())
            && same(&self.caller, entry.caller)
            && self.trace.as_deref().is_none_or(|trace| of_trace(entry, trace))
            && self.miss.is_none_or(|miss| miss == entry.stub.is_none())
    }
}

/// Whether an entry belongs to a trace, by its id or the whole `traceparent`.
pub fn of_trace(entry: &Entry<'_>, trace: &str) -> bool {
    entry.traceparent.unwrap_or_default() == trace || entry.trace() == Some(trace)
}

/// Entries, newest first, and the cursor of the next page.
#[derive(Debug)]
pub struct Page {
    pub entries: Vec<Record>,
    /// Pass as `before` for the next page; none at the end.
    pub next: Option<u64>,
    /// Entries looked at.
    pub read: usize,
}

/// Entries in the order in which they came.
#[derive(Debug)]
pub struct Span {
    pub entries: Vec<Record>,
    /// Pass as `from` to go on.
    pub next: u64,
    /// Whether entries from `from` on had to make room before they were read.
    pub forgotten: bool,
}

/// The ring.
#[derive(Debug)]
pub struct Journal {
    ring: Mutex<Ring>,
    /// Wakes those who wait for entries.
    changed: Notify,
    /// To those who look on; what they do not take in time they miss.
    tail: broadcast::Sender<Arc<Record>>,
}

impl Journal {
    /// A ring of at most `max` bytes, itself at most [`MAX_BYTES`].
    pub fn new(max: usize) -> Self {
        let tail = broadcast::Sender::new(TAIL);
        Self { ring: Mutex::new(Ring::new(max.min(MAX_BYTES))), changed: Notify::new(), tail }
    }

    /// Adds an entry, tells the id that it gets, and forgets the oldest over the bound. An entry larger than the whole ring is not kept.
    pub fn push(&self, entry: &Entry<'_>) -> u64 {
        let id = self.ring.lock().push(entry);
        self.changed.notify_waiters();
        if self.tail.receiver_count() > 0 {
            let mut bytes = Vec::new();
            Parts::of(entry).write(entry, &mut bytes);
            // An error means that the last of them has just left.
            drop(self.tail.send(Arc::new(Record { id, bytes: bytes.into() })));
        }
        id
    }

    /// Adds the diagnosis of a miss, whose weight counts as well.
    pub fn explain(&self, id: u64, nearest: Vec<Nearest>) {
        self.ring.lock().explain(id, nearest);
    }

    /// The diagnosis of a miss, once it is done.
    pub fn nearest(&self, id: u64) -> Option<Arc<[Nearest]>> {
        self.ring.lock().nearest(id)
    }

    /// The entry of that id, unless it is forgotten.
    pub fn get(&self, id: u64) -> Option<Record> {
        self.ring.lock().record(id).map(|bytes| Record { id, bytes: bytes.into() })
    }

    /// A page of the newest entries older than `before` that fit. At most [`MAX_PAGE`]; reads at most [`READ`] entries, the
    /// cursor goes on from there. The ring is locked for a few entries at a time, so that requests need not wait.
    pub fn page(&self, filter: &Filter, before: Option<u64>, limit: usize) -> Page {
        let limit = limit.clamp(1, MAX_PAGE);
        let mut page = Page { entries: Vec::new(), next: None, read: 0 };
        let mut before = before.unwrap_or(u64::MAX);
        loop {
            let ring = self.ring.lock();
            let (first, end) = (ring.first(), before.min(ring.next));
            if first >= end {
                return page;
            }
            for (entry, bytes) in ring.entries(end.saturating_sub(STEP as u64)..end).rev() {
                page.read += 1;
                before = entry.id;
                if filter.fits(&entry) {
                    page.entries.push(Record { id: entry.id, bytes: bytes.into() });
                }
                if page.entries.len() == limit || page.read == READ {
                    page.next = (before > first).then_some(before);
                    return page;
                }
            }
        }
    }

    /// Forgets the entries of all sessions. Ids go on ascending.
    pub fn clear(&self) {
        let forgotten = self.ring.lock().clear();
        drop(forgotten);
    }

    /// Bytes in use.
    pub fn bytes(&self) -> usize {
        self.ring.lock().used()
    }

    /// Entries as they come from now on. Who is more than a thousand behind misses some and is told so.
    pub fn tail(&self) -> broadcast::Receiver<Arc<Record>> {
        self.tail.subscribe()
    }

    /// Done when an entry comes after this call.
    pub fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Up to `limit` entries from an id on, in the order in which they came. The ring is locked for a few at a time.
    pub fn span(&self, from: u64, limit: usize) -> Span {
        let mut ring = self.ring.lock();
        let next = from.max(ring.first());
        let mut span = Span { entries: Vec::new(), next, forgotten: ring.first() > from.max(ring.cleared) };
        // What makes room meanwhile ends the span.
        while span.entries.len() < limit && ring.first() <= span.next && span.next < ring.next {
            let step = STEP.min(limit - span.entries.len());
            let found = ring.entries(span.next..span.next.saturating_add(step as u64));
            span.entries.extend(found.map(|(entry, bytes)| Record { id: entry.id, bytes: bytes.into() }));
            span.next = span.entries.last().map_or(span.next, |last| last.id + 1);
            drop(ring);
            ring = self.ring.lock();
        }
        span
    }

    /// The id that the next entry will have.
    pub fn next_id(&self) -> u64 {
        self.ring.lock().next
    }
}

#[cfg(test)]
mod tests;
