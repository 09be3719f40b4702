//! The bounds of the gateway listener. Everything a caller can make us hold or wait for is limited here.
use std::time::Duration;

/// Limits of one listener. All byte counts are of the wire, all durations are wall time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayLimits {
    /// Whole head of a request, request line included; also the HTTP/2 header list size (32 KiB). Beyond: 431.
    pub header_bytes: usize,
    /// Request target (8 KiB). Beyond: 414.
    pub target_bytes: usize,
    /// Header fields of a request (100). Beyond: 431.
    pub header_count: usize,
    /// Extensions of one chunk (256 bytes). Beyond: the body is broken (400).
    pub chunk_extension_bytes: usize,
    /// All trailer fields of one chunked body (4 KiB). Beyond: the body is broken (400).
    pub trailer_bytes: usize,
    /// Body of a request (10 MiB), unless the handler sets another with `GatewayBody::set_limit`. Beyond: `BodyError::TooLarge`.
    pub body_bytes: u64,
    /// From a connection's first byte expected, and from a head's first byte, to the head's end (10 s); also bounds the TLS
    /// handshake. Beyond: 408 where a head has begun, else the connection is closed.
    pub header_read: Duration,
    /// Between two pieces of a request body while the handler waits for it (30 s). Beyond: `BodyError::TimedOut`.
    pub body_idle: Duration,
    /// A connection without any request under way (75 s). Beyond: closed.
    pub keep_alive_idle: Duration,
    /// Bytes waiting to be sent while the caller takes none (30 s). Beyond: the connection is dropped.
    pub write_stall: Duration,
    /// After an answer that leaves unread bytes behind: how long they are read and thrown away, so that the caller can still
    /// read the answer before the connection is reset (5 s).
    pub linger: Duration,
    /// While draining: an idle connection is closed once it has been quiet for this long (300 ms), because its caller may have
    /// sent a request that is still on its way.
    pub drain_quiet: Duration,
    /// Connections at a time (10 000). Beyond: new ones wait in the kernel's backlog.
    pub connections: usize,
    /// HTTP/2 streams at a time per connection (128).
    pub h2_streams: u32,
    /// HTTP/2 streams a caller may have reset before they were taken up (32). Beyond: GOAWAY.
    pub h2_pending_resets: usize,
    /// HTTP/2 streams reset by us for the caller's errors (128). Beyond: GOAWAY.
    pub h2_error_resets: usize,
    /// Unread request body bytes held per HTTP/2 stream (128 KiB) …
    pub h2_stream_window: u32,
    /// … and per HTTP/2 connection (512 KiB).
    pub h2_connection_window: u32,
    /// HTTP/2 frames that carry no request (PING, SETTINGS, RST_STREAM, PRIORITY, unknown) in a burst (1000) …
    pub h2_control_burst: u32,
    /// … and per second beyond it (500). Beyond: the connection is dropped.
    pub h2_control_per_second: u32,
}

impl Default for GatewayLimits {
    fn default() -> Self {
        Self {
            header_bytes: 32 << 10,
            target_bytes: 8 << 10,
            header_count: 100,
            chunk_extension_bytes: 256,
            trailer_bytes: 4 << 10,
            body_bytes: 10 << 20,
            header_read: Duration::from_secs(10),
            body_idle: Duration::from_secs(30),
            keep_alive_idle: Duration::from_secs(75),
            write_stall: Duration::from_secs(30),
            linger: Duration::from_secs(5),
            drain_quiet: Duration::from_millis(300),
            connections: 10_000,
            h2_streams: 128,
            h2_pending_resets: 32,
            h2_error_resets: 128,
            h2_stream_window: 128 << 10,
            h2_connection_window: 512 << 10,
            h2_control_burst: 1000,
            h2_control_per_second: 500,
        }
    }
}
