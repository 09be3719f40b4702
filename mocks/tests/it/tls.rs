//! TLS on listeners' own ports, and what goes wrong in handshakes.
use std::sync::Arc;

use qiao_mocks::Ports;
use qiao_vault::Vault;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    CertificateError, ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::help::{Mocks, PATIENCE, serve_with, write};

const SAFE: &str = r#"
mock: v1
partner: safe
title: 加密
listen:
  - {id: web, proto: http, port: 9443, path: /bank, tls: {}}
  - {id: line, proto: tcp, port: 9444, tls: {}}
stubs:
  - {id: ok, respond: {json: {code: "0", by: "${method}"}}}
"#;

fn safe(yaml: &str, files: &[(&str, &str)]) -> Mocks {
    let files: Vec<(&str, &str)> = [("safe/partner.yaml", yaml)].iter().chain(files).copied().collect();
    serve_with(&files, Vault::in_memory().expect("a vault"), |config| config.ports = Ports::Free)
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

async fn connect(
    mocks: &Mocks,
    listener: &str,
    roots: &str,
    identity: Option<Identity>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut store = RootCertStore::empty();
    store.add(CertificateDer::from_pem_slice(roots.as_bytes()).expect("PEM")).expect("a root");
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(store);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).expect("an identity"),
    };
    let addr = mocks.server.listener_addr("safe", listener).expect("listens");
    let tcp = timeout(PATIENCE, TcpStream::connect(addr)).await.expect("in time")?;
    let name = ServerName::try_from("localhost").expect("a name");
    timeout(PATIENCE, TlsConnector::from(Arc::new(config)).connect(name, tcp)).await.expect("in time")
}

async fn ask(stream: &mut TlsStream<TcpStream>, bytes: &[u8]) -> std::io::Result<String> {
    stream.write_all(bytes).await?;
    let mut text = String::new();
    let read = timeout(PATIENCE, stream.read_to_string(&mut text)).await.expect("in time");
    read.map(|_| text)
}

const GET: &[u8] = b"GET /bank/x HTTP/1.1\r\nhost: bank\r\nconnection: close\r\n\r\n";

async fn dial(mocks: &Mocks, fault: Value) {
    let reply = mocks.admin("PUT", "/api/mocks/dials/safe/f", Some(&json!({"fault": fault}))).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

async fn last_entry(mocks: &Mocks) -> Value {
    mocks.admin("GET", "/api/mocks/journal?limit=1", None).await.json()["entries"][0].clone()
}

#[tokio::test]
async fn http_and_tcp_are_served_under_tls_with_certificates_of_the_development_authority() {
    let mocks =
        safe(&SAFE.replace("id: line, proto: tcp,", "id: line, proto: tcp, tcp: {oneShot: true},"), &[]);
    let roots = mocks.server.authority_pem().to_owned();
    let mut web = connect(&mocks, "web", &roots, None).await.expect("a handshake");
    let answer = ask(&mut web, GET).await.expect("an answer");
    assert!(
        answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with(r#"{"code":"0","by":"GET"}"#),
        "{answer}"
    );
    let mut other = connect(&mocks, "web", &roots, None).await.expect("a handshake");
    let elsewhere =
        ask(&mut other, b"GET /banking HTTP/1.1\r\nhost: bank\r\nconnection: close\r\n\r\n").await;
    assert!(elsewhere.expect("an answer").starts_with("HTTP/1.1 404"));
    let mut line = connect(&mocks, "line", &roots, None).await.expect("a handshake");
    assert_eq!(ask(&mut line, b"00000002{}").await.expect("an answer"), r#"00000023{"code":"0","by":"TCP"}"#);
    // The common port does not serve them.
    assert_eq!(mocks.post("/bank/x", &json!({})).await.status, 404);
}

#[tokio::test]
async fn f24_an_expired_certificate_is_what_the_client_refuses() {
    let mocks = safe(SAFE, &[]);
    let roots = mocks.server.authority_pem().to_owned();
    dial(&mocks, json!({"kind": "expired-certificate", "first": 1})).await;
    let refused = connect(&mocks, "web", &roots, None).await.expect_err("refused");
    let told = refused.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    let expired = matches!(
        told,
        Some(rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. }
        ))
    );
    assert!(expired, "{refused:?}");
    connect(&mocks, "web", &roots, None).await.expect("the next one is good");
}

#[tokio::test]
async fn f03_the_handshake_is_aborted() {
    let mocks = safe(SAFE, &[]);
    let roots = mocks.server.authority_pem().to_owned();
    dial(&mocks, json!({"kind": "handshake-abort"})).await;
    let aborted = connect(&mocks, "line", &roots, None).await.expect_err("aborted");
    assert_eq!(aborted.kind(), std::io::ErrorKind::ConnectionReset);
    let entry = last_entry(&mocks).await;
    assert_eq!((&entry["method"], &entry["fault"]), (&json!("TLS"), &json!("handshake-abort (dial f)")));
}

#[tokio::test]
async fn a_listener_with_its_own_certificate_asks_clients_for_theirs() {
    let mut params = CertificateParams::new(Vec::new()).expect("params");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ours = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed");
    let issue = |name: &str| {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("params");
        (params.signed_by(&key, &ours).expect("signed"), key)
    };
    let (server, server_key) = issue("localhost");
    let (client, client_key) = issue("bus");
    let tls = "tls: {certificate: tls/server.pem, key: tls/server-key.pem, clients: tls/ca.pem}";
    let yaml = SAFE.replace("path: /bank, tls: {}", &format!("path: /bank, {tls}"));
    let files = [
        ("safe/tls/server.pem", server.pem()),
        ("safe/tls/server-key.pem", server_key.serialize_pem()),
        ("safe/tls/ca.pem", ours.pem()),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let mocks = safe(&yaml, &files);
    let key = PrivateKeyDer::try_from(client_key.serialize_der()).expect("a key");
    let identity = (vec![client.der().clone()], key);
    let mut known = connect(&mocks, "web", &ours.pem(), Some(identity)).await.expect("a handshake");
    assert!(ask(&mut known, GET).await.expect("an answer").starts_with("HTTP/1.1 200"));
    // In TLS 1.3 the client learns of its refusal when it reads.
    let refused = match connect(&mocks, "web", &ours.pem(), None).await {
        Ok(mut unknown) => ask(&mut unknown, GET).await.is_err(),
        Err(_) => true,
    };
    assert!(refused);
    let begun = std::time::Instant::now();
    while !last_entry(&mocks).await["problem"].as_str().is_some_and(|told| told.contains("certificate")) {
        assert!(begun.elapsed() < PATIENCE);
    }
}

#[test]
fn settings_that_do_not_go_together_are_told_with_their_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let yaml = SAFE
        .replace("port: 9443, path: /bank, tls: {}", "path: /bank, tls: {certificate: tls/none.pem}")
        .replace("proto: tcp, port: 9444, tls: {}", "proto: tcp, tls: {clientsOptional: true}");
    write(&folder, "safe/partner.yaml", &yaml);
    let mistakes =
        qiao_mocks::check(folder.path(), &Vault::in_memory().expect("a vault")).expect_err("refused");
    let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    for wanted in ["`port` of its own", "go together", "goes with `clients`"] {
        assert!(told.iter().any(|told| told.contains(wanted)), "{wanted}: {told:?}");
    }
}
