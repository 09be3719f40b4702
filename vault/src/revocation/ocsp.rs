//! OCSP: the question about one certificate and the check of its answer (RFC 6960). Bytes in, bytes out. For `revocation`.
use super::{CLOCK_SKEW, RevocationError, Status, reason};
use crate::{
    certificate::{
        Algorithm, Certificate, Digest, extension,
        parse::take_extension,
        time::{GENERALIZED_TIME, unix_seconds},
    },
    error::VaultError,
    format::{der, oid},
    provider::{DEFAULT_SM2_ID, Provider},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The digest that names the issuer in a question. Responders of licensed authorities want SM3, most others only know SHA-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CertIdHash {
    #[default]
    Sm3,
    Sha1,
    Sha256,
}

/// A question about one certificate, to be posted as `application/ocsp-request`.
///
/// ```
/// use qiao_vault::certificate::Certificate;
/// use qiao_vault::revocation::{CertIdHash, OcspAnswer, OcspQuery};
/// # use qiao_vault::PureProvider;
/// fn ask(
///     certificate: &Certificate,
///     issuer: &Certificate,
///     send: impl Fn(&[u8]) -> Vec<u8>,
///     now: i64,
/// ) -> Result<OcspAnswer, Box<dyn std::error::Error>> {
///     let query = OcspQuery::new(&PureProvider, certificate, issuer, CertIdHash::Sm3, true)?;
///     Ok(query.read_answer(&PureProvider, &send(query.der()), issuer, now)?)
/// }
/// ```
pub struct OcspQuery {
    der: Vec<u8>,
    serial: Vec<u8>,
    nonce: Option<[u8; 16]>,
}

/// An answer whose signature held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OcspAnswer {
    pub status: Status,
    /// Unix seconds.
    pub this_update: i64,
    /// Absent: whoever asks again may hear otherwise at once.
    pub next_update: Option<i64>,
    serial: Vec<u8>,
    /// The subject and key of the certificate's issuer.
    issuer: (Vec<u8>, Vec<u8>),
}

/// Largest answer read, with the responder's certificates inside.
const MAX_ANSWER: usize = 256 << 10;
const MAX_CERTIFICATES: usize = 8;
const MAX_SINGLE: usize = 64;
/// Context tags of primitive choices.
const GOOD: u8 = 0x80;
const UNKNOWN: u8 = 0x82;

use RevocationError::{Failed, Malformed, Nonce, OtherCertificate, OutOfTime, Responder, Signature};

impl OcspQuery {
    /// With `nonce`, an answer without it is refused; many public responders answer from stock and have none.
    pub fn new(
        provider: &dyn Provider,
        certificate: &Certificate,
        issuer: &Certificate,
        hash: CertIdHash,
        nonce: bool,
    ) -> Result<Self, VaultError> {
        let digest = match hash {
            CertIdHash::Sm3 => Digest::Sm3,
            CertIdHash::Sha1 => Digest::Sha1,
            CertIdHash::Sha256 => Digest::Sha256,
        };
        let id = cert_id(provider, digest, issuer, &certificate.serial);
        let mut body = der::sequence(&der::sequence(&id));
        let mut made = None;
        if nonce {
            let mut bytes = [0; 16];
            provider.random(&mut bytes)?;
            let value = der::wrap(der::OCTET_STRING, &[&bytes]);
            let list = der::sequence(&extension(oid::OCSP_NONCE, false, &value));
            body.extend(der::wrap(der::context(2), &[&list]));
            made = Some(bytes);
        }
        let der = der::sequence(&der::sequence(&body));
        Ok(Self { der, serial: certificate.serial.clone(), nonce: made })
    }

    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Checks an answer (RFC 6960 §3.2): for this certificate, signed by its issuer or by a responder the issuer made one, with
    /// this question's nonce, in force at `now` (Unix seconds, give or take five minutes).
    pub fn read_answer(
        &self,
        provider: &dyn Provider,
        bytes: &[u8],
        issuer: &Certificate,
        now: i64,
    ) -> Result<OcspAnswer, RevocationError> {
        if bytes.len() > MAX_ANSWER {
            return Err(Malformed);
        }
        let (status, basic) = response(bytes).ok_or(Malformed)?;
        if status != 0 {
            return Err(Failed(status));
        }
        let basic = Basic::read(basic.ok_or(Malformed)?).ok_or(Malformed)?;
        basic.check_signature(provider, issuer, now)?;
        let data = basic.data(provider, issuer, &self.serial).ok_or(Malformed)?;
        if self.nonce.is_some() && self.nonce.as_ref().map(|nonce| &nonce[..]) != data.nonce {
            return Err(Nonce);
        }
        let answer = data.answer.ok_or(OtherCertificate)?;
        let fresh = answer.next_update.is_some() || self.nonce.is_some();
        if !fresh || !answer.in_force(now) {
            return Err(OutOfTime);
        }
        Ok(answer)
    }
}

impl OcspAnswer {
    fn in_force(&self, now: i64) -> bool {
        let end = self.next_update.unwrap_or(self.this_update + CLOCK_SKEW);
        self.this_update - CLOCK_SKEW <= now && now <= end + CLOCK_SKEW
    }

    pub(super) fn status_of(&self, certificate: &Certificate, issuer: &Certificate, now: i64) -> Status {
        let own = self.serial == certificate.serial
            && self.issuer.0 == certificate.issuer
            && self.issuer.1 == issuer.key_bits;
        match self.status {
            revoked @ Status::Revoked { .. } if own => revoked,
            status if own && self.in_force(now) => status,
            _ => Status::Unknown,
        }
    }
}

/// CertID.
pub(super) fn cert_id(
    provider: &dyn Provider,
    digest: Digest,
    issuer: &Certificate,
    serial: &[u8],
) -> Vec<u8> {
    let mut id = der::algorithm(digest.oid(), &[der::NULL, 0]);
    der::put_octets(&mut id, &digest.of(provider, &issuer.subject));
    der::put_octets(&mut id, &digest.of(provider, &issuer.key_bits));
    der::put(&mut id, der::INTEGER, &[serial]);
    der::sequence(&id)
}

/// OCSPResponse: its status and the BasicOCSPResponse.
fn response(bytes: &[u8]) -> Option<(u8, Option<&[u8]>)> {
    let mut body = der::read_sequence(bytes)?;
    let [status] = der::take(&mut body, der::ENUMERATED)? else { return None };
    let mut basic = None;
    if let Some(explicit) = der::optional(&mut body, der::context(0))? {
        let mut inner = der::read_sequence(explicit)?;
        if der::take(&mut inner, der::OID)? != oid::OCSP_BASIC {
            return None;
        }
        basic = Some(der::take_octets(&mut inner)?);
        inner.is_empty().then_some(())?;
    }
    body.is_empty().then_some((*status, basic))
}

struct Basic<'a> {
    signed: &'a [u8],
    data: &'a [u8],
    algorithm: Algorithm,
    signature: &'a [u8],
    certificates: Vec<Certificate>,
}

struct Data<'a> {
    nonce: Option<&'a [u8]>,
    answer: Option<OcspAnswer>,
}

impl<'a> Basic<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut body = der::read_sequence(bytes)?;
        let signed = der::element(&mut body)?;
        let algorithm = Algorithm::take(&mut body)?;
        let signature = der::take_bits(&mut body)?;
        let mut certificates = Vec::new();
        if let Some(explicit) = der::optional(&mut body, der::context(0))? {
            let mut list = der::read_sequence(explicit)?;
            while !list.is_empty() && certificates.len() < MAX_CERTIFICATES {
                certificates.push(Certificate::read(der::element(&mut list)?.whole).ok()?);
            }
            list.is_empty().then_some(())?;
        }
        let data = signed.content_of(der::SEQUENCE)?;
        body.is_empty().then_some(Self { signed: signed.whole, data, algorithm, signature, certificates })
    }

    /// By the issuer, or by one whose certificate the issuer signed for this use (RFC 6960 §4.2.2.2).
    fn check_signature(
        &self,
        provider: &dyn Provider,
        issuer: &Certificate,
        now: i64,
    ) -> Result<(), RevocationError> {
        let holds = |signer: &Certificate| {
            signer
                .public
                .verify(provider, self.algorithm, self.signed, self.signature, DEFAULT_SM2_ID)
                .is_ok()
        };
        if holds(issuer) {
            return Ok(());
        }
        let signer = self.certificates.iter().find(|certificate| holds(certificate)).ok_or(Signature)?;
        let delegated = signer.issuer == issuer.subject
            && signer.names_use(oid::OCSP_SIGNING)
            && signer.may_sign()
            && signer.check_at(now).is_ok()
            && signer.check_signature(provider, &issuer.public).is_ok();
        if delegated { Ok(()) } else { Err(Responder) }
    }

    fn data(&self, provider: &dyn Provider, issuer: &Certificate, serial: &[u8]) -> Option<Data<'a>> {
        let mut body = self.data;
        if der::optional(&mut body, der::context(0))?.is_some_and(|version| version != [der::INTEGER, 1, 0]) {
            return None;
        }
        let responder = der::element(&mut body)?;
        let known = responder.tag == der::context(1) || responder.tag == der::context(2);
        let produced = der::element(&mut body)?;
        unix_seconds(&produced).filter(|_| known && produced.tag == GENERALIZED_TIME)?;
        let mut singles = der::take(&mut body, der::SEQUENCE)?;
        let (mut answer, mut count) = (None, 0);
        while !singles.is_empty() {
            count += 1;
            let found = single(provider, &mut singles, issuer, serial)?;
            answer = answer.or(found).filter(|_| count <= MAX_SINGLE);
        }
        let mut nonce = None;
        if let Some(explicit) = der::optional(&mut body, der::context(1))? {
            let mut extensions = der::read_sequence(explicit)?;
            while !extensions.is_empty() {
                match take_extension(&mut extensions)? {
                    (oid::OCSP_NONCE, _, mut value) => nonce = Some(der::take_octets(&mut value)?),
                    (_, critical, _) if critical => return None,
                    _ => {}
                }
            }
        }
        body.is_empty().then_some(Data { nonce, answer })
    }
}

/// One SingleResponse; nothing where it is about another certificate.
fn single(
    provider: &dyn Provider,
    singles: &mut &[u8],
    issuer: &Certificate,
    serial: &[u8],
) -> Option<Option<OcspAnswer>> {
    let mut body = der::take(singles, der::SEQUENCE)?;
    let mut id = der::take(&mut body, der::SEQUENCE)?;
    let digest = Digest::from_oid(der::take_algorithm(&mut id)?.0)?;
    let (name, key) = (der::take_octets(&mut id)?, der::take_octets(&mut id)?);
    let same_serial = der::take_number(&mut id)? == serial && id.is_empty();
    let status = der::element(&mut body)?;
    let status = match status.tag {
        GOOD if status.content.is_empty() => Status::Good,
        UNKNOWN if status.content.is_empty() => Status::Unknown,
        tag if tag == der::context(1) => revoked(status.content)?,
        _ => return None,
    };
    let this_update = unix_seconds(&der::element(&mut body)?)?;
    let next_update = match der::optional(&mut body, der::context(0))? {
        Some(mut explicit) => Some(unix_seconds(&der::element(&mut explicit)?)?),
        None => None,
    };
    if let Some(explicit) = der::optional(&mut body, der::context(1))? {
        let mut extensions = der::read_sequence(explicit)?;
        while !extensions.is_empty() {
            if take_extension(&mut extensions)?.1 {
                return None;
            }
        }
    }
    body.is_empty().then_some(())?;
    let same = same_serial
        && name == digest.of(provider, &issuer.subject)
        && key == digest.of(provider, &issuer.key_bits);
    let issuer = (issuer.subject.clone(), issuer.key_bits.clone());
    Some(same.then(|| OcspAnswer { status, this_update, next_update, serial: serial.to_vec(), issuer }))
}

fn revoked(mut content: &[u8]) -> Option<Status> {
    let at = unix_seconds(&der::element(&mut content)?)?;
    let reason = match der::optional(&mut content, der::context(0))? {
        Some(value) => Some(reason(value)?),
        None => None,
    };
    content.is_empty().then_some(Status::Revoked { at, reason })
}
