//! The accept loop: takes connections within the limit, never dies of an accept error, and ends in stop, drain, force.
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Gateway, Handler, Peer,
    connection::{self, Context, End},
    tls::{Tls, TlsPeer},
};

/// Connections the kernel may hold for us before they are accepted.
const BACKLOG: i32 = 4096;
/// Pauses after accept errors such as too many open files.
const BACKOFF: [Duration; 4] =
    [Duration::from_millis(5), Duration::from_millis(50), Duration::from_millis(250), Duration::from_secs(1)];
/// After the force signal, how long connections may take to notice.
const FORCE_GRACE: Duration = Duration::from_secs(1);

/// What was left when the drain began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Connections that ended by themselves after the drain signal.
    pub finished: u64,
    /// Connections cut off by the force signal.
    pub forced: u64,
}

/// Binds an address for [`Gateway::serve`]: address reuse, backlog 4096. Port 0 takes a free one.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

impl<H: Handler> Gateway<H> {
    /// Serves until `drain` is cancelled, then lets what is under way finish, and cuts off the rest when `force` is cancelled.
    pub async fn serve(
        self,
        listener: TcpListener,
        drain: CancellationToken,
        force: CancellationToken,
    ) -> Drained {
        let context = Arc::new(Context::new(self.handler, self.limits, self.stats));
        let acceptance = Acceptance {
            slots: Arc::new(Semaphore::new(context.limits.connections)),
            tasks: TaskTracker::new(),
            tls: self.tls,
            context,
        };
        acceptance.run(&listener, &drain).await;
        acceptance.take_backlog(listener);
        acceptance.finish(&force).await
    }
}

struct Acceptance<H> {
    context: Arc<Context<H>>,
    slots: Arc<Semaphore>,
    tasks: TaskTracker,
    tls: Option<Tls>,
}

impl<H: Handler> Acceptance<H> {
    async fn run(&self, listener: &TcpListener, drain: &CancellationToken) {
        let mut failures = 0;
        loop {
            let accepted = tokio::select! {
                biased;
                () = drain.cancelled() => return,
                accepted = self.next(listener) => accepted,
            };
            match accepted {
                Ok((stream, address, slot)) => {
                    failures = 0;
                    self.start(stream, address, slot);
                }
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    let pause = BACKOFF[usize::min(failures, BACKOFF.len() - 1)];
                    if failures == 0 {
                        tracing::warn!(%error, "connections cannot be accepted now; trying again");
                    }
                    failures += 1;
                    self.context.stats.accept_errors.fetch_add(1, Relaxed);
                    tokio::select! {
                        () = drain.cancelled() => return,
                        () = tokio::time::sleep(pause) => {}
                    }
                }
            }
        }
    }

    async fn next(
        &self,
        listener: &TcpListener,
    ) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, address) = listener.accept().await?;
        Ok((stream, address, slot))
    }

    /// Connections the kernel has completed already would be reset with the listener: they are served first.
    fn take_backlog(&self, listener: TcpListener) {
        let Ok(listener) = listener.into_std() else { return };
        while let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            // Non-blocking, as it was made.
            let accepted = listener.accept().and_then(|(stream, address)| {
                stream.set_nonblocking(true)?;
                Ok((TcpStream::from_std(stream)?, address))
            });
            match accepted {
                Ok((stream, address)) => self.start(stream, address, slot),
                Err(error) if concerns_one_connection(&error) => {}
                Err(_) => return,
            }
        }
    }

    fn start(&self, stream: TcpStream, address: SocketAddr, slot: OwnedSemaphorePermit) {
        // Without it small answers wait for acknowledgements; that it fails means the caller has gone already.
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let context = Arc::clone(&self.context);
        let tls = self.tls.clone();
        context.stats.accepted.fetch_add(1, Relaxed);
        context.stats.open.fetch_add(1, Relaxed);
        self.tasks.spawn(async move {
            let open = OpenConnection { stats: Arc::clone(&context.stats), _slot: slot };
            let end = serve_stream(stream, address, tls, context).await;
            open.ended(end);
        });
    }

    async fn finish(&self, force: &CancellationToken) -> Drained {
        let stats = &self.context.stats;
        let open = stats.open.load(Relaxed);
        self.context.stage.drain();
        self.tasks.close();
        tokio::select! {
            () = self.tasks.wait() => {}
            () = force.cancelled() => {
                self.context.stage.force();
                if tokio::time::timeout(FORCE_GRACE, self.tasks.wait()).await.is_err() {
                    tracing::warn!(left = self.tasks.len(), "connections did not end when forced");
                }
            }
        }
        let forced = stats.forced.load(Relaxed) + self.tasks.len() as u64;
        Drained { finished: open.saturating_sub(forced), forced }
    }
}

/// Gives the connection's place back even where its task panics.
struct OpenConnection {
    stats: Arc<super::GatewayStats>,
    _slot: OwnedSemaphorePermit,
}

impl OpenConnection {
    fn ended(&self, end: End) {
        match end {
            End::Closed => {}
            End::Stalled => {
                self.stats.stalled.fetch_add(1, Relaxed);
            }
            End::Forced => {
                self.stats.forced.fetch_add(1, Relaxed);
            }
        }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.stats.open.fetch_sub(1, Relaxed);
    }
}

async fn serve_stream<H: Handler>(
    stream: TcpStream,
    addr: SocketAddr,
    tls: Option<Tls>,
    context: Arc<Context<H>>,
) -> End {
    let mut peer =
        Peer { addr, tls: None, http_version: http::Version::HTTP_11, accepted_at: Instant::now() };
    let Some(tls) = tls else { return connection::run(stream, context, peer).await };
    let handshake = tokio::time::timeout(context.limits.header_read, tls.acceptor().accept(stream));
    let stream = match handshake.await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            context.stats.tls_failures.fetch_add(1, Relaxed);
            return End::Closed;
        }
        Err(_) => {
            context.stats.tls_failures.fetch_add(1, Relaxed);
            return End::Closed;
        }
    };
    peer.tls = Some(Arc::new(TlsPeer { server_name: stream.get_ref().1.server_name().map(Into::into) }));
    connection::run(stream, context, peer).await
}

/// Errors that `accept` reports for the connection it would have returned (`accept(2)`): the next may be fine.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}
