//! The city (`mocks/city/city.yaml`): how many people there are, from which seed, and the sample people known by name.
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::FormVersion;

/// A population of synthetic people that all partners share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CitySpec {
    /// The version of this form.
    pub city: FormVersion,
    /// Start of every value; another seed is another city.
    pub seed: u64,
    /// People; 10000 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 200_000))]
    pub citizens: Option<u32>,
    /// The day on which the city stands still, from which ages and periods are counted; 2026-01-01 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^20\d{2}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])$"))]
    pub as_of: Option<String>,
    /// Sample rows by table, beside the generated ones; columns left out are null.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub rows: IndexMap<String, Vec<Map<String, Value>>>,
}

impl CitySpec {
    /// The sample rows of a table.
    pub fn rows_of(&self, table: &str) -> &[Map<String, Value>] {
        self.rows.get(table).map_or(&[], Vec::as_slice)
    }
}
