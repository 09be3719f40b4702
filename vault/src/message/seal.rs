//! Builds messages. For `message::seal`.
use super::{
    MAX_CONTENT, MAX_PARTIES, MessageForm, MessageKind, Recipient, SignatureOid, Signer, TypeOids, enveloped,
    signed::{basic_attributes, write_named},
};
use crate::{
    error::VaultError,
    format::{SignatureFormat, der, oid},
    provider::Provider,
};

/// What stands in the place of parameters that an algorithm does not have.
pub(super) fn parameters(form: &MessageForm) -> &'static [u8] {
    if form.null_parameters { &[der::NULL, 0] } else { &[] }
}

pub(super) fn seal(
    provider: &dyn Provider,
    kind: MessageKind,
    content: &[u8],
    signers: &[Signer],
    recipients: &[Recipient],
    form: &MessageForm,
    now: i64,
) -> Result<Vec<u8>, VaultError> {
    check_parties(kind, content, signers, recipients, form)?;
    let version = vec![der::INTEGER, 1, 1];
    let parts = match kind {
        MessageKind::Signed => {
            let mut info = der::wrap(der::OID, &[enveloped::data_type(form.types)]);
            if !form.detached {
                info.extend(der::wrap(der::context(0), &[&der::wrap(der::OCTET_STRING, &[content])]));
            }
            let signatures = signatures(provider, content, signers, form, now)?;
            vec![version, digests(form), der::sequence(&info), certificates(signers, form), signatures]
        }
        MessageKind::Enveloped => {
            let (key, encrypted) = enveloped::encrypt(provider, content, form)?;
            vec![version, enveloped::write_recipients(provider, recipients, &key, form)?, encrypted]
        }
        MessageKind::SignedAndEnveloped => {
            let (key, encrypted) = enveloped::encrypt(provider, content, form)?;
            let recipients = enveloped::write_recipients(provider, recipients, &key, form)?;
            let signatures = signatures(provider, content, signers, form, now)?;
            vec![version, recipients, digests(form), encrypted, certificates(signers, form), signatures]
        }
    };
    let body = der::sequence(&parts.concat());
    let mut message = der::wrap(der::OID, &[content_type(kind, form.types)]);
    der::put(&mut message, der::context(0), &[&body]);
    Ok(der::sequence(&message))
}

/// The identifier of a kind.
pub(super) fn content_type(kind: MessageKind, types: TypeOids) -> &'static [u8] {
    match (types, kind) {
        (TypeOids::Gm, MessageKind::Signed) => oid::GM_SIGNED,
        (TypeOids::Gm, MessageKind::Enveloped) => oid::GM_ENVELOPED,
        (TypeOids::Gm, MessageKind::SignedAndEnveloped) => oid::GM_SIGNED_AND_ENVELOPED,
        (TypeOids::Pkcs7, MessageKind::Signed) => oid::PKCS7_SIGNED,
        (TypeOids::Pkcs7, MessageKind::Enveloped) => oid::PKCS7_ENVELOPED,
        (TypeOids::Pkcs7, MessageKind::SignedAndEnveloped) => oid::PKCS7_SIGNED_AND_ENVELOPED,
    }
}

fn check_parties(
    kind: MessageKind,
    content: &[u8],
    signers: &[Signer],
    recipients: &[Recipient],
    form: &MessageForm,
) -> Result<(), VaultError> {
    let (signs, envelops) = (kind != MessageKind::Enveloped, kind != MessageKind::Signed);
    let bounds =
        |count: usize, wanted: bool| if wanted { (1..=MAX_PARTIES).contains(&count) } else { count == 0 };
    if !bounds(signers.len(), signs) {
        return Err(VaultError::invalid("a signed message has 1 to 16 signers, an enveloped one none"));
    }
    if !bounds(recipients.len(), envelops) {
        return Err(VaultError::invalid("an enveloped message has 1 to 16 recipients, a signed one none"));
    }
    if form.detached && kind != MessageKind::Signed {
        return Err(VaultError::invalid("only signed messages can leave their content out"));
    }
    if content.len() > MAX_CONTENT {
        return Err(VaultError::invalid("a message's content has at most 60 MiB"));
    }
    Ok(())
}

fn digests(form: &MessageForm) -> Vec<u8> {
    der::wrap(der::SET, &[&der::algorithm(oid::SM3, parameters(form))])
}

fn certificates(signers: &[Signer], form: &MessageForm) -> Vec<u8> {
    let mut all: Vec<Vec<u8>> =
        signers.iter().filter_map(|signer| signer.identity.certificate.clone()).collect();
    all.sort();
    all.dedup();
    if !form.certificates || all.is_empty() { Vec::new() } else { der::set_of(der::context(0), all) }
}

fn signatures(
    provider: &dyn Provider,
    content: &[u8],
    signers: &[Signer],
    form: &MessageForm,
    now: i64,
) -> Result<Vec<u8>, VaultError> {
    let algorithm = match form.signature {
        SignatureOid::Sm2Sign => oid::SM2_SIGN,
        SignatureOid::Sm2 => oid::SM2,
        SignatureOid::Sm2WithSm3 => oid::SM2_WITH_SM3,
    };
    let mut infos = Vec::with_capacity(signers.len());
    for signer in signers {
        let mut info = vec![der::INTEGER, 1, 1];
        info.extend(write_named(&signer.identity.issuer, &signer.identity.serial));
        info.extend(der::algorithm(oid::SM3, parameters(form)));
        let signature = match form.attributes {
            true => {
                let digest = provider.sm3(&[content]);
                let list = basic_attributes(enveloped::data_type(form.types), &digest, now);
                let set = der::set_of(der::SET, list);
                // Signed as a SET, written as [0] IMPLICIT.
                info.push(der::context(0));
                info.extend_from_slice(&set[1..]);
                signer.key.sign(&set, &signer.id, SignatureFormat::Der)?
            }
            false => signer.key.sign(content, &signer.id, SignatureFormat::Der)?,
        };
        info.extend(der::algorithm(algorithm, parameters(form)));
        der::put_octets(&mut info, &signature);
        infos.push(der::sequence(&info));
    }
    Ok(der::set_of(der::SET, infos))
}
