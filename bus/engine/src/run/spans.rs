//! The spans of one call: an append-only log with a bound, written from every branch of the flow.
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use qiao_core::{Fault, Outcome, Span, SpanKind};

/// Spans kept per call; what comes after is only counted.
pub const MOST_SPANS: usize = 512;
/// The duration of a span that is still open.
const OPEN: u64 = u64::MAX;
/// Bytes of a note.
const MOST_NOTE: usize = 256;

/// Where a call's spans go. Cheap to clone; its lock is never held over an await.
#[derive(Clone)]
pub struct SpanLog {
    inner: Arc<Inner>,
}

struct Inner {
    accepted: Instant,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    spans: Vec<Span>,
    dropped: u32,
    /// Taken already: what background branches still write goes nowhere.
    closed: bool,
}

/// An open span. Dropped without an end, it was abandoned.
pub struct SpanGuard {
    log: SpanLog,
    index: Option<u16>,
    start_us: u64,
    ended: bool,
}

impl SpanLog {
    /// `accepted`: the instant the call was accepted, from which spans are measured.
    pub fn new(accepted: Instant) -> Self {
        Self { inner: Arc::new(Inner { accepted, log: Mutex::default() }) }
    }

    fn now_us(&self) -> u64 {
        let now = tokio::time::Instant::now().into_std();
        micros(now.saturating_duration_since(self.inner.accepted))
    }

    /// Opens a span below `parent`.
    pub fn open(&self, parent: Option<u16>, kind: SpanKind, name: Arc<str>) -> SpanGuard {
        let start_us = self.now_us();
        let span = Span {
            parent,
            kind,
            name,
            start_us,
            duration_us: OPEN,
            outcome: Outcome::Abandoned,
            fault: None,
            bytes_out: 0,
            bytes_in: 0,
            note: None,
        };
        let index = self.inner.log.lock().push(span);
        SpanGuard { log: self.clone(), index, start_us, ended: false }
    }

    /// A span of no duration for something that was not run.
    pub fn skipped(&self, parent: Option<u16>, name: Arc<str>, note: &'static str) {
        self.open(parent, SpanKind::Step, name).finish(End::of(Outcome::Skipped).note(note));
    }

    /// Whatever was abandoned below `top` was made needless, not given up by the caller.
    pub(crate) fn skip_below(&self, top: Option<u16>) {
        let Some(top) = top else { return };
        let mut log = self.inner.log.lock();
        let first = usize::from(top);
        let mut below = vec![false; log.spans.len().saturating_sub(first)];
        for index in first..log.spans.len() {
            let parent = log.spans[index].parent.map(usize::from);
            let within =
                index == first || parent.is_some_and(|parent| parent >= first && below[parent - first]);
            below[index - first] = within;
            if within && log.spans[index].outcome == Outcome::Abandoned {
                log.spans[index].outcome = Outcome::Skipped;
            }
        }
    }

    /// Ends the log: its spans, and how many were dropped over the bound. Spans still open end now.
    pub fn take(&self) -> (Vec<Span>, u32) {
        let now = self.now_us();
        let mut log = self.inner.log.lock();
        log.closed = true;
        for span in log.spans.iter_mut().filter(|span| span.duration_us == OPEN) {
            span.duration_us = now.saturating_sub(span.start_us);
        }
        (std::mem::take(&mut log.spans), log.dropped)
    }
}

impl Log {
    fn push(&mut self, span: Span) -> Option<u16> {
        if self.closed {
            return None;
        }
        if self.spans.len() >= MOST_SPANS {
            self.dropped = self.dropped.saturating_add(1);
            return None;
        }
        let index = u16::try_from(self.spans.len()).ok()?;
        self.spans.push(span);
        Some(index)
    }
}

/// How a span ended.
#[derive(Default)]
pub struct End {
    outcome: Option<Outcome>,
    fault: Option<u16>,
    note: Option<Box<str>>,
    bytes_out: u64,
    bytes_in: u64,
    name: Option<Arc<str>>,
}

impl End {
    pub fn of(outcome: Outcome) -> Self {
        Self { outcome: Some(outcome), ..Self::default() }
    }

    /// The end by a fault. Its detail becomes the note: details hold no personal data.
    pub fn fault(fault: &Fault) -> Self {
        let end = Self { fault: Some(fault.code().number), ..Self::of(outcome_of(fault)) };
        end.note(fault.detail())
    }

    /// The same end with another outcome.
    #[must_use]
    pub fn with(mut self, outcome: Outcome) -> Self {
        self.outcome = Some(outcome);
        self
    }

    /// A masked summary, cut at 256 bytes.
    #[must_use]
    pub fn note(mut self, note: &str) -> Self {
        let mut end = note.len().min(MOST_NOTE);
        while !note.is_char_boundary(end) {
            end -= 1;
        }
        self.note = (end > 0).then(|| note[..end].into());
        self
    }

    #[must_use]
    pub fn bytes(mut self, sent: u64, received: u64) -> Self {
        self.bytes_out = sent;
        self.bytes_in = received;
        self
    }

    /// The name is known only now: the endpoint that was picked.
    #[must_use]
    pub fn named(mut self, name: Arc<str>) -> Self {
        self.name = Some(name);
        self
    }
}

/// How a call, step or attempt ended that came to this fault.
pub fn outcome_of(fault: &Fault) -> Outcome {
    use qiao_core::{Repeat, fault_codes as codes};
    let code = fault.code();
    if code == &codes::PARTNER_REFUSED || code == &codes::FLOW_FAILED {
        return Outcome::Refused;
    }
    if code.number < 3000 || matches!(code.number, 3000..4000) {
        return Outcome::Denied;
    }
    if code == &codes::PARTNER_RESULT_UNKNOWN || code.number < 6000 && fault.repeat() == Repeat::Unknown {
        return Outcome::Unknown;
    }
    Outcome::Failed
}

impl SpanGuard {
    /// The span's index, as parent of others; none where it was over the bound.
    pub fn index(&self) -> Option<u16> {
        self.index
    }

    pub fn finish(mut self, end: End) {
        self.end(end);
    }

    fn end(&mut self, end: End) {
        self.ended = true;
        let Some(index) = self.index else { return };
        let now = self.log.now_us();
        let mut log = self.log.inner.log.lock();
        let Some(span) = log.spans.get_mut(usize::from(index)) else { return };
        span.duration_us = now.saturating_sub(self.start_us);
        span.outcome = end.outcome.unwrap_or(Outcome::Ok);
        span.fault = end.fault;
        span.note = end.note;
        span.bytes_out = end.bytes_out;
        span.bytes_in = end.bytes_in;
        if let Some(name) = end.name {
            span.name = name;
        }
    }
}

impl Drop for SpanGuard {
    fn drop(&mut self) {
        if !self.ended {
            self.end(End::of(Outcome::Abandoned));
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> SpanLog {
        SpanLog::new(tokio::time::Instant::now().into_std())
    }

    #[tokio::test(start_paused = true)]
    async fn spans_are_measured_from_the_acceptance_and_the_dropped_ones_counted() {
        let log = log();
        tokio::time::advance(Duration::from_millis(2)).await;
        let span = log.open(None, SpanKind::Phase, "flow".into());
        tokio::time::advance(Duration::from_millis(3)).await;
        span.finish(End::of(Outcome::Ok).bytes(1, 2).note("fine"));
        for _ in 0..600 {
            log.skipped(Some(0), "x".into(), "not needed");
        }
        let (spans, dropped) = log.take();
        assert_eq!((spans.len(), dropped), (MOST_SPANS, 89));
        let first = &spans[0];
        assert_eq!((first.start_us, first.duration_us, first.bytes_out, first.bytes_in), (2000, 3000, 1, 2));
        assert_eq!(first.note.as_deref(), Some("fine"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_span_is_abandoned_unless_it_was_made_needless() {
        let log = log();
        let outer = log.open(None, SpanKind::Step, "a".into());
        let inner = log.open(outer.index(), SpanKind::Attempt, "b".into());
        let other = log.open(None, SpanKind::Step, "c".into());
        let top = outer.index();
        drop((outer, inner, other));
        log.skip_below(top);
        let outcomes: Vec<_> = log.take().0.iter().map(|span| span.outcome).collect();
        assert_eq!(outcomes, [Outcome::Skipped, Outcome::Skipped, Outcome::Abandoned]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_span_still_open_when_the_log_is_taken_ends_there_and_later_ones_go_nowhere() {
        let log = log();
        let open = log.open(None, SpanKind::Step, "a".into());
        tokio::time::advance(Duration::from_millis(4)).await;
        let (spans, _) = log.take();
        assert_eq!((spans[0].duration_us, spans[0].outcome), (4000, Outcome::Abandoned));
        open.finish(End::of(Outcome::Ok));
        log.skipped(None, "b".into(), "late");
        let (spans, dropped) = log.take();
        assert!(spans.is_empty() && dropped == 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_note_is_cut_at_a_character() {
        let log = log();
        log.open(None, SpanKind::Step, "a".into()).finish(End::of(Outcome::Failed).note(&"汉".repeat(100)));
        let (spans, _) = log.take();
        assert_eq!(spans[0].note.as_deref().map(str::len), Some(255));
    }
}
