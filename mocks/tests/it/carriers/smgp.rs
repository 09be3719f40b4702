//! SMGP: logins, messages, reports whose id is binary, link tests.
use qiao_wire::{
    Content, FixedText, Numbers,
    smgp::{
        ActiveTest, Command, Deliver, Exit, Login, LoginResp, MessageResp, Pdu, StatusReport, Submit, Tlvs,
        Version, auth, tag,
    },
    sms::{Encoding, Reference, split},
};
use serde_json::json;

use super::client::{
    End, NOON, WRITES, Wire, account_once, address, advance, fault, gateway, journal, partner, request_of,
    stop_clock, write,
};
use crate::help::Mocks;

fn plain() -> String {
    partner("smgp", "37000014", "", "").replace("gateway: 902100", "gateway: 10061")
}

struct Sp {
    wire: Wire,
    sequence: u32,
    version: Version,
}

impl Sp {
    async fn connect(mocks: &Mocks) -> Self {
        Self { wire: Wire::to(address(mocks)).await, sequence: 0, version: Version::V30 }
    }

    async fn logged_in(mocks: &Mocks) -> Self {
        let mut sp = Self::connect(mocks).await;
        assert_eq!(sp.login("37000014", 2, 0x30).await.status, 0);
        sp
    }

    async fn send(&mut self, command: Command) -> u32 {
        self.sequence += 1;
        let frame = Pdu { sequence: self.sequence, command }.encode(self.version).expect("a frame");
        self.wire.send(&frame).await;
        self.sequence
    }

    async fn next(&mut self) -> Pdu {
        let frame = self.wire.frame().await.expect("a frame");
        Pdu::decode(&frame, self.version).expect("a message")
    }

    async fn login(&mut self, client: &str, login_mode: u8, client_version: u8) -> LoginResp {
        let client_id = FixedText::new(client).expect("eight bytes");
        let authenticator_client = auth::client(&client_id, b"1234", NOON);
        let login = Login { client_id, authenticator_client, login_mode, timestamp: NOON, client_version };
        self.send(Command::Login(login)).await;
        match self.next().await.command {
            Command::LoginResp(resp) => {
                assert_eq!(
                    resp.authenticator_server,
                    auth::server(resp.status, &authenticator_client, b"1234")
                );
                resp
            }
            other => panic!("{other:?}"),
        }
    }

    async fn submit(&mut self, submit: Submit) -> MessageResp {
        let sequence = self.send(Command::Submit(submit)).await;
        let pdu = self.next().await;
        assert_eq!(pdu.sequence, sequence);
        match pdu.command {
            Command::SubmitResp(resp) => resp,
            other => panic!("{other:?}"),
        }
    }

    async fn delivery(&mut self) -> Deliver {
        let pdu = self.next().await;
        let Command::Deliver(deliver) = pdu.command else { panic!("{:?}", pdu.command) };
        let resp = MessageResp { msg_id: deliver.msg_id, status: 0 };
        let answer = Pdu { sequence: pdu.sequence, command: Command::DeliverResp(resp) };
        self.wire.send(&answer.encode(self.version).expect("a frame")).await;
        deliver
    }
}

fn message(number: &str, text: &str) -> Submit {
    Submit {
        msg_type: 6,
        need_report: 1,
        msg_format: 15,
        src_term_id: FixedText::new("1065900").expect("fits"),
        dest_term_id: Numbers(vec![FixedText::new(number).expect("fits")]),
        msg_content: Content(Encoding::Gbk.encode(text).expect("text")),
        ..Submit::default()
    }
}

#[tokio::test]
async fn logins_are_judged_by_client_version_and_mode() {
    let mocks = gateway(&plain());
    for (client, mode, version, status) in
        [("37000015", 2, 0x30, 21), ("37000014", 2, 0x40, 22), ("37000014", 7, 0x30, 11)]
    {
        let mut sp = Sp::connect(&mocks).await;
        sp.sequence = 0;
        let client_id = FixedText::new(client).expect("eight bytes");
        let authenticator_client = auth::client(&client_id, b"1234", NOON);
        let login = Login {
            client_id,
            authenticator_client,
            login_mode: mode,
            timestamp: NOON,
            client_version: version,
        };
        sp.send(Command::Login(login)).await;
        assert!(matches!(sp.next().await.command, Command::LoginResp(resp) if resp.status == status));
        assert_eq!(sp.wire.rest().await, End::Closed(Vec::new()));
    }
    let mut old = Sp { version: Version::V13, ..Sp::connect(&mocks).await };
    assert_eq!(old.login("37000014", 2, 0x13).await.server_version, 0x30);
    let id = old.submit(message("18900000001", "旧版")).await;
    assert_eq!(id.status, 0);
}

#[tokio::test]
async fn a_report_names_the_message_in_binary_with_nul_bytes() {
    let mocks = gateway(&plain());
    stop_clock(&mocks).await;
    let mut sp = Sp::logged_in(&mocks).await;
    let id = sp.submit(message("18900000001", "您好")).await.msg_id;
    let parts = id.unpack().expect("an id of the layout");
    assert_eq!((parts.gateway, parts.time.digits()), (10_061, 1_121_120_000));
    assert!(id.0.contains(&0), "{id}");
    assert_eq!(advance(&mocks, "1s").await, 1);
    let deliver = sp.delivery().await;
    assert_eq!(
        (deliver.is_report, deliver.src_term_id.as_str(), deliver.dest_term_id.as_str()),
        (1, Some("18900000001"), Some("1065900"))
    );
    let report = StatusReport::decode(&deliver.msg_content.0).expect("a report");
    assert_eq!((report.id, report.stat.as_str(), report.err.as_str()), (id, Some("DELIVRD"), Some("000")));
    assert_eq!(report.done_date.as_str(), Some("2611211200"));
    assert_eq!(deliver.recv_time.as_str(), Some("20261121120001"));
}

#[tokio::test]
async fn failed_reports_carry_the_error_that_belongs_to_their_state() {
    let mocks = gateway(&plain());
    stop_clock(&mocks).await;
    let mut sp = Sp::logged_in(&mocks).await;
    for (order, stat, error) in [
        (json!({"stat": "EXPIRED"}), "EXPIRED", "001"),
        (json!({"stat": "UNDELIV"}), "UNDELIV", "003"),
        (json!({"stat": "UNKNOWN"}), "UNKNOWN", "999"),
        (json!({"stat": "UNDELIV", "error": 8}), "UNDELIV", "008"),
    ] {
        fault(&mocks, "taken", json!({"kind": "business", "json": {"report": order}})).await;
        sp.submit(message("18900000001", "x")).await;
        advance(&mocks, "1s").await;
        let report = StatusReport::decode(&sp.delivery().await.msg_content.0).expect("a report");
        assert_eq!((report.stat.as_str(), report.err.as_str()), (Some(stat), Some(error)));
    }
    fault(&mocks, "taken", json!({"kind": "throttle"})).await;
    assert_eq!(sp.submit(message("18900000001", "x")).await.status, 1, "busy");
}

#[tokio::test]
async fn long_messages_go_by_their_tlv_and_come_whole_to_the_stubs() {
    let mocks = gateway(&plain());
    let mut sp = Sp::logged_in(&mocks).await;
    let text = "居住证签注到期提醒：请及时办理。".repeat(8);
    let parts = split(&text, Encoding::Ucs2, Reference::Narrow(3), 255).expect("parts");
    for part in &parts {
        let tlvs = Tlvs::default()
            .with_byte(tag::TP_UDHI, 1)
            .with_byte(tag::PK_TOTAL, part.total)
            .with_byte(tag::PK_NUMBER, part.number);
        let submit = Submit {
            msg_format: 8,
            msg_content: Content(part.content.clone()),
            tlvs,
            ..message("18900000001", "")
        };
        assert_eq!(sp.submit(submit).await.status, 0);
    }
    let entries = journal(&mocks, "SUBMIT").await;
    let last = request_of(&mocks, entries.last().expect("an entry")).await;
    assert_eq!((&last["text"], &last["fields"]["TLV"]["TP_udhi"]), (&json!(text), &json!("01")));
    for _ in &parts {
        assert_eq!(sp.delivery().await.is_report, 1);
    }
    let mo = json!({"from": "18900000001", "to": "1065900", "text": "退订".repeat(50)});
    assert_eq!(mocks.admin("POST", "/api/mocks/carriers/gate/uplink", Some(&mo)).await.status, 200);
    let first = sp.delivery().await;
    assert_eq!(
        (first.is_report, first.tlvs.byte(tag::TP_UDHI), first.tlvs.byte(tag::PK_TOTAL)),
        (0, Some(1), Some(2))
    );
}

#[tokio::test]
async fn reports_take_the_connection_that_receives() {
    let mocks = gateway(&plain());
    stop_clock(&mocks).await;
    let (mut sends, mut receives) = (Sp::connect(&mocks).await, Sp::connect(&mocks).await);
    assert_eq!(sends.login("37000014", 0, 0x30).await.status, 0);
    assert_eq!(receives.login("37000014", 1, 0x30).await.status, 0);
    let id = sends.submit(message("18900000001", "x")).await.msg_id;
    assert_eq!(receives.submit(message("18900000001", "x")).await.status, 11);
    advance(&mocks, "1s").await;
    assert_eq!(StatusReport::decode(&receives.delivery().await.msg_content.0).expect("a report").id, id);
    account_once(&mocks, |account| account["delivered"] == 1).await;
    sends.send(Command::ActiveTest(ActiveTest {})).await;
    assert!(matches!(sends.next().await.command, Command::ActiveTestResp(_)));
    sends.send(Command::Exit(Exit {})).await;
    assert!(matches!(sends.next().await.command, Command::ExitResp(_)));
}

#[tokio::test]
async fn a_push_plan_sends_users_messages_by_smgp() {
    let yaml = partner("smgp", "37000014", "", WRITES).replace("gateway: 902100", "gateway: 10061");
    let mocks = gateway(&yaml);
    let mut sp = Sp::logged_in(&mocks).await;
    assert_eq!(write(&mocks, "18900000001", "1065900", "TD").await["standing"], "done");
    let deliver = sp.delivery().await;
    assert_eq!((deliver.is_report, &deliver.msg_content.0[..]), (0, &b"TD"[..]));
}
