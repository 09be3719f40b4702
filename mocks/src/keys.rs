//! The keys that mock partners name, for whoever makes them up: the demo, tests.
use std::path::Path;

use qiao_vault::{KeyKind, KeyRef, Purpose, Role, required_keys};

use crate::{compile::carrier, files, spec::ListenSpec};

/// A key that a mock partner needs.
#[derive(Clone, Debug)]
pub struct PartnerKey {
    pub key: KeyRef,
    pub kind: KeyKind,
    pub purpose: Purpose,
    /// Whose it is, seen from the bus.
    pub role: Role,
    /// Id of the partner that names it first.
    pub partner: String,
}

/// The keys of all partners of a folder, each once: those of envelopes and of files' signatures, and the secrets that are asked
/// of who logs in. Private keys of TLS listeners are not among them: nobody can make up what belongs to a certificate.
/// Folders that cannot be read give none; [`crate::check`] tells why.
pub fn partner_keys(folder: &Path) -> Vec<PartnerKey> {
    let mut keys: Vec<PartnerKey> = Vec::new();
    for files in files::read(folder).unwrap_or_default() {
        let partner = &files.spec.partner;
        let sealed = files.spec.envelopes.values().flat_map(required_keys).map(|required| {
            let (key, kind, purpose, role) = (required.key, required.kind, required.purpose, required.role);
            PartnerKey { key, kind, purpose, role, partner: partner.clone() }
        });
        let asked = files.spec.listen.iter().flat_map(|listen| of_listener(listen, partner));
        for key in sealed.chain(asked) {
            if !keys.iter().any(|known| known.key == key.key) {
                keys.push(key);
            }
        }
    }
    keys
}

fn of_listener(listen: &ListenSpec, partner: &str) -> Vec<PartnerKey> {
    let key = |key, kind, purpose, role| PartnerKey { key, kind, purpose, role, partner: partner.to_owned() };
    let secret = |reference| key(reference, KeyKind::Secret, Purpose::Secret, Role::Shared);
    let mut keys: Vec<PartnerKey> = carrier::secrets(listen).map(secret).collect();
    if let Some(sftp) = &listen.sftp {
        let passwords = sftp.users.iter().filter_map(|user| user.password.as_ref()?.parse().ok());
        keys.extend(passwords.map(secret));
        let signing =
            sftp.sign.iter().flat_map(|sign| [(&sign.ours, Role::Ours), (&sign.theirs, Role::Theirs)]);
        let signing = signing.filter_map(|(reference, role)| Some((reference.parse().ok()?, role)));
        keys.extend(signing.map(|(reference, role)| key(reference, KeyKind::Sm2, Purpose::Sign, role)));
    }
    keys
}
