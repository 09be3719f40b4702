//! What the scenarios share: the real binary as a child process, and a plain HTTP/1.1 client over a socket.
pub mod bus;
pub mod folder;
pub mod http;
pub mod memory;
