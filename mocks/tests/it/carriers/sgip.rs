//! SGIP: messages on the provider's connection, reports and uplink messages on the gateway's own.
use std::time::Duration;

use qiao_wire::{
    FixedText, Numbers, SecretText,
    sgip::{Bind, Command, LongContent, Pdu, Report, Resp, Sequence, Submit, Unbind, sp_node},
    sms::Encoding,
};
use serde_json::json;
use tokio::{net::TcpListener, time::timeout};

use super::client::{
    End, WRITES, Wire, account_once, address, advance, fault, gateway, journal, noon, partner, request_of,
    stop_clock, write,
};
use crate::help::{Mocks, PATIENCE};

/// A gateway, and the provider's own listener that it calls.
async fn gate(more: &str) -> (Mocks, TcpListener) {
    gate_with(more, "").await
}

async fn gate_with(more: &str, rest: &str) -> (Mocks, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let callback = format!(
        "\"vault:gate/secret\", callback: {{address: \"{}\", name: smg}}}}",
        listener.local_addr().expect("an address")
    );
    let yaml = partner("sgip", "90123", more, rest).replace("\"vault:gate/secret\"}", &callback);
    (gateway(&yaml), listener)
}

struct Peer {
    wire: Wire,
    counter: u32,
}

impl Peer {
    async fn connect(mocks: &Mocks) -> Self {
        Self { wire: Wire::to(address(mocks)).await, counter: 0 }
    }

    async fn bound(mocks: &Mocks) -> Self {
        let mut peer = Self::connect(mocks).await;
        assert_eq!(peer.bind("90123", "1234", 1).await, 0);
        peer
    }

    /// The gateway's connection to the provider's listener, its Bind answered with `result`.
    async fn called(listener: &TcpListener, result: u8) -> (Self, Bind) {
        let (stream, _) =
            timeout(PATIENCE, listener.accept()).await.expect("a call in time").expect("a call");
        let mut peer = Self { wire: Wire::over(stream), counter: 0 };
        let pdu = peer.next().await;
        let Command::Bind(bind) = pdu.command else { panic!("{:?}", pdu.command) };
        peer.answer(pdu.sequence, Command::BindResp(Resp { result, ..Resp::default() })).await;
        (peer, bind)
    }

    async fn send(&mut self, command: Command) -> Sequence {
        self.counter += 1;
        let sequence = Sequence::new(sp_node("021", "90123").expect("a node"), noon(), self.counter);
        self.answer(sequence, command).await;
        sequence
    }

    async fn answer(&mut self, sequence: Sequence, command: Command) {
        self.wire.send(&Pdu { sequence, command }.encode().expect("a frame")).await;
    }

    async fn next(&mut self) -> Pdu {
        Pdu::decode(&self.wire.frame().await.expect("a frame")).expect("a message")
    }

    async fn bind(&mut self, name: &str, password: &str, login_type: u8) -> u8 {
        let bind = Bind {
            login_type,
            login_name: FixedText::new(name).expect("fits"),
            login_password: SecretText(FixedText::new(password).expect("fits")),
            ..Bind::default()
        };
        let sequence = self.send(Command::Bind(bind)).await;
        self.result(sequence).await
    }

    async fn result(&mut self, sequence: Sequence) -> u8 {
        let pdu = self.next().await;
        assert_eq!(pdu.sequence, sequence);
        match pdu.command {
            Command::BindResp(resp) | Command::SubmitResp(resp) => resp.result,
            other => panic!("{other:?}"),
        }
    }

    async fn submit(&mut self, submit: Submit) -> (Sequence, u8) {
        let sequence = self.send(Command::Submit(submit)).await;
        (sequence, self.result(sequence).await)
    }

    async fn report(&mut self) -> Report {
        let pdu = self.next().await;
        let Command::Report(report) = pdu.command else { panic!("{:?}", pdu.command) };
        self.answer(pdu.sequence, Command::ReportResp(Resp::default())).await;
        report
    }
}

fn message(number: &str, text: &str) -> Submit {
    Submit {
        sp_number: FixedText::new("10655").expect("fits"),
        user_number: Numbers(vec![FixedText::new(number).expect("fits")]),
        more_related_to_mt_flag: 2,
        report_flag: 1,
        message_coding: 15,
        message_content: LongContent(Encoding::Gbk.encode(text).expect("text")),
        ..Submit::default()
    }
}

#[tokio::test]
async fn binds_are_judged_by_name_password_and_type() {
    let (mocks, _listener) = gate("").await;
    for (name, password, kind, result) in
        [("90124", "1234", 1, 1), ("90123", "12345", 1, 1), ("90123", "1234", 2, 4)]
    {
        let mut peer = Peer::connect(&mocks).await;
        assert_eq!(peer.bind(name, password, kind).await, result);
        assert_eq!(peer.wire.rest().await, End::Closed(Vec::new()));
    }
    Peer::bound(&mocks).await;
    let seen = request_of(&mocks, &journal(&mocks, "LOGIN").await[1]).await;
    assert!(!seen.to_string().contains("12345\"") && seen["problem"] == "another secret", "{seen}");
}

#[tokio::test]
async fn a_report_comes_on_a_connection_that_the_gateway_opens() {
    let (mocks, listener) = gate("      idle: 1s").await;
    stop_clock(&mocks).await;
    let mut peer = Peer::bound(&mocks).await;
    let (sequence, result) = peer.submit(message("8613000000001", "您的卡已寄出")).await;
    assert_eq!(result, 0);
    let seen = request_of(&mocks, &journal(&mocks, "SUBMIT").await[0]).await;
    assert_eq!(
        (&seen["destination"], &seen["text"], &seen["id"]),
        (&json!("130****0001"), &json!("您的卡已寄出"), &json!(sequence.to_string()))
    );
    advance(&mocks, "1s").await;
    let (mut called, bind) = Peer::called(&listener, 0).await;
    assert_eq!(
        (bind.login_type, bind.login_name.as_str(), bind.login_password.0.as_str()),
        (2, Some("smg"), Some("1234"))
    );
    let report = called.report().await;
    assert_eq!((report.submit_sequence, report.state, report.error_code), (sequence, 0, 0));
    assert_eq!(report.user_number.as_str(), Some("8613000000001"));
    account_once(&mocks, |account| account["delivered"] == 1).await;
    // Once nothing has waited for a while the gateway takes its leave.
    let leave = called.next().await;
    assert_eq!(leave.command, Command::Unbind(Unbind {}));
    called.answer(leave.sequence, Command::UnbindResp(Unbind {})).await;
    assert_eq!(called.wire.rest().await, End::Closed(Vec::new()));
    // The next report opens another connection; its gateway's node and time are in the sequence.
    let mut again = Peer::bound(&mocks).await;
    fault(&mocks, "taken", json!({"kind": "business", "json": {"report": {"stat": "UNDELIV", "error": 29}}}))
        .await;
    again.submit(message("8613000000002", "x")).await;
    advance(&mocks, "1s").await;
    let (mut called, _) = Peer::called(&listener, 0).await;
    let pdu = called.next().await;
    assert_eq!(
        (pdu.sequence.node, pdu.sequence.stamp().map(qiao_wire::Stamp::digits)),
        (902_100, Some(1_121_120_002))
    );
    assert!(matches!(pdu.command, Command::Report(report) if (report.state, report.error_code) == (2, 29)));
}

#[tokio::test]
async fn reports_follow_the_report_flag_and_numbers_need_their_country() {
    let (mocks, listener) = gate("").await;
    stop_clock(&mocks).await;
    let mut peer = Peer::bound(&mocks).await;
    assert_eq!(peer.submit(message("13000000001", "x")).await.1, 6);
    for flag in [0, 2, 3] {
        assert_eq!(peer.submit(Submit { report_flag: flag, ..message("8613000000001", "x") }).await.1, 0);
    }
    assert_eq!(advance(&mocks, "1h").await, 0, "delivered: no report on failure only");
    fault(&mocks, "taken", json!({"kind": "business", "json": {"report": {"stat": "EXPIRED"}}})).await;
    let (sequence, _) = peer.submit(Submit { report_flag: 0, ..message("8613000000001", "x") }).await;
    advance(&mocks, "1h").await;
    let (mut called, _) = Peer::called(&listener, 0).await;
    let report = called.report().await;
    assert_eq!((report.submit_sequence, report.state, report.error_code), (sequence, 2, 25));
}

#[tokio::test]
async fn uplink_messages_come_on_the_gateways_connection_too() {
    let (mocks, listener) = gate("").await;
    let mo = json!({"from": "13000000001", "to": "10655", "text": "TD"});
    assert_eq!(mocks.admin("POST", "/api/mocks/carriers/gate/uplink", Some(&mo)).await.status, 200);
    let (mut called, _) = Peer::called(&listener, 0).await;
    let pdu = called.next().await;
    let Command::Deliver(deliver) = pdu.command else { panic!("{:?}", pdu.command) };
    assert_eq!(
        (deliver.user_number.as_str(), deliver.sp_number.as_str()),
        (Some("8613000000001"), Some("10655"))
    );
    assert_eq!((deliver.message_coding, &deliver.message_content.0[..]), (0, &b"TD"[..]));
}

#[tokio::test]
async fn a_provider_that_cannot_be_called_gets_its_reports_after_its_next_login() {
    let (mocks, listener) = gate("      answer: 500ms\n      tries: 2").await;
    stop_clock(&mocks).await;
    let mut peer = Peer::bound(&mocks).await;
    let (sequence, _) = peer.submit(message("8613000000001", "x")).await;
    // The fault: the gateway does not call.
    fault(&mocks, "carrier-callback", json!({"kind": "no-answer", "first": 2})).await;
    advance(&mocks, "1s").await;
    account_once(&mocks, |account| account["waiting"] == 1).await;
    let begun = std::time::Instant::now();
    while journal(&mocks, "BIND").await.len() < 2 {
        assert!(begun.elapsed() < PATIENCE);
    }
    assert!(timeout(Duration::from_millis(300), listener.accept()).await.is_err(), "it called");
    // Then the provider refuses the Bind, is called again, and takes its report.
    Peer::bound(&mocks).await;
    let (mut refused, _) = Peer::called(&listener, 1).await;
    assert!(matches!(refused.wire.rest().await, End::Closed(_)));
    let (mut called, _) = Peer::called(&listener, 0).await;
    assert_eq!(called.report().await.submit_sequence, sequence);
}

#[tokio::test]
async fn a_busy_node_and_an_idle_connection() {
    let (mocks, _listener) = gate("      idle: 800ms").await;
    let mut peer = Peer::bound(&mocks).await;
    fault(&mocks, "taken", json!({"kind": "throttle", "first": 1})).await;
    assert_eq!(peer.submit(message("8613000000001", "x")).await.1, 11);
    assert_eq!(peer.submit(message("8613000000001", "x")).await.1, 0);
    assert_eq!(peer.wire.rest().await, End::Closed(Vec::new()), "idle connections are closed, not tested");
    let mut peer = Peer::bound(&mocks).await;
    let sequence = peer.send(Command::Unbind(Unbind {})).await;
    assert_eq!(peer.next().await, Pdu { sequence, command: Command::UnbindResp(Unbind {}) });
}

#[tokio::test]
async fn a_push_plan_sends_users_messages_by_sgip() {
    let (mocks, listener) = gate_with("", WRITES).await;
    let (standing, called) =
        tokio::join!(write(&mocks, "13000000001", "10655", "TD"), Peer::called(&listener, 0));
    assert_eq!(standing["standing"], "done");
    let (mut called, _) = called;
    let pdu = called.next().await;
    let Command::Deliver(deliver) = pdu.command else { panic!("{:?}", pdu.command) };
    assert_eq!((deliver.sp_number.as_str(), &deliver.message_content.0[..]), (Some("10655"), &b"TD"[..]));
}
