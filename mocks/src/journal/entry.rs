//! What the journal knows of one request.
use serde::Serialize;

/// Bodies are cut to this many bytes.
pub const BODY_CUT: usize = 8 << 10;

/// One request to a mock partner, as its server tells it or as the journal reads it back.
#[derive(Clone, Copy, Debug, Default)]
pub struct Entry<'e> {
    /// Ascending from 1, never used twice while the server runs; the journal gives it.
    pub id: u64,
    /// Unix time in microseconds.
    pub at_us: i64,
    pub partner: &'e str,
    pub listener: &'e str,
    /// From the header `X-Mock-Session`; empty in the common session.
    pub session: &'e str,
    /// Who called, where the partner's `caller` says how that is told.
    pub caller: Option<&'e str>,
    pub traceparent: Option<&'e str>,
    pub method: &'e str,
    /// Path below the listener's.
    pub path: &'e str,
    /// Value of `select`.
    pub item: Option<&'e str>,
    /// Business key, where the request has one.
    pub key: Option<&'e str>,
    /// `partner/stub@hash`, none for a miss.
    pub stub: Option<&'e str>,
    pub state_before: Option<&'e str>,
    pub state_after: Option<&'e str>,
    /// Changes of shared tables, as JSON.
    pub writes: Option<&'e str>,
    /// The fault that struck and where it came from: `reset (dial flaky)`.
    pub fault: Option<&'e str>,
    /// Wait before the answer, in milliseconds.
    pub delay_ms: u64,
    /// Time to the answer without the wait, in microseconds.
    pub took_us: u64,
    /// 0 where no answer was given.
    pub status: u16,
    pub request: Body<'e>,
    /// The opened business document as JSON, where requests are sealed.
    pub plain: Option<Body<'e>>,
    pub answer: Body<'e>,
    /// What kept the request from being understood, or the answer from being made.
    pub problem: Option<&'e str>,
}

impl<'e> Entry<'e> {
    /// Id of the stub that answered, without partner and hash.
    pub fn stub_id(&self) -> Option<&'e str> {
        self.stub?.split(['/', '@']).nth(1)
    }

    /// The trace's id.
    pub fn trace(&self) -> Option<&'e str> {
        self.traceparent?.split('-').nth(1)
    }
}

/// A body as kept: cut, with its whole size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Body<'e> {
    pub bytes: &'e [u8],
    pub size: usize,
}

impl<'e> Body<'e> {
    /// The first [`BODY_CUT`] bytes.
    pub fn cut(bytes: &'e [u8]) -> Self {
        Self { bytes: &bytes[..bytes.len().min(BODY_CUT)], size: bytes.len() }
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
    /// Bytes it takes.
    pub fn weight(&self) -> usize {
        let verdict = |verdict: &Verdict| {
            let seen = verdict.seen.as_ref().map_or(0, String::len);
            size_of::<Verdict>() + verdict.criterion.len() + verdict.wanted.len() + seen
        };
        size_of::<Self>() + self.stub.len() + self.criteria.iter().map(verdict).sum::<usize>()
    }
}
