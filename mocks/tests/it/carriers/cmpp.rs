//! CMPP: logins, messages, reports, link tests.
use std::time::Duration;

use qiao_wire::{
    cmpp::{ActiveTest, ActiveTestResp, Command, MsgIdParts, Submit, Terminate, Version},
    sms::{Encoding, Reference, split},
};
use serde_json::json;

use super::client::{
    End, NOON, SECRET, Sp, Wire, account_once, address, advance, connect, gateway, head, journal, message,
    noon, partner, request_of, stop_clock,
};

const VERSIONS: [Version; 2] = [Version::V20, Version::V30];

fn plain() -> String {
    partner("cmpp", "901234", "", "")
}

#[tokio::test]
async fn the_published_login_frame_is_answered_with_the_published_digest() {
    let mocks = gateway(&plain());
    let frame = "000000270000000100000001393031323334d3c35497a0c0006d8b585fd64d1fc9be30126ccc00";
    let mut wire = Wire::to(address(&mocks)).await;
    wire.send(&hex(frame)).await;
    let answer = wire.frame().await.expect("an answer");
    let wanted = "00000021800000010000000100000000010967cbdc7df989214e384f7d41ef8230";
    assert_eq!(answer, hex(wanted));
    // 2.0: another version byte, a status of one byte, hence another digest.
    let mut wire = Wire::to(address(&mocks)).await;
    wire.send(&hex(&frame.replace("be30126c", "be20126c"))).await;
    let answer = wire.frame().await.expect("an answer");
    assert_eq!(answer, hex("0000001e8000000100000001001756bba6ecc75155f4d518bbdec09cd430"));
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}

#[tokio::test]
async fn logins_are_refused_by_account_secret_version_and_count() {
    let yaml = plain().replace("\"vault:gate/secret\"}", "\"vault:gate/secret\", connections: 1}");
    let mocks = gateway(&yaml);
    let held = Sp::logged_in(&mocks, Version::V30).await;
    for (account, secret, version, status) in [
        ("900000", SECRET, 0x30, 2),
        ("901234", "12345", 0x30, 3),
        ("901234", SECRET, 0x40, 4),
        ("901234", SECRET, 0x30, 5),
    ] {
        let mut sp = Sp::connect(&mocks, Version::V30).await;
        assert_eq!(sp.login(account, secret, version).await.status.0, status);
        assert_eq!(sp.wire.rest().await, End::Closed(Vec::new()), "a refused login ends the connection");
    }
    drop(held);
    account_once(&mocks, |account| account["connections"] == 0).await;
    Sp::logged_in(&mocks, Version::V30).await;
    let logins = journal(&mocks, "LOGIN").await;
    assert_eq!(logins.len(), 6);
    assert!(
        logins
            .iter()
            .all(|entry| entry["stub"].as_str().is_some_and(|stub| stub.starts_with("gate/carrier-login")))
    );
}

#[tokio::test]
async fn a_version_that_is_not_spoken_is_too_high_and_a_timestamp_far_off_is_refused() {
    let mocks = gateway(&partner("cmpp", "901234", "      versions: [\"2.0\"]\n      clockSkew: 5m", ""));
    stop_clock(&mocks).await;
    let mut sp = Sp::connect(&mocks, Version::V30).await;
    assert_eq!(sp.login("901234", SECRET, 0x30).await.status.0, 4);
    Sp::logged_in(&mocks, Version::V20).await;
    advance(&mocks, "6m").await;
    let mut late = Sp::connect(&mocks, Version::V20).await;
    assert_eq!(late.login("901234", SECRET, 0x21).await.status.0, 3, "{NOON} is six minutes ago");
}

#[tokio::test]
async fn a_message_gets_an_id_of_the_layout_and_its_report_when_the_clock_moves() {
    for version in VERSIONS {
        let mocks = gateway(&plain());
        stop_clock(&mocks).await;
        let mut sp = Sp::logged_in(&mocks, version).await;
        let first = sp.submit(message("13800000001", "您的居住证已制作完成")).await;
        let second = sp.submit(message("13800000002", "Hello")).await;
        assert_eq!((first.result.0, second.result.0), (0, 0));
        let parts = first.msg_id.unpack().expect("parts");
        assert_eq!(parts, MsgIdParts { time: noon(), gateway: 902_100, sequence: parts.sequence });
        assert_ne!(first.msg_id, second.msg_id);
        assert!(sp.wire.silent(Duration::from_millis(50)).await, "the clock stands still");
        assert_eq!(advance(&mocks, "1s").await, 2);
        for (id, number) in [(first.msg_id, "13800000001"), (second.msg_id, "13800000002")] {
            let deliver = sp.delivery().await;
            let report = qiao_wire::cmpp::StatusReport::decode(&deliver.msg_content.0).expect("a report");
            assert_eq!(deliver.msg_content.0.len(), if version == Version::V20 { 60 } else { 71 });
            assert_eq!((report.msg_id, report.stat.as_str()), (id, Some("DELIVRD")));
            assert_eq!(report.dest_terminal_id.0.as_str(), Some(number));
            assert_eq!(report.submit_time.as_str(), Some("2611211200"));
            assert_eq!(
                (deliver.dest_id.as_str(), deliver.src_terminal_id.0.as_str()),
                (Some("106812345"), Some(number))
            );
        }
        let account = account_once(&mocks, |account| account["delivered"] == 2).await;
        assert_eq!((&account["accepted"], &account["waiting"]), (&json!(2), &json!(0)));
    }
}

#[tokio::test]
async fn ids_are_the_same_again_after_the_same_beginning() {
    let mut ids = Vec::new();
    for _ in 0..2 {
        let mocks = gateway(&plain());
        stop_clock(&mocks).await;
        let mut sp = Sp::logged_in(&mocks, Version::V30).await;
        ids.push((
            sp.submit(message("13800000001", "a")).await.msg_id,
            sp.submit(message("13800000001", "a")).await.msg_id,
        ));
    }
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0].0, ids[0].1);
}

/// The parts of a long message.
fn long(number: &str, text: &str, encoding: Encoding, reference: Reference) -> Vec<Submit> {
    let parts = split(text, encoding, reference, 255).expect("parts");
    let each = parts.into_iter().map(|part| Submit {
        pk_total: part.total,
        pk_number: part.number,
        tp_udhi: u8::from(part.has_header),
        msg_fmt: encoding.code(),
        msg_content: qiao_wire::Content(part.content),
        ..message(number, "")
    });
    each.collect()
}

#[tokio::test]
async fn a_long_message_is_seen_whole_with_its_last_part_and_reported_part_by_part() {
    let stubs = "  - {id: closing, when: {all: [{json: $.request.text, contains: 完毕𬱖}]}, respond: {json: {report: {stat: EXPIRED}}}}";
    let mocks = gateway(&partner("cmpp", "901234", "", stubs));
    stop_clock(&mocks).await;
    let text = format!("{}完毕𬱖", "请于工作日携带身份证到社区事务受理服务中心领取。".repeat(4));
    for (encoding, reference) in
        [(Encoding::Ucs2, Reference::Narrow(9)), (Encoding::Gbk, Reference::Wide(4711))]
    {
        let text = if encoding == Encoding::Gbk { text.replace('𬱖', "") } else { text.clone() };
        let mut sp = Sp::logged_in(&mocks, Version::V30).await;
        let mut ids = Vec::new();
        for part in long("13800000001", &text, encoding, reference) {
            ids.push(sp.submit(part).await.msg_id);
        }
        assert!(ids.len() >= 2);
        let entries = journal(&mocks, "SUBMIT").await;
        let of_this = &entries[entries.len() - ids.len()..];
        let first = request_of(&mocks, &of_this[0]).await;
        assert_eq!(
            (&first["complete"], &first["text"], &first["part"]["number"]),
            (&json!(false), &json!(null), &json!(1))
        );
        assert!(first["part"]["text"].as_str().is_some_and(|part| text.starts_with(part)), "{first}");
        let last = request_of(&mocks, &of_this[ids.len() - 1]).await;
        assert_eq!(
            (&last["complete"], &last["text"], &last["parts"]),
            (&json!(true), &json!(text), &json!(ids.len()))
        );
        assert_eq!((&last["format"], &last["fields"]["TP_udhi"]), (&json!(encoding.code()), &json!(1)));
        // What the stub said of the whole is the fate of every part.
        advance(&mocks, "1s").await;
        for id in &ids {
            let report = sp.report().await;
            let wanted = if encoding == Encoding::Ucs2 { "EXPIRED" } else { "DELIVRD" };
            assert_eq!((report.msg_id, report.stat.as_str()), (*id, Some(wanted)));
        }
        // Else what is not acknowledged yet comes again on the next connection.
        let all = journal(&mocks, "SUBMIT").await.len();
        account_once(&mocks, |account| account["delivered"] == all).await;
    }
}

#[tokio::test]
async fn one_message_to_several_numbers_is_reported_for_each() {
    let stubs = r#"  - {id: forbidden, when: {all: [{json: "$.request.destinations[*]", equals: "13800000009"}]}, respond: {json: {result: 13}}}"#;
    let mocks = gateway(&partner("cmpp", "901234", "", stubs));
    stop_clock(&mocks).await;
    let mut sp = Sp::logged_in(&mocks, Version::V20).await;
    let to = |numbers: &[&str]| {
        let mut submit = message(numbers[0], "通知");
        submit.dest_terminal_id.numbers = numbers
            .iter()
            .map(|number| qiao_wire::cmpp::TerminalId::new(number).expect("a number"))
            .collect();
        submit
    };
    assert_eq!(sp.submit(to(&["13800000001", "13800000009"])).await.result.0, 13);
    let id = sp.submit(to(&["13800000001", "13800000002", "13800000003"])).await.msg_id;
    assert_eq!(advance(&mocks, "1s").await, 3);
    for number in ["13800000001", "13800000002", "13800000003"] {
        let report = sp.report().await;
        assert_eq!((report.msg_id, report.dest_terminal_id.0.as_str()), (id, Some(number)));
    }
}

#[tokio::test]
async fn what_the_gateway_itself_refuses_never_reaches_the_stubs_of_messages() {
    let yaml = plain().replace("\"vault:gate/secret\"}", "\"vault:gate/secret\", numbers: [\"10681\"]}");
    let mocks = gateway(&yaml);
    let mut sp = Sp::logged_in(&mocks, Version::V30).await;
    let foreign =
        Submit { src_id: qiao_wire::FixedText::new("10690").expect("fits"), ..message("13800000001", "x") };
    assert_eq!(sp.submit(foreign).await.result.0, 10);
    let large = Submit { msg_content: qiao_wire::Content(vec![b'x'; 161]), ..message("13800000001", "x") };
    assert_eq!(sp.submit(large).await.result.0, 6);
    let header = Submit { tp_udhi: 1, ..message("13800000001", "no header") };
    assert_eq!(sp.submit(header).await.result.0, 1);
    // A layout of another version: the body is too short.
    let frame = qiao_wire::cmpp::Pdu { sequence: 77, command: Command::Submit(message("13800000001", "x")) };
    sp.wire.send(&frame.encode(Version::V20).expect("a frame")).await;
    assert!(matches!(sp.next().await.command, Command::SubmitResp(resp) if resp.result.0 == 1));
    let refused = journal(&mocks, "SUBMIT").await;
    assert!(
        refused
            .iter()
            .all(|entry| entry["stub"].as_str().is_some_and(|stub| stub.starts_with("gate/carrier-refused")))
    );
    assert_eq!(request_of(&mocks, &refused[0]).await["why"], "the source number is not the account's");
    assert_eq!(account_once(&mocks, |account| account["refused"] == 4).await["accepted"], 0);
}

#[tokio::test]
async fn a_message_that_no_stub_answers_is_refused_with_a_code_of_no_table() {
    let mocks = gateway(
        &plain().replace("id: taken,", "id: taken, when: {all: [{json: $.request.text, equals: yes}]},"),
    );
    let mut sp = Sp::logged_in(&mocks, Version::V30).await;
    assert_eq!(sp.submit(message("13800000001", "no")).await.result.0, 255);
    assert_eq!(sp.submit(message("13800000001", "yes")).await.result.0, 0);
}

#[tokio::test]
async fn idle_links_are_tested_from_both_sides_and_given_up_after_n_tests() {
    let mocks =
        gateway(&partner("cmpp", "901234", "      idle: 250ms\n      answer: 500ms\n      tries: 2", ""));
    let mut sp = Sp::logged_in(&mocks, Version::V30).await;
    let asked = sp.send(Command::ActiveTest(ActiveTest {})).await;
    let answer = sp.next().await;
    assert_eq!(
        (answer.sequence, answer.command),
        (asked, Command::ActiveTestResp(ActiveTestResp::default()))
    );
    // Answered tests go on for ever: more than the tries that a dead peer has.
    for _ in 0..4 {
        let test = sp.next().await;
        assert_eq!(test.command, Command::ActiveTest(ActiveTest {}));
        let resp = qiao_wire::cmpp::Pdu {
            sequence: test.sequence,
            command: Command::ActiveTestResp(ActiveTestResp::default()),
        };
        sp.wire.send(&resp.encode(Version::V30).expect("a frame")).await;
    }
    let End::Closed(rest) = sp.wire.rest().await else { panic!("reset") };
    assert_eq!(rest.len(), 24, "two tests without an answer, then the end");
    assert_eq!(
        journal(&mocks, "FRAME").await.last().map(|entry| entry["problem"].clone()),
        Some(json!("the peer was silent for too long"))
    );
}

#[tokio::test]
async fn leave_is_answered_and_ends_the_connection() {
    let mocks = gateway(&plain());
    let mut sp = Sp::logged_in(&mocks, Version::V20).await;
    let asked = sp.send(Command::Terminate(Terminate {})).await;
    let answer = sp.next().await;
    assert_eq!((answer.sequence, answer.command.command_id()), (asked, 0x8000_0002));
    assert_eq!(sp.wire.rest().await, End::Closed(Vec::new()));
    account_once(&mocks, |account| account["connections"] == 0).await;
}

#[tokio::test]
async fn bytes_that_are_no_message_end_the_connection_and_are_journaled() {
    for (bytes, told) in [
        (vec![0; 12], "stated length 0"),
        (vec![0xFF; 12], "stated length 4294967295"),
        (vec![0, 0, 0, 16, 0, 0, 0, 99, 0, 0, 0, 1, 0, 0, 0, 0], "unknown CMPP command 0x00000063"),
    ] {
        let mocks = gateway(&plain());
        let mut sp = Sp::logged_in(&mocks, Version::V30).await;
        sp.wire.send(&bytes).await;
        assert_eq!(sp.wire.rest().await, End::Closed(Vec::new()));
        let problem = journal(&mocks, "FRAME").await[0]["problem"].clone();
        assert!(problem.as_str().is_some_and(|problem| problem.contains(told)), "{problem}");
    }
}

#[tokio::test]
async fn half_and_glued_frames_of_the_peer_are_read() {
    let mocks = gateway(&plain());
    let mut sp = Sp::connect(&mocks, Version::V30).await;
    let login = qiao_wire::cmpp::Pdu { sequence: 1, command: connect("901234", SECRET, 0x30) };
    let submit =
        |sequence| qiao_wire::cmpp::Pdu { sequence, command: Command::Submit(message("13800000001", "x")) };
    let mut bytes = login.encode(Version::V30).expect("a frame");
    for sequence in 2..6 {
        bytes.extend(submit(sequence).encode(Version::V30).expect("a frame"));
    }
    for piece in bytes.chunks(17) {
        sp.wire.send(piece).await;
    }
    assert_eq!(sp.next().await.sequence, 1);
    for sequence in 2..6 {
        assert_eq!(head(&sp.wire.frame().await.expect("a frame")).sequence, sequence);
    }
}

#[tokio::test]
async fn a_peer_that_is_not_logged_in_is_not_listened_to() {
    let mocks = gateway(&plain());
    let mut sp = Sp::connect(&mocks, Version::V30).await;
    sp.send(Command::Submit(message("13800000001", "x"))).await;
    assert_eq!(sp.wire.rest().await, End::Closed(Vec::new()));
    assert_eq!(journal(&mocks, "FRAME").await[0]["problem"], "the peer is not logged in");
    assert!(journal(&mocks, "SUBMIT").await.is_empty());
}

#[tokio::test]
async fn query_and_cancel_are_answered() {
    let mocks = gateway(&plain());
    let mut sp = Sp::logged_in(&mocks, Version::V30).await;
    let query = qiao_wire::cmpp::Query {
        time: qiao_wire::FixedText::new("20261121").expect("fits"),
        ..Default::default()
    };
    sp.send(Command::Query(query)).await;
    assert!(
        matches!(sp.next().await.command, Command::QueryResp(resp) if resp.time.as_str() == Some("20261121"))
    );
    sp.send(Command::Cancel(qiao_wire::cmpp::Cancel::default())).await;
    assert!(matches!(sp.next().await.command, Command::CancelResp(resp) if resp.success_id.0 == 1));
}
