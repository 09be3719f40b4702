//! A small time-stamp authority on a pair of the vault, for development, tests and the demo. Its time is the machine's, so what it
//! stamps proves nothing to others: production asks a licensed authority.
use super::token;
use crate::{
    certificate::{Certificate, CertificateError, Digest, PublicKey, sign_with},
    error::VaultError,
    format::{der, oid},
    message::signed,
    provider::DEFAULT_SM2_ID,
    vault::KeyHandle,
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Tells the time in Unix milliseconds.
pub type AuthorityClock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Issues time stamps.
pub struct TimeStampAuthority {
    key: KeyHandle,
    certificate: Certificate,
    policy: Vec<u8>,
    clock: AuthorityClock,
    /// Serial numbers: twelve random bytes of this instance, then a counter.
    instance: [u8; 12],
    issued: AtomicU64,
}

// RFC 3161 §2.4.2: bits of PKIFailureInfo.
const BAD_ALGORITHM: u8 = 0;
const BAD_FORMAT: u8 = 5;
const UNACCEPTED_POLICY: u8 = 15;
const UNACCEPTED_EXTENSION: u8 = 16;
const SYSTEM_FAILURE: u8 = 25;

/// A request is some hundred bytes.
const MAX_REQUEST: usize = 4096;

impl TimeStampAuthority {
    /// `key` is a signing pair, `certificate` its certificate for time stamping and nothing else, `policy` a dotted identifier.
    pub fn new(
        key: KeyHandle,
        certificate: Certificate,
        policy: &str,
        clock: AuthorityClock,
    ) -> Result<Self, VaultError> {
        if certificate.public != PublicKey::of(&key)? {
            return Err(VaultError::invalid("the time-stamp authority's certificate is of another key"));
        }
        if !certificate.is_only_for(oid::TIME_STAMPING) {
            let why = CertificateError::WrongUse;
            return Err(VaultError::invalid(format!("the time-stamp authority's certificate: {why}")));
        }
        let policy = oid::from_dotted(policy)
            .ok_or_else(|| VaultError::invalid("a policy is a dotted identifier, for example 1.2.3"))?;
        let mut instance = [0; 12];
        key.provider().random(&mut instance)?;
        instance[0] = instance[0] & 0x7f | 0x40;
        Ok(Self { key, certificate, policy, clock, instance, issued: AtomicU64::new(0) })
    }

    /// The answer to a request, to be sent as `application/timestamp-reply`; a refusal is an answer too.
    pub fn answer(&self, request: &[u8]) -> Vec<u8> {
        match self.grant(request) {
            Ok(token) => der::sequence(&[&[der::SEQUENCE, 3, der::INTEGER, 1, 0], &token[..]].concat()),
            Err(failure) => rejection(failure),
        }
    }

    fn grant(&self, request: &[u8]) -> Result<Vec<u8>, u8> {
        if request.len() > MAX_REQUEST {
            return Err(BAD_FORMAT);
        }
        let asked = Asked::read(request).ok_or(BAD_FORMAT)?;
        if asked.extensions {
            return Err(UNACCEPTED_EXTENSION);
        }
        let (digest, imprint) = asked.imprint.ok_or(BAD_ALGORITHM)?;
        if digest == Digest::Sha1 {
            return Err(BAD_ALGORITHM);
        }
        if asked.policy.is_some_and(|policy| policy != self.policy) {
            return Err(UNACCEPTED_POLICY);
        }
        let now = (self.clock)();
        let mut info = vec![der::INTEGER, 1, 1];
        der::put(&mut info, der::OID, &[&self.policy]);
        info.extend(token::write_imprint(digest, imprint));
        let serial = self.issued.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        der::put(&mut info, der::INTEGER, &[&self.instance, &serial]);
        info.extend(token::write_time(now));
        if let Some(nonce) = asked.nonce {
            der::put(&mut info, der::INTEGER, &[nonce]);
        }
        self.token(&der::sequence(&info), asked.certificate, now.div_euclid(1000)).map_err(|_| SYSTEM_FAILURE)
    }

    /// ContentInfo around the signed TSTInfo. RFC 3161 §2.4.2.
    fn token(&self, info: &[u8], certificate: bool, now: i64) -> Result<Vec<u8>, VaultError> {
        let provider = self.key.provider();
        let digest = match self.certificate.public {
            PublicKey::Sm2(_) => Digest::Sm3,
            PublicKey::P256(_) | PublicKey::Rsa(_) => Digest::Sha256,
        };
        let mut attributes = signed::basic_attributes(oid::TST_INFO, &digest.of(provider, info), now);
        let pin = token::write_pin(provider, digest, &self.certificate);
        attributes.push(signed::attribute(oid::SIGNING_CERTIFICATE_V2, &pin));
        let set = der::set_of(der::SET, attributes);
        let (algorithm, digest, signature) = sign_with(&self.key, &set, DEFAULT_SM2_ID)?;
        let digest = der::algorithm(digest.oid(), &[]);
        let mut signer = vec![der::INTEGER, 1, 1];
        signer.extend(signed::write_named(&self.certificate.issuer, &self.certificate.serial));
        signer.extend_from_slice(&digest);
        // Signed as a SET, written as [0] IMPLICIT.
        signer.push(der::context(0));
        signer.extend_from_slice(&set[1..]);
        signer.extend(der::algorithm(algorithm, &[]));
        der::put_octets(&mut signer, &signature);
        let mut content = der::wrap(der::OID, &[oid::TST_INFO]);
        der::put(&mut content, der::context(0), &[&der::wrap(der::OCTET_STRING, &[info])]);
        let mut body = vec![der::INTEGER, 1, 3];
        der::put(&mut body, der::SET, &[&digest]);
        der::put(&mut body, der::SEQUENCE, &[&content]);
        if certificate {
            der::put(&mut body, der::context(0), &[self.certificate.der()]);
        }
        der::put(&mut body, der::SET, &[&der::sequence(&signer)]);
        let mut token = der::wrap(der::OID, &[oid::PKCS7_SIGNED]);
        der::put(&mut token, der::context(0), &[&der::sequence(&body)]);
        Ok(der::sequence(&token))
    }
}

/// PKIStatusInfo { rejection, one failure bit }.
fn rejection(failure: u8) -> Vec<u8> {
    let mut bits = vec![0u8; usize::from(failure / 8) + 1];
    let last = bits.len() - 1;
    bits[last] = 0x80 >> (failure % 8);
    let bits = der::wrap(der::BIT_STRING, &[&[7 - failure % 8], &bits]);
    der::sequence(&der::sequence(&[&[der::INTEGER, 1, 2], &bits[..]].concat()))
}

/// What a TimeStampReq asks.
struct Asked<'a> {
    /// `None`: a digest this authority does not know.
    imprint: Option<(Digest, &'a [u8])>,
    policy: Option<&'a [u8]>,
    nonce: Option<&'a [u8]>,
    certificate: bool,
    extensions: bool,
}

impl<'a> Asked<'a> {
    fn read(request: &'a [u8]) -> Option<Self> {
        let mut body = der::read_sequence(request)?;
        let version = der::take(&mut body, der::INTEGER)?;
        let mut imprint = der::element(&mut body)?.whole;
        let imprint = token::take_imprint(&mut imprint);
        let policy = der::optional(&mut body, der::OID)?;
        let nonce =
            if body.first() == Some(&der::INTEGER) { Some(der::take_number(&mut body)?) } else { None };
        let certificate = match der::optional(&mut body, der::BOOLEAN)? {
            None => false,
            Some([0xff]) => true,
            // DEFAULT FALSE is left out in DER.
            Some(_) => return None,
        };
        let extensions = der::optional(&mut body, der::context(0))?.is_some();
        (body.is_empty() && version == [1]).then_some(Self {
            imprint,
            policy,
            nonce,
            certificate,
            extensions,
        })
    }
}
