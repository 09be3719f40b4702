//! The partners of this folder answer in their own protocols, over sockets and in their envelopes: each of their stubs is asked.
use std::{collections::BTreeSet, net::SocketAddr, path::Path};

use qiao_mappings::{Codec, CodecSpec, strict::Source};
use qiao_mocks::{MockConfig, MockServer, Ports, partner_keys, spec::PartnerSpec};
use qiao_vault::{Envelope, KeyKind, Params, Side, Vault};
use serde_json::{Map, Value, json};

use crate::help::{Client, Reply};

mod carriers;
mod ems;
mod hotline;
mod medical;
mod packs;
mod police;
mod sms;
mod soap;

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn spec(partner: &str) -> PartnerSpec {
    let text = std::fs::read_to_string(folder().join(partner).join("partner.yaml")).expect("a partner");
    let source = Source::read(partner, &text).expect("YAML");
    source.decode().expect("a partner")
}

/// All partners with the whole city, and keys as the demo makes them.
struct Partners {
    server: MockServer,
    vault: Vault,
}

impl Partners {
    fn serve() -> Self {
        Self::pushing_to("http://127.0.0.1:1".into())
    }

    /// The same; pushes go to that address in place of the bus.
    fn pushing_to(bus: String) -> Self {
        let vault = Vault::in_memory().expect("a vault");
        for key in partner_keys(folder()) {
            let made = match key.kind {
                KeyKind::Secret => vault.import(&key.key, key.kind, key.purpose, b"0123456789abcdef"),
                _ => vault.generate(&key.key, key.kind, key.purpose),
            };
            made.expect("a key");
        }
        let config = MockConfig {
            ports: Ports::Free,
            admin: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            parameters: Map::from_iter([("bus".to_owned(), Value::from(bus))]),
            ..MockConfig::new(folder())
        };
        let server = MockServer::start(config, vault.clone());
        Self { server: server.unwrap_or_else(|error| panic!("{error}")), vault }
    }

    async fn send(&self, method: &str, path: &str, body: &str) -> Reply {
        Client::to(self.server.addr()).await.send(method, path, &[], body).await.expect("an answer")
    }

    async fn post(&self, path: &str, body: Value) -> Reply {
        self.send("POST", path, &body.to_string()).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, "").await
    }

    async fn admin(&self, method: &str, path: &str, body: Value) -> Reply {
        let mut client = Client::to(self.server.admin_addr().expect("an admin API")).await;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = [("content-type", "application/json")];
        let reply = client.send(method, path, &headers, &body).await.expect("an answer");
        assert_eq!(reply.status, 200, "{method} {path}: {}", reply.text());
        reply
    }

    /// Lets the clock stand still on a morning.
    async fn stop_clock(&self) {
        self.admin("PUT", "/api/mocks/clock", json!({"stopAt": "2026-03-01T08:00:00+08:00"})).await;
    }

    async fn advance(&self, by: &str) {
        self.admin("POST", "/api/mocks/clock/advance", json!({"by": by})).await;
    }

    fn envelope(&self, partner: &str, name: &str) -> Envelope {
        Envelope::compile(&spec(partner).envelopes[name], &self.vault, Side::Bus).expect("an envelope")
    }

    /// Asks by SOAP; the reply and its document.
    async fn soap(&self, path: &str, document: &Value) -> (Reply, Value) {
        let codec: CodecSpec = serde_json::from_value(json!({"codec": "soap"})).expect("a codec");
        let codec = Codec::compile(&codec).expect("a codec");
        let body = String::from_utf8(codec.encode(document).expect("SOAP")).expect("text");
        let reply = self.send("POST", path, &body).await;
        let answer = codec.decode(&reply.body);
        let answer = answer.unwrap_or_else(|error| panic!("{error}: {}", reply.text())).document;
        (reply, answer)
    }

    /// The journal shows that every stub of a partner has answered.
    async fn each_stub_was_asked(&self, partner: &str) {
        let stubs =
            self.admin("GET", &format!("/api/mocks/partners/{partner}/stubs"), Value::Null).await.json();
        let stubs = stubs["stubs"].as_array().expect("stubs").iter();
        let stubs: BTreeSet<String> =
            stubs.map(|stub| stub["label"].as_str().expect("a label").into()).collect();
        let journal = format!("/api/mocks/journal?partner={partner}&limit=500");
        let journal = self.admin("GET", &journal, Value::Null).await.json();
        let entries = journal["entries"].as_array().expect("entries").iter();
        let asked: BTreeSet<String> =
            entries.filter_map(|entry| entry["stub"].as_str().map(Into::into)).collect();
        let never: Vec<&String> = stubs.difference(&asked).collect();
        assert!(!stubs.is_empty() && never.is_empty(), "never asked: {never:?}");
    }
}

#[tokio::test]
async fn the_social_insurance_partner_answers_by_person() {
    let partners = Partners::serve();
    let ask = async |path: &str, id_no: &str| {
        partners.post(&format!("/hrss{path}"), json!({"idNo": id_no, "until": "202610", "months": 6})).await
    };
    for (path, id_no, stub, status, months) in [
        ("/contribution/continuous", "310101199003074511", "contribution-known", 200, json!(18)),
        ("/contribution/continuous", "310115200002290021", "contribution-known", 200, json!(3)),
        ("/contribution/continuous", "820000199001011224", "contribution-unknown-person", 200, Value::Null),
        ("/contribution/continuous", "810000198507120034", "contribution-busy", 503, Value::Null),
        ("/contribution/continuous", "110101197001010016", "contribution-default", 200, json!(12)),
        ("/insurance/query", "310101199003074511", "insurance-known", 200, Value::Null),
        ("/insurance/query", "110101197001010016", "insurance", 200, Value::Null),
    ] {
        let reply = ask(path, id_no).await;
        assert_eq!((reply.stub(), reply.status), (stub, status), "{}", reply.text());
        assert_eq!(reply.json()["data"]["continuousMonths"], months, "{}", reply.text());
    }
    let passes = ask("/contribution/continuous", "310115200002290021").await.json();
    assert_eq!(passes["data"]["pass"], false, "three months are less than six");
    partners.each_stub_was_asked("hrss").await;
}
