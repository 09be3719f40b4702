//! Important data at rest: bodies are kept encrypted, found by a business key's hash, shown to who gives a reason, and re-encrypted.
use std::fs;

use qiao_tests::bus::{Bus, in_folder};

/// The synthetic person of the interface's first example.
const ID_NO: &str = "310101195001011236";

fn call(bus: &Bus) -> String {
    let (code, call) = bus.json(&["call", "card.card-query"]);
    assert_eq!(code, 0, "{call}");
    call["callId"].as_str().unwrap_or_else(|| panic!("an id in {call}")).to_owned()
}

fn stands_on_disk(bus: &Bus, text: &str) -> bool {
    let folders = [bus.data(), bus.data().join("log")];
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).expect("a folder").flatten());
    let mut found = false;
    for file in files.filter(|file| file.path().is_file()) {
        let bytes = fs::read(file.path()).expect("readable");
        found |= bytes.windows(text.len()).any(|window| window == text.as_bytes());
    }
    found
}

#[test]
fn a_kept_body_is_encrypted_and_shown_to_who_gives_a_reason_which_is_recorded() {
    let bus = Bus::start();
    let id = call(&bus);
    let trace = bus.trace(&id);
    assert_eq!(trace["keys"][0]["masked"], "310***********1236", "{trace}");
    assert!(!stands_on_disk(&bus, ID_NO));
    let (code, shown) = bus.json(&["trace", &id, "--reveal", "--reason", "complaint 2026-117"]);
    assert_eq!(code, 0, "{shown}");
    assert!(shown["request"]["text"].as_str().is_some_and(|text| text.contains(ID_NO)), "{shown}");
    assert!(shown["answer"]["text"].as_str().is_some_and(|text| text.contains("traceId")), "{shown}");
    let reveals = bus.admin("GET", "/api/calls?interface=bus.reveal", b"").json();
    let reveal = bus.trace(reveals[0]["id"].as_str().expect("a record of the reveal"));
    let note = reveal["spans"][0]["note"].as_str().expect("a note");
    assert!(note.contains(&id) && note.contains("complaint 2026-117"), "{note}");
    assert_eq!((reveal["caller"].as_str(), reveal["outcome"].as_str()), (Some("local"), Some("ok")));
}

#[test]
fn a_reveal_without_a_reason_shows_nothing_and_one_of_nothing_is_recorded_too() {
    let bus = Bus::start();
    let id = call(&bus);
    assert_eq!(bus.command(&["trace", &id, "--reveal"]).status.code(), Some(2));
    let path = format!("/api/calls/{id}/reveal");
    assert_eq!(bus.admin("POST", &path, br#"{"reason":" x "}"#).status, 400);
    let stranger = format!("/api/calls/{}/reveal", "0".repeat(32));
    assert_eq!(bus.admin("POST", &stranger, br#"{"reason":"curiosity"}"#).status, 404);
    let reveals = bus.admin("GET", "/api/calls?interface=bus.reveal", b"").json();
    assert_eq!(reveals.as_array().map(Vec::len), Some(1), "{reveals}");
    assert_eq!(reveals[0]["outcome"], "denied");
}

#[test]
fn calls_are_found_by_a_business_key_without_its_value_being_stored() {
    let bus = Bus::start();
    let ids = [call(&bus), call(&bus)];
    let find = |value: &str| {
        let arguments = ["trace", "--find", "idNo", "--json", "--node", "data"];
        let output = in_folder(bus.folder(), &arguments, value.as_bytes());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a list");
        let ids = found.as_array().expect("a list").iter();
        ids.map(|row| row["id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(find(ID_NO), [ids[1].clone(), ids[0].clone()]);
    assert_eq!(find("310101199003074511"), Vec::<String>::new());
}

#[test]
fn kept_bodies_are_re_encrypted_beside_a_running_node_and_the_chain_still_holds() {
    let bus = Bus::serve_in(Bus::prepare_serve(""));
    let ids: Vec<_> = (0..5).map(|_| call(&bus)).collect();
    bus.until("the index has the last call", |bus| {
        bus.command(&["audit", "export", &ids[4]]).status.success().then_some(())
    });
    let run = |arguments: &[&str]| {
        let output = in_folder(bus.folder(), &[arguments, &["--config", "qiao.yaml"]].concat(), b"");
        assert!(output.status.success(), "{arguments:?} {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(run(&["keys", "reencrypt"]).contains("10 of 10 bodies seen, 0 re-encrypted"));
    run(&["keys", "rotate", "vault:record/data"]);
    assert!(run(&["keys", "reencrypt"]).contains("10 of 10 bodies seen, 10 re-encrypted"));
    assert!(
        run(&["keys", "reencrypt"]).contains("10 of 10 bodies seen, 0 re-encrypted"),
        "what is done is done"
    );
    assert_eq!(bus.admin("POST", "/api/reload", b"").status, 200);
    let (code, shown) = bus.json(&["trace", &ids[0], "--reveal", "--reason", "after rotation"]);
    assert_eq!(code, 0, "{shown}");
    assert!(shown["request"]["text"].as_str().is_some_and(|text| text.contains(ID_NO)), "{shown}");
    assert!(run(&["audit", "verify"]).contains("every record is as it was written"));
}
