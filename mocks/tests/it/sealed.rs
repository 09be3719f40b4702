//! Sealed messages: stubs see the plain document, the wire stays sealed and signed.
use qiao_mappings::{Codec, CodecSpec};
use qiao_vault::{Envelope, EnvelopeSpec, Params, Side, Vault, required_keys};
use serde_json::{Value, json};

use crate::help::{Mocks, Reply, serve_with};

const LIGHT: &str = r#"
    keys: {ours.sign: "vault:bus/sign", ours.encrypt: "vault:bus/encrypt", theirs.sign: "vault:permit/sign", theirs.encrypt: "vault:permit/encrypt"}
    seal:
      - {name: key, random: 16}
      - {name: iv, random: 16}
      - {name: encKey, sm2Encrypt: {data: key, key: theirs.encrypt}}
      - {name: cipher, sm4Encrypt: {mode: cbc, key: key, iv: iv, data: plain}}
      - {name: sign, sm2Sign: {data: cipher, key: ours.sign}}
    write: {encKey: {part: encKey, as: base64}, iv: {part: iv, as: base64}, cipher: {part: cipher, as: base64}, sign: {part: sign, as: base64}}
    open:
      - {name: cipher, read: {field: cipher, as: base64}}
      - {name: sign, read: {field: sign, as: base64}}
      - {name: verified, sm2Verify: {data: cipher, signature: sign, key: theirs.sign}}
      - {name: encKey, read: {field: encKey, as: base64}}
      - {name: iv, read: {field: iv, as: base64}}
      - {name: key, sm2Decrypt: {data: encKey, key: ours.encrypt}}
      - {name: plain, sm4Decrypt: {mode: cbc, key: key, iv: iv, data: cipher}}
"#;

const REST: &str = r#"
listen:
  - id: ws
    proto: soap
    path: /permit
    request: {wire: {codec: soap}, open: {envelope: light, from: $.wire.submit, plain: {codec: json}}}
    answer:
      wire: {codec: soap, namespace: "urn:permit", prefix: p}
      seal: {envelope: light, plain: {codec: json}}
      frame:
        - {to: submitResponse, from: $.sealed}
faultHeader: true
stubs:
  - id: unopened
    priority: 9
    when: {all: [{cel: "problem.startsWith('unopened')"}]}
    respond: {soapFault: {code: Client, text: 验签失败}}
  - {id: accepted, item: submit, when: {all: [{json: $.request.idNo, startsWith: "310"}]}, respond: {json: {code: "0", name: 张三, asked: "${request.idNo}"}}}
"#;

struct Bus {
    mocks: Mocks,
    envelope: Envelope,
    codec: Codec,
}

fn bus() -> Bus {
    let text = format!("mock: v1\npartner: permit\ntitle: 密\nenvelopes:\n  light:{LIGHT}{REST}");
    let source = qiao_mappings::strict::Source::read("light", &format!("light:{LIGHT}")).expect("YAML");
    let spec: EnvelopeSpec = serde_json::from_value(source.value()["light"].clone()).expect("an envelope");
    let vault = Vault::in_memory().expect("a vault");
    for key in required_keys(&spec) {
        vault.generate(&key.key, key.kind, key.purpose).expect("a key");
    }
    let envelope = Envelope::compile(&spec, &vault, Side::Bus).expect("an envelope");
    let codec: CodecSpec = serde_json::from_value(json!({"codec": "soap"})).expect("a codec");
    let mocks = serve_with(&[("permit/partner.yaml", &text)], vault, |_| {});
    Bus { mocks, envelope, codec: Codec::compile(&codec).expect("a codec") }
}

impl Bus {
    async fn call(&self, sealed: Value, headers: &[(&str, &str)]) -> Reply {
        let body = self.codec.encode(&json!({"submit": sealed})).expect("encodes");
        let body = String::from_utf8(body).expect("text");
        self.mocks.connect().await.send("POST", "/permit", headers, &body).await.expect("an answer")
    }

    fn seal(&self, plain: &Value) -> Value {
        self.envelope.seal(plain.to_string().as_bytes(), &Params::new()).expect("seals")
    }

    fn open(&self, reply: &Reply) -> Result<Value, String> {
        let wire = self.codec.decode(&reply.body).expect("SOAP").document;
        let plain =
            self.envelope.open(&wire["submitResponse"], &Params::new()).map_err(|error| error.to_string())?;
        Ok(serde_json::from_slice(&plain).expect("JSON"))
    }
}

#[tokio::test]
async fn a_sealed_request_is_matched_in_plain_and_answered_sealed() {
    let bus = bus();
    let reply = bus.call(bus.seal(&json!({"idNo": "310101199003074511"})), &[]).await;
    assert!(!reply.text().contains("310101199003074511"), "nothing plain on the wire");
    assert_eq!(bus.open(&reply), Ok(json!({"code": "0", "name": "张三", "asked": "310101199003074511"})));
    let entry = bus.mocks.admin("GET", "/api/mocks/journal/1?raw=true", None).await.json();
    assert_eq!(entry["plain"]["text"], "{\"idNo\":\"310101199003074511\"}");
    assert_eq!(entry["item"], "submit");
}

#[tokio::test]
async fn f09_an_answer_with_a_bad_signature_is_refused_by_the_bus() {
    let bus = bus();
    let reply = bus
        .call(bus.seal(&json!({"idNo": "310101199003074511"})), &[("x-mock-fault", "bad-signature")])
        .await;
    assert_eq!(reply.status, 200);
    assert!(bus.open(&reply).is_err());
}

#[tokio::test]
async fn f24_an_answer_sealed_with_keys_of_another_generation_is_refused_by_the_bus() {
    let bus = bus();
    let plain = json!({"idNo": "310101199003074511"});
    let reply = bus.call(bus.seal(&plain), &[("x-mock-fault", "stale-key")]).await;
    assert_eq!(reply.status, 200);
    assert!(bus.open(&reply).is_err());
    assert!(bus.open(&bus.call(bus.seal(&plain), &[]).await).is_ok(), "the next one has the right keys");
}

#[tokio::test]
async fn a_tampered_request_reaches_the_stub_that_answers_it() {
    let bus = bus();
    let mut sealed = bus.seal(&json!({"idNo": "310101199003074511"}));
    sealed["sign"] = bus.seal(&json!({"idNo": "another"}))["sign"].clone();
    let reply = bus.call(sealed, &[]).await;
    assert_eq!((reply.status, reply.stub()), (500, "unopened"));
    let fault = bus.codec.decode(&reply.body).expect("SOAP").soap_fault.expect("a fault");
    assert_eq!((fault.code.as_str(), fault.string.as_str()), ("Client", "验签失败"));
}

#[tokio::test]
async fn http_f09_f24_a_json_answer_with_a_bad_signature_or_other_keys_is_refused_by_the_bus() {
    let text =
        format!("mock: v1\npartner: permit\ntitle: 密\nfaultHeader: true\nenvelopes:\n  light:{LIGHT}")
            + r#"
listen:
  - id: rest
    proto: http
    path: /permit
    answer: {wire: {codec: json}, seal: {envelope: light, plain: {codec: json}}}
stubs: [{id: any, respond: {json: {code: "0", name: 张三}}}]
"#;
    let source = qiao_mappings::strict::Source::read("light", &format!("light:{LIGHT}")).expect("YAML");
    let spec: EnvelopeSpec = serde_json::from_value(source.value()["light"].clone()).expect("an envelope");
    let vault = Vault::in_memory().expect("a vault");
    for key in required_keys(&spec) {
        vault.generate(&key.key, key.kind, key.purpose).expect("a key");
    }
    let bus = Envelope::compile(&spec, &vault, Side::Bus).expect("an envelope");
    let mocks = serve_with(&[("permit/partner.yaml", &text)], vault, |_| {});
    for fault in ["", "bad-signature", "stale-key"] {
        let headers: &[(&str, &str)] = if fault.is_empty() { &[] } else { &[("x-mock-fault", fault)] };
        let reply = mocks.connect().await.send("POST", "/permit", headers, "{}").await.expect("an answer");
        assert_eq!(reply.status, 200);
        assert_eq!(bus.open(&reply.json(), &Params::new()).is_ok(), fault.is_empty(), "{fault}");
    }
}
