//! The written form of an envelope, as it stands in a system's definition. For authors of definitions.
use super::freshness::FreshnessSpec;
use crate::{
    classic::ClassicSignature,
    encoding::TextForm,
    format::{CipherOrder, PointForm, SignatureFormat},
};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod asn1;

pub use asn1::{IdentitySpec, OpenMessageSpec, RsaCipherSpec, SealMessageSpec};

/// How messages are sealed for a partner and opened from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct EnvelopeSpec {
    /// Keys by role: `ours.x` (the bus's pairs), `theirs.x` (the partner's), `shared.x` (symmetric keys and secrets), each a
    /// `vault:` reference. For a mock partner to use the description too, `ours.x` and `theirs.x` come in pairs.
    #[serde(default)]
    pub keys: IndexMap<String, String>,
    /// How the owners of keys are named in `sealMessage` and `openMessage`, by the keys' roles.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub identities: IndexMap<String, IdentitySpec>,
    /// Parts computed in order, starting from `plain`, the message to seal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seal: Vec<PartSpec>,
    /// The wire's fields, from parts of `seal`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub write: IndexMap<String, WriteSpec>,
    /// Parts computed in order from the wire's fields; the part named `plain` is the result.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<PartSpec>,
    /// How the bus tells repeats of what a caller sends under this envelope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freshness: Option<FreshnessSpec>,
}

/// One written field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteSpec {
    pub part: String,
    /// How its bytes become text; `json` writes the JSON value they spell.
    #[serde(rename = "as")]
    pub form: TextForm,
}

macro_rules! part_spec {
    ($($(#[$doc:meta])* $field:ident : $kind:ty,)*) => {
        /// One named value and how it is computed: exactly one key beside `name`. References are names of earlier parts
        /// (and `plain` when sealing); keys are roles such as `ours.sign`.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, rename_all = "camelCase")]
        pub struct PartSpec {
            pub name: String,
            $($(#[$doc])* #[serde(default, skip_serializing_if = "Option::is_none")] pub $field: Option<$kind>,)*
        }

        impl PartSpec {
            /// The names of the kind keys present, as Rust fields.
            pub(super) fn kinds(&self) -> Vec<&'static str> {
                let mut kinds = Vec::new();
                $(if self.$field.is_some() { kinds.push(stringify!($field)); })*
                kinds
            }
        }
    };
}

part_spec! {
    /// That many random bytes, 1 to 1024.
    random: u32,
    /// Literal text in which `${part}` stands for a part's bytes; `$${` writes `${`.
    text: String,
    /// The parameter of that name, as UTF-8.
    param: String,
    /// A field of the wire, or of a part made by `parseJson`.
    read: ReadSpec,
    /// Bytes → text.
    encode: CodeSpec,
    /// Text → bytes.
    decode: CodeSpec,
    /// The parts' bytes one after another.
    concat: Vec<String>,
    /// A range of bytes.
    cut: CutSpec,
    /// The bytes of a `shared.x` key of kind `secret`.
    key_bytes: String,
    /// Removes a leading text.
    strip_prefix: StripSpec,
    /// Removes a trailing text.
    strip_suffix: StripSpec,
    /// A JSON object of parts, compact, in the order written.
    json: IndexMap<String, WriteSpec>,
    /// Parses a part's bytes as JSON for `read` and `sortedPairs`.
    parse_json: String,
    /// The part's JSON with all object keys sorted and no spaces.
    canonical_json: String,
    /// `k=v` pairs sorted by key and joined.
    sorted_pairs: PairsSpec,
    /// SM3 digest of a part, 32 bytes.
    sm3: String,
    /// HMAC-SM3, 32 bytes.
    hmac_sm3: HmacSpec,
    /// SM2 signature.
    sm2_sign: Sm2SignSpec,
    /// Refuses the message unless the SM2 signature holds. Has no value.
    sm2_verify: Sm2VerifySpec,
    /// SM2 encryption to a key.
    sm2_encrypt: Sm2CipherSpec,
    /// SM2 decryption with a key.
    sm2_decrypt: Sm2CipherSpec,
    /// SM4 encryption.
    sm4_encrypt: Sm4Spec,
    /// SM4 decryption.
    sm4_decrypt: Sm4Spec,
    /// AES encryption, for old partners; the key's length chooses AES-128, -192 or -256.
    aes_encrypt: Sm4Spec,
    /// AES decryption.
    aes_decrypt: Sm4Spec,
    /// SHA-256 digest of a part, 32 bytes.
    sha256: String,
    /// HMAC-SHA256, 32 bytes.
    hmac_sha256: HmacSpec,
    /// RSA or ECDSA signature with SHA-256, for old partners.
    sign: SignSpec,
    /// Refuses the message unless the RSA or ECDSA signature holds. Has no value.
    verify: VerifySpec,
    /// RSA encryption to a key, for old partners.
    rsa_encrypt: RsaCipherSpec,
    /// RSA decryption with a key, for old partners.
    rsa_decrypt: RsaCipherSpec,
    /// SM2 signed, enveloped, or signed and enveloped data in DER (GB/T 35275).
    seal_message: SealMessageSpec,
    /// The content of SM2 signed, enveloped, or signed and enveloped data; refuses the message unless every signature holds.
    open_message: OpenMessageSpec,
    /// Refuses the message unless two parts are equal, compared in constant time. Has no value.
    equals: EqualsSpec,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadSpec {
    /// A field name, or a JSON pointer (RFC 6901) beginning with `/`.
    pub field: String,
    #[serde(rename = "as")]
    pub form: TextForm,
    /// A part made by `parseJson`; the wire itself when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// An absent or null field gives no bytes instead of refusing the message.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeSpec {
    pub data: String,
    #[serde(rename = "as")]
    pub form: TextForm,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CutSpec {
    pub data: String,
    /// First byte; negative counts from the end.
    #[serde(default)]
    pub from: i64,
    /// First byte no longer taken; negative counts from the end; absent means the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<i64>,
}

/// Exactly one of `text` and `part` says what to remove.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StripSpec {
    pub data: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// Data without it passes unchanged instead of being refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

/// At least one of `pairs` and `object`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PairsSpec {
    /// Key → part.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub pairs: IndexMap<String, String>,
    /// A part made by `parseJson` that is an object; its members join the pairs, nested values as compact JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Members of `object` left out, such as the signature itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
    /// Keep pairs whose value is empty; they are dropped otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_empty: bool,
    /// Between key and value; `=` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub between: Option<String>,
    /// Between pairs; `&` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HmacSpec {
    pub data: String,
    /// A part, or a `shared.x` key of kind `hmac`.
    pub key: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Sm2SignSpec {
    pub data: String,
    /// `ours.x`.
    pub key: String,
    /// The distinguishing identifier; `1234567812345678` when neither `id` nor `idPart` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The distinguishing identifier is this part's bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_part: Option<String>,
    #[serde(default)]
    pub format: SignatureFormat,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Sm2VerifySpec {
    pub data: String,
    pub signature: String,
    /// `theirs.x`.
    pub key: String,
    /// As in `sm2Sign`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_part: Option<String>,
    #[serde(default)]
    pub format: SignatureFormat,
}

/// `theirs.x` encrypts, `ours.x` decrypts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sm2CipherSpec {
    pub data: String,
    pub key: String,
    /// `raw` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<CipherWire>,
    /// Raw only; `c1c3c2` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<CipherOrder>,
    /// Raw only; `prefixed` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub point: Option<PointForm>,
}

/// Whether an SM2 ciphertext is raw or ASN.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CipherWire {
    Raw,
    Der,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sm4Spec {
    pub mode: Sm4ModeName,
    /// A part (of 16 bytes; for AES also 24 or 32), or a `shared.x` key of kind `sm4` (`aes`).
    pub key: String,
    pub data: String,
    /// 16 bytes for `cbc` and `ctr`, the nonce of 12 (or, for `gcm`, 16) bytes for `gcm` and `ccm`; not for `ecb`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iv: Option<String>,
    /// Additional authenticated data, for `gcm` and `ccm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aad: Option<String>,
    /// For `ecb` and `cbc`; `pkcs7` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub padding: Option<PaddingName>,
}

/// GB/T 17964. `gcm` and `ccm` append the 16-byte tag to the ciphertext.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sm4ModeName {
    Ecb,
    Cbc,
    Ctr,
    Gcm,
    Ccm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PaddingName {
    Pkcs7,
    Zero,
    None,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignSpec {
    pub data: String,
    /// `ours.x`, of kind `rsa` or `p256` as the algorithm needs.
    pub key: String,
    pub algorithm: ClassicSignature,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifySpec {
    pub data: String,
    pub signature: String,
    /// `theirs.x`, of kind `rsa` or `p256` as the algorithm needs.
    pub key: String,
    pub algorithm: ClassicSignature,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EqualsSpec {
    pub left: String,
    pub right: String,
}
