//! Every record is as it was written, or the first that is not is named; and one call's evidence holds without the bus.
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use qiao_tests::{
    bus::{Bus, in_folder},
    http::Connection,
};

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A node that answered some calls and ended; their ids.
fn ended() -> (Bus, Vec<String>) {
    let mut bus = Bus::serve_in(Bus::prepare_serve(""));
    let request = bus.request("hrss.insurance-query", 1);
    let mut connection = Connection::open(bus.gateway).expect("open");
    let ids =
        (0..20).map(|_| request.send(&mut connection).expect("an answer").one("x-qiao-call-id").to_owned());
    let ids = ids.collect();
    bus.signal("TERM");
    assert_eq!(bus.wait().0, Some(0));
    (bus, ids)
}

fn audit(folder: &Path, more: &[&str]) -> Output {
    in_folder(folder, &[&["audit", "verify", "--config", "qiao.yaml"], more].concat(), b"")
}

/// Replaces bytes in a file that whoever can write the disk may replace.
fn tamper(file: &Path, from: &[u8], to: &[u8]) -> usize {
    let mut bytes = fs::read(file).expect("readable");
    let places: Vec<_> = (0..bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
    for at in &places {
        bytes[*at..at + from.len()].copy_from_slice(to);
    }
    fs::write(file, bytes).expect("written");
    places.len()
}

#[test]
fn an_untouched_node_passes_its_audit_running_and_ended() {
    let bus = Bus::serve_in(Bus::prepare_serve(""));
    let (code, rows) = bus.json(&["selftest"]);
    assert_eq!(code, 0, "{rows}");
    let output = audit(bus.folder(), &[]);
    assert!(
        output.status.success() && text(&output).contains("every record is as it was written"),
        "{}",
        text(&output)
    );
    let (code, walked) = bus.json(&["audit", "verify"]);
    assert_eq!(code, 0, "{walked}");
    let link = walked["logs"][0]["head"].as_str().expect("a link").to_owned();
    drop(bus.json(&["selftest"]));
    assert!(audit(bus.folder(), &["--contains", &link]).status.success(), "the chain went on from there");
    let elsewhere = "00".repeat(32);
    assert_eq!(audit(bus.folder(), &["--contains", &elsewhere]).status.code(), Some(1));
}

#[test]
fn an_altered_record_is_found_and_its_call_named() {
    let (bus, ids) = ended();
    assert!(audit(bus.folder(), &[]).status.success());
    // The trace id of one call, inside its record, wherever the index keeps it.
    let (_, trace) = bus.json(&["trace", &ids[7]]);
    let trace_id = trace["trace_id"].as_str().expect("a trace id");
    let altered = format!("f{}", &trace_id[1..]);
    let altered = if altered == trace_id { format!("0{}", &trace_id[1..]) } else { altered };
    let changed = tamper(&bus.data().join("calls.db"), trace_id.as_bytes(), altered.as_bytes());
    assert!(changed > 0, "the record is in the index");
    let output = audit(bus.folder(), &[]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(
        text(&output).contains(&ids[7]) && text(&output).contains("not what was recorded"),
        "{}",
        text(&output)
    );
}

#[test]
fn records_signed_with_another_nodes_key_are_not_believed() {
    let (bus, _) = ended();
    let other = Bus::prepare_serve("");
    fs::remove_dir_all(other.path().join("data/log")).unwrap_or_default();
    qiao_tests::folder::copy(&bus.data().join("log"), &other.path().join("data/log")).expect("copied");
    fs::copy(bus.data().join("calls.db"), other.path().join("data/calls.db")).expect("copied");
    let output = audit(other.path(), &[]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("not a key of this vault"), "{}", text(&output));
}

#[test]
fn evidence_of_a_call_holds_without_node_and_vault_and_no_byte_of_it_can_be_changed() {
    let (bus, ids) = ended();
    let public =
        in_folder(bus.folder(), &["keys", "export-public", "vault:audit/sign", "--config", "qiao.yaml"], b"");
    let public = String::from_utf8_lossy(&public.stdout).trim().to_owned();
    let output = bus.command(&["audit", "export", &ids[3], "--out", "evidence.json"]);
    assert!(output.status.success(), "{}", text(&output));
    let elsewhere = tempfile::tempdir().expect("a folder");
    let file = elsewhere.path().join("evidence.json");
    fs::copy(bus.folder().join("evidence.json"), &file).expect("copied");
    let check = |key: &str| {
        let mut command = Command::new(qiao_tests::bus::binary());
        command.args(["audit", "verify", "--file", "evidence.json", "--public-key", key]);
        command.current_dir(elsewhere.path()).output().expect("the binary runs")
    };
    let held = check(&public);
    assert!(held.status.success() && text(&held).contains(&ids[3]), "{}", text(&held));
    let evidence = fs::read_to_string(&file).expect("evidence");
    assert!(!evidence.contains(&ids[4]), "nothing of other calls but digests");
    for (from, to) in [("\"status\": 200", "\"status\": 500"), ("\"number\": 4", "\"number\": 5")] {
        assert!(evidence.contains(from), "{from} in {evidence}");
        fs::write(&file, evidence.replace(from, to)).expect("written");
        assert_eq!(check(&public).status.code(), Some(1), "{from} → {to}");
    }
    fs::write(&file, &evidence).expect("written");
    let last = if public.ends_with('0') { "1" } else { "0" };
    let other_key = format!("{}{last}", &public[..public.len() - 1]);
    assert_eq!(check(&other_key).status.code(), Some(1));
}
