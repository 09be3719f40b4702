//! The gateway listener from outside: raw sockets, hand-written frames, real TLS.
mod cases;
mod drain;
mod framing;
mod http2;
mod support;
mod tls;
