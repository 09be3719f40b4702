//! The protocols with sockets of their own: one file each, listed here.
use std::net::SocketAddr;

use futures_util::future::BoxFuture;
use tokio::net::TcpStream;

use super::{sockets::Place, tcp};
use crate::spec::Proto;

/// Serves one connection to its end. It ends within moments after [`Place::closing`] is done.
pub type Serve = fn(TcpStream, SocketAddr, Place) -> BoxFuture<'static, ()>;

/// A protocol with sockets of its own.
pub struct Protocol {
    pub proto: Proto,
    /// Where it listens when the listener names no port.
    pub port: u16,
    pub serve: Serve,
}

/// All of them. A new one is a file beside this and a row here.
pub const PROTOCOLS: &[Protocol] = &[Protocol { proto: Proto::Tcp, port: 8091, serve: tcp::serve }];

/// The row of a protocol; none for those on the common HTTP port.
pub fn find(proto: Proto) -> Option<&'static Protocol> {
    PROTOCOLS.iter().find(|protocol| protocol.proto == proto)
}
