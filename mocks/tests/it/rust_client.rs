//! The client that tests in Rust use: guards, builders, and failures that tell why.
use std::time::Duration;

use qiao_mocks_client::{ClientError, Dial, MocksClient, TailEvent, wait};
use qiao_vault::Vault;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::help::{Mocks, PATIENCE, Reply, serve, serve_with};

const PARTNER: &str = r#"
mock: v1
partner: civil
title: 民政
listen: [{id: rest, proto: http, path: /mz}]
select: $.request.item
instance: {key: $.request.bizNo}
stubs:
  - {id: apply, item: apply, state: {in: [new], to: accepted}, respond: {json: {code: "0"}}}
  - {id: again, item: apply, state: {in: [accepted]}, respond: {json: {code: "1"}}}
"#;
const CITY: &str = "city: v1\nseed: 1\ncitizens: 10\n";

async fn apply(mocks: &Mocks, session: &str, body: Value) -> Reply {
    let headers = [("x-mock-session", session)];
    mocks.connect().await.send("POST", "/mz", &headers, &body.to_string()).await.expect("an answer")
}

#[tokio::test]
async fn a_session_ends_with_its_guard_also_when_a_test_panics() {
    let mocks = serve("civil", PARTNER);
    let client = mocks.client();
    let name = {
        let session = client.session().ttl("1h").open().await.expect("open");
        session.name().to_owned()
    };
    let listed = mocks.admin("GET", "/api/mocks/sessions", None).await.json();
    assert_eq!(listed["sessions"], json!([]), "{name} is over");
    let broken = tokio::spawn(async move {
        let _session = client.session().named("anna").open().await.expect("open");
        panic!("as a test does");
    });
    assert!(broken.await.is_err_and(|error| error.is_panic()));
    assert_eq!(mocks.admin("GET", "/api/mocks/sessions/anna", None).await.status, 404);
    let kept = mocks.client().session().named("bert").open().await.expect("open").leave();
    assert_eq!(kept.session_name(), "bert");
    assert_eq!(mocks.admin("GET", "/api/mocks/sessions/bert", None).await.status, 200);
}

#[tokio::test]
async fn a_sessions_client_is_about_its_session_only() {
    let files = [("civil/partner.yaml", PARTNER), ("city/city.yaml", CITY)];
    let mocks = serve_with(&files, Vault::in_memory().expect("a vault"), |_| {});
    let stub = json!({"id": "mine", "item": "mine", "respond": {"json": {"code": "mine"}}});
    let always = Dial::delay_between("1ms", "2ms").only("stub", "apply");
    let session = mocks.client().session().named("anna").title("演练");
    let session = session
        .ahead("1h")
        .stub("civil", stub)
        .dial("civil", "slow", &always)
        .row("city.cards", json!({"cardNo": "X", "status": "LOST"}));
    let session = session.open().await.expect("open");
    assert_eq!(session.header(), ("x-mock-session", "anna"));
    session.turn("civil", "once", &Dial::fault("status").with("status", 502).first(1)).await.expect("on");
    assert_eq!(apply(&mocks, "bert", json!({"item": "apply", "bizNo": "B1"})).await.status, 200);
    let statuses = [
        apply(&mocks, "anna", json!({"item": "mine"})).await.status,
        apply(&mocks, "anna", json!({"item": "mine"})).await.status,
    ];
    assert_eq!(statuses, [502, 200]);
    session.turn_off("civil", "once").await.expect("off");
    assert_eq!(session.journal().misses().page().await.expect("a page").entries.len(), 0);
    assert_eq!(session.journal().page().await.expect("a page").entries.len(), 2);
    assert_eq!(session.row("city.cards", "X").await.expect("a table").expect("a row")["status"], "LOST");
    assert_eq!(mocks.client().row("city.cards", "X").await.expect("a table"), None);
    session.put_row("city.cards", "Y", json!({"status": "MAKING"})).await.expect("written");
    session.remove_row("city.cards", "Y").await.expect("removed");
    assert_eq!(session.row("city.cards", "Y").await.expect("a table"), None);
    assert_eq!(session.row("none", "Y").await.expect_err("no table").status(), Some(404));
    session.set_state("civil", "B7", &[("main", "accepted")], serde_json::Map::new()).await.expect("set");
    assert_eq!(apply(&mocks, "anna", json!({"item": "apply", "bizNo": "B7"})).await.stub(), "again");
    session.forget_state("civil", "B7").await.expect("forgotten");
    assert_eq!(apply(&mocks, "anna", json!({"item": "apply", "bizNo": "B7"})).await.stub(), "apply");
    session.verify().partner("civil").key("B7").json("$.request.item", "apply").count(2).holds().await;
    session.verify().in_order(json!([{"stub": "mine"}, {"stub": "again"}, {"stub": "apply"}])).holds().await;
}

#[tokio::test]
async fn a_verification_that_does_not_hold_panics_with_the_nearest_miss() {
    let mocks = serve("civil", PARTNER);
    let since = mocks.client().next_entry().await.expect("a journal");
    apply(&mocks, "", json!({"item": "apply", "bizNo": "B1", "age": 64})).await;
    let meant = mocks.client().verify().since(since).partner("civil").stub("apply");
    meant.clone().at_least(1).at_most(1).nothing_else().holds().await;
    meant.clone().not(json!({"json": "$.request.age", "gte": 65})).holds().await;
    let failing = tokio::spawn(meant.that_is(json!({"json": "$.request.age", "gte": 65})).holds());
    let panic = failing.await.expect_err("a panic").into_panic();
    let text = panic.downcast_ref::<String>().expect("a text");
    for part in [
        "rust_client.rs",
        "0 matched, 1 are wanted",
        "near miss: entry 1",
        "✗ $.request.age gte 65, seen 64",
        "✓ stub",
    ] {
        assert!(text.contains(part), "{part} not in {text}");
    }
    mocks.client().clear_journal().await.expect("cleared");
    mocks.client().verify().never().holds().await;
}

#[tokio::test]
async fn the_tail_gives_entries_as_they_come() {
    let mocks = serve("civil", PARTNER);
    let mut tail = mocks.client().journal().item("apply").tail().await.expect("a tail");
    apply(&mocks, "", json!({"item": "other"})).await;
    apply(&mocks, "", json!({"item": "apply", "bizNo": "B1"})).await;
    let event = timeout(PATIENCE, tail.next()).await.expect("in time").expect("an event");
    assert!(
        matches!(&event, Some(TailEvent::Entry(entry)) if entry.id == 2 && entry.key.as_deref() == Some("B1")),
        "{event:?}"
    );
    let whole = mocks.client().entry(2, true).await.expect("an entry");
    assert_eq!(whole.more["request"]["text"], r#"{"item":"apply","bizNo":"B1"}"#);
    let mut others = Vec::new();
    for _ in 0..31 {
        others.push(mocks.client().journal().tail().await.expect("a tail"));
    }
    let refused = mocks.client().journal().tail().await.err().expect("too many");
    assert_eq!(refused.status(), Some(429));
    assert_eq!(mocks.server.shutdown(Duration::from_secs(10)).await, 0);
    // A server that ends may cut its connections off before their last byte.
    let end = timeout(PATIENCE, tail.next()).await.expect("in time");
    assert!(matches!(end, Ok(None) | Err(ClientError::Broken { .. })), "{end:?}");
}

#[tokio::test]
async fn refusals_and_silence_tell_what_to_do() {
    let mocks = serve("civil", PARTNER);
    crate::help::write(&mocks.folder, "civil/partner.yaml", &PARTNER.replace("respond:", "respnd:"));
    let refused = mocks.client().reload().await.expect_err("a mistake");
    assert_eq!(refused.status(), Some(422));
    assert!(
        refused.to_string().contains("partner.yaml:9:") && refused.to_string().contains("`respond`"),
        "{refused}"
    );
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let client = MocksClient::at(silent.local_addr().expect("an address"));
    let late = client.clone().with_patience(Duration::from_millis(50)).advance("1s").await;
    assert!(matches!(late, Err(ClientError::Late { .. })), "{late:?}");
    drop(silent);
    let gone = client.reload().await.expect_err("nobody is there").to_string();
    assert!(gone.contains("no mock server answers at http://127.0.0.1:"), "{gone}");
}

#[test]
fn code_without_a_runtime_waits_for_a_call() {
    let mocks = serve("civil", PARTNER);
    let client = mocks.client();
    wait(client.stop_clock_at("2026-03-01T08:00:00+08:00")).expect("the clock stands");
    assert_eq!(wait(client.advance("36h")).expect("moved").now, "2026-03-02T12:00:00Z");
    wait(client.run_clock()).expect("it runs");
    wait(client.reset_clock()).expect("real time");
    let session = wait(client.session().named("anna").open()).expect("open");
    drop(session);
    assert!(wait(client.session().named("anna").open()).is_ok(), "the name is free again");
    assert_eq!(wait(client.reload()).expect("reloaded"), 2);
}
