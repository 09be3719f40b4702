//! TLS for the listener: certificate and key from PEM files, replaced without a restart. TLS 1.2 and 1.3, ALPN `h2` and `http/1.1`.
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

/// What is known of a TLS caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsPeer {
    /// The name the caller asked for (SNI).
    pub server_name: Option<Box<str>>,
}

/// Why a certificate or key cannot be used. Names files, never their content.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{} holds no readable PEM certificate or key: {reason}", path.display())]
    Pem { path: PathBuf, reason: String },
    #[error("the key in {} does not belong to the certificate in {}, or is of an unknown kind: {reason}", key.display(), certificate.display())]
    Mismatch { certificate: PathBuf, key: PathBuf, reason: String },
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// The listener's TLS side; clones share the certificate.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
    current: Arc<Current>,
    certificate: PathBuf,
    key: PathBuf,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

struct Current {
    provider: Arc<CryptoProvider>,
    key: ArcSwap<CertifiedKey>,
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current")
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.key.load_full())
    }
}

impl Tls {
    /// Reads a certificate chain (leaf first) and its key (PKCS#8, PKCS#1 or SEC1).
    pub fn from_files(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Result<Self, TlsError> {
        let (certificate, key) = (certificate.into(), key.into());
        let provider = Arc::new(ring::default_provider());
        let loaded = load(&certificate, &key, &provider)?;
        let current =
            Arc::new(Current { provider: Arc::clone(&provider), key: ArcSwap::from_pointee(loaded) });
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(&current) as _;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), current, certificate, key })
    }

    /// Reads the files again; new connections use what they hold now. On error the old certificate stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        let loaded = load(&self.certificate, &self.key, &self.current.provider)?;
        self.current.key.store(Arc::new(loaded));
        Ok(())
    }

    pub(crate) fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        Arc::clone(&self.config).into()
    }
}

fn load(certificate: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let pem = |path: &Path, reason: String| TlsError::Pem { path: path.to_path_buf(), reason };
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| pem(certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(pem(certificate, "no certificate found".to_owned()));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| pem(key, error.to_string()))?;
    CertifiedKey::from_der(chain, private, provider).map_err(|error| TlsError::Mismatch {
        certificate: certificate.to_path_buf(),
        key: key.to_path_buf(),
        reason: error.to_string(),
    })
}
