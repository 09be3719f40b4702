//! The driver for signature and cipher services over HTTPS, described as data: which request signs, where in the answer the
//! result is, which answers mean busy or refused. For vaults whose keys live at such a service.
use crate::{
    encoding::TextForm,
    error::VaultError,
    external::{Blocks, DeviceCipher, DeviceKey, DeviceStatus, KeyDevice, SignInput},
    format::{CipherFormat, CipherOrder, PointForm, SignatureFormat},
    key::Purpose,
    provider::CryptoError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::Duration;
use zeroize::Zeroizing;

mod answer;
mod http;
mod template;

use answer::Judge;
use http::Client;
use template::{Compiled, Input};

/// How a service is spoken to. Texts may hold placeholders: `${key}` (its identifier), `${usage}` (`sign` or `encrypt`),
/// `${mode}` (`ECB` or `CBC`), `${direction}` (`encrypt` or `decrypt`), `${credential}`, and bytes in a form:
/// `${digest.base64}`, `${message.base64}`, `${id.text}`, `${data.hex}`, `${iv.base64}`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RemoteSpec {
    /// `https://host:port/base`; plain HTTP is not spoken.
    pub endpoint: String,
    /// Sent with every request.
    #[serde(default)]
    pub headers: Map<String, Value>,
    /// Gives the public half of a pair. Left out: the service has no pairs for us.
    #[serde(default)]
    pub public: Option<OperationSpec>,
    /// Signs; the result is r ‖ s or DER.
    #[serde(default)]
    pub sign: Option<SignSpec>,
    /// Decrypts SM2; `data` is the ciphertext.
    #[serde(default)]
    pub decrypt: Option<DecryptSpec>,
    /// SM4 over whole blocks without padding; `data` are the blocks, `iv` is empty for ECB.
    #[serde(default)]
    pub sm4: Option<OperationSpec>,
    #[serde(default)]
    pub answers: AnswersSpec,
}

/// One request and where its result is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct OperationSpec {
    #[serde(default)]
    pub method: MethodName,
    /// After the endpoint; values are percent-encoded.
    pub path: String,
    /// The JSON body; its texts may hold placeholders.
    #[serde(default)]
    pub body: Value,
    /// JSON pointer (RFC 6901) to the result.
    pub result: String,
    /// How the result's bytes are written: base64 when left out.
    #[serde(default = "base64", rename = "as")]
    pub form: TextForm,
}

fn base64() -> TextForm {
    TextForm::Base64
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SignSpec {
    pub request: OperationSpec,
    /// How the service writes signatures; raw when left out.
    #[serde(default)]
    pub format: SignatureFormat,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DecryptSpec {
    pub request: OperationSpec,
    /// How the service wants ciphertexts; DER when left out.
    #[serde(default)]
    pub format: CipherName,
}

/// The forms of an SM2 ciphertext; raw ones with a leading 04, or `bare` without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CipherName {
    #[default]
    Der,
    C1c3c2,
    C1c2c3,
    BareC1c3c2,
    BareC1c2c3,
}

impl CipherName {
    fn format(self) -> CipherFormat {
        let (order, point) = match self {
            Self::Der => return CipherFormat::Der,
            Self::C1c3c2 => (CipherOrder::C1c3c2, PointForm::Prefixed),
            Self::C1c2c3 => (CipherOrder::C1c2c3, PointForm::Prefixed),
            Self::BareC1c3c2 => (CipherOrder::C1c3c2, PointForm::Bare),
            Self::BareC1c2c3 => (CipherOrder::C1c2c3, PointForm::Bare),
        };
        CipherFormat::Raw { order, point }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum MethodName {
    #[default]
    Post,
    Get,
}

/// How answers are judged. HTTP 429 and 503 are busy; every other status but 2xx is a failure, unless a code in the body says
/// more.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AnswersSpec {
    /// JSON pointer to the service's own code. Left out: the status alone decides.
    #[serde(default)]
    pub code: Option<String>,
    /// Codes that mean done.
    #[serde(default)]
    pub ok: Vec<String>,
    /// Codes that mean: nothing was done, try again.
    #[serde(default)]
    pub busy: Vec<String>,
    /// Codes that mean: the data does not hold (a ciphertext that was tampered with).
    #[serde(default)]
    pub refused: Vec<String>,
}

/// What the service's `${credential}` is.
pub enum Credential {
    None,
    Fixed(Zeroizing<String>),
    /// A key of kind `secret`, read at each call.
    Vault(crate::KeyHandle),
}

/// The bounds of speaking to a service, and whom to trust. No `Debug`: it may hold a credential.
pub struct RemoteSettings {
    /// PEM of the authorities the service's certificate must come from; no others are trusted.
    pub authorities: Vec<u8>,
    pub credential: Credential,
    /// Requests under way at once: 1 to 1024.
    pub connections: usize,
    /// How long a call waits for its turn.
    pub wait: Duration,
    pub connect: Duration,
    /// From the first byte sent to the last received.
    pub answer: Duration,
}

impl RemoteSettings {
    /// 8 connections, waits of 2 s, 2 s to connect, answers within 5 s, no credential.
    pub fn new(authorities: impl Into<Vec<u8>>) -> Self {
        Self {
            authorities: authorities.into(),
            credential: Credential::None,
            connections: 8,
            wait: Duration::from_secs(2),
            connect: Duration::from_secs(2),
            answer: Duration::from_secs(5),
        }
    }
}

/// A service that computes with keys it keeps.
pub struct RemoteDevice {
    name: String,
    client: Client,
    public: Option<Compiled>,
    sign: Option<(Compiled, SignatureFormat)>,
    decrypt: Option<(Compiled, CipherFormat)>,
    sm4: Option<Compiled>,
}

const NOT_DESCRIBED: CryptoError = CryptoError::Invalid("the service's description has no such operation");
const MALFORMED: CryptoError = CryptoError::Failed("the service's answer is not what its description says");
const REFUSED: CryptoError = CryptoError::Failed("the service refused the request");

impl RemoteDevice {
    /// Compiles the description. Errors: [`VaultError::Invalid`] naming what cannot be used and where.
    pub fn new(
        name: impl Into<String>,
        spec: &RemoteSpec,
        settings: RemoteSettings,
    ) -> Result<Self, VaultError> {
        let name = name.into();
        let wrong = |what: String| VaultError::invalid(format!("key device {name}: {what}"));
        let pair = ["key", "usage", "credential"];
        let signing = ["key", "usage", "credential", "digest", "message", "id"];
        let data = ["key", "usage", "credential", "data"];
        let blocks = ["key", "usage", "credential", "data", "iv", "mode", "direction"];
        let compile = |place: &str, spec: &OperationSpec, names: &[&str]| {
            Compiled::new(spec, names).map_err(|what| wrong(format!("{place}.{what}")))
        };
        let public = spec.public.as_ref().map(|spec| compile("public", spec, &pair)).transpose()?;
        let sign = match &spec.sign {
            Some(spec) => Some((compile("sign.request", &spec.request, &signing)?, spec.format)),
            None => None,
        };
        let decrypt = match &spec.decrypt {
            Some(spec) => Some((compile("decrypt.request", &spec.request, &data)?, spec.format.format())),
            None => None,
        };
        let sm4 = spec.sm4.as_ref().map(|spec| compile("sm4", spec, &blocks)).transpose()?;
        let judge = Judge::new(&spec.answers).map_err(wrong)?;
        let client = Client::new(&spec.endpoint, &spec.headers, judge, settings).map_err(wrong)?;
        Ok(Self { client, public, sign, decrypt, sm4, name })
    }
}

/// What the service calls a purpose.
fn usage(purpose: Purpose) -> &'static str {
    if purpose == Purpose::Sign { "sign" } else { "encrypt" }
}

/// A refusal of what is our own doing is a failure, and must not look like a bad message.
fn own(error: CryptoError) -> CryptoError {
    if error == CryptoError::Refused { REFUSED } else { error }
}

impl KeyDevice for RemoteDevice {
    fn name(&self) -> &str {
        &self.name
    }

    fn public(&self, id: &str, purpose: Purpose) -> Result<[u8; 64], CryptoError> {
        let request = self.public.as_ref().ok_or(NOT_DESCRIBED)?;
        let input = Input { key: id, usage: usage(purpose), ..Input::default() };
        let bytes = self.client.call(request, &input).map_err(own)?;
        let point = if bytes.len() == 65 { bytes.strip_prefix(&[4]) } else { Some(&bytes[..]) };
        point.and_then(|point| point.try_into().ok()).ok_or(MALFORMED)
    }

    fn sign(&self, key: &DeviceKey<'_>, input: &SignInput<'_>) -> Result<[u8; 64], CryptoError> {
        let (request, format) = self.sign.as_ref().ok_or(NOT_DESCRIBED)?;
        let SignInput { digest, message, id } = *input;
        let input = Input { key: key.id, usage: "sign", digest, message, id, ..Input::default() };
        let bytes = self.client.call(request, &input).map_err(own)?;
        format.read(&bytes).ok_or(MALFORMED)
    }

    fn decrypt(&self, key: &DeviceKey<'_>, cipher: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let (request, format) = self.decrypt.as_ref().ok_or(NOT_DESCRIBED)?;
        if cipher.len() <= 96 {
            return Err(CryptoError::Refused);
        }
        let written = format.write(cipher);
        let input = Input { key: key.id, usage: "encrypt", data: &written, ..Input::default() };
        let plain = self.client.call(request, &input)?;
        if plain.len() == cipher.len() - 96 { Ok(plain) } else { Err(MALFORMED) }
    }

    fn new_sm4(&self, _id: &str) -> Result<Option<Vec<u8>>, CryptoError> {
        // The service's key is the SM4 key itself; it wraps none.
        self.sm4.as_ref().map(|_| None).ok_or(NOT_DESCRIBED)
    }

    fn sm4(&self, key: &DeviceCipher<'_>, blocks: &Blocks<'_>) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let request = self.sm4.as_ref().ok_or(NOT_DESCRIBED)?;
        let input = Input {
            key: key.id,
            usage: "encrypt",
            data: blocks.data,
            iv: blocks.iv.map_or(&[], |iv| iv),
            mode: if blocks.iv.is_some() { "CBC" } else { "ECB" },
            direction: if blocks.encrypt { "encrypt" } else { "decrypt" },
            ..Input::default()
        };
        self.client.call(request, &input).map_err(own)
    }

    fn status(&self) -> DeviceStatus {
        self.client.status(&self.name)
    }
}
