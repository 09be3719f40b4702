//! Which journaled messages are meant, and the standard messages that submitted ones are scored against.
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Criterion, criteria::Scalar};

/// Which journaled requests are meant; all parts must hold. Nothing: every request.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Meant {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener: Option<String>,
    /// The stub that answered, without partner and hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stub: Option<String>,
    /// The value of the partner's `select`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// The business key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whether no stub matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub miss: Option<bool>,
    /// Status of the answer; 0 where none was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// 32 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Path below the listener's, as in stubs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Conditions as in stubs, over `request`, `wire`, `item`, `path` and `method`; the journal keeps neither headers nor queries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub all: Vec<Criterion>,
    /// At least one must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub any: Vec<Criterion>,
    /// None may hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not: Vec<Criterion>,
}

/// A standard message with points per field.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ScoreTemplate {
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Which messages are candidates.
    #[serde(default)]
    pub when: Meant,
    /// Which of several candidates counts: the `best` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pick: Option<Pick>,
    /// The standard message: each scalar in it is one field, worth one point unless `weights` say otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Value>,
    /// Points by place in the message, such as `body.idNo`, or a part of it, such as `header`; 0: not looked at.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub weights: IndexMap<String, f64>,
    /// Fields with other tests than equality.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<ScoreField>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pick {
    First,
    Last,
    #[default]
    Best,
}

/// One field with a test.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ScoreField {
    /// What must hold.
    pub that: Criterion,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Points when it holds; 1 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub points: Option<f64>,
    /// Values that are not right but earn part of the points.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partly: Vec<Partly>,
}

/// A value that earns part of a field's points.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Partly {
    pub equals: Scalar,
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub points: f64,
}
