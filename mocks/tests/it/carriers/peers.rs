//! The gateways against clients that know nothing of this program: pycmpp, and two written from the protocol documents.
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use super::client::{SECRET, address, gateway, journal, partner, request_of};
use crate::{help::Mocks, peers};

const REPORTS: &str = "      reports: {after: {fixed: 20ms}}";

async fn run(mocks: &Mocks, script: &str, more: &[&str]) -> Value {
    let addr = address(mocks);
    let (host, port) = (addr.ip().to_string(), addr.port().to_string());
    let mut arguments = vec![host.as_str(), port.as_str()];
    arguments.extend(more);
    peers::run("python", script, &arguments).await
}

/// The text that the stubs saw with the last part.
async fn text_seen(mocks: &Mocks) -> Value {
    let entries = journal(mocks, "SUBMIT").await;
    request_of(mocks, entries.last().expect("an entry")).await["text"].clone()
}

fn ids(list: &Value, key: &str) -> Vec<String> {
    let mut ids: Vec<String> = list
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one[key].as_str().expect("an id").to_owned())
        .collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn pycmpp_logs_in_sends_a_long_chinese_message_and_receives_its_reports() {
    let mocks = gateway(&partner("cmpp", "901234", REPORTS, ""));
    let text = "您申请的上海市居住证已制作完成，请于工作日携带身份证件到受理点领取。".repeat(4);
    let seen = run(&mocks, "carrier_cmpp.py", &["901234", SECRET, "13800000001", &text]).await;
    assert_eq!((&seen["status"], &seen["terminated"]), (&json!(0), &json!(true)), "{seen}");
    assert!(seen["submits"].as_array().is_some_and(|submits| submits.len() == 3), "{seen}");
    assert!(seen["submits"].as_array().expect("a list").iter().all(|submit| submit["result"] == 0), "{seen}");
    assert_eq!(ids(&seen["submits"], "id"), ids(&seen["reports"], "id"));
    for report in seen["reports"].as_array().expect("a list") {
        let wanted = json!({"registered": 1, "length": 60, "id": report["id"], "stat": "DELIVRD", "number": "13800000001", "rest": 8});
        assert_eq!(*report, wanted);
    }
    assert_eq!(text_seen(&mocks).await, json!(text));
    let refused = run(&mocks, "carrier_cmpp.py", &["901234", "4321", "13800000001", "x"]).await;
    assert_eq!(refused["status"], 3);
}

#[tokio::test]
async fn an_smgp_client_from_the_document_sends_a_long_message_and_takes_reports_and_an_uplink() {
    let yaml = partner("smgp", "37000014", REPORTS, "").replace("gateway: 902100", "gateway: 10061");
    let mocks = gateway(&yaml);
    // It waits for the client.
    let mo = json!({"from": "18900000001", "to": "1065900", "text": "退订"});
    assert_eq!(mocks.admin("POST", "/api/mocks/carriers/gate/uplink", Some(&mo)).await.status, 200);
    let text = "您的社会保障卡已寄出，请注意查收。".repeat(10);
    let seen = run(&mocks, "carrier_smgp.py", &["37000014", SECRET, "18900000001", &text]).await;
    assert_eq!(
        (&seen["status"], &seen["server"], &seen["version"]),
        (&json!(0), &json!(true), &json!(0x30)),
        "{seen}"
    );
    assert_eq!((&seen["tested"], &seen["left"]), (&json!(true), &json!(true)));
    assert_eq!(seen["uplink"], json!({"from": "18900000001", "text": "退订"}));
    let submits = ids(&seen["submits"], "id");
    assert!(
        submits.len() == 3 && submits.iter().all(|id| id.len() == 20 && id.starts_with("010061")),
        "{seen}"
    );
    assert_eq!(submits, ids(&seen["reports"], "id"));
    for report in seen["reports"].as_array().expect("a list") {
        let told = ["sub", "dlvrd", "stat", "err", "number"].map(|name| report[name].as_str().expect("text"));
        assert_eq!(told, ["001", "001", "DELIVRD", "000", "18900000001"]);
        assert_eq!(report["length"], 122);
    }
    assert_eq!(text_seen(&mocks).await, json!(text));
}

#[tokio::test]
async fn an_sgip_provider_from_the_document_is_called_back_with_its_reports() {
    let (own, relay) = (
        TcpListener::bind("127.0.0.1:0").await.expect("a listener"),
        TcpListener::bind("127.0.0.1:0").await.expect("a listener"),
    );
    let port = |listener: &TcpListener| listener.local_addr().expect("an address").port();
    let callback =
        format!("\"vault:gate/secret\", callback: {{address: \"127.0.0.1:{}\", name: smg}}}}", port(&own));
    let yaml = partner("sgip", "90123", REPORTS, "").replace("\"vault:gate/secret\"}", &callback);
    let mocks = gateway(&yaml.replace("gateway: 902100", "gateway: 1021000001"));
    let relay_port = port(&relay).to_string();
    let piped = tokio::spawn(async move {
        let (mut script, _) = relay.accept().await.expect("the script");
        let (mut gateway, _): (TcpStream, _) = own.accept().await.expect("the gateway");
        tokio::io::copy_bidirectional(&mut script, &mut gateway).await
    });
    let text = "您的敬老卡已办结。".repeat(20);
    let seen = run(&mocks, "carrier_sgip.py", &[&relay_port, "90123", SECRET, "13000000001", &text]).await;
    piped.abort();
    assert_eq!((&seen["bind"], &seen["left"]), (&json!(0), &json!(true)), "{seen}");
    assert_eq!(seen["called"], json!({"type": 2, "name": "smg", "password": SECRET, "node": 1_021_000_001}));
    assert!(seen["submits"].as_array().is_some_and(|submits| submits.len() == 3), "{seen}");
    assert_eq!(ids(&seen["submits"], "sequence"), ids(&seen["reports"], "sequence"));
    for report in seen["reports"].as_array().expect("a list") {
        assert_eq!(
            (&report["state"], &report["error"], &report["number"]),
            (&json!(0), &json!(0), &json!("8613000000001"))
        );
    }
    assert_eq!(text_seen(&mocks).await, json!(text));
}
