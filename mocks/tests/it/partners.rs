//! The partners of this folder answer in their own protocols.
use std::path::Path;

use qiao_mappings::{Codec, CodecSpec, strict::Source};
use qiao_mocks::{MockConfig, MockServer, spec::PartnerSpec};
use qiao_vault::{Envelope, Params, Side, Vault, required_keys};
use serde_json::{Value, json};

use crate::help::{Client, Reply};

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn spec(partner: &str) -> PartnerSpec {
    let text = std::fs::read_to_string(folder().join(partner).join("partner.yaml")).expect("a partner");
    let source = Source::read(partner, &text).expect("YAML");
    source.decode().expect("a partner")
}

/// A server over all partners, with keys made up for every envelope.
fn serve() -> (MockServer, Vault) {
    let vault = Vault::in_memory().expect("a vault");
    for partner in ["ems", "permit"] {
        for key in spec(partner).envelopes.values().flat_map(required_keys) {
            if !vault.exists(&key.key) {
                vault.generate(&key.key, key.kind, key.purpose).expect("a key");
            }
        }
    }
    let server = MockServer::start(MockConfig::new(folder()), vault.clone());
    (server.unwrap_or_else(|error| panic!("{error}")), vault)
}

async fn post(server: &MockServer, path: &str, body: &[u8]) -> Reply {
    let body = std::str::from_utf8(body).expect("text");
    Client::to(server.addr()).await.send("POST", path, &[], body).await.expect("an answer")
}

fn soap() -> Codec {
    let spec: CodecSpec = serde_json::from_value(json!({"codec": "soap"})).expect("a codec");
    Codec::compile(&spec).expect("a codec")
}

async fn call(server: &MockServer, path: &str, document: &Value) -> (Reply, Value) {
    let reply = post(server, path, &soap().encode(document).expect("SOAP")).await;
    let answer =
        soap().decode(&reply.body).unwrap_or_else(|error| panic!("{error}: {}", reply.text())).document;
    (reply, answer)
}

#[tokio::test]
async fn the_social_insurance_partner_answers_json_by_person() {
    let (server, _) = serve();
    let body = json!({"idNo": "310101199003074511", "until": "202610"}).to_string();
    let reply = post(&server, "/hrss/contribution/continuous", body.as_bytes()).await;
    assert_eq!(
        (reply.status, &reply.json()["data"]["continuousMonths"]),
        (200, &json!(18)),
        "{}",
        reply.text()
    );
}

#[tokio::test]
async fn the_card_partner_answers_soap_by_operation() {
    let (server, _) = serve();
    let (reply, answer) = call(&server, "/card", &json!({"cardQuery": {"idNo": "310101199003074511"}})).await;
    assert_eq!((reply.stub(), &answer["cardQueryResponse"]["code"]), ("card-query", &json!("0")));
    let (reply, _) = call(&server, "/card", &json!({"cardQuery": {"idNo": "820000199001011224"}})).await;
    assert_eq!(reply.stub(), "card-query-unknown");
}

#[tokio::test]
async fn the_permit_partner_opens_seals_and_remembers() {
    let (server, vault) = serve();
    let permit = spec("permit");
    let envelope = Envelope::compile(&permit.envelopes["light"], &vault, Side::Bus).expect("an envelope");
    let mut numbers = Vec::new();
    for expected in ["0", "1004"] {
        let plain = json!({"bizNo": "RP-1", "person": {"name": "张三"}}).to_string();
        let sealed = envelope.seal(plain.as_bytes(), &Params::new()).expect("sealed");
        let (_, answer) = call(&server, "/permit", &json!({"registrationUpload": sealed})).await;
        let plain = envelope.open(&answer["registrationUploadResponse"], &Params::new()).expect("opens");
        let plain: Value = serde_json::from_slice(&plain).expect("JSON");
        assert_eq!(plain["code"], expected, "{plain}");
        numbers.push(plain["acceptNo"].clone());
    }
    assert!(numbers[0].as_str().is_some_and(|number| number.starts_with("JZ") && number.len() == 14));
    assert_eq!(numbers[0], numbers[1]);
}
