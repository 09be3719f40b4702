//! Grants: rates, quotas, windows, and callers without one.
use std::path::Path;

use qiao_tests::{bus::Bus, http::Connection};
use serde_json::Value;

fn add(folder: &Path, grant: &str, line: &str) {
    let name = line.split(':').next().expect("a key").to_owned();
    Bus::rewrite(folder, &format!("grants/{grant}.yaml"), |text| {
        let kept: Vec<_> = text.lines().filter(|line| !line.starts_with(&format!("{name}:"))).collect();
        format!("{}\n{line}\n", kept.join("\n"))
    });
}

#[test]
fn above_its_rate_a_caller_is_told_when_to_come_back() {
    let folder = Bus::prepare();
    add(folder.path(), "hotline-desk-queries", "rate: {perSecond: 1, burst: 2}");
    let bus = Bus::start_in(folder);
    let request = bus.request("card.card-query", 1);
    let mut connection = Connection::open(bus.gateway).expect("open");
    let answers: Vec<_> = (0..40).map(|_| request.send(&mut connection).expect("an answer")).collect();
    assert_eq!(answers[0].status, 200, "{}", answers[0].text());
    let refused = answers.iter().find(|answer| answer.status != 200).expect("one above the rate");
    assert_eq!((refused.status, refused.json()["code"].as_str()), (429, Some("QIAO-3003")));
    assert_eq!(refused.json()["repeat"], "safe", "{}", refused.text());
    let wait: u64 = refused.one("retry-after").parse().expect("seconds");
    assert!((1..=2).contains(&wait), "{wait}");
    let trace = bus.trace(refused.one("x-qiao-call-id"));
    assert_eq!((trace["outcome"].as_str(), trace["caller"].as_str()), (Some("denied"), Some("hotline-desk")));
}

#[test]
fn a_days_quota_outlasts_a_reload_and_is_not_used_up_by_what_is_refused_for_its_size() {
    let folder = Bus::prepare();
    add(folder.path(), "hotline-desk-queries", "quota: {perDay: 2}");
    let bus = Bus::start_in(folder);
    let request = bus.request("card.card-query", 1);
    let mut too_large = request.clone();
    too_large.body = vec![b' '; 20 << 10];
    let send = |request: &qiao_tests::bus::Request| {
        request.send(&mut Connection::open(bus.gateway).expect("open")).expect("an answer")
    };
    for _ in 0..3 {
        assert_eq!(send(&too_large).status, 413);
    }
    assert_eq!(send(&request).status, 200);
    assert_eq!(bus.admin("POST", "/api/reload", b"").status, 200);
    assert_eq!(send(&request).status, 200);
    let refused = send(&request);
    assert_eq!((refused.status, refused.json()["code"].as_str()), (429, Some("QIAO-3002")));
    let wait: u64 = refused.one("retry-after").parse().expect("seconds");
    assert!((1..=86_400).contains(&wait), "until midnight: {wait}");
}

#[test]
fn whoever_cannot_prove_to_be_the_caller_does_not_use_up_its_quota() {
    let folder = Bus::prepare();
    add(folder.path(), "civil-permit", "quota: {perDay: 1}");
    let bus = Bus::start_in(folder);
    let request = bus.request("permit.registration-upload", 1);
    let mut forged = request.clone();
    let mut sealed: Value = serde_json::from_slice(&request.body).expect("JSON");
    let sign = sealed["sign"].as_str().expect("a signature").to_owned();
    sealed["sign"] = Value::from(format!("{}{}", if sign.starts_with('A') { 'B' } else { 'A' }, &sign[1..]));
    forged.body = sealed.to_string().into_bytes();
    let mut connection = Connection::open(bus.gateway).expect("open");
    for _ in 0..3 {
        assert_eq!(forged.send(&mut connection).expect("an answer").status, 401);
    }
    let answer = request.send(&mut connection).expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn outside_its_window_and_without_a_grant_a_caller_is_turned_away() {
    let folder = Bus::prepare();
    add(folder.path(), "permit-hrss", "window: {until: \"2020-01-01\"}");
    let bus = Bus::start_in(folder);
    let (code, call) = bus.json(&["call", "hrss.continuous-contribution"]);
    assert_eq!((code, call["status"].as_u64()), (1, Some(403)), "{call}");
    assert_eq!(call["body"]["code"], "QIAO-2004");
    let (code, call) = bus.json(&["call", "ems.order-create", "--as", "portal"]);
    assert_eq!((code, call["status"].as_u64()), (1, Some(403)), "{call}");
    assert_eq!(call["body"]["code"], "QIAO-2005");
    let unknown = bus.command(&["call", "ems.order-create", "--as", "nobody"]);
    assert_eq!(unknown.status.code(), Some(1));
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(said.contains("the callers are") && said.contains("portal"), "{said}");
}
