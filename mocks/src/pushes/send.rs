//! Sends pushes, only to where the settings allow.
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

use super::{
    Route, Target,
    broker::{Broker, Message},
    runs::Ready,
};
use crate::server::BrokerUrl;

/// Bytes of an acknowledgement at most.
const MAX_ANSWER: usize = 1 << 20;
/// Connections kept open per host.
const IDLE: usize = 64;

/// What came back.
#[derive(Debug, Default)]
pub struct CameBack {
    /// 0 where the protocol has none.
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// The way out of the mock server.
pub struct Sender {
    client: Client<HttpConnector, Full<Bytes>>,
    /// `host` or `host:port`, beside loopback.
    allowed: Vec<String>,
    broker: Broker,
}

impl Sender {
    pub fn new(allowed: Vec<String>, broker: Option<BrokerUrl>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(Duration::from_secs(10)));
        connector.set_nodelay(true);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(Duration::from_secs(20));
        Self {
            client: builder.pool_max_idle_per_host(IDLE).build(connector),
            allowed,
            broker: Broker::new(broker),
        }
    }

    /// Sends and waits for the whole answer, or for the broker's confirm.
    ///
    /// # Errors
    /// Why nothing came back: a place that is not allowed, no connection, no answer in time.
    pub async fn send(&self, target: &Target, ready: &Ready) -> Result<CameBack, String> {
        let exchange = async {
            match &target.route {
                Route::Http { method, .. } => self.http(method.clone(), ready).await,
                Route::Tcp { framing, .. } => {
                    let uri = self.check(&ready.to, "tcp")?;
                    let address = uri.authority().map_or("", |authority| authority.as_str());
                    let body = super::tcp::exchange(address, framing, &ready.body).await?;
                    Ok(CameBack { body, ..CameBack::default() })
                }
                Route::Amqp { exchange, .. } => self.publish(exchange, ready).await,
                Route::Carrier { .. } => Err("messages of users leave by their gateway".into()),
            }
        };
        let timed = tokio::time::timeout(target.timeout, exchange).await;
        timed.unwrap_or_else(|_| Err(format!("no answer within {:?}", target.timeout)))
    }

    /// Publishes the answer to a message and waits for the broker's confirm.
    ///
    /// # Errors
    /// Why the broker did not confirm it.
    pub async fn publish_answer(&self, answer: Message) -> Result<(), String> {
        self.broker.publish(answer).await
    }

    async fn http(&self, method: Method, ready: &Ready) -> Result<CameBack, String> {
        let mut request = Request::new(Full::new(ready.body.clone()));
        *request.method_mut() = method;
        *request.uri_mut() = self.check(&ready.to, "http")?;
        *request.headers_mut() = ready.headers.clone();
        let response =
            self.client.request(request).await.map_err(|error| format!("not delivered: {error}"))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await;
        let body = body.map_err(|error| format!("the answer broke off: {error}"))?.to_bytes();
        Ok(CameBack { status: head.status.as_u16(), headers: head.headers, body })
    }

    async fn publish(&self, exchange: &str, ready: &Ready) -> Result<CameBack, String> {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let content_type = ready.headers.get(CONTENT_TYPE).map(text).unwrap_or_default();
        let headers = ready.headers.iter().filter(|(name, _)| *name != CONTENT_TYPE);
        let message = Message {
            exchange: exchange.to_owned(),
            routing_key: ready.to.clone(),
            content_type,
            correlation_id: None,
            headers: headers.map(|(name, value)| (name.as_str().to_owned(), text(value))).collect(),
            body: ready.body.clone(),
        };
        self.broker.publish(message).await.map(|()| CameBack::default())
    }

    /// A mock may call nothing that was not meant to be called.
    fn check(&self, to: &str, scheme: &str) -> Result<Uri, String> {
        let uri: Uri = to.parse().map_err(|_| format!("`{to}` is not a URL"))?;
        if uri.scheme_str() != Some(scheme) {
            return Err(format!("`{to}`: this push goes to {scheme}://…"));
        }
        self.admit(&uri)?;
        Ok(uri)
    }

    /// Whether that URL's host is loopback or listed.
    ///
    /// # Errors
    /// A host that is neither, a text that is no URL.
    pub fn allows(&self, to: &str) -> Result<(), String> {
        let uri: Uri = to.parse().map_err(|_| format!("`{to}` is not a URL"))?;
        self.admit(&uri)
    }

    fn admit(&self, uri: &Uri) -> Result<(), String> {
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let loopback = host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        let named = uri.port_u16().map(|port| format!("{host}:{port}"));
        let listed = |name: &str| self.allowed.iter().any(|allowed| allowed == name);
        if loopback || listed(host) || named.is_some_and(|named| listed(&named)) {
            return Ok(());
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
        let sender = Sender::new(vec!["bus.test:8080".into(), "ems.test".into()], None);
        for fine in [
            "http://127.0.0.1:1/x",
            "http://[::1]/",
            "http://localhost/x",
            "http://bus.test:8080/",
            "http://ems.test/a",
        ] {
            assert!(sender.check(fine, "http").is_ok(), "{fine}");
        }
        for refused in [
            "http://bus.test/",
            "http://10.0.0.1/",
            "https://127.0.0.1/",
            "127.0.0.1",
            "http://127.0.0.1.test/",
        ] {
            assert!(sender.check(refused, "http").is_err(), "{refused}");
        }
    }
}
