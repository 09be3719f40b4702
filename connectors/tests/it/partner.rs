//! A scripted partner over real sockets: each test writes, byte by byte, what the other side says. For the tests beside it.
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method};
use qiao_connectors::{Endpoint, HttpConfig, HttpConnector, HttpOperation};
use qiao_core::{Answer, AnswerBody, Outbound, OutboundBody};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
};

pub const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A listening partner; stops when dropped.
pub struct Partner {
    pub url: String,
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Partner {
    /// Runs `script` for every connection, with the connection's number from 0.
    pub async fn serve<F, R>(script: F) -> Self
    where
        F: Fn(usize, Peer<TcpStream>) -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        Self::serve_streams("http", move |number, tcp| {
            script(number, Peer { stream: tcp, unread: Vec::new() })
        })
        .await
    }

    /// The same below HTTP: `script` gets the bare socket.
    pub async fn serve_streams<F, R>(scheme: &str, script: F) -> Self
    where
        F: Fn(usize, TcpStream) -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let url = format!("{scheme}://{}", listener.local_addr().expect("bound"));
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = accepted.clone();
        let task = tokio::spawn(async move {
            let mut running = tokio::task::JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                running.spawn(script(count.fetch_add(1, SeqCst), tcp));
            }
        });
        Self { url, accepted, task }
    }

    /// Answers every request of every connection with the same bytes.
    pub async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = Arc::new(answer.into());
        Self::serve(move |_, mut peer| {
            let answer = answer.clone();
            async move {
                while peer.request().await.is_some() {
                    peer.write(&answer).await;
                }
            }
        })
        .await
    }

    /// Answers the first request of each connection and closes it.
    pub async fn answering_once(answer: impl Into<Vec<u8>>) -> Self {
        let answer = Arc::new(answer.into());
        Self::serve(move |_, mut peer| {
            let answer = answer.clone();
            async move {
                peer.request().await.expect("request");
                peer.write(&answer).await;
            }
        })
        .await
    }

    pub fn connections(&self) -> usize {
        self.accepted.load(SeqCst)
    }
}

impl Drop for Partner {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The partner's side of one connection.
pub struct Peer<S> {
    pub stream: S,
    unread: Vec<u8>,
}

/// A request as it came off the wire.
#[derive(Debug)]
pub struct Received {
    /// Request line and headers, each line ended by CRLF.
    pub head: String,
    pub body: Vec<u8>,
}

impl Received {
    /// The values of a header, by lower-case name.
    pub fn header(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, unread: Vec::new() }
    }

    async fn fill(&mut self) -> bool {
        self.stream.read_buf(&mut self.unread).await.is_ok_and(|count| count > 0)
    }

    /// Whether the other side closed, having sent nothing more.
    pub async fn closed(&mut self) -> bool {
        !self.fill().await
    }

    pub async fn head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let head = self.unread.drain(..end + 4).collect();
                return Some(String::from_utf8(head).expect("ASCII head"));
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.unread.len() < length {
            if !self.fill().await {
                return None;
            }
        }
        Some(self.unread.drain(..length).collect())
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|bytes| bytes == b"\r\n") {
                let line = self.unread.drain(..end + 2).collect();
                return Some(String::from_utf8(line).expect("ASCII line"));
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// The next request with its whole body, or `None` when the other side closed.
    pub async fn request(&mut self) -> Option<Received> {
        let head = self.head().await?;
        let mut received = Received { head, body: Vec::new() };
        if let Some(length) = received.header("content-length").first() {
            let length = length.parse().expect("length");
            received.body = self.exactly(length).await?;
        } else if received.header("transfer-encoding") == ["chunked"] {
            loop {
                let size = usize::from_str_radix(self.line().await?.trim_end(), 16).expect("chunk size");
                let chunk = self.exactly(size).await?;
                received.body.extend(chunk);
                self.line().await?;
                if size == 0 {
                    break;
                }
            }
        }
        Some(received)
    }

    /// Writes and ignores that the other side may have gone.
    pub async fn write(&mut self, bytes: &[u8]) {
        if self.stream.write_all(bytes).await.is_ok() {
            self.stream.flush().await.unwrap_or_default();
        }
    }
}

impl Peer<TcpStream> {
    /// Closes with RST instead of FIN.
    pub fn reset(self) {
        self.stream.set_zero_linger().expect("open");
    }
}

/// Lets everything that already happened on loopback sockets reach the runtime: a round trip of its own comes after it.
pub async fn settle() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("bound");
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (mut near, mut far) = (near.expect("connected"), far.expect("accepted").0);
    far.write_all(b"x").await.expect("written");
    near.read_exact(&mut [0]).await.expect("read");
}

/// An address that refuses connections, for as long as the socket is held.
pub fn refusing() -> (String, TcpSocket) {
    let socket = TcpSocket::new_v4().expect("socket");
    socket.bind("127.0.0.1:0".parse().expect("address")).expect("loopback");
    (format!("http://{}", socket.local_addr().expect("bound")), socket)
}

/// One operation and the given endpoints.
pub fn config(urls: &[&str]) -> HttpConfig {
    let mut config = HttpConfig::new("card");
    config.endpoints = urls.iter().map(|url| Endpoint::new(*url)).collect();
    config.operations.push(HttpOperation::new("query"));
    config
}

pub fn connector(urls: &[&str]) -> HttpConnector {
    HttpConnector::new(config(urls)).expect("valid")
}

/// A changing POST with a small body and half a minute of time.
pub fn outbound() -> Outbound {
    Outbound {
        operation: 0,
        path: "/card".to_owned(),
        method: Method::POST,
        headers: HeaderMap::new(),
        body: OutboundBody::Whole(Bytes::from_static(b"{}")),
        deadline: tokio::time::Instant::now().into_std() + Duration::from_secs(30),
        attempt: 0,
        avoid: None,
        changing: true,
        idempotency_key: None,
        traceparent: None,
    }
}

/// A GET that changes nothing.
pub fn query() -> Outbound {
    Outbound { method: Method::GET, body: OutboundBody::Whole(Bytes::new()), changing: false, ..outbound() }
}

/// The body of an answer read whole.
pub fn whole(answer: &Answer) -> &[u8] {
    match &answer.body {
        AnswerBody::Whole(bytes) => bytes,
        AnswerBody::Stream(_) => panic!("streamed"),
    }
}
