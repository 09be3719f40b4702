//! Code tables: a partner's codes on one side, ours on the other, read both ways by `lookup` and `reverseLookup`.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// A code table as written in a definition.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TableSpec {
    /// What the table translates, for readers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Code to meaning, both text. Where two codes share a meaning, reverse lookup gives the first.
    pub entries: IndexMap<String, String>,
    /// What `lookup` gives for a code that is not listed; without it such a code is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// What `reverseLookup` gives for a meaning that is not listed; without it that is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverse_default: Option<String>,
}

/// A compiled code table; cloning shares it.
#[derive(Debug, Clone)]
pub struct Table(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    forward: HashMap<String, String>,
    reverse: HashMap<String, String>,
    default: Option<String>,
    reverse_default: Option<String>,
}

impl Table {
    /// Compiles a table.
    pub fn new(spec: &TableSpec) -> Table {
        let mut reverse = HashMap::with_capacity(spec.entries.len());
        for (code, meaning) in &spec.entries {
            reverse.entry(meaning.clone()).or_insert_with(|| code.clone());
        }
        Table(Arc::new(Inner {
            forward: spec.entries.iter().map(|(code, meaning)| (code.clone(), meaning.clone())).collect(),
            reverse,
            default: spec.default.clone(),
            reverse_default: spec.reverse_default.clone(),
        }))
    }

    /// The meaning of a code, or the default.
    pub fn lookup(&self, code: &str) -> Option<&str> {
        self.0.forward.get(code).or(self.0.default.as_ref()).map(String::as_str)
    }

    /// The first code of a meaning, or the reverse default.
    pub fn reverse_lookup(&self, meaning: &str) -> Option<&str> {
        self.0.reverse.get(meaning).or(self.0.reverse_default.as_ref()).map(String::as_str)
    }
}

/// The code tables a definition may name.
pub trait Tables {
    /// The table of that name.
    fn table(&self, name: &str) -> Option<&Table>;

    /// Expressions of these tables that were compiled before, to be used again where the same text stands.
    fn expressions(&self) -> Option<&crate::KnownExpressions> {
        None
    }

    /// Functions that expressions may call beside those of [`crate::functions::FUNCTIONS`].
    fn functions(&self) -> Option<&crate::Functions> {
        None
    }
}

/// No code tables at all.
pub struct NoTables;

impl Tables for NoTables {
    fn table(&self, _name: &str) -> Option<&Table> {
        None
    }
}

impl Tables for HashMap<String, Table> {
    fn table(&self, name: &str) -> Option<&Table> {
        self.get(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_ways_with_a_default_each() {
        let table = Table::new(&TableSpec {
            entries: [("1", "男"), ("2", "女"), ("M", "男")].map(|(k, v)| (k.into(), v.into())).into(),
            default: Some("未知".into()),
            ..TableSpec::default()
        });
        assert_eq!(table.lookup("2"), Some("女"));
        assert_eq!(table.lookup("7"), Some("未知"));
        assert_eq!(table.reverse_lookup("男"), Some("1"));
        assert_eq!(table.reverse_lookup("其他"), None);
    }
}
