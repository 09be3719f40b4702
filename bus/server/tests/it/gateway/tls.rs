//! TLS with ALPN, and certificates replaced while the gateway runs.
use std::{path::Path, sync::Arc};

use qiao::gateway::{GatewayLimits, Tls, TlsError};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::support::{Client, GET, Running, start_with};

/// Writes a new self-signed certificate for `bus.test` and returns it.
fn issue(folder: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["bus.test".to_owned()]).expect("a certificate");
    std::fs::write(folder.join("bus.pem"), made.cert.pem()).expect("written");
    std::fs::write(folder.join("bus.key"), made.signing_key.serialize_pem()).expect("written");
    CertificateDer::from_pem_slice(made.cert.pem().as_bytes()).expect("PEM")
}

fn tls(folder: &Path) -> Result<Tls, TlsError> {
    Tls::from_files(folder.join("bus.pem"), folder.join("bus.key"))
}

async fn connect(
    gateway: &Running,
    trusted: &CertificateDer<'static>,
    alpn: &[&[u8]],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a certificate");
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("TLS")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let stream = TcpStream::connect(gateway.address).await.expect("the gateway listens");
    let name = ServerName::try_from("bus.test").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

#[tokio::test]
async fn alpn_chooses_the_protocol_and_both_are_served() {
    let folder = tempfile::tempdir().expect("a folder");
    let certificate = issue(folder.path());
    let gateway = start_with(GatewayLimits::default(), Some(tls(folder.path()).expect("usable")));
    let stream = connect(&gateway, &certificate, &[b"http/1.1"]).await.expect("a handshake");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
    let mut client = Client::new(stream);
    client.send(GET).await.expect("sent");
    assert_eq!(client.response().await.expect("an answer").body, "GET /after 0");

    let mut stream = connect(&gateway, &certificate, &[b"h2", b"http/1.1"]).await.expect("a handshake");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.expect("sent");
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.expect("a frame");
    assert_eq!(head[3], 4, "SETTINGS first");
}

#[tokio::test]
async fn a_new_certificate_is_used_after_a_reload_and_a_bad_one_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let old = issue(folder.path());
    let tls = tls(folder.path()).expect("usable");
    let gateway = start_with(GatewayLimits::default(), Some(tls.clone()));
    let stream = connect(&gateway, &old, &[b"http/1.1"]).await.expect("a handshake");
    let mut early = Client::new(stream);

    std::fs::write(folder.path().join("bus.pem"), "rubbish").expect("written");
    assert!(matches!(tls.reload(), Err(TlsError::Pem { .. })));
    connect(&gateway, &old, &[b"http/1.1"]).await.expect("the old one still serves");

    let new = issue(folder.path());
    tls.reload().expect("usable");
    connect(&gateway, &new, &[b"http/1.1"]).await.expect("the new one serves");
    assert!(connect(&gateway, &old, &[b"http/1.1"]).await.is_err());
    early.send(GET).await.expect("open connections stay");
    assert_eq!(early.response().await.expect("an answer").status, 200);
}

#[tokio::test]
async fn a_key_of_another_certificate_is_refused_with_both_files_named() {
    let folder = tempfile::tempdir().expect("a folder");
    issue(folder.path());
    let key = std::fs::read(folder.path().join("bus.key")).expect("a key");
    issue(folder.path());
    std::fs::write(folder.path().join("bus.key"), key).expect("written");
    let error = tls(folder.path()).expect_err("a mismatch").to_string();
    assert!(error.contains("bus.pem") && error.contains("bus.key"), "{error}");
}

#[tokio::test]
async fn a_handshake_that_fails_is_counted_and_others_are_served() {
    let folder = tempfile::tempdir().expect("a folder");
    let certificate = issue(folder.path());
    let gateway = start_with(GatewayLimits::default(), Some(tls(folder.path()).expect("usable")));
    let mut plain = gateway.connect().await;
    plain.send(GET).await.expect("sent");
    assert!(plain.response_bytes_end().await);
    assert_eq!(gateway.stats.tls_failures(), 1);
    let stream = connect(&gateway, &certificate, &[]).await.expect("a handshake");
    let mut client = Client::new(stream);
    client.send(GET).await.expect("sent");
    assert_eq!(client.response().await.expect("an answer").status, 200);
}
