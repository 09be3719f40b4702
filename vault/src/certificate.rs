//! Certificates (X.509, GM/T 0015) and requests for them: a partner's key out of its certificate, a chain checked up to a trusted
//! root and, where asked for, against revocation, certificates and requests of our own.
use crate::{
    error::VaultError,
    key_text::write_sm2_public_pem,
    provider::{DEFAULT_SM2_ID, Provider},
    revocation::Revocation,
    vault::KeyHandle,
};

mod issue;
pub(crate) mod parse;
mod public;
mod request;
pub(crate) mod time;

pub(crate) use issue::extension;
pub use issue::{CertificateUse, Validity, issue_certificate};
pub use public::PublicKey;
pub(crate) use public::{Algorithm, Digest, own_algorithm, sign_with, signed};
pub(crate) use request::name;
pub use request::{Subject, certificate_request};

/// The longest chain followed, the leaf included.
const MAX_CHAIN: usize = 8;
const MAX_CERTIFICATE: usize = 64 << 10;

/// Why a certificate is not accepted. Certificates are public, so this may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    #[error(
        "this is no certificate this program reads: PEM or DER of X.509 version 3, signed by SM2 with SM3, by ECDSA on P-256 or \
         by RSA, of a key of one of these kinds"
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
    #[error("a certificate of the chain was revoked")]
    Revoked,
    #[error("no revocation list or answer at hand, in force now, speaks of a certificate of the chain")]
    RevocationUnknown,
    #[error("the certificate is not for this use")]
    WrongUse,
}

use CertificateError::{Malformed, NoAuthority, OutOfTime, Signature, TooLong, UnknownCritical, Untrusted};

/// A parsed certificate; parsing verifies nothing.
#[derive(Clone)]
pub struct Certificate {
    pub(crate) whole: Vec<u8>,
    /// The signed part, as it stands in `whole`.
    signed: std::ops::Range<usize>,
    algorithm: Algorithm,
    signature: Vec<u8>,
    /// DER of the names.
    pub(crate) issuer: Vec<u8>,
    pub(crate) subject: Vec<u8>,
    /// Big-endian.
    pub serial: Vec<u8>,
    /// Unix seconds.
    pub not_before: i64,
    pub not_after: i64,
    pub public: PublicKey,
    /// What the public key's BIT STRING holds, which OCSP names an issuer by.
    pub(crate) key_bits: Vec<u8>,
    extensions: parse::Extensions,
}

/// First byte of the keyUsage bit string.
const DIGITAL_SIGNATURE: u8 = 0x80;
const NON_REPUDIATION: u8 = 0x40;
const KEY_CERT_SIGN: u8 = 0x04;
const CRL_SIGN: u8 = 0x02;

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
        parse::parse(whole).ok_or(Malformed)
    }

    /// The certificate as it was read, in DER.
    pub fn der(&self) -> &[u8] {
        &self.whole
    }

    /// The subject key identifier, where the certificate has one.
    pub fn key_id(&self) -> Option<&[u8]> {
        self.extensions.key_id.as_deref()
    }

    /// Whether the key may sign messages: keyUsage absent, or with digitalSignature or nonRepudiation.
    pub fn may_sign(&self) -> bool {
        self.has_usage(DIGITAL_SIGNATURE | NON_REPUDIATION)
    }

    /// Whether the key may sign revocation lists: keyUsage absent or with cRLSign.
    pub(crate) fn may_sign_lists(&self) -> bool {
        self.has_usage(CRL_SIGN)
    }

    fn has_usage(&self, wanted: u8) -> bool {
        self.extensions.key_usage.is_none_or(|bits| bits & wanted != 0)
    }

    /// Whether extendedKeyUsage names this use; one that is absent names none.
    pub(crate) fn names_use(&self, oid: &[u8]) -> bool {
        self.extensions.uses.iter().any(|known| known == oid)
    }

    /// Whether extendedKeyUsage names this use, is critical and names nothing else. RFC 3161 §2.3.
    pub(crate) fn is_only_for(&self, oid: &[u8]) -> bool {
        self.extensions.uses_critical && self.extensions.uses.len() == 1 && self.names_use(oid)
    }

    pub(crate) fn check_signature(
        &self,
        provider: &dyn Provider,
        issuer: &PublicKey,
    ) -> Result<(), CertificateError> {
        issuer
            .verify(
                provider,
                self.algorithm,
                &self.whole[self.signed.clone()],
                &self.signature,
                DEFAULT_SM2_ID,
            )
            .map_err(|_| Signature)
    }

    pub(crate) fn check_at(&self, now: i64) -> Result<(), CertificateError> {
        match () {
            () if self.extensions.unknown_critical => Err(UnknownCritical),
            () if !(self.not_before..=self.not_after).contains(&now) => Err(OutOfTime),
            () => Ok(()),
        }
    }

    /// Whether it may issue a certificate with that many authorities between itself and the leaf.
    fn check_authority(&self, below: usize) -> Result<(), CertificateError> {
        let may = self.extensions.authority
            && self.extensions.path_length.is_none_or(|length| below <= length)
            && self.has_usage(KEY_CERT_SIGN);
        if may { Ok(()) } else { Err(NoAuthority) }
    }
}

/// Follows the chain from its leaf (first) through the given intermediates, in order, to one of the roots, all valid at
/// `now` (Unix seconds). Gives the leaf's key. RFC 5280 §6 without policies and name constraints; a critical extension of
/// these kinds is refused. Revocation is not looked at; see [`verify_chain_with`].
pub fn verify_chain(
    provider: &dyn Provider,
    chain: &[Certificate],
    roots: &[Certificate],
    now: i64,
) -> Result<PublicKey, CertificateError> {
    verify_chain_with(provider, chain, roots, now, &Revocation::None)
}

/// As [`verify_chain`]; every certificate below the root must also pass the revocation check.
///
/// ```
/// use qiao_vault::certificate::{Certificate, CertificateError, PublicKey, verify_chain_with};
/// use qiao_vault::revocation::{Missing, Revocation, RevocationList};
/// # use qiao_vault::PureProvider;
/// fn partner_key(
///     chain: &[Certificate],
///     roots: &[Certificate],
///     lists: &[RevocationList],
///     now: i64,
/// ) -> Result<PublicKey, CertificateError> {
///     let revocation = Revocation::Lists { lists, missing: Missing::Refuse };
///     verify_chain_with(&PureProvider, chain, roots, now, &revocation)
/// }
/// # assert_eq!(partner_key(&[], &[], &[], 0), Err(CertificateError::Untrusted));
/// ```
pub fn verify_chain_with(
    provider: &dyn Provider,
    chain: &[Certificate],
    roots: &[Certificate],
    now: i64,
    revocation: &Revocation<'_>,
) -> Result<PublicKey, CertificateError> {
    let chain: Vec<&Certificate> = chain.iter().collect();
    let leaf = *chain.first().ok_or(Untrusted)?;
    for (certificate, issuer) in path(provider, &chain, roots, now)? {
        revocation.check(certificate, issuer, now)?;
    }
    Ok(leaf.public.clone())
}

/// The leaf and, of an unordered bag, the certificates that lead on from it by their names.
pub(crate) fn ordered<'a>(leaf: &'a Certificate, bag: &'a [Certificate]) -> Vec<&'a Certificate> {
    let mut chain = vec![leaf];
    while chain.len() < MAX_CHAIN {
        let last = chain[chain.len() - 1];
        let next = bag
            .iter()
            .find(|next| next.subject == last.issuer && !chain.iter().any(|known| known.whole == next.whole));
        match next {
            Some(next) => chain.push(next),
            None => break,
        }
    }
    chain
}

/// Each certificate on the way to a root with the one that issued it.
pub(crate) fn path<'a>(
    provider: &dyn Provider,
    chain: &[&'a Certificate],
    roots: &'a [Certificate],
    now: i64,
) -> Result<Vec<(&'a Certificate, &'a Certificate)>, CertificateError> {
    if chain.len() > MAX_CHAIN {
        return Err(TooLong);
    }
    let mut path = Vec::with_capacity(chain.len());
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
                Ok(()) => {
                    path.push((*certificate, root));
                    return Ok(path);
                }
                Err(error) => refusal = error,
            }
        }
        let next = *chain.get(at + 1).filter(|next| next.subject == certificate.issuer).ok_or(refusal)?;
        certificate.check_signature(provider, &next.public)?;
        path.push((*certificate, next));
    }
    Err(Untrusted)
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
