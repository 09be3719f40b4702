//! A gateway with a handler that echoes what it understood, and a raw client.
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use http::{Request, Response, StatusCode};
use qiao::gateway::{
    Drained, Gateway, GatewayBody, GatewayLimits, GatewayStats, Handler, Peer, ResponseBody, Tls, bind,
};
use qiao_core::Fault;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// How long anything in these tests may take; only a failure ever waits for it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Answers `METHOD path body-length`; `/gate` waits for a permit, `/never` for ever, `/large` sends 8 MiB.
pub struct Echo {
    pub seen: AtomicUsize,
    pub gate: Semaphore,
}

impl Handler for Echo {
    async fn handle(&self, request: Request<GatewayBody>, _peer: Peer) -> Response<ResponseBody> {
        self.seen.fetch_add(1, SeqCst);
        let (parts, body) = request.into_parts();
        match parts.uri.path() {
            "/gate" => self.gate.acquire().await.expect("never closed").forget(),
            "/never" => std::future::pending().await,
            "/large" => return Response::new(ResponseBody::full(vec![b'x'; 8 << 20])),
            "/fields" => {
                let mut names: Vec<_> = parts.headers.keys().map(http::HeaderName::as_str).collect();
                names.sort_unstable();
                return Response::new(ResponseBody::full(names.join(" ")));
            }
            _ => {}
        }
        match body.collect().await {
            Ok(bytes) => Response::new(ResponseBody::full(format!(
                "{} {} {}",
                parts.method,
                parts.uri.path(),
                bytes.len()
            ))),
            Err(error) => {
                let fault = Fault::from(error);
                let mut response = Response::new(ResponseBody::full(fault.to_string()));
                *response.status_mut() = StatusCode::from_u16(fault.code().status).expect("a status");
                response
            }
        }
    }
}

pub struct Running {
    pub address: SocketAddr,
    pub echo: Arc<Echo>,
    pub stats: Arc<GatewayStats>,
    pub drain: CancellationToken,
    pub force: CancellationToken,
    pub done: JoinHandle<Drained>,
}

pub fn start(limits: GatewayLimits) -> Running {
    start_with(limits, None)
}

pub fn start_with(limits: GatewayLimits, tls: Option<Tls>) -> Running {
    let echo = Arc::new(Echo { seen: AtomicUsize::new(0), gate: Semaphore::new(0) });
    let listener = bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    let address = listener.local_addr().expect("bound");
    let mut gateway = Gateway::new(Arc::clone(&echo), Arc::new(limits));
    if let Some(tls) = tls {
        gateway = gateway.with_tls(tls);
    }
    let stats = gateway.stats();
    let (drain, force) = (CancellationToken::new(), CancellationToken::new());
    let done = tokio::spawn(gateway.serve(listener, drain.clone(), force.clone()));
    Running { address, echo, stats, drain, force, done }
}

impl Running {
    pub async fn connect(&self) -> Client<TcpStream> {
        Client::new(TcpStream::connect(self.address).await.expect("the gateway listens"))
    }

    pub fn seen(&self) -> usize {
        self.echo.seen.load(SeqCst)
    }

    /// Waits until the handler has seen this many requests.
    pub async fn until_seen(&self, count: usize) {
        let wait = async {
            while self.seen() < count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("the handler is reached");
    }

    /// Another caller is served.
    pub async fn serves_others(&self) {
        let mut other = self.connect().await;
        other.send(GET).await.expect("sent");
        assert_eq!(other.response().await.expect("an answer").status, 200);
    }
}

pub const GET: &[u8] = b"GET /after HTTP/1.1\r\nHost: bus\r\n\r\n";

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// Bytes out, answers in.
pub struct Client<S> {
    pub stream: S,
    buffer: Vec<u8>,
}

impl<S: AsyncReadExt + AsyncWriteExt + Unpin> Client<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await?;
        self.stream.flush().await
    }

    /// The next answer (100 Continue is passed over); none when the connection ends first.
    pub async fn response(&mut self) -> Option<Answer> {
        loop {
            let head_end = loop {
                if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                    break at + 4;
                }
                self.more().await?;
            };
            let head = String::from_utf8_lossy(&self.buffer[..head_end]).into_owned();
            self.buffer.drain(..head_end);
            let status = head.get(9..12).and_then(|code| code.parse().ok()).expect("a status line");
            if status == 100 {
                continue;
            }
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().expect("a number"));
            while self.buffer.len() < length {
                self.more().await?;
            }
            let body = String::from_utf8_lossy(&self.buffer[..length]).into_owned();
            self.buffer.drain(..length);
            return Some(Answer { status, head, body });
        }
    }

    async fn more(&mut self) -> Option<()> {
        let mut chunk = [0; 4096];
        match tokio::time::timeout(PATIENCE, self.stream.read(&mut chunk)).await.expect("an answer or an end")
        {
            Ok(0) | Err(_) => None,
            Ok(count) => {
                self.buffer.extend_from_slice(&chunk[..count]);
                Some(())
            }
        }
    }

    /// Reads until the connection ends, whatever comes.
    pub async fn response_bytes_end(&mut self) -> bool {
        while self.more().await.is_some() {}
        true
    }

    /// Whether the connection ends without another byte.
    pub async fn closed(&mut self) -> bool {
        self.buffer.is_empty() && self.more().await.is_none()
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// Taken for writing by tests that measure this process's memory, for reading by those that need much of it.
pub static MEMORY: tokio::sync::RwLock<()> = tokio::sync::RwLock::const_new(());

/// Bytes of memory this process holds.
pub fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: usize = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * 4096
}
