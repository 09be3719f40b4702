//! Peers written by hand on hyper: a bare proxy, and a service that turns JSON into SOAP and back and keeps a SQLite row per call.
use std::{cell::RefCell, convert::Infallible, rc::Rc};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::http1::{SendRequest, handshake},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use quick_xml::{Reader, events::Event};
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    task::LocalSet,
};

use crate::Result;

type Sender = SendRequest<Full<Bytes>>;

/// Idle connections to the upstream; one thread, so no lock.
#[derive(Clone)]
struct Pool {
    address: Rc<str>,
    idle: Rc<RefCell<Vec<Sender>>>,
}

impl Pool {
    async fn send(&self, request: Request<Full<Bytes>>) -> Result<(http::response::Parts, Bytes)> {
        let idle = self.idle.borrow_mut().pop();
        let mut sender = match idle {
            Some(sender) => sender,
            None => connect(&self.address).await?,
        };
        sender.ready().await?;
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        self.idle.borrow_mut().push(sender);
        Ok((parts, body))
    }
}

async fn connect(address: &str) -> Result<Sender> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::task::spawn_local(async move { drop(connection.await) });
    Ok(sender)
}

/// A bare proxy: what any proxy on hyper costs at least.
pub fn proxy(port: &str, upstream: &str) -> Result<()> {
    serve(port, upstream, |pool, request| async move {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let mut onward = Request::new(Full::new(body));
        *onward.method_mut() = parts.method;
        *onward.uri_mut() = "/plain".parse()?;
        *onward.headers_mut() = parts.headers;
        let (parts, body) = pool.send(onward).await?;
        Ok(Response::from_parts(parts, Full::new(body)))
    })
}

/// JSON in, SOAP out, SOAP in, JSON out, and a row per call.
pub fn transform(port: &str, upstream: &str, database: &str) -> Result<()> {
    let rows = Connection::open(database)?;
    rows.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;
         CREATE TABLE IF NOT EXISTS calls (id INTEGER PRIMARY KEY, at INTEGER, caller TEXT, path TEXT, status INTEGER, took INTEGER);",
    )?;
    let rows = Rc::new(rows);
    serve(port, upstream, move |pool, request| {
        let rows = Rc::clone(&rows);
        async move {
            let started = std::time::Instant::now();
            let body: Value = serde_json::from_slice(&request.into_body().collect().await?.to_bytes())?;
            let mut onward = Request::new(Full::new(Bytes::from(soap_request(&body))));
            *onward.method_mut() = http::Method::POST;
            *onward.uri_mut() = "/soap".parse()?;
            onward.headers_mut().insert(header::HOST, header::HeaderValue::from_static("upstream"));
            onward
                .headers_mut()
                .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/xml; charset=utf-8"));
            let (parts, answer) = pool.send(onward).await?;
            let fields = fields(&answer)?;
            let data = json!({"cardNo": fields["cardNo"], "status": fields["status"], "bankCode": fields["bankCode"], "name": fields["name"]});
            let answer = json!({"code": "0", "msg": "ok", "data": data});
            let mut insert = rows.prepare_cached(
                "INSERT INTO calls (at, caller, path, status, took) VALUES (unixepoch(), ?, ?, ?, ?)",
            )?;
            let took = i64::try_from(started.elapsed().as_micros())?;
            insert.execute(rusqlite::params!["bench", "/soap", parts.status.as_u16(), took])?;
            let mut response = Response::new(Full::new(Bytes::from(serde_json::to_vec(&answer)?)));
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
            Ok(response)
        }
    })
}

fn soap_request(body: &Value) -> String {
    let text = |name: &str| quick_xml::escape::escape(body[name].as_str().unwrap_or_default()).into_owned();
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body>\
         <b:cardQuery xmlns:b=\"urn:bench\"><b:idType>01</b:idType><b:idNo>{}</b:idNo><b:name>{}</b:name></b:cardQuery></soap:Body></soap:Envelope>",
        text("idNo"),
        text("name")
    )
}

/// Every leaf element's text by local name.
fn fields(xml: &[u8]) -> Result<Value> {
    let mut reader = Reader::from_str(std::str::from_utf8(xml)?);
    let (mut fields, mut name) = (serde_json::Map::new(), String::new());
    loop {
        match reader.read_event()? {
            Event::Start(start) => name = start.local_name().as_ref().to_owned(),
            Event::Text(text) => {
                fields.insert(name.clone(), Value::String(text.to_string()));
            }
            Event::Eof => return Ok(Value::Object(fields)),
            _ => {}
        }
    }
}

fn serve<F, A>(port: &str, upstream: &str, answer: F) -> Result<()>
where
    F: Fn(Pool, Request<Incoming>) -> A + Clone + 'static,
    A: Future<Output = Result<Response<Full<Bytes>>>> + 'static,
{
    let port: u16 = port.parse()?;
    let pool = Pool { address: upstream.into(), idle: Rc::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async move {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let (pool, answer) = (pool.clone(), answer.clone());
            tokio::task::spawn_local(async move {
                let service = service_fn(move |request| {
                    let answered = answer(pool.clone(), request);
                    async move { Ok::<_, Infallible>(answered.await.unwrap_or_else(|error| failed(&*error))) }
                });
                drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
            });
        }
    })
}

fn failed(error: &dyn std::error::Error) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(error.to_string())));
    *response.status_mut() = http::StatusCode::BAD_GATEWAY;
    response
}
