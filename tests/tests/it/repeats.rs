//! Requests that are sent again: by somebody who recorded them, and by callers who got no answer.
use std::{fs, path::Path};

use qiao_tests::{
    bus::{Bus, Request},
    http::{Answer, Connection},
};
use serde_json::Value;

/// A caller of the generic government style: sorted pairs of headers and the body's digest, with a shared key at their end.
/// `time` and `nonce` are the parts by which it makes its own.
fn add_caller(folder: &Path, id: &str, time: &str, nonce: &str) {
    let signed = "      - {name: digest, sm3: plain}
      - {name: body, encode: {data: digest, as: hex}}
      - {name: pairs, sortedPairs: {pairs: {appid: appid, method: method, body: body, nonce: nonce, timestamp: timestamp}}}
      - {name: key, keyBytes: shared.key}
      - {name: text, text: \"${pairs}&key=${key}\"}
      - {name: sum, sm3: text}\n";
    let system = format!(
        "system: {id}
title: 集成枢纽
envelopes:
  signed:
    keys: {{shared.key: 'vault:{id}/key'}}
    seal:
      - {{name: appid, param: caller}}
      - {{name: method, param: path}}
      - {{name: timestamp, {time}}}
      - {{name: random, random: 8}}
      - {{name: nonce, {nonce}}}
{signed}    write:
      x-nonce: {{part: nonce, as: text}}
      x-timestamp: {{part: timestamp, as: text}}
      x-sign: {{part: sum, as: HEX}}
    open:
      - {{name: plain, read: {{field: body, as: text}}}}
      - {{name: appid, read: {{field: /headers/x-app-id, as: text}}}}
      - {{name: method, read: {{field: path, as: text}}}}
      - {{name: timestamp, read: {{field: /headers/x-timestamp, as: text}}}}
      - {{name: nonce, read: {{field: /headers/x-nonce, as: text}}}}
      - {{name: sign, read: {{field: /headers/x-sign, as: HEX}}}}
{signed}      - {{name: holds, equals: {{left: sum, right: sign}}}}
"
    );
    let caller = format!(
        "caller: {id}\ntitle: 集成枢纽\ncredential: {{envelope: {{system: {id}, envelope: signed, over: request}}}}\n"
    );
    let grant = format!(
        "grant: {id}-all\ncaller: {id}\ninterfaces: [card.card-query, ems.order-create, hrss.insurance-query]\n"
    );
    for (file, text) in [
        (format!("systems/{id}.yaml"), system),
        (format!("callers/{id}.yaml"), caller),
        (format!("grants/{id}-all.yaml"), grant),
    ] {
        fs::write(folder.join("routes").join(file), text).expect("written");
    }
}

const NOW: &str = "param: time";
const OWN: &str = "encode: {data: random, as: hex}";

/// The request that this caller would send.
fn request_as(bus: &Bus, caller: &str, interface: &str) -> Request {
    let (code, value) = bus.json(&["call", interface, "--dry-run", "--example", "1", "--as", caller]);
    assert_eq!(code, 0, "{value}");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let headers = value["headers"].as_object().expect("headers");
    let headers = headers.iter().map(|(name, value)| (name.clone(), text(value))).collect();
    Request { path: text(&value["path"]), headers, body: text(&value["body"]).into_bytes() }
}

fn send(bus: &Bus, request: &Request) -> Answer {
    request.send(&mut Connection::open(bus.gateway).expect("open")).expect("an answer")
}

fn with(mut request: Request, name: &str, value: &str) -> Request {
    request.headers.push((name.to_owned(), value.to_owned()));
    request
}

fn refused(bus: &Bus, request: &Request, status: u16, code: &str) -> String {
    let answer = send(bus, request);
    let said = (answer.status, answer.json()["code"].as_str().unwrap_or_default().to_owned());
    assert_eq!(said, (status, code.to_owned()), "{}", answer.text());
    let trace = bus.trace(answer.one("x-qiao-call-id"));
    let spans = trace["spans"].as_array().expect("spans");
    let denied = spans.iter().find(|span| span["fault"].is_u64()).map(|span| &span["note"]);
    denied.and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn answered(bus: &Bus, request: &Request) -> Answer {
    let answer = send(bus, request);
    assert_eq!(answer.status, 200, "{}\n{}", answer.text(), bus.log());
    answer
}

#[test]
fn a_sealed_request_that_somebody_sends_again_is_refused_and_a_fresh_one_is_answered() {
    let folder = Bus::prepare();
    Bus::rewrite(folder.path(), "grants/civil-permit.yaml", |text| text.replace("1000000", "2"));
    let bus = Bus::start_in(folder);
    let request = bus.request("permit.registration-upload", 1);
    answered(&bus, &request);
    for _ in 0..3 {
        let why = refused(&bus, &request, 401, "QIAO-2003");
        assert!(why.contains("used before"), "{why}");
    }
    // What is not signed does not make it another message.
    let mut altered = request.clone();
    let mut sealed: Value = serde_json::from_slice(&request.body).expect("JSON");
    sealed["more"] = Value::from(1);
    altered.body = sealed.to_string().into_bytes();
    refused(&bus, &altered, 401, "QIAO-2003");
    // The second of the day's two: repeats used up nothing.
    answered(&bus, &bus.request("permit.registration-upload", 1));
}

#[test]
fn a_request_signed_in_headers_passes_once_and_only_around_its_time() {
    let folder = Bus::prepare();
    add_caller(folder.path(), "hub", NOW, OWN);
    add_caller(folder.path(), "stale", "text: '20200101080000'", OWN);
    add_caller(folder.path(), "ahead", "text: '4070908800'", OWN);
    add_caller(folder.path(), "wordy", "text: soon", OWN);
    let bus = Bus::start_in(folder);
    for interface in ["card.card-query", "hrss.insurance-query"] {
        let request = request_as(&bus, "hub", interface);
        answered(&bus, &request);
        assert!(refused(&bus, &request, 401, "QIAO-2003").contains("used before"), "{interface}");
        answered(&bus, &request_as(&bus, "hub", interface));
        for (caller, why) in [("stale", "s old"), ("ahead", "s ahead"), ("wordy", "cannot be read")] {
            let said = refused(&bus, &request_as(&bus, caller, interface), 401, "QIAO-2003");
            assert!(said.contains(why), "{interface}, {caller}: {said}");
        }
    }
}

#[test]
fn a_signed_request_that_was_altered_is_refused_and_leaves_its_nonce_free() {
    let folder = Bus::prepare();
    add_caller(folder.path(), "hub", NOW, OWN);
    let bus = Bus::start_in(folder);
    for interface in ["card.card-query", "hrss.insurance-query"] {
        let request = request_as(&bus, "hub", interface);
        let mut other = request.clone();
        other.body.push(b' ');
        refused(&bus, &other, 401, "QIAO-2002");
        for header in ["x-nonce", "x-timestamp", "x-sign"] {
            let mut other = request.clone();
            let value = other.headers.iter_mut().find(|(name, _)| name == header).map(|(_, value)| value);
            value.expect("the header").replace_range(0..1, "9");
            refused(&bus, &other, 401, "QIAO-2002");
            let mut without = request.clone();
            without.headers.retain(|(name, _)| name != header);
            refused(&bus, &without, 401, "QIAO-2002");
            refused(&bus, &with(request.clone(), header, "1"), 401, "QIAO-2002");
        }
        answered(&bus, &request);
    }
}

#[test]
fn nonces_of_two_callers_have_nothing_to_do_with_one_another_and_outlast_a_reload() {
    let folder = Bus::prepare();
    for caller in ["hub", "hub-two"] {
        add_caller(folder.path(), caller, NOW, "text: one-nonce-for-all");
    }
    let bus = Bus::start_in(folder);
    answered(&bus, &request_as(&bus, "hub", "card.card-query"));
    answered(&bus, &request_as(&bus, "hub-two", "card.card-query"));
    assert_eq!(bus.admin("POST", "/api/reload", b"").status, 200);
    for caller in ["hub", "hub-two"] {
        let why = refused(&bus, &request_as(&bus, caller, "card.card-query"), 401, "QIAO-2003");
        assert!(why.contains("used before"), "{caller}: {why}");
    }
    let metrics = bus.admin("GET", "/metrics", b"").text();
    assert!(metrics.contains("qiao_remembered_nonces 2"), "{metrics}");
}

#[test]
fn a_repeat_under_an_idempotency_key_gets_the_first_answer_and_nothing_is_done_twice() {
    let folder = Bus::prepare();
    add_caller(folder.path(), "hub", NOW, OWN);
    let bus = Bus::start_in(folder);
    let fresh = || request_as(&bus, "hub", "ems.order-create");
    let first = answered(&bus, &with(fresh(), "Idempotency-Key", "order-17"));
    let again = answered(&bus, &with(fresh(), "Idempotency-Key", "order-17"));
    assert_eq!(again.one("idempotent-replayed"), "true");
    assert!(first.all("idempotent-replayed").is_empty());
    assert_eq!((&again.body, again.one("content-type")), (&first.body, first.one("content-type")));
    let spans = bus.trace(again.one("x-qiao-call-id"))["spans"].to_string();
    assert!(!spans.contains("attempt") && spans.contains("answered as before"), "{spans}");
    let other = answered(&bus, &with(fresh(), "Idempotency-Key", "order-18"));
    assert_ne!(other.body, first.body, "another order has another waybill");
    // The key does not make a repeat of the same message pass.
    let recorded = with(fresh(), "Idempotency-Key", "order-19");
    answered(&bus, &recorded);
    refused(&bus, &recorded, 401, "QIAO-2003");
    for wrong in ["", "two words", &"x".repeat(129)] {
        refused(&bus, &with(fresh(), "Idempotency-Key", wrong), 400, "QIAO-1001");
    }
}

#[test]
fn a_key_is_refused_for_another_request_and_sealed_answers_are_sealed_anew() {
    let bus = Bus::start();
    let one = with(bus.request("card.card-query", 1), "Idempotency-Key", "a");
    answered(&bus, &one);
    let mut other = one.clone();
    let mut body: Value = serde_json::from_slice(&one.body).expect("JSON");
    body["name"] = Value::from("李㛃");
    other.body = body.to_string().into_bytes();
    refused(&bus, &other, 422, "QIAO-1008");
    assert_eq!(answered(&bus, &one).one("idempotent-replayed"), "true");
    let sealed = || with(bus.request("permit.registration-upload", 1), "Idempotency-Key", "b");
    let (first, again) = (answered(&bus, &sealed()), answered(&bus, &sealed()));
    assert_eq!(again.one("idempotent-replayed"), "true");
    assert_ne!(first.json()["cipher"], again.json()["cipher"], "sealed anew");
}

#[test]
fn a_caller_known_by_its_bodys_seal_is_not_let_into_what_is_passed_through_unread() {
    let folder = Bus::prepare();
    Bus::rewrite(folder.path(), "grants/civil-permit.yaml", |text| {
        text.replace("[permit.registration-upload]", "[permit.registration-upload, 'hrss.*']")
    });
    let bus = Bus::start_in(folder);
    let mut forged = bus.request("hrss.insurance-query", 1);
    forged.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("x-app-key"));
    let named = forged.headers.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case("x-app-id"));
    named.expect("the caller").1 = "civil".to_owned();
    refused(&bus, &forged, 403, "QIAO-2005");
    Bus::rewrite(bus.folder(), "grants/civil-permit.yaml", |text| {
        text.replace("hrss.*", "hrss.insurance-query")
    });
    let answer = bus.admin("POST", "/api/reload", b"");
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert!(answer.text().contains("known by what it seals"), "{}", answer.text());
}
