//! Tests of the SM2 wire formats.
use super::*;
use proptest::prelude::*;

const FORMATS: [CipherFormat; 5] = [
    CipherFormat::Der,
    CipherFormat::Raw { order: CipherOrder::C1c3c2, point: PointForm::Prefixed },
    CipherFormat::Raw { order: CipherOrder::C1c3c2, point: PointForm::Bare },
    CipherFormat::Raw { order: CipherOrder::C1c2c3, point: PointForm::Prefixed },
    CipherFormat::Raw { order: CipherOrder::C1c2c3, point: PointForm::Bare },
];

/// Numbers with up to four leading zero bytes, the case some libraries lose.
fn number() -> impl Strategy<Value = [u8; 32]> {
    (any::<[u8; 32]>(), 0usize..5).prop_map(|(mut bytes, zeros)| {
        bytes[..zeros].fill(0);
        bytes
    })
}

proptest! {
    #[test]
    fn signatures_read_back_as_written(r in number(), s in number()) {
        let signature: [u8; 64] = [r, s].concat().try_into().unwrap();
        for format in [SignatureFormat::Raw, SignatureFormat::Der] {
            prop_assert_eq!(format.read(&format.write(&signature)), Some(signature));
        }
    }

    #[test]
    fn ciphertexts_read_back_as_written(
        x in number(), y in number(), c3 in any::<[u8; 32]>(), c2 in proptest::collection::vec(any::<u8>(), 1..400),
    ) {
        let cipher = [&x[..], &y, &c3, &c2].concat();
        for format in FORMATS {
            prop_assert_eq!(format.read(&format.write(&cipher)), Some(cipher.clone()));
        }
    }

    #[test]
    fn a_cut_or_lengthened_der_is_refused(r in number(), s in number(), cut in 1usize..8, extra in any::<u8>()) {
        let wire = SignatureFormat::Der.write(&[r, s].concat().try_into().unwrap());
        prop_assert_eq!(SignatureFormat::Der.read(&wire[..wire.len() - cut]), None);
        prop_assert_eq!(SignatureFormat::Der.read(&[&wire[..], &[extra]].concat()), None);
    }

    #[test]
    fn reading_any_bytes_never_panics_and_accepts_only_the_canonical_form(
        bytes in proptest::collection::vec(any::<u8>(), 0..160),
    ) {
        if let Some(signature) = SignatureFormat::Der.read(&bytes) {
            prop_assert_eq!(SignatureFormat::Der.write(&signature), bytes.clone());
        }
        for format in FORMATS {
            if let Some(cipher) = format.read(&bytes) {
                prop_assert_eq!(format.write(&cipher), bytes.clone());
            }
        }
    }
}

#[test]
fn refuses_der_that_is_not_minimal() {
    let padded = hex::decode("3008020300000102010a").unwrap();
    let negative = hex::decode("3006020181020101").unwrap();
    let long_length = hex::decode("308106020101020101").unwrap();
    for wire in [padded, negative, long_length] {
        assert_eq!(SignatureFormat::Der.read(&wire), None, "{}", hex::encode(&wire));
    }
}

#[test]
fn a_bare_point_beginning_with_04_is_not_taken_for_a_mark() {
    let cipher = [[4u8; 64].as_slice(), &[1; 32], b"x"].concat();
    let bare = CipherFormat::Raw { order: CipherOrder::C1c3c2, point: PointForm::Bare };
    assert_eq!(bare.read(&bare.write(&cipher)), Some(cipher));
}
