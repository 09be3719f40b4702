//! A small public-key infrastructure in a vault, for the tests of everything that uses certificates.
use super::{Certificate, CertificateUse, PublicKey, Subject, Validity, issue_certificate};
use crate::{
    key::{KeyKind, KeyRef, Purpose},
    vault::{KeyHandle, Vault},
};

/// 2026-01-01T00:00:00Z; certificates hold for a year around it.
pub(crate) const NOW: i64 = 1_767_225_600;
pub(crate) const YEAR: Validity = Validity { not_before: NOW - 15_768_000, not_after: NOW + 15_768_000 };

/// An authority with its self-signed certificate.
pub(crate) struct Pki {
    pub(crate) vault: Vault,
    pub(crate) key: KeyHandle,
    pub(crate) root: Certificate,
}

impl Pki {
    pub(crate) fn new(kind: KeyKind) -> Self {
        let vault = Vault::in_memory().unwrap();
        let key = pair(&vault, "root", kind, Purpose::Sign);
        let own = PublicKey::of(&key).unwrap();
        let usage = CertificateUse::Authority { path_length: 1 };
        let root = issue_certificate(&key, None, &subject("Root"), &own, usage, YEAR).unwrap();
        Self { key, root: Certificate::read(&root).unwrap(), vault }
    }

    /// A pair and its certificate, issued by the root.
    pub(crate) fn issue(&self, name: &str, kind: KeyKind, usage: CertificateUse) -> (KeyHandle, Certificate) {
        let purpose = if usage == CertificateUse::Encrypt { Purpose::Encrypt } else { Purpose::Sign };
        let key = pair(&self.vault, name, kind, purpose);
        let public = PublicKey::of(&key).unwrap();
        let der =
            issue_certificate(&self.key, Some(&self.root), &subject(name), &public, usage, YEAR).unwrap();
        (key, Certificate::read(&der).unwrap())
    }
}

pub(crate) fn subject(name: &str) -> Subject {
    Subject {
        country: "CN".into(),
        organization: "桥测试".into(),
        common_name: name.into(),
        ..Subject::default()
    }
}

pub(crate) fn pair(vault: &Vault, name: &str, kind: KeyKind, purpose: Purpose) -> KeyHandle {
    let key: KeyRef = format!("vault:{name}").parse().unwrap();
    vault.generate(&key, kind, purpose).unwrap();
    vault.key(&key)
}
