//! What the vault's targets open with: keys that are the same in every process, so that a corpus stays useful. For nothing else.
use crate::envelope_forms as forms;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use qiao_vault::{
    EnvelopeSpec, KeyHandle, KeyKind, KeyRef, Params, Provider, PureProvider, Purpose, Vault,
    certificate::Certificate, required_keys,
};
use serde_json::json;
use std::sync::LazyLock;

/// 2026-01-01T00:00:00Z, for which the fixtures' certificates hold.
pub const NOW: i64 = 1_767_225_600;

/// The certificates of `fuzz/fixtures`, made by the example `seeds` with the keys below.
const CERTIFICATES: [(&str, &[u8]); 4] = [
    ("root", include_bytes!("../../fixtures/root.der")),
    ("signer", include_bytes!("../../fixtures/signer.der")),
    ("receiver", include_bytes!("../../fixtures/receiver.der")),
    ("tsa", include_bytes!("../../fixtures/tsa.der")),
];

pub fn certified(name: &str) -> Certificate {
    let found = CERTIFICATES.iter().find(|(known, _)| *known == name).unwrap();
    Certificate::read(found.1).unwrap()
}

pub fn key(name: &str) -> KeyHandle {
    vault().key(&format!("vault:{name}").parse().unwrap())
}

pub fn vault() -> &'static Vault {
    static VAULT: LazyLock<Vault> = LazyLock::new(|| {
        let vault = Vault::in_memory().unwrap();
        let own = [
            ("root", KeyKind::Sm2, Purpose::Sign),
            ("signer", KeyKind::Sm2, Purpose::Sign),
            ("receiver", KeyKind::Sm2, Purpose::Encrypt),
            ("tsa", KeyKind::Sm2, Purpose::Sign),
            ("data", KeyKind::Sm4, Purpose::Encrypt),
            ("index", KeyKind::Hmac, Purpose::Mac),
        ];
        for (name, kind, purpose) in own {
            add(&vault, &format!("vault:{name}").parse().unwrap(), kind, purpose);
        }
        for spec in envelopes() {
            for needed in required_keys(&spec) {
                if !vault.exists(&needed.key) {
                    add(&vault, &needed.key, needed.kind, needed.purpose);
                }
            }
        }
        vault
    });
    &VAULT
}

/// Key material from the key's name.
fn add(vault: &Vault, key: &KeyRef, kind: KeyKind, purpose: Purpose) {
    let digest = PureProvider.sm3(&[b"fuzzing ", key.to_string().as_bytes()]);
    let material = match key.to_string().as_str() {
        "vault:hub/key" => b"TESTKEY".to_vec(),
        "vault:medical/secret" => b"0123456789ABCDEF0123456789ABCDEF".to_vec(),
        "vault:ems/sign-key" => BASE64_STANDARD.decode("TvaBgrhE46sft3nZlfe7xw==").unwrap(),
        _ if kind == KeyKind::Sm4 => digest[..16].to_vec(),
        _ => digest.to_vec(),
    };
    vault.import(key, kind, purpose, &material).unwrap();
}

/// The forms of the vault's own tests, and GB/T 35275 messages in an envelope.
pub fn envelopes() -> Vec<EnvelopeSpec> {
    let party =
        |serial: &str| json!({"issuer": {"country": "CN", "commonName": "City CA"}, "serial": serial});
    let message = serde_json::from_value(json!({
        "keys": {"ours.sign": "vault:bus/sign", "theirs.sign": "vault:civil/sign",
            "ours.encrypt": "vault:bus/encrypt", "theirs.encrypt": "vault:civil/encrypt"},
        "identities": {"ours.sign": party("01"), "theirs.sign": party("02"),
            "ours.encrypt": party("03"), "theirs.encrypt": party("ff04")},
        "seal": [{"name": "message", "sealMessage": {"kind": "signedAndEnveloped", "data": "plain",
            "signer": "ours.sign", "recipient": "theirs.encrypt"}}],
        "write": {"data": {"part": "message", "as": "base64"}},
        "open": [
            {"name": "message", "read": {"field": "data", "as": "base64"}},
            {"name": "plain", "openMessage": {"kind": "signedAndEnveloped", "data": "message",
                "signer": "theirs.sign", "key": "ours.encrypt"}}
        ]
    }));
    vec![
        forms::ems(),
        forms::government(),
        forms::medical(),
        forms::light(),
        forms::permit(),
        message.unwrap(),
    ]
}

/// What the forms ask for beside the document.
pub fn params() -> Params {
    Params::new()
        .with("appid", "hub-card")
        .with("method", "card.status.query")
        .with("nonce", "9f86d081884c7d65")
        .with("appId", "1FEDCBA9876543210TESTAPP00000001")
        .with("timestamp", "1767225600000")
}
