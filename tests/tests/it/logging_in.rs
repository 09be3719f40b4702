//! Operators log in with a signed challenge, every try is recorded, and nothing listens beyond the machine in the clear unasked.
use std::{fs, path::Path};

use qiao_tests::{
    bus::{Bus, in_folder},
    http,
};
use serde_json::{Value, json};

fn run(folder: &Path, arguments: &[&str], input: &[u8]) -> String {
    let output = in_folder(folder, arguments, input);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A node with the operator `zhang`, whose own key is in a file.
fn with_operator() -> Bus {
    let folder = Bus::prepare_serve("");
    let here = folder.path();
    fs::write(here.join("pass"), "a passphrase of zhang's own\n").expect("written");
    let public = run(here, &["keys", "operator", "new", "zhang.key", "--passphrase-file", "pass"], b"");
    fs::write(here.join("zhang.pub"), public).expect("written");
    run(here, &["keys", "operator", "register", "zhang=zhang.pub", "--config", "qiao.yaml"], b"");
    Bus::serve_in(folder)
}

fn post(bus: &Bus, path: &str, token: &str, document: &Value) -> http::Answer {
    let authorization = format!("Bearer {token}");
    let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
    http::once(bus.admin, "POST", path, &headers, document.to_string().as_bytes()).expect("an answer")
}

fn signed(bus: &Bus) -> Value {
    let answer = post(bus, "/api/login/challenge", "none", &json!({"operator": "zhang"}));
    let challenge = answer.json()["challenge"].as_str().expect("a challenge").to_owned();
    let sign = ["keys", "operator", "sign", "zhang.key", "--passphrase-file", "pass"];
    let signature = run(bus.folder(), &sign, challenge.as_bytes());
    json!({"operator": "zhang", "challenge": challenge, "signature": signature})
}

#[test]
fn an_operator_logs_in_by_signature_and_acts_under_their_own_name_until_logout() {
    let bus = with_operator();
    let answer = post(&bus, "/api/login", "none", &signed(&bus));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let token = answer.json()["token"].as_str().expect("a token").to_owned();
    let (_, call) = bus.json(&["call", "card.card-query"]);
    let id = call["callId"].as_str().expect("an id");
    let path = format!("/api/calls/{id}/reveal");
    assert_eq!(post(&bus, &path, &token, &json!({"reason": "complaint 2026-118"})).status, 200);
    let reveals = bus.admin("GET", "/api/calls?interface=bus.reveal", b"").json();
    assert_eq!(reveals[0]["caller"], "zhang", "{reveals}");
    assert_eq!(post(&bus, "/api/logout", &token, &json!({})).status, 204);
    assert_eq!(post(&bus, &path, &token, &json!({"reason": "after logout"})).status, 401);
}

#[test]
fn a_replayed_and_a_forged_login_are_refused_and_every_try_is_recorded() {
    let bus = with_operator();
    let login = signed(&bus);
    assert_eq!(post(&bus, "/api/login", "none", &login).status, 200);
    assert_eq!(post(&bus, "/api/login", "none", &login).status, 401, "a used challenge");
    let mut forged = signed(&bus);
    forged["signature"] = json!("00".repeat(64));
    assert_eq!(post(&bus, "/api/login", "none", &forged).status, 401);
    let mut other = signed(&bus);
    other["operator"] = json!("li");
    assert_eq!(post(&bus, "/api/login", "none", &other).status, 401);
    let tries = bus.admin("GET", "/api/calls?interface=bus.login", b"").json();
    let seen: Vec<_> = tries
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| (row["caller"].as_str(), row["outcome"].as_str()))
        .collect();
    let (zhang, li) = (Some("zhang"), Some("li"));
    assert_eq!(
        seen,
        [(li, Some("denied")), (zhang, Some("denied")), (zhang, Some("denied")), (zhang, Some("ok"))]
    );
    let first = bus.trace(tries[3]["id"].as_str().expect("an id"));
    assert_eq!(first["spans"][0]["note"], "from 127.0.0.1", "{first}");
}

#[test]
fn nothing_but_a_login_challenge_is_signed_by_mistake() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("pass"), "a passphrase of zhang's own\n").expect("written");
    run(folder.path(), &["keys", "operator", "new", "zhang.key", "--passphrase-file", "pass"], b"");
    let sign = ["keys", "operator", "sign", "zhang.key", "--passphrase-file", "pass"];
    let output = in_folder(folder.path(), &sign, b"operation: destroy everything");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_listener_beyond_the_machine_without_tls_is_refused_unless_the_settings_say_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("qiao.yaml");
    let settings = qiao_tests::bus::settings("");
    for (from, to, place) in [
        ("gateway: {listen: \"127.0.0.1:0\"", "gateway: {listen: \"0.0.0.0:0\"", "gateway.listen"),
        ("admin: {listen: \"127.0.0.1:0\"", "admin: {listen: \"[::]:0\"", "admin.listen"),
    ] {
        let open = settings.replace(from, to);
        assert_ne!(open, settings);
        let serve = |text: &str| {
            fs::write(&file, text).expect("written");
            let output = in_folder(folder.path(), &["serve", "--config", "qiao.yaml"], b"");
            assert_eq!(output.status.code(), Some(1));
            String::from_utf8_lossy(&output.stderr).into_owned()
        };
        let said = serve(&open);
        assert!(said.contains(place) && said.contains("cleartext: true"), "{said}");
        let said = serve(&open.replace(to, &format!("{to}, cleartext: true")));
        assert!(!said.contains(place), "another complaint now: there is no vault: {said}");
    }
}
