//! Which stub answers, and why none does.
use serde_json::{Value, json};

use crate::help::{Mocks, PATIENCE, serve, serve_with};

const ORDERED: &str = r#"
mock: v1
partner: civil
title: 顺序
listen: [{id: rest, proto: http, path: /mz}]
select: $.request.header.itemCode
stubs:
  - {id: first-written, item: A, respond: {json: {n: 1}}}
  - {id: urgent, item: A, priority: 5, when: {all: [{json: $.request.age, gte: 65}]}, respond: {json: {n: 2}}}
  - {id: more-conditions, item: A, when: {all: [{json: $.request.city, in: [上海, 北京]}]}, respond: {json: {n: 3}}}
  - {id: named-path, when: {method: GET, path: "/orders/{no}", all: [{param: no, matches: '^\d+$'}]}, respond: {json: {no: "${params.no}", page: "${query.page}"}}}
  - {id: whole-path, when: {method: GET, path: /orders/7}, priority: 1, respond: {json: {n: 5}}}
  - {id: open-path, when: {method: GET, path: "/files/*"}, respond: {text: "${path}"}}
  - {id: any-not, item: B, when: {any: [{header: x-a, equals: "1"}, {query: a, equals: 1}], not: [{json: $.request.closed, equals: true}]}, respond: {json: {n: 6}}}
  - {id: computed, item: C, when: {all: [{cel: "request.to > request.from"}]}, respond: {json: {sum: "${request.to + request.from}"}}}
  - {id: listed, item: D, when: {all: [{json: "$.request.items[*].code", equals: x9}, {json: $.request.items, exists: true}, {json: $.request.none, exists: false}]}, respond: {json: {n: 8}}}
"#;

async fn item(mocks: &Mocks, body: Value) -> String {
    mocks.post("/mz/gateway", &body).await.stub().to_owned()
}

#[tokio::test]
async fn priority_goes_before_conditions_and_conditions_before_file_order() {
    let mocks = serve("civil", ORDERED);
    let a = |more: Value| {
        let mut body = json!({"header": {"itemCode": "A"}});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    };
    assert_eq!(item(&mocks, a(json!({}))).await, "first-written");
    assert_eq!(item(&mocks, a(json!({"city": "上海"}))).await, "more-conditions");
    assert_eq!(item(&mocks, a(json!({"city": "上海", "age": 70}))).await, "urgent");
    assert_eq!(item(&mocks, a(json!({"age": "64"}))).await, "first-written");
}

#[tokio::test]
async fn paths_headers_queries_and_expressions_are_conditions() {
    let mocks = serve("civil", ORDERED);
    let mut client = mocks.connect().await;
    let mut get = async |path: &str| client.send("GET", path, &[], "").await.expect("an answer");
    let named = get("/mz/orders/42?page=3").await;
    assert_eq!((named.stub(), named.json()), ("named-path", json!({"no": "42", "page": "3"})));
    assert_eq!(get("/mz/orders/7").await.stub(), "whole-path");
    assert_eq!(get("/mz/orders/x").await.status, 404);
    assert_eq!(get("/mz/files/a/b").await.text(), "/files/a/b");

    let b = json!({"header": {"itemCode": "B"}}).to_string();
    let mut client = mocks.connect().await;
    assert_eq!(client.send("POST", "/mz?a=1", &[], &b).await.expect("an answer").stub(), "any-not");
    assert_eq!(client.send("POST", "/mz", &[("X-A", "1")], &b).await.expect("an answer").stub(), "any-not");
    assert_eq!(client.send("POST", "/mz", &[], &b).await.expect("an answer").status, 404);
    let closed = json!({"header": {"itemCode": "B"}, "closed": true}).to_string();
    assert_eq!(client.send("POST", "/mz?a=1", &[], &closed).await.expect("an answer").status, 404);

    let computed = mocks.post("/mz", &json!({"header": {"itemCode": "C"}, "from": 2, "to": 3})).await;
    assert_eq!(computed.json(), json!({"sum": 5}));
    assert_eq!(
        item(&mocks, json!({"header": {"itemCode": "D"}, "items": [{"code": "a"}, {"code": "x9"}]})).await,
        "listed"
    );
}

/// Five thousand items behind one path, told apart by a field of the body.
fn thousands() -> Mocks {
    let partner = "mock: v1\npartner: many\ntitle: 多\nlisten: [{id: rest, proto: http, path: /many}]\nselect: $.request.item\n";
    let mut stubs = "stubs:\n".to_owned();
    for n in 0..5_000 {
        stubs.push_str(&format!(
            "  - {{id: s{n}, item: I{}, when: {{method: POST, all: [{{json: $.request.idNo, equals: \"{n:06}\"}}]}}, respond: {{json: {{n: {n}, id: \"${{request.idNo}}\"}}}}}}\n",
            n % 7
        ));
    }
    let files = [("many/partner.yaml", partner), ("many/stubs/all.yaml", stubs.as_str())];
    serve_with(&files, qiao_vault::Vault::in_memory().expect("a vault"), |_| {})
}

#[tokio::test]
async fn five_thousand_stubs_on_one_path_give_their_own_answers() {
    let mocks = thousands();
    let mut client = mocks.connect().await;
    for n in (0..5_000).step_by(61) {
        let body = json!({"item": format!("I{}", n % 7), "idNo": format!("{n:06}")}).to_string();
        let reply = client.send("POST", "/many", &[], &body).await.expect("an answer");
        assert_eq!(reply.json(), json!({"n": n, "id": format!("{n:06}")}));
    }
}

#[tokio::test]
async fn a_miss_is_short_for_the_caller_and_explained_in_the_journal() {
    let mocks = thousands();
    let reply = mocks.post("/many", &json!({"item": "I3", "idNo": "000004"})).await;
    assert_eq!((reply.status, reply.header("x-mocked")), (404, Some("many/-")));
    let id = reply.header("x-mock-miss").expect("the entry's id").to_owned();
    let asked = std::time::Instant::now();
    let entry = loop {
        let entry = mocks.admin("GET", &format!("/api/mocks/journal/{id}"), None).await.json();
        if !entry["nearest"].is_null() {
            break entry;
        }
        assert!(asked.elapsed() < PATIENCE, "no diagnosis");
        tokio::task::yield_now().await;
    };
    let nearest = entry["nearest"].as_array().expect("stubs");
    assert_eq!(nearest.len(), 3);
    // The item fits, so one criterion stands between the request and each of them.
    for stub in nearest {
        let criteria = stub["criteria"].as_array().expect("criteria");
        let failed: Vec<_> = criteria.iter().filter(|criterion| criterion["ok"] == false).collect();
        assert_eq!(failed.len(), 1, "{stub}");
        assert_eq!(failed[0]["criterion"], "$.request.idNo");
        assert_eq!(failed[0]["seen"], "000004");
    }
    assert_eq!(nearest[0]["criteria"][1]["seen"], "I3");
}

#[tokio::test]
async fn a_miss_may_have_a_declared_fallback_and_stays_a_miss() {
    let yaml = "mock: v1\npartner: f\ntitle: 缺省\nlisten: [{id: r, proto: http, path: /f}]\nfallback: {respond: {json: {code: E404}}}\n";
    let mocks = serve("f", yaml);
    let reply = mocks.post("/f", &json!({"a": 1})).await;
    assert_eq!((reply.status, reply.json()), (200, json!({"code": "E404"})));
    assert!(reply.header("x-mock-miss").is_some());
    let page = mocks.admin("GET", "/api/mocks/journal?miss=true&partner=f", None).await.json();
    assert_eq!(page["entries"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_a_miss_that_says_so() {
    let mocks = serve("civil", ORDERED);
    let reply = mocks.connect().await.send("POST", "/mz", &[], "{\"a\": ").await.expect("an answer");
    assert_eq!(reply.status, 404);
    assert!(reply.text().contains("unreadable"), "{}", reply.text());
}
