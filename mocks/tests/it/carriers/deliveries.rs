//! Reports and uplink messages on their way to a service provider: again, kept, in order, long.
use std::time::Duration;

use qiao_wire::{
    cmpp::{Deliver, Version},
    sms::{Assembler, AssemblerLimits, Encoding, Outcome, PartKey, split_header},
};
use serde_json::{Value, json};

use super::client::{
    End, Sp, WRITES, account_once, advance, fault, gateway, journal, message, partner, stop_clock, write,
};
use crate::help::{Mocks, Reply};

fn plain(more: &str) -> String {
    partner("cmpp", "901234", more, "")
}

async fn uplink(mocks: &Mocks, body: Value) -> Reply {
    mocks.admin("POST", "/api/mocks/carriers/gate/uplink", Some(&body)).await
}

fn text(deliver: &Deliver) -> String {
    Encoding::of(deliver.msg_fmt).expect("text").decode(&deliver.msg_content.0).expect("text")
}

#[tokio::test]
async fn an_uplink_message_arrives_at_once_or_when_the_clock_says_so() {
    let mocks = gateway(&plain(""));
    stop_clock(&mocks).await;
    let mut sp = Sp::logged_in(&mocks, Version::V30).await;
    let queued = uplink(&mocks, json!({"from": "13800000001", "to": "106812345", "text": "TD"})).await;
    assert_eq!((queued.status, &queued.json()["account"]), (200, &json!("901234")), "{}", queued.text());
    let deliver = sp.delivery().await;
    assert_eq!((deliver.registered_delivery, deliver.msg_fmt, text(&deliver).as_str()), (0, 0, "TD"));
    assert_eq!(deliver.src_terminal_id.0.as_str(), Some("13800000001"));
    assert_eq!(deliver.dest_id.as_str(), Some("106812345"));
    assert_eq!(queued.json()["ids"], json!([deliver.msg_id.to_string()]));
    let later =
        json!({"from": "13800000001", "to": "106812345", "text": "退订", "encoding": "gbk", "after": "2h"});
    assert_eq!(uplink(&mocks, later).await.status, 200);
    assert!(sp.wire.silent(Duration::from_millis(30)).await);
    assert_eq!(advance(&mocks, "2h").await, 1);
    let deliver = sp.delivery().await;
    assert_eq!((deliver.msg_fmt, text(&deliver).as_str()), (15, "退订"));
}

#[tokio::test]
async fn a_long_uplink_message_comes_in_parts_with_headers() {
    let mocks = gateway(&plain(""));
    let mut sp = Sp::logged_in(&mocks, Version::V20).await;
    let long = "我想查询社保卡的办理进度，请回复。".repeat(6);
    let queued = uplink(
        &mocks,
        json!({"from": "13800000001", "to": "1068", "text": long, "wide": true, "reference": 4711}),
    )
    .await;
    assert_eq!(queued.status, 200, "{}", queued.text());
    let count = queued.json()["ids"].as_array().expect("ids").len();
    assert_eq!(count, 2);
    let mut assembler = Assembler::new(AssemblerLimits::default());
    let mut whole = None;
    for _ in 0..count {
        let deliver = sp.delivery().await;
        assert_eq!(deliver.tp_udhi, 1);
        let (concatenation, payload) = split_header(&deliver.msg_content.0).expect("a header");
        let concatenation = concatenation.expect("a part");
        assert_eq!(concatenation.reference, 4711);
        let key =
            PartKey { source: vec![], destination: vec![], reference: 4711, total: concatenation.total };
        if let Outcome::Complete(bytes) =
            assembler.push(key, concatenation, payload, 0).expect("a part").outcome
        {
            whole = Some(Encoding::Ucs2.decode(&bytes).expect("text"));
        }
    }
    assert_eq!(whole, Some(long));
}

#[tokio::test]
async fn an_uplink_message_that_cannot_be_meant_is_refused_with_its_reason() {
    let mocks = gateway(&plain(""));
    for (body, told) in [
        (json!({"from": "1".repeat(33), "to": "1068", "text": "x"}), "no room in its layout"),
        (json!({"from": "138", "to": "1068", "text": "𬱖", "encoding": "gbk"}), "U+2CC56"),
        (
            json!({"from": "138", "to": "1068", "text": "x", "account": "901235"}),
            "there is no account `901235`",
        ),
        (json!({"from": "138", "to": "1068", "text": "x", "listener": "ws"}), "no carrier's listener `ws`"),
        (json!({"from": "138", "to": "1068", "text": "x", "after": "31d"}), "at most 30d"),
        (json!({"from": "138", "to": "1068", "text": "x", "reference": 300}), "wide: true"),
    ] {
        let refused = uplink(&mocks, body).await;
        assert!(refused.status == 422 && refused.text().contains(told), "{}", refused.text());
    }
}

#[tokio::test]
async fn a_report_without_an_answer_is_sent_n_times_and_again_on_the_next_connection() {
    let mocks = gateway(&plain("      answer: 300ms\n      tries: 2\n      reports: {after: {fixed: 1ms}}"));
    let mut deaf = Sp::logged_in(&mocks, Version::V30).await;
    let id = deaf.submit(message("13800000001", "x")).await.msg_id;
    let (first, _) = deaf.unanswered_delivery().await;
    let (again, deliver) = deaf.unanswered_delivery().await;
    assert_eq!((first, deliver.msg_id), (again, id), "the same request with the same sequence");
    assert_eq!(deaf.wire.rest().await, End::Closed(Vec::new()));
    account_once(&mocks, |account| account["waiting"] == 1).await;
    let mut sp = Sp::logged_in(&mocks, Version::V30).await;
    assert_eq!(sp.report().await.msg_id, id);
    let account = account_once(&mocks, |account| account["delivered"] == 1).await;
    assert_eq!((&account["waiting"], &account["lost"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn reports_are_kept_within_a_bound_while_the_provider_is_away() {
    let mocks = gateway(&plain("      kept: 2"));
    stop_clock(&mocks).await;
    let mut sp = Sp::logged_in(&mocks, Version::V30).await;
    let mut ids = Vec::new();
    for number in ["13800000001", "13800000002", "13800000003"] {
        ids.push(sp.submit(message(number, "x")).await.msg_id);
    }
    drop(sp);
    account_once(&mocks, |account| account["connections"] == 0).await;
    assert_eq!(advance(&mocks, "1h").await, 3);
    assert_eq!(account_once(&mocks, |account| account["waiting"] == 2).await["lost"], 1);
    let mut sp = Sp::logged_in(&mocks, Version::V30).await;
    assert_eq!([sp.report().await.msg_id, sp.report().await.msg_id], ids[1..]);
}

#[tokio::test]
async fn deliveries_keep_to_the_window_and_to_their_order() {
    let yaml = plain("").replace("\"vault:gate/secret\"}", "\"vault:gate/secret\", window: 2}");
    let mocks = gateway(&yaml);
    stop_clock(&mocks).await;
    let mut sp = Sp::logged_in(&mocks, Version::V30).await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(sp.submit(message(&format!("1380000000{number}"), "x")).await.msg_id);
    }
    advance(&mocks, "1s").await;
    let first = sp.unanswered_delivery().await;
    let second = sp.unanswered_delivery().await;
    assert!(sp.wire.silent(Duration::from_millis(50)).await, "two are unanswered");
    let mut seen = vec![first.1.msg_id, second.1.msg_id];
    for (sequence, deliver) in [first, second] {
        sp.acknowledge(sequence, &deliver, 0).await;
    }
    for _ in 0..3 {
        seen.push(sp.delivery().await.msg_id);
    }
    assert_eq!(seen, ids);
}

#[tokio::test]
async fn a_delivery_refused_by_the_provider_is_counted_and_not_repeated() {
    let mocks = gateway(&plain(""));
    let mut sp = Sp::logged_in(&mocks, Version::V30).await;
    uplink(&mocks, json!({"from": "13800000001", "to": "1068", "text": "TD"})).await;
    let (sequence, deliver) = sp.unanswered_delivery().await;
    sp.acknowledge(sequence, &deliver, 9).await;
    let account = account_once(&mocks, |account| account["rejected"] == 1).await;
    assert_eq!((&account["waiting"], &account["delivered"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn deliveries_are_journaled_and_can_be_duplicated_swapped_or_swallowed() {
    let mocks = gateway(&plain(""));
    let mut sp = Sp::logged_in(&mocks, Version::V30).await;
    let send =
        |text: &'static str| uplink(&mocks, json!({"from": "13800000001", "to": "1068", "text": text}));
    fault(&mocks, "carrier-deliver", json!({"kind": "duplicate", "first": 1})).await;
    send("A").await;
    assert_eq!((text(&sp.delivery().await).as_str(), text(&sp.delivery().await).as_str()), ("A", "A"));
    fault(&mocks, "carrier-deliver", json!({"kind": "never", "first": 1})).await;
    send("B").await;
    send("C").await;
    assert_eq!(text(&sp.delivery().await), "C");
    account_once(&mocks, |account| account["delivered"] == 2).await;
    drop(sp);
    account_once(&mocks, |account| account["connections"] == 0).await;
    fault(&mocks, "carrier-deliver", json!({"kind": "out-of-order", "first": 1})).await;
    send("D").await;
    send("E").await;
    let mut sp = Sp::logged_in(&mocks, Version::V30).await;
    assert_eq!((text(&sp.delivery().await).as_str(), text(&sp.delivery().await).as_str()), ("E", "D"));
    let faults: Vec<Value> =
        journal(&mocks, "DELIVER").await.iter().map(|entry| entry["fault"].clone()).collect();
    assert_eq!(faults[0], "duplicate (dial fault)");
    assert!(
        faults.contains(&json!("never (dial fault)")) && faults.contains(&json!("out-of-order (dial fault)"))
    );
}

#[tokio::test]
async fn an_uplink_text_can_come_in_gbk_under_another_label() {
    let mocks = gateway(&plain(""));
    let mut sp = Sp::logged_in(&mocks, Version::V30).await;
    fault(&mocks, "carrier-deliver", json!({"kind": "wrong-charset"})).await;
    uplink(&mocks, json!({"from": "13800000001", "to": "1068", "text": "张三"})).await;
    let deliver = sp.delivery().await;
    assert_eq!((deliver.msg_fmt, &deliver.msg_content.0[..]), (8, &[0xD5, 0xC5, 0xC8, 0xFD][..]));
}

#[tokio::test]
async fn sessions_have_their_own_state_and_reset_forgets_what_waits() {
    let yaml = plain("").replace("\"vault:gate/secret\"}", "\"vault:gate/secret\", session: anna}");
    let mocks = gateway(&yaml);
    stop_clock(&mocks).await;
    let mut sp = Sp::logged_in(&mocks, Version::V30).await;
    sp.submit(message("13800000001", "x")).await;
    assert_eq!(journal(&mocks, "SUBMIT").await[0]["session"], "anna");
    let timers = mocks.admin("GET", "/api/mocks/timers", None).await.json();
    assert_eq!(
        (&timers["timers"][0]["session"], &timers["timers"][0]["what"]),
        (&json!("anna"), &json!("report DELIVRD"))
    );
    assert_eq!(mocks.admin("POST", "/api/mocks/reset", Some(&json!({"partner": "gate"}))).await.status, 200);
    assert_eq!(advance(&mocks, "1h").await, 0);
    assert_eq!(account_once(&mocks, |_| true).await["accepted"], 0);
    let ended = mocks.admin("POST", "/api/mocks/carriers/gate/disconnect", None).await.json();
    assert_eq!(ended["disconnected"], 1);
    assert_eq!(sp.wire.rest().await, End::Closed(Vec::new()));
}

#[tokio::test]
async fn a_stopped_gateway_resets_and_keeps_what_waits() {
    let mocks = gateway(&plain(""));
    let mut sp = Sp::logged_in(&mocks, Version::V30).await;
    assert!(mocks.server.stop("gate"));
    sp.send(qiao_wire::cmpp::Command::Submit(message("13800000001", "x"))).await;
    assert_eq!(sp.wire.rest().await, End::Reset);
    // The reset may come while the connection is still being made.
    if let Ok(stream) = tokio::net::TcpStream::connect(super::client::address(&mocks)).await {
        assert_eq!(super::client::Wire::over(stream).rest().await, End::Reset);
    }
    assert!(mocks.server.start_partner("gate"));
    Sp::logged_in(&mocks, Version::V30).await;
}

#[tokio::test]
async fn a_push_plan_sends_users_messages_and_says_what_cannot_be_sent() {
    let mocks = gateway(&partner("cmpp", "901234", "", WRITES));
    let mut sp = Sp::logged_in(&mocks, Version::V30).await;
    assert_eq!(write(&mocks, "13800000001", "106812345", "退订").await["standing"], "done");
    let deliver = sp.delivery().await;
    assert_eq!((deliver.registered_delivery, text(&deliver).as_str()), (0, "退订"));
    assert_eq!(deliver.src_terminal_id.0.as_str(), Some("13800000001"));
    let refused = write(&mocks, &"1".repeat(33), "106812345", "x").await;
    assert_eq!(refused["standing"], "failed");
    assert!(refused["why"].as_str().is_some_and(|why| why.contains("no room in its layout")), "{refused}");

    let wrong = partner("cmpp", "901234", "", &WRITES.replace("carrier: sms", "carrier: ismg"));
    crate::help::write(&mocks.folder, "gate/partner.yaml", &wrong);
    let refused = mocks.admin("POST", "/api/mocks/reload", None).await;
    assert!(
        refused.status == 422 && refused.text().contains("no carrier's listener `ismg`"),
        "{}",
        refused.text()
    );
}
