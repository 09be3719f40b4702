//! The HTTP connector against scripted partners on loopback sockets. For who changes the connector.
mod balancing;
mod exchange;
mod faults;
mod http2;
mod partner;
mod pooling;
mod streams;
mod tls;
