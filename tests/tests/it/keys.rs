//! The vault of a running node: sealed at its start, keys rotated under load, two operators, backups, memory that forgets.
use std::{fs, path::Path, process::Output};

use qiao_tests::{
    bus::{Bus, in_folder},
    http::{Answer, Connection},
};

mod dual_control;
mod memory;
mod rotation;
mod sealed;

/// The key of the caller `hotline-desk` in these scenarios.
const DESK: &str = "a-key-agreed-with-the-desk";

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// `qiao keys …` with the settings in this folder.
fn keys(folder: &Path, arguments: &[&str], input: &[u8]) -> Output {
    in_folder(folder, &[&["keys"], arguments, &["--config", "qiao.yaml"]].concat(), input)
}

/// The same, which must be done; what it said.
#[track_caller]
fn done(folder: &Path, arguments: &[&str], input: &[u8]) -> String {
    let output = keys(folder, arguments, input);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output));
    text(&output)
}

/// The same, which must be refused; what it said.
#[track_caller]
fn refused(folder: &Path, arguments: &[&str], input: &[u8]) -> String {
    let output = keys(folder, arguments, input);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", text(&output));
    text(&output)
}

/// Definitions and mock partners with these settings of the vault.
fn prepared(vault: &str) -> tempfile::TempDir {
    let folder = Bus::prepare();
    let settings = qiao_tests::bus::settings("");
    let own = "vault: {file: data/vault.json, unsealKeyFile: data/vault.key}";
    let changed = settings.replace(own, &format!("vault: {vault}"));
    assert_ne!(settings, changed, "the settings have another form now");
    fs::write(folder.path().join("qiao.yaml"), changed).expect("written");
    folder
}

/// A call that needs the vault to know its caller.
fn call(bus: &Bus) -> Answer {
    let headers = [("X-App-Id", "hotline-desk"), ("X-App-Key", DESK)];
    let mut connection = Connection::open(bus.gateway).expect("open");
    connection
        .send("POST", "/card/card-query", &headers, br#"{"idNo":"310101195001011236"}"#)
        .expect("an answer")
}

/// An endpoint of the admin listener without a token.
fn plain(bus: &Bus, path: &str) -> (u16, String) {
    let answer = qiao_tests::http::once(bus.admin, "GET", path, &[], b"").expect("an answer");
    (answer.status, answer.text())
}
