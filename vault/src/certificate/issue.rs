//! A small certificate authority for development and tests: certificates signed by a pair of the vault. Real certificates come
//! from a licensed authority, by way of `certificate_request`.
use super::{Certificate, DEFAULT_SM2_ID, KeyHandle, PublicKey, Subject, VaultError, public, request, time};
use crate::format::{der, oid};

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateUse {
    /// Issues certificates and revocation lists, with at most that many authorities below itself.
    Authority { path_length: u8 },
    /// Signs messages.
    Sign,
    /// Receives session keys.
    Encrypt,
    /// Signs time stamps (RFC 3161 §2.3).
    TimeStamping,
    /// Signs answers about revocation for its issuer (RFC 6960 §4.2.2.2).
    OcspSigning,
}

/// Unix seconds, both included.
#[derive(Debug, Clone, Copy)]
pub struct Validity {
    pub not_before: i64,
    pub not_after: i64,
}

/// A certificate in DER for `public`, signed by the issuer's pair; without an issuer's certificate it is self-signed. The serial
/// number is random.
pub fn issue_certificate(
    key: &KeyHandle,
    issuer: Option<&Certificate>,
    subject: &Subject,
    public: &PublicKey,
    usage: CertificateUse,
    validity: Validity,
) -> Result<Vec<u8>, VaultError> {
    let subject = der::sequence(&request::name(subject)?);
    let mut serial = [0; 16];
    key.provider().random(&mut serial)?;
    serial[0] |= 1;
    let mut body = vec![0xa0, 3, der::INTEGER, 1, 2];
    der::put_integer(&mut body, &serial);
    body.extend(public::own_algorithm(key)?);
    body.extend_from_slice(issuer.map_or(&subject, |issuer| &issuer.subject));
    body.extend(der::sequence(&[time::write(validity.not_before), time::write(validity.not_after)].concat()));
    body.extend_from_slice(&subject);
    body.extend(public.write());
    let mut extensions = extensions(usage);
    // RFC 7093 §2: the first 20 bytes of the key's digest.
    let key_id = der::wrap(der::OCTET_STRING, &[&key.provider().sm3(&[&public.write()])[..20]]);
    extensions.extend(extension(oid::SUBJECT_KEY_ID, false, &key_id));
    body.extend(der::wrap(der::context(3), &[&der::sequence(&extensions)]));
    public::signed(key, &der::sequence(&body), DEFAULT_SM2_ID)
}

fn extensions(usage: CertificateUse) -> Vec<u8> {
    // keyUsage as a BIT STRING of one byte: its unused bits, then the bits.
    let key_usage = |unused, bits| extension(oid::KEY_USAGE, true, &[der::BIT_STRING, 2, unused, bits]);
    let extended = |use_oid, critical| {
        let value = der::sequence(&der::wrap(der::OID, &[use_oid]));
        extension(oid::EXTENDED_KEY_USAGE, critical, &value)
    };
    match usage {
        CertificateUse::Authority { path_length } => {
            let mut constraints = vec![der::BOOLEAN, 1, 0xff];
            der::put_integer(&mut constraints, &[path_length]);
            let constraints = extension(oid::BASIC_CONSTRAINTS, true, &der::sequence(&constraints));
            [constraints, key_usage(1, super::KEY_CERT_SIGN | super::CRL_SIGN)].concat()
        }
        CertificateUse::Sign => key_usage(6, super::DIGITAL_SIGNATURE | super::NON_REPUDIATION),
        // keyEncipherment and dataEncipherment.
        CertificateUse::Encrypt => key_usage(4, 0x30),
        CertificateUse::TimeStamping => {
            [key_usage(7, super::DIGITAL_SIGNATURE), extended(oid::TIME_STAMPING, true)].concat()
        }
        CertificateUse::OcspSigning => [
            key_usage(7, super::DIGITAL_SIGNATURE),
            extended(oid::OCSP_SIGNING, false),
            extension(oid::OCSP_NO_CHECK, false, &[der::NULL, 0]),
        ]
        .concat(),
    }
}

/// One extension in DER.
pub(crate) fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let mut body = der::wrap(der::OID, &[oid]);
    if critical {
        body.extend_from_slice(&[der::BOOLEAN, 1, 0xff]);
    }
    der::put_octets(&mut body, value);
    der::sequence(&body)
}
