//! What a stub matches.
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// All parts must hold.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct When {
    /// HTTP method, in capitals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Z]{3,7}$"))]
    pub method: Option<String>,
    /// Path below the listener's: `/orders/{no}` has a named segment, a last `/*` takes the rest; left out: any path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^(/[^/?#\s]*)+$"))]
    pub path: Option<String>,
    /// Headers that must have these values.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub header: IndexMap<String, String>,
    /// Query parameters that must have these values.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub query: IndexMap<String, String>,
    /// Every one must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub all: Vec<Criterion>,
    /// At least one must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub any: Vec<Criterion>,
    /// None may hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not: Vec<Criterion>,
}

/// One condition: where to look (exactly one of `json`, `xml`, `header`, `query`, `param`) and what to find there
/// (exactly one comparison), or a `cel` expression alone. Values compare by their text: `12` equals `"12"`. Where a
/// selector gives several values, one that fits is enough.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Criterion {
    /// JSONPath, for instance `$.request.body.idNo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<String>,
    /// The same, where the document came as XML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xml: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// A named segment of `path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
    /// CEL that gives true or false; an error counts as false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cel: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<Scalar>,
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub one_of: Option<Vec<Scalar>>,
    /// Regular expression, found anywhere unless anchored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_with: Option<String>,
    /// Greater than: as numbers where both are, else as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gt: Option<Scalar>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gte: Option<Scalar>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lt: Option<Scalar>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lte: Option<Scalar>,
    /// With `json` and `xml`: the whole value, of whatever type. Numbers compare by value, members in any order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals_json: Option<serde_json::Value>,
    /// With `equalsJson`: what does not count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<Ignored>,
    /// Whether it is there at all, of whatever type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exists: Option<bool>,
}

/// What a comparison of whole values may pass over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ignored {
    /// The order of lists.
    ArrayOrder,
    /// Members of objects that are not asked for.
    ExtraMembers,
}

/// A text, number or boolean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Scalar {
    Text(String),
    Number(serde_json::Number),
    Boolean(bool),
}

impl Scalar {
    /// The text that values are compared with.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Boolean(boolean) => boolean.to_string(),
        }
    }
}
