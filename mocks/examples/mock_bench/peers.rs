//! What the mock partners are measured against: the least that hyper can do, and WireMock in a process of its own.
use std::{
    collections::HashMap,
    convert::Infallible,
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;

use crate::{Result, load, stubs};

/// Stubs, requests for the just-in-time compiler beforehand, requests measured. Matching is linear there: 50 000 would take hours.
const WIREMOCK: [(usize, usize, usize); 3] = [(0, 20_000, 20_000), (500, 6_000, 4_000), (5_000, 640, 480)];
const START: Duration = Duration::from_secs(60);

/// A service that reads the body and answers a constant, on one thread named `bare`.
pub fn bare_hyper() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let addr = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("bare")
        .enable_all()
        .build()?;
    thread::spawn(move || {
        runtime.block_on(async move {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
            while let Ok((stream, _)) = listener.accept().await {
                let service = service_fn(|request: Request<Incoming>| async {
                    drop(request.into_body().collect().await);
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(
                        b"{\"code\":\"0\",\"msg\":\"ok\"}",
                    ))))
                });
                tokio::spawn(async move {
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
                });
            }
        });
    });
    Ok(addr)
}

/// CPU microseconds per request of WireMock by number of stubs, once it is warm.
pub fn wiremock(jar: &str) -> Result<HashMap<usize, f64>> {
    let mut costs = HashMap::new();
    for (stubs, warm, requests) in WIREMOCK {
        let folder = stubs::wiremock(stubs)?;
        let server = WireMock::start(jar, folder.path())?;
        load::run(server.addr, stubs, warm)?;
        let before = server.cpu()?;
        load::run(server.addr, stubs, requests)?;
        let spent = server.cpu()? - before;
        #[allow(clippy::cast_precision_loss, reason = "a table for people")]
        costs.insert(stubs, spent.as_secs_f64() * 1e6 / requests as f64);
    }
    Ok(costs)
}

/// WireMock; ends with its owner.
struct WireMock {
    child: Child,
    addr: SocketAddr,
}

impl WireMock {
    /// Its journal is bounded, as ours is: without a bound it keeps every request.
    fn start(jar: &str, folder: &std::path::Path) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new("java")
            .args(["-jar", jar, "--bind-address", "127.0.0.1", "--port", &port.to_string(), "--root-dir"])
            .arg(folder)
            .args(["--max-request-journal-entries", "10000", "--use-chunked-encoding", "never"])
            .arg("--disable-gzip")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut server = Self { child, addr: SocketAddr::from(([127, 0, 0, 1], port)) };
        let deadline = Instant::now() + START;
        while TcpStream::connect_timeout(&server.addr, Duration::from_secs(1)).is_err() {
            if let Some(status) = server.child.try_wait()? {
                return Err(format!("WireMock ended: {status}").into());
            }
            if Instant::now() > deadline {
                return Err("WireMock does not listen".into());
            }
            thread::park_timeout(Duration::from_millis(100));
        }
        Ok(server)
    }

    fn cpu(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks =
            |index: usize| -> Result<u64> { Ok(fields.get(index).ok_or("short /proc stat")?.parse()?) };
        // Linux counts in hundredths of a second for user space on every architecture.
        Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 10))
    }
}

impl Drop for WireMock {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
