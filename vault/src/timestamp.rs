//! Time stamps (RFC 3161, GM/T 0033) with SM3 and SM2: the question to an authority, the check of its answer and of a kept token,
//! and a small authority for development. Bytes in, bytes out: the caller sends them. For evidence and signed records.
use crate::{
    certificate::{Certificate, CertificateError, Digest},
    error::VaultError,
    format::{der, oid},
    provider::Provider,
    revocation::Revocation,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod authority;
mod token;

pub use authority::{AuthorityClock, TimeStampAuthority};

/// The digest of what is stamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StampHash {
    #[default]
    Sm3,
    Sha256,
}

impl StampHash {
    fn digest(self) -> Digest {
        match self {
            Self::Sm3 => Digest::Sm3,
            Self::Sha256 => Digest::Sha256,
        }
    }
}

/// What to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StampRequest {
    pub hash: StampHash,
    /// The policy demanded, as a dotted identifier; any of the authority's where absent.
    pub policy: Option<String>,
    /// Whether the token shall carry the authority's certificate.
    pub certificate: bool,
}

impl Default for StampRequest {
    fn default() -> Self {
        Self { hash: StampHash::default(), policy: None, certificate: true }
    }
}

/// Whose time stamps count.
#[derive(Clone, Copy)]
pub struct StampTrust<'a> {
    pub roots: &'a [Certificate],
    /// Certificates of authorities and intermediates that tokens do not carry.
    pub more: &'a [Certificate],
    /// Looked at for the time of the stamp.
    pub revocation: Revocation<'a>,
    /// Policies accepted, as dotted identifiers; any where empty.
    pub policies: &'a [String],
}

/// A time stamp that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeStamp {
    /// Unix milliseconds.
    pub time: i64,
    /// Milliseconds by which the time may be off, where the authority says so.
    pub accuracy: Option<u64>,
    /// Big-endian, unique per authority.
    pub serial: Vec<u8>,
    /// To be kept: [`verify_token`] proves the time again.
    pub token: Vec<u8>,
}

/// Why there is no time stamp. Time stamps are public, so this may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimeStampError {
    #[error(
        "this is no time-stamp answer or token this program reads: strict DER of RFC 3161, at most 256 KiB"
    )]
    Malformed,
    #[error("the authority refused with status {status} and failure bit {failure:?} (RFC 3161 §2.4.2)")]
    Rejected { status: u8, failure: Option<u8> },
    #[error("the time stamp is for other data")]
    Imprint,
    #[error("the time stamp does not carry the request's nonce")]
    Nonce,
    #[error("the time stamp is under a policy that was not asked for or is not accepted")]
    Policy,
    #[error("the stamped time is not the present one")]
    OutOfTime,
    #[error("the authority's certificate: {0}")]
    Certificate(#[from] CertificateError),
    #[error("the time stamp's signature does not hold")]
    Signature,
}

/// Largest answer or token read, in bytes.
const MAX_TOKEN: usize = 256 << 10;

/// A question to a time-stamp authority, to be posted as `application/timestamp-query` (RFC 3161 §3.4).
///
/// ```
/// use qiao_vault::timestamp::{StampRequest, StampTrust, TimeStamp, TimeStampQuery};
/// # use qiao_vault::PureProvider;
/// fn stamp(
///     data: &[u8],
///     trust: &StampTrust<'_>,
///     send: impl Fn(&[u8]) -> Vec<u8>,
///     now: i64,
/// ) -> Result<TimeStamp, Box<dyn std::error::Error>> {
///     let query = TimeStampQuery::new(&PureProvider, data, &StampRequest::default())?;
///     let answer = send(query.der());
///     // The clocks may differ by a minute.
///     Ok(query.read_answer(&PureProvider, &answer, trust, now, 60)?)
/// }
/// ```
pub struct TimeStampQuery {
    der: Vec<u8>,
    hash: StampHash,
    imprint: Vec<u8>,
    /// Content of the INTEGER.
    nonce: Vec<u8>,
    policy: Option<Vec<u8>>,
}

impl TimeStampQuery {
    /// Always with a random nonce of 8 bytes.
    pub fn new(provider: &dyn Provider, data: &[u8], request: &StampRequest) -> Result<Self, VaultError> {
        let imprint = request.hash.digest().of(provider, data);
        let policy = match &request.policy {
            Some(text) => Some(oid::from_dotted(text).ok_or_else(|| {
                VaultError::invalid("a policy is a dotted identifier, for example 1.2.156.10197.1.1")
            })?),
            None => None,
        };
        let mut nonce = vec![0; 8];
        provider.random(&mut nonce)?;
        // Positive and of eight bytes, so that no other program shortens it.
        nonce[0] = nonce[0] & 0x7f | 0x40;
        let mut body = vec![der::INTEGER, 1, 1];
        body.extend(token::write_imprint(request.hash.digest(), &imprint));
        if let Some(policy) = &policy {
            der::put(&mut body, der::OID, &[policy]);
        }
        der::put(&mut body, der::INTEGER, &[&nonce]);
        if request.certificate {
            body.extend_from_slice(&[der::BOOLEAN, 1, 0xff]);
        }
        Ok(Self { der: der::sequence(&body), hash: request.hash, imprint, nonce, policy })
    }

    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Checks an answer (RFC 3161 §2.4): granted, for this data, nonce and policy, stamped at `now` (Unix seconds) give or take
    /// `tolerance` seconds, signed by a trusted authority.
    pub fn read_answer(
        &self,
        provider: &dyn Provider,
        answer: &[u8],
        trust: &StampTrust<'_>,
        now: i64,
        tolerance: u32,
    ) -> Result<TimeStamp, TimeStampError> {
        let token = token::granted(answer)?;
        let (info, stamp) = token::verify(provider, token, self.hash.digest(), &self.imprint, trust)?;
        if info.nonce != Some(&self.nonce) {
            return Err(TimeStampError::Nonce);
        }
        if self.policy.as_ref().is_some_and(|policy| policy != info.policy) {
            return Err(TimeStampError::Policy);
        }
        if (stamp.time.div_euclid(1000) - now).unsigned_abs() > u64::from(tolerance) {
            return Err(TimeStampError::OutOfTime);
        }
        Ok(stamp)
    }
}

/// Checks a kept token for the data it was made for; the authority's certificate must have been valid at the stamped time.
pub fn verify_token(
    provider: &dyn Provider,
    token: &[u8],
    data: &[u8],
    hash: StampHash,
    trust: &StampTrust<'_>,
) -> Result<TimeStamp, TimeStampError> {
    let imprint = hash.digest().of(provider, data);
    token::verify(provider, token, hash.digest(), &imprint, trust).map(|(_, stamp)| stamp)
}

#[cfg(test)]
mod tests;
