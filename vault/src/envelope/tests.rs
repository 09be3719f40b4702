//! Tests of envelopes: partners' published vectors, both sides of each form, tampering, and mistakes in descriptions.
use super::*;
use crate::key::{KeyKind, Purpose};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use serde_json::json;

mod asn1;
mod forms;
mod freshness;
mod mistakes;

fn key(text: &str) -> KeyRef {
    text.parse().unwrap()
}

/// A vault with every key the description needs, except secrets given by name.
fn vault_for(spec: &EnvelopeSpec, secrets: &[(&str, &[u8])]) -> Vault {
    let vault = Vault::in_memory().unwrap();
    for (name, bytes) in secrets {
        vault.import(&key(name), KeyKind::Secret, Purpose::Secret, bytes).unwrap();
    }
    for required in required_keys(spec) {
        if !vault.exists(&required.key) {
            vault.generate(&required.key, required.kind, required.purpose).unwrap();
        }
    }
    vault
}

fn compiled(spec: &EnvelopeSpec, vault: &Vault, side: Side) -> Envelope {
    Envelope::compile(spec, vault, side).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

fn refused(result: Result<Zeroizing<Vec<u8>>, VaultError>) -> bool {
    matches!(result, Err(VaultError::Refused { .. }))
}

#[test]
fn ems_gives_the_official_sample_and_opens_it() {
    let spec = forms::ems();
    let secret = STANDARD.decode("TvaBgrhE46sft3nZlfe7xw==").unwrap();
    let vault = vault_for(&spec, &[("vault:ems/sign-key", &secret)]);
    let plain = br#"{"language":"zh-CN","orderId":"QIAO-20200618-004"}"#;
    let envelope = compiled(&spec, &vault, Side::Bus);
    let wire = envelope.seal(plain, &Params::new()).unwrap();
    assert_eq!(
        wire,
        json!({"logitcsInterface": "|$4|efB6PnjDpgHG4xfrvYlXonyBuMJoGTynkfasopHvbl2u3nmNeP+rznA3DyRwb/2GeZL7I3rL6HKD5+Tv3Uy6x8jIDISbYG8Bg14caH2flYE="})
    );
    assert_eq!(&**envelope.open(&wire, &Params::new()).unwrap(), plain);
    let bare =
        json!({"logitcsInterface": wire["logitcsInterface"].as_str().unwrap().trim_start_matches("|$4|")});
    assert!(refused(envelope.open(&bare, &Params::new())));
}

#[test]
fn the_government_style_gives_its_example_and_checks_it() {
    let spec = forms::government();
    let vault = vault_for(&spec, &[("vault:hub/key", b"TESTKEY")]);
    let envelope = compiled(&spec, &vault, Side::Bus);
    let params = Params::new()
        .with("appid", "hub-card")
        .with("method", "card.status.query")
        .with("nonce", "9f86d081884c7d65")
        .with("timestamp", "20260101080000");
    let mut wire = envelope.seal(br#"{"aac002":"310101199003074511"}"#, &params).unwrap();
    assert_eq!(wire["sign"], "76A3FB073CDE6A84C67D9F60164D8304879B4880F9E2415E12C5BC24CFE4F911");
    assert_eq!(&**envelope.open(&wire, &params).unwrap(), br#"{"aac002":"310101199003074511"}"#);
    assert!(refused(envelope.open(&wire, &params.clone().with("nonce", "another"))));
    assert!(matches!(envelope.open(&wire, &Params::new()), Err(VaultError::MissingParam { .. })));
    wire["body"] = json!(r#"{"aac002":"310101199003074512"}"#);
    assert!(refused(envelope.open(&wire, &params)));
    assert_eq!(envelope.params(), ["appid", "method", "nonce", "timestamp"]);
}

#[test]
fn medical_insurance_gives_its_example_and_opens_on_the_other_side() {
    let spec = forms::medical();
    let vault = vault_for(&spec, &[("vault:medical/secret", b"0123456789ABCDEF0123456789ABCDEF")]);
    let params =
        Params::new().with("appId", "1FEDCBA9876543210TESTAPP00000001").with("timestamp", "1767225600000");
    let plain = r#"{"idNo":"310101199003074511","idType":"01","userName":"张三"}"#.as_bytes();
    let wire = compiled(&spec, &vault, Side::Bus).seal(plain, &params).unwrap();
    assert_eq!(
        wire["encData"],
        "b5eb1dd3fadef439bf903e4c5af20a6cb57c3aefe2d9cef16e9d5eac1392e8a3cc1be964edfc6abac79ee4563305fd617b8473133e70d29244d0d0a0c8aaf6a7"
    );
    assert_eq!(wire["signDigest"], "a8f465c34bcac1c16d7776473f867e3bdcf79640bcea4826d68409a054557fa1");
    let partner = compiled(&spec, &vault, Side::Partner);
    assert_eq!(&**partner.open(&wire, &params).unwrap(), plain);
    // The bus itself did not get this from the partner: the signature is its own.
    assert!(refused(compiled(&spec, &vault, Side::Bus).open(&wire, &params)));
    assert!(refused(partner.open(&wire, &params.with("timestamp", "1767225600001"))));
}

#[test]
fn light_and_permit_envelopes_pass_both_ways() {
    for spec in [forms::light(), forms::permit()] {
        let vault = vault_for(&spec, &[]);
        let (bus, partner) = (compiled(&spec, &vault, Side::Bus), compiled(&spec, &vault, Side::Partner));
        let plain = "{\"name\":\"张三\"}".as_bytes();
        for (sender, receiver) in [(&bus, &partner), (&partner, &bus)] {
            let wire = sender.seal(plain, &Params::new()).unwrap();
            assert_eq!(&**receiver.open(&wire, &Params::new()).unwrap(), plain);
            assert!(refused(sender.open(&wire, &Params::new())), "a message does not open at its sender");
        }
    }
}

#[test]
fn each_side_needs_only_the_public_half_of_the_other() {
    let spec = forms::light();
    let (all, bus, partner) =
        (vault_for(&spec, &[]), Vault::in_memory().unwrap(), Vault::in_memory().unwrap());
    for (vault, own) in [(&bus, Role::Ours), (&partner, Role::Theirs)] {
        for required in required_keys(&spec) {
            if required.role == own {
                vault.generate(&required.key, required.kind, required.purpose).unwrap();
            }
        }
    }
    for (vault, from, foreign) in [(&bus, &partner, Role::Theirs), (&partner, &bus, Role::Ours)] {
        for required in required_keys(&spec).into_iter().filter(|required| required.role == foreign) {
            let public = from.export_public(&required.key).unwrap();
            vault.import_public(&required.key, required.purpose, &public).unwrap();
        }
    }
    let (bus, partner) = (compiled(&spec, &bus, Side::Bus), compiled(&spec, &partner, Side::Partner));
    let wire = bus.seal(b"x", &Params::new()).unwrap();
    assert_eq!(&**partner.open(&wire, &Params::new()).unwrap(), b"x");
    let foreign = compiled(&spec, &all, Side::Partner);
    assert!(refused(foreign.open(&wire, &Params::new())), "other keys of the same names do not open it");
}

#[test]
fn every_tampered_field_is_refused_without_saying_why() {
    let spec = forms::light();
    let vault = vault_for(&spec, &[]);
    let (bus, partner) = (compiled(&spec, &vault, Side::Bus), compiled(&spec, &vault, Side::Partner));
    let wire = bus.seal(b"message", &Params::new()).unwrap();
    let mut texts = std::collections::BTreeSet::new();
    for field in ["encKey", "cipher", "sign"] {
        let good = STANDARD.decode(wire[field].as_str().unwrap()).unwrap();
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 0x40;
            let mut bad = wire.clone();
            bad[field] = STANDARD.encode(bytes).into();
            let error = partner.open(&bad, &Params::new()).unwrap_err();
            assert!(matches!(error, VaultError::Refused { .. }), "{field} byte {at}: {error:?}");
            texts.insert(error.to_string());
            assert!(error.operator_detail().contains('`'), "the operator learns the part");
        }
        let mut short = wire.clone();
        short[field] = STANDARD.encode(&good[..good.len() - 1]).into();
        assert!(refused(partner.open(&short, &Params::new())), "{field} cut");
    }
    assert_eq!(texts.len(), 1, "{texts:?}");
}

#[test]
fn a_misshapen_wire_names_the_field() {
    let spec = forms::light();
    let vault = vault_for(&spec, &[]);
    let (bus, partner) = (compiled(&spec, &vault, Side::Bus), compiled(&spec, &vault, Side::Partner));
    let wire = bus.seal(b"message", &Params::new()).unwrap();
    let changed = |edit: fn(&mut Value)| {
        let mut wire = wire.clone();
        edit(&mut wire);
        partner.open(&wire, &Params::new()).unwrap_err().to_string()
    };
    assert_eq!(changed(|wire| drop(wire.as_object_mut().unwrap().remove("iv"))), "field iv is missing");
    assert_eq!(changed(|wire| wire["iv"] = json!("!!")), "field iv is not in the agreed encoding");
    assert_eq!(changed(|wire| wire["iv"] = json!([1])), "field iv is not a text");
    assert_eq!(changed(|wire| *wire = json!("text")), "field encKey is missing");
}

#[test]
fn a_compiled_envelope_follows_the_vault_through_sealing() {
    let spec = forms::ems();
    let vault = Vault::in_memory().unwrap();
    let envelope = compiled(&spec, &vault, Side::Bus);
    assert!(matches!(envelope.seal(b"x", &Params::new()), Err(VaultError::UnknownKey { .. })));
    vault.import(&key("vault:ems/sign-key"), KeyKind::Secret, Purpose::Secret, &[1; 16]).unwrap();
    let wire = envelope.seal(b"x", &Params::new()).unwrap();
    vault.seal();
    assert!(matches!(envelope.open(&wire, &Params::new()), Err(VaultError::Sealed)));
}

/// A description that seals with one SM4 setting and opens with the same.
fn sm4_spec(mode: &str, padding: Option<&str>) -> EnvelopeSpec {
    let mut part = json!({"mode": mode, "key": "shared.data", "data": "plain"});
    if mode != "ecb" {
        part["iv"] = "iv".into();
    }
    if ["gcm", "ccm"].contains(&mode) {
        part["aad"] = "id".into();
    }
    if let Some(padding) = padding {
        part["padding"] = padding.into();
    }
    let mut open = part.clone();
    open["data"] = "cipher".into();
    let length = if ["gcm", "ccm"].contains(&mode) { 12 } else { 16 };
    forms::spec(json!({
        "keys": {"shared.data": "vault:data"},
        "seal": [{"name": "id", "param": "id"}, {"name": "iv", "random": length}, {"name": "cipher", "sm4Encrypt": part}],
        "write": {"iv": {"part": "iv", "as": "hex"}, "cipher": {"part": "cipher", "as": "base64url"}},
        "open": [{"name": "id", "param": "id"}, {"name": "iv", "read": {"field": "iv", "as": "hex"}},
            {"name": "cipher", "read": {"field": "cipher", "as": "base64url"}}, {"name": "plain", "sm4Decrypt": open}]
    }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_sm4_setting_opens_what_it_sealed(plain in proptest::collection::vec(1u8.., 0..80)) {
        let settings = [("ecb", None), ("ecb", Some("zero")), ("cbc", Some("pkcs7")), ("cbc", Some("zero")),
            ("ctr", None), ("gcm", None), ("ccm", None)];
        for (mode, padding) in settings {
            let spec = sm4_spec(mode, padding);
            let vault = vault_for(&spec, &[]);
            let envelope = compiled(&spec, &vault, Side::Bus);
            let params = Params::new().with("id", "call-1");
            let wire = envelope.seal(&plain, &params).unwrap();
            prop_assert_eq!(&*envelope.open(&wire, &params).unwrap(), &plain);
            if ["gcm", "ccm"].contains(&mode) {
                prop_assert!(refused(envelope.open(&wire, &Params::new().with("id", "call-2"))));
            }
        }
    }

    #[test]
    fn opening_any_json_never_panics(texts in proptest::collection::vec(".{0,40}", 4)) {
        let spec = forms::light();
        let vault = vault_for(&spec, &[]);
        let wire = json!({"encKey": texts[0], "iv": texts[1], "cipher": texts[2], "sign": texts[3]});
        prop_assert!(compiled(&spec, &vault, Side::Bus).open(&wire, &Params::new()).is_err());
    }
}

#[test]
fn sm2_formats_are_exactly_what_the_description_says() {
    let knobs = [
        json!({"format": "der"}),
        json!({"order": "c1c2c3", "point": "bare"}),
        json!({"order": "c1c2c3"}),
        json!({"point": "bare"}),
        json!({}),
    ];
    let spec = |knob: &Value| {
        let with = |data: &str, key: &str| {
            let mut part = json!({"data": data, "key": key});
            part.as_object_mut().unwrap().extend(knob.as_object().unwrap().clone());
            part
        };
        forms::spec(json!({
            "keys": {"ours.encrypt": "vault:bus/encrypt", "theirs.encrypt": "vault:civil/encrypt"},
            "seal": [{"name": "c", "sm2Encrypt": with("plain", "theirs.encrypt")}],
            "write": {"c": {"part": "c", "as": "HEX"}},
            "open": [{"name": "c", "read": {"field": "c", "as": "hex"}},
                {"name": "plain", "sm2Decrypt": with("c", "ours.encrypt")}]
        }))
    };
    let vault = vault_for(&spec(&knobs[0]), &[]);
    for (i, sealing) in knobs.iter().enumerate() {
        let wire =
            compiled(&spec(sealing), &vault, Side::Bus).seal(b"sixteen bytes!!!", &Params::new()).unwrap();
        for (j, opening) in knobs.iter().enumerate() {
            let opened = compiled(&spec(opening), &vault, Side::Partner).open(&wire, &Params::new());
            assert_eq!(opened.is_ok(), i == j, "{sealing} opened as {opening}");
        }
    }
}

#[test]
fn pairs_of_a_parsed_object_join_without_the_signature() {
    let spec = forms::spec(json!({
        "keys": {"shared.k": "vault:k"},
        "seal": [
            {"name": "object", "parseJson": "plain"},
            {"name": "pairs", "sortedPairs": {"object": "object", "except": ["sign"]}},
            {"name": "mac", "hmacSm3": {"data": "pairs", "key": "shared.k"}},
            {"name": "tail", "cut": {"data": "pairs", "from": -3}},
            {"name": "dollar", "text": "$${tail}=${tail}"}
        ],
        "write": {"pairs": {"part": "pairs", "as": "text"}, "mac": {"part": "mac", "as": "hex"},
            "tail": {"part": "dollar", "as": "text"}, "again": {"part": "plain", "as": "json"}}
    }));
    let vault = Vault::in_memory().unwrap();
    vault.import(&key("vault:k"), KeyKind::Hmac, Purpose::Mac, b"TESTKEY").unwrap();
    let plain = r#"{"sign":"x","b":{"z":1,"a":[true]},"a":12,"empty":"","none":null,"c":"张"}"#.as_bytes();
    let wire = compiled(&spec, &vault, Side::Bus).seal(plain, &Params::new()).unwrap();
    assert_eq!(wire["pairs"], r#"a=12&b={"z":1,"a":[true]}&c=张"#);
    assert_eq!(wire["tail"], "${tail}=张");
    assert_eq!(wire["again"], serde_json::from_slice::<Value>(plain).unwrap());
    let mac = vault.provider().hmac_sm3(b"TESTKEY", &[wire["pairs"].as_str().unwrap().as_bytes()]);
    assert_eq!(wire["mac"], hex::encode(mac));
}
