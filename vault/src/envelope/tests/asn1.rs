//! Envelopes with GB/T 35275 messages and with RSA.
use super::*;
use crate::{
    certificate::{CertificateUse, PublicKey, issue_certificate, testing},
    key::{KeyKind, KeyRef, Purpose},
    vault::NewVersion,
};
use serde_json::json;

fn message_spec(kind: &str) -> serde_json::Value {
    let identity =
        |name: &str, serial: &str| json!({"issuer": {"country": "CN", "commonName": name}, "serial": serial});
    let (signs, envelops) = (kind != "enveloped", kind != "signed");
    let mut seal =
        json!({"kind": kind, "data": "plain", "form": {"cipher": "cbcBare", "signature": "sm2WithSm3"}});
    let mut open = json!({"kind": kind, "data": "message"});
    if signs {
        seal["signer"] = json!("ours.sign");
        open["signer"] = json!("theirs.sign");
    }
    if envelops {
        seal["recipient"] = json!("theirs.encrypt");
        open["key"] = json!("ours.encrypt");
    }
    json!({
        "keys": {"ours.sign": "vault:bus/sign", "theirs.sign": "vault:civil/sign", "ours.encrypt": "vault:bus/enc",
            "theirs.encrypt": "vault:civil/enc"},
        "identities": {"ours.sign": identity("City CA", "01"), "theirs.sign": identity("City CA", "02"),
            "ours.encrypt": identity("City CA", "03"), "theirs.encrypt": identity("City CA", "ff04")},
        "seal": [{"name": "message", "sealMessage": seal}],
        "write": {"data": {"part": "message", "as": "base64"}},
        "open": [
            {"name": "message", "read": {"field": "data", "as": "base64"}},
            {"name": "plain", "openMessage": open}
        ]
    })
}

fn read(spec: serde_json::Value) -> EnvelopeSpec {
    serde_json::from_value(spec).unwrap()
}

fn sides(spec: &EnvelopeSpec, vault: &Vault) -> [Envelope; 2] {
    [Side::Bus, Side::Partner].map(|side| Envelope::compile(spec, vault, side).unwrap())
}

#[test]
fn messages_of_every_kind_pass_both_ways_and_altered_ones_are_refused() {
    for kind in ["signed", "enveloped", "signedAndEnveloped"] {
        let spec = read(message_spec(kind));
        let vault = Vault::in_memory().unwrap();
        for required in required_keys(&spec) {
            vault.generate(&required.key, required.kind, required.purpose).unwrap();
        }
        let [bus, partner] = sides(&spec, &vault);
        for (from, to) in [(&bus, &partner), (&partner, &bus)] {
            let wire = from.seal("你好".as_bytes(), &Params::new()).unwrap();
            assert_eq!(**to.open(&wire, &Params::new()).unwrap(), *"你好".as_bytes());
            for bad in ["MAA=", "AAAA", ""] {
                let opened = to.open(&json!({"data": bad}), &Params::new());
                assert!(matches!(opened, Err(VaultError::Refused { .. })));
            }
        }
        let own = bus.seal(b"x", &Params::new()).unwrap();
        assert!(bus.open(&own, &Params::new()).is_err(), "{kind}: nobody opens what he sent");
    }
}

#[test]
fn a_certificate_names_its_owner_and_must_be_of_the_key() {
    let vault = Vault::in_memory().unwrap();
    let spec = message_spec("signed");
    for required in required_keys(&read(spec.clone())) {
        vault.generate(&required.key, required.kind, required.purpose).unwrap();
    }
    let pem = |key: &str| {
        let key = vault.key(&key.parse::<KeyRef>().unwrap());
        let public = PublicKey::of(&key).unwrap();
        let subject = testing::subject("bus");
        let der =
            issue_certificate(&key, None, &subject, &public, CertificateUse::Sign, testing::YEAR).unwrap();
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
    };
    // One line is longer than RFC 7468 has it; authorities' files are read as they are.
    let folded = |pem: String| {
        let (head, rest) = pem.split_at(28);
        let (body, tail) = rest.split_at(rest.find("\n-").unwrap());
        let lines: Vec<_> =
            body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("{head}{}{tail}", lines.join("\n"))
    };
    let mut good = spec.clone();
    good["identities"]["ours.sign"] = json!({"certificate": folded(pem("vault:bus/sign"))});
    let [bus, partner] = sides(&read(good), &vault);
    let wire = bus.seal(b"x", &Params::new()).unwrap();
    assert_eq!(**partner.open(&wire, &Params::new()).unwrap(), *b"x");
    let mut bad = spec;
    bad["identities"]["ours.sign"] = json!({"certificate": folded(pem("vault:civil/sign"))});
    let mistakes = Envelope::compile(&read(bad), &vault, Side::Bus).err().unwrap();
    assert_eq!(mistakes[0].path, "identities.ours.sign");
    assert!(mistakes[0].message.contains("another key"), "{mistakes:?}");
}

#[test]
fn mistakes_in_message_and_rsa_parts_are_all_named() {
    let vault = Vault::in_memory().unwrap();
    let mistakes = |change: fn(&mut serde_json::Value)| {
        let mut spec = message_spec("signedAndEnveloped");
        change(&mut spec);
        let mistakes = Envelope::compile(&read(spec), &vault, Side::Bus).err().unwrap();
        mistakes
            .into_iter()
            .map(|mistake| format!("{}: {}", mistake.path, mistake.message))
            .collect::<Vec<_>>()
    };
    let found = mistakes(|spec| {
        spec["seal"][0]["sealMessage"]["kind"] = json!("signed");
        spec["open"][1]["openMessage"]["kind"] = json!("enveloped");
        spec["identities"].as_object_mut().unwrap().remove("ours.encrypt");
    });
    assert_eq!(
        found,
        [
            "seal[0].sealMessage.recipient: this kind of message has no `recipient`",
            "open[1].openMessage.signer: this kind of message has no `signer`",
            "open[1].openMessage.key: `identities` has no `ours.encrypt`",
        ]
    );
    let found = mistakes(|spec| {
        spec["seal"][0]["sealMessage"]["form"] = json!({"detached": true});
        spec["identities"]["ours.sign"] = json!({"serial": "01"});
        spec["open"][1] = json!({"name": "plain", "rsaDecrypt": {"data": "message", "key": "ours.encrypt", "scheme": "pkcs1"}});
    });
    assert_eq!(
        found,
        [
            "seal[0].sealMessage.form.detached: only `signed` messages can leave their content out",
            "identities.ours.sign: give either `certificate`, or `issuer` and `serial`",
            "open[1].rsaDecrypt.length: `pkcs1` needs the key's length, 1 to 64 bytes",
        ]
    );
}

/// An old partner's form: a session key under RSA, the body under AES-GCM with it.
fn rsa_spec(scheme: &str) -> EnvelopeSpec {
    let mut decrypt = json!({"data": "wrapped", "key": "ours.rsa", "scheme": scheme});
    if scheme == "pkcs1" {
        decrypt["length"] = json!(16);
    }
    read(json!({
        "keys": {"ours.rsa": "vault:bus/rsa", "theirs.rsa": "vault:old/rsa"},
        "seal": [
            {"name": "key", "random": 16},
            {"name": "iv", "random": 12},
            {"name": "wrapped", "rsaEncrypt": {"data": "key", "key": "theirs.rsa", "scheme": scheme}},
            {"name": "body", "aesEncrypt": {"mode": "gcm", "key": "key", "iv": "iv", "data": "plain"}}
        ],
        "write": {"key": {"part": "wrapped", "as": "base64"}, "iv": {"part": "iv", "as": "hex"},
            "body": {"part": "body", "as": "base64"}},
        "open": [
            {"name": "wrapped", "read": {"field": "key", "as": "base64"}},
            {"name": "iv", "read": {"field": "iv", "as": "hex"}},
            {"name": "body", "read": {"field": "body", "as": "base64"}},
            {"name": "key", "rsaDecrypt": decrypt},
            {"name": "plain", "aesDecrypt": {"mode": "gcm", "key": "key", "iv": "iv", "data": "body"}}
        ]
    }))
}

#[test]
fn rsa_envelopes_pass_also_while_the_key_rotates_and_refuse_at_one_place() {
    for scheme in ["oaepSha256", "oaepSha1", "pkcs1"] {
        let spec = rsa_spec(scheme);
        let vault = Vault::in_memory().unwrap();
        for required in required_keys(&spec) {
            assert_eq!((required.kind, required.purpose), (KeyKind::Rsa, Purpose::Encrypt));
            vault.generate_rsa(&required.key, required.purpose, 2048).unwrap();
        }
        let [bus, partner] = sides(&spec, &vault);
        let wire = partner.seal(b"plain text", &Params::new()).unwrap();
        vault.rotate(&"vault:bus/rsa".parse().unwrap(), NewVersion::Generated).unwrap();
        assert_eq!(**bus.open(&wire, &Params::new()).unwrap(), *b"plain text", "{scheme}");
        let other = bus.seal(b"plain text", &Params::new()).unwrap();
        let mut mixed = wire.clone();
        mixed["key"] = other["key"].clone();
        let refused = bus.open(&mixed, &Params::new()).unwrap_err();
        assert_eq!(refused.to_string(), "the message was refused");
        if scheme == "pkcs1" {
            assert_eq!(refused.operator_detail(), "the message was refused at `plain`");
        }
    }
}
