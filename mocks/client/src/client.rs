//! One request to the admin API and its answer; the other files say which requests there are.
use std::{fmt::Display, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};

use crate::{ClientError, Mistake};

/// Longest wait for an answer unless [`MocksClient::with_patience`] says otherwise: a verification may take a minute.
const PATIENCE: Duration = Duration::from_secs(90);
/// Bytes of an answer at most.
const MAX_ANSWER: usize = 64 << 20;
/// What stands in a path or a query as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The admin API of one mock server. Cheap to clone.
#[derive(Clone)]
pub struct MocksClient {
    server: Arc<Server>,
    patience: Duration,
    /// The session that requests are about; empty: the common one, or all where that makes sense.
    session: Arc<str>,
}

struct Server {
    /// `http://host:port`, for messages.
    url: String,
    /// `host:port`.
    authority: String,
    token: Option<HeaderValue>,
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// Of the headers, what tells a version of the content; quoted, as it came.
    pub etag: Option<String>,
    pub body: Bytes,
}

/// The shape of every refusal.
#[derive(Deserialize)]
struct Refusal {
    error: String,
    #[serde(default)]
    mistakes: Vec<Mistake>,
}

impl MocksClient {
    /// The admin API at `http://host:port`.
    ///
    /// # Errors
    /// [`ClientError::Url`] for anything else: admin listeners speak HTTP without TLS.
    pub fn new(url: &str) -> Result<Self, ClientError> {
        let refuse = || ClientError::Url(url.to_owned());
        let rest = url.strip_prefix("http://").ok_or_else(refuse)?;
        let authority: http::uri::Authority = rest.trim_end_matches('/').parse().map_err(|_| refuse())?;
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(refuse());
        }
        let authority = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80));
        let server = Server { url: format!("http://{authority}"), authority, token: None };
        Ok(Self { server: Arc::new(server), patience: PATIENCE, session: "".into() })
    }

    /// The admin API at an address.
    pub fn at(address: SocketAddr) -> Self {
        let server = Server { url: format!("http://{address}"), authority: address.to_string(), token: None };
        Self { server: Arc::new(server), patience: PATIENCE, session: "".into() }
    }

    /// With the token that the server asks for. One that no header can hold is left out, and the server says so.
    #[must_use]
    pub fn with_token(self, token: impl AsRef<str>) -> Self {
        let token = HeaderValue::from_str(&format!("Bearer {}", token.as_ref().trim())).ok();
        let token = token.map(|mut token| {
            token.set_sensitive(true);
            token
        });
        let server = Server { url: self.server.url.clone(), authority: self.server.authority.clone(), token };
        Self { server: Arc::new(server), ..self }
    }

    /// With another longest wait for an answer than 90 s.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The same server, asked about one session: its state, rows, dials, journal entries, verifications. It need not be open.
    #[must_use]
    pub fn in_session(&self, session: &str) -> Self {
        Self { session: session.into(), ..self.clone() }
    }

    /// The session that requests are about; empty for none.
    pub fn session_name(&self) -> &str {
        &self.session
    }

    /// `http://host:port`.
    pub fn url(&self) -> &str {
        &self.server.url
    }

    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// One request, with its whole answer. `path` begins with `/api/mocks` and is encoded already.
    ///
    /// # Errors
    /// Whatever kept the answer from coming whole. An answer that says no is none.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: impl Into<Bytes>,
    ) -> Result<Answer, ClientError> {
        let request = self.request(method, path, kind, body.into())?;
        let late = |_| ClientError::Late { url: self.server.url.clone(), patience: self.patience };
        let asked = async {
            let response = self.begin(request).await?;
            let status = response.status().as_u16();
            let etag = response.headers().get(header::ETAG);
            let etag = etag.and_then(|etag| etag.to_str().ok()).map(str::to_owned);
            let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
            let body = body.map_err(|error| self.broken(&error))?.to_bytes();
            Ok(Answer { status, etag, body })
        };
        timeout(self.patience, asked).await.map_err(late)?
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, ClientError> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.server.authority)
            .header(header::CONTENT_TYPE, kind);
        if let Some(token) = &self.server.token {
            request = request.header(header::AUTHORIZATION, token);
        }
        request.body(Full::new(body)).map_err(|error| ClientError::Request(error.to_string()))
    }

    /// Sends a request over a connection of its own; its body is still to come. Runtimes come and go in tests, so none is kept.
    pub(crate) async fn begin(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<http::Response<Incoming>, ClientError> {
        let stream = TcpStream::connect(&self.server.authority)
            .await
            .map_err(|source| ClientError::Unreachable { url: self.server.url.clone(), source })?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.broken(&error))?;
        // Ends with the answer; what breaks it shows there.
        drop(tokio::spawn(connection));
        sender.send_request(request).await.map_err(|error| self.broken(&error))
    }

    pub(crate) fn get_request(&self, path: &str) -> Result<Request<Full<Bytes>>, ClientError> {
        self.request(Method::GET, path, "application/json", Bytes::new())
    }

    pub(crate) fn broken(&self, error: &dyn Display) -> ClientError {
        ClientError::Broken { url: self.server.url.clone(), reason: error.to_string() }
    }

    /// One request whose answer is a document; `body` is left out where it is null.
    ///
    /// # Errors
    /// As [`Self::send`], and [`ClientError::Refused`] where the server says no.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<T, ClientError> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, path, "application/json", body).await?.read()
    }

    /// One GET whose answer is a document.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.ask(Method::GET, path, &Value::Null).await
    }
}

impl Answer {
    /// The document.
    ///
    /// # Errors
    /// [`ClientError::Refused`] where the server said no, [`ClientError::Strange`] where the answer is no such document.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        let strange = |error: serde_json::Error| ClientError::Strange(error.to_string());
        if (200..300).contains(&self.status) {
            return serde_json::from_slice(&self.body).map_err(strange);
        }
        let told: Refusal = serde_json::from_slice(&self.body).unwrap_or_else(|_| Refusal {
            error: format!("the server answered {}: {}", self.status, String::from_utf8_lossy(&self.body)),
            mistakes: Vec::new(),
        });
        Err(ClientError::Refused { status: self.status, error: told.error, mistakes: told.mistakes })
    }
}

/// A path below `/api/mocks` of these segments, encoded.
pub fn path(segments: &[&str]) -> String {
    let encoded = segments.iter().map(|segment| utf8_percent_encode(segment, PLAIN).to_string());
    std::iter::once("/api/mocks".to_owned()).chain(encoded).collect::<Vec<_>>().join("/")
}

/// A path with these parameters; those without a value are left out.
pub fn asking(path: String, parameters: &[(&str, Option<String>)]) -> String {
    let given = parameters.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let given: Vec<_> =
        given.map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, PLAIN))).collect();
    if given.is_empty() { path } else { format!("{path}?{}", given.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_queries_are_encoded() {
        let row = path(&["tables", "city.cards", "a/b 李"]);
        assert_eq!(row, "/api/mocks/tables/city.cards/a%2Fb%20%E6%9D%8E");
        let asked = asking(row, &[("session", Some("s&t".into())), ("raw", None)]);
        assert!(asked.ends_with("?session=s%26t"), "{asked}");
    }

    #[test]
    fn only_plain_http_is_asked() {
        for wrong in ["https://a:1", "a:1", "http://", "http://user:secret@a:1", "http://a:1/x"] {
            assert!(matches!(MocksClient::new(wrong), Err(ClientError::Url(_))), "{wrong}");
        }
        assert_eq!(
            MocksClient::new("http://a:1/").map(|client| client.url().to_owned()).ok().as_deref(),
            Some("http://a:1")
        );
    }

    #[test]
    fn a_refusal_names_every_mistake_with_its_place() {
        let body = r#"{"error":"no","mistakes":[{"file":"f","line":2,"column":3,"path":"a.b","message":"m","remedy":"r"}]}"#;
        let answer = Answer { status: 422, etag: None, body: body.into() };
        let refused = answer.read::<Value>().expect_err("refused");
        assert_eq!((refused.status(), refused.to_string()), (Some(422), "no\nf:2:3: a.b: m; r".to_owned()));
    }
}
