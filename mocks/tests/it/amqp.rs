//! Queues listened on: messages answered, nacked, redelivered, and a connection that drops, over a real broker.
use std::time::Duration;

use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    message::BasicGetMessage,
    options::{BasicGetOptions, BasicPublishOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable},
};
use qiao_vault::{Envelope, Params, Side, Vault, required_keys};
use serde_json::{Value, json};

use crate::help::{Mocks, PATIENCE, serve_with};

const DESK: &str = r#"
mock: v1
partner: desk
title: 卡状态事件
listen:
  - {id: events, proto: amqp, amqp: {queue: "@queue", answer: {routingKey: "@answers"}}}
select: $.request.event
instance: {key: $.request.cardNo}
faultHeader: true
stubs:
  - {id: loss, item: loss, state: {machine: card, in: [new], to: lost, set: {no: "${seq('L', 12)}"}}, respond: {json: {code: "0", no: "${inst.data.no}", cardNo: "${inst.key}", name: 张三, again: "${headers.redelivered}", at: "${now()}"}}}
  - {id: loss-again, item: loss, priority: -1, state: {machine: card, in: [lost]}, respond: {json: {code: "1004", no: "${inst.data.no}", name: 张三, again: "${headers.redelivered}"}}}
"#;

/// A partner on a queue of its own, the queue of its answers, and the dead letters.
struct Desk {
    mocks: Mocks,
    channel: Channel,
    queue: String,
    answers: String,
    dead: String,
}

impl Desk {
    async fn open() -> Self {
        Self::open_with(DESK, Vault::in_memory().expect("a vault")).await
    }

    async fn open_with(yaml: &str, vault: Vault) -> Self {
        let url = std::env::var("QIAO_TEST_AMQP").expect(
            "a broker: `cargo nextest run` starts one, see .config/nextest.toml and scripts/test-broker.sh",
        );
        let connection = Connection::connect(&url, ConnectionProperties::default()).await.expect("a broker");
        let channel = connection.create_channel().await.expect("a channel");
        let declare = async |arguments: FieldTable| {
            let options = QueueDeclareOptions { auto_delete: false, ..QueueDeclareOptions::default() };
            let queue = channel.queue_declare("".into(), options, arguments).await.expect("a queue");
            queue.name().as_str().to_owned()
        };
        let (dead, answers) = (declare(FieldTable::default()).await, declare(FieldTable::default()).await);
        let mut letters = FieldTable::default();
        letters.insert("x-dead-letter-exchange".into(), AMQPValue::LongString("".into()));
        letters.insert("x-dead-letter-routing-key".into(), AMQPValue::LongString(dead.as_str().into()));
        let queue = declare(letters).await;
        let yaml = yaml.replace("@queue", &queue).replace("@answers", &answers);
        let mocks = serve_with(&[("desk/partner.yaml", &yaml)], vault, |config| {
            config.broker = Some(qiao_mocks::BrokerUrl::new(url));
        });
        Self { mocks, channel, queue, answers, dead }
    }

    async fn publish(&self, body: &str, reply_to: Option<&str>, fault: &str) {
        let mut headers = FieldTable::default();
        if !fault.is_empty() {
            headers.insert("X-Mock-Fault".into(), AMQPValue::LongString(fault.into()));
        }
        let mut properties =
            BasicProperties::default().with_headers(headers).with_correlation_id("C-1".into());
        if let Some(queue) = reply_to {
            properties = properties.with_reply_to(queue.into());
        }
        let options = BasicPublishOptions::default();
        let queue = self.queue.as_str().into();
        let sent = self.channel.basic_publish("".into(), queue, options, body.as_bytes(), properties).await;
        sent.expect("published");
    }

    async fn lose(&self, card: &str, fault: &str) {
        self.publish(&json!({"event": "loss", "cardNo": card}).to_string(), None, fault).await;
    }

    /// The next message of a queue.
    async fn next(&self, queue: &str) -> BasicGetMessage {
        let asked = std::time::Instant::now();
        loop {
            let options = BasicGetOptions { no_ack: true };
            let got = self.channel.basic_get(queue.into(), options).await.expect("asked");
            if let Some(message) = got {
                return message;
            }
            assert!(asked.elapsed() < PATIENCE, "nothing came");
            tokio::task::yield_now().await;
        }
    }

    async fn answer(&self) -> Value {
        serde_json::from_slice(&self.next(&self.answers).await.data).expect("JSON")
    }

    async fn dial(&self, fault: Value) {
        let put = self.mocks.admin("PUT", "/api/mocks/dials/desk/f", Some(&json!({"fault": fault}))).await;
        assert_eq!(put.status, 200, "{}", put.text());
    }

    async fn journal(&self) -> Value {
        self.mocks.admin("GET", "/api/mocks/journal?partner=desk", None).await.json()["entries"].clone()
    }

    /// Whether the queue is empty, after everything sent before has been settled.
    async fn is_settled(&self) -> bool {
        // One message at a time: when this one is answered, all before it are settled or came back behind it.
        self.lose("last", "").await;
        while self.answer().await["cardNo"] != "last" {}
        let options = BasicGetOptions { no_ack: true };
        self.channel.basic_get(self.queue.as_str().into(), options).await.expect("asked").is_none()
    }
}

#[tokio::test]
async fn a_message_is_answered_to_its_reply_to_or_where_the_listener_says() {
    let desk = Desk::open().await;
    let replies =
        desk.channel.queue_declare("".into(), QueueDeclareOptions::exclusive(), FieldTable::default());
    let replies = replies.await.expect("a queue").name().as_str().to_owned();
    let body = json!({"event": "loss", "cardNo": "A1"}).to_string();
    desk.publish(&body, Some(&replies), "").await;
    let reply = desk.next(&replies).await;
    let answer: Value = serde_json::from_slice(&reply.data).expect("JSON");
    assert_eq!((&answer["code"], &answer["cardNo"]), (&json!("0"), &json!("A1")));
    assert_eq!(reply.properties.correlation_id().as_ref().map(|id| id.as_str()), Some("C-1"));
    desk.publish(&body, None, "").await;
    let again = desk.answer().await;
    assert_eq!((&again["code"], &again["no"]), (&json!("1004"), &answer["no"]));
    let journal = desk.journal().await;
    assert_eq!((&journal[0]["method"], &journal[0]["item"]), (&json!("AMQP"), &json!("loss")));
    assert!(desk.is_settled().await);
}

#[tokio::test]
async fn a_message_that_no_stub_answers_goes_to_the_dead_letters_and_is_explained() {
    let desk = Desk::open().await;
    desk.publish(&json!({"event": "unheard", "cardNo": "A1"}).to_string(), None, "").await;
    let dead = desk.next(&desk.dead).await;
    assert!(String::from_utf8_lossy(&dead.data).contains("unheard"));
    let asked = std::time::Instant::now();
    loop {
        let entry = desk.mocks.admin("GET", "/api/mocks/journal/1", None).await.json();
        if let Some(nearest) = entry["nearest"].as_array() {
            assert!(nearest.iter().any(|near| near["stub"] == "loss"), "{entry}");
            break;
        }
        assert!(asked.elapsed() < PATIENCE, "no diagnosis");
    }
}

#[tokio::test]
async fn a_stopped_partner_leaves_its_messages_and_takes_them_when_it_is_started() {
    let desk = Desk::open().await;
    desk.mocks.server.stop("desk");
    desk.lose("A1", "").await;
    let waiting =
        desk.channel.basic_get(desk.answers.as_str().into(), BasicGetOptions { no_ack: true }).await;
    assert!(waiting.expect("asked").is_none());
    desk.mocks.server.start_partner("desk");
    assert_eq!(desk.answer().await["cardNo"], "A1");
}

#[tokio::test]
async fn amqp_f01_f04_a_delayed_answer_finds_nobody_and_its_effect_stays() {
    let desk = Desk::open().await;
    let replies =
        desk.channel.queue_declare("".into(), QueueDeclareOptions::default(), FieldTable::default());
    let replies = replies.await.expect("a queue").name().as_str().to_owned();
    let delay = json!({"delay": {"fixed": "20ms"}});
    assert_eq!(desk.mocks.admin("PUT", "/api/mocks/dials/desk/late", Some(&delay)).await.status, 200);
    desk.publish(&json!({"event": "loss", "cardNo": "A1"}).to_string(), Some(&replies), "").await;
    desk.channel.queue_delete(replies.as_str().into(), QueueDeleteOptions::default()).await.expect("deleted");
    assert!(desk.is_settled().await, "acknowledged all the same");
    desk.lose("A1", "").await;
    assert_eq!(desk.answer().await["code"], "1004");
}

#[tokio::test]
async fn amqp_f02_f03_f16_unacknowledged_dropped_and_put_off_messages_come_again() {
    for fault in [
        json!({"kind": "no-answer", "after": "1ms", "first": 1}),
        json!({"kind": "reset", "first": 1}),
        json!({"kind": "throttle", "retryAfter": "1s", "first": 1}),
    ] {
        let desk = Desk::open().await;
        desk.dial(fault.clone()).await;
        desk.lose("A1", "").await;
        let answer = desk.answer().await;
        // The first delivery had its effect; the message came again, and says so.
        assert_eq!((&answer["code"], &answer["again"]), (&json!("1004"), &json!("true")), "{fault}");
        let journal = desk.journal().await;
        assert_eq!(
            (&journal[1]["status"], journal.as_array().map(Vec::len)),
            (&json!(0), Some(2)),
            "{journal}"
        );
        assert!(desk.is_settled().await);
    }
}

#[tokio::test]
async fn amqp_f05_a_refused_message_goes_to_the_dead_letters() {
    let desk = Desk::open().await;
    desk.dial(json!({"kind": "refused", "first": 1})).await;
    desk.lose("A1", "").await;
    let dead: Value = serde_json::from_slice(&desk.next(&desk.dead).await.data).expect("JSON");
    assert_eq!(dead["cardNo"], "A1");
    assert!(desk.is_settled().await);
}

#[tokio::test]
async fn amqp_f06_f14_f15_the_business_says_no_in_part_or_already() {
    let desk = Desk::open().await;
    for (code, text) in [("1001", "否"), ("02", "部分成功"), ("1004", "已办")] {
        desk.dial(json!({"kind": "business", "json": {"code": code, "msg": text}})).await;
        desk.lose("A1", "").await;
        assert_eq!(desk.answer().await, json!({"code": code, "msg": text}));
    }
}

#[tokio::test]
async fn amqp_f07_f08_bodies_are_broken_wrongly_encoded_or_a_page() {
    let desk = Desk::open().await;
    for kind in ["bad-body", "wrong-charset", "html"] {
        desk.lose("A1", kind).await;
        let body = desk.next(&desk.answers).await.data.clone();
        match kind {
            "html" => assert!(body.starts_with(b"<!DOCTYPE html>")),
            "wrong-charset" => assert!(std::str::from_utf8(&body).is_err()),
            _ => assert!(serde_json::from_slice::<Value>(&body).is_err()),
        }
    }
}

#[tokio::test]
async fn amqp_f09_f24_a_bad_signature_or_another_generation_of_keys_is_refused_by_the_bus() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/permit/partner.yaml"));
    let source = qiao_mappings::strict::Source::read("permit", &text.expect("permit")).expect("YAML");
    let envelope = source.value()["envelopes"]["light"].clone();
    let spec = serde_json::from_value(envelope.clone()).expect("an envelope");
    let vault = Vault::in_memory().expect("a vault");
    for key in required_keys(&spec) {
        vault.generate(&key.key, key.kind, key.purpose).expect("a key");
    }
    let sealed = json!({"envelope": "light", "plain": {"codec": "json"}});
    let partner = json!({
        "mock": "v1", "partner": "desk", "title": "t", "faultHeader": true, "envelopes": {"light": envelope},
        "listen": [{
            "id": "events", "proto": "amqp", "amqp": {"queue": "@queue", "answer": {"routingKey": "@answers"}},
            "answer": {"wire": {"codec": "json"}, "seal": sealed},
        }],
        "stubs": [{"id": "any", "respond": {"json": {"code": "0"}}}],
    });
    let desk = Desk::open_with(&partner.to_string(), vault.clone()).await;
    let bus = Envelope::compile(&spec, &vault, Side::Bus).expect("an envelope");
    for fault in ["", "bad-signature", "stale-key"] {
        desk.lose("A1", fault).await;
        assert_eq!(bus.open(&desk.answer().await, &Params::new()).is_ok(), fault.is_empty(), "{fault}");
    }
}

#[tokio::test]
async fn amqp_f10_f11_f13_answers_are_replayed_doubled_or_never_come() {
    let desk = Desk::open().await;
    desk.dial(json!({"kind": "replay"})).await;
    desk.lose("A1", "").await;
    let first = desk.answer().await;
    desk.lose("A2", "").await;
    assert_eq!(desk.answer().await, first, "the answer to another message");
    desk.mocks.admin("DELETE", "/api/mocks/dials/desk/f", None).await;
    desk.lose("A3", "duplicate").await;
    assert_eq!(desk.answer().await, desk.answer().await);
    desk.lose("A4", "never").await;
    assert!(desk.is_settled().await, "taken, acknowledged, and the next answer is that of the next message");
}

#[tokio::test]
async fn amqp_f19_f20_f25_f26_members_clocks_and_repeats_are_wrong() {
    let desk = Desk::open().await;
    desk.lose("A1", "").await;
    let first = desk.answer().await;
    for (fault, member, wanted) in [
        (json!({"kind": "field-missing", "field": "name"}), "name", Value::Null),
        (json!({"kind": "field-type", "field": "name"}), "name", json!(["张三"])),
        (json!({"kind": "rare-char", "field": "name"}), "name", json!("张\u{2CC56}")),
    ] {
        desk.dial(fault).await;
        desk.lose("A1", "").await;
        assert_eq!(desk.answer().await[member], wanted);
    }
    desk.dial(json!({"kind": "other-reply"})).await;
    desk.lose("A1", "").await;
    let other = desk.answer().await;
    assert!(other["code"] == "0" && other["no"] != first["no"], "{other}");
    let stop = json!({"stopAt": "2026-03-01T08:00:00+08:00"});
    assert_eq!(desk.mocks.admin("PUT", "/api/mocks/clock", Some(&stop)).await.status, 200);
    desk.dial(json!({"kind": "clock-skew", "skew": "-1h"})).await;
    desk.lose("B1", "").await;
    assert_eq!(desk.answer().await["at"], "2026-03-01 07:00:00");
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_tried_again_and_mistakes_of_the_listener_are_named() {
    let desk = Desk::open().await;
    for (from, to, told) in [
        ("proto: amqp", "proto: http, path: /x", "`proto: amqp` and `amqp` go together"),
        ("proto: amqp,", "proto: amqp, port: 5,", "no port of its own"),
        ("amqp: {queue", "amqp: {prefetch: 300, queue", "1 to 256"),
    ] {
        let yaml = DESK.replace(from, to).replace("@queue", &desk.queue).replace("@answers", &desk.answers);
        crate::help::write(&desk.mocks.folder, "desk/partner.yaml", &yaml);
        let refused = desk.mocks.admin("POST", "/api/mocks/reload", None).await;
        assert!(refused.status == 422 && refused.text().contains(told), "{}", refused.text());
    }
    // Another queue: from the reload on, that one is listened on as soon as it is there.
    let later = format!("later-{}", desk.queue.trim_start_matches("amq.gen-"));
    let yaml = DESK.replace("@queue", &later).replace("@answers", &desk.answers);
    crate::help::write(&desk.mocks.folder, "desk/partner.yaml", &yaml);
    assert_eq!(desk.mocks.admin("POST", "/api/mocks/reload", None).await.status, 200);
    let options = QueueDeclareOptions { auto_delete: true, ..QueueDeclareOptions::default() };
    desk.channel.queue_declare(later.as_str().into(), options, FieldTable::default()).await.expect("a queue");
    let body = json!({"event": "loss", "cardNo": "Z1"}).to_string();
    let sent = desk.channel.basic_publish(
        "".into(),
        later.as_str().into(),
        BasicPublishOptions::default(),
        body.as_bytes(),
        BasicProperties::default(),
    );
    sent.await.expect("published");
    let answered = tokio::time::timeout(Duration::from_secs(15), desk.answer()).await.expect("in time");
    assert_eq!(answered["cardNo"], "Z1");
}
