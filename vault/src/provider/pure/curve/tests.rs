//! SM2 against the standard's examples and against RustCrypto's own implementation.
use super::*;
use crate::provider::{DEFAULT_SM2_ID, pure::PureProvider, sm2_z};
use proptest::prelude::*;
use sm2::{
    SecretKey,
    dsa::{
        Signature, SigningKey, VerifyingKey,
        signature::{Signer, Verifier},
    },
    pke::{DecryptingKey, EncryptingKey},
};

fn array<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

/// The key of the examples in GB/T 32918.5 annexes A and C.
fn standard_key() -> Secret {
    Secret::new(&array("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8")).unwrap()
}

fn standard_k() -> Scalar {
    let k: [u8; 32] = array("59276e27d506861a16680f3ad9c02dccef3cc1fa3cdbe4ce6d54b80deac1bc21");
    Scalar::from_repr(k.into()).unwrap()
}

fn digest_of(point: &[u8; 64], id: &[u8], message: &[u8]) -> [u8; 32] {
    let z = sm2_z(&PureProvider, point, id).unwrap();
    Sm3::new().chain_update(z).chain_update(message).finalize().into()
}

#[test]
fn signs_the_example_of_gb_t_32918_5_annex_a() {
    let key = standard_key();
    assert_eq!(
        hex::encode(key.point()),
        "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020\
         ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
    );
    let z = sm2_z(&PureProvider, &key.point(), DEFAULT_SM2_ID).unwrap();
    assert_eq!(hex::encode(z), "b2e14c5c79c6df5b85f4fe7ed8db7a262b9da7e07ccb0ea9f4747b8ccda8a4f3");
    let e = digest_of(&key.point(), DEFAULT_SM2_ID, b"message digest");
    assert_eq!(hex::encode(e), "f0b43e94ba45accaace692ed534382eb17e6ab5a19ce7b31f4486fdfc0d28640");
    let signature = key.sign_with(&Scalar::from_repr(e.into()).unwrap(), &standard_k()).unwrap();
    assert_eq!(
        hex::encode(signature),
        "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3\
         b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
    );
    Public::new(&key.point()).unwrap().verify_digest(&e, &signature).unwrap();
}

#[test]
fn encrypts_the_example_of_gb_t_32918_5_annex_c() {
    let key = standard_key();
    let cipher =
        Public::new(&key.point()).unwrap().encrypt_with(b"encryption standard", &standard_k()).unwrap();
    assert_eq!(
        hex::encode(&cipher),
        "04ebfc718e8d1798620432268e77feb6415e2ede0e073c0f4f640ecd2e149a73\
         e858f9d81e5430a57b36daab8f950a3c64e6ee6a63094d99283aff767e124df0\
         59983c18f809e262923c53aec295d30383b54e39d609d160afcb1908d0bd8766\
         21886ca989ca9c7d58087307ca93092d651efa"
    );
    assert_eq!(&**key.decrypt(&cipher).unwrap(), b"encryption standard");
}

#[test]
fn refuses_secrets_outside_1_to_n_minus_2() {
    let n_minus_1 = "fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54122";
    let n = "fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123";
    for bad in ["00".repeat(32).as_str(), n_minus_1, n, "ff".repeat(32).as_str()] {
        assert!(matches!(Secret::new(&array(bad)), Err(CryptoError::Invalid(_))), "{bad}");
    }
}

#[test]
fn refuses_points_off_the_curve_and_the_null_point() {
    let mut point = standard_key().point();
    point[63] ^= 1;
    for bad in [point, [0; 64], [0xff; 64]] {
        assert!(Public::new(&bad).is_err());
    }
}

#[test]
fn refuses_zero_and_out_of_range_signature_halves() {
    let key = standard_key();
    let (public, e) = (Public::new(&key.point()).unwrap(), [9; 32]);
    let good = key.sign_digest(&e).unwrap();
    let n: [u8; 32] = array("fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123");
    for half in [0, 32] {
        for value in [[0; 32], n, [0xff; 32]] {
            let mut bad = good;
            bad[half..half + 32].copy_from_slice(&value);
            assert_eq!(public.verify_digest(&e, &bad), Err(CryptoError::Refused));
        }
    }
}

#[test]
fn refuses_a_signature_built_to_land_on_infinity() {
    // r = e and s = -r·d/(1+d) make [s]G + [r+s]P the null point.
    let key = standard_key();
    let e = [7; 32];
    let r = <Scalar as Reduce<FieldBytes>>::reduce(&FieldBytes::from(e));
    let s = -(r * key.scalar) * key.inverse;
    let forged: [u8; 64] = [r.to_repr(), s.to_repr()].concat().try_into().unwrap();
    assert_eq!(Public::new(&key.point()).unwrap().verify_digest(&e, &forged), Err(CryptoError::Refused));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn signatures_interoperate_with_rustcrypto(message in proptest::collection::vec(any::<u8>(), 0..300)) {
        let scalar = generate().unwrap();
        let (ours, id) = (Secret::new(&scalar).unwrap(), "1234567812345678");
        let theirs = SigningKey::from_slice(id, &*scalar).unwrap();
        let e = digest_of(&ours.point(), id.as_bytes(), &message);
        let signature = Signature::from_slice(&ours.sign_digest(&e).unwrap()).unwrap();
        let verifier: &VerifyingKey = theirs.verifying_key();
        prop_assert!(verifier.verify(&message, &signature).is_ok());
        let signed: Signature = theirs.sign(&message);
        let public = Public::new(&ours.point()).unwrap();
        let wire: [u8; 64] = signed.to_bytes().into();
        prop_assert_eq!(public.verify_digest(&e, &wire), Ok(()));
    }

    #[test]
    fn ciphertexts_interoperate_with_rustcrypto(message in proptest::collection::vec(any::<u8>(), 1..600)) {
        let scalar = generate().unwrap();
        let ours = Secret::new(&scalar).unwrap();
        let theirs = DecryptingKey::new(SecretKey::from_slice(&*scalar).unwrap());
        let cipher = Public::new(&ours.point()).unwrap().encrypt(&message).unwrap();
        prop_assert_eq!(theirs.decrypt(&[&[4], &cipher[..]].concat()).unwrap(), message.clone());
        let encrypting: &EncryptingKey = theirs.encrypting_key();
        let sealed = encrypting.encrypt(&mut SysRng, &message).unwrap();
        prop_assert_eq!(&*ours.decrypt(&sealed[1..]).unwrap(), &message);
    }

    #[test]
    fn any_flipped_ciphertext_bit_is_refused(message in proptest::collection::vec(any::<u8>(), 1..40), at in any::<prop::sample::Index>(), bit in 0..8) {
        let key = standard_key();
        let mut cipher = Public::new(&key.point()).unwrap().encrypt(&message).unwrap();
        let at = at.index(cipher.len());
        cipher[at] ^= 1u8 << bit;
        prop_assert!(matches!(key.decrypt(&cipher), Err(CryptoError::Refused)));
    }
}

#[test]
fn an_empty_message_is_invalid_to_encrypt_and_refused_to_decrypt() {
    let key = standard_key();
    let public = Public::new(&key.point()).unwrap();
    assert!(matches!(public.encrypt(b""), Err(CryptoError::Invalid(_))));
    let cipher = public.encrypt(b"x").unwrap();
    assert!(matches!(key.decrypt(&cipher[..96]), Err(CryptoError::Refused)));
}
