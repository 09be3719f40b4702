//! Revocation lists and OCSP answers of an authority of one's own, for development and tests.
use super::{Status, ocsp::cert_id};
use crate::{
    certificate::{
        Certificate, Digest, Validity, extension, own_algorithm,
        parse::take_extension,
        signed,
        time::{self, generalized},
    },
    error::VaultError,
    format::{der, oid},
    provider::DEFAULT_SM2_ID,
    vault::KeyHandle,
};

/// One revoked certificate.
#[derive(Debug, Clone)]
pub struct RevokedEntry {
    /// As [`Certificate::serial`].
    pub serial: Vec<u8>,
    /// Unix seconds.
    pub at: i64,
    /// RFC 5280 §5.3.1.
    pub reason: Option<u8>,
}

/// A revocation list in DER, from the first to the last second of its validity.
pub fn issue_list(
    key: &KeyHandle,
    issuer: &Certificate,
    number: u32,
    validity: Validity,
    revoked: &[RevokedEntry],
) -> Result<Vec<u8>, VaultError> {
    let mut body = vec![der::INTEGER, 1, 1];
    body.extend(own_algorithm(key)?);
    body.extend_from_slice(&issuer.subject);
    body.extend(time::write(validity.not_before));
    body.extend(time::write(validity.not_after));
    let mut entries = Vec::new();
    for entry in revoked {
        let mut content = der::wrap(der::INTEGER, &[&entry.serial]);
        content.extend(time::write(entry.at));
        if let Some(reason) = entry.reason {
            let value = [der::ENUMERATED, 1, reason];
            content.extend(der::sequence(&extension(oid::REASON_CODE, false, &value)));
        }
        entries.extend(der::sequence(&content));
    }
    if !entries.is_empty() {
        body.extend(der::sequence(&entries));
    }
    let mut counter = Vec::new();
    der::put_integer(&mut counter, &number.to_be_bytes());
    let extensions = der::sequence(&extension(oid::CRL_NUMBER, false, &counter));
    body.extend(der::wrap(der::context(0), &[&extensions]));
    signed(key, &der::sequence(&body), DEFAULT_SM2_ID)
}

/// An answer to a question with one certificate of `issuer`, signed by the issuer's pair, or by a responder's whose certificate
/// is given. `status` tells the state of a serial number. The question's nonce is repeated.
pub fn issue_ocsp_answer(
    key: &KeyHandle,
    issuer: &Certificate,
    responder: Option<&Certificate>,
    question: &[u8],
    validity: Validity,
    status: impl FnOnce(&[u8]) -> Status,
) -> Result<Vec<u8>, VaultError> {
    let asked = Asked::read(question).ok_or_else(|| VaultError::invalid("this is no OCSP request"))?;
    let known = cert_id(key.provider(), asked.digest, issuer, asked.serial) == asked.id;
    let status = if known { status(asked.serial) } else { Status::Unknown };
    let mut single = asked.id.to_vec();
    single.extend(match status {
        Status::Good => vec![0x80, 0],
        Status::Unknown => vec![0x82, 0],
        Status::Revoked { at, reason } => {
            let reason = reason
                .map(|reason| der::wrap(der::context(0), &[&[der::ENUMERATED, 1, reason]]))
                .unwrap_or_default();
            der::wrap(der::context(1), &[&generalized(at), &reason])
        }
    });
    single.extend(generalized(validity.not_before));
    single.extend(der::wrap(der::context(0), &[&generalized(validity.not_after)]));
    let mut data = der::wrap(der::context(1), &[&responder.unwrap_or(issuer).subject]);
    data.extend(generalized(validity.not_before));
    data.extend(der::sequence(&der::sequence(&single)));
    if let Some(nonce) = asked.nonce {
        let list = der::sequence(&extension(oid::OCSP_NONCE, false, nonce));
        data.extend(der::wrap(der::context(1), &[&list]));
    }
    let mut basic = signed(key, &der::sequence(&data), DEFAULT_SM2_ID)?;
    if let Some(responder) = responder {
        let content = der::read_sequence(&basic).unwrap_or_default();
        let certificates = der::wrap(der::context(0), &[&der::sequence(responder.der())]);
        basic = der::sequence(&[content, &certificates].concat());
    }
    let mut inner = der::wrap(der::OID, &[oid::OCSP_BASIC]);
    der::put_octets(&mut inner, &basic);
    let bytes = der::wrap(der::context(0), &[&der::sequence(&inner)]);
    Ok(der::sequence(&[&[der::ENUMERATED, 1, 0], &bytes[..]].concat()))
}

/// What a question with one certificate asks.
struct Asked<'a> {
    /// CertID.
    id: &'a [u8],
    digest: Digest,
    serial: &'a [u8],
    /// The extension's value.
    nonce: Option<&'a [u8]>,
}

impl<'a> Asked<'a> {
    fn read(question: &'a [u8]) -> Option<Self> {
        let mut body = der::read_sequence(der::read_sequence(question)?)?;
        let mut list = der::take(&mut body, der::SEQUENCE)?;
        let mut request = der::take(&mut list, der::SEQUENCE)?;
        let id = der::element(&mut request)?;
        let mut fields = id.content_of(der::SEQUENCE)?;
        let digest = Digest::from_oid(der::take_algorithm(&mut fields)?.0)?;
        der::take_octets(&mut fields)?;
        der::take_octets(&mut fields)?;
        let serial = der::take_number(&mut fields)?;
        let mut nonce = None;
        if let Some(explicit) = der::optional(&mut body, der::context(2))? {
            let mut extensions = der::read_sequence(explicit)?;
            while !extensions.is_empty() {
                let (name, _, value) = take_extension(&mut extensions)?;
                nonce = nonce.or((name == oid::OCSP_NONCE).then_some(value));
            }
        }
        (list.is_empty() && request.is_empty() && body.is_empty()).then_some(Self {
            id: id.whole,
            digest,
            serial,
            nonce,
        })
    }
}
