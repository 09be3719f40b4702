//! Opening connections to one endpoint: name lookup with a cache, TCP, TLS, all within the connect timeout.
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use http::{HeaderValue, Uri, uri::Authority, uri::Scheme};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::TlsConnector;

use super::{
    body::OutBody,
    connection::{Connection, Socket, Stream},
};
use crate::config::{HttpConfig, HttpVersion};

/// Why no connection came about. Nothing was sent in any of these cases.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("the name cannot be looked up: {0}")]
    Lookup(std::io::Error),
    #[error("the name has no address")]
    NoAddress,
    #[error("cannot connect to {0}: {1}")]
    Connect(SocketAddr, std::io::Error),
    #[error("TLS: {0}")]
    Tls(std::io::Error),
    #[error("HTTP handshake: {0}")]
    Http(#[from] hyper::Error),
    #[error("not connected within connectTimeout = {0:?}")]
    Timeout(Duration),
}

/// A new connection of the HTTP version that was declared or negotiated.
pub(super) enum Opened {
    Http1(Box<Connection>),
    Http2(http2::SendRequest<OutBody>),
}

/// Where one endpoint is and how to get there.
pub(super) struct Target {
    host: String,
    port: u16,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    version: HttpVersion,
    connect_timeout: Duration,
    dns_ttl: Duration,
    header_bytes: usize,
    /// Looked-up addresses and how long they are believed.
    addresses: Mutex<Option<(Vec<SocketAddr>, Instant)>>,
    pub(super) host_header: HeaderValue,
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
    /// Put before every path; without a slash at its end.
    pub(super) base: String,
}

impl Target {
    /// `Err` says what is wrong with the address. `tls` compiles the settings when the first `https` endpoint needs them.
    pub(super) fn new(
        url: &str,
        config: &HttpConfig,
        tls: &mut dyn FnMut() -> Result<Arc<ClientConfig>, String>,
    ) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|error| format!("{error}; write `http://host:port/path`"))?;
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err("is not absolute; write `http://host:port/path`".to_owned());
        };
        if authority.as_str().contains('@') {
            return Err("holds user information; move it to the system's credential".to_owned());
        }
        let path = parts.path_and_query.map(|path| path.to_string()).unwrap_or_default();
        if path.contains('?') {
            return Err("holds a query; move it to the operations' paths".to_owned());
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let (default_port, tls) = match scheme.as_str() {
            "http" => (80, None),
            "https" => {
                let settings = config.tls.clone().unwrap_or_default();
                let name = settings.server_name(&host).map_err(|error| error.to_string())?;
                (443, Some((tls()?, name)))
            }
            other => return Err(format!("has the scheme `{other}`; write `http` or `https`")),
        };
        Ok(Self {
            port: authority.port_u16().unwrap_or(default_port),
            host,
            tls,
            version: config.version,
            connect_timeout: config.connect_timeout,
            dns_ttl: config.dns_ttl,
            header_bytes: config.limits.header_bytes,
            addresses: Mutex::new(None),
            host_header: HeaderValue::from_str(authority.as_str()).map_err(|error| error.to_string())?,
            scheme,
            authority,
            base: path.trim_end_matches('/').to_owned(),
        })
    }

    /// Whether calls may share one HTTP/2 connection.
    pub(super) fn may_share(&self) -> bool {
        match self.version {
            HttpVersion::Http1 => false,
            HttpVersion::Negotiate => self.tls.is_some(),
            HttpVersion::Http2 => true,
        }
    }

    /// Opens a connection, within the connect timeout.
    pub(super) async fn open(&self) -> Result<Opened, DialError> {
        match timeout(self.connect_timeout, self.open_untimed()).await {
            Ok(opened) => opened,
            Err(_) => Err(DialError::Timeout(self.connect_timeout)),
        }
    }

    async fn open_untimed(&self) -> Result<Opened, DialError> {
        let until = Instant::now() + self.connect_timeout;
        let tcp = self.connect(&self.resolve().await?, until).await?;
        let Some((tls, name)) = &self.tls else {
            return self.handshake(Stream::Plain(tcp), self.version == HttpVersion::Http2).await;
        };
        let stream =
            TlsConnector::from(tls.clone()).connect(name.clone(), tcp).await.map_err(DialError::Tls)?;
        let shared = match stream.get_ref().1.alpn_protocol() {
            Some(chosen) => chosen == b"h2",
            None => self.version == HttpVersion::Http2,
        };
        self.handshake(Stream::Tls(Box::new(stream)), shared).await
    }

    async fn handshake(&self, stream: Stream, shared: bool) -> Result<Opened, DialError> {
        let socket = Socket::new(stream);
        if !shared {
            return Ok(Opened::Http1(Box::new(Connection::open(socket, self.header_bytes).await?)));
        }
        let header_bytes = u32::try_from(self.header_bytes).unwrap_or(u32::MAX);
        let (sender, driver) = http2::Builder::new(TokioExecutor::new())
            .max_header_list_size(header_bytes)
            .handshake(TokioIo::new(socket))
            .await?;
        // Ends when the last sender is dropped or the partner closes.
        tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(%error, "HTTP/2 connection ended");
            }
        });
        Ok(Opened::Http2(sender))
    }

    /// Tries the addresses in order, each with its share of the time left.
    async fn connect(&self, addresses: &[SocketAddr], until: Instant) -> Result<TcpStream, DialError> {
        let mut failed = DialError::NoAddress;
        for (index, address) in addresses.iter().enumerate() {
            let now = Instant::now();
            let rest = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
            let share = now + until.saturating_duration_since(now) / rest;
            match timeout_at(share, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => {
                    // Requests are written whole: waiting for more to send only delays them.
                    tcp.set_nodelay(true).map_err(|error| DialError::Connect(*address, error))?;
                    return Ok(tcp);
                }
                Ok(Err(error)) => failed = DialError::Connect(*address, error),
                Err(_) => failed = DialError::Timeout(self.connect_timeout),
            }
        }
        // An address that no longer answers may have moved.
        *self.addresses.lock() = None;
        Err(failed)
    }

    async fn resolve(&self) -> Result<Vec<SocketAddr>, DialError> {
        if let Ok(address) = self.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, self.port)]);
        }
        if let Some((addresses, until)) = &*self.addresses.lock()
            && Instant::now() < *until
        {
            return Ok(addresses.clone());
        }
        let found =
            tokio::net::lookup_host((self.host.as_str(), self.port)).await.map_err(DialError::Lookup)?;
        let found: Vec<SocketAddr> = found.take(16).collect();
        if found.is_empty() {
            return Err(DialError::NoAddress);
        }
        *self.addresses.lock() = Some((found.clone(), Instant::now() + self.dns_ttl));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Result<Target, String> {
        let mut tls = || Err("TLS settings were asked for".to_owned());
        Target::new(url, &HttpConfig::new("card"), &mut tls)
    }

    #[test]
    fn addresses_that_cannot_work_are_refused_with_a_remedy() {
        for (url, word) in [
            ("partner.example/path", "http://host:port/path"),
            ("/path", "http://host:port/path"),
            ("ftp://partner.example", "`http` or `https`"),
            ("http://user:pass@partner.example/", "credential"),
            ("http://partner.example/path?x=1", "operations"),
            ("https://partner.example/", "TLS settings were asked for"),
        ] {
            let reason = target(url).err().expect("refused");
            assert!(reason.contains(word), "{url}: {reason}");
            assert!(!reason.contains("pass@"), "{reason}");
        }
    }

    #[test]
    fn an_address_gives_host_port_and_base_path() {
        let target = target("http://[::1]:8090/card/").expect("valid");
        assert_eq!((target.host.as_str(), target.port, target.base.as_str()), ("::1", 8090, "/card"));
        assert_eq!(target.host_header, "[::1]:8090");
        assert!(!target.may_share());
    }

    #[tokio::test]
    async fn a_name_is_looked_up_once_within_its_time_to_live() {
        let target = target("http://localhost:9/").expect("valid");
        let first = target.resolve().await.expect("localhost");
        *target.addresses.lock() = Some((first[..1].to_vec(), Instant::now() + Duration::from_secs(60)));
        assert_eq!(target.resolve().await.expect("cached"), first[..1]);
    }
}
