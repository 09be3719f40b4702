//! HTTP and SOAP listeners with a port of their own, with or without TLS.
use std::{net::SocketAddr, sync::Arc};

use futures_util::future::BoxFuture;
use tokio::net::TcpStream;

use super::{connection, sockets::Place, tls};

/// Serves one connection.
pub fn serve(stream: TcpStream, _: SocketAddr, place: Place) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let Some(wire) = tls::accept(stream, &place).await else { return };
        let shared = Arc::clone(&place.shared);
        connection::serve(wire, shared, Some(place)).await;
    })
}
