//! Reads messages and checks them. For `message::open`.
use super::{
    MAX_MESSAGE, MessageKind, Opened, OwnKey, SignerTrust, TypeOids,
    enveloped::{self, EncryptedContent, RecipientInfo},
    malformed, refused, seal,
    signed::{self, SignedData, SignerInfo},
    trusted,
};
use crate::{
    certificate::{Algorithm, Certificate},
    error::VaultError,
    format::{SignatureFormat, der, oid},
    provider::{DEFAULT_SM2_ID, Provider},
};

pub(super) fn open(
    provider: &dyn Provider,
    kind: MessageKind,
    message: &[u8],
    detached: Option<&[u8]>,
    keys: &[OwnKey],
    trust: &SignerTrust<'_>,
) -> Result<Opened, VaultError> {
    if message.len() > MAX_MESSAGE {
        return Err(malformed("has more than 64 MiB"));
    }
    let body = body(kind, message).ok_or_else(|| malformed("is no strict DER of the agreed message kind"))?;
    let shape = || malformed("is no strict DER of this message kind, or has parties or algorithms beyond it");
    match kind {
        MessageKind::Signed => signed(provider, body, detached, trust),
        _ if detached.is_some() => Err(VaultError::invalid("only signed messages leave their content out")),
        MessageKind::Enveloped => {
            let (recipients, encrypted) = read_enveloped(body).ok_or_else(shape)?;
            let key = enveloped::unwrap(&recipients, keys)?;
            Ok(Opened { content: encrypted.decrypt(provider, &key)?, signers: Vec::new() })
        }
        MessageKind::SignedAndEnveloped => {
            let read = read_both(body).ok_or_else(shape)?;
            let key = enveloped::unwrap(&read.recipients, keys)?;
            let content = read.encrypted.decrypt(provider, &key);
            let kind = read.encrypted.content_type;
            // A wrong padding takes the time of a wrong signature and gives the same refusal.
            let bytes = content.as_ref().map_or(&[][..], |content| content);
            let signers = check(provider, kind, bytes, &read.signers, &read.certificates, trust);
            match (content, signers) {
                (Ok(content), Ok(signers)) => Ok(Opened { content, signers }),
                (Err(_), _) => Err(refused("content")),
                (_, Err(VaultError::Refused { part })) => Err(VaultError::Refused { part }),
                (_, Err(_)) => Err(refused("signature")),
            }
        }
    }
}

/// The content of the SEQUENCE inside ContentInfo.
pub(super) fn body(kind: MessageKind, message: &[u8]) -> Option<&[u8]> {
    let mut outer = der::read_sequence(message)?;
    let oid = der::take(&mut outer, der::OID)?;
    let known = [TypeOids::Gm, TypeOids::Pkcs7].iter().any(|types| seal::content_type(kind, *types) == oid);
    let explicit = der::take(&mut outer, der::context(0))?;
    let body = der::read_sequence(explicit)?;
    (known && outer.is_empty()).then_some(body)
}

fn signed(
    provider: &dyn Provider,
    body: &[u8],
    detached: Option<&[u8]>,
    trust: &SignerTrust<'_>,
) -> Result<Opened, VaultError> {
    let data = SignedData::read(body)
        .filter(|data| [oid::GM_DATA, oid::PKCS7_DATA].contains(&data.content_type))
        .ok_or_else(|| {
            malformed("is no strict DER of signed data, or has parties or algorithms beyond it")
        })?;
    let content = match (data.content, detached) {
        (Some(content), None) | (None, Some(content)) => content,
        (Some(_), Some(_)) => return Err(malformed("has its content inside, which was expected beside it")),
        (None, None) => return Err(malformed("has no content inside and none was given beside it")),
    };
    let signers = check(provider, data.content_type, content, &data.signers, &data.certificates, trust)?;
    Ok(Opened { content: content.to_vec().into(), signers })
}

fn read_enveloped(mut body: &[u8]) -> Option<(Vec<RecipientInfo<'_>>, EncryptedContent<'_>)> {
    let version = der::take(&mut body, der::INTEGER)?;
    let recipients = enveloped::take_recipients(&mut body)?;
    let encrypted = EncryptedContent::take(&mut body)?;
    // PKCS#7 says 0, GB/T 35275 says 1, CMS says 2 where recipients are named by key.
    (body.is_empty() && matches!(version, [0..=2])).then_some((recipients, encrypted))
}

struct Both<'a> {
    recipients: Vec<RecipientInfo<'a>>,
    encrypted: EncryptedContent<'a>,
    certificates: Vec<Certificate>,
    signers: Vec<SignerInfo<'a>>,
}

fn read_both(mut body: &[u8]) -> Option<Both<'_>> {
    let version = der::take(&mut body, der::INTEGER)?;
    let recipients = enveloped::take_recipients(&mut body)?;
    signed::digests(&mut body)?;
    let encrypted = EncryptedContent::take(&mut body)?;
    let (certificates, signers) = signed::tail(&mut body)?;
    (body.is_empty() && version == [1]).then_some(Both { recipients, encrypted, certificates, signers })
}

/// Every signature must hold; a message without any is refused.
fn check(
    provider: &dyn Provider,
    content_type: &[u8],
    content: &[u8],
    infos: &[SignerInfo<'_>],
    inside: &[Certificate],
    trust: &SignerTrust<'_>,
) -> Result<Vec<Certificate>, VaultError> {
    if infos.is_empty() {
        return Err(refused("signature"));
    }
    let mut signers = Vec::new();
    for info in infos {
        let attributes = info.signed_bytes(provider, content_type, content)?;
        let bytes = attributes.as_deref().unwrap_or(content);
        match trust {
            SignerTrust::Key { key, id } => {
                if info.algorithm != Algorithm::Sm2 {
                    return Err(refused("signature algorithm"));
                }
                key.verify(bytes, id, info.signature, SignatureFormat::Der)?;
            }
            SignerTrust::Chain { roots, more, revocation, now } => {
                let bag: Vec<Certificate> = inside.iter().chain(*more).cloned().collect();
                let certificate = trusted(provider, info.named, &bag, roots, revocation, *now)
                    .map_err(|error| refused(&format!("signer's certificate: {error}")))?;
                if !certificate.may_sign() {
                    return Err(refused("signer's certificate: it is not for signing"));
                }
                let public = &certificate.public;
                public.verify(provider, info.algorithm, bytes, info.signature, DEFAULT_SM2_ID)?;
                signers.push(certificate.clone());
            }
        }
    }
    Ok(signers)
}
