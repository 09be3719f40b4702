//! Every operation of the admin API, once as it is meant and once refused; every status that the document names.
use qiao_vault::{KeyKind, Purpose, Vault};
use serde_json::{Value, json};

use super::checked::Checked;
use crate::help::{Client, Mocks, serve_with, write};

const POST: &str = r#"
mock: v1
partner: post
title: 物流
listen: [{id: rest, proto: http, path: /post}]
select: $.request.item
instance: {key: $.request.orderNo}
pushes: {track: {to: "http://127.0.0.1:1/track"}}
plans:
  track:
    title: 轨迹
    steps:
      - {id: collected, after: 2h, push: track, json: {step: collected}}
      - {id: delivered, after: 5d, push: track, json: {step: delivered}}
dials: [{id: standing, delay: {fixed: 1ms}}]
stubs:
  - {id: order, title: 下单, item: order, when: {method: POST, path: /orders}, state: {in: [new], to: placed}, respond: {json: {code: "0"}}, then: {plan: track}}
  - {id: again, item: order, state: {in: [placed]}, respond: {json: {code: "1"}}}
"#;
const GATE: &str = r#"
mock: v1
partner: gate
title: 网关
listen:
  - {id: sms, proto: cmpp, carrier: {gateway: 902100, accounts: [{id: "901234", secret: "vault:gate/secret"}]}}
stubs: [{id: taken, respond: {json: {result: 0}}}]
"#;
const PACK: &str = "pack: v1\ntitle: 期中考试\nscore: [{id: order, message: {orderNo: A1}}]\n";

fn mocks() -> Mocks {
    let vault = Vault::in_memory().expect("a vault");
    let key = "vault:gate/secret".parse().expect("a reference");
    vault.import(&key, KeyKind::Secret, Purpose::Secret, b"1234").expect("a secret");
    let files = [
        ("post/partner.yaml", POST),
        ("gate/partner.yaml", GATE),
        ("city/city.yaml", "city: v1\nseed: 1\ncitizens: 10\n"),
        ("packs/midterm/pack.yaml", PACK),
    ];
    serve_with(&files, vault, |_| {})
}

#[tokio::test]
async fn every_operation_answers_as_documented_when_it_succeeds_and_when_it_refuses() {
    let mocks = mocks();
    let order = json!({"item": "order", "orderNo": "A1"});
    assert_eq!(mocks.post("/post/orders", &order).await.status, 200);
    assert_eq!(mocks.post("/post/orders", &json!({"item": "nothing"})).await.status, 404);
    let mut api = Checked::over(&mocks);
    partners(&mut api).await;
    files(&mut api).await;
    recordings(&mut api, &mocks).await;
    sessions(&mut api).await;
    evidence(&mut api).await;
    memory(&mut api).await;
    moving(&mut api).await;
    changed_files(&mut api, &mocks).await;
    whole(&mut api).await;
    let unseen = api.unseen();
    assert!(unseen.is_empty(), "{unseen:#?}");
}

const NONE: Value = Value::Null;

/// Asks with a misspelt parameter, which every operation refuses.
async fn misspelt(api: &mut Checked<'_>, method: &str, path: &str, body: Value) {
    let refused = api.ask(400, method, &format!("{path}?lmit=1"), body).await;
    assert!(refused["error"].as_str().is_some_and(|text| text.contains("lmit")), "{refused}");
}

async fn partners(api: &mut Checked<'_>) {
    let listed = api.ask(200, "GET", "/api/mocks/partners", NONE).await;
    assert_eq!(listed["partners"].as_array().map(Vec::len), Some(2));
    misspelt(api, "GET", "/api/mocks/partners", NONE).await;
    for what in ["stop", "start"] {
        api.ask(200, "POST", &format!("/api/mocks/partners/post/{what}"), NONE).await;
        api.ask(404, "POST", &format!("/api/mocks/partners/nobody/{what}"), NONE).await;
    }
    let stubs = "/api/mocks/partners/post/stubs";
    let page = api.send(200, "GET", stubs, &[], "").await;
    let tag = page.header("etag").expect("a version").to_owned();
    api.send(304, "GET", stubs, &[("if-none-match", &tag)], "").await;
    api.ask(404, "GET", "/api/mocks/partners/nobody/stubs", NONE).await;
    api.ask(422, "GET", &format!("{stubs}?after=gone"), NONE).await;
    let dial = json!({"fault": {"kind": "status", "status": 503, "first": 1}, "for": {"stub": "order"}, "ttl": "1m"});
    api.ask(200, "PUT", "/api/mocks/dials/post/flaky", dial.clone()).await;
    api.ask(404, "PUT", "/api/mocks/dials/nobody/flaky", dial.clone()).await;
    api.ask(422, "PUT", "/api/mocks/dials/post/flaky", json!({"delay": {"from": "2s"}})).await;
    let dials = api.ask(200, "GET", "/api/mocks/dials/post", NONE).await;
    assert_eq!(dials["dials"].as_array().map(Vec::len), Some(2));
    api.ask(404, "GET", "/api/mocks/dials/post?session=nobody", NONE).await;
    api.ask(200, "DELETE", "/api/mocks/dials/post/flaky", NONE).await;
    api.ask(404, "DELETE", "/api/mocks/dials/post/flaky", NONE).await;
    let trial = json!({"partner": "post", "path": "/orders", "document": {"item": "order", "orderNo": "T1"}});
    let tried = api.ask(200, "POST", "/api/mocks/try", trial).await;
    assert!(tried["stub"].as_str().is_some_and(|label| label.starts_with("post/order@")), "{tried}");
    api.ask(200, "POST", "/api/mocks/try", json!({"partner": "post", "document": {"item": "x"}})).await;
    api.ask(404, "POST", "/api/mocks/try", json!({"partner": "nobody"})).await;
    api.ask(422, "POST", "/api/mocks/try", json!({"partner": "post", "headers": {"a b": "c"}})).await;
}

async fn files(api: &mut Checked<'_>) {
    let exported = api.ask(200, "GET", "/api/mocks/partners/post/export", NONE).await;
    assert_eq!(exported["files"]["partner.yaml"], POST);
    api.ask(404, "GET", "/api/mocks/partners/nobody/export", NONE).await;
    let valid = api.ask(200, "POST", "/api/mocks/validate", json!({"files": exported["files"]})).await;
    assert_eq!((&valid["ok"], &valid["stubs"]), (&json!(true), &json!(2)), "{valid}");
    let wrong = json!({"files": {"partner.yaml": POST.replace("in: [placed]", "in: placed")}});
    assert_eq!(api.ask(200, "POST", "/api/mocks/validate", wrong).await["ok"], false);
    let yaml = [("content-type", "application/yaml")];
    api.send(200, "POST", "/api/mocks/validate", &yaml, POST).await;
    api.ask(400, "POST", "/api/mocks/validate?file=partner.yaml", json!({"files": {}})).await;
    api.ask(404, "POST", "/api/mocks/validate", json!({"partner": "nobody", "files": {}})).await;
    api.ask(422, "POST", "/api/mocks/validate", json!({"files": {"a": {"base64": "!"}}})).await;
    let mapping = json!({"request": {"method": "GET", "url": "/a"}, "response": {"status": 200}}).to_string();
    let import = json!({"format": "wiremock", "partner": "drafted", "files": {"mappings/a.json": mapping, "mappings/b.json": "{}"}});
    let drafted = api.ask(200, "POST", "/api/mocks/import", import).await;
    assert!(drafted["files"]["partner.yaml"].is_string(), "{drafted}");
    api.ask(422, "POST", "/api/mocks/import", json!({"format": "wsdl", "partner": "No", "files": {}})).await;
}

async fn recordings(api: &mut Checked<'_>, mocks: &Mocks) {
    let path = "/api/mocks/recordings";
    let wanted =
        json!({"target": format!("http://{}", mocks.server.addr()), "partner": "drafted", "for": "5m"});
    let recording = api.ask(201, "POST", path, wanted.clone()).await;
    let at = recording["address"].as_str().expect("an address").parse().expect("an address");
    for n in 0..2 {
        let order = json!({"item": "order", "orderNo": format!("R{n}")}).to_string();
        let json = [("content-type", "application/json")];
        Client::to(at).await.send("POST", "/post/orders", &json, &order).await.expect("an answer");
    }
    let first = format!("{path}/{}", recording["id"]);
    api.ask(200, "GET", &first, NONE).await;
    let made = api.ask(200, "POST", &format!("{first}/finish"), NONE).await;
    assert_eq!(made["replay"]["exchanges"], 2, "{made}");
    api.ask(404, "GET", &first, NONE).await;
    api.ask(404, "POST", &format!("{first}/finish"), NONE).await;
    api.ask(422, "POST", path, json!({"target": "http://10.0.0.8", "partner": "drafted"})).await;
    let mut others = Vec::new();
    for _ in 0..4 {
        let started = api.ask(201, "POST", path, wanted.clone()).await;
        others.push(format!("{path}/{}", started["id"]));
    }
    api.ask(429, "POST", path, wanted).await;
    let listed = api.ask(200, "GET", path, NONE).await;
    assert_eq!(listed["recordings"].as_array().map(Vec::len), Some(4));
    misspelt(api, "GET", path, NONE).await;
    api.ask(422, "POST", &format!("{}/finish", others.remove(0)), NONE).await;
    for other in others {
        api.ask(200, "DELETE", &other, NONE).await;
        api.ask(404, "DELETE", &other, NONE).await;
    }
}

async fn sessions(api: &mut Checked<'_>) {
    let spec = json!({
        "session": "anna", "pack": "midterm", "ahead": "48h", "ttl": "1h",
        "accounts": [{"partner": "gate", "account": "901234"}],
        "partners": {"post": {"stubs": [{"id": "mine", "item": "mine", "respond": {"json": {"code": "2"}}}]}},
        "rows": {"city.cards": [{"cardNo": "X", "status": "LOST"}]},
    });
    api.ask(200, "POST", "/api/mocks/sessions", spec.clone()).await;
    api.ask(409, "POST", "/api/mocks/sessions", spec).await;
    let wrong = json!({"partners": {"nobody": {}}});
    let refused = api.ask(422, "POST", "/api/mocks/sessions", wrong).await;
    assert_eq!(refused["mistakes"][0]["path"], "partners.nobody");
    let stubs = api.ask(200, "GET", "/api/mocks/partners/post/stubs?session=anna", NONE).await;
    assert_eq!(stubs["stubs"][0]["id"], "mine");
    api.ask(200, "PUT", "/api/mocks/dials/post/slow?session=anna", json!({"delay": {"fixed": "1ms"}})).await;
    api.ask(200, "GET", "/api/mocks/dials/post?session=anna", NONE).await;
    api.ask(200, "GET", "/api/mocks/sessions", NONE).await;
    misspelt(api, "GET", "/api/mocks/sessions", NONE).await;
    let exported = api.ask(200, "GET", "/api/mocks/sessions/anna/export", NONE).await;
    let text = exported["files"]["session.yaml"].as_str().expect("a text").to_owned();
    for (method, what) in [("GET", ""), ("POST", "/reset"), ("DELETE", "")] {
        api.ask(200, method, &format!("/api/mocks/sessions/anna{what}"), NONE).await;
        api.ask(404, method, &format!("/api/mocks/sessions/nobody{what}"), NONE).await;
    }
    api.ask(404, "GET", "/api/mocks/sessions/anna/export", NONE).await;
    // What was exported opens one like it.
    api.send(200, "POST", "/api/mocks/sessions", &[("content-type", "application/yaml")], &text).await;
    let dials = api.ask(200, "GET", "/api/mocks/dials/post?session=anna", NONE).await;
    assert_eq!(dials["dials"][0]["id"], "slow", "{text}");
}

async fn evidence(api: &mut Checked<'_>) {
    let page = api.ask(200, "GET", "/api/mocks/journal?limit=1", NONE).await;
    let next = page["next"].as_u64().expect("another page");
    api.ask(200, "GET", &format!("/api/mocks/journal?before={next}&key=A1&miss=false"), NONE).await;
    misspelt(api, "GET", "/api/mocks/journal", NONE).await;
    api.ask(200, "GET", "/api/mocks/journal/1?raw=true", NONE).await;
    let miss = api.ask(200, "GET", "/api/mocks/journal/2", NONE).await;
    assert_eq!(miss["miss"], true);
    api.ask(404, "GET", "/api/mocks/journal/99", NONE).await;
    api.ask(400, "GET", "/api/mocks/journal/first", NONE).await;
    api.send(200, "GET", "/api/mocks/journal/tail?partner=post", &[], "").await;
    misspelt(api, "GET", "/api/mocks/journal/tail", NONE).await;
    let verify = json!({"partner": "post", "since": 1, "when": {"stub": "order", "all": [{"json": "$.request.orderNo", "equals": "A1"}]}, "count": 1});
    assert_eq!(api.ask(200, "POST", "/api/mocks/verify", verify).await["ok"], true);
    let near = json!({"when": {"stub": "again"}, "order": [{"stub": "order"}], "nothingElse": true});
    assert_eq!(api.ask(200, "POST", "/api/mocks/verify", near).await["ok"], false);
    api.ask(422, "POST", "/api/mocks/verify", json!({"whem": {}})).await;
    let scored = api.ask(200, "POST", "/api/mocks/score", json!({"pack": "midterm"})).await;
    assert_eq!(scored["messages"][0]["points"], 1.0, "{scored}");
    api.ask(404, "POST", "/api/mocks/score", json!({"pack": "none"})).await;
    api.ask(422, "POST", "/api/mocks/score", json!({})).await;
    api.ask(200, "DELETE", "/api/mocks/journal", NONE).await;
    misspelt(api, "DELETE", "/api/mocks/journal", NONE).await;
}

async fn memory(api: &mut Checked<'_>) {
    let state = "/api/mocks/state/post";
    let put = json!({"states": {"main": "placed"}, "data": {"no": "E1"}});
    api.ask(200, "PUT", &format!("{state}/B1"), put.clone()).await;
    api.ask(200, "GET", &format!("{state}?limit=1"), NONE).await;
    api.ask(200, "GET", &format!("{state}/B1"), NONE).await;
    api.ask(200, "DELETE", &format!("{state}/B1"), NONE).await;
    api.ask(404, "DELETE", &format!("{state}/B1"), NONE).await;
    api.ask(404, "GET", &format!("{state}/B1"), NONE).await;
    api.ask(404, "GET", "/api/mocks/state/nobody", NONE).await;
    api.ask(404, "PUT", "/api/mocks/state/nobody/B1", put).await;
    api.ask(422, "PUT", &format!("{state}/B1"), json!({"states": {"main": 1}})).await;
    api.ask(200, "GET", "/api/mocks/tables", NONE).await;
    misspelt(api, "GET", "/api/mocks/tables", NONE).await;
    let rows = api.ask(200, "GET", "/api/mocks/tables/city.cards?limit=2", NONE).await;
    assert!(rows["next"].is_string(), "{rows}");
    api.ask(422, "GET", "/api/mocks/tables/city.cards?column=name", NONE).await;
    let row = "/api/mocks/tables/city.cards/N1";
    api.ask(200, "PUT", row, json!({"status": "LOST"})).await;
    api.ask(422, "PUT", row, json!({"colour": "red"})).await;
    api.ask(404, "PUT", "/api/mocks/tables/none/N1", json!({"a": 1})).await;
    api.ask(200, "GET", row, NONE).await;
    api.ask(200, "DELETE", row, NONE).await;
    api.ask(404, "GET", row, NONE).await;
    api.ask(404, "DELETE", "/api/mocks/tables/none/N1", NONE).await;
}

async fn moving(api: &mut Checked<'_>) {
    api.ask(200, "GET", "/api/mocks/carriers/gate", NONE).await;
    api.ask(404, "GET", "/api/mocks/carriers/nobody", NONE).await;
    let uplink = json!({"from": "13800000001", "to": "106812345", "text": "TD", "after": "1h"});
    api.ask(200, "POST", "/api/mocks/carriers/gate/uplink", uplink.clone()).await;
    api.ask(404, "POST", "/api/mocks/carriers/nobody/uplink", uplink.clone()).await;
    api.ask(422, "POST", "/api/mocks/carriers/post/uplink", uplink).await;
    api.ask(200, "POST", "/api/mocks/carriers/gate/disconnect", NONE).await;
    api.ask(404, "POST", "/api/mocks/carriers/nobody/disconnect", NONE).await;
    api.ask(200, "PUT", "/api/mocks/clock", json!({"stopAt": "2026-03-01T08:00:00+08:00"})).await;
    api.ask(422, "PUT", "/api/mocks/clock", json!({"run": true, "reset": true})).await;
    api.ask(200, "GET", "/api/mocks/clock", NONE).await;
    misspelt(api, "GET", "/api/mocks/clock", NONE).await;
    let start = json!({"key": "P1", "request": {"orderNo": "P1"}});
    let path = "/api/mocks/plans/post/track/start";
    let run = api.ask(200, "POST", path, start.clone()).await["run"].clone();
    api.ask(404, "POST", "/api/mocks/plans/post/none/start", start).await;
    api.ask(422, "POST", path, json!({"request": {}})).await;
    api.ask(200, "GET", "/api/mocks/plans/post?key=P1", NONE).await;
    api.ask(404, "GET", "/api/mocks/plans/nobody", NONE).await;
    let step = format!("/api/mocks/runs/{run}/steps/collected");
    api.ask(200, "POST", &step, json!({"action": "skip"})).await;
    api.ask(422, "POST", &step, json!({"action": "now"})).await;
    api.ask(404, "POST", "/api/mocks/runs/999/steps/collected", json!({"action": "now"})).await;
    timers(api).await;
    api.ask(200, "POST", "/api/mocks/clock/advance", json!({"by": "1m"})).await;
    api.ask(422, "POST", "/api/mocks/clock/advance", json!({"by": "9000d"})).await;
}

async fn timers(api: &mut Checked<'_>) {
    let waiting = api.ask(200, "GET", "/api/mocks/timers?limit=10", NONE).await;
    misspelt(api, "GET", "/api/mocks/timers", NONE).await;
    let pushes: Vec<u64> = waiting["timers"]
        .as_array()
        .expect("timers")
        .iter()
        .filter(|timer| timer["partner"] == "post")
        .filter_map(|timer| timer["id"].as_u64())
        .collect();
    let (first, last) = (pushes.first().expect("a push"), pushes.last().expect("a push"));
    api.ask(200, "POST", &format!("/api/mocks/timers/{first}/fire"), NONE).await;
    api.ask(404, "POST", &format!("/api/mocks/timers/{first}/fire"), NONE).await;
    api.ask(200, "DELETE", &format!("/api/mocks/timers/{last}"), NONE).await;
    api.ask(404, "DELETE", &format!("/api/mocks/timers/{last}"), NONE).await;
}

/// What is on the disk is no longer what is served.
async fn changed_files(api: &mut Checked<'_>, mocks: &Mocks) {
    write(&mocks.folder, "post/partner.yaml", &POST.replace("title: 物流", "titel: 物流"));
    let refused = api.ask(409, "GET", "/api/mocks/partners/post/export", NONE).await;
    assert!(refused["error"].as_str().is_some_and(|text| text.contains("partner.yaml")), "{refused}");
    let refused = api.ask(422, "POST", "/api/mocks/reload", NONE).await;
    assert!(refused["mistakes"][0]["remedy"].is_string(), "{refused}");
    write(&mocks.folder, "post/partner.yaml", POST);
    api.ask(200, "POST", "/api/mocks/reload", NONE).await;
    misspelt(api, "POST", "/api/mocks/reload", NONE).await;
}

async fn whole(api: &mut Checked<'_>) {
    api.ask(200, "POST", "/api/mocks/reset", json!({"partner": "post"})).await;
    api.ask(404, "POST", "/api/mocks/reset", json!({"partner": "nobody"})).await;
    let described = api.ask(200, "GET", "/api/mocks/openapi.json", NONE).await;
    assert_eq!(described, super::document());
    misspelt(api, "GET", "/api/mocks/openapi.json", NONE).await;
}
