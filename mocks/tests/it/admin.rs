//! The admin API beside what other tests use of it.
use serde_json::json;

use crate::help::{serve, serve_with};

const STATEFUL: &str = r#"
mock: v1
partner: civil
title: 试
listen: [{id: rest, proto: http, path: /mz}]
instance: {key: $.request.bizNo}
stubs:
  - {id: again, state: {in: [accepted]}, respond: {json: {is: again}}}
  - {id: fresh, state: {in: [new], to: accepted}, respond: {json: {is: fresh, n: "${inst.count}"}}}
"#;

#[tokio::test]
async fn a_dry_run_shows_the_answer_and_moves_nothing() {
    let mocks = serve("civil", STATEFUL);
    let trial = json!({"partner": "civil", "document": {"bizNo": "B1"}});
    for _ in 0..2 {
        let shown = mocks.admin("POST", "/api/mocks/try", Some(&trial)).await.json();
        assert_eq!(
            (&shown["answer"]["body"], &shown["stateAfter"]),
            (&json!("{\"is\":\"fresh\",\"n\":1}"), &json!("accepted")),
            "{shown}"
        );
        let against = &shown["nearest"]
            .as_array()
            .expect("stubs")
            .iter()
            .find(|stub| stub["stub"] == "again")
            .expect("again")["criteria"][0];
        assert_eq!((&against["seen"], &against["ok"]), (&json!("new"), &json!(false)));
    }
    assert_eq!(mocks.admin("GET", "/api/mocks/journal", None).await.json()["entries"], json!([]));
    assert_eq!(mocks.post("/mz", &json!({"bizNo": "B1"})).await.json(), json!({"is": "fresh", "n": 1}));
}

#[tokio::test]
async fn the_journal_holds_what_was_asked_answered_and_moved() {
    let mocks = serve("civil", STATEFUL);
    let body = json!({"bizNo": "B1"}).to_string();
    let headers = [
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("x-mock-session", "s1"),
    ];
    mocks.connect().await.send("POST", "/mz/x", &headers, &body).await.expect("an answer");
    let entry = mocks.admin("GET", "/api/mocks/journal/1", None).await.json();
    let wanted = [
        ("partner", "civil"),
        ("listener", "rest"),
        ("session", "s1"),
        ("method", "POST"),
        ("path", "/x"),
        ("key", "B1"),
        ("stateBefore", "new"),
        ("stateAfter", "accepted"),
        ("traceparent", headers[0].1),
    ];
    for (name, value) in wanted {
        assert_eq!(entry[name], value, "{name}");
    }
    assert_eq!(entry["request"], json!({"text": body, "size": body.len()}));
    assert_eq!(entry["answer"]["text"], "{\"is\":\"fresh\",\"n\":1}");
    assert_eq!((&entry["status"], &entry["miss"]), (&json!(200), &json!(false)));
}

#[tokio::test]
async fn the_journal_keeps_within_its_bytes_while_requests_pour_in() {
    let files = [("civil/partner.yaml", STATEFUL)];
    let mocks = serve_with(&files, qiao_vault::Vault::in_memory().expect("a vault"), |config| {
        config.journal_bytes = 200_000
    });
    let mut client = mocks.connect().await;
    let filler = "x".repeat(4_000);
    for n in 0..300 {
        let body = json!({"bizNo": format!("B{n}"), "filler": filler}).to_string();
        client.send("POST", "/mz", &[], &body).await.expect("an answer");
    }
    let page = mocks.admin("GET", "/api/mocks/journal?limit=500", None).await.json();
    let entries = page["entries"].as_array().expect("entries");
    assert!(page["bytes"].as_u64().is_some_and(|bytes| bytes <= 200_000), "{}", page["bytes"]);
    assert!((20..60).contains(&entries.len()), "{}", entries.len());
    assert_eq!(entries[0]["id"], 300);
}

#[tokio::test]
async fn partners_are_listed_with_their_counts() {
    let mocks = serve("civil", STATEFUL);
    mocks.post("/mz", &json!({"bizNo": "B1"})).await;
    let listed = mocks.admin("GET", "/api/mocks/partners", None).await.json();
    let civil = &listed["partners"][0];
    assert_eq!(
        (&civil["matched"], &civil["missed"], &civil["keys"], &civil["running"]),
        (&json!(1), &json!(0), &json!(1), &json!(true))
    );
    assert_eq!(civil["listeners"][0]["path"], "/mz");
    assert_eq!(
        mocks.admin("GET", "/api/mocks/partners/civil/stubs", None).await.json()["stubs"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    assert_eq!(mocks.admin("POST", "/api/mocks/partners/nobody/stop", None).await.status, 404);
}
