//! The front listener: HTTP/1.1 and HTTP/2, cleartext and TLS, on hyper directly. Everything a caller sends is framed
//! unambiguously and bounded before a [`Handler`] sees it; every wait for a caller has a deadline.
//!
//! A caller that hangs up before its answer drops the handler's future; one that hangs up during the answer is reported through
//! [`OnEnd::abandon`]. A caller that closes only its sending side counts as one that hung up: the two look alike.
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use http::{Request, Response, Version};

mod body;
mod connection;
mod flow;
mod frames;
mod guard;
pub mod headers;
mod limits;
mod listener;
mod refusal;
mod response;
mod service;
mod tls;
mod trace_context;

pub use body::{BodyError, GatewayBody};
pub use limits::GatewayLimits;
pub use listener::{Drained, bind};
pub use refusal::Refusal;
pub use response::{OnEnd, ResponseBody};
pub use tls::{Tls, TlsError, TlsPeer};

/// What is done with a request.
pub trait Handler: Send + Sync + 'static {
    /// Answers a request. Its reserved and connection fields are gone already (see [`headers`]); it has one valid `Host` field
    /// or authority, except HTTP/1.0. The future is dropped where the caller hangs up.
    fn handle(
        &self,
        request: Request<GatewayBody>,
        peer: Peer,
    ) -> impl Future<Output = Response<ResponseBody>> + Send;

    /// Answers what never became a request. The listener adds `Connection: close`. Must not block.
    fn refuse(&self, refusal: Refusal, _peer: &Peer) -> Response<ResponseBody> {
        refusal.response()
    }
}

/// Who sent a request, and when its head was complete.
#[derive(Clone, Debug)]
pub struct Peer {
    pub addr: SocketAddr,
    /// Set where the caller came over TLS.
    pub tls: Option<Arc<TlsPeer>>,
    pub http_version: Version,
    pub accepted_at: Instant,
}

/// A listener's settings; [`Gateway::serve`] runs it.
pub struct Gateway<H> {
    handler: Arc<H>,
    limits: Arc<GatewayLimits>,
    stats: Arc<GatewayStats>,
    tls: Option<Tls>,
}

impl<H: Handler> Gateway<H> {
    pub fn new(handler: Arc<H>, limits: Arc<GatewayLimits>) -> Self {
        Self { handler, limits, stats: Arc::default(), tls: None }
    }

    /// Speaks TLS only.
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// The counters, for metrics; they outlive the listener.
    pub fn stats(&self) -> Arc<GatewayStats> {
        Arc::clone(&self.stats)
    }
}

/// Counters of one listener since its start; `open` is the number of connections now.
#[derive(Debug)]
pub struct GatewayStats {
    pub(crate) accepted: AtomicU64,
    pub(crate) open: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) accept_errors: AtomicU64,
    pub(crate) tls_failures: AtomicU64,
    pub(crate) stalled: AtomicU64,
    pub(crate) forced: AtomicU64,
    pub(crate) panics: AtomicU64,
    pub(crate) refused: [AtomicU64; Refusal::ALL.len()],
}

impl Default for GatewayStats {
    fn default() -> Self {
        Self {
            accepted: AtomicU64::new(0),
            open: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            accept_errors: AtomicU64::new(0),
            tls_failures: AtomicU64::new(0),
            stalled: AtomicU64::new(0),
            forced: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            refused: [const { AtomicU64::new(0) }; Refusal::ALL.len()],
        }
    }
}

impl GatewayStats {
    /// Connections accepted.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Relaxed)
    }

    /// Connections open now.
    pub fn connections(&self) -> u64 {
        self.open.load(Relaxed)
    }

    /// Requests that reached the service, refused ones included.
    pub fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// Times the operating system gave no connection (too many open files, for instance).
    pub fn accept_errors(&self) -> u64 {
        self.accept_errors.load(Relaxed)
    }

    /// TLS handshakes that failed or took too long.
    pub fn tls_failures(&self) -> u64 {
        self.tls_failures.load(Relaxed)
    }

    /// Connections dropped because their caller took nothing.
    pub fn stalled(&self) -> u64 {
        self.stalled.load(Relaxed)
    }

    /// Handlers that panicked; their callers got QIAO-9001.
    pub fn panics(&self) -> u64 {
        self.panics.load(Relaxed)
    }

    /// Requests refused for this reason.
    pub fn refused(&self, refusal: Refusal) -> u64 {
        self.refused[refusal as usize].load(Relaxed)
    }
}
