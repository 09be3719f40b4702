//! Parts for partners with ASN.1 messages and RSA. For `spec`.
use crate::{
    certificate::Subject,
    classic::RsaEncryption,
    message::{MessageForm, MessageKind},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a key's owner is named in messages: by a certificate, or by issuer and serial number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentitySpec {
    /// PEM. It must be of the key itself, and is put into messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Subject>,
    /// Hexadecimal, at most 20 bytes, with `issuer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
}

/// GB/T 35275 (GM/T 0010).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SealMessageSpec {
    pub kind: MessageKind,
    pub data: String,
    /// `ours.x` with an entry in `identities`; for signed kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// The signer's distinguishing identifier; `1234567812345678` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `theirs.x` with an entry in `identities`; for enveloped kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    #[serde(default)]
    pub form: MessageForm,
}

/// GB/T 35275 (GM/T 0010). What the standard leaves open is read in all its forms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenMessageSpec {
    pub kind: MessageKind,
    pub data: String,
    /// The content of a signed message that travels beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detached: Option<String>,
    /// `ours.x` with an entry in `identities`; for enveloped kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// `theirs.x`; for signed kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// As in `sealMessage`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// `theirs.x` encrypts, `ours.x` decrypts; of kind `rsa`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RsaCipherSpec {
    pub data: String,
    pub key: String,
    pub scheme: RsaEncryption,
    /// For decrypting under `pkcs1`: the length of what was encrypted, a key of 1 to 64 bytes. A wrong padding gives that many
    /// random bytes, so that the message is refused at a later part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u8>,
}
