//! Tests that mistakes in a description are all reported, each at its place.
use super::*;

fn mistakes(value: Value) -> Vec<(String, String)> {
    let vault = Vault::in_memory().unwrap();
    match Envelope::compile(&forms::spec(value), &vault, Side::Bus) {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes.into_iter().map(|mistake| (mistake.path, mistake.message)).collect(),
    }
}

#[test]
fn reports_every_mistake_at_once_with_its_path() {
    let found = mistakes(json!({
        "keys": {"ours.sign": "bus/sign", "mine.x": "vault:x", "shared.data": "vault:data"},
        "seal": [
            {"name": "iv", "random": 0},
            {"name": "two", "random": 1, "text": "x"},
            {"name": "none"},
            {"name": "sign", "sm2Sign": {"data": "cypher", "key": "theirs.sign"}},
            {"name": "c", "sm4Encrypt": {"mode": "cbc", "key": "shared.data", "data": "plain"}},
            {"name": "e", "sm4Encrypt": {"mode": "ecb", "key": "shared.data", "data": "plain", "iv": "iv", "aad": "iv"}},
            {"name": "d", "sm2Encrypt": {"data": "plain", "key": "theirs.encrypt", "format": "der", "order": "c1c2c3"}},
            {"name": "c", "text": "${missing}"},
            {"name": "r", "read": {"field": "x", "as": "text"}}
        ],
        "write": {"sign": {"part": "signature", "as": "hex"}},
        "open": [{"name": "checked", "equals": {"left": "a", "right": "b"}}]
    }));
    let paths: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "keys.ours.sign",
            "keys.mine.x",
            "seal[0].random",
            "seal[1]",
            "seal[2]",
            "seal[3].sm2Sign.data",
            "seal[3].sm2Sign.key",
            "seal[4].sm4Encrypt.iv",
            "seal[5].sm4Encrypt.aad",
            "seal[5].sm4Encrypt.iv",
            "seal[6].sm2Encrypt.key",
            "seal[6].sm2Encrypt",
            "seal[7].text",
            "seal[7].name",
            "seal[8].read",
            "write.sign.part",
            "open[0].equals.left",
            "open[0].equals.right",
            "open",
        ],
        "{found:#?}"
    );
    let message = &found.iter().find(|(path, _)| path == "seal[3].sm2Sign.data").unwrap().1;
    assert_eq!(message, "there is no earlier part `cypher`; so far: plain, iv, two, none");
}

#[test]
fn a_misspelt_key_of_a_part_is_refused_and_named() {
    let error = serde_json::from_value::<EnvelopeSpec>(json!({
        "seal": [{"name": "c", "sm4Encrypt": {"mode": "cbc", "key": "k", "data": "plain", "ivv": "iv"}}]
    }))
    .unwrap_err()
    .to_string();
    assert!(error.contains("unknown field `ivv`"), "{error}");
}

#[test]
fn a_key_of_the_wrong_kind_is_reported_when_it_is_there() {
    let vault = Vault::in_memory().unwrap();
    vault.generate(&key("vault:ems/sign-key"), KeyKind::Hmac, Purpose::Mac).unwrap();
    let mistakes = Envelope::compile(&forms::ems(), &vault, Side::Bus).err().unwrap();
    assert_eq!(mistakes[0].path, "seal[0].keyBytes");
    assert!(mistakes[0].message.contains("vault:ems/sign-key is a key of kind Hmac"), "{mistakes:?}");
}

#[test]
fn the_partners_side_needs_the_mirrored_keys() {
    let spec = forms::spec(json!({
        "keys": {"ours.sign": "vault:bus/sign"},
        "seal": [{"name": "s", "sm2Sign": {"data": "plain", "key": "ours.sign"}}],
        "write": {"s": {"part": "s", "as": "hex"}}
    }));
    let vault = vault_for(&spec, &[]);
    assert!(Envelope::compile(&spec, &vault, Side::Bus).is_ok());
    let mistakes = Envelope::compile(&spec, &vault, Side::Partner).err().unwrap();
    assert_eq!(mistakes[0].path, "seal[0].sm2Sign.key");
    assert_eq!(mistakes[0].message, "`keys` has no `theirs.sign`, which the partner's side uses here");
}

#[test]
fn an_empty_description_and_one_without_plain_are_mistakes() {
    assert_eq!(mistakes(json!({}))[0].0, "seal");
    let parsed = json!({"open": [{"name": "a", "param": "x"}, {"name": "plain", "parseJson": "a"}]});
    assert_eq!(mistakes(parsed)[0].0, "open");
}

#[test]
fn required_keys_name_kind_purpose_and_owner() {
    let required = required_keys(&forms::medical());
    let shown: Vec<_> =
        required.iter().map(|key| (key.key.to_string(), key.kind, key.purpose, key.role)).collect();
    assert_eq!(
        shown,
        [
            ("vault:medical/secret".into(), KeyKind::Secret, Purpose::Secret, Role::Shared),
            ("vault:bus/sign".into(), KeyKind::Sm2, Purpose::Sign, Role::Ours),
            ("vault:medical/sign".into(), KeyKind::Sm2, Purpose::Sign, Role::Theirs),
        ]
    );
}

#[test]
fn the_schema_refuses_unknown_keys_and_knows_every_part() {
    let schema = serde_json::to_value(schemars::schema_for!(EnvelopeSpec)).unwrap();
    let part = &schema["$defs"]["PartSpec"];
    assert_eq!(part["additionalProperties"], false);
    for kind in ["random", "keyBytes", "sm2Verify", "sm4Decrypt", "canonicalJson"] {
        assert!(part["properties"][kind].is_object(), "{kind}");
    }
}
