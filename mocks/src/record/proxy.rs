//! The recording proxy: passes requests on to its one target, and keeps what it hears.
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{
        ACCEPT_ENCODING, CONNECTION, CONTENT_TYPE, HOST, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
        TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
    },
};
use http_body_util::{Either, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};

use super::{
    exchange::{Exchange, Kept},
    target::Target,
    tee::{Copied, Tee},
};
use crate::server::accept::accept;

/// Callers at once; more wait.
const CONNECTIONS: usize = 256;
/// A request's head, and the quiet before it.
const HEAD: Duration = Duration::from_secs(60);
/// Bytes of a body that are kept; a larger one is passed on and its exchange not kept.
const BODY: usize = 1 << 20;
/// Each body must pass within this time.
const BODY_TIME: Duration = Duration::from_secs(120);

type Answer = Response<Either<Tee, Full<Bytes>>>;

/// What all connections of one recording share.
pub struct Proxy {
    pub target: Target,
    pub kept: Kept,
    /// The head of an answer must begin within this time.
    pub patience: Duration,
}

/// Accepts until `open` turns false; then no new connection, and those at hand end after their answer.
pub async fn serve(listener: TcpListener, proxy: Arc<Proxy>, open: watch::Receiver<bool>) {
    let alive = open.clone();
    accept(listener, CONNECTIONS, (open, false), |stream, _| {
        Some(connection(stream, Arc::clone(&proxy), alive.clone()))
    })
    .await;
}

async fn connection(stream: TcpStream, proxy: Arc<Proxy>, mut open: watch::Receiver<bool>) {
    let service = service_fn(move |request| {
        let proxy = Arc::clone(&proxy);
        async move { Ok::<_, std::convert::Infallible>(answer(request, &proxy).await) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(64 * 1024);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut draining = false;
    loop {
        tokio::select! {
            // Callers that leave and answers that break off end here: nothing to tell.
            _ = connection.as_mut() => return,
            _ = open.wait_for(|open| !open), if !draining => {
                draining = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

async fn answer(request: Request<Incoming>, proxy: &Arc<Proxy>) -> Answer {
    if request.method() == Method::CONNECT || request.headers().contains_key(UPGRADE) {
        return refusal(StatusCode::NOT_IMPLEMENTED, "a recording passes on plain HTTP requests only");
    }
    proxy.kept.forwarded();
    match forward(request, proxy).await {
        Ok(answer) => answer,
        Err((status, why)) => {
            proxy.kept.failed();
            refusal(status, &why)
        }
    }
}

type Failed = (StatusCode, String);

async fn forward(request: Request<Incoming>, proxy: &Arc<Proxy>) -> Result<Answer, Failed> {
    let (head, body) = request.into_parts();
    let (body, asked) = Tee::into_cell(body, BODY, BODY_TIME);
    let mut passed = Request::new(body);
    *passed.method_mut() = head.method.clone();
    *passed.uri_mut() = relative(&head.uri);
    *passed.headers_mut() = end_to_end(&head.headers);
    passed.headers_mut().remove(ACCEPT_ENCODING);
    if let Ok(host) = HeaderValue::from_str(&proxy.target.authority) {
        passed.headers_mut().insert(HOST, host);
    }
    let (answered, latency) = ask(passed, proxy).await?;
    let (answer_head, answer_body) = answered.into_parts();
    let exchange = Exchange {
        at_us: now_us(),
        latency,
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        headers: head.headers,
        request: Bytes::new(),
        status: answer_head.status.as_u16(),
        answer_headers: answer_head.headers.clone(),
        answer: Bytes::new(),
    };
    let keeping = Arc::clone(proxy);
    let ended = Box::new(move |copied| keep(&keeping.kept, exchange, &asked, copied));
    let mut answer = Response::new(Either::Left(Tee::new(answer_body, BODY, BODY_TIME, ended)));
    *answer.status_mut() = answer_head.status;
    *answer.headers_mut() = end_to_end(&answer_head.headers);
    Ok(answer)
}

/// Asks the target over a connection of its own; the answer's head, and how long it took once the connection stood.
async fn ask(passed: Request<Tee>, proxy: &Proxy) -> Result<(Response<Incoming>, Duration), Failed> {
    let bad = |why: String| (StatusCode::BAD_GATEWAY, why);
    let wire = proxy.target.connect().await.map_err(bad)?;
    let shaken = timeout(proxy.patience, hyper::client::conn::http1::handshake(TokioIo::new(wire))).await;
    let (mut sender, connection) = shaken
        .map_err(|_| bad("the target is no HTTP server".into()))?
        .map_err(|error| bad(format!("the target is no HTTP server: {error}")))?;
    tokio::spawn(async move {
        // What goes wrong on it is told by the answer.
        drop(connection.await);
    });
    let started = Instant::now();
    let answered = timeout(proxy.patience, sender.send_request(passed)).await;
    let answered = answered
        .map_err(|_| (StatusCode::GATEWAY_TIMEOUT, format!("no answer within {:?}", proxy.patience)))?
        .map_err(|error| bad(format!("the target broke off: {error}")))?;
    Ok((answered, started.elapsed()))
}

/// Keeps an exchange whose answer has ended.
fn keep(kept: &Kept, exchange: Exchange, asked: &Mutex<Copied>, answered: Copied) {
    match (std::mem::take(&mut *asked.lock()), answered) {
        (Copied::Whole(request), Copied::Whole(answer)) => {
            kept.push(Exchange { request, answer, ..exchange });
        }
        (Copied::TooLarge, _) | (_, Copied::TooLarge) => kept.too_large(),
        _ => kept.failed(),
    }
}

/// The path and query alone: a request may name another host, which is not asked.
fn relative(uri: &Uri) -> Uri {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    path.parse().unwrap_or_else(|_| Uri::from_static("/"))
}

/// RFC 9110 §7.6.1: fields of one connection are not passed on.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let hop: [HeaderName; 8] = [
        CONNECTION,
        HeaderName::from_static("keep-alive"),
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    let named: Vec<String> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(|name| name.trim().to_ascii_lowercase()))
        .collect();
    let mut passed = headers.clone();
    for name in
        headers.keys().filter(|name| hop.contains(name) || named.iter().any(|own| own == name.as_str()))
    {
        passed.remove(name);
    }
    passed
}

fn refusal(status: StatusCode, why: &str) -> Answer {
    let mut answer = Response::new(Either::Right(Full::new(Bytes::from(
        serde_json::json!({"recording": why}).to_string(),
    ))));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

fn now_us() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
}

/// Listens on loopback only: what passes here is personal and unprotected.
///
/// # Errors
/// Another address, or one that cannot be listened on.
pub async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), String> {
    if !address.ip().is_loopback() {
        return Err(format!(
            "listen: {address} is not on loopback; what is recorded passes there unprotected"
        ));
    }
    let failed = |error: std::io::Error| format!("listen: {address}: {error}");
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}
