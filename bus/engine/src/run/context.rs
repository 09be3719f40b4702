//! What every step of a running call shares, and how a flow can end.
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU8, Ordering::Relaxed},
};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use qiao_core::{CallId, Fault, Repeat};
use tokio::time::Instant;

use super::spans::SpanLog;

/// One call under way.
pub(crate) struct CallContext {
    pub call: CallId,
    /// The whole call ends here.
    pub deadline: Instant,
    pub traceparent: Option<Box<str>>,
    pub spans: SpanLog,
    /// Whether a mock partner took part.
    pub mocked: AtomicBool,
    /// What changing operations did so far: [`Effect`].
    effect: AtomicU8,
}

/// What the changing operations of a call did, the gravest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effect {
    None = 0,
    /// Something took effect.
    Some = 1,
    /// Something may have taken effect.
    Unknown = 2,
}

/// The bounds of a step.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    pub deadline: Instant,
    /// Parent of its spans.
    pub parent: Option<u16>,
}

/// Why a flow goes no further.
#[derive(Debug)]
pub(crate) enum Stop {
    Respond(Box<Reply>),
    Fail(Box<Refusal>),
    Fault(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// The flow's answer, its body written as JSON.
#[derive(Debug)]
pub(crate) struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A `fail` step's refusal.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub code: String,
    pub text: String,
    pub status: StatusCode,
}

impl CallContext {
    pub fn new(call: CallId, deadline: Instant, traceparent: Option<Box<str>>, spans: SpanLog) -> Arc<Self> {
        let (mocked, effect) = (AtomicBool::new(false), AtomicU8::new(Effect::None as u8));
        Arc::new(Self { call, deadline, traceparent, spans, mocked, effect })
    }

    /// Notes what a changing operation did.
    pub fn took_effect(&self, effect: Effect) {
        self.effect.fetch_max(effect as u8, Relaxed);
    }

    /// A fault that is safe to repeat for its step is not for the whole call once an earlier step took effect.
    pub fn repeat_of_call(&self, fault: &Fault) -> Repeat {
        match (fault.repeat(), self.effect.load(Relaxed)) {
            (Repeat::Safe, effect) if effect == Effect::Some as u8 => Repeat::Unsafe,
            (Repeat::Safe, effect) if effect == Effect::Unknown as u8 => Repeat::Unknown,
            (repeat, _) => repeat,
        }
    }
}
