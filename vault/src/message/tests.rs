//! Tests of signed, enveloped and signed-and-enveloped messages.
use super::*;
use crate::{
    certificate::{
        CertificateUse,
        testing::{NOW, Pki},
    },
    format::oid,
    key::KeyKind,
    provider::pure::PureProvider,
};
use proptest::prelude::*;
use std::sync::OnceLock;

mod published;

struct Parties {
    pki: Pki,
    signers: Vec<Signer>,
    owners: Vec<OwnKey>,
    /// Of the owners.
    certificates: Vec<Certificate>,
}

use MessageKind::{Enveloped, Signed, SignedAndEnveloped};

impl Parties {
    fn new() -> Self {
        let pki = Pki::new(KeyKind::Sm2);
        let signers = ["alice", "bob"]
            .map(|name| pki.issue(name, KeyKind::Sm2, CertificateUse::Sign))
            .map(|(key, certificate)| Signer::new(key, &certificate))
            .into();
        let owners = ["carol", "dora"].map(|name| pki.issue(name, KeyKind::Sm2, CertificateUse::Encrypt));
        let certificates = owners.iter().map(|(_, certificate)| certificate.clone()).collect();
        let owners =
            owners.map(|(key, certificate)| OwnKey { key, identity: Identity::of(&certificate) }).into();
        Self { pki, signers, owners, certificates }
    }

    fn seal(&self, kind: MessageKind, content: &[u8], form: &MessageForm) -> Result<Vec<u8>, VaultError> {
        let to = [
            Recipient::Certificate(self.certificates[0].clone()),
            Recipient::Key(self.owners[1].key.clone(), self.owners[1].identity.clone()),
        ];
        let signers = if kind == Enveloped { &[] } else { &self.signers[..] };
        let to = if kind == Signed { &[] } else { &to[..] };
        seal(&PureProvider, kind, content, signers, to, form, NOW)
    }

    fn open_with(
        &self,
        kind: MessageKind,
        message: &[u8],
        detached: Option<&[u8]>,
        owner: usize,
    ) -> Result<Opened, VaultError> {
        let trust = SignerTrust::Chain {
            roots: std::slice::from_ref(&self.pki.root),
            more: &[],
            revocation: Revocation::None,
            now: NOW,
        };
        open(&PureProvider, kind, message, detached, &self.owners[owner..=owner], &trust)
    }
}

fn forms() -> Vec<MessageForm> {
    let plain = MessageForm::default();
    vec![
        plain,
        MessageForm { attributes: true, null_parameters: true, ..plain },
        MessageForm {
            cipher: ContentCipher::CbcBare,
            signature: SignatureOid::Sm2,
            wrap: WrapOid::Sm2,
            ..plain
        },
        MessageForm { cipher: ContentCipher::Ecb, signature: SignatureOid::Sm2WithSm3, ..plain },
        MessageForm { types: TypeOids::Pkcs7, ..plain },
        MessageForm { recipients: RecipientName::SubjectKeyId, wrapped: WrapForm::Raw, ..plain },
    ]
}

#[test]
fn every_kind_and_form_opens_for_every_recipient() {
    let parties = Parties::new();
    for kind in [Signed, Enveloped, SignedAndEnveloped] {
        for form in forms() {
            for length in [0, 1, 15, 16, 1000] {
                let content = vec![7; length];
                let message = parties.seal(kind, &content, &form).unwrap();
                for owner in 0..2 {
                    let opened = parties.open_with(kind, &message, None, owner).unwrap();
                    assert_eq!(*opened.content, content, "{kind:?} {form:?}");
                    assert_eq!(opened.signers.len(), if kind == Enveloped { 0 } else { 2 });
                }
            }
        }
    }
}

#[test]
fn whole_blocks_pass_without_padding_and_others_are_not_sealed() {
    let parties = Parties::new();
    let form = MessageForm { cipher: ContentCipher::EcbBare, ..MessageForm::default() };
    let message = parties.seal(Enveloped, &[7; 64], &form).unwrap();
    assert_eq!(**parties.open_with(Enveloped, &message, None, 0).unwrap().content, [7; 64]);
    for length in [0, 1, 63] {
        assert!(matches!(parties.seal(Enveloped, &vec![7; length], &form), Err(VaultError::Invalid { .. })));
    }
}

#[test]
fn a_detached_signature_holds_for_its_content_only() {
    let parties = Parties::new();
    for attributes in [false, true] {
        let form = MessageForm { detached: true, attributes, ..MessageForm::default() };
        let message = parties.seal(Signed, b"content", &form).unwrap();
        assert!(parties.open_with(Signed, &message, Some(b"content"), 0).is_ok());
        let other = parties.open_with(Signed, &message, Some(b"contend"), 0);
        assert!(matches!(other, Err(VaultError::Refused { .. })));
        assert!(matches!(parties.open_with(Signed, &message, None, 0), Err(VaultError::Malformed { .. })));
    }
    let whole = parties.seal(Signed, b"content", &MessageForm::default()).unwrap();
    let twice = parties.open_with(Signed, &whole, Some(b"content"), 0);
    assert!(matches!(twice, Err(VaultError::Malformed { .. })));
}

#[test]
fn a_partners_key_in_the_vault_is_trusted_without_certificates() {
    let parties = Parties::new();
    let form = MessageForm { certificates: false, ..MessageForm::default() };
    let alice = Signer { id: b"alice@example.cn".to_vec(), ..parties.signers[0].clone() };
    let signers = std::slice::from_ref(&alice);
    let message = seal(&PureProvider, Signed, b"content", signers, &[], &form, NOW).unwrap();
    let verify = |key: &KeyHandle, id: &[u8]| {
        open(&PureProvider, Signed, &message, None, &[], &SignerTrust::Key { key, id })
    };
    assert!(verify(&alice.key, b"alice@example.cn").is_ok());
    assert!(matches!(verify(&alice.key, DEFAULT_SM2_ID), Err(VaultError::Refused { .. })));
    assert!(verify(&parties.signers[1].key, b"alice@example.cn").is_err());
    assert!(parties.open_with(Signed, &message, None, 0).is_err(), "no certificate leads to the root");
}

#[test]
fn strangers_other_keys_and_certificates_not_for_signing_are_refused_alike() {
    let (parties, strangers) = (Parties::new(), Parties::new());
    let message = strangers.seal(SignedAndEnveloped, b"content", &MessageForm::default()).unwrap();
    let texts = [
        parties.open_with(SignedAndEnveloped, &message, None, 0).err().unwrap().to_string(),
        {
            // Addressed to us, signed by a stranger.
            let to = [Recipient::Certificate(parties.certificates[0].clone())];
            let form = MessageForm::default();
            let made =
                seal(&PureProvider, SignedAndEnveloped, b"x", &strangers.signers, &to, &form, NOW).unwrap();
            parties.open_with(SignedAndEnveloped, &made, None, 0).err().unwrap().to_string()
        },
        {
            // Signed with the pair of a certificate that is for encryption only.
            let (key, _) = parties.pki.issue("eve", KeyKind::Sm2, CertificateUse::Sign);
            let public = crate::certificate::PublicKey::of(&key).unwrap();
            let subject = crate::certificate::testing::subject("eve");
            let year = crate::certificate::testing::YEAR;
            let pki = &parties.pki;
            let der = crate::certificate::issue_certificate(
                &pki.key,
                Some(&pki.root),
                &subject,
                &public,
                CertificateUse::Encrypt,
                year,
            )
            .unwrap();
            let eve = Signer::new(key, &Certificate::read(&der).unwrap());
            let form = MessageForm::default();
            let made = seal(&PureProvider, Signed, b"x", &[eve], &[], &form, NOW).unwrap();
            parties.open_with(Signed, &made, None, 0).err().unwrap().to_string()
        },
    ];
    assert!(texts.iter().all(|text| text == "the message was refused"), "{texts:?}");
}

#[test]
fn sealing_says_what_it_cannot_do() {
    let parties = Parties::new();
    let form = MessageForm::default();
    let detached = MessageForm { detached: true, ..form };
    assert!(parties.seal(Enveloped, b"x", &detached).is_err());
    let none = seal(&PureProvider, Signed, b"x", &[], &[], &form, NOW);
    assert!(none.unwrap_err().to_string().contains("1 to 16 signers"));
    let crowd = vec![parties.signers[0].clone(); MAX_PARTIES + 1];
    assert!(seal(&PureProvider, Signed, b"x", &crowd, &[], &form, NOW).is_err());
    let to = vec![Recipient::Certificate(parties.certificates[0].clone()); MAX_PARTIES + 1];
    assert!(seal(&PureProvider, Enveloped, b"x", &[], &to, &form, NOW).is_err());
}

#[test]
fn the_kind_asked_for_is_the_kind_opened() {
    let parties = Parties::new();
    let kinds = [Signed, Enveloped, SignedAndEnveloped];
    for made in kinds {
        let message = parties.seal(made, b"content", &MessageForm::default()).unwrap();
        for asked in kinds.into_iter().filter(|asked| *asked != made) {
            let opened = parties.open_with(asked, &message, None, 0);
            assert!(matches!(opened, Err(VaultError::Malformed { .. })), "{made:?} as {asked:?}");
        }
    }
}

#[test]
fn indefinite_lengths_trailing_bytes_and_long_lengths_are_malformed() {
    let parties = Parties::new();
    let message = parties.seal(Signed, b"content", &MessageForm::default()).unwrap();
    let body = der::read_sequence(&message).unwrap();
    let indefinite = [&[0x30, 0x80], body, &[0, 0]].concat();
    let trailing = [&message[..], &[0]].concat();
    let long = [&[0x30, 0x83, 0, (body.len() >> 8) as u8, body.len() as u8], body].concat();
    let other_type = {
        let mut bytes = message.clone();
        let at = bytes.windows(oid::GM_SIGNED.len()).position(|part| part == oid::GM_SIGNED).unwrap();
        bytes[at + oid::GM_SIGNED.len() - 1] = 9;
        bytes
    };
    for bad in [&indefinite, &trailing, &long, &other_type, &body.to_vec(), &Vec::new()] {
        let opened = parties.open_with(Signed, bad, None, 0);
        assert!(matches!(opened, Err(VaultError::Malformed { .. })));
    }
}

#[test]
fn signed_attributes_cannot_be_passed_off_as_content() {
    let parties = Parties::new();
    let form = MessageForm { attributes: true, certificates: false, ..MessageForm::default() };
    let alice = &parties.signers[..1];
    let message = seal(&PureProvider, Signed, b"x", alice, &[], &form, NOW).unwrap();
    let data = signed::SignedData::read(open::body(Signed, &message).unwrap()).unwrap();
    let set = der::wrap(der::SET, &[data.signers[0].attributes.unwrap()]);
    // The same signature over the same bytes, once as attributes and once as content.
    let own = &alice[0].key;
    own.verify(&set, DEFAULT_SM2_ID, data.signers[0].signature, crate::SignatureFormat::Der).unwrap();
    let plain = MessageForm { attributes: false, ..form };
    let forged = seal(&PureProvider, Signed, &set, alice, &[], &plain, NOW).unwrap();
    let trust = SignerTrust::Key { key: own, id: DEFAULT_SM2_ID };
    let opened = open(&PureProvider, Signed, &forged, None, &[], &trust);
    assert!(matches!(opened, Err(VaultError::Refused { .. })));
}

#[test]
fn any_flipped_byte_of_signed_data_is_refused() {
    let parties = Parties::new();
    let form = MessageForm { attributes: true, ..MessageForm::default() };
    for (kind, form) in [(Signed, form), (SignedAndEnveloped, MessageForm::default())] {
        let message = parties.seal(kind, b"the content that counts", &form).unwrap();
        for at in 0..message.len() {
            let mut bad = message.clone();
            bad[at] ^= 1;
            if let Ok(opened) = parties.open_with(kind, &bad, None, 0) {
                // What does not bear on the content may differ: a name of an algorithm, the other recipient's part.
                assert_eq!(**opened.content, *b"the content that counts", "byte {at}");
                assert_eq!(opened.signers.len(), 2);
            }
        }
    }
}

proptest! {
    #[test]
    fn mutated_messages_never_panic_nor_change_their_content(
        changes in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..4),
        keep in any::<u16>(),
        which in 0usize..2,
    ) {
        static MADE: OnceLock<(Parties, [Vec<u8>; 2])> = OnceLock::new();
        let (parties, messages) = MADE.get_or_init(|| {
            let parties = Parties::new();
            let form = MessageForm::default();
            let messages = [Signed, SignedAndEnveloped].map(|kind| parties.seal(kind, b"content", &form).unwrap());
            (parties, messages)
        });
        let mut bytes = messages[which].clone();
        for (at, value) in changes {
            let at = usize::from(at) % bytes.len();
            bytes[at] = value;
        }
        bytes.truncate(usize::from(keep) % (bytes.len() * 2));
        let kind = [Signed, SignedAndEnveloped][which];
        if let Ok(opened) = parties.open_with(kind, &bytes, None, 0) {
            prop_assert_eq!(&**opened.content, b"content");
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        static MADE: OnceLock<Parties> = OnceLock::new();
        let parties = MADE.get_or_init(Parties::new);
        for kind in [Signed, Enveloped, SignedAndEnveloped] {
            prop_assert!(parties.open_with(kind, &bytes, None, 0).is_err());
        }
    }
}
