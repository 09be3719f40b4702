//! Files over SSH: logins, and the folder tree that each user sees. A batch put there is a request.
mod login;
mod put;
mod session;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use russh::server::Config;
use tokio::net::TcpStream;

use super::{sockets::Place, wire};
use login::Login;

/// A connection on which nothing happens is closed.
const IDLE: Duration = Duration::from_secs(600);
/// A refused login takes at least this long.
const REFUSAL: Duration = Duration::from_millis(300);

/// Serves one connection.
pub fn serve(stream: TcpStream, _: SocketAddr, mut place: Place) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        if place.current().is_none() {
            return wire::reset(&stream);
        }
        let Ok(line) = duplicate(&stream) else { return wire::reset(&stream) };
        let line = Arc::new(line);
        let config = Config {
            auth_rejection_time: REFUSAL,
            auth_rejection_time_initial: Some(Duration::ZERO),
            keys: vec![place.shared.authority.host_key().clone()],
            max_auth_attempts: 6,
            inactivity_timeout: Some(IDLE),
            ..Config::default()
        };
        let login = Login::new(place.clone(), Arc::clone(&line));
        let running = match russh::server::run_stream(Arc::new(config), stream, login).await {
            Ok(running) => running,
            Err(error) => return tracing::trace!(%error, "an SSH connection to a mock partner ended"),
        };
        tokio::select! {
            ended = running => {
                if let Err(error) = ended {
                    tracing::trace!(%error, "an SSH connection to a mock partner ended");
                }
            }
            () = place.closing() => hang_up(&line),
        }
    })
}

/// A second handle on the socket: the first belongs to the SSH library.
fn duplicate(stream: &TcpStream) -> std::io::Result<socket2::Socket> {
    socket2::SockRef::from(stream).try_clone()
}

/// Ends the connection in the middle of whatever it does.
pub fn hang_up(line: &socket2::Socket) {
    if let Err(error) = line.shutdown(std::net::Shutdown::Both) {
        tracing::trace!(%error, "the peer has gone already");
    }
}
