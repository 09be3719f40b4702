//! Pushes by plan: in order by the clock, twice, late, never, repeated until acknowledged, sealed.
use std::{collections::VecDeque, sync::Arc, time::Instant};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    routing::any,
};
use parking_lot::Mutex;
use qiao_mocks_client::{Dial, StepAction};
use qiao_vault::Vault;
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use crate::help::{Mocks, PATIENCE, serve_with};

mod carried;
mod faults;

/// Someone who is pushed to.
#[derive(Default)]
pub struct Receiver {
    heard: Mutex<Vec<(String, Value)>>,
    /// Statuses to answer with; 200 when there are none left.
    statuses: Mutex<VecDeque<u16>>,
    more: Notify,
    /// The code of its answers.
    code: &'static str,
}

impl Receiver {
    async fn start() -> (Arc<Self>, String) {
        Self::acknowledging("00000").await
    }

    /// Acknowledges by that code.
    pub async fn acknowledging(code: &'static str) -> (Arc<Self>, String) {
        let receiver = Arc::new(Self { code, ..Self::default() });
        let router = Router::new().fallback(any(hear)).with_state(Arc::clone(&receiver));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, format!("http://{address}"))
    }

    /// What came, in order.
    pub fn bodies(&self) -> Vec<Value> {
        self.heard.lock().iter().map(|(_, body)| body.clone()).collect()
    }

    fn steps(&self) -> Vec<String> {
        let heard = self.heard.lock();
        heard.iter().map(|(_, body)| body["step"].as_str().unwrap_or("?").to_owned()).collect()
    }

    async fn wait_for(&self, count: usize) {
        let all = async {
            loop {
                let more = self.more.notified();
                if self.heard.lock().len() >= count {
                    return;
                }
                more.await;
            }
        };
        tokio::time::timeout(PATIENCE, all).await.expect("the pushes arrive");
    }
}

async fn hear(
    State(receiver): State<Arc<Receiver>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    assert!(headers.contains_key("content-type"));
    let document = serde_json::from_slice(&body).expect("JSON");
    receiver.heard.lock().push((uri.path().to_owned(), document));
    receiver.more.notify_waiters();
    let status = receiver.statuses.lock().pop_front().unwrap_or(200);
    (StatusCode::from_u16(status).expect("a status"), json!({"code": receiver.code}).to_string())
}

const TRACK: &str = r#"
mock: v1
partner: post
title: 物流
listen: [{id: rest, proto: http, path: /post}]
instance: {key: $.request.orderNo}
pushes:
  track:
    to: "${partner.bus}/track/${request.orderNo}"
    headers: {x-operator: "${request.operator}"}
    retry: [5s, 1m]
plans:
  five-days:
    title: 五天轨迹
    steps:
      - {id: collected, after: 2h, push: track, json: {step: collected, at: "${now('yyyy-MM-dd HH:mm')}", no: "${inst.data.no}"}}
      - {id: departed, after: 10h, push: track, json: {step: departed}}
      - {id: arrived, after: 2d, push: track, json: {step: arrived, serial: "${seq('S', 6)}"}}
      - {id: in-delivery, after: 4d, push: track, when: "inst.state == 'placed'", json: {step: in-delivery}}
      - {id: delivered, after: 5d, push: track, state: {to: delivered, set: {signedBy: 本人}}, json: {step: delivered, state: "${inst.state}", by: "${inst.data.signedBy}"}}
stubs:
  - id: query
    when: {method: GET, path: "/orders/{orderNo}"}
    state: {in: [delivered], key: $.params.orderNo}
    respond: {json: {state: delivered}}
  - id: order
    when: {method: POST}
    state: {in: [new], to: placed, set: {no: "${seq('E', 8)}"}}
    respond: {json: {no: "${inst.data.no}"}}
    then: {plan: five-days}
"#;

async fn post_office() -> (Mocks, Arc<Receiver>) {
    let (receiver, url) = Receiver::start().await;
    let vault = Vault::in_memory().expect("a vault");
    let mocks = serve_with(&[("post/partner.yaml", TRACK)], vault, |config| {
        config.parameters = Map::from_iter([("bus".to_owned(), Value::from(url))]);
    });
    stop_clock(&mocks).await;
    (mocks, receiver)
}

async fn order(mocks: &Mocks, number: &str) {
    let answer = mocks.post("/post/orders", &json!({"orderNo": number, "operator": "tester"})).await;
    assert_eq!((answer.status, answer.stub()), (200, "order"));
}

async fn advance(mocks: &Mocks, by: &str) -> u64 {
    mocks.client().advance(by).await.expect("the clock moves").done
}

/// Stops the clock on the first of March 2026, eight in the morning.
async fn stop_clock(mocks: &Mocks) {
    mocks.client().stop_clock_at("2026-03-01T08:00:00+08:00").await.expect("the clock stands");
}

#[tokio::test]
async fn a_track_of_five_days_runs_at_once_when_the_clock_is_moved() {
    let (mocks, receiver) = post_office().await;
    order(&mocks, "A1").await;
    assert_eq!(advance(&mocks, "1h").await, 0);
    assert_eq!(advance(&mocks, "6d").await, 5);
    assert_eq!(receiver.steps(), ["collected", "departed", "arrived", "in-delivery", "delivered"]);
    let heard = receiver.heard.lock().clone();
    assert_eq!(heard[0].0, "/track/A1");
    assert_eq!(heard[0].1["at"], "2026-03-01 10:00", "the clock shows the time at which it was due");
    assert_eq!(heard[4].1, json!({"step": "delivered", "state": "delivered", "by": "本人"}));
    let mut client = mocks.connect().await;
    let query = client.send("GET", "/post/orders/A1", &[], "").await.expect("an answer");
    assert_eq!(query.stub(), "query", "the state moved with the push");
}

#[tokio::test]
async fn a_track_with_a_duplicated_and_a_reordered_push_takes_less_than_a_second() {
    let (mocks, receiver) = post_office().await;
    for (id, step, kind) in [("twice", "departed", "duplicate"), ("late", "arrived", "out-of-order")] {
        let dial = Dial::fault(kind).first(1).only("push", step);
        mocks.client().turn("post", id, &dial).await.expect("turned on");
    }
    let started = Instant::now();
    order(&mocks, "A2").await;
    advance(&mocks, "6d").await;
    let took = started.elapsed();
    assert_eq!(
        receiver.steps(),
        ["collected", "departed", "departed", "in-delivery", "arrived", "delivered"]
    );
    let journal = mocks.client().journal().partner("post").page().await.expect("a page");
    let faults: Vec<&str> = journal.entries.iter().filter_map(|entry| entry.fault.as_deref()).collect();
    assert!(
        faults.contains(&"duplicate (dial twice)") && faults.contains(&"out-of-order (dial late)"),
        "{faults:?}"
    );
    // Not a measurement: five days of waiting would be noticed.
    assert!(took < PATIENCE, "{took:?}");
}

#[tokio::test]
async fn a_push_that_never_comes_is_journaled() {
    let (mocks, receiver) = post_office().await;
    let dial = Dial::fault("never").only("push", "collected");
    mocks.client().turn("post", "lost", &dial).await.expect("turned on");
    order(&mocks, "A3").await;
    advance(&mocks, "11h").await;
    assert_eq!(receiver.steps(), ["departed"]);
    let runs = mocks.client().runs("post", Some("A3")).await.expect("runs");
    assert_eq!(runs[0]["steps"][0]["standing"], "skipped");
    assert!(runs[0]["steps"][0]["why"].as_str().expect("a reason").contains("never"));
}

#[tokio::test]
async fn what_is_not_acknowledged_is_sent_again_the_same_until_the_waits_are_used_up() {
    let (mocks, receiver) = post_office().await;
    receiver.statuses.lock().extend([503, 200, 500, 500, 500]);
    order(&mocks, "A4").await;
    assert_eq!(advance(&mocks, "3h").await, 2, "the step and its repetition");
    assert_eq!(receiver.steps(), ["collected", "collected"]);
    let heard = receiver.heard.lock().clone();
    assert_eq!(heard[0], heard[1], "the same bytes, although the clock moved on");
    advance(&mocks, "8h").await;
    assert_eq!(receiver.steps().len(), 5, "three times in vain");
    let runs = mocks.client().runs("post", None).await.expect("runs");
    let steps = &runs[0]["steps"];
    assert_eq!((&steps[0]["standing"], &steps[1]["standing"]), (&json!("done"), &json!("failed")));
    assert_eq!(steps[1]["attempts"], 3);
}

#[tokio::test]
async fn steps_are_sent_now_skipped_repeated_and_held_by_hand() {
    let (mocks, receiver) = post_office().await;
    order(&mocks, "A5").await;
    let client = mocks.client();
    let runs = client.runs("post", Some("A5")).await.expect("runs");
    let run = runs[0]["run"].as_u64().expect("a number");
    let act = async |step: &str, action| client.step(run, step, action).await.map_err(|error| error.status());
    for (step, action) in [
        ("collected", StepAction::Now),
        ("collected", StepAction::Again),
        ("departed", StepAction::Skip),
        ("arrived", StepAction::Hold),
    ] {
        act(step, action).await.unwrap_or_else(|status| panic!("{step}: {status:?}"));
    }
    assert_eq!(act("departed", StepAction::Now).await, Err(Some(422)), "it is over");
    assert_eq!(act("missing", StepAction::Now).await, Err(Some(404)));
    advance(&mocks, "6d").await;
    assert_eq!(receiver.steps(), ["collected", "collected", "in-delivery", "arrived", "delivered"]);
}

#[tokio::test]
async fn a_plan_is_started_by_hand_and_a_reset_ends_it() {
    let (mocks, receiver) = post_office().await;
    let request = json!({"orderNo": "B1", "operator": "desk"});
    mocks.client().start_plan("post", "five-days", "B1", request).await.expect("a run");
    advance(&mocks, "11h").await;
    assert_eq!(
        receiver.steps().len(),
        1,
        "no waybill number for the first step: it fails, the next goes out"
    );
    mocks.client().reset(Some("post")).await.expect("reset");
    assert_eq!(advance(&mocks, "6d").await, 0);
    let timers = mocks.admin("GET", "/api/mocks/timers", None).await.json();
    assert_eq!(timers["timers"], json!([]));
}

#[tokio::test]
async fn a_running_clock_sends_by_itself() {
    let (receiver, url) = Receiver::start().await;
    let yaml = TRACK.replace("after: 2h", "after: 1ms");
    let vault = Vault::in_memory().expect("a vault");
    let mocks = serve_with(&[("post/partner.yaml", &yaml)], vault, |config| {
        config.parameters = Map::from_iter([("bus".to_owned(), Value::from(url))]);
    });
    order(&mocks, "C1").await;
    receiver.wait_for(1).await;
    assert_eq!(receiver.steps(), ["collected"]);
}

#[tokio::test]
async fn pushes_to_foreign_hosts_are_refused_and_mistakes_in_plans_named() {
    let (mocks, _) = post_office().await;
    let foreign = TRACK.replace("${partner.bus}", "http://192.0.2.1");
    crate::help::write(&mocks.folder, "post/partner.yaml", &foreign);
    assert_eq!(mocks.admin("POST", "/api/mocks/reload", None).await.status, 200);
    order(&mocks, "D1").await;
    advance(&mocks, "3h").await;
    let runs = mocks.admin("GET", "/api/mocks/plans/post?key=D1", None).await.json();
    let why = runs["runs"][0]["steps"][0]["why"].as_str().unwrap_or_default().to_owned();
    assert!(why.contains("pushTo"), "{why}");

    let wrong =
        TRACK.replace("push: track, when", "push: trak, when").replace("plan: five-days", "plan: six-days");
    crate::help::write(&mocks.folder, "post/partner.yaml", &wrong);
    let refused = mocks.admin("POST", "/api/mocks/reload", None).await;
    assert_eq!(refused.status, 422);
    let text = refused.text();
    assert!(
        text.contains("plans.five-days.steps[3].push") && text.contains("no usable push `trak`"),
        "{text}"
    );
    assert!(text.contains("stubs[1].then.plan") && text.contains("six-days"), "{text}");
}

/// The push of the stand-in for EMS, opened as the bus would open it.
#[tokio::test]
async fn the_track_of_ems_comes_sealed_with_the_customers_key() {
    let (receiver, url) = Receiver::start().await;
    let vault = Vault::in_memory().expect("a vault");
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/ems/partner.yaml")).expect("EMS");
    let source = qiao_mappings::strict::Source::read("ems", &text).expect("YAML");
    let spec: qiao_mocks::spec::PartnerSpec = source.decode().expect("a partner");
    for key in spec.envelopes.values().flat_map(qiao_vault::required_keys) {
        vault.generate(&key.key, key.kind, key.purpose).expect("a key");
    }
    let mocks = serve_with(&[("ems/partner.yaml", &text)], vault.clone(), |config| {
        config.parameters = Map::from_iter([("bus".to_owned(), Value::from(url))]);
    });
    stop_clock(&mocks).await;
    let client = mocks.client();
    let data = Map::from_iter([("waybillNo".to_owned(), "1234567890123".into())]);
    client.set_state("ems", "JZZ1", &[("order", "placed")], data).await.expect("the state is set");
    let request = json!([{"logisticsOrderNo": "JZZ1"}]);
    client.start_plan("ems", "five-day-track", "JZZ1", request).await.expect("a run");
    assert_eq!(advance(&mocks, "6d").await, 5);
    let heard = receiver.heard.lock().clone();
    let runs = client.runs("ems", Some("JZZ1")).await;
    assert_eq!(heard.len(), 5, "{runs:?}");
    // As the bus's own definition of EMS opens it, not as the stand-in sealed it.
    let system = concat!(env!("CARGO_MANIFEST_DIR"), "/../routes/systems/ems.yaml");
    let system = std::fs::read_to_string(system).expect("the system's definition");
    let system = qiao_mappings::strict::Source::read("ems", &system).expect("YAML");
    let system: Value = system.decode().expect("a document");
    let envelope = serde_json::from_value(system["envelopes"]["ems"].clone()).expect("an envelope");
    let envelope = qiao_vault::Envelope::compile(&envelope, &vault, qiao_vault::Side::Bus);
    let envelope = envelope.expect("an envelope");
    let codes = heard.iter().map(|(path, body)| {
        assert_eq!((path.as_str(), &body["method"]), ("/ems/track", &json!("040002")));
        let plain = envelope.open(body, &qiao_vault::Params::new()).expect("opened");
        let item: Value = serde_json::from_slice(&plain).expect("JSON");
        assert_eq!((&item["waybillNo"], &item["orderNo"]), (&json!("1234567890123"), &json!("JZZ1")));
        item["opCode"].as_str().expect("a code").to_owned()
    });
    assert_eq!(codes.collect::<Vec<_>>(), ["203", "305", "954", "702", "704"]);
}
