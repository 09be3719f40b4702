//! Every function of the interface against the pure provider, both ways.
use crate::setup::{PASSWORD, keys, secrets};
use proptest::prelude::*;
use qiao_sdf::{Class, DecryptForm, Device, Library, Session};
use qiao_softdevice::rig::Rig;
use qiao_vault::{Padding, Provider, PureProvider, Sm4Mode};

fn session(rig: &Rig) -> Session {
    let library = Library::load(&rig.path(), DecryptForm::WithAlgorithm).unwrap();
    Device::open(&library).unwrap().session().unwrap()
}

#[test]
fn says_what_it_is_and_gives_randomness() {
    let rig = Rig::new(&keys(&secrets()).buffer(4096)).unwrap();
    let mut session = session(&rig);
    let facts = session.facts().unwrap();
    assert_eq!((facts.issuer.as_str(), facts.name.as_str(), facts.buffer), ("Qiao", "softdevice", 4096));
    let (mut one, mut two) = (vec![0; 3000], vec![0; 3000]);
    session.random(&mut one).unwrap();
    session.random(&mut two).unwrap();
    assert_ne!(one, two);
}

#[test]
fn signatures_and_ciphertexts_pass_both_ways_between_device_and_provider() {
    let secrets = secrets();
    let rig = Rig::new(&keys(&secrets)).unwrap();
    let mut session = session(&rig);
    session.get_access(1, PASSWORD.as_bytes()).unwrap();
    let sign = PureProvider.sm2_secret(&secrets.sign).unwrap();
    let encrypt = PureProvider.sm2_secret(&secrets.encrypt).unwrap();
    let (point, to) = (session.sign_public(1).unwrap(), session.encrypt_public(1).unwrap());
    assert_eq!((point, to), (sign.point(), encrypt.point()));
    let (verifier, sealer) =
        (PureProvider.sm2_public(&point).unwrap(), PureProvider.sm2_public(&to).unwrap());
    for round in 0..200usize {
        let mut digest = [0; 32];
        PureProvider.random(&mut digest).unwrap();
        let ours = sign.sign_digest(&digest).unwrap();
        let theirs = session.sign(1, &digest).unwrap();
        verifier.verify_digest(&digest, &theirs).unwrap();
        session.verify(1, &digest, &ours).unwrap();
        session.external_verify(&point, &digest, &ours).unwrap();
        digest[round % 32] ^= 1;
        assert_eq!(session.external_verify(&point, &digest, &ours).unwrap_err().class(), Class::Data);
        assert_eq!(session.verify(1, &digest, &theirs).unwrap_err().class(), Class::Data);
        let plain = vec![round as u8; 1 + round * 13];
        assert_eq!(*session.decrypt(1, &sealer.encrypt(&plain).unwrap()).unwrap(), plain);
        assert_eq!(*encrypt.decrypt(&session.external_encrypt(&to, &plain).unwrap()).unwrap(), plain);
    }
}

#[test]
fn session_keys_come_back_from_their_wrapping() {
    let secrets = secrets();
    let rig = Rig::new(&keys(&secrets)).unwrap();
    let mut session = session(&rig);
    session.get_access(1, PASSWORD.as_bytes()).unwrap();
    session.get_kek_access(4, crate::setup::KEK_PASSWORD.as_bytes()).unwrap();
    let (wrapped, first) = session.generate_with_pair(1).unwrap();
    let bare = PureProvider.sm2_secret(&secrets.encrypt).unwrap().decrypt(&wrapped).unwrap();
    let again = session.import_with_pair(1, &wrapped).unwrap();
    let (wrapped, third) = session.generate_with_kek(4).unwrap();
    let ecb = Sm4Mode::Ecb { padding: Padding::None };
    let other = PureProvider.sm4_decrypt(&[9; 16], &ecb, &wrapped).unwrap();
    let fourth = session.import_with_kek(4, &wrapped).unwrap();
    let data = vec![5; 160];
    for (key, bytes) in [(&first, &bare), (&again, &bare), (&third, &other), (&fourth, &other)] {
        let bytes: &[u8; 16] = bytes[..].try_into().unwrap();
        let expected = PureProvider.sm4_encrypt(bytes, &ecb, &data).unwrap();
        assert_eq!(*session.cipher(key, true, None, &data).unwrap(), expected);
        assert_eq!(*session.cipher(key, false, None, &expected).unwrap(), data);
        let cbc = Sm4Mode::Cbc { iv: &[3; 16], padding: Padding::None };
        let expected = PureProvider.sm4_encrypt(bytes, &cbc, &data).unwrap();
        assert_eq!(*session.cipher(key, true, Some(&[3; 16]), &data).unwrap(), expected);
        assert_eq!(*session.cipher(key, false, Some(&[3; 16]), &expected).unwrap(), data);
        assert_eq!(session.mac(key, &[3; 16], &data).unwrap(), expected[expected.len() - 16..]);
    }
    for key in [fourth, third, again, first] {
        session.destroy(key).unwrap();
    }
}

#[test]
fn the_right_to_a_key_needs_its_password_and_ends_when_released() {
    let rig = Rig::new(&keys(&secrets())).unwrap();
    let mut session = session(&rig);
    assert_eq!(session.sign(1, &[1; 32]).unwrap_err().class(), Class::Password);
    assert_eq!(session.get_access(1, b"wrong").unwrap_err().class(), Class::Password);
    assert_eq!(session.get_access(7, b"x").unwrap_err().class(), Class::Unfit);
    session.get_access(1, PASSWORD.as_bytes()).unwrap();
    session.sign(1, &[1; 32]).unwrap();
    session.release_access(1).unwrap();
    assert_eq!(session.sign(1, &[1; 32]).unwrap_err().class(), Class::Password);
    assert_eq!(rig.wrong_passwords(), 1);
}

#[test]
fn a_tampered_ciphertext_is_refused_wherever_it_was_touched() {
    let secrets = secrets();
    let rig = Rig::new(&keys(&secrets)).unwrap();
    let mut session = session(&rig);
    session.get_access(1, PASSWORD.as_bytes()).unwrap();
    let to = session.encrypt_public(1).unwrap();
    let cipher = PureProvider.sm2_public(&to).unwrap().encrypt(b"fourteen bytes").unwrap();
    for at in 0..cipher.len() {
        let mut cipher = cipher.clone();
        cipher[at] ^= 0x40;
        assert_eq!(session.decrypt(1, &cipher).unwrap_err().class(), Class::Data, "byte {at}");
    }
    assert!(session.decrypt(1, &cipher[..96]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn sm3_equals_the_providers(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..6)) {
        thread_local! {
            static RIG: Rig = Rig::new(&keys(&secrets())).unwrap();
        }
        RIG.with(|rig| {
            let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            assert_eq!(session(rig).sm3(&parts).unwrap(), PureProvider.sm3(&parts));
        });
    }
}
