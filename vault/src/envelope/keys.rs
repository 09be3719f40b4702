//! Which keys a description needs, of which kind, and whose. For the demo and `qiao keys`, which generate what is missing.
use super::{key_ref, spec::EnvelopeSpec, spec::PartSpec};
use crate::key::{KeyKind, KeyRef, Purpose};

/// Whose key it is, seen from the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The bus holds the secret half.
    Ours,
    /// The partner holds the secret half; the bus needs the public one, a mock partner both.
    Theirs,
    /// Both hold it.
    Shared,
}

/// A key a description refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequiredKey {
    pub key: KeyRef,
    pub kind: KeyKind,
    pub purpose: Purpose,
    pub role: Role,
}

/// The keys both sides need, each once, in the order of `keys`. References that do not parse and keys that nothing uses
/// are left out; compiling reports the former.
pub fn required_keys(spec: &EnvelopeSpec) -> Vec<RequiredKey> {
    let mut required: Vec<RequiredKey> = Vec::new();
    let used: Vec<_> = spec.seal.iter().chain(&spec.open).flat_map(uses).collect();
    for (name, reference) in &spec.keys {
        let Some((role, rest)) = name.split_once('.') else { continue };
        let role = match role {
            "ours" => Role::Ours,
            "theirs" => Role::Theirs,
            _ => Role::Shared,
        };
        // What one side does with `ours.x` the other does with `theirs.x`.
        let same = |used: &str| match used.split_once('.') {
            Some(("shared", other)) => role == Role::Shared && other == rest,
            Some((_, other)) => role != Role::Shared && other == rest,
            None => false,
        };
        let Ok(key) = key_ref(reference) else { continue };
        for (_, kind, purpose) in used.iter().filter(|(used, ..)| same(used)) {
            let entry = RequiredKey { key: key.clone(), kind: *kind, purpose: *purpose, role };
            if !required.contains(&entry) {
                required.push(entry);
            }
        }
    }
    required
}

fn uses(part: &PartSpec) -> Vec<(&str, KeyKind, Purpose)> {
    let sm2 = |key, purpose| (key, KeyKind::Sm2, purpose);
    let found = [
        part.key_bytes.as_deref().map(|key| (key, KeyKind::Secret, Purpose::Secret)),
        part.hmac_sm3.as_ref().map(|spec| (spec.key.as_str(), KeyKind::Hmac, Purpose::Mac)),
        part.sm2_sign.as_ref().map(|spec| sm2(spec.key.as_str(), Purpose::Sign)),
        part.sm2_verify.as_ref().map(|spec| sm2(spec.key.as_str(), Purpose::Sign)),
        part.sm2_encrypt.as_ref().map(|spec| sm2(spec.key.as_str(), Purpose::Encrypt)),
        part.sm2_decrypt.as_ref().map(|spec| sm2(spec.key.as_str(), Purpose::Encrypt)),
        part.sign.as_ref().map(|spec| (spec.key.as_str(), spec.algorithm.key_kind(), Purpose::Sign)),
        part.verify.as_ref().map(|spec| (spec.key.as_str(), spec.algorithm.key_kind(), Purpose::Sign)),
        part.hmac_sha256.as_ref().map(|spec| (spec.key.as_str(), KeyKind::Hmac, Purpose::Mac)),
        part.aes_encrypt.as_ref().map(|spec| (spec.key.as_str(), KeyKind::Aes, Purpose::Encrypt)),
        part.aes_decrypt.as_ref().map(|spec| (spec.key.as_str(), KeyKind::Aes, Purpose::Encrypt)),
        part.sm4_encrypt.as_ref().map(|spec| (spec.key.as_str(), KeyKind::Sm4, Purpose::Encrypt)),
        part.sm4_decrypt.as_ref().map(|spec| (spec.key.as_str(), KeyKind::Sm4, Purpose::Encrypt)),
    ];
    let rsa = [&part.rsa_encrypt, &part.rsa_decrypt].into_iter().flatten();
    let rsa = rsa.map(|spec| (spec.key.as_str(), KeyKind::Rsa, Purpose::Encrypt));
    let sealed = part.seal_message.as_ref().map(|spec| (&spec.signer, &spec.recipient));
    let opened = part.open_message.as_ref().map(|spec| (&spec.signer, &spec.key));
    let messages = [sealed, opened].into_iter().flatten().flat_map(|(signer, other)| {
        let signer = signer.as_deref().map(|key| sm2(key, Purpose::Sign));
        signer.into_iter().chain(other.as_deref().map(|key| sm2(key, Purpose::Encrypt)))
    });
    found.into_iter().flatten().chain(rsa).chain(messages).collect()
}
