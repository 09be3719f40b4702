//! Every operation of every provider against every other, on a thousand random keys and messages: leading zeros, short and
//! large ones. With the feature `tongsuo` that is Tongsuo against the pure provider; without it, the pure one against itself.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
use qiao_vault::{
    CryptoError, Padding, Provider, PureProvider, Sm4Mode,
    provider::{
        agreement::{Exchange, Initiative, Peer},
        by_name,
    },
    self_test,
};
use std::sync::Arc;

fn providers() -> Vec<Arc<dyn Provider>> {
    ["pure", "tongsuo"].into_iter().filter_map(by_name).collect()
}

fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    PureProvider.random(&mut bytes).unwrap();
    bytes
}

/// Lengths around block and digest borders, then some large.
fn length(round: usize) -> usize {
    [1, 2, 15, 16, 17, 31, 32, 33, 64, 255, 256, 257, 1000, 5000][round % 14]
}

fn pairs(run: impl Fn(&dyn Provider, &dyn Provider)) {
    let all = providers();
    for one in &all {
        for other in &all {
            run(&**one, &**other);
        }
    }
}

#[test]
fn every_provider_passes_the_self_test() {
    let expected = if cfg!(feature = "tongsuo") { 2 } else { 1 };
    assert_eq!(providers().len(), expected);
    for provider in providers() {
        let results = self_test(&*provider);
        assert!(results.iter().all(|test| test.passed), "{}: {results:?}", provider.name());
    }
}

#[test]
fn sm2_signatures_and_ciphertexts_of_a_thousand_keys_interoperate() {
    pairs(|one, other| {
        for round in 0..1000 {
            let scalar = one.sm2_generate().unwrap();
            let (secret, opener) = (one.sm2_secret(&scalar).unwrap(), other.sm2_secret(&scalar).unwrap());
            assert_eq!(secret.point(), opener.point());
            let public = other.sm2_public(&secret.point()).unwrap();
            let digest: [u8; 32] = random(32).try_into().unwrap();
            let mut signature = secret.sign_digest(&digest).unwrap();
            assert_eq!(public.verify_digest(&digest, &signature), Ok(()));
            signature[round % 64] ^= 1 << (round % 8);
            assert_eq!(public.verify_digest(&digest, &signature), Err(CryptoError::Refused));

            let mut message = random(length(round));
            let zeros = message.len().min(round % 4);
            message[..zeros].fill(0);
            let mut cipher = one.sm2_public(&secret.point()).unwrap().encrypt(&message).unwrap();
            assert_eq!(*opener.decrypt(&cipher).unwrap(), message);
            let at = round * 31 % cipher.len();
            cipher[at] ^= 1 << (round % 8);
            assert!(matches!(opener.decrypt(&cipher), Err(CryptoError::Refused)));
        }
    });
}

#[test]
fn sm3_sm4_and_hmac_agree_on_a_thousand_messages() {
    pairs(|one, other| {
        for round in 0..1000 {
            let (key, iv): ([u8; 16], [u8; 16]) =
                (random(16).try_into().unwrap(), random(16).try_into().unwrap());
            let message = random(if round % 50 == 0 { 0 } else { length(round) });
            let (head, tail) = message.split_at(message.len() / 3);
            assert_eq!(one.sm3(&[head, tail]), other.sm3(&[&message]));
            let mac_key = random(round % 130);
            assert_eq!(one.hmac_sm3(&mac_key, &[head, tail]), other.hmac_sm3(&mac_key, &[&message]));
            let aad = random(round % 20);
            let modes = [
                Sm4Mode::Ecb { padding: Padding::Pkcs7 },
                Sm4Mode::Cbc { iv: &iv, padding: Padding::Pkcs7 },
                Sm4Mode::Ctr { iv: &iv },
                Sm4Mode::Gcm { nonce: &iv, aad: &aad },
                Sm4Mode::Gcm { nonce: &iv[..12], aad: &aad },
                Sm4Mode::Ccm { nonce: &iv[..12], aad: &aad },
            ];
            for mode in modes {
                let cipher = one.sm4_encrypt(&key, &mode, &message).unwrap();
                assert_eq!(other.sm4_encrypt(&key, &mode, &message).unwrap(), cipher, "{mode:?}");
                assert_eq!(*other.sm4_decrypt(&key, &mode, &cipher).unwrap(), message, "{mode:?}");
                if matches!(mode, Sm4Mode::Gcm { .. } | Sm4Mode::Ccm { .. }) {
                    let mut bad = cipher.clone();
                    bad[round % cipher.len()] ^= 1;
                    assert!(matches!(other.sm4_decrypt(&key, &mode, &bad), Err(CryptoError::Refused)));
                }
            }
            let mut text = message.clone();
            text.iter_mut().for_each(|b| *b |= 1);
            let zero = Sm4Mode::Cbc { iv: &iv, padding: Padding::Zero };
            let cipher = one.sm4_encrypt(&key, &zero, &text).unwrap();
            assert_eq!(*other.sm4_decrypt(&key, &zero, &cipher).unwrap(), text);
        }
    });
}

#[test]
fn both_sides_agree_on_a_key_whichever_provider_each_computes_with() {
    pairs(|one, other| {
        for round in 0..100 {
            let (a, b) = (one.sm2_generate().unwrap(), other.sm2_generate().unwrap());
            let (alice, bob) = (one.sm2_secret(&a).unwrap(), other.sm2_secret(&b).unwrap());
            let (from_alice, from_bob) = (Exchange::start(one).unwrap(), Exchange::start(other).unwrap());
            let (ra, rb) = (from_alice.point(), from_bob.point());
            let (alices, bobs) = (alice.point(), bob.point());
            let to_bob = Peer { public: &bobs, ephemeral: &rb, id: b"bob" };
            let to_alice = Peer { public: &alices, ephemeral: &ra, id: b"alice" };
            let length = 1 + round % 64;
            let hers =
                from_alice.finish(one, &*alice, b"alice", &to_bob, Initiative::Initiator, length).unwrap();
            let his =
                from_bob.finish(other, &*bob, b"bob", &to_alice, Initiative::Responder, length).unwrap();
            assert_eq!(hers.key, his.key);
            assert_eq!(hers.own_confirmation, his.peer_confirmation);
            assert_eq!(his.own_confirmation, hers.peer_confirmation);
        }
    });
}

#[test]
fn large_messages_agree_and_are_encrypted_whole() {
    let (key, iv, message) = ([7; 16], [9; 16], random(1 << 20));
    pairs(|one, other| {
        assert_eq!(one.sm3(&[&message]), other.sm3(&[&message]));
        let mode = Sm4Mode::Cbc { iv: &iv, padding: Padding::Pkcs7 };
        let cipher = one.sm4_encrypt(&key, &mode, &message).unwrap();
        assert_eq!(*other.sm4_decrypt(&key, &mode, &cipher).unwrap(), message);
        let secret = other.sm2_secret(&one.sm2_generate().unwrap()).unwrap();
        let cipher = one.sm2_public(&secret.point()).unwrap().encrypt(&message).unwrap();
        assert_eq!(*secret.decrypt(&cipher).unwrap(), message);
    });
}

#[test]
fn providers_refuse_the_same_inputs() {
    for provider in providers() {
        let secret = provider.sm2_secret(&provider.sm2_generate().unwrap()).unwrap();
        let public = provider.sm2_public(&secret.point()).unwrap();
        assert!(matches!(public.encrypt(b""), Err(CryptoError::Invalid(_))));
        assert!(matches!(secret.decrypt(&[1; 96]), Err(CryptoError::Refused)));
        assert!(matches!(provider.sm2_public(&[1; 64]), Err(CryptoError::Invalid(_))));
        assert!(matches!(provider.sm2_secret(&[0; 32]), Err(CryptoError::Invalid(_))));
        assert!(matches!(provider.sm2_secret(&[0xff; 32]), Err(CryptoError::Invalid(_))));
        let mut off_curve = public.encrypt(b"message").unwrap();
        off_curve[0] ^= 1;
        assert!(matches!(secret.decrypt(&off_curve), Err(CryptoError::Refused)));
        for signature in [[0; 64], [0xff; 64]] {
            assert_eq!(public.verify_digest(&[3; 32], &signature), Err(CryptoError::Refused));
        }
        let odd = Sm4Mode::Ecb { padding: Padding::None };
        assert!(matches!(provider.sm4_encrypt(&[0; 16], &odd, b"odd"), Err(CryptoError::Invalid(_))));
        assert!(matches!(provider.sm4_decrypt(&[0; 16], &odd, b"odd"), Err(CryptoError::Refused)));
        let short = Sm4Mode::Gcm { nonce: &[0; 8], aad: b"" };
        assert!(matches!(provider.sm4_encrypt(&[0; 16], &short, b"x"), Err(CryptoError::Invalid(_))));
        assert!(matches!(
            provider.sm4_decrypt(&[0; 16], &Sm4Mode::Gcm { nonce: &[0; 12], aad: b"" }, &[0; 15]),
            Err(CryptoError::Refused)
        ));
    }
}
