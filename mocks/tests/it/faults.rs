//! Every fault as the caller sees it at the socket.
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::help::{Broken, Mocks, Reply, serve};

const PLAIN: &str = r#"
mock: v1
partner: bank
title: 故障
listen: [{id: rest, proto: http, path: /bank}]
faultHeader: true
stubs:
  - {id: ok, respond: {json: {code: "0", name: 张三, list: [1, 2, 3]}}}
"#;

async fn with_fault(mocks: &Mocks, fault: &str) -> Result<Reply, Broken> {
    mocks.connect().await.send("POST", "/bank", &[("x-mock-fault", fault)], "{}").await
}

/// The fault of the newest journal entry.
async fn journaled(mocks: &Mocks) -> Value {
    let page = mocks.admin("GET", "/api/mocks/journal?limit=1", None).await.json();
    page["entries"][0]["fault"].clone()
}

#[tokio::test]
async fn f02_no_answer_comes_and_the_caller_may_leave() {
    let mocks = serve("bank", PLAIN);
    let mut client = mocks.connect().await;
    client.write("POST", "/bank", &[("x-mock-fault", "no-answer")], "{}").await;
    // The entry is there before the silence, so nothing needs to be waited out.
    let asked = std::time::Instant::now();
    while journaled(&mocks).await != "no-answer (request)" {
        assert!(asked.elapsed() < crate::help::PATIENCE);
    }
    assert!(timeout(Duration::from_millis(50), client.read()).await.is_err(), "an answer came");
    drop(client);
    assert_eq!(with_fault(&mocks, "no-answer;after=1ms").await, Err(Broken::Reset), "the silence is bounded");
}

#[tokio::test]
async fn f03_the_connection_is_reset() {
    let mocks = serve("bank", PLAIN);
    assert_eq!(with_fault(&mocks, "reset").await, Err(Broken::Reset));
    assert_eq!(journaled(&mocks).await, "reset (request)");
}

#[tokio::test]
async fn f05_f08_f16_statuses_pages_and_throttling() {
    let mocks = serve("bank", PLAIN);
    assert_eq!(with_fault(&mocks, "F05;status=502").await.map(|reply| reply.status), Ok(502));
    let page = with_fault(&mocks, "html").await.expect("an answer");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let throttled = with_fault(&mocks, "throttle;retryAfter=1500ms").await.expect("an answer");
    assert_eq!((throttled.status, throttled.header("retry-after")), (429, Some("2")));
}

#[tokio::test]
async fn f07_bodies_are_cut_broken_or_wrongly_labelled() {
    let mocks = serve("bank", PLAIN);
    let whole = mocks.post("/bank", &json!({})).await.body;
    let half = whole[..whole.len() / 2].to_vec();
    let cut = with_fault(&mocks, "cut").await;
    assert_eq!(cut, Err(Broken::Short { status: 200, body: half.clone(), announced: whole.len() }));
    let bad = with_fault(&mocks, "bad-body").await.expect("a whole answer");
    assert_eq!(bad.body, half);
    assert!(serde_json::from_slice::<Value>(&bad.body).is_err());
    let wrong = with_fault(&mocks, "wrong-charset").await.expect("an answer");
    assert_eq!(wrong.header("content-type"), Some("application/json; charset=utf-8"));
    assert!(std::str::from_utf8(&wrong.body).is_err(), "not UTF-8 whatever the label says");
    assert!(wrong.body.windows(4).any(|bytes| bytes == [0xD5, 0xC5, 0xC8, 0xFD]), "张三 in GBK");
}

#[tokio::test]
async fn f21_the_body_drips_and_is_whole_in_the_end() {
    let mocks = serve("bank", PLAIN);
    let whole = mocks.post("/bank", &json!({})).await.body;
    let begun = std::time::Instant::now();
    let dripped = with_fault(&mocks, "drip;after=200ms").await.expect("an answer");
    assert_eq!(dripped.body, whole);
    assert!(begun.elapsed() >= Duration::from_millis(190), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn f06_the_business_says_no_with_status_200_the_first_two_times() {
    let mocks = serve("bank", PLAIN);
    let dial = json!({"fault": {"kind": "business", "json": {"code": "02", "msg": "${request.n}"}, "first": 2}, "ttl": "1m"});
    let put = mocks.admin("PUT", "/api/mocks/dials/bank/partial", Some(&dial)).await;
    assert_eq!(put.status, 200, "{}", put.text());
    for expected in [json!("02"), json!("02"), json!("0")] {
        let reply = mocks.post("/bank", &json!({"n": 5})).await;
        assert_eq!((reply.status, &reply.json()["code"]), (200, &expected));
    }
    let listed = mocks.admin("GET", "/api/mocks/dials/bank", None).await.json();
    assert!(listed["dials"][0]["endsInMs"].as_u64().is_some_and(|left| left <= 60_000), "{listed}");
    assert_eq!(mocks.admin("DELETE", "/api/mocks/dials/bank/partial", None).await.status, 200);
}

#[tokio::test]
async fn a_delay_holds_the_answer_back_and_is_journaled() {
    let mocks = serve("bank", PLAIN);
    let dial = json!({"for": {"stub": "ok"}, "delay": {"from": "80ms", "to": "120ms"}});
    mocks.admin("PUT", "/api/mocks/dials/bank/slow", Some(&dial)).await;
    let begun = std::time::Instant::now();
    assert_eq!(mocks.post("/bank", &json!({})).await.status, 200);
    assert!(begun.elapsed() >= Duration::from_millis(80));
    let page = mocks.admin("GET", "/api/mocks/journal?limit=1", None).await.json();
    assert!(
        page["entries"][0]["delayMs"].as_u64().is_some_and(|delay| (80..=120).contains(&delay)),
        "{page}"
    );
}

#[tokio::test]
async fn a_request_brings_its_own_fault_only_where_that_is_allowed() {
    let mocks = serve("bank", &PLAIN.replace("faultHeader: true", "faultHeader: false"));
    assert_eq!(with_fault(&mocks, "reset").await.map(|reply| reply.status), Ok(200));
    let mocks = serve("bank", PLAIN);
    let refused = with_fault(&mocks, "explode").await.expect("an answer");
    assert_eq!(refused.status, 500);
    assert!(refused.text().contains("explode"), "{}", refused.text());
}

#[tokio::test]
async fn a_dial_that_cannot_be_meant_is_refused_with_its_reason() {
    let mocks = serve("bank", PLAIN);
    let refused = mocks
        .admin("PUT", "/api/mocks/dials/bank/x", Some(&json!({"fault": {"kind": "reset", "status": 500}})))
        .await;
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("`reset` has no `status`"), "{}", refused.text());
    let refused = mocks
        .admin("PUT", "/api/mocks/dials/bank/x", Some(&json!({"delay": {"fixed": "1s"}, "ttl": "2d"})))
        .await;
    assert!(refused.text().contains("24h"), "{}", refused.text());
}
