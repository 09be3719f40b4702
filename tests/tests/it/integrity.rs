//! What was signed is what runs: one flipped byte anywhere and the node does not start, or keeps what it runs on.
use std::{fs, path::Path};

use qiao_tests::bus::{Bus, binary, in_folder, run_in};

/// Flips one bit of the byte at this place from the end.
fn flip(file: &Path, from_end: usize) {
    let mut bytes = fs::read(file).expect("readable");
    let at = bytes.len() - from_end;
    bytes[at] ^= 1;
    fs::write(file, bytes).expect("written");
}

/// Starts a node, which must refuse with exit code 1; what it said.
fn refusal(program: &Path, folder: &Path) -> String {
    let output = run_in(program, folder, &["serve", "--config", "qiao.yaml"], b"");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

#[test]
fn a_node_does_not_start_where_its_settings_say_nothing_of_integrity() {
    let folder = Bus::prepare_serve("");
    let file = folder.path().join("qiao.yaml");
    let text = fs::read_to_string(&file).expect("settings");
    fs::write(&file, text.replace("integrity: off\n", "")).expect("written");
    let said = refusal(&binary(), folder.path());
    assert!(said.contains("integrity: off") && said.contains("qiao manifest sign"), "{said}");
    fs::write(&file, text.replace("integrity: off", "integrity: on")).expect("written");
    let said = refusal(&binary(), folder.path());
    assert!(said.contains("qiao.yaml:7:") && said.contains("integrity"), "{said}");
}

#[test]
fn one_flipped_byte_in_the_program_and_it_refuses_to_start_and_names_it() {
    let folder = Bus::prepare_signed();
    let program = folder.path().join("qiao-copy");
    fs::copy(binary(), &program).expect("a copy");
    // Signed by another copy of the program, this one is not covered.
    let said = refusal(&program, folder.path());
    assert!(said.contains("qiao-copy is not covered"), "{said}");
    let signed = run_in(&program, folder.path(), &["manifest", "sign", "--config", "qiao.yaml"], b"");
    assert!(signed.status.success(), "{}", String::from_utf8_lossy(&signed.stderr));
    let verified = run_in(&program, folder.path(), &["manifest", "verify", "--config", "qiao.yaml"], b"");
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    // In the table of section names, which nothing reads at run time.
    flip(&program, 20);
    let said = refusal(&program, folder.path());
    assert!(said.contains("qiao-copy was changed after it was signed"), "{said}");
    let verified = run_in(&program, folder.path(), &["manifest", "verify", "--config", "qiao.yaml"], b"");
    assert_eq!(verified.status.code(), Some(1));
}

#[test]
fn one_flipped_byte_in_a_definition_the_settings_or_the_manifest_is_refused_and_named() {
    let folder = Bus::prepare_signed();
    for (file, complaint) in [
        ("routes/systems/ems.yaml", "ems.yaml was changed"),
        ("qiao.yaml", "qiao.yaml was changed"),
        ("mocks/ems/partner.yaml", "partner.yaml was changed"),
    ] {
        let path = folder.path().join(file);
        let text = fs::read_to_string(&path).expect("a file");
        fs::write(&path, format!("{text}# one more comment\n")).expect("written");
        let said = refusal(&binary(), folder.path());
        assert!(said.contains(complaint), "{file}: {said}");
        fs::write(&path, text).expect("written");
    }
    let extra = folder.path().join("routes/systems/extra.yaml");
    fs::write(&extra, "system: extra\n").expect("written");
    assert!(refusal(&binary(), folder.path()).contains("extra.yaml is not in the signed manifest"));
    fs::remove_file(extra).expect("removed");
    flip(&folder.path().join("manifest.json"), 300);
    let said = refusal(&binary(), folder.path());
    assert!(said.contains("manifest.json"), "{said}");
}

#[test]
fn a_reload_takes_only_what_is_signed_again_and_the_old_plan_stays() {
    let bus = Bus::serve_in(Bus::prepare_signed());
    let sign =
        || in_folder(bus.folder(), &["manifest", "sign", "--config", "qiao.yaml"], b"").status.success();
    Bus::rewrite(bus.folder(), "systems/ems.yaml", |text| text + "# changed\n");
    let answer = bus.admin("POST", "/api/reload", b"");
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert!(answer.text().contains("ems.yaml was changed after it was signed"), "{}", answer.text());
    let (code, _) = bus.json(&["call", "card.card-query"]);
    assert_eq!(code, 0, "the old plan goes on");
    assert!(sign(), "signed anew");
    let answer = bus.admin("POST", "/api/reload", b"");
    assert_eq!((answer.status, answer.json()["plan"].as_u64()), (200, Some(2)), "{}", answer.text());
}

#[test]
fn a_grant_that_was_changed_after_it_was_sealed_is_refused_and_named() {
    let folder = Bus::prepare_signed();
    let run =
        |arguments: &[&str]| in_folder(folder.path(), &[arguments, &["--config", "qiao.yaml"]].concat(), b"");
    assert!(run(&["grants", "verify"]).status.success());
    let widen = |text: String| text.replace("interfaces: [", "interfaces: [apps.one-screen, ");
    Bus::rewrite(folder.path(), "grants/card-ems.yaml", widen);
    // Who may sign releases may not hand out access: another key, another seal.
    assert!(run(&["manifest", "sign"]).status.success());
    let said = refusal(&binary(), folder.path());
    assert!(said.contains("grants/card-ems.yaml:1:1: grant card-ems: its seal does not hold"), "{said}");
    let verified = run(&["grants", "verify"]);
    assert_eq!(verified.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&verified.stderr).contains("grant card-ems"));
    fs::remove_file(folder.path().join("routes/grants/portal-queries.yaml")).expect("removed");
    Bus::rewrite(folder.path(), "callers/portal.yaml", |text| text + "off: true\n");
    let said = String::from_utf8_lossy(&run(&["grants", "verify"]).stderr).into_owned();
    for part in ["grant portal-queries: it is sealed but missing", "caller portal: its seal does not hold"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(run(&["grants", "seal"]).status.success());
    assert!(run(&["grants", "verify"]).status.success(), "sealed anew");
}
