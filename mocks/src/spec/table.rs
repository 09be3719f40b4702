//! Rows of shared tables: what a stub looks at and what it writes.
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::criteria::Scalar;

/// A row that a stub looks at. The stub matches only where there is such a row, which templates then see as `rows.<name>`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RowRule {
    /// A shared table, such as `city.cards`.
    pub table: String,
    /// The key, or an indexed column, and the JSONPath of the value it has: `{idNo: $.request.idNo}`.
    pub by: IndexMap<String, String>,
    /// Columns that must have this value, or one of these; texts are templates over what conditions see. Of several rows
    /// the first by key that fits is taken.
    #[serde(default, rename = "where", skip_serializing_if = "IndexMap::is_empty")]
    pub fits: IndexMap<String, OneOrMany>,
    /// False: the stub matches only where there is no such row; `rows.<name>` is then null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exists: Option<bool>,
}

/// A value, or several of which one must fit.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    One(Scalar),
    Many(Vec<Scalar>),
}

impl OneOrMany {
    pub fn values(&self) -> &[Scalar] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }
}

/// A change of one row; exactly one of `set`, `insert` and `remove`. All changes of a stub and its state's transition happen
/// together or not at all.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct WriteRule {
    /// A shared table, such as `city.cards`.
    pub table: String,
    /// Template of the row's key.
    pub key: String,
    /// Templates of columns of a row that is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<IndexMap<String, Value>>,
    /// Templates of the columns of a new row; those left out are null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insert: Option<IndexMap<String, Value>>,
    /// Takes the row away.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub remove: bool,
}
