//! A partner that is down: its breaker opens, metrics and logs tell.
use qiao_tests::{bus::Bus, http::Connection};
use serde_json::Value;

#[test]
fn a_partner_that_is_down_opens_its_breaker_and_metrics_and_logs_tell() {
    let folder = Bus::prepare();
    Bus::rewrite(folder.path(), "systems/hrss.yaml", |text| {
        text.replace(
            "window: 10s, minimum: 20, failureRate: 0.5, open: 5s",
            "window: 60s, minimum: 2, failureRate: 0.5, open: 60s",
        )
    });
    let bus = Bus::start_in(folder);
    let breaker = |state: u32| format!("qiao_breaker_state{{system=\"hrss\"}} {state}\n");
    assert!(bus.admin("GET", "/metrics", b"").text().contains(&breaker(0)));
    assert_eq!(bus.admin("POST", "/api/mocks/partners/hrss/stop", b"").status, 200);
    let request = bus.request("hrss.insurance-query", 1);
    let mut connection = Connection::open(bus.gateway).expect("open");
    let answers: Vec<_> = (0..6).map(|_| request.send(&mut connection).expect("an answer")).collect();
    let codes: Vec<_> =
        answers.iter().map(|answer| answer.json()["code"].as_str().unwrap_or_default().to_owned()).collect();
    assert_eq!(codes.last().map(String::as_str), Some("QIAO-5003"), "{codes:?}");
    assert_ne!(codes[0], "QIAO-5003", "{codes:?}");
    assert_eq!(answers[5].status, 503);
    let metrics = bus.admin("GET", "/metrics", b"").text();
    assert!(metrics.contains(&breaker(2)), "{metrics}");
    assert!(
        metrics.contains("qiao_calls_total{interface=\"hrss.insurance-query\",outcome=\"failed\"}"),
        "{metrics}"
    );
    let opened = metrics.lines().find(|line| line.starts_with("qiao_faults_total{code=\"QIAO-5003\"}"));
    assert!(opened.is_some_and(|line| !line.ends_with(" 0")), "{opened:?}");
    for answer in [&answers[0], &answers[5]] {
        let id = answer.one("x-qiao-call-id");
        let log = bus.log();
        let lines: Vec<Value> = log
            .lines()
            .filter(|line| line.contains(id))
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        assert_eq!(lines.len(), 1, "one line per failed call: {log}");
        assert_eq!(lines[0]["interface"], "hrss.insurance-query");
        assert_eq!(lines[0]["fault"], answer.json()["code"]);
        assert_eq!(lines[0]["level"], "WARN");
        assert!(lines[0]["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{}", lines[0]);
    }
}

#[test]
fn every_metric_says_what_it_is() {
    let bus = Bus::start();
    assert_eq!(bus.json(&["selftest"]).0, 0);
    let metrics = bus.admin("GET", "/metrics", b"").text();
    let mut described = std::collections::BTreeSet::new();
    for line in metrics.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').expect("a name and a text");
            assert!(text.len() > 15 && text.ends_with('.'), "{line}");
            described.insert(name.to_owned());
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().expect("a name");
            let base =
                ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            assert!(described.contains(name) || described.contains(base), "{line} has no help text");
        }
    }
    for needed in [
        "qiao_calls_total",
        "qiao_call_duration_seconds",
        "qiao_faults_total",
        "qiao_breaker_state",
        "qiao_record_queue_depth",
    ] {
        assert!(described.contains(needed), "{needed} in {described:?}");
    }
}
