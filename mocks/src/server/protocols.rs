//! The protocols with sockets of their own: one file each, listed here.
use std::net::SocketAddr;

use futures_util::future::BoxFuture;
use tokio::net::TcpStream;

use super::{carrier::Dialect, cmpp, own, sftp, sgip, smgp, sockets::Place, tcp};
use crate::{partner::Listener, spec::Proto};

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
pub const PROTOCOLS: &[Protocol] = &[
    Protocol { proto: Proto::Tcp, port: 8091, serve: tcp::serve },
    Protocol { proto: Proto::Sftp, port: 8092, serve: sftp::serve },
    Protocol { proto: Proto::Cmpp, port: cmpp::PORT, serve: cmpp::serve },
    Protocol { proto: Proto::Smgp, port: smgp::PORT, serve: smgp::serve },
    Protocol { proto: Proto::Sgip, port: sgip::PORT, serve: sgip::serve },
];

/// HTTP and SOAP with a port of their own.
const OWN: &Protocol = &Protocol { proto: Proto::Http, port: 0, serve: own::serve };

/// How a listener with a socket of its own is served, and its port; none for those on the common HTTP port.
pub fn of(listener: &Listener) -> Option<(&'static Protocol, u16)> {
    match find(listener.proto) {
        Some(protocol) => Some((protocol, listener.port.unwrap_or(protocol.port))),
        None => listener.port.map(|port| (OWN, port)),
    }
}

/// The row of a protocol; none for HTTP and SOAP.
pub fn find(proto: Proto) -> Option<&'static Protocol> {
    PROTOCOLS.iter().find(|protocol| protocol.proto == proto)
}

/// How a carrier's protocol lays its messages out; none for the other protocols.
pub fn dialect(proto: Proto) -> Option<&'static dyn Dialect> {
    match proto {
        Proto::Cmpp => Some(&cmpp::Cmpp),
        Proto::Smgp => Some(&smgp::Smgp),
        Proto::Sgip => Some(&sgip::Sgip),
        Proto::Http | Proto::Soap | Proto::Tcp | Proto::Sftp | Proto::Amqp => None,
    }
}
