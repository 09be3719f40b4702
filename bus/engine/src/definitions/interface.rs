//! What the bus offers to callers: an id, an exposure, a contract, a flow, and examples that prove it.
use std::collections::BTreeMap;

use qiao_core::RecordPolicy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    flow::Step,
    system::Method,
    units::{Bytes, Duration},
};

/// An interface (接口): `routes/interfaces/<provider>/<name>.yaml`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct InterfaceDefinition {
    /// `<provider>.<name>`, as in the catalogue.
    #[schemars(regex(pattern = r"^[a-z][a-z0-9-]{0,39}\.[a-z][a-z0-9-]{0,59}$"))]
    pub interface: String,
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    pub pattern: Pattern,
    /// Named in no source: the partner has yet to confirm it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub assumed: bool,
    /// Switched off: callers get QIAO-3001.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub off: bool,
    #[serde(default)]
    pub expose: Expose,
    /// Bound on the whole call; a caller's own shorter `X-Deadline-Ms` counts. 10s when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Duration>,
    /// Bound on the request body; 1MiB when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_bytes: Option<Bytes>,
    /// What happens when the call could not be recorded: `standard` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<RecordPolicyName>")]
    pub record: Option<RecordPolicy>,
    /// Whether request and answer are kept with the record: `sealed`, encrypted under a key of the vault. Not kept when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bodies: Option<Bodies>,
    /// Business keys by which calls are found later: name → where it is. Kept as a keyed hash and shown masked.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<String, KeyDefinition>,
    #[serde(default)]
    pub contract: Contract,
    /// Passes bodies through unread to one operation, instead of a flow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward: Option<Forward>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flow: Vec<Step>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Example>,
}

/// What becomes of bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Bodies {
    /// SM4-GCM under `vault:record/data`, up to 64 KiB of each; opened by `qiao trace --reveal`, which is recorded itself.
    Sealed,
}

/// A business key of an interface's requests, such as an identity number.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct KeyDefinition {
    /// JSONPath in the request: `$.request.person.idNo`.
    pub from: String,
    /// Characters shown at the start and at the end, the others masked; none when left out.
    #[serde(default)]
    pub shown: (u8, u8),
}

/// The names of [`RecordPolicy`] for the schema.
#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[allow(dead_code, reason = "only its schema is used: qiao-core has no schemars")]
enum RecordPolicyName {
    Standard,
    Strict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pattern {
    Sync,
    Async,
    Push,
    Event,
    Scheduled,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Expose {
    /// Path on the gateway, `/<provider>/<name>` when left out. A forwarded interface may end in `/*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^/[A-Za-z0-9._~/*-]{1,200}$"))]
    pub path: Option<String>,
    /// Methods accepted, POST when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<Method>,
}

/// What callers may send and will get, as JSON Schema 2020-12. A request that does not fit is refused with QIAO-1007 before the flow.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Contract {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<serde_json::Value>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Forward {
    pub system: String,
    pub operation: String,
}

/// A request with what must come of it, run by `qiao selftest` and by `qiao check` against the mock partners.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Example {
    pub name: String,
    /// Caller id, whose credentials and envelope are used.
    pub caller: String,
    pub request: serde_json::Value,
    pub expect: Expectation,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Expectation {
    /// 200 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Every member named here must be in the answer with the same value; others may be there too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<serde_json::Value>,
    /// CEL over `status`, `headers`, `body` and `request`, each of which must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub that: Vec<String>,
}
