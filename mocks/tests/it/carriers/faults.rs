//! Every fault of a gateway as the service provider sees it.
use std::time::{Duration, Instant};

use qiao_wire::cmpp::{ActiveTest, Command, StatusReport, Version};
use serde_json::{Value, json};

use super::client::{
    End, SECRET, Sp, account_once, advance, connect, dial, fault, gateway, head, journal, message, partner,
    stop_clock,
};
use crate::help::{Mocks, PATIENCE};

fn plain(more: &str) -> String {
    partner("cmpp", "901234", more, "")
}

/// The fault of the newest journal entry of a method.
async fn struck(mocks: &Mocks, method: &str) -> Value {
    journal(mocks, method).await.last().map(|entry| entry["fault"].clone()).unwrap_or_default()
}

#[tokio::test]
async fn logins_fail_as_the_dial_says_or_are_never_answered() {
    let mocks = gateway(&plain(""));
    for status in [3, 4, 5] {
        fault(&mocks, "carrier-login", json!({"kind": "business", "json": {"result": status}})).await;
        let mut sp = Sp::connect(&mocks, Version::V30).await;
        assert_eq!(sp.login("901234", SECRET, 0x30).await.status.0, status);
        assert_eq!(sp.wire.rest().await, End::Closed(Vec::new()));
    }
    account_once(&mocks, |account| account["connections"] == 0).await;
    fault(&mocks, "carrier-login", json!({"kind": "no-answer"})).await;
    let mut sp = Sp::connect(&mocks, Version::V30).await;
    sp.send(connect("901234", SECRET, 0x30)).await;
    let begun = Instant::now();
    while struck(&mocks, "LOGIN").await != "no-answer (dial fault)" {
        assert!(begun.elapsed() < PATIENCE);
    }
    assert!(sp.wire.silent(Duration::from_millis(50)).await);
}

#[tokio::test]
async fn a_login_answer_can_carry_a_digest_of_another_secret() {
    let mocks = gateway(&plain(""));
    fault(&mocks, "carrier-login", json!({"kind": "bad-signature"})).await;
    let mut sp = Sp::connect(&mocks, Version::V30).await;
    let resp = sp.login("901234", SECRET, 0x30).await;
    let source = qiao_wire::cmpp::auth::source(
        &qiao_wire::FixedText::new("901234").expect("fits"),
        b"1234",
        super::client::NOON,
    );
    let honest = qiao_wire::cmpp::auth::ismg(Version::V30, 0, &source, b"1234").expect("a digest");
    assert_eq!(resp.status.0, 0);
    assert!(!qiao_wire::digests_match(&honest, &resp.authenticator_ismg));
}

#[tokio::test]
async fn a_message_is_answered_late_or_never_and_reported_all_the_same() {
    let mocks = gateway(&plain(""));
    stop_clock(&mocks).await;
    let mut sp = Sp::logged_in(&mocks, Version::V30).await;
    dial(&mocks, "fault", json!({"for": {"stub": "taken"}, "delay": {"fixed": "80ms"}})).await;
    let begun = Instant::now();
    sp.submit(message("13800000001", "late")).await;
    assert!(begun.elapsed() >= Duration::from_millis(80));
    dial(&mocks, "fault", json!({"for": {"stub": "taken"}, "fault": {"kind": "no-answer"}})).await;
    let sequence = sp.send(Command::Submit(message("13800000002", "never"))).await;
    account_once(&mocks, |account| account["accepted"] == 2).await;
    assert!(sp.wire.silent(Duration::from_millis(50)).await, "{sequence} was answered");
    let begun = Instant::now();
    let mut fired = 0;
    while fired < 2 {
        fired += advance(&mocks, "1s").await;
        assert!(begun.elapsed() < PATIENCE);
    }
    let numbers: Vec<_> = [sp.report().await, sp.report().await]
        .iter()
        .map(|report| report.dest_terminal_id.0.as_str().map(str::to_owned))
        .collect();
    assert_eq!(numbers, [Some("13800000001".to_owned()), Some("13800000002".to_owned())]);
    assert_eq!(struck(&mocks, "SUBMIT").await, "no-answer (dial fault)");
}

#[tokio::test]
async fn flow_control_strikes_in_bursts() {
    let mocks = gateway(&plain(""));
    let mut sp = Sp::logged_in(&mocks, Version::V20).await;
    fault(&mocks, "taken", json!({"kind": "throttle", "first": 3})).await;
    let mut results = Vec::new();
    for _ in 0..5 {
        results.push(sp.submit(message("13800000001", "x")).await.result.0);
    }
    assert_eq!(results, [8, 8, 8, 0, 0]);
    fault(&mocks, "taken", json!({"kind": "business", "json": {"result": 12}, "every": 2})).await;
    assert_eq!(sp.submit(message("13800000001", "x")).await.result.0, 0);
    assert_eq!(sp.submit(message("13800000001", "x")).await.result.0, 12);
    assert_eq!(account_once(&mocks, |account| account["refused"] == 4).await["accepted"], 3);
}

#[tokio::test]
async fn reports_come_twice_before_the_answer_after_two_days_or_never() {
    let mocks = gateway(&plain(""));
    stop_clock(&mocks).await;
    let mut sp = Sp::logged_in(&mocks, Version::V30).await;
    fault(&mocks, "taken", json!({"kind": "duplicate"})).await;
    let id = sp.submit(message("13800000001", "twice")).await.msg_id;
    assert_eq!(advance(&mocks, "1s").await, 2);
    assert_eq!([sp.report().await.msg_id, sp.report().await.msg_id], [id, id]);
    fault(&mocks, "taken", json!({"kind": "out-of-order"})).await;
    let sequence = sp.send(Command::Submit(message("13800000001", "early"))).await;
    let early = sp.report().await;
    let answer = sp.next().await;
    assert_eq!(answer.sequence, sequence);
    assert!(
        matches!(answer.command, Command::SubmitResp(resp) if resp.msg_id == early.msg_id && resp.result.0 == 0)
    );
    fault(
        &mocks,
        "taken",
        json!({"kind": "business", "json": {"report": {"after": "48h", "stat": "UNDELIV"}}}),
    )
    .await;
    let id = sp.submit(message("13800000001", "late")).await.msg_id;
    assert_eq!(advance(&mocks, "47h").await, 0);
    assert_eq!(advance(&mocks, "1h").await, 1);
    let late = sp.report().await;
    assert_eq!(
        (late.msg_id, late.stat.as_str(), late.done_time.as_str()),
        (id, Some("UNDELIV"), Some("2611231200"))
    );
    fault(&mocks, "taken", json!({"kind": "never"})).await;
    assert_eq!(sp.submit(message("13800000001", "gone")).await.result.0, 0);
    assert_eq!(advance(&mocks, "720h").await, 0);
    assert_eq!(struck(&mocks, "SUBMIT").await, "never (dial fault)");
}

#[tokio::test]
async fn settings_give_each_message_its_fate_from_the_seed() {
    let reports = "      reports: {after: {from: 1s, to: 9s}, mix: {DELIVRD: 1, UNDELIV: 1, \"MB:0066\": 1}, duplicate: 0.2, never: 0.2}";
    let mut runs = Vec::new();
    for _ in 0..2 {
        let mocks = gateway(&plain(reports));
        stop_clock(&mocks).await;
        let mut sp = Sp::logged_in(&mocks, Version::V30).await;
        for number in 10..40 {
            sp.submit(message(&format!("138000000{number}"), "x")).await;
        }
        let count = advance(&mocks, "10s").await;
        let mut seen = Vec::new();
        for _ in 0..count {
            let report = sp.report().await;
            seen.push((
                report.dest_terminal_id.0.as_str().map(str::to_owned),
                report.stat.as_str().map(str::to_owned),
            ));
        }
        runs.push(seen);
    }
    assert_eq!(runs[0], runs[1]);
    for stat in ["DELIVRD", "UNDELIV", "MB:0066"] {
        assert!(runs[0].iter().any(|(_, seen)| seen.as_deref() == Some(stat)), "{stat}");
    }
    let numbers: std::collections::HashSet<_> = runs[0].iter().map(|(number, _)| number).collect();
    assert!(numbers.len() < 30 && runs[0].len() > numbers.len(), "some never, some twice");
}

#[tokio::test]
async fn frames_are_halved_split_dripped_or_glued() {
    let mocks = gateway(&plain(""));
    stop_clock(&mocks).await;
    let mut sp = Sp::logged_in(&mocks, Version::V30).await;
    for kind in [json!({"kind": "split-frames"}), json!({"kind": "drip", "after": "30ms"})] {
        fault(&mocks, "taken", kind).await;
        assert_eq!(sp.submit(message("13800000001", "x")).await.result.0, 0);
    }
    // The answer waits for the answer to the link test, and both come in one piece.
    fault(&mocks, "taken", json!({"kind": "glued-frames", "after": "10m"})).await;
    let first = sp.send(Command::Submit(message("13800000001", "x"))).await;
    account_once(&mocks, |account| account["accepted"] == 3).await;
    assert!(sp.wire.silent(Duration::from_millis(30)).await);
    let second = sp.send(Command::ActiveTest(ActiveTest {})).await;
    assert_eq!([sp.next().await.sequence, sp.next().await.sequence], [first, second]);
    fault(&mocks, "taken", json!({"kind": "cut"})).await;
    sp.send(Command::Submit(message("13800000001", "x"))).await;
    let End::Closed(half) = sp.wire.rest().await else { panic!("reset") };
    assert_eq!((half.len(), half[3]), (12, 24), "half of 24 bytes");
}

#[tokio::test]
async fn lengths_are_wrong_and_bodies_do_not_fit_their_layout() {
    let mocks = gateway(&plain(""));
    for (length, stated) in [("zero", 0), ("garbage", u32::MAX), ("longer", 25), ("shorter", 23)] {
        let mut sp = Sp::logged_in(&mocks, Version::V30).await;
        fault(&mocks, "taken", json!({"kind": "wrong-length", "length": length})).await;
        sp.send(Command::Submit(message("13800000001", "x"))).await;
        let bytes = sp.wire.exactly(24).await;
        assert_eq!((head(&bytes).length, head(&bytes).command_id), (stated, 0x8000_0004), "{length}");
    }
    fault(&mocks, "taken", json!({"kind": "bad-body"})).await;
    let mut sp = Sp::logged_in(&mocks, Version::V30).await;
    sp.send(Command::Submit(message("13800000001", "x"))).await;
    let frame = sp.wire.frame().await.expect("a frame");
    assert_eq!((head(&frame).length, frame.len()), (18, 18));
    assert!(qiao_wire::cmpp::Pdu::decode(&frame, Version::V30).is_err());
}

#[tokio::test]
async fn connections_are_reset_or_answer_another_protocol() {
    let mocks = gateway(&plain(""));
    fault(&mocks, "taken", json!({"kind": "reset"})).await;
    let mut sp = Sp::logged_in(&mocks, Version::V30).await;
    sp.send(Command::Submit(message("13800000001", "x"))).await;
    assert_eq!(sp.wire.rest().await, End::Reset);
    fault(&mocks, "taken", json!({"kind": "html"})).await;
    let mut sp = Sp::logged_in(&mocks, Version::V30).await;
    sp.send(Command::Submit(message("13800000001", "x"))).await;
    let End::Closed(bytes) = sp.wire.rest().await else { panic!("reset") };
    assert!(bytes.starts_with(b"HTTP/1.1 502"));
}

#[tokio::test]
async fn a_gateway_closed_for_maintenance_ends_the_connection_and_faults_of_documents_do_not_strike() {
    let mocks = gateway(&plain(""));
    fault(&mocks, "taken", json!({"kind": "status"})).await;
    let mut sp = Sp::logged_in(&mocks, Version::V30).await;
    assert_eq!(sp.submit(message("13800000001", "x")).await.result.0, 0);
    assert_eq!(struck(&mocks, "SUBMIT").await, Value::Null);
    fault(&mocks, "taken", json!({"kind": "maintenance"})).await;
    sp.send(Command::Submit(message("13800000001", "x"))).await;
    assert_eq!(sp.wire.rest().await, End::Closed(Vec::new()));
    assert_eq!(struck(&mocks, "SUBMIT").await, "maintenance (dial fault)");
}

#[tokio::test]
async fn messages_beyond_the_window_meet_flow_control_or_the_end() {
    for (overrun, drops) in [("refuse", false), ("drop", true)] {
        let yaml = plain(&format!("      overrun: {overrun}"));
        let yaml = yaml.replace("\"vault:gate/secret\"}", "\"vault:gate/secret\", window: 3}");
        let mocks = gateway(&yaml);
        let mut sp = Sp::logged_in(&mocks, Version::V30).await;
        fault(&mocks, "taken", json!({"kind": "no-answer"})).await;
        for _ in 0..3 {
            sp.send(Command::Submit(message("13800000001", "x"))).await;
        }
        let fourth = sp.send(Command::Submit(message("13800000001", "x"))).await;
        if drops {
            assert_eq!(sp.wire.rest().await, End::Closed(Vec::new()));
            let told = journal(&mocks, "FRAME").await[0]["problem"].clone();
            assert!(told.as_str().is_some_and(|told| told.contains("window")), "{told}");
        } else {
            let answer = sp.next().await;
            assert_eq!(answer.sequence, fourth);
            assert!(matches!(answer.command, Command::SubmitResp(resp) if resp.result.0 == 8));
        }
    }
}

#[tokio::test]
async fn link_tests_go_unanswered() {
    let mocks = gateway(&plain(""));
    let mut sp = Sp::logged_in(&mocks, Version::V30).await;
    fault(&mocks, "carrier-test", json!({"kind": "no-answer", "first": 1})).await;
    sp.send(Command::ActiveTest(ActiveTest {})).await;
    let second = sp.send(Command::ActiveTest(ActiveTest {})).await;
    assert_eq!(sp.next().await.sequence, second, "only the second is answered");
    assert_eq!(journal(&mocks, "TEST").await[0]["fault"], "no-answer (dial fault)");
}

#[tokio::test]
async fn reports_travel_in_broken_frames_too_and_come_again_whole() {
    let mocks = gateway(&plain("      answer: 300ms\n      reports: {after: {fixed: 1ms}}"));
    let mut sp = Sp::logged_in(&mocks, Version::V30).await;
    fault(&mocks, "carrier-deliver", json!({"kind": "bad-body", "first": 1})).await;
    let id = sp.submit(message("13800000001", "x")).await.msg_id;
    let broken = sp.wire.frame().await.expect("a frame");
    assert!(qiao_wire::cmpp::Pdu::decode(&broken, Version::V30).is_err());
    let (sequence, deliver) = sp.unanswered_delivery().await;
    assert_eq!(sequence, head(&broken).sequence);
    assert_eq!(StatusReport::decode(&deliver.msg_content.0).expect("a report").msg_id, id);
    sp.acknowledge(sequence, &deliver, 0).await;
    account_once(&mocks, |account| account["delivered"] == 1).await;
}
