//! The connections of one system: how many, which is used next, what is kept. Holds no task; the sweep is called from outside.
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http2},
};
use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::{
    body::OutBody,
    connection::Connection,
    dial::{DialError, Opened},
    endpoints::ActiveCall,
};
use crate::config::PoolLimits;

/// A system's connections. A slot is held per call, so calls under way and kept connections together never exceed the bound.
pub(super) struct Pool {
    slots: Arc<Semaphore>,
    kept: Mutex<Kept>,
    shared: Vec<Shared>,
    limits: PoolLimits,
    draining: AtomicBool,
}

/// Unused HTTP/1 connections, per endpoint, the longest unused in front.
struct Kept {
    by_endpoint: Vec<VecDeque<Unused>>,
    count: usize,
}

struct Unused {
    connection: Box<Connection>,
    since: Instant,
}

/// One endpoint's HTTP/2 connection.
#[derive(Default)]
struct Shared {
    sender: tokio::sync::Mutex<Option<http2::SendRequest<OutBody>>>,
    /// The partner chose HTTP/1.1: its connections are not shared, so opening them need not queue.
    declined: AtomicBool,
}

impl Pool {
    pub(super) fn new(endpoints: usize, limits: PoolLimits) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(limits.max_connections)),
            kept: Mutex::new(Kept {
                by_endpoint: (0..endpoints).map(|_| VecDeque::new()).collect(),
                count: 0,
            }),
            shared: (0..endpoints).map(|_| Shared::default()).collect(),
            limits,
            draining: AtomicBool::new(false),
        }
    }

    /// Waits for a slot in order of asking, without a bound: the caller sets it. `None` cannot happen while the pool lives.
    pub(super) async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        self.slots.clone().acquire_owned().await.ok()
    }

    /// A connection to the endpoint of `call`: the most recently used one that still works, or with `fresh` always a new one.
    pub(super) async fn lease(
        self: &Arc<Self>,
        call: ActiveCall,
        slot: OwnedSemaphorePermit,
        fresh: bool,
    ) -> Result<Lease, (DialError, ActiveCall)> {
        let (wire, reused) = match self.wire(&call, fresh).await {
            Ok(found) => found,
            Err(error) => return Err((error, call)),
        };
        Ok(Lease { wire, reused, pool: self.clone(), call, slot })
    }

    async fn wire(&self, call: &ActiveCall, fresh: bool) -> Result<(Wire, bool), DialError> {
        let target = &call.endpoint().target;
        let shared = &self.shared[call.index];
        if target.may_share() && !shared.declined.load(Relaxed) {
            let mut sender = shared.sender.lock().await;
            if let Some(open) = sender.as_ref().filter(|open| !fresh && !open.is_closed()) {
                return Ok((Wire::Http2(open.clone()), true));
            }
            return Ok((
                match Box::pin(target.open()).await? {
                    Opened::Http2(opened) => Wire::Http2(sender.insert(opened).clone()),
                    Opened::Http1(connection) => {
                        shared.declined.store(true, Relaxed);
                        Wire::Http1(connection)
                    }
                },
                false,
            ));
        }
        if !fresh && let Some(connection) = self.take_usable(call.index).await {
            return Ok((Wire::Http1(connection), true));
        }
        self.make_room();
        // Boxed, because a handshake's state is large and nearly every call finds an open connection.
        match Box::pin(target.open()).await? {
            Opened::Http1(connection) => Ok((Wire::Http1(connection), false)),
            // The partner changed its mind: shared from the next call on.
            Opened::Http2(sender) => {
                shared.declined.store(false, Relaxed);
                Ok((Wire::Http2(sender), false))
            }
        }
    }

    async fn take_usable(&self, endpoint: usize) -> Option<Box<Connection>> {
        loop {
            let unused = {
                let mut kept = self.kept.lock();
                let unused = kept.by_endpoint[endpoint].pop_back()?;
                kept.count -= 1;
                unused
            };
            let mut connection = unused.connection;
            if unused.since.elapsed() < self.limits.idle_timeout
                && std::future::poll_fn(|cx| Poll::Ready(connection.poll_usable(cx))).await
            {
                return Some(connection);
            }
        }
    }

    /// Before opening a connection: closes the longest unused one where the bound would be passed.
    fn make_room(&self) {
        let mut closed = Vec::new();
        let mut kept = self.kept.lock();
        while kept.count > self.slots.available_permits() {
            let oldest = kept
                .by_endpoint
                .iter_mut()
                .filter(|unused| !unused.is_empty())
                .min_by_key(|unused| unused.front().map(|unused| unused.since));
            let Some(oldest) = oldest else { break };
            closed.extend(oldest.pop_front());
            kept.count -= 1;
        }
        drop(kept);
    }

    fn keep(&self, endpoint: usize, mut connection: Box<Connection>) {
        // The exchange is over, but the driver may not have noticed yet.
        if !connection.is_ready() && !connection.poll_usable(&mut Context::from_waker(Waker::noop())) {
            return;
        }
        let mut kept = self.kept.lock();
        // Read under the lock, so that nothing is kept after `drain` emptied it.
        if self.draining.load(Relaxed) || self.limits.max_idle_per_endpoint == 0 {
            return;
        }
        let unused = &mut kept.by_endpoint[endpoint];
        unused.push_back(Unused { connection, since: Instant::now() });
        let surplus =
            if unused.len() > self.limits.max_idle_per_endpoint { unused.pop_front() } else { None };
        if surplus.is_none() {
            kept.count += 1;
        }
        drop(kept);
    }

    /// Closes what was unused for too long or was closed by the partner.
    pub(super) fn sweep(&self) {
        let mut closed = Vec::new();
        let mut context = Context::from_waker(Waker::noop());
        let mut kept = self.kept.lock();
        let kept = &mut *kept;
        for unused in &mut kept.by_endpoint {
            for mut one in std::mem::take(unused) {
                let young = one.since.elapsed() < self.limits.idle_timeout;
                if young && one.connection.poll_usable(&mut context) {
                    unused.push_back(one);
                } else {
                    closed.push(one);
                }
            }
        }
        kept.count -= closed.len();
    }

    /// Closes unused connections and keeps none from now on; calls under way finish.
    pub(super) fn drain(&self) {
        let mut closed = Vec::new();
        let mut kept = self.kept.lock();
        self.draining.store(true, Relaxed);
        for unused in &mut kept.by_endpoint {
            closed.extend(unused.drain(..));
        }
        kept.count = 0;
        drop(kept);
        for shared in &self.shared {
            if let Ok(mut sender) = shared.sender.try_lock() {
                *sender = None;
            }
        }
    }
}

/// A connection in use by one call. Dropped without [`Lease::release`] an HTTP/1 connection closes.
pub(super) struct Lease {
    wire: Wire,
    /// It served calls before: the partner may have closed it meanwhile.
    pub(super) reused: bool,
    pool: Arc<Pool>,
    pub(super) call: ActiveCall,
    slot: OwnedSemaphorePermit,
}

enum Wire {
    Http1(Box<Connection>),
    Http2(http2::SendRequest<OutBody>),
}

impl Lease {
    pub(super) fn is_http2(&self) -> bool {
        matches!(self.wire, Wire::Http2(_))
    }

    /// Whether the partner may have seen any of the request.
    pub(super) fn may_have_sent(&self) -> bool {
        match &self.wire {
            Wire::Http1(connection) => connection.wrote(),
            // Written by a task of its own together with other calls' requests.
            Wire::Http2(_) => true,
        }
    }

    pub(super) async fn send(
        &mut self,
        request: Request<OutBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<OutBody>>> {
        match &mut self.wire {
            Wire::Http1(connection) => connection.send(request).await,
            Wire::Http2(sender) => sender.try_send_request(request).await,
        }
    }

    pub(super) fn poll_frame(
        &mut self,
        incoming: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.wire {
            Wire::Http1(connection) => connection.poll_frame(incoming, cx),
            Wire::Http2(_) => std::pin::Pin::new(incoming).poll_frame(cx),
        }
    }

    /// Gives the connection back after an answer read to its end.
    pub(super) fn release(self) {
        let Lease { wire, pool, call, slot, .. } = self;
        if let Wire::Http1(connection) = wire {
            pool.keep(call.index, connection);
        }
        // Only now may the next call ask: it finds the connection kept.
        drop(slot);
    }

    /// Gives up the connection and keeps the place, for another try on a new one.
    pub(super) fn into_place(self) -> (ActiveCall, OwnedSemaphorePermit) {
        (self.call, self.slot)
    }
}
