//! The three real paths, end to end: real binary, real sockets, mock partners, seals on the wire.
use qiao_tests::bus::Bus;
use serde_json::Value;

/// Names of a call's spans.
fn spans(bus: &Bus, call: &Value) -> Vec<String> {
    let id = call["callId"].as_str().expect("a call id");
    let (code, trace) = bus.json(&["trace", id]);
    assert_eq!(code, 0, "{trace}");
    let spans = trace["spans"].as_array().expect("spans");
    spans.iter().map(|span| span["name"].as_str().expect("a name").to_owned()).collect()
}

#[track_caller]
fn has_all(spans: &[String], wanted: &[&str]) {
    for wanted in wanted {
        assert!(spans.iter().any(|span| span == wanted), "no span `{wanted}` in {spans:?}");
    }
}

#[test]
fn every_example_of_every_interface_passes() {
    let bus = Bus::start();
    let (code, rows) = bus.json(&["selftest"]);
    let rows = rows.as_array().expect("rows");
    assert_eq!(code, 0, "{rows:#?}");
    let interfaces: Vec<_> = rows.iter().filter_map(|row| row["interface"].as_str()).collect();
    for needed in ["permit.registration-upload", "ems.order-create", "apps.one-screen"] {
        assert!(interfaces.contains(&needed), "{interfaces:?}");
    }
}

#[test]
fn a_registration_is_sealed_in_and_out_and_every_step_is_traced() {
    let bus = Bus::start();
    let request = bus.request("permit.registration-upload", 1);
    let sent = String::from_utf8_lossy(&request.body).into_owned();
    assert!(sent.contains("encKey") && !sent.contains("310101199003074511"), "sealed: {sent}");
    let (code, call) = bus.json(&["call", "permit.registration-upload"]);
    assert_eq!(code, 0, "{call}");
    assert_eq!(call["sealed"], true);
    assert_eq!(call["body"]["data"]["mayApplyNow"], true);
    let spans = spans(&bus, &call);
    has_all(
        &spans,
        &["accept", "identify", "admit", "open", "validate", "contribution", "registration", "respond"],
    );
}

#[test]
fn with_hrss_stopped_a_registration_is_still_accepted_and_says_why_it_was_not_checked() {
    let bus = Bus::start();
    let stopped = bus.admin("POST", "/api/mocks/partners/hrss/stop", b"");
    assert_eq!(stopped.status, 200, "{}", stopped.text());
    let (code, call) = bus.json(&["call", "permit.registration-upload"]);
    assert_eq!(code, 0, "{call}");
    let data = &call["body"]["data"];
    assert_eq!(data["checked"], false, "{call}");
    assert_eq!(data["mayApplyNow"], false);
    assert!(data["mayApplyFrom"].as_str().is_some_and(|day| day.len() == 10), "{data}");
    assert!(data["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{data}");
    let started = bus.admin("POST", "/api/mocks/partners/hrss/start", b"");
    assert_eq!(started.status, 200, "{}", started.text());
    let (_, call) = bus.json(&["call", "permit.registration-upload", "--example", "2"]);
    assert_eq!(call["body"]["data"]["checked"], true, "{call}");
}

#[test]
fn an_order_repeated_gets_the_same_waybill() {
    let bus = Bus::start();
    let (code, first) = bus.json(&["call", "ems.order-create"]);
    assert_eq!(code, 0, "{first}");
    let (_, second) = bus.json(&["call", "ems.order-create"]);
    assert_eq!(first["body"]["data"]["waybillNo"], second["body"]["data"]["waybillNo"]);
    has_all(&spans(&bus, &first), &["draft", "order"]);
}

#[test]
fn one_screen_returns_the_other_parts_when_one_is_down() {
    let bus = Bus::start();
    for part in ["card", "permit", "senior"] {
        assert_eq!(bus.admin("POST", &format!("/api/mocks/partners/{part}/stop"), b"").status, 200);
        let (code, call) = bus.json(&["call", "apps.one-screen"]);
        assert_eq!(code, 0, "{call}");
        let data = &call["body"]["data"];
        let notices = data["notices"].as_array().expect("notices");
        assert_eq!(notices.len(), 1, "{data}");
        assert_eq!(notices[0]["part"], part);
        assert!(data[part].is_null(), "{data}");
        let others = ["card", "permit", "senior"].into_iter().filter(|other| *other != part);
        others.for_each(|other| assert!(data[other].is_object(), "{other} in {data}"));
        assert_eq!(bus.admin("POST", &format!("/api/mocks/partners/{part}/start"), b"").status, 200);
    }
}
