//! The fault vocabulary over HTTP and SOAP alike: what struck is what the caller sees, on either.
use std::time::Duration;

use qiao_mappings::{Codec, CodecSpec};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::help::{Broken, Mocks, PATIENCE, Reply, serve};

const BOTH: &str = r#"
mock: v1
partner: desk
title: 故障
listen:
  - {id: rest, proto: http, path: /rest}
  - {id: soap, proto: soap, path: /soap}
instance: {key: $.request..idNo}
faultHeader: true
stubs:
  - {id: open, state: {machine: account, in: [new], to: opened, set: {no: "${seq('A', 12)}"}}, respond: {json: {openResponse: {code: "0000", name: 张三, no: "${inst.data.no}", at: "${now()}"}}}}
  - {id: again, priority: 1, state: {machine: account, in: [opened]}, respond: {json: {openResponse: {code: "0001", name: 张三, no: "${inst.data.no}"}}}}
"#;

const PATHS: [&str; 2] = ["/rest", "/soap"];

fn codec(path: &str) -> Codec {
    let name = if path == "/soap" { "soap" } else { "json" };
    let spec: CodecSpec = serde_json::from_value(json!({"codec": name})).expect("a codec");
    Codec::compile(&spec).expect("a codec")
}

fn message(path: &str, key: &str) -> String {
    String::from_utf8(codec(path).encode(&json!({"open": {"idNo": key}})).expect("encodes")).expect("text")
}

async fn ask(mocks: &Mocks, path: &str, key: &str, fault: &str) -> Result<Reply, Broken> {
    let headers: &[(&str, &str)] = if fault.is_empty() { &[] } else { &[("x-mock-fault", fault)] };
    mocks.connect().await.send("POST", path, headers, &message(path, key)).await
}

fn read(path: &str, reply: &Reply) -> Value {
    codec(path).decode(&reply.body).unwrap_or_else(|error| panic!("{error}")).document["openResponse"].clone()
}

async fn opened(mocks: &Mocks, path: &str, key: &str, fault: &str) -> Value {
    read(path, &ask(mocks, path, key, fault).await.expect("an answer"))
}

async fn dial(mocks: &Mocks, dial: Value) {
    let reply = mocks.admin("PUT", "/api/mocks/dials/desk/f", Some(&dial)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

async fn undial(mocks: &Mocks) {
    mocks.admin("DELETE", "/api/mocks/dials/desk/f", None).await;
}

async fn last_entry(mocks: &Mocks) -> Value {
    mocks.admin("GET", "/api/mocks/journal?limit=1", None).await.json()["entries"][0].clone()
}

#[tokio::test]
async fn web_f01_f04_a_delayed_answer_outlives_the_callers_patience_and_its_effect_stays() {
    for path in PATHS {
        let mocks = serve("desk", BOTH);
        dial(&mocks, json!({"delay": {"fixed": "200ms"}})).await;
        let mut client = mocks.connect().await;
        client.write("POST", path, &[], &message(path, "K1")).await;
        assert!(timeout(Duration::from_millis(10), client.read()).await.is_err(), "{path}");
        drop(client);
        let begun = std::time::Instant::now();
        while last_entry(&mocks).await["delayMs"] != 200 {
            assert!(begun.elapsed() < PATIENCE);
        }
        undial(&mocks).await;
        assert_eq!(opened(&mocks, path, "K1", "").await["code"], "0001", "{path}");
    }
}

#[tokio::test]
async fn soap_f02_f03_f05_f07_f08_f16_f21_travel_as_over_http() {
    let mocks = serve("desk", BOTH);
    opened(&mocks, "/soap", "K1", "").await;
    let whole = ask(&mocks, "/soap", "K1", "").await.expect("an answer").body;
    assert_eq!(ask(&mocks, "/soap", "K1", "no-answer;after=1ms").await, Err(Broken::Reset));
    assert_eq!(ask(&mocks, "/soap", "K1", "reset").await, Err(Broken::Reset));
    assert_eq!(ask(&mocks, "/soap", "K1", "status").await.expect("an answer").status, 503);
    let bad = ask(&mocks, "/soap", "K1", "bad-body").await.expect("an answer").body;
    assert!(codec("/soap").decode(&bad).is_err());
    let wrong = ask(&mocks, "/soap", "K1", "wrong-charset").await.expect("an answer").body;
    assert!(std::str::from_utf8(&wrong).is_err());
    let cut = ask(&mocks, "/soap", "K1", "cut").await;
    assert!(matches!(cut, Err(Broken::Short { announced, .. }) if announced == whole.len()), "{cut:?}");
    let page = ask(&mocks, "/soap", "K1", "html").await.expect("an answer");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert_eq!(ask(&mocks, "/soap", "K1", "throttle").await.expect("an answer").status, 429);
    assert_eq!(ask(&mocks, "/soap", "K1", "drip;after=10ms").await.expect("an answer").body, whole);
}

#[tokio::test]
async fn web_f06_f14_f15_the_business_says_no_partly_or_already() {
    let mocks = serve("desk", BOTH);
    for path in PATHS {
        for code in ["9999", "02", "01"] {
            let json = json!({"openResponse": {"code": code}});
            dial(&mocks, json!({"fault": {"kind": "business", "json": json}})).await;
            let reply = ask(&mocks, path, "K1", "").await.expect("an answer");
            assert_eq!((reply.status, read(path, &reply)), (200, json!({"code": code})), "{path}");
        }
    }
}

#[tokio::test]
async fn web_f10_the_first_answer_is_replayed_to_all() {
    let mocks = serve("desk", BOTH);
    for (path, key) in PATHS.into_iter().zip(["K1", "K2"]) {
        dial(&mocks, json!({"fault": {"kind": "replay"}})).await;
        let first = ask(&mocks, path, key, "").await.expect("an answer").body;
        assert_eq!(ask(&mocks, path, "K3", "").await.expect("an answer").body, first, "{path}");
        undial(&mocks).await;
    }
    assert!(ask(&mocks, "/rest", "K4", "replay").await.expect("an answer").text().contains("lay a dial"));
}

#[tokio::test]
async fn web_f17_within_the_window_503_names_its_end() {
    let mocks = serve("desk", BOTH);
    dial(&mocks, json!({"fault": {"kind": "maintenance", "window": "22:00-06:00"}})).await;
    for path in PATHS {
        for (time, status, retry) in [("23:00", 503, Some("25200")), ("06:00", 200, None)] {
            let at = json!({"stopAt": format!("2026-11-21T{time}:00+08:00")});
            assert_eq!(mocks.admin("PUT", "/api/mocks/clock", Some(&at)).await.status, 200);
            let reply = ask(&mocks, path, "K1", "").await.expect("an answer");
            assert_eq!((reply.status, reply.header("retry-after")), (status, retry), "{path} {time}");
        }
    }
}

#[tokio::test]
async fn web_f18_the_token_expires_midway_and_the_next_call_passes() {
    let mocks = serve("desk", BOTH);
    for path in PATHS {
        dial(&mocks, json!({"fault": {"kind": "token-expired", "every": 2}})).await;
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(ask(&mocks, path, "K1", "").await.expect("an answer").status);
        }
        assert_eq!(statuses, [200, 401, 200], "{path}");
    }
    let expired = ask(&mocks, "/rest", "K1", "token-expired").await.expect("an answer");
    assert_eq!(expired.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
    let json = json!({"openResponse": {"code": "2001"}});
    dial(&mocks, json!({"fault": {"kind": "token-expired", "json": json}})).await;
    let reply = ask(&mocks, "/rest", "K1", "").await.expect("an answer");
    assert_eq!((reply.status, &read("/rest", &reply)["code"]), (200, &json!("2001")));
}

#[tokio::test]
async fn web_f19_f20_members_are_missing_more_longer_rare_or_of_another_type() {
    let mocks = serve("desk", BOTH);
    for path in PATHS {
        opened(&mocks, path, "K1", "").await;
        let with = |fault: &'static str| opened(&mocks, path, "K1", fault);
        assert_eq!(with("field-missing;field=openResponse.no").await.get("no"), None, "{path}");
        assert!(with("field-extra;field=openResponse").await["unannounced"].is_string(), "{path}");
        let longer = with("field-longer;field=openResponse.name").await;
        assert_eq!(longer["name"].as_str().map(|name| name.chars().count()), Some(4000), "{path}");
        assert_eq!(with("rare-char;field=openResponse.name").await["name"], "张\u{2CC56}", "{path}");
        assert_eq!(with("pua-char;field=openResponse.name").await["name"], "张\u{E816}", "{path}");
    }
    let other = opened(&mocks, "/rest", "K1", "field-type;field=openResponse.code").await;
    assert_eq!(other["code"], json!(["0001"]));
    // A field that is not there is told, not passed over.
    let refused = ask(&mocks, "/rest", "K1", "field-missing;field=none").await.expect("an answer");
    assert!(refused.status == 500 && refused.text().contains("has no `none`"), "{}", refused.text());
}

#[tokio::test]
async fn web_f23_the_length_states_one_byte_more_than_there_is() {
    let mocks = serve("desk", BOTH);
    for path in PATHS {
        opened(&mocks, path, "K1", "").await;
        let whole = ask(&mocks, path, "K1", "").await.expect("an answer").body;
        let short = Broken::Short { status: 200, announced: whole.len() + 1, body: whole };
        assert_eq!(ask(&mocks, path, "K1", "wrong-length").await, Err(short), "{path}");
    }
}

#[tokio::test]
async fn web_f25_f26_a_clock_off_and_another_answer_to_a_repeat() {
    for path in PATHS {
        let mocks = serve("desk", BOTH);
        let at = json!({"stopAt": "2026-11-21T09:30:00+08:00"});
        assert_eq!(mocks.admin("PUT", "/api/mocks/clock", Some(&at)).await.status, 200);
        let first = opened(&mocks, path, "K1", "clock-skew;skew=20m").await;
        assert!(first["at"].as_str().is_some_and(|at| at.contains("09:50:00")), "{path}: {first}");
        let other = opened(&mocks, path, "K1", "other-reply").await;
        assert_eq!(other["code"], "0000", "{path}");
        assert_ne!(other["no"], first["no"], "{path}");
        assert_eq!(opened(&mocks, path, "K1", "").await["no"], first["no"], "nothing of it was kept");
    }
}
