//! Reads the DER of a certificate. For `certificate`.
use super::{Certificate, public, public::Algorithm, time};
use crate::format::{der, oid};

/// What the extensions say, as far as this program looks at them.
#[derive(Clone, Default)]
pub(super) struct Extensions {
    pub(super) authority: bool,
    pub(super) path_length: Option<usize>,
    /// First byte of keyUsage; absent means any.
    pub(super) key_usage: Option<u8>,
    /// Identifiers of extendedKeyUsage.
    pub(super) uses: Vec<Vec<u8>>,
    pub(super) uses_critical: bool,
    pub(super) key_id: Option<Vec<u8>>,
    pub(super) unknown_critical: bool,
}

/// More uses than any certificate names.
const MAX_USES: usize = 32;

pub(super) fn parse(whole: Vec<u8>) -> Option<Certificate> {
    let mut outer = der::read_sequence(&whole)?;
    let signed = der::element(&mut outer)?;
    let signed_end = whole.len() - outer.len();
    let algorithm = Algorithm::take(&mut outer)?;
    let signature = der::take_bits(&mut outer)?.to_vec();
    let mut body = signed.content_of(der::SEQUENCE)?;
    let version = der::element(&mut body)?;
    let serial = der::take_number(&mut body)?.to_vec();
    let same_algorithm = Algorithm::take(&mut body)? == algorithm;
    let issuer = der::element(&mut body)?.whole.to_vec();
    let mut validity = der::take(&mut body, der::SEQUENCE)?;
    let not_before = time::unix_seconds(&der::element(&mut validity)?)?;
    let not_after = time::unix_seconds(&der::element(&mut validity)?)?;
    let subject = der::element(&mut body)?.whole.to_vec();
    let (public, key_bits) = public::read(der::element(&mut body)?.whole)?;
    let extensions = loop {
        let next = der::element(&mut body)?;
        if next.tag == der::context(3) {
            break extensions(next.content)?;
        }
    };
    let complete = outer.is_empty()
        && body.is_empty()
        && validity.is_empty()
        && same_algorithm
        && version.whole == [0xa0, 3, 2, 1, 2];
    if !complete {
        return None;
    }
    let signed = signed_end - signed.whole.len()..signed_end;
    Some(Certificate {
        signed,
        algorithm,
        signature,
        issuer,
        subject,
        serial,
        not_before,
        not_after,
        public,
        key_bits: key_bits.to_vec(),
        extensions,
        whole,
    })
}

/// One extension: its identifier, whether it is critical, its value.
pub(crate) fn take_extension<'a>(list: &mut &'a [u8]) -> Option<(&'a [u8], bool, &'a [u8])> {
    let mut extension = der::take(list, der::SEQUENCE)?;
    let oid = der::take(&mut extension, der::OID)?;
    let critical = match der::optional(&mut extension, der::BOOLEAN)? {
        None | Some([0]) => false,
        Some([0xff]) => true,
        Some(_) => return None,
    };
    let value = der::take_octets(&mut extension)?;
    extension.is_empty().then_some((oid, critical, value))
}

fn extensions(explicit: &[u8]) -> Option<Extensions> {
    let mut found = Extensions::default();
    let mut list = der::read_sequence(explicit)?;
    while !list.is_empty() {
        let (oid, critical, mut value) = take_extension(&mut list)?;
        match oid {
            oid::BASIC_CONSTRAINTS => {
                let mut constraints = der::read_sequence(value)?;
                found.authority = der::optional(&mut constraints, der::BOOLEAN)? == Some(&[0xff]);
                if !constraints.is_empty() {
                    let mut length = [0; 1];
                    der::take_integer(&mut constraints, &mut length)?;
                    found.path_length = Some(length[0].into());
                }
            }
            oid::KEY_USAGE => {
                let bits = der::take(&mut value, der::BIT_STRING)?;
                found.key_usage = Some(*bits.get(1).unwrap_or(&0));
            }
            oid::EXTENDED_KEY_USAGE => {
                let mut uses = der::read_sequence(value)?;
                while !uses.is_empty() && found.uses.len() < MAX_USES {
                    found.uses.push(der::take(&mut uses, der::OID)?.to_vec());
                }
                found.uses_critical = critical;
            }
            oid::SUBJECT_KEY_ID => found.key_id = Some(der::take_octets(&mut value)?.to_vec()),
            _ => found.unknown_critical |= critical,
        }
    }
    Some(found)
}
