//! A stub: what it matches, what it does to the business key's state, what it answers.
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Delay, FaultSpec, RowRule, ThenSpec, When, WriteRule};

/// One stub. Of all that match, the highest priority answers, then the one with more conditions, then the first written.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct StubSpec {
    /// Unique within the partner.
    #[schemars(regex(pattern = r"^[a-z0-9][a-z0-9-]{0,79}$"))]
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Only on this listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener: Option<String>,
    /// The value of `select`, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// 0 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// All parts must hold; left out: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StateRule>,
    /// Rows of shared tables by the names under which templates see them: `rows.<name>`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub rows: IndexMap<String, RowRule>,
    /// Changes of shared tables, made with the state's transition.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub write: Vec<WriteRule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Delay>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultSpec>,
    pub respond: Respond,
    /// What the partner sends afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<ThenSpec>,
}

/// A state machine per business key. Matching and the transition happen under one lock.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct StateRule {
    /// `main` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// Matches only in these states; every machine starts in `new`.
    #[serde(default, rename = "in", skip_serializing_if = "Vec::is_empty")]
    pub within: Vec<String>,
    /// The state afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Templates stored under the key, visible as `inst.data.<name>`; at most 16 KiB per key.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub set: IndexMap<String, serde_json::Value>,
    /// JSONPath that replaces the partner's `instance.key` for this stub; may read `$.params`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Template of another key under which a copy of what is stored, and of the states, is found afterwards: a number that was given out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
}

/// The answer. At most one of `json`, `wire`, `text`, `bodyFile` and `soapFault`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Respond {
    /// 200 when left out, 500 with `soapFault`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 200, max = 599))]
    pub status: Option<u16>,
    /// Templates.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub headers: IndexMap<String, String>,
    /// Template of the business document; travels in the listener's answer form: sealed, framed, encoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<serde_json::Value>,
    /// Template of a wire document: encoded, but neither sealed nor framed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wire: Option<serde_json::Value>,
    /// Template of a text sent as it is; `text/plain` unless `headers` say otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// A file of the partner's folder, at most 8 MiB, sent as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_file: Option<String>,
    /// A SOAP fault, on listeners with `proto: soap`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soap_fault: Option<SoapFault>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SoapFault {
    /// SOAP 1.1 `Client` or `Server`, SOAP 1.2 `Sender` or `Receiver`, or the partner's own code.
    pub code: String,
    /// Template.
    pub text: String,
}
