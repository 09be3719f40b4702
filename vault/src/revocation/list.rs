//! Certificate revocation lists. For `revocation`.
use super::{CLOCK_SKEW, RevocationError, Status, reason};
use crate::{
    certificate::{Algorithm, Certificate, PublicKey, parse::take_extension, time::unix_seconds},
    format::{der, oid},
    key_text::read_pem,
    provider::{DEFAULT_SM2_ID, Provider},
};
use std::collections::HashMap;

/// The lists of large authorities have some hundred thousand entries.
const MAX_LIST: usize = 32 << 20;

/// A revocation list whose signature held, its serial numbers indexed.
pub struct RevocationList {
    issuer: Vec<u8>,
    signer: PublicKey,
    /// Unix seconds.
    pub this_update: i64,
    pub next_update: i64,
    revoked: HashMap<Box<[u8]>, (i64, Option<u8>)>,
}

use RevocationError::{Issuer, Malformed, Signature, UnknownCritical};

impl RevocationList {
    /// From PEM (`BEGIN X509 CRL`) or DER, at most 32 MiB, signed by one of the issuers. A list in force for now or the past
    /// is accepted; whether it still counts is decided at each check.
    pub fn read(
        provider: &dyn Provider,
        bytes: &[u8],
        issuers: &[Certificate],
    ) -> Result<Self, RevocationError> {
        if bytes.len() > MAX_LIST {
            return Err(Malformed);
        }
        let text = std::str::from_utf8(bytes).ok().filter(|text| text.contains("-----BEGIN"));
        let decoded = text.map(|text| read_pem(text, "X509 CRL")).transpose().map_err(|_| Malformed)?;
        let parsed = Parsed::read(decoded.as_deref().unwrap_or(bytes)).ok_or(Malformed)?;
        if parsed.unknown_critical {
            return Err(UnknownCritical);
        }
        let mut refusal = Issuer;
        for issuer in
            issuers.iter().filter(|issuer| issuer.subject == parsed.issuer && issuer.may_sign_lists())
        {
            let (signed, made) = (parsed.signed, parsed.signature);
            match issuer.public.verify(provider, parsed.algorithm, signed, made, DEFAULT_SM2_ID) {
                Ok(()) => return Ok(parsed.into_list(issuer.public.clone())),
                Err(_) => refusal = Signature,
            }
        }
        Err(refusal)
    }

    /// How many certificates it revokes.
    pub fn len(&self) -> usize {
        self.revoked.len()
    }

    pub fn is_empty(&self) -> bool {
        self.revoked.is_empty()
    }

    /// `Unknown` where the list is another issuer's, or not in force at `now` (Unix seconds, give or take five minutes).
    pub fn status(&self, certificate: &Certificate, issuer: &Certificate, now: i64) -> Status {
        let own = self.issuer == certificate.issuer && self.signer == issuer.public;
        let in_force = self.this_update - CLOCK_SKEW <= now && now <= self.next_update + CLOCK_SKEW;
        if !own {
            return Status::Unknown;
        }
        match self.revoked.get(certificate.serial.as_slice()) {
            // A revocation does not end with the list that announced it.
            Some((at, reason)) => Status::Revoked { at: *at, reason: *reason },
            None if in_force => Status::Good,
            None => Status::Unknown,
        }
    }
}

struct Parsed<'a> {
    signed: &'a [u8],
    algorithm: Algorithm,
    signature: &'a [u8],
    issuer: &'a [u8],
    this_update: i64,
    next_update: i64,
    revoked: HashMap<Box<[u8]>, (i64, Option<u8>)>,
    unknown_critical: bool,
}

impl<'a> Parsed<'a> {
    fn read(whole: &'a [u8]) -> Option<Self> {
        let mut outer = der::read_sequence(whole)?;
        let signed = der::element(&mut outer)?;
        let algorithm = Algorithm::take(&mut outer)?;
        let signature = der::take_bits(&mut outer)?;
        let mut body = signed.content_of(der::SEQUENCE)?;
        let version_2 = der::optional(&mut body, der::INTEGER)? == Some(&[1]);
        let same_algorithm = Algorithm::take(&mut body)? == algorithm;
        let issuer = der::element(&mut body)?.whole;
        let this_update = unix_seconds(&der::element(&mut body)?)?;
        let next_update = unix_seconds(&der::element(&mut body)?)?;
        let (mut revoked, mut unknown_critical) = (HashMap::new(), false);
        let mut entries = der::optional(&mut body, der::SEQUENCE)?.unwrap_or_default();
        while !entries.is_empty() {
            let (serial, at, reason, unknown) = entry(&mut entries)?;
            unknown_critical |= unknown;
            revoked.insert(serial.into(), (at, reason));
        }
        if let Some(explicit) = der::optional(&mut body, der::context(0))? {
            let mut extensions = der::read_sequence(explicit)?;
            while !extensions.is_empty() {
                unknown_critical |= take_extension(&mut extensions)?.1;
            }
        }
        let complete = outer.is_empty() && body.is_empty() && same_algorithm && version_2;
        complete.then_some(Self {
            signed: signed.whole,
            algorithm,
            signature,
            issuer,
            this_update,
            next_update,
            revoked,
            unknown_critical,
        })
    }

    fn into_list(self, signer: PublicKey) -> RevocationList {
        RevocationList {
            issuer: self.issuer.to_vec(),
            signer,
            this_update: self.this_update,
            next_update: self.next_update,
            revoked: self.revoked,
        }
    }
}

/// Serial, time, reason, and whether it has a critical extension: an entry of an indirect list has.
fn entry<'a>(entries: &mut &'a [u8]) -> Option<(&'a [u8], i64, Option<u8>, bool)> {
    let mut entry = der::take(entries, der::SEQUENCE)?;
    let serial = der::take_number(&mut entry)?;
    let at = unix_seconds(&der::element(&mut entry)?)?;
    let (mut why, mut unknown_critical) = (None, false);
    if let Some(mut extensions) = der::optional(&mut entry, der::SEQUENCE)? {
        while !extensions.is_empty() {
            match take_extension(&mut extensions)? {
                (oid::REASON_CODE, _, value) => why = Some(reason(value)?),
                (_, critical, _) => unknown_critical |= critical,
            }
        }
    }
    entry.is_empty().then_some((serial, at, why, unknown_critical))
}
