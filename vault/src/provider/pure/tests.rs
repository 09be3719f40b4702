//! Published vectors for the pure provider.
use super::*;
use crate::provider::Padding;

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

fn key() -> [u8; 16] {
    bytes("0123456789abcdeffedcba9876543210").try_into().unwrap()
}

#[test]
fn sm3_gives_the_examples_of_gb_t_32905() {
    let short = PureProvider.sm3(&[b"abc"]);
    assert_eq!(hex::encode(short), "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0");
    let long = PureProvider.sm3(&[&b"abcd".repeat(8), &b"abcd".repeat(8)]);
    assert_eq!(hex::encode(long), "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732");
}

#[test]
fn hmac_sm3_gives_the_value_two_other_libraries_give() {
    let mac = PureProvider.hmac_sm3(b"TESTKEY", &[b"a", b"bc"]);
    assert_eq!(hex::encode(mac), "3c19cc1211d96a3fd78a8d249657492533f6027123fd94f98c1f6b16a680e800");
}

#[test]
fn sm4_gives_the_first_example_of_gb_t_32907() {
    let mode = Sm4Mode::Ecb { padding: Padding::None };
    let cipher = PureProvider.sm4_encrypt(&key(), &mode, &key()).unwrap();
    assert_eq!(hex::encode(&cipher), "681edf34d206965e86b3e94f536e4246");
    assert_eq!(*PureProvider.sm4_decrypt(&key(), &mode, &cipher).unwrap(), key());
}

#[test]
fn sm4_gives_the_millionfold_example_of_gb_t_32907() {
    // CBC over zero blocks chains E(E(…)), which is the standard's repeated encryption, in one call.
    let zeros = vec![0; 16 * 1_000_000];
    let mode = Sm4Mode::Cbc { iv: &key(), padding: Padding::None };
    let cipher = PureProvider.sm4_encrypt(&key(), &mode, &zeros).unwrap();
    assert_eq!(hex::encode(&cipher[cipher.len() - 16..]), "595298c7c6fd271f0402f804c33d3f66");
}

const RFC8998_PLAIN: &str = "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd\
                             eeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa";

fn aead_vector(gcm: bool, expected: &str) {
    let (nonce, aad) = (bytes("00001234567800000000abcd"), bytes("feedfacedeadbeeffeedfacedeadbeefabaddad2"));
    let mode = match gcm {
        true => Sm4Mode::Gcm { nonce: &nonce, aad: &aad },
        false => Sm4Mode::Ccm { nonce: &nonce, aad: &aad },
    };
    let mut cipher = PureProvider.sm4_encrypt(&key(), &mode, &bytes(RFC8998_PLAIN)).unwrap();
    assert_eq!(hex::encode(&cipher), expected);
    assert_eq!(*PureProvider.sm4_decrypt(&key(), &mode, &cipher).unwrap(), bytes(RFC8998_PLAIN));
    for at in [0, cipher.len() - 1] {
        cipher[at] ^= 1;
        assert!(matches!(PureProvider.sm4_decrypt(&key(), &mode, &cipher), Err(CryptoError::Refused)));
        cipher[at] ^= 1;
    }
    assert!(matches!(PureProvider.sm4_decrypt(&key(), &mode, &cipher[..8]), Err(CryptoError::Refused)));
}

#[test]
fn sm4_gcm_gives_the_example_of_rfc_8998() {
    aead_vector(
        true,
        "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735d82710ca5c22f0ccfa7cbf93d496ac15\
         a56834cbcf98c397b4024a2691233b8d83de3541e4c2b58177e065a9bf7b62ec",
    );
}

#[test]
fn sm4_ccm_gives_the_example_of_rfc_8998() {
    aead_vector(
        false,
        "48af93501fa62adbcd414cce6034d895dda1bf8f132f042098661572e7483094fd12e518ce062c98acee28d95df4416b\
         ed31a2f04476c18bb40c84a74b97dc5b16842d4fa186f56ab33256971fa110f4",
    );
}

#[test]
fn every_mode_and_padding_opens_what_it_sealed() {
    let iv = [7; 16];
    let modes = [
        Sm4Mode::Ecb { padding: Padding::Pkcs7 },
        Sm4Mode::Cbc { iv: &iv, padding: Padding::Pkcs7 },
        Sm4Mode::Cbc { iv: &iv, padding: Padding::Zero },
        Sm4Mode::Ctr { iv: &iv },
        Sm4Mode::Gcm { nonce: &iv, aad: b"" },
        Sm4Mode::Gcm { nonce: &iv[..12], aad: b"" },
    ];
    for mode in modes {
        for length in [0, 1, 15, 16, 17, 1000] {
            let plain = vec![0x41; length];
            let cipher = PureProvider.sm4_encrypt(&key(), &mode, &plain).unwrap();
            assert_eq!(
                *PureProvider.sm4_decrypt(&key(), &mode, &cipher).unwrap(),
                plain,
                "{mode:?} {length}"
            );
        }
    }
}

#[test]
fn refuses_wrong_iv_lengths_and_cut_ciphertexts() {
    let short = Sm4Mode::Cbc { iv: &[0; 12], padding: Padding::Pkcs7 };
    assert!(matches!(PureProvider.sm4_encrypt(&key(), &short, b"x"), Err(CryptoError::Invalid(_))));
    let odd = Sm4Mode::Ecb { padding: Padding::None };
    assert!(matches!(PureProvider.sm4_encrypt(&key(), &odd, b"x"), Err(CryptoError::Invalid(_))));
    for padding in [Padding::Pkcs7, Padding::Zero, Padding::None] {
        let mode = Sm4Mode::Ecb { padding };
        assert!(matches!(PureProvider.sm4_decrypt(&key(), &mode, &[0; 15]), Err(CryptoError::Refused)));
    }
}

#[test]
fn the_key_derivation_extends_beyond_one_digest() {
    let (mut long, mut short) = ([0; 70], [0; 32]);
    PureProvider.sm3_kdf(&[b"secret"], &mut long).unwrap();
    PureProvider.sm3_kdf(&[b"sec", b"ret"], &mut short).unwrap();
    assert_eq!(long[..32], short);
    assert_eq!(short, PureProvider.sm3(&[b"secret", &[0, 0, 0, 1]]));
    assert_eq!(long[32..64], PureProvider.sm3(&[b"secret", &[0, 0, 0, 2]]));
}
