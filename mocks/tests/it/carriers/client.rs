//! A service provider: frames over a socket, and a server of gateways with short waits.
use std::{net::SocketAddr, time::Duration};

use qiao_mocks::Ports;
use qiao_vault::{KeyKind, Purpose, Vault};
use qiao_wire::{Head, Stamp, cmpp};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::help::{Mocks, PATIENCE, serve_with};

/// The secret of every account.
pub const SECRET: &str = "1234";

/// A partner with one gateway; `more` is added below `carrier`, `rest` at the end.
pub fn partner(proto: &str, account: &str, more: &str, rest: &str) -> String {
    format!(
        r#"
mock: v1
partner: gate
title: 网关
seed: 7
listen:
  - id: sms
    proto: {proto}
    carrier:
      gateway: 902100
      accounts:
        - {{id: "{account}", secret: "vault:gate/secret"}}
{more}
stubs:
  - {{id: taken, respond: {{json: {{result: 0}}}}}}
{rest}
"#
    )
}

/// A plan by which a user writes to the provider an hour after it was started.
pub const WRITES: &str = r#"
pushes:
  user: {carrier: sms}
plans:
  writes:
    steps:
      - {id: td, after: 1h, push: user, json: {from: "${request.from}", to: "${request.to}", text: "${request.text}"}}
"#;

/// Starts that plan and lets the hour pass; how its step stands.
pub async fn write(mocks: &Mocks, from: &str, to: &str, text: &str) -> Value {
    stop_clock(mocks).await;
    let start = json!({"key": from, "request": {"from": from, "to": to, "text": text}});
    let started = mocks.admin("POST", "/api/mocks/plans/gate/writes/start", Some(&start)).await;
    assert_eq!(started.status, 200, "{}", started.text());
    advance(mocks, "2h").await;
    mocks.admin("GET", "/api/mocks/plans/gate", None).await.json()["runs"][0]["steps"][0].clone()
}

pub fn vault() -> Vault {
    let vault = Vault::in_memory().expect("a vault");
    let key = "vault:gate/secret".parse().expect("a reference");
    vault.import(&key, KeyKind::Secret, Purpose::Secret, SECRET.as_bytes()).expect("a secret");
    vault
}

/// Serves a partner `gate` on free ports.
pub fn gateway(yaml: &str) -> Mocks {
    serve_with(&[("gate/partner.yaml", yaml)], vault(), |config| config.ports = Ports::Free)
}

pub fn address(mocks: &Mocks) -> SocketAddr {
    mocks.server.listener_addr("gate", "sms").expect("a listener")
}

/// Lays a dial over the gateway.
pub async fn dial(mocks: &Mocks, id: &str, dial: Value) {
    let reply = mocks.admin("PUT", &format!("/api/mocks/dials/gate/{id}"), Some(&dial)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

/// Lays a fault over one of the gateway's stubs.
pub async fn fault(mocks: &Mocks, stub: &str, fault: Value) {
    dial(mocks, "fault", json!({"for": {"stub": stub}, "fault": fault})).await;
}

/// Stops the clock at noon of 21 November 2026 in Shanghai.
pub async fn stop_clock(mocks: &Mocks) {
    mocks.client().stop_clock_at("2026-11-21T12:00:00+08:00").await.expect("the clock stands");
}

/// Moves the clock; how many timers fired.
pub async fn advance(mocks: &Mocks, by: &str) -> u64 {
    mocks.client().advance(by).await.expect("the clock moves").done
}

/// The newest journal entries of a method, oldest first.
pub async fn journal(mocks: &Mocks, method: &str) -> Vec<Value> {
    let page = mocks.admin("GET", "/api/mocks/journal?limit=200", None).await.json();
    let mut entries: Vec<Value> = page["entries"]
        .as_array()
        .expect("entries")
        .iter()
        .filter(|e| e["method"] == method)
        .cloned()
        .collect();
    entries.reverse();
    entries
}

/// The whole entry, with its request as JSON.
pub async fn request_of(mocks: &Mocks, entry: &Value) -> Value {
    let whole = mocks.admin("GET", &format!("/api/mocks/journal/{}", entry["id"]), None).await.json();
    let text = whole["request"]["text"].as_str().or_else(|| whole["request"].as_str());
    serde_json::from_str(text.unwrap_or_else(|| panic!("{whole}"))).expect("JSON")
}

/// What an account's state shows once it is as `wanted` says.
pub async fn account_once(mocks: &Mocks, wanted: impl Fn(&Value) -> bool) -> Value {
    let begun = std::time::Instant::now();
    loop {
        let shown = mocks.admin("GET", "/api/mocks/carriers/gate", None).await.json();
        let account = shown["gateways"][0]["accounts"][0].clone();
        if wanted(&account) {
            return account;
        }
        assert!(begun.elapsed() < PATIENCE, "{account}");
    }
}

/// A socket with frames whose first four bytes are their length.
pub struct Wire {
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// In order, with these bytes left over.
    Closed(Vec<u8>),
    Reset,
}

impl Wire {
    pub async fn to(addr: SocketAddr) -> Self {
        let stream =
            timeout(PATIENCE, TcpStream::connect(addr)).await.expect("in time").expect("a connection");
        Self::over(stream)
    }

    pub fn over(stream: TcpStream) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        timeout(PATIENCE, self.stream.write_all(bytes)).await.expect("in time").expect("written");
    }

    /// The next frame by the length it states.
    pub async fn frame(&mut self) -> Result<Vec<u8>, End> {
        timeout(PATIENCE, self.read()).await.expect("a frame in time")
    }

    /// Whether nothing comes for a while. What does come is kept.
    pub async fn silent(&mut self, time: Duration) -> bool {
        // Reading is safe to drop: bytes go to the buffer as they come.
        self.buffer.is_empty() && timeout(time, self.more()).await.is_err()
    }

    async fn read(&mut self) -> Result<Vec<u8>, End> {
        loop {
            if let Some(head) = self.buffer.first_chunk::<4>() {
                let length = usize::try_from(u32::from_be_bytes(*head)).expect("a length");
                if length >= 12 && self.buffer.len() >= length {
                    return Ok(self.buffer.drain(..length).collect());
                }
            }
            if !self.more().await? {
                return Err(End::Closed(std::mem::take(&mut self.buffer)));
            }
        }
    }

    async fn more(&mut self) -> Result<bool, End> {
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(count) => Ok(count > 0),
            Err(_) => Err(End::Reset),
        }
    }

    /// As many bytes, whatever lengths they state.
    pub async fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            assert_eq!(timeout(PATIENCE, self.more()).await.expect("bytes in time"), Ok(true));
        }
        self.buffer.drain(..count).collect()
    }

    /// Everything until the connection ends.
    pub async fn rest(&mut self) -> End {
        let all = async {
            loop {
                match self.more().await {
                    Ok(true) => {}
                    Ok(false) => return End::Closed(std::mem::take(&mut self.buffer)),
                    Err(end) => return end,
                }
            }
        };
        timeout(PATIENCE, all).await.expect("an end in time")
    }
}

/// A CMPP service provider.
pub struct Sp {
    pub wire: Wire,
    pub version: cmpp::Version,
    sequence: u32,
}

/// 12:00:00 on 21 November.
pub const NOON: u32 = 1_121_120_000;

impl Sp {
    pub async fn connect(mocks: &Mocks, version: cmpp::Version) -> Self {
        Self { wire: Wire::to(address(mocks)).await, version, sequence: 0 }
    }

    /// Connected and logged in.
    pub async fn logged_in(mocks: &Mocks, version: cmpp::Version) -> Self {
        let mut sp = Self::connect(mocks, version).await;
        assert_eq!(sp.login("901234", SECRET, version.byte()).await.status.0, 0);
        sp
    }

    pub async fn send(&mut self, command: cmpp::Command) -> u32 {
        self.sequence += 1;
        let frame = cmpp::Pdu { sequence: self.sequence, command }.encode(self.version).expect("a frame");
        self.wire.send(&frame).await;
        self.sequence
    }

    pub async fn next(&mut self) -> cmpp::Pdu {
        let frame = self.wire.frame().await.expect("a frame");
        cmpp::Pdu::decode(&frame, self.version).unwrap_or_else(|error| panic!("{error}: {frame:02x?}"))
    }

    pub async fn login(&mut self, account: &str, secret: &str, version: u8) -> cmpp::ConnectResp {
        self.send(connect(account, secret, version)).await;
        match self.next().await.command {
            cmpp::Command::ConnectResp(resp) => resp,
            other => panic!("{other:?}"),
        }
    }

    /// Submits and waits for the answer.
    pub async fn submit(&mut self, submit: cmpp::Submit) -> cmpp::SubmitResp {
        let sequence = self.send(cmpp::Command::Submit(submit)).await;
        let pdu = self.next().await;
        assert_eq!(pdu.sequence, sequence);
        match pdu.command {
            cmpp::Command::SubmitResp(resp) => resp,
            other => panic!("{other:?}"),
        }
    }

    /// The next delivery, which is acknowledged.
    pub async fn delivery(&mut self) -> cmpp::Deliver {
        let (sequence, deliver) = self.unanswered_delivery().await;
        self.acknowledge(sequence, &deliver, 0).await;
        deliver
    }

    pub async fn unanswered_delivery(&mut self) -> (u32, cmpp::Deliver) {
        let pdu = self.next().await;
        match pdu.command {
            cmpp::Command::Deliver(deliver) => (pdu.sequence, deliver),
            other => panic!("{other:?}"),
        }
    }

    pub async fn acknowledge(&mut self, sequence: u32, deliver: &cmpp::Deliver, result: u32) {
        let resp = cmpp::DeliverResp { msg_id: deliver.msg_id, result: cmpp::Status(result) };
        let pdu = cmpp::Pdu { sequence, command: cmpp::Command::DeliverResp(resp) };
        self.wire.send(&pdu.encode(self.version).expect("a frame")).await;
    }

    /// The next delivery's report.
    pub async fn report(&mut self) -> cmpp::StatusReport {
        let deliver = self.delivery().await;
        assert_eq!(deliver.registered_delivery, 1, "{deliver:?}");
        cmpp::StatusReport::decode(&deliver.msg_content.0).expect("a report")
    }
}

pub fn connect(account: &str, secret: &str, version: u8) -> cmpp::Command {
    let source_addr = qiao_wire::FixedText::new(account).expect("six bytes");
    cmpp::Command::Connect(cmpp::Connect {
        source_addr,
        authenticator_source: cmpp::auth::source(&source_addr, secret.as_bytes(), NOON),
        version,
        timestamp: NOON,
    })
}

/// A message to one number that wants a report.
pub fn message(number: &str, text: &str) -> cmpp::Submit {
    let encoding = qiao_wire::sms::Encoding::for_text(text);
    cmpp::Submit {
        pk_total: 1,
        pk_number: 1,
        registered_delivery: 1,
        msg_fmt: encoding.code(),
        src_id: qiao_wire::FixedText::new("106812345").expect("a number"),
        dest_terminal_id: cmpp::Destinations::one(cmpp::TerminalId::new(number).expect("a number")),
        msg_content: qiao_wire::Content(encoding.encode(text).expect("a text")),
        ..cmpp::Submit::default()
    }
}

/// The head of a CMPP or SMGP frame.
pub fn head(frame: &[u8]) -> Head {
    Head::decode(frame).expect("a head")
}

pub fn noon() -> Stamp {
    Stamp::from_digits(NOON).expect("a time")
}
