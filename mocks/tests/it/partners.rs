//! The partners of this folder answer in their own protocols.
use std::path::Path;

use qiao_mappings::{Codec, CodecSpec, strict::Source};
use qiao_mocks::{MockConfig, MockServer, Ports, login_secrets, spec::PartnerSpec};
use qiao_vault::{Envelope, KeyKind, Params, Purpose, Side, Vault, required_keys};
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
    for (key, _) in login_secrets(folder()) {
        vault.import(&key, KeyKind::Secret, Purpose::Secret, b"0123456789abcdef").expect("a secret");
    }
    let config = MockConfig { ports: Ports::Free, ..MockConfig::new(folder()) };
    let server = MockServer::start(config, vault.clone());
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

/// A login at one of the carriers' partners, and what a message to `number` is answered with.
async fn submit(server: &MockServer, number: &str, text: &str) -> u32 {
    use qiao_wire::cmpp::{Command, Pdu, Version};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let addr = server.listener_addr("mobile", "ismg").expect("a gateway");
    let mut stream = tokio::net::TcpStream::connect(addr).await.expect("a connection");
    let source_addr = qiao_wire::FixedText::new("901234").expect("fits");
    let authenticator_source =
        qiao_wire::cmpp::auth::source(&source_addr, b"0123456789abcdef", 1_121_120_000);
    let connect = qiao_wire::cmpp::Connect {
        source_addr,
        authenticator_source,
        version: 0x30,
        timestamp: 1_121_120_000,
    };
    let submit = qiao_wire::cmpp::Submit {
        msg_fmt: 8,
        src_id: qiao_wire::FixedText::new("1068123401").expect("fits"),
        dest_terminal_id: qiao_wire::cmpp::Destinations::one(
            qiao_wire::cmpp::TerminalId::new(number).expect("fits"),
        ),
        msg_content: qiao_wire::Content(qiao_wire::sms::Encoding::Ucs2.encode(text).expect("text")),
        ..Default::default()
    };
    for (sequence, command) in [(1, Command::Connect(connect)), (2, Command::Submit(submit))] {
        let frame = Pdu { sequence, command }.encode(Version::V30).expect("a frame");
        stream.write_all(&frame).await.expect("written");
    }
    let mut answers = [0; 33 + 24];
    let read = tokio::time::timeout(crate::help::PATIENCE, stream.read_exact(&mut answers)).await;
    read.expect("in time").expect("two answers");
    match Pdu::decode(&answers[33..], Version::V30).expect("an answer").command {
        Command::SubmitResp(resp) => resp.result.0,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_mobile_partner_takes_signed_messages_and_refuses_forbidden_numbers() {
    let (server, _) = serve();
    assert_eq!(submit(&server, "13812345678", "【上海民政】您的申请已受理").await, 0);
    assert_eq!(submit(&server, "13812345678", "没有签名").await, 5);
    assert_eq!(submit(&server, "13812340000", "【上海民政】x").await, 13);
    assert_eq!(submit(&server, "13812340007", "【上海民政】x").await, 8);
    assert_eq!(submit(&server, "13812340007", "【上海民政】x").await, 0);
    for (partner, listener) in [("telecom", "smgw"), ("unicom", "smg")] {
        assert!(server.listener_addr(partner, listener).is_some(), "{partner}");
    }
}
