//! Sends pushes over HTTP, only to where the settings allow.
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

/// Bytes of an acknowledgement at most.
const MAX_ANSWER: usize = 1 << 20;
/// Connections kept open per host.
const IDLE: usize = 64;

/// A push on its way.
pub struct Outgoing {
    pub method: Method,
    pub to: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// For the whole exchange.
    pub timeout: Duration,
}

/// What came back.
pub struct CameBack {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// The way out of the mock server.
pub struct Sender {
    client: Client<HttpConnector, Full<Bytes>>,
    /// `host` or `host:port`, beside loopback.
    allowed: Vec<String>,
}

impl Sender {
    pub fn new(allowed: Vec<String>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(Duration::from_secs(10)));
        connector.set_nodelay(true);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(Duration::from_secs(20));
        Self { client: builder.pool_max_idle_per_host(IDLE).build(connector), allowed }
    }

    /// Sends and waits for the whole answer.
    ///
    /// # Errors
    /// Why nothing came back: a place that is not allowed, no connection, no answer in time.
    pub async fn send(&self, outgoing: Outgoing) -> Result<CameBack, String> {
        let uri = self.check(&outgoing.to)?;
        let mut request = Request::new(Full::new(outgoing.body));
        *request.method_mut() = outgoing.method;
        *request.uri_mut() = uri;
        *request.headers_mut() = outgoing.headers;
        let exchange = async {
            let response =
                self.client.request(request).await.map_err(|error| format!("not delivered: {error}"))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await;
            let body = body.map_err(|error| format!("the answer broke off: {error}"))?.to_bytes();
            Ok(CameBack { status: head.status.as_u16(), headers: head.headers, body })
        };
        let timed = tokio::time::timeout(outgoing.timeout, exchange).await;
        timed.unwrap_or_else(|_| Err(format!("no answer within {:?}", outgoing.timeout)))
    }

    /// A mock may call nothing that was not meant to be called.
    fn check(&self, to: &str) -> Result<Uri, String> {
        let uri: Uri = to.parse().map_err(|_| format!("`{to}` is not a URL"))?;
        if uri.scheme_str() != Some("http") {
            return Err(format!("`{to}`: pushes go to http://…"));
        }
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let loopback = host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        let named = uri.port_u16().map(|port| format!("{host}:{port}"));
        let listed = |name: &str| self.allowed.iter().any(|allowed| allowed == name);
        if loopback || listed(host) || named.is_some_and(|named| listed(&named)) {
            return Ok(uri);
        }
        Err(format!(
            "`{host}` is neither loopback nor among the hosts that pushes may go to (`mocks.pushTo`)"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_listed_hosts_are_called() {
        let sender = Sender::new(vec!["bus.test:8080".into(), "ems.test".into()]);
        for fine in [
            "http://127.0.0.1:1/x",
            "http://[::1]/",
            "http://localhost/x",
            "http://bus.test:8080/",
            "http://ems.test/a",
        ] {
            assert!(sender.check(fine).is_ok(), "{fine}");
        }
        for refused in [
            "http://bus.test/",
            "http://10.0.0.1/",
            "https://127.0.0.1/",
            "127.0.0.1",
            "http://127.0.0.1.test/",
        ] {
            assert!(sender.check(refused).is_err(), "{refused}");
        }
    }
}
