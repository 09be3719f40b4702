//! SignedData and SignerInfo (GB/T 35275 §8, RFC 2315 §9, RFC 5652 §5), read and written. For messages and time-stamp tokens.
use super::{MAX_PARTIES, malformed, refused};
use crate::{
    certificate::{Algorithm, Certificate, Digest, time},
    error::VaultError,
    format::{der, oid},
    provider::Provider,
};

/// One signature of a message.
pub(crate) struct SignerInfo<'a> {
    /// DER of the issuer's name and content of the serial number.
    pub(crate) named: (&'a [u8], &'a [u8]),
    pub(crate) digest: Digest,
    /// Content of the authenticated attributes' SET.
    pub(crate) attributes: Option<&'a [u8]>,
    pub(crate) algorithm: Algorithm,
    pub(crate) signature: &'a [u8],
}

pub(crate) struct SignedData<'a> {
    pub(crate) content_type: &'a [u8],
    /// `None` where detached.
    pub(crate) content: Option<&'a [u8]>,
    pub(crate) certificates: Vec<Certificate>,
    pub(crate) signers: Vec<SignerInfo<'a>>,
}

impl<'a> SignedData<'a> {
    /// The content of a SignedData SEQUENCE.
    pub(crate) fn read(mut body: &'a [u8]) -> Option<Self> {
        let version = der::take(&mut body, der::INTEGER)?;
        digests(&mut body)?;
        let mut info = der::take(&mut body, der::SEQUENCE)?;
        let content_type = der::take(&mut info, der::OID)?;
        let content = match der::optional(&mut info, der::context(0))? {
            Some(mut explicit) => {
                let content = der::take_octets(&mut explicit)?;
                explicit.is_empty().then_some(Some(content))?
            }
            None => None,
        };
        let (certificates, signers) = tail(&mut body)?;
        let complete = body.is_empty() && info.is_empty() && matches!(version, [1 | 3]);
        complete.then_some(Self { content_type, content, certificates, signers })
    }
}

/// digestAlgorithms: bounded, each known.
pub(super) fn digests(body: &mut &[u8]) -> Option<()> {
    let mut set = der::take(body, der::SET)?;
    let mut count = 0;
    while !set.is_empty() {
        count += 1;
        Digest::from_oid(der::take_algorithm(&mut set)?.0).filter(|_| count <= MAX_PARTIES)?;
    }
    Some(())
}

/// certificates, crls, signerInfos. Lists inside a message are not looked at: what revokes is the receiver's to say.
pub(super) fn tail<'a>(body: &mut &'a [u8]) -> Option<(Vec<Certificate>, Vec<SignerInfo<'a>>)> {
    let (mut certificates, mut signers) = (Vec::new(), Vec::new());
    let mut list = der::optional(body, der::context(0))?.unwrap_or_default();
    while !list.is_empty() {
        let certificate = Certificate::read(der::element(&mut list)?.whole).ok()?;
        certificates.push(certificate);
        (certificates.len() <= MAX_PARTIES).then_some(())?;
    }
    der::optional(body, der::context(1))?;
    let mut set = der::take(body, der::SET)?;
    while !set.is_empty() {
        signers.push(SignerInfo::take(&mut set)?);
        (signers.len() <= MAX_PARTIES).then_some(())?;
    }
    Some((certificates, signers))
}

impl<'a> SignerInfo<'a> {
    fn take(set: &mut &'a [u8]) -> Option<Self> {
        let mut body = der::take(set, der::SEQUENCE)?;
        let version = der::take(&mut body, der::INTEGER)?;
        let named = take_named(&mut body)?;
        let digest = Digest::from_oid(der::take_algorithm(&mut body)?.0)?;
        let attributes = der::optional(&mut body, der::context(0))?;
        let algorithm = Algorithm::from_oid(der::take_algorithm(&mut body)?.0, Some(digest))?;
        let signature = der::take_octets(&mut body)?;
        // Unauthenticated attributes prove nothing and are passed over.
        der::optional(&mut body, der::context(1))?;
        (body.is_empty() && version == [1]).then_some(Self {
            named,
            digest,
            attributes,
            algorithm,
            signature,
        })
    }

    /// The bytes the signature stands over: the content, or the attributes once they speak of this content.
    pub(crate) fn signed_bytes(
        &self,
        provider: &dyn Provider,
        content_type: &[u8],
        content: &[u8],
    ) -> Result<Option<Vec<u8>>, VaultError> {
        let Some(attributes) = self.attributes else {
            // Attributes that once were signed, passed off as content, would carry their old signature.
            let stripped = content.first() == Some(&der::SET)
                && content.windows(oid::MESSAGE_DIGEST.len()).any(|part| part == oid::MESSAGE_DIGEST);
            return if stripped { Err(refused("attributes")) } else { Ok(None) };
        };
        let [kind, digest] = [oid::CONTENT_TYPE, oid::MESSAGE_DIGEST].map(|name| self.attribute(name));
        let kind = kind.and_then(|mut value| der::take(&mut value, der::OID)).ok_or_else(bad_attributes)?;
        let digest = digest.and_then(|mut value| der::take_octets(&mut value)).ok_or_else(bad_attributes)?;
        if kind != content_type || digest != self.digest.of(provider, content) {
            return Err(refused("attributes"));
        }
        Ok(Some(der::wrap(der::SET, &[attributes])))
    }

    /// The single value of the attribute that stands exactly once.
    pub(crate) fn attribute(&self, name: &[u8]) -> Option<&'a [u8]> {
        let mut list = self.attributes?;
        let mut found = None;
        while !list.is_empty() {
            let mut attribute = der::take(&mut list, der::SEQUENCE)?;
            let this = der::take(&mut attribute, der::OID)?;
            let mut values = der::take(&mut attribute, der::SET)?;
            let value = der::element(&mut values)?.whole;
            if this == name {
                let single = found.is_none() && values.is_empty() && attribute.is_empty();
                found = Some(single.then_some(value)?);
            }
        }
        found
    }
}

fn bad_attributes() -> VaultError {
    malformed("has authenticated attributes without content type and digest")
}

/// IssuerAndSerialNumber.
pub(super) fn take_named<'a>(body: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let mut named = der::take(body, der::SEQUENCE)?;
    // Only compared: some authorities write no proper name here.
    let issuer = der::element(&mut named)?.whole;
    let serial = der::take_number(&mut named)?;
    named.is_empty().then_some((issuer, serial))
}

pub(crate) fn write_named(issuer: &[u8], serial: &[u8]) -> Vec<u8> {
    der::sequence(&[issuer, &der::wrap(der::INTEGER, &[serial])].concat())
}

/// One attribute with one value.
pub(crate) fn attribute(name: &[u8], value: &[u8]) -> Vec<u8> {
    der::sequence(&[der::wrap(der::OID, &[name]), der::wrap(der::SET, &[value])].concat())
}

/// The attributes every signature with attributes has; `time` in Unix seconds.
pub(crate) fn basic_attributes(content_type: &[u8], digest: &[u8], time: i64) -> Vec<Vec<u8>> {
    vec![
        attribute(oid::CONTENT_TYPE, &der::wrap(der::OID, &[content_type])),
        attribute(oid::MESSAGE_DIGEST, &der::wrap(der::OCTET_STRING, &[digest])),
        attribute(oid::SIGNING_TIME, &time::write(time)),
    ]
}
