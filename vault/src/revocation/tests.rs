//! Tests of revocation lists and OCSP answers with an authority of our own.
use super::*;
use crate::{
    certificate::{
        CertificateUse, Validity,
        testing::{NOW, Pki, YEAR},
        verify_chain_with,
    },
    key::KeyKind,
    provider::pure::PureProvider,
    vault::KeyHandle,
};
use proptest::prelude::*;
use std::sync::OnceLock;

const WEEK: Validity = Validity { not_before: NOW - 3600, not_after: NOW + 604_800 };

fn setup(kind: KeyKind) -> (Pki, Certificate, Certificate) {
    let pki = Pki::new(kind);
    let (_, good) = pki.issue("good", kind, CertificateUse::Sign);
    let (_, bad) = pki.issue("bad", kind, CertificateUse::Sign);
    (pki, good, bad)
}

fn entry(certificate: &Certificate) -> RevokedEntry {
    RevokedEntry { serial: certificate.serial.clone(), at: NOW - 60, reason: Some(1) }
}

fn read(bytes: &[u8], issuer: &Certificate) -> Result<RevocationList, RevocationError> {
    RevocationList::read(&PureProvider, bytes, std::slice::from_ref(issuer))
}

fn follow(
    pki: &Pki,
    leaf: &Certificate,
    revocation: &Revocation<'_>,
    now: i64,
) -> Result<(), CertificateError> {
    let (chain, roots) = ([leaf.clone()], [pki.root.clone()]);
    verify_chain_with(&PureProvider, &chain, &roots, now, revocation).map(|_| ())
}

#[test]
fn a_list_refuses_what_it_names_and_passes_the_rest() {
    for kind in [KeyKind::Sm2, KeyKind::P256] {
        let (pki, good, bad) = setup(kind);
        let made = issue_list(&pki.key, &pki.root, 7, WEEK, &[entry(&bad)]).unwrap();
        let lists = [read(&made, &pki.root).unwrap()];
        assert_eq!(lists[0].len(), 1);
        let hard = Revocation::Lists { lists: &lists, missing: Missing::Refuse };
        assert_eq!(follow(&pki, &good, &hard, NOW), Ok(()));
        assert_eq!(follow(&pki, &bad, &hard, NOW), Err(CertificateError::Revoked));
        let revoked = Status::Revoked { at: NOW - 60, reason: Some(1) };
        assert_eq!(lists[0].status(&bad, &pki.root, NOW), revoked);
        assert_eq!(
            lists[0].status(&bad, &pki.root, WEEK.not_after + 9999),
            revoked,
            "revocation does not end"
        );
    }
}

#[test]
fn without_a_list_in_force_hard_refuses_and_soft_passes() {
    let (pki, good, _) = setup(KeyKind::Sm2);
    let made = issue_list(&pki.key, &pki.root, 1, WEEK, &[]).unwrap();
    let lists = [read(&made, &pki.root).unwrap()];
    assert!(lists[0].is_empty());
    for (now, lists) in [
        (WEEK.not_after + CLOCK_SKEW + 1, &lists[..]),
        (WEEK.not_before - CLOCK_SKEW - 1, &lists[..]),
        (NOW, &[]),
    ] {
        let hard = Revocation::Lists { lists, missing: Missing::Refuse };
        assert_eq!(follow(&pki, &good, &hard, now), Err(CertificateError::RevocationUnknown));
        let soft = Revocation::Lists { lists, missing: Missing::Accept };
        assert_eq!(follow(&pki, &good, &soft, now), Ok(()));
    }
    assert_eq!(follow(&pki, &good, &Revocation::None, NOW), Ok(()));
}

#[test]
fn a_list_of_another_authority_says_nothing() {
    let ((pki, good, _), (other, ..)) = (setup(KeyKind::Sm2), setup(KeyKind::Sm2));
    let made = issue_list(&other.key, &other.root, 1, WEEK, &[]).unwrap();
    assert_eq!(read(&made, &pki.root).err(), Some(RevocationError::Signature), "same name, other key");
    let foreign = read(&made, &other.root).unwrap();
    assert_eq!(foreign.status(&good, &pki.root, NOW), Status::Unknown);
    let (_, leaf) = pki.issue("leaf", KeyKind::Sm2, CertificateUse::Sign);
    let made = issue_list(&pki.key, &pki.root, 1, WEEK, &[]).unwrap();
    assert_eq!(read(&made, &leaf).err(), Some(RevocationError::Issuer));
}

struct Ocsp {
    pki: Pki,
    good: Certificate,
    bad: Certificate,
    responder: (KeyHandle, Certificate),
}

impl Ocsp {
    fn new() -> Self {
        let (pki, good, bad) = setup(KeyKind::Sm2);
        let responder = pki.issue("responder", KeyKind::Sm2, CertificateUse::OcspSigning);
        Self { pki, good, bad, responder }
    }

    fn query(&self, of: &Certificate, hash: CertIdHash, nonce: bool) -> OcspQuery {
        OcspQuery::new(&PureProvider, of, &self.pki.root, hash, nonce).unwrap()
    }

    fn answer(&self, query: &OcspQuery, by: Option<&(KeyHandle, Certificate)>) -> Vec<u8> {
        let key = by.map_or(&self.pki.key, |(key, _)| key);
        let status = |serial: &[u8]| match () {
            () if serial == self.bad.serial => Status::Revoked { at: NOW - 60, reason: Some(4) },
            () if serial == self.good.serial => Status::Good,
            () => Status::Unknown,
        };
        let certificate = by.map(|(_, certificate)| certificate);
        issue_ocsp_answer(key, &self.pki.root, certificate, query.der(), WEEK, status).unwrap()
    }

    fn read(&self, query: &OcspQuery, bytes: &[u8], now: i64) -> Result<OcspAnswer, RevocationError> {
        query.read_answer(&PureProvider, bytes, &self.pki.root, now)
    }
}

#[test]
fn ocsp_tells_good_revoked_and_unknown_by_issuer_or_delegate() {
    let ocsp = Ocsp::new();
    for hash in [CertIdHash::Sm3, CertIdHash::Sha1, CertIdHash::Sha256] {
        for by in [None, Some(&ocsp.responder)] {
            for nonce in [true, false] {
                let ask = |of| {
                    let query = ocsp.query(of, hash, nonce);
                    ocsp.read(&query, &ocsp.answer(&query, by), NOW).unwrap()
                };
                let answers = [ask(&ocsp.good), ask(&ocsp.bad), ask(&ocsp.responder.1)];
                assert_eq!(answers[0].status, Status::Good);
                assert_eq!(answers[1].status, Status::Revoked { at: NOW - 60, reason: Some(4) });
                assert_eq!(answers[2].status, Status::Unknown);
                let hard = Revocation::Ocsp { answers: &answers, missing: Missing::Refuse };
                let check = |of| follow(&ocsp.pki, of, &hard, NOW);
                assert_eq!(check(&ocsp.good), Ok(()));
                assert_eq!(check(&ocsp.bad), Err(CertificateError::Revoked));
                assert_eq!(check(&ocsp.responder.1), Err(CertificateError::RevocationUnknown));
            }
        }
    }
}

#[test]
fn refuses_ocsp_answers_that_are_replayed_late_foreign_or_unauthorised() {
    let ocsp = Ocsp::new();
    let (first, second) =
        (ocsp.query(&ocsp.good, CertIdHash::Sm3, true), ocsp.query(&ocsp.good, CertIdHash::Sm3, true));
    let answer = ocsp.answer(&first, None);
    assert!(ocsp.read(&first, &answer, NOW).is_ok());
    assert_eq!(ocsp.read(&second, &answer, NOW).err(), Some(RevocationError::Nonce));
    let late = ocsp.read(&first, &answer, WEEK.not_after + CLOCK_SKEW + 1);
    assert_eq!(late.err(), Some(RevocationError::OutOfTime));
    let about_bad = ocsp.query(&ocsp.bad, CertIdHash::Sm3, false);
    let plain = ocsp.answer(&ocsp.query(&ocsp.good, CertIdHash::Sm3, false), None);
    assert_eq!(ocsp.read(&about_bad, &plain, NOW).err(), Some(RevocationError::OtherCertificate));
    let signer = ocsp.pki.issue("signer", KeyKind::Sm2, CertificateUse::Sign);
    let unauthorised = ocsp.answer(&first, Some(&signer));
    assert_eq!(ocsp.read(&first, &unauthorised, NOW).err(), Some(RevocationError::Responder));
    let stranger = Ocsp::new();
    let foreign = stranger.answer(&first, None);
    assert_eq!(ocsp.read(&first, &foreign, NOW).err(), Some(RevocationError::Signature));
    assert_eq!(ocsp.read(&first, &[0x30, 3, 10, 1, 6], NOW).err(), Some(RevocationError::Failed(6)));
}

#[test]
fn any_flipped_byte_of_a_list_or_an_answer_is_refused() {
    let ocsp = Ocsp::new();
    let list = issue_list(&ocsp.pki.key, &ocsp.pki.root, 1, WEEK, &[entry(&ocsp.bad)]).unwrap();
    for at in 0..list.len() {
        let mut bad = list.clone();
        bad[at] ^= 1;
        assert!(read(&bad, &ocsp.pki.root).is_err(), "list byte {at}");
    }
    let query = ocsp.query(&ocsp.good, CertIdHash::Sm3, true);
    let answer = ocsp.answer(&query, None);
    for at in 0..answer.len() {
        let mut bad = answer.clone();
        bad[at] ^= 1;
        assert!(ocsp.read(&query, &bad, NOW).is_err(), "answer byte {at}");
    }
    for tail in [&[0][..], &[5, 0]] {
        assert!(read(&[&list, tail].concat(), &ocsp.pki.root).is_err());
        assert!(ocsp.read(&query, &[&answer, tail].concat(), NOW).is_err());
    }
}

proptest! {
    #[test]
    fn mutated_lists_and_answers_never_panic(cuts in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..4), keep in any::<u16>()) {
        static MADE: OnceLock<(Ocsp, OcspQuery, Vec<u8>, Vec<u8>)> = OnceLock::new();
        let (ocsp, query, list, answer) = MADE.get_or_init(|| {
            let ocsp = Ocsp::new();
            let query = ocsp.query(&ocsp.good, CertIdHash::Sha1, true);
            let list = issue_list(&ocsp.pki.key, &ocsp.pki.root, 1, YEAR, &[entry(&ocsp.bad)]).unwrap();
            let answer = ocsp.answer(&query, Some(&ocsp.responder));
            (ocsp, query, list, answer)
        });
        for whole in [list, answer] {
            let mut bytes = whole.clone();
            for (at, value) in &cuts {
                let at = usize::from(*at) % bytes.len();
                bytes[at] = *value;
            }
            bytes.truncate(usize::from(keep) % (bytes.len() * 2));
            // A changed certificate in an answer the issuer itself could have signed is not used; so equality, not error.
            if bytes != *whole {
                prop_assert!(read(&bytes, &ocsp.pki.root).is_err());
                prop_assert!(ocsp.read(query, &bytes, NOW).is_err());
            }
        }
    }
}
