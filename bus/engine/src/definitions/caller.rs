//! An application or partner with credentials.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::grant::Rate;

/// A caller (调用方): `routes/callers/<id>.yaml`. Requests name it in the header `X-App-Id`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CallerDefinition {
    #[schemars(regex(pattern = r"^[a-z][a-z0-9-]{0,39}$"))]
    pub caller: String,
    pub title: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub off: bool,
    pub credential: CallerCredential,
    /// Over all interfaces together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
}

/// How the caller proves who it is. Exactly one of the fields.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CallerCredential {
    /// A shared key in the header `X-App-Key`: reference `vault:…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^vault:"))]
    pub key: Option<String>,
    /// Bodies are sealed in both directions, or requests are signed; the envelope's signature or keyed code is the proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope: Option<CallerEnvelope>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CallerEnvelope {
    /// The system whose definition describes the envelope.
    pub system: String,
    /// Name of the envelope there.
    pub envelope: String,
    /// What the envelope's `open` reads: `body` when left out.
    #[serde(default, skip_serializing_if = "Over::is_body")]
    pub over: Over,
}

/// What a caller's envelope is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Over {
    /// The body, a JSON object; answers are sealed too.
    #[default]
    Body,
    /// The whole request as `{method, path, query, headers, body}`, header names in lower case, the body as text: for callers that
    /// sign with headers. Answers are not sealed.
    Request,
}

impl Over {
    fn is_body(&self) -> bool {
        *self == Self::Body
    }
}
