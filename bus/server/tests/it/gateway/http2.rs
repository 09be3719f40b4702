//! HTTP/2 with frames written by hand (RFC 9113, RFC 7541): a plain call, and abuse.
use std::time::Duration;

use qiao::gateway::{GatewayLimits, Refusal};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::support::{MEMORY, PATIENCE, Running, resident_bytes, start};

/// What a flood may make this process hold on to, both ends of the connection together.
const FLOOD_MEMORY: usize = 24 << 20;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("small").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A literal field without indexing and without Huffman coding.
fn field(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        let length = text.len();
        if length < 127 {
            bytes.push(length as u8);
        } else {
            bytes.push(127);
            let mut rest = length - 127;
            while rest >= 128 {
                bytes.push((rest % 128) as u8 | 128);
                rest /= 128;
            }
            bytes.push(rest as u8);
        }
        bytes.extend(text.bytes());
    }
    bytes
}

fn fields(list: &[(&str, &str)]) -> Vec<u8> {
    list.iter().flat_map(|(name, value)| field(name, value)).collect()
}

fn get(path: &str) -> Vec<u8> {
    fields(&[(":method", "GET"), (":scheme", "http"), (":authority", "bus"), (":path", path)])
}

struct Frames {
    stream: TcpStream,
}

struct Frame {
    kind: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frames {
    async fn connect(gateway: &Running, settings: &[u8]) -> Self {
        let mut stream = TcpStream::connect(gateway.address).await.expect("the gateway listens");
        stream.set_nodelay(true).expect("set");
        let mut hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        hello.extend(frame(SETTINGS, 0, 0, settings));
        stream.write_all(&hello).await.expect("sent");
        Self { stream }
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        self.stream.write_all(&frame(kind, flags, stream, payload)).await.is_ok()
    }

    /// The next frame; none at the end of the connection.
    async fn next(&mut self) -> Option<Frame> {
        let read = async {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).await.ok()?;
            let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
            self.stream.read_exact(&mut payload).await.ok()?;
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            Some(Frame { kind: head[3], stream, payload })
        };
        tokio::time::timeout(PATIENCE, read).await.expect("a frame or an end")
    }

    /// The next frame of this kind on this stream.
    async fn until(&mut self, kind: u8, stream: u32) -> Option<Vec<u8>> {
        loop {
            let frame = self.next().await?;
            if frame.kind == kind && frame.stream == stream {
                return Some(frame.payload);
            }
        }
    }

    /// The status of the answer: indexed, or a literal that begins with its index (RFC 7541 appendix A).
    async fn status(&mut self, stream: u32) -> Option<u16> {
        let block = self.until(HEADERS, stream).await?;
        let status = match block.as_slice() {
            [0x88, ..] => 200,
            [0x8c, ..] => 400,
            [_, length, text @ ..] => {
                let text = &text[..usize::from(length & 0x7f)];
                if length & 0x80 != 0 {
                    huffman_digits(text)
                } else {
                    std::str::from_utf8(text).ok()?.parse().ok()?
                }
            }
            _ => return None,
        };
        Some(status)
    }

    /// Reads until the connection ends.
    async fn drained(&mut self) -> bool {
        while self.next().await.is_some() {}
        true
    }
}

/// Three Huffman-coded digits: 0, 1, 2 are five bits (0, 1, 2), the others six (0x19 + digit - 3).
fn huffman_digits(bytes: &[u8]) -> u16 {
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let take = |at: usize, count: usize| {
        bits[at..at + count].iter().fold(0_u16, |value, bit| value << 1 | u16::from(*bit))
    };
    let (mut at, mut number) = (0, 0);
    for _ in 0..3 {
        let short = take(at, 5);
        let (digit, width) = if short < 3 { (short, 5) } else { (take(at, 6) - 0x19 + 3, 6) };
        number = number * 10 + digit;
        at += width;
    }
    number
}

#[tokio::test]
async fn prior_knowledge_is_served_many_streams_at_a_time() {
    let gateway = start(GatewayLimits::default());
    let mut it = Frames::connect(&gateway, &[]).await;
    assert!(it.send(HEADERS, END_HEADERS | END_STREAM, 1, &get("/one")).await);
    assert_eq!(it.status(1).await, Some(200));
    assert_eq!(it.until(DATA, 1).await.as_deref(), Some(b"GET /one 0".as_slice()));
    let post = fields(&[(":method", "POST"), (":scheme", "http"), (":authority", "bus"), (":path", "/two")]);
    assert!(it.send(HEADERS, END_HEADERS, 3, &post).await);
    assert!(it.send(HEADERS, END_HEADERS | END_STREAM, 5, &get("/three")).await);
    assert_eq!(it.until(DATA, 5).await.as_deref(), Some(b"GET /three 0".as_slice()));
    assert!(it.send(DATA, END_STREAM, 3, b"hello").await);
    assert_eq!(it.until(DATA, 3).await.as_deref(), Some(b"POST /two 5".as_slice()));
}

#[tokio::test]
async fn heads_that_http1_would_refuse_are_refused() {
    let gateway = start(GatewayLimits::default());
    let many: Vec<(String, String)> =
        (0..101).map(|number| (format!("x-{number}"), "v".to_owned())).collect();
    let many: Vec<u8> = many.iter().flat_map(|(name, value)| field(name, value)).collect();
    let plain = [(":method", "GET"), (":scheme", "http"), (":path", "/")];
    let with = |more: &[(&str, &str)]| fields(&[plain.as_slice(), more].concat());
    let cases: [(&str, Vec<u8>, u16); 7] = [
        ("no authority", with(&[]), 400),
        ("another host", with(&[(":authority", "bus"), ("host", "other")]), 400),
        ("two hosts", with(&[("host", "bus"), ("host", "bus")]), 400),
        ("host with a path", with(&[("host", "bus/a")]), 400),
        ("too many fields", [with(&[(":authority", "bus")]), many].concat(), 431),
        ("target too long", get(&format!("/{}", "a".repeat(9000))), 414),
        ("connect", fields(&[(":method", "CONNECT"), (":authority", "bus:443")]), 501),
    ];
    for (name, block, status) in cases {
        let mut it = Frames::connect(&gateway, &[]).await;
        assert!(it.send(HEADERS, END_HEADERS | END_STREAM, 1, &block).await, "{name}");
        assert_eq!(it.status(1).await, Some(status), "{name}");
        assert!(it.send(HEADERS, END_HEADERS | END_STREAM, 3, &get("/")).await, "{name}");
        assert_eq!(it.status(3).await, Some(200), "{name}");
    }
    assert_eq!(gateway.seen(), 7);
    assert_eq!(gateway.stats.refused(Refusal::TooManyHeaders), 1);
}

#[tokio::test]
async fn a_header_list_too_large_is_refused_and_does_not_reach_the_handler() {
    let gateway = start(GatewayLimits::default());
    let mut it = Frames::connect(&gateway, &[]).await;
    let mut block = get("/");
    for _ in 0..5 {
        block.extend(field("x-large", &"a".repeat(8000)));
    }
    let (first, rest) = block.split_at(16_000);
    assert!(it.send(HEADERS, END_STREAM, 1, first).await);
    let mut pieces = rest.chunks(16_000).peekable();
    while let Some(piece) = pieces.next() {
        let flags = if pieces.peek().is_none() { END_HEADERS } else { 0 };
        assert!(it.send(CONTINUATION, flags, 1, piece).await);
    }
    assert_eq!(it.status(1).await, Some(431));
    assert_eq!(gateway.seen(), 0);
    gateway.serves_others().await;
}

#[tokio::test]
async fn a_continuation_flood_ends_the_connection() {
    let _alone = MEMORY.write().await;
    let before = resident_bytes();
    let gateway = start(GatewayLimits::default());
    let mut it = Frames::connect(&gateway, &[]).await;
    assert!(it.send(HEADERS, END_STREAM, 1, &get("/")).await);
    let (mut reader, mut writer) = it.stream.into_split();
    let flood = tokio::spawn(async move {
        let piece = frame(CONTINUATION, 0, 1, &field("x-flood", &"a".repeat(100)));
        let mut sent = 0_usize;
        while sent < 64 << 20 && writer.write_all(&piece).await.is_ok() {
            sent += piece.len();
        }
        sent
    });
    let mut rest = Vec::new();
    // The end, orderly or as a reset: both are the gateway's doing.
    let _ended = reader.read_to_end(&mut rest).await.is_ok();
    let sent = flood.await.expect("no panic");
    assert!(sent < 8 << 20, "{sent} bytes were taken");
    assert_eq!(gateway.seen(), 0);
    let held = resident_bytes().saturating_sub(before);
    assert!(held < FLOOD_MEMORY, "{held} bytes held");
    gateway.serves_others().await;
}

#[tokio::test]
async fn rapid_resets_end_the_connection_and_leave_no_work_behind() {
    let _alone = MEMORY.write().await;
    let before = resident_bytes();
    let limits = GatewayLimits { h2_control_burst: 200, h2_control_per_second: 1, ..Default::default() };
    let gateway = start(limits);
    let mut it = Frames::connect(&gateway, &[]).await;
    let mut wire = Vec::new();
    for number in 0..5000_u32 {
        wire.extend(frame(HEADERS, END_HEADERS | END_STREAM, number * 2 + 1, &get("/never")));
        wire.extend(frame(RST_STREAM, 0, number * 2 + 1, &8_u32.to_be_bytes()));
    }
    let _sent = it.stream.write_all(&wire).await.is_ok();
    assert!(it.drained().await);
    assert!(gateway.seen() <= 200, "{} requests were started", gateway.seen());
    let held = resident_bytes().saturating_sub(before);
    assert!(held < FLOOD_MEMORY, "{held} bytes held");
    gateway.serves_others().await;
}

#[tokio::test]
async fn floods_of_control_frames_end_the_connection() {
    let _alone = MEMORY.write().await;
    let before = resident_bytes();
    for (kind, payload) in [(PING, [0; 8].as_slice()), (SETTINGS, &[]), (0xfa, &[0; 30])] {
        let gateway = start(GatewayLimits::default());
        let it = Frames::connect(&gateway, &[]).await;
        let (mut reader, mut writer) = it.stream.into_split();
        let piece = frame(kind, 0, 0, payload).repeat(100);
        let flood = tokio::spawn(async move {
            let mut sent = 0_usize;
            while sent < 2_000_000 && writer.write_all(&piece).await.is_ok() {
                sent += 100;
            }
            sent
        });
        let mut rest = Vec::new();
        let _ended = reader.read_to_end(&mut rest).await.is_ok();
        assert!(flood.await.expect("no panic") < 2_000_000, "kind {kind}");
        let held = resident_bytes().saturating_sub(before);
        assert!(held < FLOOD_MEMORY, "{held} bytes held");
        gateway.serves_others().await;
    }
}

#[tokio::test]
async fn streams_beyond_the_limit_are_refused() {
    let gateway = start(GatewayLimits { h2_streams: 4, ..Default::default() });
    let mut it = Frames::connect(&gateway, &[]).await;
    for number in 0..6 {
        assert!(it.send(HEADERS, END_HEADERS | END_STREAM, number * 2 + 1, &get("/gate")).await);
    }
    assert!(it.until(RST_STREAM, 9).await.is_some());
    assert!(it.until(RST_STREAM, 11).await.is_some());
    gateway.echo.gate.add_permits(4);
    assert_eq!(it.status(1).await, Some(200));
    assert_eq!(gateway.seen(), 4);
}

#[tokio::test]
async fn a_caller_that_opens_no_window_is_dropped_while_others_are_served() {
    let _large = MEMORY.read().await;
    let gateway = start(GatewayLimits { write_stall: Duration::from_millis(300), ..Default::default() });
    // SETTINGS_INITIAL_WINDOW_SIZE 0.
    let mut it = Frames::connect(&gateway, &[0, 4, 0, 0, 0, 0]).await;
    for number in 0..20 {
        assert!(it.send(HEADERS, END_HEADERS | END_STREAM, number * 2 + 1, &get("/large")).await);
    }
    gateway.serves_others().await;
    assert!(it.drained().await);
    assert_eq!(gateway.stats.stalled(), 1);
}

#[tokio::test]
async fn a_stream_that_takes_its_answer_is_not_dropped() {
    let _large = MEMORY.read().await;
    let gateway = start(GatewayLimits { write_stall: Duration::from_secs(20), ..Default::default() });
    let mut it = Frames::connect(&gateway, &[]).await;
    assert!(it.send(HEADERS, END_HEADERS | END_STREAM, 1, &get("/large")).await);
    let mut taken = 0_u32;
    while taken < 8 << 20 {
        let frame = it.next().await.expect("more to come");
        if frame.kind == DATA {
            let length = frame.payload.len() as u32;
            taken += length;
            if length > 0 {
                assert!(it.send(WINDOW_UPDATE, 0, 0, &length.to_be_bytes()).await);
                assert!(it.send(WINDOW_UPDATE, 0, 1, &length.to_be_bytes()).await);
            }
        }
    }
    assert_eq!(taken, 8 << 20);
}

#[tokio::test]
async fn a_body_that_stops_times_out_on_its_stream_only() {
    let gateway = start(GatewayLimits { body_idle: Duration::from_millis(200), ..Default::default() });
    let mut it = Frames::connect(&gateway, &[]).await;
    let post = fields(&[(":method", "POST"), (":scheme", "http"), (":authority", "bus"), (":path", "/")]);
    assert!(it.send(HEADERS, END_HEADERS, 1, &post).await);
    assert!(it.send(DATA, 0, 1, b"x").await);
    assert_eq!(it.status(1).await, Some(408));
    assert!(it.send(HEADERS, END_HEADERS | END_STREAM, 3, &get("/")).await);
    assert_eq!(it.status(3).await, Some(200));
}

#[tokio::test]
async fn a_drain_says_goodbye_and_lets_streams_finish() {
    let gateway = start(GatewayLimits::default());
    let mut it = Frames::connect(&gateway, &[]).await;
    assert!(it.send(HEADERS, END_HEADERS | END_STREAM, 1, &get("/gate")).await);
    gateway.until_seen(1).await;
    gateway.drain.cancel();
    assert!(it.until(GOAWAY, 0).await.is_some());
    gateway.echo.gate.add_permits(1);
    assert_eq!(it.status(1).await, Some(200));
    assert_eq!(it.until(DATA, 1).await.as_deref(), Some(b"GET /gate 0".as_slice()));
    drop(it);
    assert_eq!(gateway.done.await.expect("no panic").forced, 0);
}
