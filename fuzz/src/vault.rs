//! The vault's parsers: certificates and what depends on them, keys, envelopes, stored values.
use qiao_vault::{
    CipherFormat, CipherOrder, DEFAULT_SM2_ID, Envelope, KeyHandle, Mask, Params, PointForm, ProtectedField,
    PureProvider, Side, SignatureFormat, VaultError,
    certificate::Certificate,
    integrity::SignedManifest,
    key_text,
    message::{self, Identity, MessageKind, OwnKey, SignerTrust},
    revocation::{CertIdHash, OcspQuery, Revocation, RevocationList},
    timestamp::{StampHash, StampRequest, StampTrust, TimeStampAuthority, TimeStampQuery, verify_token},
};
use std::sync::{Arc, LazyLock};

pub mod fixtures;

use fixtures::{NOW, certified, key};

pub fn certificate(bytes: &[u8]) {
    if let Ok(read) = Certificate::read(bytes) {
        let again = Certificate::read(read.der()).unwrap();
        assert_eq!(again.der(), read.der());
        assert_eq!(again.may_sign(), read.may_sign());
    }
}

pub fn revocation_list(bytes: &[u8]) {
    let (root, leaf) = (certified("root"), certified("signer"));
    if let Ok(list) = RevocationList::read(&PureProvider, bytes, std::slice::from_ref(&root)) {
        let _status = list.status(&leaf, &root, NOW);
        let _length = list.len();
    }
}

pub fn ocsp_answer(bytes: &[u8]) {
    static QUERY: LazyLock<(OcspQuery, Certificate)> = LazyLock::new(|| {
        let root = certified("root");
        let query = OcspQuery::new(&PureProvider, &certified("signer"), &root, CertIdHash::Sm3, false);
        (query.unwrap(), root)
    });
    let _answer = QUERY.0.read_answer(&PureProvider, bytes, &QUERY.1, NOW);
}

pub fn time_stamp_query(bytes: &[u8]) {
    static AUTHORITY: LazyLock<TimeStampAuthority> = LazyLock::new(|| {
        let clock = Arc::new(|| NOW * 1000);
        TimeStampAuthority::new(key("tsa"), certified("tsa"), "1.2.3", clock).unwrap()
    });
    let answer = AUTHORITY.answer(bytes);
    assert_eq!(answer.first(), Some(&0x30), "an answer is a SEQUENCE, whatever was asked");
}

/// As an answer to a question of this process and as a token that was kept.
pub fn time_stamp_answer(bytes: &[u8]) {
    static QUERY: LazyLock<(TimeStampQuery, [Certificate; 1])> = LazyLock::new(|| {
        let query = TimeStampQuery::new(&PureProvider, b"stamped", &StampRequest::default()).unwrap();
        (query, [certified("root")])
    });
    let trust = StampTrust { roots: &QUERY.1, more: &[], revocation: Revocation::None, policies: &[] };
    let _answer = QUERY.0.read_answer(&PureProvider, bytes, &trust, NOW, 60);
    let _stamp = verify_token(&PureProvider, bytes, b"stamped", StampHash::Sm3, &trust);
}

/// The first byte chooses the kind and whose signatures count.
pub fn message(bytes: &[u8]) {
    static KEYS: LazyLock<([OwnKey; 1], KeyHandle, [Certificate; 1])> = LazyLock::new(|| {
        let receiver = OwnKey { key: key("receiver"), identity: Identity::of(&certified("receiver")) };
        ([receiver], key("signer"), [certified("root")])
    });
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let kind = [MessageKind::Signed, MessageKind::Enveloped, MessageKind::SignedAndEnveloped]
        [usize::from(choice % 3)];
    let (keys, signer, roots) = &*KEYS;
    let trust = match choice & 0x80 {
        0 => SignerTrust::Chain { roots, more: &[], revocation: Revocation::None, now: NOW },
        _ => SignerTrust::Key { key: signer, id: DEFAULT_SM2_ID },
    };
    let detached = (choice & 0x40 != 0).then_some(&b"detached"[..]);
    let _opened = message::open(&PureProvider, kind, bytes, detached, keys, &trust);
}

pub fn key_text(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _secret = key_text::read_sm2_secret(text);
    let _secret = key_text::read_pem_secret(text);
    let _public = key_text::read_pem_public(text);
    if let Ok(public) = key_text::read_sm2_public(text) {
        let point: [u8; 65] = [&[4], &public[..]].concat().try_into().unwrap();
        let pem = key_text::write_sm2_public_pem(&point).unwrap();
        assert_eq!(key_text::read_sm2_public(&pem).unwrap(), public);
    }
}

/// A format has one form for each value: what was read is written as it was.
pub fn signature(bytes: &[u8]) {
    for format in [SignatureFormat::Raw, SignatureFormat::Der] {
        if let Some(read) = format.read(bytes) {
            assert_eq!(format.write(&read), bytes, "{format:?}");
        }
    }
}

/// As [`signature`]; and what a key makes of it is content or the one refusal.
pub fn cipher(bytes: &[u8]) {
    static KEY: LazyLock<KeyHandle> = LazyLock::new(|| key("receiver"));
    let raw = |order, point| CipherFormat::Raw { order, point };
    let formats = [
        raw(CipherOrder::C1c3c2, PointForm::Prefixed),
        raw(CipherOrder::C1c2c3, PointForm::Prefixed),
        raw(CipherOrder::C1c3c2, PointForm::Bare),
        raw(CipherOrder::C1c2c3, PointForm::Bare),
        CipherFormat::Der,
    ];
    for format in formats {
        if let Some(read) = format.read(bytes) {
            assert_eq!(format.write(&read), bytes, "{format:?}");
        }
    }
    match KEY.decrypt(bytes, CipherFormat::Der) {
        Ok(_) | Err(VaultError::Refused { .. }) => {}
        Err(other) => panic!("{other}"),
    }
}

/// The first byte chooses the partner's form and the side that opens; the rest is the JSON on the wire.
pub fn envelope(bytes: &[u8]) {
    static FORMS: LazyLock<Vec<[Envelope; 2]>> = LazyLock::new(|| {
        let compile = |spec: &_, side| Envelope::compile(spec, fixtures::vault(), side).unwrap();
        let both = |spec| [Side::Bus, Side::Partner].map(|side| compile(spec, side));
        fixtures::envelopes().iter().map(both).collect()
    });
    static PARAMS: LazyLock<Params> = LazyLock::new(fixtures::params);
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let Ok(wire) = serde_json::from_slice(bytes) else { return };
    let form = &FORMS[usize::from(choice >> 1) % FORMS.len()];
    let _opened = form[usize::from(choice & 1)].open(&wire, &PARAMS);
}

pub fn sealed_value(bytes: &[u8]) {
    static FIELD: LazyLock<ProtectedField> = LazyLock::new(|| {
        let reference = |name: &str| format!("vault:{name}").parse().unwrap();
        let mask = Mask { start: 3, end: 4 };
        ProtectedField::new(fixtures::vault(), "phone", &reference("index"), &reference("data"), mask)
    });
    let _version = KeyHandle::sealed_version(bytes);
    if let Ok(value) = FIELD.reveal(bytes) {
        assert_eq!(FIELD.reencrypt(bytes).unwrap(), None);
        let _masked = FIELD.protect(&value).unwrap();
    }
}

pub fn manifest(bytes: &[u8]) {
    static FILE: LazyLock<(tempfile::TempDir, [u8; 64])> = LazyLock::new(|| {
        let public = key("signer").public().unwrap();
        (tempfile::tempdir().unwrap(), public[1..].try_into().unwrap())
    });
    let (folder, public) = &*FILE;
    let file = folder.path().join("manifest");
    std::fs::write(&file, bytes).unwrap();
    if let Ok(read) = SignedManifest::read(&PureProvider, public, &file, folder.path()) {
        let _compared = read.verify();
    }
}

/// Lines of text, each a share.
pub fn custodian_share(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let shares: Vec<&str> = text.lines().take(20).collect();
    let _secret = qiao_vault::join_shares(&shares);
}
