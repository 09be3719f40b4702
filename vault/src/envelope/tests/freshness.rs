//! Tests of what messages say of their newness: read only after every check held, and only where a check covers it.
use super::*;
use crate::envelope::{Stale, TimeForm};

const NOW: i64 = 1_767_225_600_000;

/// The light JSON envelope with a time and a nonce, both signed with the ciphertext.
fn stamped() -> Value {
    let mut form = serde_json::to_value(forms::light()).unwrap();
    let list = |form: &mut Value, name: &str| form[name].as_array().unwrap().clone();
    let mut seal = list(&mut form, "seal");
    seal.retain(|part| part["name"] != "sign");
    seal.extend([
        json!({"name": "random", "random": 16}),
        json!({"name": "nonce", "encode": {"data": "random", "as": "hex"}}),
        json!({"name": "timestamp", "param": "timestamp"}),
        json!({"name": "signed", "concat": ["cipher", "timestamp", "nonce"]}),
        json!({"name": "sign", "sm2Sign": {"data": "signed", "key": "ours.sign"}}),
    ]);
    let mut open = list(&mut form, "open");
    open.retain(|part| part["name"] != "verified" && part["sm2Verify"].is_null());
    open.extend([
        json!({"name": "timestamp", "read": {"field": "timestamp", "as": "text"}}), json!({"name": "nonce", "read": {"field": "nonce", "as": "text"}}),
        json!({"name": "signed", "concat": ["cipher", "timestamp", "nonce"]}),
        json!({"name": "verified", "sm2Verify": {"data": "signed", "signature": "sign", "key": "theirs.sign"}}),
    ]);
    form["seal"] = seal.into();
    form["open"] = open.into();
    form["write"]["timestamp"] = json!({"part": "timestamp", "as": "text"});
    form["write"]["nonce"] = json!({"part": "nonce", "as": "text"});
    form
}

fn sealed(spec: &EnvelopeSpec, timestamp: &str) -> (Vault, Value) {
    let vault = vault_for(spec, &[]);
    let params = Params::new().with("timestamp", timestamp);
    let wire = compiled(spec, &vault, Side::Partner).seal(b"{}", &params).unwrap();
    (vault, wire)
}

fn nonce_at(spec: &EnvelopeSpec, timestamp: &str, now: i64) -> Result<[u8; 16], Stale> {
    let (vault, wire) = sealed(spec, timestamp);
    let opened = compiled(spec, &vault, Side::Bus).open_fresh(&wire, &Params::new()).unwrap();
    opened.1.expect("a form with both is checked").nonce_at(now)
}

#[test]
fn a_form_with_timestamp_and_nonce_is_checked_by_itself_within_the_window_either_way() {
    let spec = forms::spec(stamped());
    let time = NOW.to_string();
    for now in [NOW - 300_000, NOW, NOW + 300_000] {
        nonce_at(&spec, &time, now).unwrap();
    }
    assert_eq!(nonce_at(&spec, &time, NOW + 300_001), Err(Stale::Old { by: 300, window: 300 }));
    assert_eq!(nonce_at(&spec, &time, NOW - 421_000), Err(Stale::Ahead { by: 421, window: 300 }));
    assert_eq!(nonce_at(&spec, "soon", NOW), Err(Stale::Unreadable));
    let mut narrow = stamped();
    narrow["freshness"] =
        json!({"timestamp": "timestamp", "nonce": "nonce", "format": "compact", "windowSeconds": 5});
    let narrow = forms::spec(narrow);
    nonce_at(&narrow, "20260101080003", NOW).unwrap();
    assert_eq!(nonce_at(&narrow, &time, NOW), Err(Stale::Unreadable), "another form than agreed");
    assert!(matches!(nonce_at(&narrow, "20260101080006", NOW), Err(Stale::Ahead { .. })));
}

#[test]
fn messages_have_nonces_of_their_own_and_none_is_told_of_a_message_that_does_not_hold() {
    let spec = forms::spec(stamped());
    let time = NOW.to_string();
    assert_ne!(nonce_at(&spec, &time, NOW), nonce_at(&spec, &time, NOW));
    let (vault, mut wire) = sealed(&spec, &time);
    let bus = compiled(&spec, &vault, Side::Bus);
    let stamp = bus.open_fresh(&wire, &Params::new()).unwrap().1.unwrap();
    assert_eq!(bus.open_fresh(&wire, &Params::new()).unwrap().1, Some(stamp), "a repeat has the same");
    wire["nonce"] = "00".into();
    assert!(matches!(bus.open_fresh(&wire, &Params::new()), Err(VaultError::Refused { .. })));
    let mut empty = stamped();
    empty["seal"].as_array_mut().unwrap().iter_mut().filter(|part| part["name"] == "nonce").for_each(
        |part| {
            *part = json!({"name": "nonce", "text": ""});
        },
    );
    assert_eq!(nonce_at(&forms::spec(empty), &time, NOW), Err(Stale::NoNonce));
    let plain = forms::light();
    let (vault, wire) = sealed(&plain, &time);
    let opened = compiled(&plain, &vault, Side::Bus).open_fresh(&wire, &Params::new()).unwrap();
    assert_eq!(opened.1, None, "the form has neither");
}

fn wrong(value: Value) -> Vec<(String, String)> {
    let vault = Vault::in_memory().unwrap();
    match Envelope::compile(&forms::spec(value), &vault, Side::Bus) {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes.into_iter().map(|mistake| (mistake.path, mistake.message)).collect(),
    }
}

#[test]
fn a_nonce_that_whoever_repeats_the_message_could_change_is_a_mistake() {
    let with = |freshness: Value| {
        let mut form = serde_json::to_value(forms::light()).unwrap();
        form["freshness"] = freshness;
        wrong(form)
    };
    assert_eq!(with(json!({"nonce": "cipher"})), []);
    // Neither the IV nor the wrapped key is signed, nor what is opened with them, nor the signature itself.
    for part in ["iv", "encKey", "plain", "sign"] {
        let found = with(json!({"nonce": part}));
        assert_eq!(found[0].0, "freshness.nonce", "{part}: {found:?}");
        assert!(found[0].1.contains("is not covered"), "{found:?}");
    }
    assert!(with(json!({"nonce": "nowhere"}))[0].1.contains("no part `nowhere`"));
    assert_eq!(with(json!({"timestamp": "cipher"}))[0].0, "freshness");
    assert_eq!(with(json!({"nonce": "cipher", "windowSeconds": 0}))[0].0, "freshness.windowSeconds");
    assert_eq!(with(json!({"off": true, "nonce": "iv"})), []);
    let mut unsigned = stamped();
    unsigned["open"].as_array_mut().unwrap().iter_mut().for_each(|part| {
        if part["name"] == "signed" {
            part["concat"] = json!(["cipher", "nonce"]);
        }
    });
    let found = wrong(unsigned.clone());
    assert_eq!(found[0].0, "freshness.timestamp");
    assert!(found[0].1.contains("freshness: {off: true}"), "it was not asked for: {found:?}");
    unsigned["freshness"] = json!({"off": true});
    assert_eq!(wrong(unsigned), []);
}

/// Headers and a body under a digest, with a key of the vault at its end or without one.
fn digested(keyed: bool) -> Value {
    let text = if keyed { "${pairs}&key=${key}" } else { "${pairs}" };
    json!({
        "keys": {"shared.key": "vault:hub/key"},
        "open": [
            {"name": "key", "keyBytes": "shared.key"},
            {"name": "plain", "read": {"field": "body", "as": "text"}},
            {"name": "timestamp", "read": {"field": "/headers/timestamp", "as": "text"}},
            {"name": "nonce", "read": {"field": "/headers/nonce", "as": "text"}},
            {"name": "pairs", "sortedPairs": {"pairs": {"nonce": "nonce", "timestamp": "timestamp"}}},
            {"name": "text", "text": text},
            {"name": "digest", "sm3": "text"},
            {"name": "sign", "read": {"field": "/headers/sign", "as": "hex"}},
            {"name": "same", "equals": {"left": "digest", "right": "sign"}}
        ]
    })
}

#[test]
fn a_digest_covers_a_nonce_only_with_a_key_in_it() {
    assert_eq!(wrong(digested(true)), []);
    assert_eq!(wrong(digested(false))[0].0, "freshness.timestamp");
}

#[test]
fn a_member_that_the_signed_pairs_leave_out_is_not_covered() {
    let form = |except: &[&str]| {
        json!({
            "keys": {"theirs.sign": "vault:p/sign"},
            "open": [
                {"name": "plain", "read": {"field": "message", "as": "text"}},
                {"name": "object", "parseJson": "plain"},
                {"name": "timestamp", "read": {"from": "object", "field": "timestamp", "as": "text"}},
                {"name": "nonce", "read": {"from": "object", "field": "/nonce", "as": "text"}},
                {"name": "sign", "read": {"from": "object", "field": "sign", "as": "base64"}},
                {"name": "pairs", "sortedPairs": {"object": "object", "except": except}},
                {"name": "verified", "sm2Verify": {"data": "pairs", "signature": "sign", "key": "theirs.sign"}}
            ]
        })
    };
    assert_eq!(wrong(form(&["sign"])), []);
    assert_eq!(wrong(form(&["sign", "nonce"]))[0].0, "freshness.nonce");
    assert_eq!(wrong(form(&["sign", "timestamp"]))[0].0, "freshness.timestamp");
}

#[test]
fn times_are_read_in_each_form_and_told_apart_by_their_shape() {
    for form in [TimeForm::Seconds, TimeForm::Millis, TimeForm::Compact, TimeForm::Dashed] {
        let text = form.write(NOW);
        let spec = forms::spec(stamped());
        assert!(nonce_at(&spec, &text, NOW).is_ok(), "{text}");
    }
    assert_eq!(TimeForm::Dashed.write(NOW), "2026-01-01 08:00:00");
    assert_eq!(TimeForm::Compact.write(NOW), "20260101080000");
    for wrong in
        ["", "-767225600", "20261301080000", "2026-01-01T08:00:00", "2026-01-01 08:00:0x", "１２３４"]
    {
        assert_eq!(nonce_at(&forms::spec(stamped()), wrong, NOW), Err(Stale::Unreadable), "{wrong}");
    }
}
