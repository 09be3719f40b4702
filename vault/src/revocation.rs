//! Whether a certificate was revoked: revocation lists (RFC 5280, GM/T 0015) and OCSP answers (RFC 6960), read from bytes that the
//! caller fetched. For chain checks, messages and time stamps.
use crate::{
    certificate::{Certificate, CertificateError},
    format::der,
};

mod issue;
mod list;
mod ocsp;

pub use issue::{RevokedEntry, issue_list, issue_ocsp_answer};
pub use list::RevocationList;
pub use ocsp::{CertIdHash, OcspAnswer, OcspQuery};

/// Seconds by which clocks may differ.
pub(crate) const CLOCK_SKEW: i64 = 300;

/// What a revocation source says of one certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Good,
    Revoked {
        /// Unix seconds.
        at: i64,
        /// RFC 5280 §5.3.1, for example 1: key compromise.
        reason: Option<u8>,
    },
    Unknown,
}

/// What a chain check does where no source in force speaks of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Hard fail.
    Refuse,
    /// Soft fail: what is known to be revoked is refused, the rest passes.
    Accept,
}

/// How a chain check looks at revocation.
#[derive(Clone, Copy)]
pub enum Revocation<'a> {
    None,
    Lists { lists: &'a [RevocationList], missing: Missing },
    Ocsp { answers: &'a [OcspAnswer], missing: Missing },
}

impl Revocation<'_> {
    pub(crate) fn check(
        &self,
        certificate: &Certificate,
        issuer: &Certificate,
        now: i64,
    ) -> Result<(), CertificateError> {
        let (found, missing) = match self {
            Self::None => return Ok(()),
            Self::Lists { lists, missing } => {
                (worst(lists.iter().map(|list| list.status(certificate, issuer, now))), missing)
            }
            Self::Ocsp { answers, missing } => {
                (worst(answers.iter().map(|answer| answer.status_of(certificate, issuer, now))), missing)
            }
        };
        match (found, missing) {
            (Status::Good, _) | (Status::Unknown, Missing::Accept) => Ok(()),
            (Status::Revoked { .. }, _) => Err(CertificateError::Revoked),
            (Status::Unknown, Missing::Refuse) => Err(CertificateError::RevocationUnknown),
        }
    }
}

/// Of several sources the one that revokes counts, then the one that knows.
fn worst(found: impl Iterator<Item = Status>) -> Status {
    found.fold(Status::Unknown, |so_far, next| match (so_far, next) {
        (revoked @ Status::Revoked { .. }, _) => revoked,
        (Status::Good, Status::Unknown) => Status::Good,
        (_, next) => next,
    })
}

/// Why a list or an answer is not accepted. Both are public, so this may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RevocationError {
    #[error(
        "this is no revocation list or OCSP answer this program reads: strict DER of RFC 5280 or RFC 6960"
    )]
    Malformed,
    #[error(
        "the list has a critical extension this program does not know: delta, indirect and partial lists are not read"
    )]
    UnknownCritical,
    #[error("none of the given issuers made this")]
    Issuer,
    #[error("the signature does not hold")]
    Signature,
    #[error("the OCSP responder may not answer for this issuer")]
    Responder,
    #[error("the OCSP responder answered with no status but with error {0} (RFC 6960 §4.2.1)")]
    Failed(u8),
    #[error("the OCSP answer is for another certificate")]
    OtherCertificate,
    #[error("the OCSP answer does not carry the nonce of the request")]
    Nonce,
    #[error("the OCSP answer is not yet or no longer in force, or says no end and carries no nonce")]
    OutOfTime,
}

/// The reason in a list entry's or OCSP answer's ENUMERATED.
fn reason(mut value: &[u8]) -> Option<u8> {
    let content = der::take(&mut value, der::ENUMERATED)?;
    match content {
        [reason @ 0..=10] if value.is_empty() => Some(*reason),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
