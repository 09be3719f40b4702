//! SM2 certificates and certificate requests (GM/T 0015, X.509): a partner's key out of its certificate, a chain checked up to
//! a trusted root, a request for our own. Revocation lists are not read here.
use crate::{
    error::VaultError,
    format::{
        SignatureFormat,
        der::{self, Element},
    },
    key_text::write_sm2_public_pem,
    provider::{DEFAULT_SM2_ID, Provider, sm2_z},
    vault::KeyHandle,
};

mod request;
mod time;

pub use request::{Subject, certificate_request};

const OID_SM2_WITH_SM3: &[u8] = &[0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x83, 0x75];
const OID_BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const OID_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
/// Extensions that may be critical without being looked at: they do not restrict what a chain means here.
const OID_EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];

/// The longest chain followed, the leaf included.
const MAX_CHAIN: usize = 8;
const MAX_CERTIFICATE: usize = 64 << 10;

/// Why a certificate is not accepted. Certificates are public, so this may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    #[error(
        "this is no SM2 certificate: PEM or DER of X.509 version 3 with an SM2 key, signed with SM2 and SM3"
    )]
    Malformed,
    #[error("a certificate of the chain is not yet or no longer valid")]
    OutOfTime,
    #[error("the chain does not lead to a trusted root")]
    Untrusted,
    #[error("a certificate of the chain may not issue others, or not this deep")]
    NoAuthority,
    #[error("a certificate's signature does not hold")]
    Signature,
    #[error("a certificate has a critical extension this program does not know")]
    UnknownCritical,
    #[error("a chain has at most 8 certificates")]
    TooLong,
}

use CertificateError::{Malformed, NoAuthority, OutOfTime, Signature, TooLong, UnknownCritical, Untrusted};

/// A parsed certificate; parsing verifies nothing.
pub struct Certificate {
    whole: Vec<u8>,
    /// The signed part, as it stands in `whole`.
    signed: std::ops::Range<usize>,
    signature: [u8; 64],
    /// DER of the names.
    issuer: Vec<u8>,
    subject: Vec<u8>,
    /// Big-endian.
    pub serial: Vec<u8>,
    /// Unix seconds.
    pub not_before: i64,
    pub not_after: i64,
    /// x ‖ y.
    pub public: [u8; 64],
    authority: bool,
    path_length: Option<usize>,
    /// Absent means any.
    key_usage: Option<u8>,
    unknown_critical: bool,
}

/// First byte of the keyUsage bit string.
const DIGITAL_SIGNATURE: u8 = 0x80;
const KEY_CERT_SIGN: u8 = 0x04;

impl Certificate {
    /// From PEM (`BEGIN CERTIFICATE`) or DER, at most 64 KiB.
    pub fn read(bytes: &[u8]) -> Result<Self, CertificateError> {
        if bytes.len() > MAX_CERTIFICATE {
            return Err(Malformed);
        }
        let text = std::str::from_utf8(bytes).ok().filter(|text| text.contains("-----BEGIN"));
        let whole = match text {
            Some(text) => crate::key_text::read_pem(text, "CERTIFICATE").map_err(|_| Malformed)?,
            None => bytes.to_vec(),
        };
        parse(&whole).ok_or(Malformed)
    }

    /// Whether the key may sign messages: keyUsage absent or with digitalSignature.
    pub fn may_sign(&self) -> bool {
        self.key_usage.is_none_or(|bits| bits & DIGITAL_SIGNATURE != 0)
    }

    fn check_signature(&self, provider: &dyn Provider, issuer: &[u8; 64]) -> Result<(), CertificateError> {
        let verify = || {
            let z = sm2_z(provider, issuer, DEFAULT_SM2_ID)?;
            let digest = provider.sm3(&[&z, &self.whole[self.signed.clone()]]);
            provider.sm2_public(issuer)?.verify_digest(&digest, &self.signature)
        };
        verify().map_err(|_| Signature)
    }

    fn check_at(&self, now: i64) -> Result<(), CertificateError> {
        match () {
            () if self.unknown_critical => Err(UnknownCritical),
            () if !(self.not_before..=self.not_after).contains(&now) => Err(OutOfTime),
            () => Ok(()),
        }
    }

    /// Whether it may issue a certificate with that many authorities between itself and the leaf.
    fn check_authority(&self, below: usize) -> Result<(), CertificateError> {
        let may = self.authority
            && self.path_length.is_none_or(|length| below <= length)
            && self.key_usage.is_none_or(|bits| bits & KEY_CERT_SIGN != 0);
        if may { Ok(()) } else { Err(NoAuthority) }
    }
}

/// Follows the chain from its leaf (first) through the given intermediates, in order, to one of the roots, all valid at
/// `now` (Unix seconds). Gives the leaf's key x ‖ y. RFC 5280 §6 without policies, name constraints and revocation; a
/// critical extension of these kinds is refused.
pub fn verify_chain(
    provider: &dyn Provider,
    chain: &[Certificate],
    roots: &[Certificate],
    now: i64,
) -> Result<[u8; 64], CertificateError> {
    let leaf = chain.first().ok_or(Untrusted)?;
    if chain.len() > MAX_CHAIN {
        return Err(TooLong);
    }
    for (at, certificate) in chain.iter().enumerate() {
        certificate.check_at(now)?;
        if at > 0 {
            certificate.check_authority(at - 1)?;
        }
        // Roots of one name follow one another when an authority renews its key; any of them may be meant.
        let mut refusal = Untrusted;
        for root in roots.iter().filter(|root| root.subject == certificate.issuer) {
            let issued = root
                .check_at(now)
                .and_then(|()| root.check_authority(at))
                .and_then(|()| certificate.check_signature(provider, &root.public));
            match issued {
                Ok(()) => return Ok(leaf.public),
                Err(error) => refusal = error,
            }
        }
        let next = chain.get(at + 1).filter(|next| next.subject == certificate.issuer);
        certificate.check_signature(provider, &next.ok_or(refusal)?.public)?;
    }
    Err(Untrusted)
}

fn parse(whole: &[u8]) -> Option<Certificate> {
    let mut outer = der::read_sequence(whole)?;
    let signed = der::element(&mut outer)?;
    let algorithm = der::element(&mut outer)?;
    let signature = SignatureFormat::Der.read(bit_string(&der::element(&mut outer)?)?)?;
    let start = signed.whole.as_ptr() as usize - whole.as_ptr() as usize;
    let mut body = signed.content_of(der::SEQUENCE)?;
    let version = der::element(&mut body)?;
    let serial = der::element(&mut body)?.content_of(der::INTEGER)?.to_vec();
    let inner_algorithm = der::element(&mut body)?;
    let is_sm2 = |element: &Element<'_>| {
        let mut content = element.content_of(der::SEQUENCE)?;
        (der::element(&mut content)?.content_of(der::OID)? == OID_SM2_WITH_SM3).then_some(())
    };
    is_sm2(&algorithm)?;
    is_sm2(&inner_algorithm)?;
    let issuer = der::element(&mut body)?.whole.to_vec();
    let mut validity = der::element(&mut body)?.content_of(der::SEQUENCE)?;
    let not_before = time::unix_seconds(&der::element(&mut validity)?)?;
    let not_after = time::unix_seconds(&der::element(&mut validity)?)?;
    let subject = der::element(&mut body)?.whole.to_vec();
    let public = der::element(&mut body)?;
    let extensions = loop {
        let next = der::element(&mut body)?;
        if next.tag == 0xa3 {
            break extensions(next.content)?;
        }
    };
    let complete = outer.is_empty() && body.is_empty() && version.whole == [0xa0, 3, 2, 1, 2];
    if !complete {
        return None;
    }
    Some(Certificate {
        whole: whole.to_vec(),
        signed: start..start + signed.whole.len(),
        signature,
        issuer,
        subject,
        serial,
        not_before,
        not_after,
        public: crate::key_text::read_sm2_public_der(public.whole)?,
        authority: extensions.authority,
        path_length: extensions.path_length,
        key_usage: extensions.key_usage,
        unknown_critical: extensions.unknown_critical,
    })
}

/// The bytes of a BIT STRING without unused bits.
fn bit_string<'a>(element: &Element<'a>) -> Option<&'a [u8]> {
    element.content_of(der::BIT_STRING)?.strip_prefix(&[0])
}

#[derive(Default)]
struct Extensions {
    authority: bool,
    path_length: Option<usize>,
    key_usage: Option<u8>,
    unknown_critical: bool,
}

fn extensions(explicit: &[u8]) -> Option<Extensions> {
    let mut found = Extensions::default();
    let mut list = der::read_sequence(explicit)?;
    while !list.is_empty() {
        let mut extension = der::element(&mut list)?.content_of(der::SEQUENCE)?;
        let oid = der::element(&mut extension)?.content_of(der::OID)?;
        let mut value = der::element(&mut extension)?;
        let critical = value.tag == der::BOOLEAN && value.content == [0xff];
        if value.tag == der::BOOLEAN {
            value = der::element(&mut extension)?;
        }
        let mut value = value.content_of(der::OCTET_STRING)?;
        match oid {
            OID_BASIC_CONSTRAINTS => {
                let mut constraints = der::read_sequence(value)?;
                if constraints.starts_with(&[der::BOOLEAN]) {
                    found.authority = der::element(&mut constraints)?.content == [0xff];
                }
                if !constraints.is_empty() {
                    let mut length = [0; 1];
                    der::take_integer(&mut constraints, &mut length)?;
                    found.path_length = Some(length[0].into());
                }
            }
            OID_KEY_USAGE => {
                let bits = der::element(&mut value)?.content_of(der::BIT_STRING)?;
                found.key_usage = Some(*bits.get(1).unwrap_or(&0));
            }
            OID_EXTENDED_KEY_USAGE => {}
            _ => found.unknown_critical |= critical,
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests;
