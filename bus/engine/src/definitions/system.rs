//! A partner's system: where it is, how it is spoken to, what it offers, how its answers are judged, how much it may be asked.
use indexmap::IndexMap;
use qiao_mappings::{CodecSpec, MappingSpec};
use qiao_vault::EnvelopeSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    partner::{Breaker, Credential, Health, Limits, Pool, Retry, Tls},
    units::Duration,
};

/// A partner's system (合作系统): `routes/systems/<id>.yaml`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SystemDefinition {
    /// Id: lower-case letters, digits and hyphens; the file has the same name.
    #[schemars(regex(pattern = r"^[a-z][a-z0-9-]{0,39}$"))]
    pub system: String,
    /// Chinese title, shown in the console.
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// The wire the partner speaks. A system that only calls the bus, and is never called, has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    #[serde(default)]
    pub endpoints: Endpoints,
    /// Bound on one attempt, connecting included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Bound on connecting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<Pool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<Breaker>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Credential>,
    /// Headers sent with every request; values are templates over `call`, `operation` and `parameters`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub headers: IndexMap<String, String>,
    /// Constants of this partner (our customer number there, an application id), visible to frames and headers as `parameters`. Never secrets.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub parameters: IndexMap<String, serde_json::Value>,
    /// How messages are sealed and opened, by name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub envelopes: IndexMap<String, EnvelopeSpec>,
    /// The default form of requests; an operation may replace it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestForm>,
    /// The default form of answers; an operation may replace it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<AnswerForm>,
    /// The first rule that applies says what an answer means. Without a match: 2xx is ok, 429/502/503/504 retry, other 5xx and 4xx refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judge: Vec<JudgeRule>,
    /// What the system offers, by id.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub operations: IndexMap<String, OperationDefinition>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// HTTP with a body of the codec declared.
    Http,
    /// SOAP 1.1 over HTTP.
    #[serde(rename = "soap-1.1")]
    Soap11,
    /// SOAP 1.2 over HTTP.
    #[serde(rename = "soap-1.2")]
    Soap12,
}

/// The addresses of a system; which set is used is the node's configuration.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Endpoints {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub live: Vec<Endpoint>,
    /// The mock partner standing in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mock: Vec<Endpoint>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Endpoint {
    /// `http://` or `https://` with host, port and base path.
    #[schemars(regex(pattern = r"^https?://[^\s?#]+$"))]
    pub url: String,
    /// Share of calls relative to the other endpoints, 1 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub weight: Option<u32>,
}

/// One thing a system offers (操作).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct OperationDefinition {
    pub title: String,
    /// HTTP method, POST when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// Path below the endpoint's base; `${…}` takes values of the request document, percent-encoded.
    #[serde(default)]
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soap_action: Option<String>,
    /// Whether it changes the partner's state: then nothing is repeated unless the effect surely did not happen or `idempotencyHeader` is honoured.
    pub changing: bool,
    /// The header by which the partner recognises a repeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_header: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<AnswerForm>,
    /// Replaces the system's rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<Vec<JudgeRule>>,
    /// JSON Schema of the business document sent, before frame and seal; checked by `qiao check` against the step's mapping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepts: Option<serde_json::Value>,
    /// JSON Schema of the business document answered, after open and frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returns: Option<serde_json::Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

/// From business document to wire: encode `plain`, seal it, frame it, encode the wire document.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RequestForm {
    /// The codec of what travels.
    pub wire: CodecSpec,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<SealForm>,
    /// Builds the wire document from `plain`, `sealed`, `parameters`, `operation` and `call`. Left out: the sealed object, or `plain` where nothing is sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<MappingSpec>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SealForm {
    /// Name of one of the system's envelopes.
    pub envelope: String,
    /// How the business document becomes the bytes that are sealed.
    pub plain: CodecSpec,
    /// Parameters of the envelope: templates over `plain`, `parameters`, `operation`, `call`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub parameters: IndexMap<String, String>,
}

/// From wire to business document: decode, open, frame.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AnswerForm {
    pub wire: CodecSpec,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<OpenForm>,
    /// Builds the business document from `wire`, `plain` (when opened), `status` and `headers`. Left out: `plain`, or `wire` where nothing is opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<MappingSpec>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct OpenForm {
    pub envelope: String,
    /// JSONPath of the sealed object, for instance `$.wire.submitResponse`.
    pub from: String,
    /// CEL over `status` and `wire`; false: nothing is opened. Left out: opened whenever `from` selects something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    pub plain: CodecSpec,
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub parameters: IndexMap<String, String>,
}

/// What an answer means.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct JudgeRule {
    /// CEL over `status`, `headers`, `wire`, `body` (the business document, null when not opened) and `soapFault` (null, or `{code, string}`). Left out: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    pub is: Judgement,
    /// Template of the partner's code, passed to the caller of a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Template of the partner's reason, passed to the caller of a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// The meaning of a partner's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Judgement {
    Ok,
    /// Business refusal: asking again changes nothing.
    Refused,
    /// Already in the state asked for: as good as ok.
    Done,
    /// Took effect in part (for instance locally but not at the bank): the flow goes on and can see it.
    Partial,
    /// Not taken: may be repeated, changing or not.
    Retry,
    /// The effect is not known: query, never resend.
    Unknown,
    /// The partner's answer makes no sense.
    Broken,
}
