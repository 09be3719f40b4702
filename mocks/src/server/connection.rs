//! Connections of the mock server: accepted within a bound, reset where a fault asks for it, drained at shutdown.
use std::{
    error::Error,
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpListener,
    time::Sleep,
};

use super::{
    Shared, accept,
    patience::{Patience, Progress},
    serve::{self, Unanswered},
    sockets::Place,
    wire::Wire,
};

/// A caller that takes nothing of its answer for this long is given up.
const STALL: Duration = Duration::from_secs(60);

/// Accepts until shutdown.
pub async fn accept(listener: std::net::TcpListener, shared: Arc<Shared>, connections: usize) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the mock server cannot listen");
            return;
        }
    };
    let ending = (shared.open.subscribe(), false);
    accept::accept(listener, connections, ending, |stream, _| {
        Some(serve(Wire::Plain(stream), Arc::clone(&shared), None))
    })
    .await;
}

/// Serves a connection to its end: of the common port, or of the one listener that `only` names.
pub async fn serve(wire: Wire, shared: Arc<Shared>, only: Option<Place>) {
    let alive = shared.alive.subscribe();
    // The value at which the connection ends.
    let (mut ending, end) = match &only {
        Some(place) => (place.ending(), true),
        None => (shared.open.subscribe(), false),
    };
    let told = ending.clone();
    let reset = Arc::new(AtomicBool::new(false));
    let progress = Arc::<Progress>::default();
    let socket = Socket { wire, reset: Arc::clone(&reset), progress: Arc::clone(&progress), stall: None };
    let mut patience = Patience::new(Arc::clone(&progress));
    let (context, only, progress) = (&shared, only.as_ref(), &progress);
    let service = service_fn(|request| serve::serve(request, context, only, progress));
    // An error means that the server or the socket is gone, which is the same.
    let mut ended = std::pin::pin!(async move { drop(ending.wait_for(|now| *now == end).await) });
    let mut builder = http1::Builder::new();
    builder.header_read_timeout(None).max_buf_size(64 * 1024);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(socket), service));
    let (mut waits, mut draining) = (false, false);
    let served = poll_fn(|context| {
        loop {
            if let Poll::Ready(served) = connection.as_mut().poll(context) {
                return Poll::Ready(served);
            }
            if patience.poll(context).is_ready() {
                return Poll::Ready(Ok(()));
            }
            // Its task is woken at the end: until something has changed there is no need to ask again.
            if draining || waits && !told.has_changed().unwrap_or(true) {
                return Poll::Pending;
            }
            waits = true;
            if ended.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            draining = true;
            connection.as_mut().graceful_shutdown();
        }
    });
    // Resets, cut bodies and callers that leave all end here: nothing to tell.
    if let Err(error) = served.await {
        reset.store(error.source().is_some_and(|why| why.is::<Unanswered>()), Ordering::Release);
        tracing::trace!(%error, "a connection to the mock partners ended");
    }
    drop(alive);
}

/// A socket that is reset rather than closed when a fault has asked for it.
struct Socket {
    wire: Wire,
    reset: Arc<AtomicBool>,
    progress: Arc<Progress>,
    /// Runs while a write waits.
    stall: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    /// Turns a write that has waited too long into an error.
    fn bounded(
        &mut self,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.progress.step();
            self.stall = None;
            return written;
        }
        let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(STALL)));
        stall.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Acquire) {
            self.wire.reset();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.wire).poll_write(context, bytes);
        self.bounded(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.wire).poll_write_vectored(context, slices);
        self.bounded(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(context)
    }
}
