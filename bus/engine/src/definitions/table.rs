//! Code tables: what one side's code is on the other side.
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A code table (码表): `routes/tables/<id>.yaml`, used by the mapping functions `lookup` and `reverseLookup`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TableDefinition {
    #[schemars(regex(pattern = r"^[a-z][a-z0-9-]{0,59}$"))]
    pub table: String,
    pub title: String,
    pub entries: IndexMap<String, String>,
    /// What an unknown code becomes; left out: an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}
