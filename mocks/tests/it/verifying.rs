//! Verification, scores and the journal as people see it.
use std::time::Duration;

use qiao_vault::Vault;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

use crate::help::{Mocks, PATIENCE, Reply, serve, serve_with};

const PARTNER: &str = r#"
mock: v1
partner: civil
title: 民政
caller: "$.headers['x-app-id']"
listen: [{id: rest, proto: http, path: /mz}]
select: $.request.item
instance: {key: $.request.bizNo}
stubs:
  - {id: apply, item: apply, respond: {json: {name: "${request.name}"}}}
  - {id: query, item: query, respond: {json: {code: "0"}}}
"#;

async fn send(mocks: &Mocks, session: &str, body: &Value) -> Reply {
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers = [("x-mock-session", session), ("x-app-id", "hub"), ("traceparent", trace)];
    mocks.connect().await.send("POST", "/mz", &headers, &body.to_string()).await.expect("an answer")
}

async fn verify(mocks: &Mocks, spec: &Value) -> Value {
    let verified = mocks.admin("POST", "/api/mocks/verify", Some(spec)).await;
    assert_eq!(verified.status, 200, "{}", verified.text());
    verified.json()
}

fn apply(biz: &str) -> Value {
    json!({"item": "apply", "bizNo": biz, "name": "张三丰", "idNo": "310101199003074511", "age": 70})
}

#[tokio::test]
async fn requests_are_counted_ordered_and_nothing_else_in_a_session() {
    let mocks = serve("civil", PARTNER);
    send(&mocks, "s", &apply("B1")).await;
    send(&mocks, "s", &json!({"item": "query", "bizNo": "B1"})).await;
    send(&mocks, "s", &apply("B2")).await;
    send(&mocks, "other", &json!({"item": "query", "bizNo": "B9"})).await;
    let (applied, queried) = (json!({"item": "apply"}), json!({"stub": "query"}));
    for (spec, holds) in [
        (json!({"session": "s", "when": applied, "count": 2}), true),
        (json!({"session": "s", "when": applied, "count": 1}), false),
        (json!({"session": "s", "when": applied}), true),
        (json!({"session": "s", "when": applied, "min": 3}), false),
        (json!({"session": "s", "when": applied, "max": 1}), false),
        (
            json!({"session": "s", "when": {"all": [{"json": "$.request.age", "gte": 65}], "key": "B2"}, "count": 1}),
            true,
        ),
        (json!({"session": "s", "order": [applied, queried, applied]}), true),
        (json!({"session": "s", "order": [queried, applied, applied]}), false),
        (json!({"session": "s", "order": [applied, queried, applied], "nothingElse": true}), true),
        (json!({"session": "s", "when": applied, "nothingElse": true}), false),
        (json!({"when": queried, "count": 2}), true),
        (json!({"when": {"trace": "0af7651916cd43dd8448eb211c80319c"}, "count": 4}), true),
        (json!({"since": 3, "when": applied, "count": 1}), true),
    ] {
        let verified = verify(&mocks, &spec).await;
        assert_eq!(verified["ok"], holds, "{spec} {verified}");
        assert_eq!(verified["failed"].as_array().map(Vec::is_empty), Some(holds));
    }
}

#[tokio::test]
async fn a_failed_verification_shows_the_nearest_miss_criterion_by_criterion_and_masked() {
    let mocks = serve("civil", PARTNER);
    send(&mocks, "", &apply("B1")).await;
    send(&mocks, "", &json!({"item": "query"})).await;
    let spec = json!({"when": {"item": "apply", "all": [{"json": "$.request.name", "equals": "李四"}, {"json": "$.request.age", "gte": 65}]}});
    let verified = verify(&mocks, &spec).await;
    let near = &verified["nearest"][0];
    assert_eq!((&near["id"], &near["stub"].is_string()), (&json!(1), &true));
    let of = |place: &str| {
        near["criteria"]
            .as_array()
            .expect("criteria")
            .iter()
            .find(|line| line["criterion"] == place)
            .cloned()
            .expect("the criterion")
    };
    assert_eq!(
        (&of("$.request.name")["seen"], &of("$.request.name")["ok"]),
        (&json!("张*丰"), &json!(false))
    );
    assert_eq!(of("$.request.age")["ok"], true);
}

#[tokio::test]
async fn a_verification_waits_for_what_is_still_to_come_and_not_a_moment_longer() {
    let mocks = serve("civil", PARTNER);
    let waiting = tokio::spawn(mocks.client().verify().item("apply").count(3).within(PATIENCE).holds());
    for biz in ["B1", "B2", "B3"] {
        send(&mocks, "", &apply(biz)).await;
    }
    let verified = timeout(PATIENCE, waiting).await.expect("long before its deadline").expect("a task");
    assert_eq!(verified.matched, 3, "{verified}");
    let short = Duration::from_millis(50);
    let none = mocks.client().verify().item("query").within(short).check().await.expect("an answer");
    assert!(!none.ok && none.waited_ms >= 50, "{none}");
    let quiet = mocks.client().verify().item("apply").count(3).quiet(short).holds().await;
    assert!(quiet.waited_ms >= 50, "{quiet}");
}

#[tokio::test]
async fn a_verification_that_cannot_be_meant_is_refused() {
    let mocks = serve("civil", PARTNER);
    for (spec, part) in [
        (json!({"when": {}, "count": 1, "min": 1}), "not both"),
        (json!({"count": 1}), "what is counted"),
        (json!({}), "one of when"),
        (json!({"when": {"all": [{"header": "x", "exists": true}]}}), "neither headers"),
        (json!({"when": {"all": [{"json": "$.requst.a", "equals": 1}]}}), "requst"),
        (json!({"when": {}, "within": "2m"}), "60s"),
        (json!({"whem": {}}), "whem"),
    ] {
        let refused = mocks.admin("POST", "/api/mocks/verify", Some(&spec)).await;
        assert_eq!(refused.status, 422, "{spec}");
        assert!(refused.text().contains(part), "{part} not in {}", refused.text());
    }
}

#[tokio::test]
async fn forgotten_entries_are_no_proof() {
    let files = [("civil/partner.yaml", PARTNER)];
    let mocks =
        serve_with(&files, Vault::in_memory().expect("a vault"), |config| config.journal_bytes = 20_000);
    for n in 0..60 {
        send(&mocks, "", &apply(&format!("B{n}"))).await;
    }
    let verified = verify(&mocks, &json!({"since": 1, "when": {"item": "apply"}, "max": 100})).await;
    assert_eq!(verified["ok"], false);
    assert!(verified["failed"][0].as_str().is_some_and(|text| text.contains("make room")), "{verified}");
}

#[tokio::test]
async fn messages_are_scored_field_by_field_against_the_standard_one() {
    let mocks = serve("civil", PARTNER);
    send(
        &mocks,
        "pupil",
        &json!({"item": "apply", "name": "张三", "idNo": "310101199003074512", "age": 70, "extra": 1}),
    )
    .await;
    send(
        &mocks,
        "pupil",
        &json!({"item": "apply", "name": "张三", "idNo": "310101199003074511", "age": 64, "kind": "B"}),
    )
    .await;
    let spec = json!({"session": "pupil", "score": [
        {
            "id": "apply", "title": "高龄津贴", "when": {"item": "apply"},
            "message": {"item": "apply", "name": "张三", "idNo": "310101199003074511"},
            "weights": {"idNo": 5, "item": 0},
            "fields": [
                {"that": {"json": "$.request.age", "gte": 65}, "points": 2},
                {"that": {"json": "$.request.kind", "equals": "A"}, "points": 4, "partly": [{"equals": "B", "points": 1.5}]},
            ],
        },
        {"id": "query", "when": {"item": "query"}, "message": {"bizNo": "B1"}},
    ]});
    let scored = mocks.admin("POST", "/api/mocks/score", Some(&spec)).await.json();
    let apply = &scored["messages"][0];
    assert_eq!(
        (&apply["entry"], &apply["points"], &apply["of"]),
        (&json!(2), &json!(7.5), &json!(12.0)),
        "the best counts: {scored}"
    );
    let of = |place: &str| {
        apply["fields"]
            .as_array()
            .expect("fields")
            .iter()
            .find(|field| field["field"] == place)
            .cloned()
            .expect("the field")
    };
    assert_eq!((&of("idNo")["points"], &of("idNo")["seen"]), (&json!(5.0), &json!("310***********4511")));
    assert_eq!((&of("$.request.age")["points"], &of("$.request.kind")["points"]), (&json!(0.0), &json!(1.5)));
    assert_eq!(apply["unexpected"], json!(["age", "item", "kind"]));
    let query = &scored["messages"][1];
    assert_eq!((&query["entry"], &query["points"], &query["of"]), (&Value::Null, &json!(0.0), &json!(1.0)));
    assert_eq!(scored["total"]["percent"], 57.7);
    let refused = mocks
        .admin(
            "POST",
            "/api/mocks/score",
            Some(&json!({"score": [{"id": "x", "message": {"a": 1}, "weights": {"b": 2}}]})),
        )
        .await;
    assert!(refused.status == 422 && refused.text().contains("no such field"), "{}", refused.text());
}

#[tokio::test]
async fn people_are_masked_in_the_journal_unless_asked_for() {
    let mocks = serve("civil", PARTNER);
    send(&mocks, "s", &apply("B1")).await;
    let masked = mocks.admin("GET", "/api/mocks/journal/1", None).await.json();
    let text = masked["request"]["text"].as_str().expect("text");
    assert!(text.contains("张*丰") && text.contains("310***********4511"), "{text}");
    assert_eq!(masked["answer"]["text"], r#"{"name":"张*丰"}"#);
    assert_eq!(masked["caller"], "hub");
    let raw = mocks.admin("GET", "/api/mocks/journal/1?raw=true", None).await.json();
    assert_eq!(raw["request"]["text"], apply("B1").to_string());
    for (filter, count) in [
        ("caller=hub", 1),
        ("caller=x", 0),
        ("trace=0af7651916cd43dd8448eb211c80319c", 1),
        ("trace=1", 0),
        ("item=apply", 1),
        ("session=t", 0),
    ] {
        let page = mocks.admin("GET", &format!("/api/mocks/journal?{filter}"), None).await.json();
        assert_eq!(page["entries"].as_array().map(Vec::len), Some(count), "{filter}");
    }
}

#[tokio::test]
async fn the_tail_shows_entries_as_they_come_and_those_who_look_on_are_bounded() {
    let mocks = serve("civil", PARTNER);
    let addr = mocks.server.admin_addr().expect("an admin API");
    let look = async |path: &str| {
        let mut stream = TcpStream::connect(addr).await.expect("a connection");
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nhost: m\r\n\r\n").as_bytes())
            .await
            .expect("written");
        let mut lines = BufReader::new(stream).lines();
        let status =
            timeout(PATIENCE, lines.next_line()).await.expect("in time").expect("a line").expect("a status");
        (status, lines)
    };
    let (status, mut lines) = look("/api/mocks/journal/tail?item=apply").await;
    assert!(status.contains("200"), "{status}");
    send(&mocks, "", &json!({"item": "query"})).await;
    send(&mocks, "", &apply("B1")).await;
    let data = loop {
        let line =
            timeout(PATIENCE, lines.next_line()).await.expect("in time").expect("a line").expect("no end");
        if let Some(data) = line.strip_prefix("data: ") {
            break serde_json::from_str::<Value>(data).expect("JSON");
        }
    };
    assert_eq!((&data["id"], &data["item"]), (&json!(2), &json!("apply")));
    let mut others = Vec::new();
    for _ in 0..31 {
        others.push(look("/api/mocks/journal/tail").await);
    }
    assert!(look("/api/mocks/journal/tail").await.0.contains("429"));
    assert_eq!(mocks.server.shutdown(Duration::from_secs(10)).await, 0);
    let end = timeout(PATIENCE, async { while let Ok(Some(_)) = lines.next_line().await {} }).await;
    assert!(end.is_ok(), "the tail ends with the server");
}
