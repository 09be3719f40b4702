//! The one place that a recording forwards to: its origin, checked, and connections to it.
use std::{path::Path, sync::Arc, time::Duration};

use http::Uri;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// A connection, plain or under TLS.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Debian's bundle, kept by the package `ca-certificates`.
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";
/// A connection, with its handshake, must stand within this time.
const CONNECT: Duration = Duration::from_secs(10);

/// An origin: scheme, host, port.
pub struct Target {
    host: String,
    port: u16,
    /// `host` or `host:port`, as the `Host` header says it.
    pub authority: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Target {
    /// Reads `http://host:port` or `https://host:port`. `roots` names a PEM file of the authorities to believe; left out, the
    /// machine's bundle.
    ///
    /// # Errors
    /// Anything but an origin, roots that cannot be read.
    pub fn parse(text: &str, roots: Option<&Path>) -> Result<Self, String> {
        let uri: Uri =
            text.parse().map_err(|_| format!("target: `{text}` is no URL such as http://10.0.0.8:8080"))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(format!("target: `{text}` is no URL such as http://10.0.0.8:8080"));
        };
        if authority.as_str().contains('@') {
            return Err("target: a URL without user and password; callers send their own".into());
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(format!(
                "target: the origin only, {scheme}://{authority}; paths are taken from the requests"
            ));
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let (tls, port) = match scheme {
            "http" => (None, 80),
            "https" => {
                let name = ServerName::try_from(host.clone());
                let name =
                    name.map_err(|_| format!("target: `{host}` is neither a DNS name nor an IP address"))?;
                (Some((connector(roots)?, name)), 443)
            }
            other => return Err(format!("target: http or https, not `{other}`")),
        };
        let port = authority.port_u16().unwrap_or(port);
        Ok(Self { host, port, authority: authority.as_str().to_owned(), tls })
    }

    /// A connection.
    ///
    /// # Errors
    /// Why there is none, in words for the caller.
    pub async fn connect(&self) -> Result<Box<dyn Wire>, String> {
        let connect = async {
            let failed = |error: std::io::Error| format!("no connection to {}: {error}", self.authority);
            let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(failed)?;
            stream.set_nodelay(true).map_err(failed)?;
            match &self.tls {
                None => Ok(Box::new(stream) as Box<dyn Wire>),
                Some((connector, name)) => {
                    let shaken = connector.connect(name.clone(), stream).await;
                    shaken
                        .map(|stream| Box::new(stream) as Box<dyn Wire>)
                        .map_err(|error| format!("no TLS with {}: {error}", self.authority))
                }
            }
        };
        let timed = timeout(CONNECT, connect).await;
        timed.unwrap_or_else(|_| Err(format!("no connection to {} within {CONNECT:?}", self.authority)))
    }
}

fn connector(roots: Option<&Path>) -> Result<TlsConnector, String> {
    let place = roots.unwrap_or(Path::new(SYSTEM_ROOTS));
    let pem = std::fs::read(place).map_err(|error| format!("roots: {}: {error}", place.display()))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates =
        certificates.map_err(|error| format!("roots: {} is no PEM: {error}", place.display()))?;
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(certificates);
    if store.is_empty() {
        return Err(format!("roots: {} holds no certificate", place.display()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_origin_is_a_target() {
        let fine = Target::parse("http://10.0.0.8:8080/", None).expect("an origin");
        assert_eq!((&*fine.host, fine.port, &*fine.authority), ("10.0.0.8", 8080, "10.0.0.8:8080"));
        assert_eq!(Target::parse("http://[::1]", None).expect("an origin").host, "::1");
        for (refused, why) in [
            ("10.0.0.8:8080", "no URL"),
            ("ftp://10.0.0.8", "http or https"),
            ("http://10.0.0.8/base", "the origin only"),
            ("http://user:word@10.0.0.8", "without user"),
        ] {
            let told = Target::parse(refused, None).err().unwrap_or_default();
            assert!(told.contains(why), "{refused}: {told}");
        }
        let told = Target::parse("https://partner.test", Some(Path::new("/nonexistent/roots.pem")));
        assert!(told.err().unwrap_or_default().contains("/nonexistent/roots.pem"));
    }
}
