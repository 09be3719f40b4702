//! Exchanges as they were overheard: in memory only, bounded, never logged, and gone with the recording.
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use parking_lot::Mutex;

/// One request and its answer. It has no `Debug`: what it holds is personal and is shown to nobody.
pub struct Exchange {
    /// Unix microseconds at which the answer began.
    pub at_us: i64,
    /// From the request's head to the answer's.
    pub latency: Duration,
    pub method: Method,
    pub path: String,
    pub query: Option<String>,
    pub headers: HeaderMap,
    pub request: Bytes,
    pub status: u16,
    pub answer_headers: HeaderMap,
    pub answer: Bytes,
}

impl Exchange {
    fn bytes(&self) -> usize {
        let headers = |headers: &HeaderMap| {
            headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>()
        };
        self.path.len()
            + self.query.as_ref().map_or(0, String::len)
            + self.request.len()
            + self.answer.len()
            + headers(&self.headers)
            + headers(&self.answer_headers)
    }
}

/// How far a recording has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Requests passed on.
    pub forwarded: u64,
    /// Exchanges that the draft will be made of.
    pub kept: usize,
    /// Bytes that they take.
    pub bytes: usize,
    /// Exchanges passed on after the recording was full.
    pub beyond: u64,
    /// Exchanges with a body too large to keep.
    pub too_large: u64,
    /// Requests that the target did not answer wholly.
    pub failed: u64,
}

/// What is kept, within its bounds.
pub struct Kept {
    inner: Mutex<Inner>,
    max: usize,
    max_bytes: usize,
}

#[derive(Default)]
struct Inner {
    exchanges: Vec<Exchange>,
    counts: Counts,
}

impl Kept {
    pub fn new(max: usize, max_bytes: usize) -> Self {
        Self { inner: Mutex::default(), max, max_bytes }
    }

    pub fn counts(&self) -> Counts {
        self.inner.lock().counts
    }

    pub fn forwarded(&self) {
        self.inner.lock().counts.forwarded += 1;
    }

    pub fn failed(&self) {
        self.inner.lock().counts.failed += 1;
    }

    pub fn too_large(&self) {
        self.inner.lock().counts.too_large += 1;
    }

    pub fn push(&self, exchange: Exchange) {
        let mut inner = self.inner.lock();
        let bytes = exchange.bytes();
        if inner.counts.kept >= self.max || inner.counts.bytes + bytes > self.max_bytes {
            inner.counts.beyond += 1;
            return;
        }
        inner.counts.kept += 1;
        inner.counts.bytes += bytes;
        inner.exchanges.push(exchange);
    }

    /// All of them, in the order in which their answers began.
    pub fn take(&self) -> Vec<Exchange> {
        let mut exchanges = std::mem::take(&mut self.inner.lock().exchanges);
        exchanges.sort_by_key(|exchange| exchange.at_us);
        exchanges
    }
}
