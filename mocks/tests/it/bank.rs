//! The bank: sealed messages over TCP, batch files over SFTP with an ordinary client.
use std::{net::SocketAddr, path::Path, process::Stdio};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::BytesMut;
use qiao_mappings::{Codec, CodecSpec, strict::Source};
use qiao_mocks::spec::PartnerSpec;
use qiao_vault::{Envelope, KeyKind, KeyRef, Params, Purpose, Side, SignatureFormat, Vault, required_keys};
use qiao_wire::bankfile::{FileFormat, FileReader, FileSpec, Header, Record, write_file};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
    time::timeout,
};

use crate::help::{Mocks, PATIENCE, serve_with};

mod late;

const SIGNER: &[u8] = b"1234567812345678";

struct Bank {
    mocks: Mocks,
    vault: Vault,
    envelope: Envelope,
    /// The client's key and its batch files.
    desk: TempDir,
}

fn key(name: &str) -> KeyRef {
    name.parse().expect("a reference")
}

fn yaml() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("bank/partner.yaml");
    std::fs::read_to_string(path).expect("the bank")
}

async fn run(command: &mut Command) -> (bool, String) {
    let output = timeout(PATIENCE, command.stdin(Stdio::null()).output()).await.expect("in time");
    let output = output.expect("runs; scripts/setup.sh installs openssh-client");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

async fn bank() -> Bank {
    let desk = tempfile::tempdir().expect("a folder");
    let (made, told) = run(Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(desk.path().join("key")))
    .await;
    assert!(made, "{told}");
    let public = std::fs::read_to_string(desk.path().join("key.pub")).expect("a public key");
    let yaml = yaml().replace(
        "{name: hub, password: \"vault:bank/sftp-password\"}",
        &format!("{{name: hub, password: \"vault:bank/sftp-password\", keys: [\"{}\"]}}", public.trim()),
    );
    let source = Source::read("bank", &yaml).expect("YAML");
    let spec: PartnerSpec = source.decode().expect("a partner");
    let envelope = &spec.envelopes["bank"];
    let vault = Vault::in_memory().expect("a vault");
    for required in required_keys(envelope) {
        vault.generate(&required.key, required.kind, required.purpose).expect("a key");
    }
    for name in ["vault:bus/sign", "vault:bank/sign"] {
        vault.generate(&key(name), KeyKind::Sm2, Purpose::Sign).expect("a key");
    }
    let password = key("vault:bank/sftp-password");
    vault.import(&password, KeyKind::Secret, Purpose::Secret, b"correct-horse").expect("a secret");
    let envelope = Envelope::compile(envelope, &vault, Side::Bus).expect("an envelope");
    let mocks = serve_with(
        &[("city/city.yaml", crate::help::CITY), ("bank/partner.yaml", &yaml)],
        vault.clone(),
        |_| {},
    );
    let stop = json!({"stopAt": "2026-11-22T09:00:00+08:00"});
    assert_eq!(mocks.admin("PUT", "/api/mocks/clock", Some(&stop)).await.status, 200);
    Bank { mocks, vault, envelope, desk }
}

fn xml(spec: Value) -> Codec {
    let spec: CodecSpec = serde_json::from_value(spec).expect("a codec");
    Codec::compile(&spec).expect("a codec")
}

/// A sealed message and its opened answer; the header's code where nothing is sealed.
pub async fn exchange(
    addr: SocketAddr,
    envelope: &Envelope,
    code: &str,
    business: &Value,
) -> Result<Value, String> {
    let inner = xml(json!({"codec": "xml", "charset": "gb18030", "element": "data"}));
    let outer = xml(json!({"codec": "xml", "charset": "gb18030"}));
    let sealed = envelope.seal(&inner.encode(business).expect("encodes"), &Params::new()).expect("seals");
    let header = json!({"version": "1.0", "ref": "R1", "buscd": code, "sender": "CARD", "recver": "BANK", "sign": sealed["sign"]});
    let message = outer.encode(&json!({"msgtext": {"grphdr": header, "busitext": sealed["busitext"]}}));
    let message = message.expect("encodes");
    let mut line = TcpStream::connect(addr).await.expect("connects");
    line.write_all(&[format!("{:08}", message.len()).as_bytes(), &message].concat()).await.expect("written");
    let mut head = [0; 8];
    timeout(PATIENCE, line.read_exact(&mut head)).await.expect("in time").expect("a length");
    let mut answer = vec![0; std::str::from_utf8(&head).expect("digits").parse().expect("digits")];
    timeout(PATIENCE, line.read_exact(&mut answer)).await.expect("in time").expect("a message");
    let wire = outer.decode(&answer).expect("XML").document["msgtext"].clone();
    if wire["busitext"].is_null() {
        return Err(wire["grphdr"]["appcode"].as_str().unwrap_or_default().to_owned());
    }
    let plain = envelope.open(&wire, &Params::new()).map_err(|error| error.to_string())?;
    let inner = xml(json!({"codec": "xml", "charset": "gb18030", "unwrap": true}));
    Ok(inner.decode(&plain).expect("XML").document)
}

impl Bank {
    /// A sealed message and its opened answer; the header's code where nothing is sealed.
    async fn ask(&self, code: &str, business: &Value) -> Result<Value, String> {
        let addr = self.mocks.server.listener_addr("bank", "line").expect("listens");
        exchange(addr, &self.envelope, code, business).await
    }

    /// Runs commands in OpenSSH's sftp; whether all went well, and what it said.
    async fn sftp(&self, commands: &str) -> (bool, String) {
        self.sftp_as(commands, &["-o", "BatchMode=yes", "-i", "key"], &[]).await
    }

    async fn sftp_as(
        &self,
        commands: &str,
        options: &[&str],
        environment: &[(&str, &str)],
    ) -> (bool, String) {
        std::fs::write(self.desk.path().join("commands"), commands).expect("written");
        let addr = self.mocks.server.listener_addr("bank", "files").expect("listens");
        let mut command = Command::new("sftp");
        command.current_dir(self.desk.path()).envs(environment.iter().copied());
        command.args(["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]);
        command.args(options).args(["-P", &addr.port().to_string(), "-b", "commands", "hub@127.0.0.1"]);
        run(&mut command).await
    }

    /// Writes a signed batch of these people to the desk; gives the name without ending.
    fn batch(&self, number: u16, people: &[(&str, &str)]) -> String {
        let columns = "bankCode netCode name idType idNo idExpire gender nation country birth mobile address postcode \
                       occupation cardSerial socialCardNo applyType guardianName guardianIdNo fprCnName";
        let columns: Vec<&'static str> = columns.split_whitespace().collect();
        let row = |(name, id): &(&str, &str)| -> Vec<String> {
            let value = |column: &&str| match *column {
                "name" => (*name).to_owned(),
                "idNo" => (*id).to_owned(),
                "cardSerial" => format!("CS{id}"),
                _ => "1".to_owned(),
            };
            columns.iter().map(value).collect()
        };
        let rows: Vec<Vec<String>> = people.iter().map(row).collect();
        let format = FileSpec::delimited(columns.iter().copied()).compile().expect("columns");
        let bytes = write_file(&format, &header(), &rows).expect("a file");
        let name = format!("BATCHOPEN_CARD_BANK_20261122_{number:04}");
        let signature = self.vault.key(&key("vault:bus/sign")).sign(&bytes, SIGNER, SignatureFormat::Raw);
        let put = |ending: &str, bytes: &[u8]| {
            std::fs::write(self.desk.path().join(format!("{name}.{ending}")), bytes).expect("written");
        };
        put("txt", &bytes);
        put("sig", BASE64_STANDARD.encode(signature.expect("signed")).as_bytes());
        put("ok", b"");
        name
    }

    async fn put(&self, name: &str) {
        let (done, told) =
            self.sftp(&format!("put {name}.txt /in/\nput {name}.sig /in/\nput {name}.ok /in/\n")).await;
        assert!(done, "{told}");
    }

    async fn advance(&self, by: &str) -> Value {
        self.mocks.admin("POST", "/api/mocks/clock/advance", Some(&json!({"by": by}))).await.json()
    }

    async fn dial(&self, fault: Value) {
        let reply = self.mocks.admin("PUT", "/api/mocks/dials/bank/f", Some(&json!({"fault": fault}))).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }

    /// A batch of one under a fault, half an hour later: the files there are, and the result's bytes and signature.
    async fn struck(&self, number: u16, fault: Value) -> (String, Vec<u8>, Option<bool>) {
        self.dial(fault).await;
        let name = self.batch(number, &[("张三", "310101199003074511")]);
        self.put(&name).await;
        self.advance("30m").await;
        let (_, listing) = self.sftp("ls -1 /out\n").await;
        let result = format!("BATCHOPENR_BANK_CARD_20261122_{number:04}");
        self.sftp(&format!("-get /out/{result}.txt\n-get /out/{result}.sig\n")).await;
        let read = |ending: &str| std::fs::read(self.desk.path().join(format!("{result}.{ending}"))).ok();
        let bytes = read("txt").unwrap_or_default();
        let holds = read("sig").map(|text| {
            let signature = BASE64_STANDARD.decode(text.trim_ascii()).expect("base64");
            let key = self.vault.key(&key("vault:bank/sign"));
            key.verify(&bytes, SIGNER, &signature, SignatureFormat::Raw).is_ok()
        });
        (listing, bytes, holds)
    }
}

fn header() -> Header {
    let date = time::Date::from_calendar_date(2026, time::Month::November, 22).expect("a day");
    Header { batch_no: "B0001".into(), bank_code: "10200".into(), date, count: 0, amount: 0 }
}

fn result_format() -> FileFormat {
    let columns =
        ["cardSerial", "socialCardNo", "name", "idNo", "bankAccount", "openDate", "retCode", "retMsg"];
    FileSpec::delimited(columns).compile().expect("columns")
}

fn rows(bytes: &[u8]) -> Result<Vec<Vec<String>>, String> {
    let mut reader = FileReader::new(result_format());
    let (mut buffer, mut rows) = (BytesMut::from(bytes), Vec::new());
    while let Some(record) = reader.read(&mut buffer).map_err(|error| error.to_string())? {
        if let Record::Row(row) = record {
            rows.push(row.values);
        }
    }
    reader.finish(&buffer).map_err(|error| error.to_string())?;
    Ok(rows)
}

#[tokio::test]
async fn an_account_is_opened_asked_about_and_closed_over_sealed_messages() {
    let bank = bank().await;
    let person = json!({"applyNo": "A1", "idNo": "310101199003074511", "name": "张𬱖"});
    assert_eq!(bank.ask("FINSTATUS", &person).await.expect("sealed")["retCode"], "1002");
    let opened = bank.ask("INSTANTOPEN", &person).await.expect("sealed");
    assert_eq!((&opened["retCode"], &opened["applyNo"]), (&json!("0000"), &json!("A1")));
    let again = bank.ask("INSTANTOPEN", &person).await.expect("sealed");
    assert_eq!((&again["retCode"], &again["bankAccount"]), (&json!("1002"), &opened["bankAccount"]));
    let status = bank.ask("FINSTATUS", &person).await.expect("sealed");
    assert_eq!((&status["finStatus"], &status["bankAccount"]), (&json!("1"), &opened["bankAccount"]));
    let partial = json!({"idNo": "310101199003074511", "reason": "网点未同步"});
    assert_eq!(bank.ask("CLOSEACCOUNT", &partial).await.expect("sealed")["retCode"], "02");
    assert_eq!(bank.ask("CLOSEACCOUNT", &person).await.expect("sealed")["retCode"], "01");
    assert_eq!(bank.ask("FINSTATUS", &person).await.expect("sealed")["finStatus"], "5");
    let other = json!({"applyNo": "A2", "idNo": "820000199001011224"});
    assert_eq!(bank.ask("INSTANTOPEN", &other).await.expect("sealed")["retCode"], "1001");
    assert_eq!(bank.ask("NOSUCH", &person).await, Err("9999".into()));
}

#[tokio::test]
async fn tcp_f09_f24_a_bad_sign_or_another_generation_of_keys_is_refused_by_the_bus() {
    let bank = bank().await;
    let person = json!({"applyNo": "A1", "idNo": "310101199003074511"});
    for kind in ["bad-signature", "stale-key"] {
        bank.dial(json!({"kind": kind})).await;
        let refused = bank.ask("INSTANTOPEN", &person).await.expect_err("refused");
        assert!(!refused.chars().all(|c| c.is_ascii_digit()), "sealed, but not to be opened: {refused}");
    }
}

#[tokio::test]
async fn an_ordinary_sftp_client_puts_a_batch_and_fetches_its_result_half_an_hour_later() {
    let bank = bank().await;
    let name = bank.batch(1, &[("张䶮", "310101199003074511"), ("王五", "820000199001011224")]);
    bank.put(&name).await;
    assert_eq!(bank.sftp("ls -1 /out\n").await.1.lines().filter(|line| line.starts_with("/out")).count(), 0);
    assert_eq!(bank.advance("29m").await["done"], 0);
    assert_eq!(bank.advance("1m").await["done"], 1);
    let result = "BATCHOPENR_BANK_CARD_20261122_0001";
    let (done, told) =
        bank.sftp(&format!("ls -l /\nls -1 /out\nget /out/{result}.txt\nget /out/{result}.sig\n")).await;
    assert!(done && told.contains(&format!("{result}.ok")), "{told}");
    let bytes = std::fs::read(bank.desk.path().join(format!("{result}.txt"))).expect("fetched");
    let rows = rows(&bytes).expect("a right file");
    assert_eq!(
        (rows[0][0].as_str(), rows[0][2].as_str(), rows[0][6].as_str()),
        ("CS310101199003074511", "张䶮", "0000")
    );
    assert!(rows[0][4].starts_with("622848") && rows[0][5] == "20261122");
    assert_eq!((rows[1][4].as_str(), rows[1][6].as_str()), ("", "1001"));
    let signature = std::fs::read(bank.desk.path().join(format!("{result}.sig"))).expect("fetched");
    let signature = BASE64_STANDARD.decode(signature.trim_ascii()).expect("base64");
    let bank_key = bank.vault.key(&key("vault:bank/sign"));
    bank_key.verify(&bytes, SIGNER, &signature, SignatureFormat::Raw).expect("the bank's signature");
    // The same batch again is not taken.
    bank.put(&name).await;
    let entry =
        bank.mocks.admin("GET", "/api/mocks/journal?limit=1", None).await.json()["entries"][0].clone();
    assert!(entry["stub"].as_str().is_some_and(|stub| stub.starts_with("bank/batch-again@")), "{entry}");
    assert_eq!(
        (&entry["method"], &entry["path"]),
        (&json!("PUT"), &json!("/in/BATCHOPEN_CARD_BANK_20261122_0001.txt"))
    );
}

#[tokio::test]
async fn the_bank_answers_a_reconciliation_with_its_own_side() {
    let bank = bank().await;
    let columns = ["socialCardNo", "idNo", "bankAccount", "socialStatus", "finStatus", "lastChangeTime"];
    let format = FileSpec::delimited(columns).compile().expect("columns");
    let rows = [vec!["S1", "310101199003074511", "6228", "9", "1", "20261121"]];
    let bytes = write_file(&format, &header(), &rows).expect("a file");
    let signature = bank.vault.key(&key("vault:bus/sign")).sign(&bytes, SIGNER, SignatureFormat::Raw);
    let name = "RECON_CARD_BANK_20261122_0001";
    for (ending, bytes) in [
        ("txt", bytes),
        ("sig", BASE64_STANDARD.encode(signature.expect("signed")).into()),
        ("ok", Vec::new()),
    ] {
        std::fs::write(bank.desk.path().join(format!("{name}.{ending}")), bytes).expect("written");
    }
    bank.put(name).await;
    let (done, told) = bank.sftp("get /out/RECON_BANK_CARD_20261122_0001.txt\n").await;
    assert!(done, "{told}");
    let theirs =
        std::fs::read_to_string(bank.desk.path().join("RECON_BANK_CARD_20261122_0001.txt")).expect("fetched");
    assert!(theirs.contains("D|1|S1|310101199003074511|6228|9|5|20261121\n"), "{theirs}");
}

#[tokio::test]
async fn a_file_without_a_good_signature_or_in_part_is_not_taken() {
    let bank = bank().await;
    let name = bank.batch(1, &[("张三", "310101199003074511")]);
    let text = bank.desk.path().join(format!("{name}.txt"));
    let bytes = std::fs::read(&text).expect("written");
    std::fs::write(&text, &bytes[..bytes.len() - 5]).expect("written");
    bank.put(&name).await;
    let entry =
        bank.mocks.admin("GET", "/api/mocks/journal?limit=1", None).await.json()["entries"][0].clone();
    assert!(entry["stub"].as_str().is_some_and(|stub| stub.contains("batch-unreadable")), "{entry}");
    let id = entry["id"].to_string();
    let whole = bank.mocks.admin("GET", &format!("/api/mocks/journal/{id}"), None).await.json();
    let request = whole["request"]["text"].as_str().expect("text");
    assert!(
        request.contains("\"signature\":\"bad\"") && request.contains("transferred in part"),
        "{request}"
    );
    assert_eq!(bank.advance("1h").await["done"], 0);
}

#[tokio::test]
async fn logins_go_by_key_or_password_and_files_stay_in_their_folders() {
    let bank = bank().await;
    let desk = bank.desk.path();
    for (name, spoken) in [("right", "correct-horse"), ("wrong", "battery-staple")] {
        let script = desk.join(name);
        std::fs::write(&script, format!("#!/bin/sh\necho {spoken}\n")).expect("written");
        std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("mode");
        let options = [
            "-o",
            "PreferredAuthentications=password",
            "-o",
            "NumberOfPasswordPrompts=1",
            "-o",
            "BatchMode=no",
        ];
        let asking = [
            ("SSH_ASKPASS", script.to_str().expect("a path")),
            ("SSH_ASKPASS_REQUIRE", "force"),
            ("DISPLAY", ":0"),
        ];
        let (done, told) = bank.sftp_as("pwd\n", &options, &asking).await;
        assert_eq!(done, name == "right", "{told}");
    }
    let (unknown, told) =
        bank.sftp_as("pwd\n", &["-o", "BatchMode=yes", "-o", "IdentityFile=none"], &[]).await;
    assert!(!unknown && told.contains("Permission denied"), "{told}");
    let (done, told) = bank.sftp("put key.pub /out/\n").await;
    assert!(!done && told.to_lowercase().contains("permission denied"), "{told}");
    let (done, told) = bank.sftp("get /in/../../etc/passwd\n").await;
    assert!(!done && told.contains("not found"), "{told}");
    let (done, told) = bank.sftp("put key.pub /in/a\nrename /in/a /in/b\nls -1 /in\nrm /in/b\n").await;
    assert!(done && told.contains("/in/b"), "{told}");
}

#[tokio::test]
async fn sftp_f01_f02_a_result_comes_later_or_never() {
    let bank = bank().await;
    let dial = json!({"delay": {"fixed": "10m"}});
    assert_eq!(bank.mocks.admin("PUT", "/api/mocks/dials/bank/late", Some(&dial)).await.status, 200);
    bank.put(&bank.batch(1, &[("张三", "310101199003074511")])).await;
    assert_eq!(bank.advance("39m").await["done"], 0);
    assert_eq!(bank.advance("1m").await["done"], 1);
    bank.mocks.admin("DELETE", "/api/mocks/dials/bank/late", None).await;
    let (listing, ..) = bank.struck(2, json!({"kind": "no-answer"})).await;
    assert!(listing.contains("_0001.txt") && !listing.contains("_0002"), "{listing}");
}

#[tokio::test]
async fn sftp_f03_the_connection_ends_in_the_middle_of_the_transfer_once() {
    let bank = bank().await;
    let (listing, bytes, _) = bank.struck(1, json!({"kind": "reset"})).await;
    assert!(listing.contains("_0001.txt"), "{listing}");
    assert!(rows(&bytes).is_err(), "half of it came at most");
    let (done, told) = bank.sftp("get /out/BATCHOPENR_BANK_CARD_20261122_0001.txt\n").await;
    assert!(done, "{told}");
    let bytes =
        std::fs::read(bank.desk.path().join("BATCHOPENR_BANK_CARD_20261122_0001.txt")).expect("fetched");
    assert!(rows(&bytes).is_ok());
}

#[tokio::test]
async fn sftp_f05_f17_permission_is_denied_and_nobody_gets_in_during_maintenance() {
    let bank = bank().await;
    bank.dial(json!({"kind": "refused"})).await;
    let (done, told) = bank.sftp("put key.pub /in/\n").await;
    assert!(!done && told.to_lowercase().contains("permission denied"), "{told}");
    bank.dial(json!({"kind": "maintenance", "window": "08:30-09:30"})).await;
    assert!(!bank.sftp("pwd\n").await.0);
    bank.advance("30m").await;
    assert!(bank.sftp("pwd\n").await.0);
}

#[tokio::test]
async fn sftp_f07_f09_f24_results_are_cut_changed_or_wrongly_signed() {
    let bank = bank().await;
    let cases = [
        ("cut", "transferred in part", Some(false)),
        ("bad-body", "CR LF", Some(true)),
        ("wrong-charset", "SM3 of the trailer", Some(true)),
        ("wrong-digest", "SM3 of the trailer", Some(true)),
        ("bad-signature", "", Some(false)),
        ("missing-signature", "", None),
        ("stale-key", "", Some(false)),
    ];
    for (number, (kind, told, signed)) in (1..).zip(cases) {
        let (_, bytes, holds) = bank.struck(number, json!({"kind": kind})).await;
        let read = rows(&bytes).map(drop);
        match told {
            "" => assert_eq!(read, Ok(()), "{kind}"),
            told => assert!(read.as_ref().is_err_and(|error| error.contains(told)), "{kind}: {read:?}"),
        }
        assert_eq!(holds, signed, "{kind}");
    }
}

#[tokio::test]
async fn sftp_f06_f14_f19_f20_rows_say_no_in_part_or_hold_what_nobody_expects() {
    let bank = bank().await;
    let partly = json!([{"retCode": "0000"}, {"retCode": "9999", "retMsg": "系统异常"}]);
    bank.dial(json!({"kind": "business", "json": {"rows": partly}})).await;
    bank.put(&bank.batch(1, &[("张三", "310101199003074511"), ("李四", "310115200002290021")])).await;
    bank.advance("30m").await;
    bank.sftp("get /out/BATCHOPENR_BANK_CARD_20261122_0001.txt\n").await;
    let bytes =
        std::fs::read(bank.desk.path().join("BATCHOPENR_BANK_CARD_20261122_0001.txt")).expect("fetched");
    let codes: Vec<String> = rows(&bytes).expect("a right file").iter().map(|row| row[6].clone()).collect();
    assert_eq!(codes, ["0000", "9999"]);
    let (_, bytes, _) = bank.struck(2, json!({"kind": "field-longer", "field": "rows.0.retMsg"})).await;
    assert_eq!(rows(&bytes).expect("a right file")[0][7].chars().count(), 4000);
    let (_, bytes, _) = bank.struck(3, json!({"kind": "field-missing", "field": "rows.0.retCode"})).await;
    assert_eq!(rows(&bytes).expect("a right file")[0][6], "");
    let (_, bytes, _) = bank.struck(4, json!({"kind": "rare-char", "field": "rows.0.retMsg"})).await;
    assert_eq!(rows(&bytes).expect("a right file")[0][7], "\u{2CC56}");
}

#[tokio::test]
async fn sftp_f10_f11_f26_results_are_replayed_doubled_or_differ() {
    let bank = bank().await;
    let (listing, first, _) = bank.struck(1, json!({"kind": "duplicate-file"})).await;
    assert!(listing.contains("_0001.txt") && listing.contains("_0002.txt"), "{listing}");
    bank.dial(json!({"kind": "replay"})).await;
    let account = |bytes: &[u8]| rows(bytes).expect("a right file")[0][4].clone();
    let (_, third, _) = bank.struck(3, json!({"kind": "replay"})).await;
    assert_ne!(account(&third), account(&first));
    bank.mocks.admin("DELETE", "/api/mocks/dials/bank/f", None).await;
    let again = bank.batch(1, &[("张三", "310101199003074511")]);
    bank.dial(json!({"kind": "other-reply"})).await;
    bank.put(&again).await;
    bank.advance("30m").await;
    bank.sftp("get /out/BATCHOPENR_BANK_CARD_20261122_0001.txt\n").await;
    let other =
        std::fs::read(bank.desk.path().join("BATCHOPENR_BANK_CARD_20261122_0001.txt")).expect("fetched");
    assert_ne!(account(&other), account(&first), "the same batch, taken as new, has another account");
}
