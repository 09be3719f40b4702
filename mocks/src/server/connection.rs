//! Connections of the mock server: accepted within a bound, reset where a fault asks for it, drained at shutdown.
use std::{
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
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpListener,
    sync::Semaphore,
    time::Sleep,
};

use super::{Shared, serve, sockets::Place, wire::Wire};

/// A head must arrive within this time; it also bounds how long a connection may idle.
const HEAD: Duration = Duration::from_secs(60);

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
    let places = Arc::new(Semaphore::new(connections));
    let mut open = shared.open.subscribe();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = open.wait_for(|open| !open) => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let shared = Arc::clone(&shared);
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "nodelay");
                }
                tokio::spawn(async move {
                    serve(Wire::Plain(stream), shared, None).await;
                    drop(place);
                });
            }
            // Out of descriptors, or a peer gone already: both pass.
            Err(error) => {
                tracing::warn!(%error, "a connection to the mock partners could not be accepted");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

/// Serves a connection to its end: of the common port, or of the one listener that `only` names.
pub async fn serve(wire: Wire, shared: Arc<Shared>, only: Option<Place>) {
    let alive = shared.alive.subscribe();
    let mut open = shared.open.subscribe();
    let mut closing = only.clone();
    let only = only.map(Arc::new);
    let reset = Arc::new(AtomicBool::new(false));
    let io = TokioIo::new(Socket { wire, reset: Arc::clone(&reset), stall: None });
    let service = service_fn(|request| {
        let (shared, reset, only) = (Arc::clone(&shared), Arc::clone(&reset), only.clone());
        async move {
            let served = serve::serve(request, &shared, only.as_deref()).await;
            if served.is_err() {
                reset.store(true, Ordering::Release);
            }
            served
        }
    });
    let mut closed = std::pin::pin!(async move {
        match &mut closing {
            Some(place) => place.closing().await,
            // An error means that the server is gone, which is the same.
            None => drop(open.wait_for(|open| !open).await),
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(64 * 1024);
    let mut connection = std::pin::pin!(builder.serve_connection(io, service));
    let mut draining = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                // Resets, cut bodies and callers that leave all end here: nothing to tell.
                if let Err(error) = ended {
                    tracing::trace!(%error, "a connection to the mock partners ended");
                }
                break;
            }
            () = closed.as_mut(), if !draining => {
                draining = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
    drop(alive);
}

/// A socket that is reset rather than closed when a fault has asked for it.
struct Socket {
    wire: Wire,
    reset: Arc<AtomicBool>,
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
