//! Tests of time stamps against the authority of our own.
use super::*;
use crate::{
    certificate::{
        CertificateUse,
        testing::{NOW, Pki, YEAR},
    },
    key::KeyKind,
    provider::pure::PureProvider,
    revocation::{Missing, RevocationList, RevokedEntry, issue_list},
};
use proptest::prelude::*;
use std::{
    collections::HashSet,
    sync::{Arc, OnceLock},
};

const POLICY: &str = "1.2.156.3088.1";

struct Setup {
    pki: Pki,
    certificate: Certificate,
    authority: TimeStampAuthority,
}

fn setup(kind: KeyKind) -> Setup {
    let pki = Pki::new(kind);
    let (key, certificate) = pki.issue("tsa", kind, CertificateUse::TimeStamping);
    let clock: AuthorityClock = Arc::new(|| NOW * 1000 + 250);
    let authority = TimeStampAuthority::new(key, certificate.clone(), POLICY, clock).unwrap();
    Setup { pki, certificate, authority }
}

impl Setup {
    fn trust(&self) -> StampTrust<'_> {
        let roots = std::slice::from_ref(&self.pki.root);
        StampTrust { roots, more: &[], revocation: Revocation::None, policies: &[] }
    }

    fn read(&self, query: &TimeStampQuery, answer: &[u8]) -> Result<TimeStamp, TimeStampError> {
        query.read_answer(&PureProvider, answer, &self.trust(), NOW, 5)
    }
}

fn query(data: &[u8], request: &StampRequest) -> TimeStampQuery {
    TimeStampQuery::new(&PureProvider, data, request).unwrap()
}

#[test]
fn a_stamp_holds_at_once_and_later_from_its_token() {
    for (kind, hash) in
        [(KeyKind::Sm2, StampHash::Sm3), (KeyKind::Sm2, StampHash::Sha256), (KeyKind::P256, StampHash::Sm3)]
    {
        let setup = setup(kind);
        let query = query(b"data", &StampRequest { hash, policy: Some(POLICY.into()), certificate: true });
        let stamp = setup.read(&query, &setup.authority.answer(query.der())).unwrap();
        assert_eq!((stamp.time, stamp.accuracy), (NOW * 1000 + 250, None));
        let kept = verify_token(&PureProvider, &stamp.token, b"data", hash, &setup.trust()).unwrap();
        assert_eq!(kept, stamp);
        let other = verify_token(&PureProvider, &stamp.token, b"date", hash, &setup.trust());
        assert_eq!(other, Err(TimeStampError::Imprint));
    }
}

#[test]
fn a_token_without_certificate_needs_one_given() {
    let setup = setup(KeyKind::Sm2);
    let query = query(b"data", &StampRequest { certificate: false, ..StampRequest::default() });
    let answer = setup.authority.answer(query.der());
    let missing = TimeStampError::Certificate(CertificateError::Untrusted);
    assert_eq!(setup.read(&query, &answer), Err(missing));
    let trust = StampTrust { more: std::slice::from_ref(&setup.certificate), ..setup.trust() };
    assert!(query.read_answer(&PureProvider, &answer, &trust, NOW, 5).is_ok());
}

#[test]
fn refuses_replays_other_policies_wrong_times_and_strangers() {
    let setup = setup(KeyKind::Sm2);
    let request = StampRequest::default();
    let (first, second) = (query(b"data", &request), query(b"data", &request));
    let answer = setup.authority.answer(first.der());
    assert_eq!(setup.read(&second, &answer), Err(TimeStampError::Nonce));
    let late = first.read_answer(&PureProvider, &answer, &setup.trust(), NOW + 6, 5);
    assert_eq!(late, Err(TimeStampError::OutOfTime));
    let policies = ["1.2.3".to_owned()];
    let strict = StampTrust { policies: &policies, ..setup.trust() };
    assert_eq!(first.read_answer(&PureProvider, &answer, &strict, NOW, 5), Err(TimeStampError::Policy));
    let foreign = self::setup(KeyKind::Sm2).authority.answer(first.der());
    let signature = TimeStampError::Certificate(CertificateError::Signature);
    assert_eq!(setup.read(&first, &foreign), Err(signature));
    let expired = StampTrust { roots: &[], ..setup.trust() };
    let untrusted = TimeStampError::Certificate(CertificateError::Untrusted);
    assert_eq!(first.read_answer(&PureProvider, &answer, &expired, NOW, 5), Err(untrusted));
}

#[test]
fn a_certificate_for_anything_else_stamps_nothing() {
    let pki = Pki::new(KeyKind::Sm2);
    let (key, certificate) = pki.issue("signer", KeyKind::Sm2, CertificateUse::Sign);
    let clock: AuthorityClock = Arc::new(|| NOW * 1000);
    let made = TimeStampAuthority::new(key, certificate, POLICY, clock.clone());
    assert!(made.err().unwrap().to_string().contains("not for this use"));
    let (key, _) = pki.issue("one", KeyKind::Sm2, CertificateUse::TimeStamping);
    let (_, other) = pki.issue("two", KeyKind::Sm2, CertificateUse::TimeStamping);
    let made = TimeStampAuthority::new(key, other, POLICY, clock);
    assert!(made.err().unwrap().to_string().contains("another key"));
}

#[test]
fn a_revoked_authoritys_stamp_is_refused() {
    let setup = setup(KeyKind::Sm2);
    let entry = RevokedEntry { serial: setup.certificate.serial.clone(), at: NOW - 9, reason: Some(1) };
    let made = issue_list(&setup.pki.key, &setup.pki.root, 1, YEAR, &[entry]).unwrap();
    let roots = std::slice::from_ref(&setup.pki.root);
    let lists = [RevocationList::read(&PureProvider, &made, roots).unwrap()];
    let query = query(b"data", &StampRequest::default());
    let answer = setup.authority.answer(query.der());
    let revocation = Revocation::Lists { lists: &lists, missing: Missing::Refuse };
    let trust = StampTrust { revocation, ..setup.trust() };
    let refused = query.read_answer(&PureProvider, &answer, &trust, NOW, 5);
    assert_eq!(refused, Err(TimeStampError::Certificate(CertificateError::Revoked)));
}

#[test]
fn the_authority_says_why_it_refuses() {
    let setup = setup(KeyKind::Sm2);
    let rejected = |failure| Err(TimeStampError::Rejected { status: 2, failure: Some(failure) });
    let query = query(b"data", &StampRequest { policy: Some("1.2.3.4".into()), ..StampRequest::default() });
    assert_eq!(setup.read(&query, &setup.authority.answer(query.der())), rejected(15));
    assert_eq!(setup.read(&query, &setup.authority.answer(b"junk")), rejected(5));
    assert_eq!(setup.read(&query, &setup.authority.answer(&vec![0; 5000])), rejected(5));
    let mut unknown = query.der().to_vec();
    let at = unknown.windows(oid::SM3.len()).position(|part| part == oid::SM3).unwrap();
    unknown[at + 1] ^= 1;
    assert_eq!(setup.read(&query, &setup.authority.answer(&unknown)), rejected(0));
    assert_eq!(setup.read(&query, b"junk"), Err(TimeStampError::Malformed));
    assert!(
        TimeStampQuery::new(
            &PureProvider,
            b"",
            &StampRequest { policy: Some("x".into()), ..StampRequest::default() }
        )
        .is_err()
    );
}

#[test]
fn serial_numbers_are_unique() {
    let setup = setup(KeyKind::Sm2);
    let query = query(b"data", &StampRequest::default());
    let serials: HashSet<_> =
        (0..50).map(|_| setup.read(&query, &setup.authority.answer(query.der())).unwrap().serial).collect();
    assert_eq!(serials.len(), 50);
    assert!(serials.iter().all(|serial| serial.len() == 20));
}

#[test]
fn any_flipped_byte_of_an_answer_is_refused() {
    let setup = setup(KeyKind::Sm2);
    let query = query(b"data", &StampRequest::default());
    let answer = setup.authority.answer(query.der());
    for at in 0..answer.len() {
        let mut bad = answer.clone();
        bad[at] ^= 1;
        // Names of algorithms that the signature does not cover may differ; the time and the data may not.
        if let Ok(stamp) = setup.read(&query, &bad) {
            assert_eq!(stamp.time, NOW * 1000 + 250, "byte {at}");
        }
    }
    assert_eq!(setup.read(&query, &[&answer[..], &[0]].concat()), Err(TimeStampError::Malformed));
}

#[test]
fn times_with_fractions_read_as_they_are_written() {
    for millis in [0, 1, 10, 250, 500, 999, NOW * 1000 + 7] {
        let written = token::write_time(millis);
        let mut rest = &written[..];
        let content = der::take(&mut rest, crate::certificate::time::GENERALIZED_TIME).unwrap();
        assert_eq!(token::milliseconds(content), Some(millis));
    }
    for bad in
        ["20260101000000", "20260101000000.Z", "20260101000000.50Z", "2026010100000Z", "20260101000000.5xZ"]
    {
        assert_eq!(token::milliseconds(bad.as_bytes()), None, "{bad}");
    }
}

proptest! {
    #[test]
    fn mutated_answers_and_requests_never_panic(
        changes in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..4),
        keep in any::<u16>(),
    ) {
        static MADE: OnceLock<(Setup, TimeStampQuery, Vec<u8>)> = OnceLock::new();
        let (setup, query, answer) = MADE.get_or_init(|| {
            let setup = setup(KeyKind::Sm2);
            let query = query(b"data", &StampRequest::default());
            let answer = setup.authority.answer(query.der());
            (setup, query, answer)
        });
        let mutate = |whole: &[u8]| {
            let mut bytes = whole.to_vec();
            for (at, value) in &changes {
                let at = usize::from(*at) % bytes.len();
                bytes[at] = *value;
            }
            bytes.truncate(usize::from(keep) % (bytes.len() * 2));
            bytes
        };
        if let Ok(stamp) = setup.read(query, &mutate(answer)) {
            prop_assert_eq!(stamp.time, NOW * 1000 + 250);
        }
        setup.authority.answer(&mutate(query.der()));
    }
}
