//! TLS towards partners: TLS 1.2 and 1.3 by rustls on ring; the partner's certificate is verified always.
use std::{path::PathBuf, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};

use crate::{config::HttpVersion, credentials::SecretString};

/// Debian's bundle, kept by the package `ca-certificates`.
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Whose certificates are believed.
#[derive(Clone, Debug, Default)]
pub enum Roots {
    /// The machine's bundle.
    #[default]
    System,
    /// A PEM file.
    File(PathBuf),
    /// PEM text; these roots alone.
    Pem(Vec<u8>),
}

/// The certificate the bus shows to a partner that asks for one.
#[derive(Clone)]
pub struct ClientIdentity {
    /// The certificate and its intermediates, PEM, leaf first.
    pub chain_pem: Vec<u8>,
    /// PKCS#8, PKCS#1 or SEC1, PEM.
    pub key_pem: SecretString,
}

/// How a system's `https` endpoints are reached.
#[derive(Clone, Default)]
pub struct TlsConfig {
    pub roots: Roots,
    pub identity: Option<ClientIdentity>,
    /// The name to ask for and verify, where it is not the host of the endpoint.
    pub server_name: Option<String>,
}

/// Why a TLS setting cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{place} cannot be read as PEM: {reason}")]
    Pem { place: String, reason: String },
    #[error("{place} holds no certificate: name a PEM file with at least one root")]
    NoRoots { place: String },
    #[error("the client certificate and its key cannot be used: {0}")]
    Identity(rustls::Error),
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
    #[error("`{0}` is neither a DNS name nor an IP address")]
    ServerName(String),
}

impl TlsConfig {
    /// Reads files and compiles the settings, once per system.
    pub(crate) fn compile(&self, version: HttpVersion) -> Result<Arc<ClientConfig>, TlsError> {
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .with_root_certificates(self.roots.load()?);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let chain = certificates(&identity.chain_pem, "tls.identity.chain")?;
                let key =
                    PrivateKeyDer::from_pem_slice(identity.key_pem.reveal().as_bytes()).map_err(|_| {
                        TlsError::Pem {
                            place: "tls.identity.key".to_owned(),
                            // The parser's own words may quote the key.
                            reason: "no PKCS#8, PKCS#1 or SEC1 key found".to_owned(),
                        }
                    })?;
                builder.with_client_auth_cert(chain, key).map_err(TlsError::Identity)?
            }
        };
        config.alpn_protocols = match version {
            HttpVersion::Http1 => vec![b"http/1.1".to_vec()],
            HttpVersion::Negotiate => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            HttpVersion::Http2 => vec![b"h2".to_vec()],
        };
        Ok(Arc::new(config))
    }

    /// The name to verify for an endpoint's host.
    pub(crate) fn server_name(&self, host: &str) -> Result<ServerName<'static>, TlsError> {
        let name = self.server_name.as_deref().unwrap_or(host);
        ServerName::try_from(name.to_owned()).map_err(|_| TlsError::ServerName(name.to_owned()))
    }
}

impl Roots {
    fn load(&self) -> Result<RootCertStore, TlsError> {
        let (place, pem) = match self {
            Roots::System => (SYSTEM_ROOTS.to_owned(), read(SYSTEM_ROOTS.as_ref())?),
            Roots::File(path) => (path.display().to_string(), read(path)?),
            Roots::Pem(pem) => ("tls.roots".to_owned(), pem.clone()),
        };
        let mut roots = RootCertStore::empty();
        // A bundle may hold odd old roots: those are skipped, as long as some remain.
        roots.add_parsable_certificates(certificates(&pem, &place)?);
        if roots.is_empty() { Err(TlsError::NoRoots { place }) } else { Ok(roots) }
    }
}

fn read(path: &std::path::Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path)
        .map_err(|error| TlsError::Pem { place: path.display().to_string(), reason: error.to_string() })
}

fn certificates(pem: &[u8], place: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|error| unreadable(place, &error))
}

fn unreadable(place: &str, error: &rustls::pki_types::pem::Error) -> TlsError {
    TlsError::Pem { place: place.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_without_a_certificate_are_refused_and_named() {
        let tls = TlsConfig { roots: Roots::Pem(b"nothing".to_vec()), ..TlsConfig::default() };
        let error = tls.compile(HttpVersion::Http1).expect_err("refused").to_string();
        assert!(error.contains("tls.roots"), "{error}");
        let missing =
            TlsConfig { roots: Roots::File("/nonexistent/roots.pem".into()), ..TlsConfig::default() };
        let error = missing.compile(HttpVersion::Http1).expect_err("refused").to_string();
        assert!(error.contains("/nonexistent/roots.pem"), "{error}");
    }

    #[test]
    fn a_server_name_that_is_no_name_is_refused() {
        let tls = TlsConfig { server_name: Some("not a name".into()), ..TlsConfig::default() };
        assert!(matches!(tls.server_name("card.example"), Err(TlsError::ServerName(_))));
        assert!(TlsConfig::default().server_name("127.0.0.1").is_ok());
    }
}
