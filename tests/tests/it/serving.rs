//! `qiao serve` from settings, as a newcomer sets a node up without the demo: keys, TLS, refusals.
use std::{fs, path::Path, process::Output};

use qiao_tests::{
    bus::{Bus, in_folder},
    http::Connection,
};

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn keys(folder: &Path, arguments: &[&str], input: &[u8]) -> Output {
    in_folder(folder, &[&["keys"], arguments, &["--config", "qiao.yaml"]].concat(), input)
}

#[test]
fn settings_with_mistakes_are_refused_with_all_of_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let text_of = "data: data\ndefinitions: {from: files, folder: routes, endpoints: mocks}\nvautl: {file: v}\nworkers: 0\ngrace: soon\n";
    fs::write(folder.path().join("qiao.yaml"), text_of).expect("written");
    let output = in_folder(folder.path(), &["serve", "--config", "qiao.yaml"], b"");
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for part in ["qiao.yaml:2:", "qiao.yaml:3:1", "did you mean `vault`", "qiao.yaml:4:", "qiao.yaml:5:"] {
        assert!(said.contains(part), "{part} in\n{said}");
    }
    let output = in_folder(folder.path(), &["serve", "--config", "nowhere.yaml"], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("nowhere.yaml"), "{}", text(&output));
}

#[test]
fn a_second_node_on_the_same_data_folder_is_refused_and_the_first_goes_on() {
    let bus = Bus::serve_in(Bus::prepare_serve(""));
    let output = in_folder(bus.folder(), &["serve", "--config", "qiao.yaml"], b"");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("another"), "{}", text(&output));
    let (code, rows) = bus.json(&["selftest"]);
    assert_eq!(code, 0, "{rows}");
}

#[test]
fn a_newcomer_sets_a_node_up_key_by_key() {
    let folder = Bus::prepare();
    fs::write(folder.path().join("qiao.yaml"), qiao_tests::bus::settings("")).expect("written");
    let here = folder.path();
    let output = in_folder(here, &["serve", "--config", "qiao.yaml"], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("qiao keys init"), "{}", text(&output));
    assert_eq!(keys(here, &["init", "--single-control"], b"").status.code(), Some(0));
    assert_eq!(
        keys(here, &["init", "--single-control"], b"").status.code(),
        Some(1),
        "a vault is not made twice"
    );
    let output = keys(here, &["needed"], b"");
    assert_eq!(output.status.code(), Some(1));
    for part in [
        "vault:bus/sign",
        "vault:caller/portal",
        "import-secret",
        "import-public vault:civil/sign --for sign",
    ] {
        assert!(text(&output).contains(part), "{part} in\n{}", text(&output));
    }
    let secret = "a-key-agreed-with-the-desk";
    assert!(
        keys(here, &["import-secret", "vault:caller/hotline-desk"], format!("{secret}\n").as_bytes())
            .status
            .success()
    );
    assert_eq!(
        keys(here, &["import-secret", "vault:caller/hotline-desk"], b"another").status.code(),
        Some(1)
    );
    assert!(keys(here, &["generate", "--missing", "--stand-ins"], b"").status.success());
    assert_eq!(keys(here, &["needed"], b"").status.code(), Some(0));
    let listed = text(&keys(here, &["list"], b""));
    assert!(listed.contains("vault:bus/sign#1") && !listed.contains(secret), "{listed}");
    let public = keys(here, &["export-public", "vault:bus/sign"], b"").stdout;
    assert_eq!(public.trim_ascii().len(), 130);
    assert_eq!(in_folder(here, &["keys", "self-test"], b"").status.code(), Some(0));

    let bus = Bus::serve_in(folder);
    let body = br#"{"idNo":"310101195001011236"}"#;
    let call = |key: &str| {
        let headers = [("X-App-Id", "hotline-desk"), ("X-App-Key", key)];
        let mut connection = Connection::open(bus.gateway).expect("open");
        connection.send("POST", "/card/card-query", &headers, body).expect("an answer").status
    };
    assert_eq!(call(secret), 200);
    assert_eq!(call("the-next-key"), 401);
    let rotated =
        keys(bus.folder(), &["import-secret", "--rotate", "vault:caller/hotline-desk"], b"the-next-key");
    assert!(rotated.status.success(), "{}", text(&rotated));
    assert_eq!(bus.admin("POST", "/api/reload", b"").status, 200);
    assert_eq!((call("the-next-key"), call(secret)), (200, 200), "both count until the old one is retired");
}

fn certificate(folder: &Path) {
    let made = rcgen::generate_simple_self_signed(["bus.example.cn".to_owned()]).expect("a certificate");
    fs::write(folder.join("chain.pem"), made.cert.pem()).expect("written");
    fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).expect("written");
}

#[test]
fn a_gateway_with_tls_serves_a_new_certificate_after_a_hangup() {
    let folder = Bus::prepare_serve(", certificate: chain.pem, key: key.pem, name: bus.example.cn");
    certificate(folder.path());
    let bus = Bus::serve_in(folder);
    let call = |bus: &Bus| bus.command(&["call", "card.card-query"]);
    assert!(call(&bus).status.success(), "{}", text(&call(&bus)));
    certificate(bus.folder());
    // The command trusts the new certificate alone, and the node still shows the old one.
    assert_eq!(call(&bus).status.code(), Some(1));
    bus.signal("HUP");
    bus.until("the new certificate", |bus| call(bus).status.success().then_some(()));
    fs::write(bus.folder().join("key.pem"), "no key").expect("written");
    bus.signal("HUP");
    bus.until("the complaint", |bus| bus.log().contains("the old one stays").then_some(()));
    assert!(call(&bus).status.success(), "a broken key changes nothing: {}", text(&call(&bus)));
}
