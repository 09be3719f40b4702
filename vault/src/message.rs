//! SM2 message syntax (GB/T 35275, GM/T 0010): signed, enveloped, and signed-and-enveloped data in strict DER. For partners that
//! exchange ASN.1, directly and through envelope descriptions.
//!
//! Signatures stand over the content, or over authenticated attributes that hold its SM3 digest; session keys are SM4, wrapped
//! by SM2 in the DER form of GB/T 35276. Session keys and content are wiped when dropped.
use crate::{
    certificate::{Certificate, CertificateError, Subject, name, ordered, path},
    error::VaultError,
    format::der,
    provider::{DEFAULT_SM2_ID, Provider},
    revocation::Revocation,
    vault::KeyHandle,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

mod enveloped;
mod open;
mod seal;
pub(crate) mod signed;

/// The most signers, recipients or certificates a message may have.
pub const MAX_PARTIES: usize = 16;
/// The largest message read, in bytes.
pub const MAX_MESSAGE: usize = 64 << 20;
/// The largest content sealed, in bytes; with all parties and certificates it still makes a message that can be read.
pub const MAX_CONTENT: usize = 60 << 20;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MessageKind {
    /// 1.2.156.10197.6.1.4.2.2
    Signed,
    /// 1.2.156.10197.6.1.4.2.3; whoever has the recipient's certificate could have sent it.
    Enveloped,
    /// 1.2.156.10197.6.1.4.2.4
    SignedAndEnveloped,
}

/// The identifier under which SM2 signatures stand. All three are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SignatureOid {
    /// 1.2.156.10197.1.301.1
    #[default]
    Sm2Sign,
    /// 1.2.156.10197.1.301
    Sm2,
    /// 1.2.156.10197.1.501
    Sm2WithSm3,
}

/// The identifier under which wrapped session keys stand. Both are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum WrapOid {
    /// 1.2.156.10197.1.301.3
    #[default]
    Sm2Encrypt,
    /// 1.2.156.10197.1.301
    Sm2,
}

/// How the content is encrypted, and under which identifier. All are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ContentCipher {
    /// SM4-CBC under 1.2.156.10197.1.104.2
    #[default]
    Cbc,
    /// SM4-CBC under the bare SM4 identifier 1.2.156.10197.1.104, as many older devices write it.
    CbcBare,
    /// SM4-ECB under 1.2.156.10197.1.104.1, which shows repetitions in the content: only for partners that can do no other.
    Ecb,
    /// SM4-ECB without padding under the bare SM4 identifier, as authorities send encryption pairs (GM/T 0014): the content is
    /// whole blocks of 16 bytes, at least one.
    EcbBare,
}

/// How a message names who shall open it. Both are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RecipientName {
    /// Issuer and serial number, as the standard says.
    #[default]
    IssuerAndSerial,
    /// The certificate's subject key identifier, as banks on CFCA's toolkit write it; it needs the certificate.
    SubjectKeyId,
}

/// How the wrapped session key is written. Both are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WrapForm {
    /// DER of GB/T 35276.
    #[default]
    Der,
    /// x ‖ y ‖ C3 ‖ C2, as banks on CFCA's toolkit write it.
    Raw,
}

/// The family of content type identifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TypeOids {
    /// 1.2.156.10197.6.1.4.2.x
    #[default]
    Gm,
    /// 1.2.840.113549.1.7.x, as PKCS#7 has them.
    Pkcs7,
}

/// Every choice the standard leaves open and partners make differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct MessageForm {
    pub types: TypeOids,
    pub signature: SignatureOid,
    pub wrap: WrapOid,
    pub cipher: ContentCipher,
    pub recipients: RecipientName,
    pub wrapped: WrapForm,
    /// Leave the content out of a signed message; it travels beside it.
    pub detached: bool,
    /// Sign authenticated attributes (content type, digest, time) instead of the content itself.
    pub attributes: bool,
    /// Put the signers' certificates into the message.
    pub certificates: bool,
    /// Write NULL where algorithms have no parameters, instead of nothing.
    pub null_parameters: bool,
}

impl Default for MessageForm {
    fn default() -> Self {
        Self {
            types: TypeOids::default(),
            signature: SignatureOid::default(),
            wrap: WrapOid::default(),
            cipher: ContentCipher::default(),
            recipients: RecipientName::default(),
            wrapped: WrapForm::default(),
            detached: false,
            attributes: false,
            certificates: true,
            null_parameters: false,
        }
    }
}

/// How a party is named in a message: its certificate's issuer and serial number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// DER of the Name.
    pub(crate) issuer: Vec<u8>,
    /// Content of the INTEGER.
    pub(crate) serial: Vec<u8>,
    /// The certificate, to put into messages.
    pub(crate) certificate: Option<Vec<u8>>,
    /// The certificate's subject key identifier.
    pub(crate) key_id: Option<Vec<u8>>,
}

impl Identity {
    pub fn of(certificate: &Certificate) -> Self {
        Self {
            issuer: certificate.issuer.clone(),
            serial: certificate.serial.clone(),
            certificate: Some(certificate.der().to_vec()),
            key_id: certificate.key_id().map(<[u8]>::to_vec),
        }
    }
}

impl Identity {
    /// By an issuer's name, written as this program writes names, and a serial number of at most 20 bytes.
    pub fn named(issuer: &Subject, serial: &[u8]) -> Result<Self, VaultError> {
        let issuer = der::sequence(&name(issuer)?);
        let mut number = Vec::new();
        der::put_integer(&mut number, serial);
        let mut rest = &number[..];
        let serial = der::take_number(&mut rest)
            .ok_or_else(|| VaultError::invalid("a serial number has at most 20 bytes"))?;
        Ok(Self { issuer, serial: serial.to_vec(), certificate: None, key_id: None })
    }
}

/// One who signs.
#[derive(Clone)]
pub struct Signer {
    /// A signing pair whose secret half is here.
    pub key: KeyHandle,
    pub identity: Identity,
    /// The SM2 distinguishing identifier; [`DEFAULT_SM2_ID`] unless agreed otherwise.
    pub id: Vec<u8>,
}

impl Signer {
    /// Under the default distinguishing identifier.
    pub fn new(key: KeyHandle, certificate: &Certificate) -> Self {
        Self { key, identity: Identity::of(certificate), id: DEFAULT_SM2_ID.to_vec() }
    }
}

/// One who shall open: an encryption key, its public half at least, or only a certificate.
#[derive(Clone)]
pub enum Recipient {
    Key(KeyHandle, Identity),
    Certificate(Certificate),
}

/// Seals content into a message. `now` (Unix seconds) becomes the signing time where attributes are signed.
///
/// ```
/// use qiao_vault::message::{self, MessageForm, MessageKind, OwnKey, Recipient, Signer, SignerTrust};
/// use qiao_vault::{PureProvider, VaultError, certificate::Certificate, revocation::Revocation};
///
/// const KIND: MessageKind = MessageKind::SignedAndEnveloped;
///
/// fn send(ours: &[Signer], theirs: &Certificate, now: i64) -> Result<Vec<u8>, VaultError> {
///     let to = [Recipient::Certificate(theirs.clone())];
///     message::seal(&PureProvider, KIND, b"content", ours, &to, &MessageForm::default(), now)
/// }
///
/// fn receive(bytes: &[u8], ours: &[OwnKey], roots: &[Certificate], now: i64) -> Result<Vec<u8>, VaultError> {
///     let trust = SignerTrust::Chain { roots, more: &[], revocation: Revocation::None, now };
///     Ok(message::open(&PureProvider, KIND, bytes, None, ours, &trust)?.content.to_vec())
/// }
/// ```
pub fn seal(
    provider: &dyn Provider,
    kind: MessageKind,
    content: &[u8],
    signers: &[Signer],
    recipients: &[Recipient],
    form: &MessageForm,
    now: i64,
) -> Result<Vec<u8>, VaultError> {
    seal::seal(provider, kind, content, signers, recipients, form, now)
}

/// A key that may open, and the name under which messages address it.
#[derive(Clone)]
pub struct OwnKey {
    pub key: KeyHandle,
    pub identity: Identity,
}

/// Whose signatures count. Every signature of a message must hold.
#[derive(Clone, Copy)]
pub enum SignerTrust<'a> {
    /// Those whose certificate, from the message or from `more`, leads to a root and may sign, at `now` (Unix seconds), under
    /// the default distinguishing identifier.
    Chain { roots: &'a [Certificate], more: &'a [Certificate], revocation: Revocation<'a>, now: i64 },
    /// A partner's key in the vault, whatever certificates the message carries, under this distinguishing identifier.
    Key { key: &'a KeyHandle, id: &'a [u8] },
}

/// What a message held.
pub struct Opened {
    pub content: Zeroizing<Vec<u8>>,
    /// The signers' certificates, where trust came from them.
    pub signers: Vec<Certificate>,
}

/// Opens a message of a known kind. `detached` is the content of a signed message without it.
///
/// Anything that is not strict DER of the expected kind is [`VaultError::Malformed`], found before a key is used; all else, from
/// an unknown signer to a wrong padding, is the one [`VaultError::Refused`].
pub fn open(
    provider: &dyn Provider,
    kind: MessageKind,
    message: &[u8],
    detached: Option<&[u8]>,
    keys: &[OwnKey],
    trust: &SignerTrust<'_>,
) -> Result<Opened, VaultError> {
    open::open(provider, kind, message, detached, keys, trust)
}

pub(crate) fn malformed(problem: &'static str) -> VaultError {
    VaultError::Malformed { field: "message".into(), problem }
}

pub(crate) fn refused(part: &str) -> VaultError {
    VaultError::Refused { part: part.into() }
}

/// The certificate named, if it leads to a root and is not revoked.
pub(crate) fn trusted<'a>(
    provider: &dyn Provider,
    named: (&[u8], &[u8]),
    bag: &'a [Certificate],
    roots: &[Certificate],
    revocation: &Revocation<'_>,
    now: i64,
) -> Result<&'a Certificate, CertificateError> {
    let leaf = bag
        .iter()
        .find(|certificate| certificate.issuer == named.0 && certificate.serial == named.1)
        .ok_or(CertificateError::Untrusted)?;
    let chain = ordered(leaf, bag);
    for (certificate, issuer) in path(provider, &chain, roots, now)? {
        revocation.check(certificate, issuer, now)?;
    }
    Ok(leaf)
}

#[cfg(test)]
mod tests;
