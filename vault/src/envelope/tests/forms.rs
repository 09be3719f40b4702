//! The partners' envelope forms the tests run: EMS, the generic government style, medical insurance, light JSON, permits.
use crate::envelope::EnvelopeSpec;
use serde_json::{Value, json};

pub(super) fn spec(value: Value) -> EnvelopeSpec {
    serde_json::from_value(value).unwrap()
}

/// EMS: SM4-ECB over the message followed by the Base64 text of the key, after `|$4|`.
pub(super) fn ems() -> EnvelopeSpec {
    spec(json!({
        "keys": {"shared.signKey": "vault:ems/sign-key"},
        "seal": [
            {"name": "key", "keyBytes": "shared.signKey"},
            {"name": "keyText", "encode": {"data": "key", "as": "base64"}},
            {"name": "text", "concat": ["plain", "keyText"]},
            {"name": "cipher", "sm4Encrypt": {"mode": "ecb", "key": "key", "data": "text"}},
            {"name": "cipherText", "encode": {"data": "cipher", "as": "base64"}},
            {"name": "field", "text": "|$4|${cipherText}"}
        ],
        "write": {"logitcsInterface": {"part": "field", "as": "text"}},
        "open": [
            {"name": "key", "keyBytes": "shared.signKey"},
            {"name": "keyText", "encode": {"data": "key", "as": "base64"}},
            {"name": "field", "read": {"field": "logitcsInterface", "as": "text"}},
            {"name": "cipherText", "stripPrefix": {"data": "field", "text": "|$4|"}},
            {"name": "cipher", "decode": {"data": "cipherText", "as": "base64"}},
            {"name": "text", "sm4Decrypt": {"mode": "ecb", "key": "key", "data": "cipher"}},
            {"name": "plain", "stripSuffix": {"data": "text", "part": "keyText", "optional": true}}
        ]
    }))
}

/// The generic government style: sorted pairs, the body as SM3, a shared key appended, SM3 in upper-case hexadecimal.
pub(super) fn government() -> EnvelopeSpec {
    let sign = |body: &str| {
        json!([
            {"name": "appid", "param": "appid"}, {"name": "method", "param": "method"},
            {"name": "nonce", "param": "nonce"}, {"name": "timestamp", "param": "timestamp"},
            {"name": "key", "keyBytes": "shared.key"},
            {"name": "digest", "sm3": body},
            {"name": "body", "encode": {"data": "digest", "as": "hex"}},
            {"name": "pairs", "sortedPairs": {"pairs": {"timestamp": "timestamp", "appid": "appid",
                "method": "method", "nonce": "nonce", "body": "body"}}},
            {"name": "text", "text": "${pairs}&key=${key}"},
            {"name": "sum", "sm3": "text"}
        ])
    };
    let mut open = vec![
        json!({"name": "plain", "read": {"field": "body", "as": "text"}}),
        json!({"name": "sign", "read": {"field": "sign", "as": "HEX"}}),
    ];
    open.extend(sign("plain").as_array().unwrap().clone());
    open.push(json!({"name": "check", "equals": {"left": "sum", "right": "sign"}}));
    spec(json!({
        "keys": {"shared.key": "vault:hub/key"},
        "seal": sign("plain"),
        "write": {"body": {"part": "plain", "as": "text"}, "sign": {"part": "sum", "as": "HEX"}},
        "open": open
    }))
}

/// Medical insurance: key derived from the app id and the secret, the secret also being the SM2 identifier.
pub(super) fn medical() -> EnvelopeSpec {
    let derive = json!([
        {"name": "appId", "param": "appId"},
        {"name": "timestamp", "param": "timestamp"},
        {"name": "version", "text": "2.0.1"}, {"name": "encType", "text": "SM4"}, {"name": "signType", "text": "SM2"},
        {"name": "secret", "keyBytes": "shared.secret"},
        {"name": "head", "cut": {"data": "appId", "to": 16}},
        {"name": "derived", "sm4Encrypt": {"mode": "ecb", "key": "head", "data": "secret"}},
        {"name": "derivedText", "encode": {"data": "derived", "as": "HEX"}},
        {"name": "key", "cut": {"data": "derivedText", "to": 16}}
    ]);
    let sign_text = json!([
        {"name": "sorted", "canonicalJson": "plain"},
        {"name": "pairs", "sortedPairs": {"pairs": {"appId": "appId", "data": "sorted", "encType": "encType",
            "signType": "signType", "timestamp": "timestamp", "version": "version"}}},
        {"name": "signText", "text": "${pairs}&key=${secret}"}
    ]);
    let list = |parts: &[&Value]| -> Value {
        parts.iter().flat_map(|part| part.as_array().unwrap().clone()).collect()
    };
    spec(json!({
        "keys": {"shared.secret": "vault:medical/secret",
            "ours.sign": "vault:bus/sign", "theirs.sign": "vault:medical/sign"},
        "seal": list(&[&derive, &sign_text, &json!([
            {"name": "cipher", "sm4Encrypt": {"mode": "ecb", "key": "key", "data": "plain"}},
            {"name": "sign", "sm2Sign": {"data": "signText", "key": "ours.sign", "idPart": "secret"}},
            {"name": "signDigest", "sm3": "signText"}
        ])]),
        "write": {"appId": {"part": "appId", "as": "text"}, "version": {"part": "version", "as": "text"},
            "timestamp": {"part": "timestamp", "as": "text"}, "encType": {"part": "encType", "as": "text"},
            "signType": {"part": "signType", "as": "text"}, "encData": {"part": "cipher", "as": "hex"},
            "signData": {"part": "sign", "as": "base64"}, "signDigest": {"part": "signDigest", "as": "hex"}},
        "open": list(&[&derive, &json!([
            {"name": "cipher", "read": {"field": "encData", "as": "hex"}},
            {"name": "sign", "read": {"field": "signData", "as": "base64"}},
            {"name": "plain", "sm4Decrypt": {"mode": "ecb", "key": "key", "data": "cipher"}}
        ]), &sign_text, &json!([
            {"name": "check", "sm2Verify": {"data": "signText", "signature": "sign", "key": "theirs.sign", "idPart": "secret"}}
        ])])
    }))
}

const PAIRS: &str = r#"{"ours.sign": "vault:bus/sign", "ours.encrypt": "vault:bus/encrypt",
    "theirs.sign": "vault:civil/sign", "theirs.encrypt": "vault:civil/encrypt"}"#;

fn light_seal() -> Vec<Value> {
    vec![
        json!({"name": "key", "random": 16}),
        json!({"name": "iv", "random": 16}),
        json!({"name": "encKey", "sm2Encrypt": {"data": "key", "key": "theirs.encrypt", "order": "c1c3c2", "point": "bare"}}),
        json!({"name": "cipher", "sm4Encrypt": {"mode": "cbc", "key": "key", "iv": "iv", "data": "plain"}}),
        json!({"name": "sign", "sm2Sign": {"data": "cipher", "key": "ours.sign", "id": "1234567812345678", "format": "raw"}}),
    ]
}

fn light_fields() -> Value {
    let field = |part| json!({"part": part, "as": "base64"});
    json!({"encKey": field("encKey"), "iv": field("iv"), "cipher": field("cipher"), "sign": field("sign")})
}

fn light_open(from: Option<&str>) -> Vec<Value> {
    let read = |field: &str| {
        let mut spec = json!({"field": field, "as": "base64"});
        if let Some(from) = from {
            spec["from"] = from.into();
        }
        json!({"name": field, "read": spec})
    };
    vec![
        read("encKey"),
        read("iv"),
        read("cipher"),
        read("sign"),
        json!({"name": "check", "sm2Verify": {"data": "cipher", "signature": "sign", "key": "theirs.sign", "id": "1234567812345678"}}),
        json!({"name": "key", "sm2Decrypt": {"data": "encKey", "key": "ours.encrypt", "point": "bare"}}),
        json!({"name": "plain", "sm4Decrypt": {"mode": "cbc", "key": "key", "iv": "iv", "data": "cipher"}}),
    ]
}

/// The light JSON envelope.
pub(super) fn light() -> EnvelopeSpec {
    let keys: Value = serde_json::from_str(PAIRS).unwrap();
    spec(json!({"keys": keys, "seal": light_seal(), "write": light_fields(), "open": light_open(None)}))
}

/// The permit system's form: the light envelope as Base64 of its JSON in one element.
pub(super) fn permit() -> EnvelopeSpec {
    let keys: Value = serde_json::from_str(PAIRS).unwrap();
    let (mut seal, mut open) = (
        light_seal(),
        vec![
            json!({"name": "data", "read": {"field": "data", "as": "base64"}}),
            json!({"name": "inner", "parseJson": "data"}),
        ],
    );
    seal.push(json!({"name": "inner", "json": light_fields()}));
    open.extend(light_open(Some("inner")));
    spec(
        json!({"keys": keys, "seal": seal, "write": {"data": {"part": "inner", "as": "base64"}}, "open": open}),
    )
}
