//! Published vectors and round trips of the international algorithms.
use super::*;
use crate::{
    envelope::{Envelope, EnvelopeSpec, Params, Side, required_keys},
    key::{KeyKind, KeyRef, Purpose},
    provider::Padding,
    vault::{NewVersion, Vault},
};

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

#[test]
fn aes_gives_the_examples_of_sp_800_38a_and_the_gcm_specification() {
    let block = bytes("6bc1bee22e409f96e93d7e117393172a");
    let (iv, none) = (bytes("000102030405060708090a0b0c0d0e0f"), Padding::None);
    let key = bytes("2b7e151628aed2a6abf7158809cf4f3c");
    let cbc = aes_encrypt(&key, &Sm4Mode::Cbc { iv: &iv, padding: none }, &block).unwrap();
    assert_eq!(hex::encode(cbc), "7649abac8119b246cee98e9b12e9197d");
    let long = bytes("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
    let ecb = aes_encrypt(&long, &Sm4Mode::Ecb { padding: none }, &block).unwrap();
    assert_eq!(hex::encode(ecb), "f3eed1bdb5d2a03c064b5a7e3db181f8");
    let gcm = Sm4Mode::Gcm { nonce: &[0; 12], aad: b"" };
    let sealed = aes_encrypt(&[0; 16], &gcm, &[0; 16]).unwrap();
    assert_eq!(hex::encode(&sealed), "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf");
    assert_eq!(**aes_decrypt(&[0; 16], &gcm, &sealed).unwrap(), [0; 16]);
    assert_eq!(aes_encrypt(&[0; 17], &gcm, b"x"), Err(AES_KEY));
}

#[test]
fn sha256_and_its_hmac_give_their_published_examples() {
    assert_eq!(
        hex::encode(sha256(b"abc")),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    // RFC 4231 test case 2.
    let mac = hmac_sha256(b"Jefe", b"what do ya want for nothing?");
    assert_eq!(hex::encode(mac), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    let mac = hmac_sha512(b"Jefe", b"what do ya want for nothing?");
    let expected = "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
                    9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737";
    assert_eq!(hex::encode(mac), expected);
}

#[test]
fn ecdsa_signatures_hold_and_altered_ones_do_not() {
    let vault = Vault::in_memory().unwrap();
    let key: KeyRef = "vault:p256".parse().unwrap();
    vault.generate(&key, KeyKind::P256, Purpose::Sign).unwrap();
    let handle = vault.key(&key);
    for algorithm in [ClassicSignature::EcdsaDer, ClassicSignature::EcdsaRaw] {
        let mut made = handle.sign_classic(b"message", algorithm).unwrap();
        handle.verify_classic(b"message", algorithm, &made).unwrap();
        assert!(handle.verify_classic(b"massage", algorithm, &made).is_err());
        *made.last_mut().unwrap() ^= 1;
        assert!(matches!(
            handle.verify_classic(b"message", algorithm, &made),
            Err(VaultError::Refused { .. })
        ));
    }
    let wrong = handle.sign_classic(b"m", ClassicSignature::RsaPss);
    assert!(matches!(wrong, Err(VaultError::Invalid { .. })));
}

#[test]
fn a_partners_public_half_verifies_but_does_not_sign_and_rotates() {
    let (theirs, ours) = (Vault::in_memory().unwrap(), Vault::in_memory().unwrap());
    let key: KeyRef = "vault:old/sign".parse().unwrap();
    let public = |info: crate::key::KeyInfo| hex::decode(info.public.unwrap()).unwrap();
    let first = public(theirs.generate(&key, KeyKind::P256, Purpose::Sign).unwrap());
    let info = ours.import_classic_public(&key, KeyKind::P256, Purpose::Sign, &first).unwrap();
    assert!(!info.secret);
    let raw = ClassicSignature::EcdsaRaw;
    let old = theirs.key(&key).sign_classic(b"m", raw).unwrap();
    let second = public(theirs.rotate(&key, NewVersion::Generated).unwrap());
    ours.rotate(&key, NewVersion::Public(&second)).unwrap();
    let new = theirs.key(&key).sign_classic(b"m", raw).unwrap();
    for made in [old, new] {
        ours.key(&key).verify_classic(b"m", raw, &made).unwrap();
    }
    assert!(matches!(ours.key(&key).sign_classic(b"m", raw), Err(VaultError::PublicOnly { .. })));
    assert!(matches!(ours.rotate(&key, NewVersion::Generated), Err(VaultError::PublicOnly { .. })));
    let bad = "vault:bad".parse().unwrap();
    for (kind, bytes) in [(KeyKind::Rsa, &b"junk"[..]), (KeyKind::P256, b"junk"), (KeyKind::Sm4, &first)] {
        assert!(ours.import_classic_public(&bad, kind, Purpose::Sign, bytes).is_err());
    }
}

#[test]
fn an_old_partners_envelope_passes_both_ways() {
    let spec: EnvelopeSpec = serde_json::from_value(serde_json::json!({
        "keys": {"ours.sign": "vault:bus/ec", "theirs.sign": "vault:old/ec", "shared.data": "vault:old/aes",
            "shared.mac": "vault:old/mac"},
        "seal": [
            {"name": "iv", "random": 12},
            {"name": "body", "aesEncrypt": {"mode": "gcm", "key": "shared.data", "iv": "iv", "data": "plain"}},
            {"name": "digest", "sha256": "body"},
            {"name": "mac", "hmacSha256": {"data": "digest", "key": "shared.mac"}},
            {"name": "sign", "sign": {"algorithm": "ecdsaDer", "data": "digest", "key": "ours.sign"}}
        ],
        "write": {"iv": {"part": "iv", "as": "hex"}, "body": {"part": "body", "as": "base64"},
            "mac": {"part": "mac", "as": "hex"}, "sign": {"part": "sign", "as": "base64"}},
        "open": [
            {"name": "iv", "read": {"field": "iv", "as": "hex"}},
            {"name": "body", "read": {"field": "body", "as": "base64"}},
            {"name": "sign", "read": {"field": "sign", "as": "base64"}},
            {"name": "given", "read": {"field": "mac", "as": "hex"}},
            {"name": "digest", "sha256": "body"},
            {"name": "mac", "hmacSha256": {"data": "digest", "key": "shared.mac"}},
            {"name": "same", "equals": {"left": "mac", "right": "given"}},
            {"name": "held", "verify": {"algorithm": "ecdsaDer", "data": "digest", "signature": "sign", "key": "theirs.sign"}},
            {"name": "plain", "aesDecrypt": {"mode": "gcm", "key": "shared.data", "iv": "iv", "data": "body"}}
        ]
    }))
    .unwrap();
    let vault = Vault::in_memory().unwrap();
    for required in required_keys(&spec) {
        vault.generate(&required.key, required.kind, required.purpose).unwrap();
    }
    let compiled =
        |side| Envelope::compile(&spec, &vault, side).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    let (bus, partner) = (compiled(Side::Bus), compiled(Side::Partner));
    for (sender, receiver) in [(&bus, &partner), (&partner, &bus)] {
        let mut wire = sender.seal(b"message", &Params::new()).unwrap();
        assert_eq!(&**receiver.open(&wire, &Params::new()).unwrap(), b"message");
        assert!(sender.open(&wire, &Params::new()).is_err());
        wire["mac"] = "00".repeat(32).into();
        assert!(matches!(receiver.open(&wire, &Params::new()), Err(VaultError::Refused { .. })));
    }
}
