//! Framed messages over TCP as a partner's client sees them.
use std::time::Duration;

use qiao_mappings::{Codec, CodecSpec};
use qiao_mocks::Ports;
use qiao_vault::Vault;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::help::{Mocks, PATIENCE, serve_with};

const BANK: &str = r#"
mock: v1
partner: bank
title: 银行
listen:
  - id: line
    proto: tcp
    select: $.request.msgtext.buscd
    request: {wire: {codec: xml, charset: gb18030}}
    tcp: {idle: 5m}
instance: {key: $.request.msgtext.ref}
stubs:
  - {id: open, item: OPEN, state: {machine: account, in: [new], to: opened, set: {no: "${seq('6', 12)}"}}, respond: {json: {msgtext: {code: "0000", name: "张𬱖", no: "${inst.data.no}", at: "${now()}"}}}}
  - {id: again, item: OPEN, priority: 1, state: {machine: account, in: [opened]}, respond: {json: {msgtext: {code: "1002", name: "张𬱖", no: "${inst.data.no}"}}}}
  - {id: tiny, item: TINY, respond: {text: "ok"}}
"#;

fn bank() -> Mocks {
    with(BANK)
}

fn with(yaml: &str) -> Mocks {
    serve_with(&[("bank/partner.yaml", yaml)], Vault::in_memory().expect("a vault"), |config| {
        config.ports = Ports::Free;
    })
}

/// A client with the banks' framing.
struct Line {
    stream: TcpStream,
}

#[derive(Debug, PartialEq)]
enum Ended {
    Closed(Vec<u8>),
    Reset,
}

impl Line {
    async fn to(mocks: &Mocks) -> Self {
        let addr = mocks.server.listener_addr("bank", "line").expect("listens");
        Self {
            stream: timeout(PATIENCE, TcpStream::connect(addr)).await.expect("in time").expect("connects"),
        }
    }

    async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("written");
    }

    async fn exactly(&mut self, length: usize) -> Result<Vec<u8>, Ended> {
        let mut bytes = vec![0; length];
        let mut at = 0;
        while at < length {
            let read = timeout(PATIENCE, self.stream.read(&mut bytes[at..])).await.expect("in time");
            match read {
                Ok(0) => return Err(Ended::Closed(bytes[..at].to_vec())),
                Ok(count) => at += count,
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                    return Err(Ended::Reset);
                }
                Err(error) => panic!("{error}"),
            }
        }
        Ok(bytes)
    }

    async fn read(&mut self) -> Result<Vec<u8>, Ended> {
        let length = self.exactly(8).await?;
        let length = std::str::from_utf8(&length).expect("digits").parse().expect("digits");
        self.exactly(length).await
    }

    async fn ask(&mut self, item: &str, key: &str) -> Result<Value, Ended> {
        self.write(&request(item, key)).await;
        Ok(decoded(&self.read().await?))
    }
}

fn codec() -> Codec {
    let spec: CodecSpec =
        serde_json::from_value(json!({"codec": "xml", "charset": "gb18030"})).expect("a codec");
    Codec::compile(&spec).expect("a codec")
}

fn request(item: &str, key: &str) -> Vec<u8> {
    let document = json!({"msgtext": {"buscd": item, "ref": key, "name": "王𤋮"}});
    framed(&codec().encode(&document).expect("encodes"))
}

fn framed(message: &[u8]) -> Vec<u8> {
    [format!("{:08}", message.len()).as_bytes(), message].concat()
}

fn decoded(message: &[u8]) -> Value {
    codec().decode(message).unwrap_or_else(|error| panic!("{error}")).document["msgtext"].clone()
}

async fn dial(mocks: &Mocks, fault: Value) {
    let reply = mocks.admin("PUT", "/api/mocks/dials/bank/f", Some(&json!({"fault": fault}))).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

async fn last_entry(mocks: &Mocks) -> Value {
    mocks.admin("GET", "/api/mocks/journal?limit=1", None).await.json()["entries"][0].clone()
}

#[tokio::test]
async fn several_messages_travel_over_one_connection_in_gb18030_and_state_is_kept() {
    let mocks = bank();
    let mut line = Line::to(&mocks).await;
    let opened = line.ask("OPEN", "K1").await.expect("an answer");
    assert_eq!((&opened["code"], &opened["name"]), (&json!("0000"), &json!("张𬱖")));
    let again = line.ask("OPEN", "K1").await.expect("an answer");
    assert_eq!((&again["code"], &again["no"]), (&json!("1002"), &opened["no"]));
    // Another connection, glued and cut by the client.
    let mut other = Line::to(&mocks).await;
    let two = [request("OPEN", "K1"), request("OPEN", "K2")].concat();
    let (first, second) = two.split_at(two.len() / 2 + 3);
    other.write(first).await;
    assert_eq!(decoded(&other.read().await.expect("an answer"))["code"], "1002");
    other.write(second).await;
    assert_eq!(decoded(&other.read().await.expect("an answer"))["code"], "0000");
    let entry = last_entry(&mocks).await;
    assert_eq!(
        (&entry["method"], &entry["path"], &entry["item"]),
        (&json!("TCP"), &json!("/"), &json!("OPEN"))
    );
}

#[tokio::test]
async fn a_miss_is_answered_and_stands_in_the_journal() {
    let mocks = bank();
    let mut line = Line::to(&mocks).await;
    line.write(&request("CLOSE", "K1")).await;
    let answer = line.read().await.expect("an answer");
    assert!(String::from_utf8_lossy(&answer).contains("no stub of `bank` matches"));
    let misses = mocks.admin("GET", "/api/mocks/journal?miss=true", None).await.json();
    assert_eq!(misses["entries"][0]["item"], "CLOSE");
}

#[tokio::test]
async fn bytes_that_are_no_frame_reset_the_connection_and_are_journaled() {
    let mocks = bank();
    let mut line = Line::to(&mocks).await;
    line.write(b"GET / HTTP/1.1\r\n").await;
    assert_eq!(line.read().await, Err(Ended::Reset));
    let entry = last_entry(&mocks).await;
    assert!(entry["problem"].as_str().is_some_and(|text| text.contains("not a decimal digit")), "{entry}");
    let mut line = Line::to(&mocks).await;
    line.write(b"99999999").await;
    assert_eq!(
        line.read().await,
        Err(Ended::Reset),
        "a length above the bound is refused before the body is there"
    );
}

#[tokio::test]
async fn a_connection_for_one_message_is_closed_after_its_answer() {
    let mocks = with(&BANK.replace("{idle: 5m}", "{oneShot: true}"));
    let mut line = Line::to(&mocks).await;
    assert_eq!(line.ask("OPEN", "K1").await.expect("an answer")["code"], "0000");
    assert_eq!(line.read().await, Err(Ended::Closed(Vec::new())));
}

#[tokio::test]
async fn an_idle_connection_is_closed_at_its_deadline() {
    let mocks = with(&BANK.replace("{idle: 5m}", "{idle: 1ms}"));
    let mut line = Line::to(&mocks).await;
    assert_eq!(line.read().await, Err(Ended::Closed(Vec::new())));
}

#[tokio::test]
async fn messages_are_cut_by_delimiter_size_or_silence() {
    for (framing, ask, end) in [
        ("{kind: delimiter, delimiter: \"@@\", max: 4096}", "", "@@"),
        ("{kind: idleGap, gap: 30ms, max: 4KiB}", "", ""),
        ("{kind: length, size: 2, form: little, inclusive: true, max: 4096}", "le", ""),
    ] {
        let mocks = with(&BANK.replace("{idle: 5m}", &format!("{{framing: {framing}}}")));
        let mut line = Line::to(&mocks).await;
        let message = request("TINY", "K")[8..].to_vec();
        let head = if ask == "le" {
            u16::try_from(message.len() + 2).expect("small").to_le_bytes().to_vec()
        } else {
            Vec::new()
        };
        line.write(&[&head[..], &message, end.as_bytes()].concat()).await;
        let wanted = if ask == "le" { b"\x04\0ok".to_vec() } else { format!("ok{end}").into_bytes() };
        assert_eq!(line.exactly(wanted.len()).await, Ok(wanted), "{framing}");
    }
}

#[tokio::test]
async fn a_stopped_partner_resets_open_and_new_connections() {
    let mocks = bank();
    let mut open = Line::to(&mocks).await;
    open.ask("OPEN", "K1").await.expect("an answer");
    assert!(mocks.server.stop("bank"));
    open.write(&request("OPEN", "K1")).await;
    assert_eq!(open.read().await, Err(Ended::Reset));
    // The reset may come while the client still connects.
    let addr = mocks.server.listener_addr("bank", "line").expect("listens");
    match timeout(PATIENCE, TcpStream::connect(addr)).await.expect("in time") {
        Ok(stream) => assert_eq!(Line { stream }.read().await, Err(Ended::Reset)),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
    assert!(mocks.server.start_partner("bank"));
    Line::to(&mocks).await.ask("OPEN", "K1").await.expect("an answer");
}

#[tokio::test]
async fn tcp_f01_f04_a_delayed_answer_comes_after_the_client_has_left_and_its_effect_stays() {
    let mocks = bank();
    let reply =
        mocks.admin("PUT", "/api/mocks/dials/bank/slow", Some(&json!({"delay": {"fixed": "300ms"}}))).await;
    assert_eq!(reply.status, 200);
    let mut line = Line::to(&mocks).await;
    line.write(&request("OPEN", "K1")).await;
    assert!(
        timeout(Duration::from_millis(20), line.read()).await.is_err(),
        "the client's patience is shorter"
    );
    drop(line);
    mocks.admin("DELETE", "/api/mocks/dials/bank/slow", None).await;
    let asked = std::time::Instant::now();
    while last_entry(&mocks).await["delayMs"] != 300 {
        assert!(asked.elapsed() < PATIENCE);
    }
    assert_eq!(Line::to(&mocks).await.ask("OPEN", "K1").await.expect("an answer")["code"], "1002");
}

#[tokio::test]
async fn tcp_f02_f03_no_answer_or_a_reset() {
    let mocks = bank();
    dial(&mocks, json!({"kind": "no-answer", "after": "1ms"})).await;
    assert_eq!(Line::to(&mocks).await.ask("OPEN", "K1").await, Err(Ended::Reset));
    dial(&mocks, json!({"kind": "reset"})).await;
    assert_eq!(Line::to(&mocks).await.ask("OPEN", "K1").await, Err(Ended::Reset));
    assert_eq!(last_entry(&mocks).await["fault"], "reset (dial f)");
    dial(&mocks, json!({"kind": "no-answer"})).await;
    let mut line = Line::to(&mocks).await;
    line.write(&request("OPEN", "K1")).await;
    assert!(timeout(Duration::from_millis(20), line.read()).await.is_err(), "held for minutes");
}

#[tokio::test]
async fn tcp_f06_f14_f15_f16_a_no_in_a_whole_message() {
    let mocks = bank();
    let mut line = Line::to(&mocks).await;
    for (code, text) in [("9999", "失败"), ("02", "银行侧失败"), ("01", "已是该状态"), ("5001", "系统忙")]
    {
        dial(&mocks, json!({"kind": "business", "json": {"msgtext": {"code": code, "msg": text}}})).await;
        assert_eq!(line.ask("OPEN", "K1").await, Ok(json!({"code": code, "msg": text})));
    }
}

#[tokio::test]
async fn tcp_f07_f08_bodies_are_cut_broken_in_the_wrong_charset_or_a_page() {
    let mocks = bank();
    let mut line = Line::to(&mocks).await;
    line.write(&request("OPEN", "K1")).await;
    line.read().await.expect("an answer");
    line.write(&request("OPEN", "K1")).await;
    let whole = line.read().await.expect("an answer");
    dial(&mocks, json!({"kind": "bad-body"})).await;
    line.write(&request("OPEN", "K1")).await;
    let bad = line.read().await.expect("a whole frame");
    assert!(bad == whole[..whole.len() / 2] && codec().decode(&bad).is_err());
    dial(&mocks, json!({"kind": "wrong-charset"})).await;
    line.write(&request("OPEN", "K1")).await;
    let wrong = line.read().await.expect("a whole frame");
    assert!(String::from_utf8(wrong).expect("UTF-8 whatever the declaration says").contains("张𬱖"));
    dial(&mocks, json!({"kind": "html"})).await;
    line.write(&request("OPEN", "K1")).await;
    assert!(line.read().await.expect("a whole frame").starts_with(b"<!DOCTYPE html>"));
    dial(&mocks, json!({"kind": "cut"})).await;
    line.write(&request("OPEN", "K1")).await;
    assert_eq!(line.read().await, Err(Ended::Closed(whole[..whole.len() / 2].to_vec())));
}

#[tokio::test]
async fn tcp_f10_the_first_answer_is_replayed_to_all() {
    let mocks = bank();
    dial(&mocks, json!({"kind": "replay"})).await;
    let mut line = Line::to(&mocks).await;
    let first = line.ask("OPEN", "K1").await.expect("an answer");
    let other = line.ask("OPEN", "K2").await.expect("an answer");
    assert_eq!(first, other);
}

#[tokio::test]
async fn tcp_f17_within_its_window_the_partner_hangs_up() {
    let mocks = bank();
    let at = |time: &str| json!({"stopAt": format!("2026-11-21T{time}:00+08:00")});
    dial(&mocks, json!({"kind": "maintenance", "window": "22:00-06:00"})).await;
    assert_eq!(mocks.admin("PUT", "/api/mocks/clock", Some(&at("23:10"))).await.status, 200);
    assert_eq!(Line::to(&mocks).await.ask("OPEN", "K1").await, Err(Ended::Closed(Vec::new())));
    assert_eq!(mocks.admin("PUT", "/api/mocks/clock", Some(&at("06:00"))).await.status, 200);
    assert!(Line::to(&mocks).await.ask("OPEN", "K1").await.is_ok());
}

#[tokio::test]
async fn tcp_f19_f20_members_are_missing_longer_rare_or_of_another_type() {
    let mocks = bank();
    let mut line = Line::to(&mocks).await;
    dial(&mocks, json!({"kind": "field-missing", "field": "msgtext.no"})).await;
    assert_eq!(line.ask("OPEN", "K1").await.expect("an answer").get("no"), None);
    dial(&mocks, json!({"kind": "field-extra", "field": "msgtext"})).await;
    assert!(line.ask("OPEN", "K1").await.expect("an answer")["unannounced"].is_string());
    dial(&mocks, json!({"kind": "field-longer", "field": "msgtext.name"})).await;
    let name =
        line.ask("OPEN", "K1").await.expect("an answer")["name"].as_str().map(|name| name.chars().count());
    assert_eq!(name, Some(4000));
    dial(&mocks, json!({"kind": "field-type", "field": "msgtext.code"})).await;
    // XML knows no types: a list of one is the text itself, so nothing breaks here.
    assert_eq!(line.ask("OPEN", "K1").await.expect("an answer")["code"], "1002");
    for (kind, wanted) in [("rare-char", "张\u{2CC56}"), ("pua-char", "张\u{E816}")] {
        dial(&mocks, json!({"kind": kind, "field": "msgtext.name"})).await;
        assert_eq!(line.ask("OPEN", "K1").await.expect("an answer")["name"], wanted, "{kind}");
    }
}

#[tokio::test]
async fn tcp_f21_f22_answers_drip_split_or_leave_glued_and_are_whole() {
    let mocks = bank();
    let mut line = Line::to(&mocks).await;
    let first = line.ask("OPEN", "K1").await.expect("an answer")["no"].clone();
    for fault in [json!({"kind": "drip", "after": "20ms"}), json!({"kind": "split-frames"})] {
        dial(&mocks, fault).await;
        assert_eq!(line.ask("OPEN", "K1").await.expect("an answer")["no"], first);
    }
    dial(&mocks, json!({"kind": "glued-frames", "after": "5m"})).await;
    line.write(&request("OPEN", "K1")).await;
    assert!(
        timeout(Duration::from_millis(20), line.stream.peek(&mut [0])).await.is_err(),
        "it waits for the next"
    );
    line.write(&request("OPEN", "K1")).await;
    let (one, two) = (line.read().await.expect("an answer"), line.read().await.expect("an answer"));
    assert_eq!(one, two);
    // Alone, it leaves when its time is over.
    dial(&mocks, json!({"kind": "glued-frames", "after": "1ms"})).await;
    assert_eq!(line.ask("OPEN", "K1").await.expect("an answer")["no"], first);
}

#[tokio::test]
async fn tcp_f23_the_length_is_wrong() {
    let mocks = bank();
    let mut line = Line::to(&mocks).await;
    line.ask("OPEN", "K1").await.expect("an answer");
    line.write(&request("OPEN", "K1")).await;
    let whole = line.read().await.expect("an answer");
    for (length, head) in [("longer", whole.len() + 1), ("shorter", whole.len() - 1)] {
        dial(&mocks, json!({"kind": "wrong-length", "length": length})).await;
        let mut line = Line::to(&mocks).await;
        line.write(&request("OPEN", "K1")).await;
        let frame = line.exactly(8 + whole.len()).await.expect("bytes");
        assert_eq!(frame, [format!("{head:08}").as_bytes(), &whole].concat(), "{length}");
    }
    dial(&mocks, json!({"kind": "wrong-length", "length": "garbage"})).await;
    line.write(&request("OPEN", "K1")).await;
    assert_eq!(line.exactly(8).await, Ok(b"XXXXXXXX".to_vec()));
}

#[tokio::test]
async fn tcp_f25_f26_a_clock_off_and_another_answer_to_a_repeat() {
    let mocks = bank();
    let at = json!({"stopAt": "2026-11-21T09:30:00+08:00"});
    assert_eq!(mocks.admin("PUT", "/api/mocks/clock", Some(&at)).await.status, 200);
    dial(&mocks, json!({"kind": "clock-skew", "skew": "-30m"})).await;
    let mut line = Line::to(&mocks).await;
    let first = line.ask("OPEN", "K1").await.expect("an answer");
    assert!(first["at"].as_str().is_some_and(|at| at.contains("09:00:00")), "{first}");
    dial(&mocks, json!({"kind": "other-reply"})).await;
    let repeated = line.ask("OPEN", "K1").await.expect("an answer");
    assert_eq!(repeated["code"], "0000", "as if it were new");
    assert_ne!(repeated["no"], first["no"]);
    mocks.admin("DELETE", "/api/mocks/dials/bank/f", None).await;
    assert_eq!(line.ask("OPEN", "K1").await.expect("an answer")["no"], first["no"], "nothing of it was kept");
}

#[tokio::test]
async fn a_fault_that_tcp_cannot_have_does_not_strike_and_is_refused_where_nothing_else_listens() {
    let mocks = bank();
    dial(&mocks, json!({"kind": "throttle"})).await;
    let answer = Line::to(&mocks).await.ask("OPEN", "K1").await.expect("an answer");
    assert_eq!(answer["code"], "0000");
    assert_eq!(last_entry(&mocks).await["fault"], Value::Null);
    let folder = tempfile::tempdir().expect("a folder");
    crate::help::write(
        &folder,
        "bank/partner.yaml",
        &format!("{BANK}dials: [{{id: d, fault: {{kind: throttle}}}}]\n"),
    );
    let mistakes =
        qiao_mocks::check(folder.path(), &Vault::in_memory().expect("a vault")).expect_err("refused");
    assert!(mistakes[0].to_string().contains("`throttle` cannot occur on tcp"), "{}", mistakes[0]);
}

#[tokio::test]
async fn tcp_f19_a_message_of_typed_members_has_one_of_another_type() {
    let yaml = BANK
        .replace("{codec: xml, charset: gb18030}", "{codec: json}")
        .replace("$.request.msgtext.", "$.request.");
    let yaml = yaml.replace(
        "{id: tiny, item: TINY, respond: {text: \"ok\"}}",
        "{id: typed, item: TYPED, respond: {json: {count: 7, name: 张三, list: [1]}}}",
    );
    let mocks = with(&yaml);
    let mut line = Line::to(&mocks).await;
    for (field, wanted) in [("count", json!("7")), ("name", json!(["张三"])), ("list", json!(1))] {
        dial(&mocks, json!({"kind": "field-type", "field": field})).await;
        line.write(&framed(json!({"buscd": "TYPED", "ref": "K1"}).to_string().as_bytes())).await;
        let answer: Value = serde_json::from_slice(&line.read().await.expect("an answer")).expect("JSON");
        assert_eq!(answer[field], wanted, "{field}");
    }
}
