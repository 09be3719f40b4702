//! How the engine reaches a partner: bytes out, bytes in, one attempt at a time. Retries, breaker and judgement are the engine's.
use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use http::{HeaderMap, Method};

use crate::{BoxFuture, Fault};

/// One attempt towards a partner. Everything protocol-specific was compiled into the connector's operation already.
pub struct Outbound {
    /// Index of the operation in the system's definition order.
    pub operation: usize,
    /// Path and query with parameters filled in; empty for protocols without paths.
    pub path: String,
    pub method: Method,
    pub headers: HeaderMap,
    pub body: OutboundBody,
    /// The attempt ends at this instant, whatever happens.
    pub deadline: Instant,
    /// 0 for the first attempt.
    pub attempt: u32,
    /// The endpoint the previous attempt failed on ([`Fault::endpoint`]): not picked while another is healthy.
    pub avoid: Option<Arc<str>>,
    /// Whether the operation changes the partner's state: decides what a lost answer means.
    pub changing: bool,
    /// Sent as the partner's idempotency header where the operation names one.
    pub idempotency_key: Option<Box<str>>,
    /// W3C trace context to pass on.
    pub traceparent: Option<Box<str>>,
}

/// A request body: whole, or streamed through unread.
pub enum OutboundBody {
    Whole(Bytes),
    Stream(StreamBody),
}

/// A streamed body: boxed so that neither side knows the other's HTTP stack.
pub type StreamBody = http_body_util::combinators::UnsyncBoxBody<Bytes, StreamError>;
/// Why a stream broke.
pub type StreamError = Box<dyn std::error::Error + Send + Sync>;

/// A partner's answer as it came off the wire.
pub struct Answer {
    /// HTTP status, or 200 for protocols without one.
    pub status: u16,
    pub headers: HeaderMap,
    pub body: AnswerBody,
    /// The endpoint that answered, for the span's name.
    pub endpoint: Arc<str>,
    /// Set when a mock partner answered: `partner/stub@hash`.
    pub mocked: Option<Box<str>>,
}

/// An answer's body: whole (bounded by the system's `limits.answerBytes`), or streamed.
pub enum AnswerBody {
    Whole(Bytes),
    Stream(StreamBody),
}

/// The state of one endpoint, for health pages and metrics.
#[derive(Clone, Debug, serde::Serialize)]
pub struct EndpointHealth {
    pub endpoint: Arc<str>,
    pub healthy: bool,
    /// Calls under way.
    pub active: u32,
}

/// A partner system reachable by one protocol.
///
/// Errors: `PARTNER_DOWN` only when the request surely had no effect (refused, reset before any byte was sent);
/// `PARTNER_TIMEOUT` and `PARTNER_PROTOCOL` with `Repeat::Unknown` when a changing operation may have happened.
pub trait Connector: Send + Sync {
    /// Sends one attempt and reads the whole answer.
    fn call(&self, outbound: Outbound) -> BoxFuture<'_, Result<Answer, Fault>>;

    /// Sends one attempt and returns as soon as the answer's head is there, its body streamed.
    fn forward(&self, outbound: Outbound) -> BoxFuture<'_, Result<Answer, Fault>>;

    /// Every endpoint with its state.
    fn health(&self) -> Vec<EndpointHealth>;
}
