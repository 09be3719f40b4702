//! Time-stamp tokens and answers in DER (RFC 3161 §2.4). For `timestamp`.
use super::{MAX_TOKEN, StampTrust, TimeStamp, TimeStampError};
use crate::{
    certificate::{Certificate, CertificateError, Digest, time},
    error::VaultError,
    format::{der, oid},
    message::{
        signed::{SignedData, SignerInfo},
        trusted,
    },
    provider::{DEFAULT_SM2_ID, Provider},
};

use TimeStampError::{Imprint, Malformed, Policy, Rejected, Signature};

/// What a token says.
pub(super) struct Info<'a> {
    pub(super) policy: &'a [u8],
    digest: Digest,
    imprint: &'a [u8],
    serial: &'a [u8],
    /// Unix milliseconds.
    time: i64,
    accuracy: Option<u64>,
    pub(super) nonce: Option<&'a [u8]>,
}

pub(super) fn write_imprint(digest: Digest, imprint: &[u8]) -> Vec<u8> {
    let algorithm = der::algorithm(digest.oid(), &[der::NULL, 0]);
    der::sequence(&[algorithm, der::wrap(der::OCTET_STRING, &[imprint])].concat())
}

/// MessageImprint; its length must be the digest's.
pub(super) fn take_imprint<'a>(body: &mut &'a [u8]) -> Option<(Digest, &'a [u8])> {
    let mut imprint = der::take(body, der::SEQUENCE)?;
    let digest = Digest::from_oid(der::take_algorithm(&mut imprint)?.0)?;
    let octets = der::take_octets(&mut imprint)?;
    let length = match digest {
        Digest::Sha1 => 20,
        Digest::Sm3 | Digest::Sha256 => 32,
        Digest::Sha384 => 48,
        Digest::Sha512 => 64,
    };
    (imprint.is_empty() && octets.len() == length).then_some((digest, octets))
}

/// The token of an answer that grants one.
pub(super) fn granted(answer: &[u8]) -> Result<&[u8], TimeStampError> {
    if answer.len() > MAX_TOKEN {
        return Err(Malformed);
    }
    let read = || {
        let mut body = der::read_sequence(answer)?;
        let mut info = der::take(&mut body, der::SEQUENCE)?;
        let [status] = der::take(&mut info, der::INTEGER)? else { return None };
        der::optional(&mut info, der::SEQUENCE)?;
        let failure = der::optional(&mut info, der::BIT_STRING)?;
        let token = if body.is_empty() { None } else { Some(der::element(&mut body)?.whole) };
        (info.is_empty() && body.is_empty()).then_some((*status, failure, token))
    };
    match read().ok_or(Malformed)? {
        // Granted, or granted with modifications, which the other checks find.
        (0 | 1, None, Some(token)) => Ok(token),
        (0 | 1, ..) => Err(Malformed),
        (status, failure, _) => Err(Rejected { status, failure: failure.and_then(first_bit) }),
    }
}

/// The number of the first bit set in a BIT STRING's content.
fn first_bit(content: &[u8]) -> Option<u8> {
    let bits = content.get(1..4.min(content.len()))?.iter().enumerate();
    bits.filter(|(_, byte)| **byte != 0).map(|(at, byte)| at as u8 * 8 + byte.leading_zeros() as u8).next()
}

/// Checks a token against a digest and gives what it says.
pub(super) fn verify<'a>(
    provider: &dyn Provider,
    token: &'a [u8],
    digest: Digest,
    imprint: &[u8],
    trust: &StampTrust<'_>,
) -> Result<(Info<'a>, TimeStamp), TimeStampError> {
    if token.len() > MAX_TOKEN {
        return Err(Malformed);
    }
    let data = signed_data(token).ok_or(Malformed)?;
    let content = data.content.filter(|_| data.content_type == oid::TST_INFO).ok_or(Malformed)?;
    let info = Info::read(content).ok_or(Malformed)?;
    if info.digest != digest || info.imprint != imprint {
        return Err(Imprint);
    }
    let accepted = |policy: &String| oid::from_dotted(policy).as_deref() == Some(info.policy);
    if !trust.policies.is_empty() && !trust.policies.iter().any(accepted) {
        return Err(Policy);
    }
    // RFC 3161 §2.4.2: only the authority's signature.
    let [signer] = &data.signers[..] else { return Err(Malformed) };
    check_signer(provider, signer, content, &data.certificates, trust, info.time.div_euclid(1000))?;
    let stamp = TimeStamp {
        time: info.time,
        accuracy: info.accuracy,
        serial: info.serial.to_vec(),
        token: token.to_vec(),
    };
    Ok((info, stamp))
}

/// The signed data of a token: under the CMS type, or under the one of GB/T 35275 as licensed authorities write it.
fn signed_data(token: &[u8]) -> Option<SignedData<'_>> {
    let mut outer = der::read_sequence(token)?;
    let content_type = der::take(&mut outer, der::OID)?;
    let body = der::read_sequence(der::take(&mut outer, der::context(0))?)?;
    let known = [oid::PKCS7_SIGNED, oid::GM_SIGNED].contains(&content_type) && outer.is_empty();
    SignedData::read(body).filter(|_| known)
}

fn check_signer(
    provider: &dyn Provider,
    signer: &SignerInfo<'_>,
    content: &[u8],
    inside: &[Certificate],
    trust: &StampTrust<'_>,
    at: i64,
) -> Result<(), TimeStampError> {
    let attributes = signer.signed_bytes(provider, oid::TST_INFO, content).map_err(|error| match error {
        VaultError::Malformed { .. } => Malformed,
        _ => Signature,
    })?;
    let bytes = attributes.ok_or(Malformed)?;
    let bag: Vec<Certificate> = inside.iter().chain(trust.more).cloned().collect();
    let certificate = trusted(provider, signer.named, &bag, trust.roots, &trust.revocation, at)?;
    if !certificate.is_only_for(oid::TIME_STAMPING) || !certificate.may_sign() {
        return Err(CertificateError::WrongUse.into());
    }
    // Where the token pins its certificate (RFC 5816), it must be this one; with SHA-1 (ESSCertID) it pins little and is not read.
    let pin = signer.attribute(oid::SIGNING_CERTIFICATE_V2);
    if let Some(value) = pin
        && !pins(provider, value, certificate).ok_or(Malformed)?
    {
        return Err(CertificateError::WrongUse.into());
    }
    let (key, made) = (&certificate.public, signer.signature);
    key.verify(provider, signer.algorithm, &bytes, made, DEFAULT_SM2_ID).map_err(|_| Signature)
}

/// Whether the first ESSCertIDv2 (RFC 5035 §3) is of this certificate.
fn pins(provider: &dyn Provider, value: &[u8], certificate: &Certificate) -> Option<bool> {
    let mut outer = der::read_sequence(value)?;
    let mut list = der::take(&mut outer, der::SEQUENCE)?;
    let mut id = der::take(&mut list, der::SEQUENCE)?;
    let digest = match id.first() {
        Some(&der::SEQUENCE) => Digest::from_oid(der::take_algorithm(&mut id)?.0)?,
        _ => Digest::Sha256,
    };
    Some(der::take_octets(&mut id)? == digest.of(provider, certificate.der()))
}

/// The value of signingCertificateV2 for a certificate.
pub(super) fn write_pin(provider: &dyn Provider, digest: Digest, certificate: &Certificate) -> Vec<u8> {
    // SHA-256 is the default and therefore, in DER, left out.
    let algorithm = if digest == Digest::Sha256 { Vec::new() } else { der::algorithm(digest.oid(), &[]) };
    let hash = der::wrap(der::OCTET_STRING, &[&digest.of(provider, certificate.der())]);
    der::sequence(&der::sequence(&der::sequence(&[algorithm, hash].concat())))
}

impl<'a> Info<'a> {
    /// TSTInfo.
    fn read(content: &'a [u8]) -> Option<Self> {
        let mut body = der::read_sequence(content)?;
        let version = der::take(&mut body, der::INTEGER)?;
        let policy = der::take(&mut body, der::OID)?;
        let (digest, imprint) = take_imprint(&mut body)?;
        let serial = der::take_number(&mut body)?;
        let time = milliseconds(der::take(&mut body, time::GENERALIZED_TIME)?)?;
        let accuracy = match der::optional(&mut body, der::SEQUENCE)? {
            Some(fields) => Some(accuracy(fields)?),
            None => None,
        };
        // DEFAULT FALSE is left out in DER.
        der::optional(&mut body, der::BOOLEAN)?;
        let nonce =
            if body.first() == Some(&der::INTEGER) { Some(der::take_number(&mut body)?) } else { None };
        // The authority's name; its certificate says it better.
        der::optional(&mut body, der::context(0))?;
        // Extensions are not asked for, so none may come.
        let whole = body.is_empty() && version == [1];
        whole.then_some(Self { policy, digest, imprint, serial, time, accuracy, nonce })
    }
}

/// YYYYMMDDhhmmss[.s…]Z with at most nine digits of fraction and no trailing zero.
pub(super) fn milliseconds(content: &[u8]) -> Option<i64> {
    let text = content.strip_suffix(b"Z")?;
    let (whole, fraction) = text.split_at_checked(14)?;
    let digits = match fraction {
        [] => &[][..],
        [b'.', digits @ .., last] if digits.len() < 9 && (b'1'..=b'9').contains(last) => &fraction[1..],
        _ => return None,
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let thousandths =
        (0..3).fold(0i64, |sum, at| sum * 10 + digits.get(at).map_or(0, |d| i64::from(d - b'0')));
    let seconds = time::seconds_of_digits(whole)?;
    Some(seconds * 1000 + thousandths)
}

/// GeneralizedTime of Unix milliseconds.
pub(super) fn write_time(milliseconds: i64) -> Vec<u8> {
    let (seconds, rest) = (milliseconds.div_euclid(1000), milliseconds.rem_euclid(1000));
    let fraction = match rest {
        0 => String::new(),
        rest => format!(".{rest:03}").trim_end_matches('0').to_owned(),
    };
    der::wrap(time::GENERALIZED_TIME, &[time::digits(seconds).as_bytes(), fraction.as_bytes(), b"Z"])
}

/// Accuracy in milliseconds, rounded up.
fn accuracy(mut fields: &[u8]) -> Option<u64> {
    let number = |content: Option<&[u8]>| -> Option<u64> {
        let bytes = content.unwrap_or_default();
        (bytes.len() <= 4 && bytes.first().is_none_or(|first| first & 0x80 == 0))
            .then(|| bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    let seconds = number(der::optional(&mut fields, der::INTEGER)?)?;
    let millis = number(der::optional(&mut fields, 0x80)?)?;
    let micros = number(der::optional(&mut fields, 0x81)?)?;
    fields.is_empty().then_some(seconds * 1000 + millis + micros.div_ceil(1000))
}
