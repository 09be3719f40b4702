//! TLS on listeners' own ports: the handshake with its faults.
use std::{
    str::FromStr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use qiao_vault::{KeyRef, Vault};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsAcceptor;

use super::{authority::Authority, beforehand, sockets::Place, wire, wire::Wire};
use crate::{
    faults::Wrong,
    files::PartnerFiles,
    partner::{Listener, Partner},
    spec::{FaultKind, listen::TlsSpec},
};

/// A handshake must be done within this time.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A listener's compiled `tls`.
pub struct TlsForm {
    /// Chain and key of its own; else they are issued by the development authority.
    own: Option<(Vec<CertificateDer<'static>>, Key)>,
    names: Vec<String>,
    clients: Option<(RootCertStore, bool)>,
    http: bool,
    ready: OnceLock<Result<Arc<ServerConfig>, String>>,
    expired: OnceLock<Result<Arc<ServerConfig>, String>>,
}

enum Key {
    Pem(PrivateKeyDer<'static>),
    /// Looked up when first needed: the vault may be sealed while partners are read.
    Vault(Vault, KeyRef),
}

impl TlsForm {
    /// Reads a listener's settings and files.
    ///
    /// # Errors
    /// Files that cannot be read as PEM, settings that do not go together.
    pub fn compile(
        spec: &TlsSpec,
        files: &PartnerFiles,
        vault: &Vault,
        http: bool,
    ) -> Result<Self, Vec<Wrong>> {
        let mut wrong = Vec::new();
        let own = match (&spec.certificate, &spec.key) {
            (Some(certificate), Some(key)) => {
                let chain =
                    certificates(files, certificate).map_err(|told| wrong.push(("certificate".into(), told)));
                let key = self::key(files, key, vault).map_err(|told| wrong.push(("key".into(), told)));
                chain.ok().zip(key.ok())
            }
            (None, None) => None,
            _ => {
                wrong.push((String::new(), "`certificate` and `key` go together: give both, or none".into()));
                None
            }
        };
        let clients = spec.clients.as_ref().and_then(|clients| {
            let mut roots = RootCertStore::empty();
            let read = certificates(files, clients).and_then(|certificates| {
                certificates
                    .into_iter()
                    .try_for_each(|root| roots.add(root).map_err(|error| error.to_string()))
            });
            read.map_err(|told| wrong.push(("clients".into(), told))).ok()?;
            Some((roots, spec.clients_optional))
        });
        if spec.clients_optional && spec.clients.is_none() {
            wrong.push(("clientsOptional".into(), "goes with `clients`".into()));
        }
        if own.is_some() && !spec.names.is_empty() {
            wrong
                .push(("names".into(), "are for development certificates; this listener has its own".into()));
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let names = spec.names.clone();
        Ok(Self { own, names, clients, http, ready: OnceLock::new(), expired: OnceLock::new() })
    }

    fn config(&self, authority: &Authority, expired: bool) -> Result<Arc<ServerConfig>, String> {
        let cell = if expired { &self.expired } else { &self.ready };
        let made = cell.get_or_init(|| {
            let (chain, key) = match &self.own {
                Some((chain, Key::Pem(key))) if !expired => (chain.clone(), key.clone_key()),
                Some((chain, Key::Vault(vault, name))) if !expired => (chain.clone(), revealed(vault, name)?),
                _ => authority.issue(&self.names, expired)?,
            };
            self.build(chain, key).map_err(|error| error.to_string()).map(Arc::new)
        });
        made.clone()
    }

    fn build(
        &self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<ServerConfig, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = match &self.clients {
            None => builder.with_no_client_auth(),
            Some((roots, optional)) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots.clone()), provider);
                let verifier = if *optional { verifier.allow_unauthenticated() } else { verifier };
                let verifier = verifier.build().map_err(|error| rustls::Error::General(error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_single_cert(chain, key)?;
        if self.http {
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
        }
        Ok(config)
    }
}

fn certificates(files: &PartnerFiles, name: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = files.body(name).map_err(|error| format!("{name}: {error}"))?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match read {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(format!("{name}: no certificates in PEM")),
    }
}

fn key(files: &PartnerFiles, name: &str, vault: &Vault) -> Result<Key, String> {
    if name.starts_with("vault:") {
        let name = KeyRef::from_str(name).map_err(|error| error.to_string())?;
        return Ok(Key::Vault(vault.clone(), name));
    }
    // The parser's own words may quote the key.
    let text = files.secret(name).map_err(|error| format!("{name}: {error}"))?;
    let key = PrivateKeyDer::from_pem_slice(&text);
    key.map(Key::Pem).map_err(|_| format!("{name}: no PKCS#8, PKCS#1 or SEC1 key in PEM"))
}

fn revealed(vault: &Vault, name: &KeyRef) -> Result<PrivateKeyDer<'static>, String> {
    let secret = vault.key(name).reveal_secret().map_err(|error| error.to_string())?;
    PrivateKeyDer::from_pem_slice(&secret).map_err(|_| "the key in the vault is none in PEM".to_owned())
}

/// The connection, under TLS where its listener has it; none where it ended before a request.
pub async fn accept(stream: TcpStream, place: &Place) -> Option<Wire> {
    let Some((partner, number)) = place.current() else {
        wire::reset(&stream);
        return None;
    };
    let listener = &partner.listeners[number];
    let Some(tls) = &listener.tls else { return Some(Wire::Plain(stream)) };
    let wanted = |kind| matches!(kind, FaultKind::HandshakeAbort | FaultKind::ExpiredCertificate);
    let fault = beforehand::strike(place, &partner, listener, "TLS", &wanted);
    if fault.as_ref().is_some_and(|fault| fault.kind == FaultKind::HandshakeAbort) {
        // The hello of the client is waited for, so that it sees the end in the middle of the handshake.
        if timeout(HANDSHAKE, stream.readable()).await.is_err() {
            tracing::trace!("no hello came");
        }
        wire::reset(&stream);
        return None;
    }
    let config = match tls.config(&place.shared.authority, fault.is_some()) {
        Ok(config) => config,
        Err(problem) => {
            failed(place, &partner, listener, &problem);
            wire::reset(&stream);
            return None;
        }
    };
    match timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream)).await {
        Ok(Ok(stream)) => return Some(Wire::Tls(Box::new(stream))),
        Ok(Err(error)) => failed(place, &partner, listener, &error.to_string()),
        Err(_) => failed(place, &partner, listener, "not done in time"),
    }
    None
}

fn failed(place: &Place, partner: &Partner, listener: &Listener, problem: &str) {
    beforehand::note(place, partner, listener, "TLS", None, Some(format!("handshake: {problem}")));
}
