//! One connection from its first byte to its last: which protocol it speaks, and the driver that gives every wait a deadline.
use std::{
    error::Error as StdError,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use http_body::Body;
use hyper::{
    body::Incoming,
    rt::{Read, Write, bounds::Http2ServerConnExec},
    server::conn::{http1, http2},
    service::{HttpService, service_fn},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    time::{Instant, Sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    GatewayStats, Handler, Peer,
    flow::{Flow, Wait},
    guard::{Guard, PREFACE},
    limits::GatewayLimits,
    service,
};

/// What all connections of a listener share.
pub(crate) struct Context<H> {
    pub(crate) handler: Arc<H>,
    pub(crate) limits: Arc<GatewayLimits>,
    pub(crate) stats: Arc<GatewayStats>,
    pub(crate) stage: Stage,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl<H> Context<H> {
    pub(crate) fn new(handler: Arc<H>, limits: Arc<GatewayLimits>, stats: Arc<GatewayStats>) -> Self {
        let (http1, http2) = (http1_builder(&limits), http2_builder(&limits));
        Self { handler, limits, stats, stage: Stage::default(), http1, http2 }
    }
}

fn http1_builder(limits: &GatewayLimits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    // Deadlines are the driver's, one timer per connection. Room for a head and as much again bounds what hyper buffers.
    builder.timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(limits.header_bytes + (64 << 10));
    if limits.header_count > 100 {
        builder.max_headers(limits.header_count);
    }
    builder
}

fn http2_builder(limits: &GatewayLimits) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.h2_streams)
        .max_pending_accept_reset_streams(limits.h2_pending_resets)
        .max_local_error_reset_streams(limits.h2_error_resets)
        .initial_stream_window_size(limits.h2_stream_window)
        .initial_connection_window_size(limits.h2_connection_window)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .max_send_buf_size(64 << 10);
    builder
}

/// Running, draining, forced: read by every connection on every wake, so an atomic; the tokens only wake.
#[derive(Default)]
pub(crate) struct Stage {
    level: AtomicU8,
    drain: CancellationToken,
    force: CancellationToken,
}

impl Stage {
    pub(crate) fn drain(&self) {
        self.level.fetch_max(1, Ordering::SeqCst);
        self.drain.cancel();
    }

    pub(crate) fn force(&self) {
        self.level.fetch_max(2, Ordering::SeqCst);
        self.force.cancel();
    }

    pub(crate) fn draining(&self) -> bool {
        self.level.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn forced(&self) -> bool {
        self.level.load(Ordering::Relaxed) > 1
    }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Closed,
    /// The caller took nothing, or sent on and on after a refusal.
    Stalled,
    Forced,
}

/// Serves one connection to its end.
pub(crate) async fn run<H, I>(mut io: I, context: Arc<Context<H>>, peer: Peer) -> End
where
    H: Handler,
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut first = [0; PREFACE.len()];
    let Some(have) = sniff(&mut io, &mut first, &context).await else { return End::Closed };
    let flow = Arc::new(Flow::default());
    let service = {
        let (context, flow) = (Arc::clone(&context), Arc::clone(&flow));
        service_fn(move |request| {
            let answer = service::answer(Arc::clone(&context), Arc::clone(&flow), peer.clone(), request);
            async move { Ok::<_, std::convert::Infallible>(answer.await) }
        })
    };
    if first == *PREFACE {
        let guard = Guard::http2(io, Arc::clone(&flow), &context.limits);
        let mut connection = Box::pin(context.http2.serve_connection(TokioIo::new(guard), service));
        drive(connection.as_mut(), &flow, &context).await
    } else {
        let guard = Guard::http1(io, Arc::clone(&flow), &context.limits, &first[..have]);
        let mut connection = Box::pin(context.http1.serve_connection(TokioIo::new(guard), service));
        drive(connection.as_mut(), &flow, &context).await
    }
}

/// Reads until it is clear whether the caller speaks HTTP/2; none if nothing came. Holds no buffer while waiting.
async fn sniff<H, I>(io: &mut I, first: &mut [u8; PREFACE.len()], context: &Context<H>) -> Option<usize>
where
    I: AsyncRead + Unpin,
{
    let read = async {
        let mut have = 0;
        loop {
            match io.read(&mut first[have..]).await {
                Ok(0) | Err(_) => return None,
                Ok(count) => have += count,
            }
            if first[..have] != PREFACE[..have] || have == PREFACE.len() {
                return Some(have);
            }
        }
    };
    let quiet = async {
        context.stage.drain.cancelled().await;
        tokio::time::sleep(context.limits.drain_quiet).await;
    };
    tokio::select! {
        biased;
        () = context.stage.force.cancelled() => None,
        read = tokio::time::timeout(context.limits.header_read, read) => read.ok().flatten(),
        () = quiet => None,
    }
}

/// hyper's two kinds of connection.
trait Protocol {
    const HTTP2: bool;
    fn poll_serve(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()>;
    fn shut_down(self: Pin<&mut Self>);
}

type BoxError = Box<dyn StdError + Send + Sync>;

impl<I, S, B> Protocol for http1::Connection<I, S>
where
    I: Read + Write + Unpin,
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<BoxError>,
    B: Body + 'static,
    B::Error: Into<BoxError>,
{
    const HTTP2: bool = false;

    fn poll_serve(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        self.poll(cx).map(log_end)
    }

    fn shut_down(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S, B, E> Protocol for http2::Connection<I, S, E>
where
    I: Read + Write + Unpin,
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<BoxError>,
    B: Body + 'static,
    B::Error: Into<BoxError>,
    E: Http2ServerConnExec<S::Future, B>,
{
    const HTTP2: bool = true;

    fn poll_serve(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        self.poll(cx).map(log_end)
    }

    fn shut_down(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

fn log_end(end: hyper::Result<()>) {
    if let Err(error) = end {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Polls the connection, and watches what it waits for with a single timer that is moved only when it has to be.
async fn drive<P: Protocol, H>(mut connection: Pin<&mut P>, flow: &Flow, context: &Context<H>) -> End {
    let mut drained = pin!(context.stage.drain.cancelled());
    let mut forced = pin!(context.stage.force.cancelled());
    let mut watch = Watch::new();
    let mut shut = false;
    std::future::poll_fn(move |cx| {
        if !watch.registered {
            // Once is enough: a task's waker does not change, and each poll would take a lock all connections share.
            watch.registered = true;
            let _drained = drained.as_mut().poll(cx).is_ready() || forced.as_mut().poll(cx).is_ready();
        }
        loop {
            if context.stage.forced() {
                return Poll::Ready(End::Forced);
            }
            if connection.as_mut().poll_serve(cx).is_ready() {
                return Poll::Ready(End::Closed);
            }
            // Whatever the guard did not act on was progress.
            flow.take_expired();
            let draining = context.stage.draining();
            if draining && !shut && (P::HTTP2 || flow.busy()) {
                shut = true;
                connection.as_mut().shut_down();
                continue;
            }
            let wait = flow.wait();
            let Some(limit) = limit(wait, &context.limits, draining, shut) else { return Poll::Pending };
            match watch.due(cx, wait, limit) {
                Due::NotYet => return Poll::Pending,
                Due::Again => {}
                Due::Now => match wait {
                    Wait::Head(_) | Wait::Body(_) => flow.expire(),
                    Wait::First | Wait::Idle(_) if !shut => {
                        shut = true;
                        connection.as_mut().shut_down();
                    }
                    Wait::First | Wait::Idle(_) => return Poll::Ready(End::Closed),
                    _ => return Poll::Ready(End::Stalled),
                },
            }
        }
    })
    .await
}

/// How long this may take.
fn limit(wait: Wait, limits: &GatewayLimits, draining: bool, shut: bool) -> Option<Duration> {
    match wait {
        Wait::Nothing => None,
        // Said goodbye: HTTP/2 callers get a moment to answer.
        Wait::First | Wait::Idle(_) if shut => Some(limits.linger),
        Wait::First | Wait::Idle(_) if draining => Some(limits.drain_quiet),
        Wait::First | Wait::Head(_) => Some(limits.header_read),
        Wait::Idle(_) => Some(limits.keep_alive_idle),
        Wait::Body(_) => Some(limits.body_idle),
        Wait::Write(_) | Wait::Stream(_) => Some(limits.write_stall),
        Wait::Linger => Some(limits.linger),
    }
}

/// Since when the connection has been waiting for the same thing.
struct Watch {
    wait: Wait,
    since: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    registered: bool,
}

enum Due {
    NotYet,
    /// The timer fired early, for an older wait.
    Again,
    Now,
}

impl Watch {
    fn new() -> Self {
        Self { wait: Wait::Nothing, since: Instant::now(), timer: None, registered: false }
    }

    fn due(&mut self, cx: &mut TaskContext<'_>, wait: Wait, limit: Duration) -> Due {
        if self.wait != wait {
            self.wait = wait;
            self.since = Instant::now();
        }
        let due = self.since + limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if timer.deadline() > due || timer.is_elapsed() {
            timer.as_mut().reset(due);
        }
        if timer.as_mut().poll(cx).is_pending() {
            return Due::NotYet;
        }
        let now = Instant::now();
        if now < due {
            return Due::Again;
        }
        self.since = now;
        Due::Now
    }
}

#[cfg(test)]
mod tests;
