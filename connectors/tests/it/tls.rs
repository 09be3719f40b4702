//! TLS towards a partner: whose certificate is believed, and what the bus shows of itself.
use std::sync::Arc;

use qiao_connectors::{ClientIdentity, HttpConnector, Roots, SecretString, TlsConfig};
use qiao_core::{Connector, Fault, Repeat, fault_codes as codes};
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
};
use tokio_rustls::TlsAcceptor;

use crate::partner::{OK, Partner, Peer, config, outbound};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).expect("params");
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("key")).expect("signed")
}

/// A certificate for `name`, and its key.
fn issued(
    authority: &Authority,
    name: &str,
    change: impl FnOnce(&mut CertificateParams),
) -> (rcgen::Certificate, KeyPair) {
    let mut params = CertificateParams::new([name.to_owned()]).expect("params");
    change(&mut params);
    let key = KeyPair::generate().expect("key");
    (params.signed_by(&key, authority).expect("signed"), key)
}

fn server(
    certificate: &(rcgen::Certificate, KeyPair),
    clients: Option<&Authority>,
    alpn: &[&[u8]],
) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("versions");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.der().clone()).expect("root");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("verifier"))
        }
    };
    let chain: Vec<CertificateDer<'static>> = vec![certificate.0.der().clone()];
    let key = PrivateKeyDer::try_from(certificate.1.serialize_der()).expect("key");
    let mut config = builder.with_single_cert(chain, key).expect("server");
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

async fn partner(acceptor: TlsAcceptor) -> Partner {
    Partner::serve_streams("https", move |_, tcp| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(tls) = acceptor.accept(tcp).await else { return };
            let mut peer = Peer::new(tls);
            while peer.request().await.is_some() {
                peer.write(OK).await;
            }
        }
    })
    .await
}

fn believing(authority: &Authority) -> TlsConfig {
    TlsConfig { roots: Roots::Pem(authority.pem().into_bytes()), ..TlsConfig::default() }
}

/// Two calls, so that using the connection again is seen too.
async fn calls(partner: &Partner, tls: TlsConfig) -> Result<u16, Fault> {
    let mut config = config(&[&partner.url]);
    config.tls = Some(tls);
    let connector = HttpConnector::new(config).expect("valid");
    connector.call(outbound()).await?;
    Ok(connector.call(outbound()).await?.status)
}

#[tokio::test]
async fn a_partner_with_a_believed_certificate_is_called_on_one_connection() {
    let authority = authority();
    let partner = partner(server(&issued(&authority, "127.0.0.1", |_| ()), None, &[])).await;
    assert_eq!(calls(&partner, believing(&authority)).await.expect("answer"), 200);
    assert_eq!(partner.connections(), 1);
}

#[tokio::test]
async fn a_certificate_for_another_name_serves_only_where_that_name_is_asked_for() {
    let authority = authority();
    let partner = partner(server(&issued(&authority, "card.example", |_| ()), None, &[])).await;
    let fault = calls(&partner, believing(&authority)).await.expect_err("wrong name");
    assert_eq!((fault.code(), fault.repeat()), (&codes::PARTNER_DOWN, Repeat::Safe));
    assert!(fault.detail().contains("certificate"), "{fault}");
    let named = TlsConfig { server_name: Some("card.example".to_owned()), ..believing(&authority) };
    assert_eq!(calls(&partner, named).await.expect("answer"), 200);
}

#[tokio::test]
async fn an_expired_certificate_and_one_of_an_unknown_authority_are_refused() {
    let authority = authority();
    let expired = issued(&authority, "127.0.0.1", |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let partner_expired = partner(server(&expired, None, &[])).await;
    let fault = calls(&partner_expired, believing(&authority)).await.expect_err("expired");
    assert_eq!(fault.code(), &codes::PARTNER_DOWN);
    assert!(fault.detail().contains("expired"), "{fault}");

    let partner_unknown = partner(server(&issued(&authority, "127.0.0.1", |_| ()), None, &[])).await;
    let fault = calls(&partner_unknown, believing(&self::authority())).await.expect_err("unknown");
    assert_eq!((fault.code(), fault.repeat()), (&codes::PARTNER_DOWN, Repeat::Safe));
}

#[tokio::test]
async fn a_partner_that_asks_for_a_client_certificate_gets_it() {
    let authority = authority();
    let acceptor = server(&issued(&authority, "127.0.0.1", |_| ()), Some(&authority), &[]);
    let partner = partner(acceptor).await;
    let (certificate, key) = issued(&authority, "bus.example", |_| ());
    let identity = ClientIdentity {
        chain_pem: certificate.pem().into_bytes(),
        key_pem: SecretString::new(key.serialize_pem()),
    };
    let with = TlsConfig { identity: Some(identity), ..believing(&authority) };
    assert_eq!(calls(&partner, with).await.expect("answer"), 200);
    calls(&partner, believing(&authority)).await.expect_err("no client certificate");
}

#[tokio::test]
async fn a_key_that_does_not_fit_its_certificate_is_refused_without_being_shown() {
    let authority = authority();
    let (certificate, _) = issued(&authority, "bus.example", |_| ());
    let other = KeyPair::generate().expect("key").serialize_pem();
    for key in [other.as_str(), "-----BEGIN not a key"] {
        let identity =
            ClientIdentity { chain_pem: certificate.pem().into_bytes(), key_pem: SecretString::new(key) };
        let mut config = config(&["https://127.0.0.1:1"]);
        config.tls = Some(TlsConfig { identity: Some(identity), ..believing(&authority) });
        let error = HttpConnector::new(config).err().expect("refused").to_string();
        assert!(error.contains("key") && !error.contains("BEGIN"), "{error}");
    }
}

#[tokio::test]
async fn a_partner_that_speaks_no_tls_is_down() {
    let partner = Partner::serve_streams("https", |_, tcp| async move {
        Peer::new(tcp).write(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    let fault = calls(&partner, believing(&authority())).await.expect_err("no TLS");
    assert_eq!((fault.code(), fault.repeat()), (&codes::PARTNER_DOWN, Repeat::Safe));
}

/// For the HTTP/2 tests: a partner's acceptor that offers these protocols, and what believes it.
pub fn negotiating(alpn: &[&[u8]]) -> (TlsAcceptor, TlsConfig) {
    let authority = authority();
    (server(&issued(&authority, "127.0.0.1", |_| ()), None, alpn), believing(&authority))
}
