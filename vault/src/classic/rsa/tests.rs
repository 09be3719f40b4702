//! Tests of RSA encryption and key generation; against OpenSSL in `tests/asn1.rs`.
use super::RsaEncryption::{OaepSha1, OaepSha256, Pkcs1};
use crate::{
    error::VaultError,
    key::{KeyKind, KeyRef, Purpose},
    vault::{KeyHandle, NewVersion, Vault},
};

fn setup() -> (Vault, KeyHandle) {
    let vault = Vault::in_memory().unwrap();
    let key: KeyRef = "vault:old/rsa".parse().unwrap();
    vault.generate_rsa(&key, Purpose::Encrypt, 2048).unwrap();
    (vault.clone(), vault.key(&key))
}

#[test]
fn what_is_encrypted_opens_and_altered_ciphertexts_tell_nothing() {
    let (_, key) = setup();
    for scheme in [OaepSha256, OaepSha1] {
        for plain in [&b""[..], b"x", &[7; 190]] {
            let mut cipher = key.encrypt_rsa(plain, scheme).unwrap();
            assert_eq!(**key.decrypt_rsa(&cipher, scheme).unwrap(), *plain);
            cipher[100] ^= 1;
            let refused = key.decrypt_rsa(&cipher, scheme).unwrap_err();
            assert_eq!(refused.to_string(), "the message was refused");
            assert_eq!(refused.operator_detail(), "the message was refused at ``", "no word of a padding");
        }
        assert!(matches!(key.decrypt_rsa(&[1; 256], scheme), Err(VaultError::Refused { .. })));
        assert!(matches!(key.decrypt_rsa(&[1; 255], scheme), Err(VaultError::Refused { .. })));
        assert!(matches!(key.encrypt_rsa(&[7; 250], scheme), Err(VaultError::Invalid { .. })));
    }
}

#[test]
fn a_wrong_pkcs1_padding_gives_random_bytes_instead_of_a_refusal() {
    let (_, key) = setup();
    let mut cipher = key.encrypt_rsa(&[7; 16], Pkcs1).unwrap();
    assert_eq!(**key.decrypt_rsa_key(&cipher, 16).unwrap(), [7; 16]);
    let other_length = key.decrypt_rsa_key(&cipher, 24).unwrap();
    assert_eq!(other_length.len(), 24);
    assert_ne!(other_length[..16], [7; 16]);
    cipher[100] ^= 1;
    let (first, second) =
        (key.decrypt_rsa_key(&cipher, 16).unwrap(), key.decrypt_rsa_key(&cipher, 16).unwrap());
    assert_eq!((first.len(), second.len()), (16, 16));
    assert_ne!(*first, *second);
    assert!(matches!(key.decrypt_rsa(&cipher, Pkcs1), Err(VaultError::Invalid { .. })));
    assert!(matches!(key.decrypt_rsa_key(&cipher[1..], 16), Err(VaultError::Refused { .. })));
}

#[test]
fn generated_pairs_sign_or_encrypt_but_not_both_and_keep_their_length() {
    let (vault, key) = setup();
    let wrong = key.sign_classic(b"m", crate::ClassicSignature::RsaPss);
    assert!(matches!(wrong, Err(VaultError::WrongPurpose { .. })));
    let sign: KeyRef = "vault:old/sign".parse().unwrap();
    vault.generate_rsa(&sign, Purpose::Sign, 2048).unwrap();
    let made = vault.key(&sign).sign_classic(b"m", crate::ClassicSignature::RsaPss).unwrap();
    vault.key(&sign).verify_classic(b"m", crate::ClassicSignature::RsaPss, &made).unwrap();
    assert!(matches!(vault.key(&sign).encrypt_rsa(b"m", OaepSha1), Err(VaultError::WrongPurpose { .. })));
    assert!(vault.generate_rsa(&"vault:short".parse().unwrap(), Purpose::Sign, 1024).is_err());
    let old = key.encrypt_rsa(b"before", OaepSha256).unwrap();
    vault.rotate(key.key(), NewVersion::Generated).unwrap();
    let new = key.encrypt_rsa(b"after", OaepSha256).unwrap();
    assert_eq!(new.len(), 256, "2048 bits like the first");
    assert_eq!(**key.decrypt_rsa(&old, OaepSha256).unwrap(), *b"before");
    assert_eq!(**key.decrypt_rsa(&new, OaepSha256).unwrap(), *b"after");
}

#[test]
fn a_partners_public_key_encrypts_and_does_not_decrypt() {
    let (_, theirs) = setup();
    let ours = Vault::in_memory().unwrap();
    let key: KeyRef = "vault:partner/rsa".parse().unwrap();
    let public = hex::decode(theirs.info().unwrap().public.unwrap()).unwrap();
    ours.import_classic_public(&key, KeyKind::Rsa, Purpose::Encrypt, &public).unwrap();
    for scheme in [OaepSha256, OaepSha1, Pkcs1] {
        let cipher = ours.key(&key).encrypt_rsa(&[9; 16], scheme).unwrap();
        let plain = match scheme {
            Pkcs1 => theirs.decrypt_rsa_key(&cipher, 16),
            scheme => theirs.decrypt_rsa(&cipher, scheme),
        };
        assert_eq!(**plain.unwrap(), [9; 16]);
    }
    let refused = ours.key(&key).decrypt_rsa(&[0; 256], OaepSha256);
    assert!(matches!(refused, Err(VaultError::PublicOnly { .. })));
    let p256 =
        ours.import_classic_public(&"vault:x".parse().unwrap(), KeyKind::P256, Purpose::Encrypt, &public);
    assert!(p256.is_err());
}
