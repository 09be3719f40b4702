//! The JSON Schema of every kind of definition, for editors; committed under `docs/schema/`.
use qiao_mappings::strict::schema_of;
use serde_json::Value;

use crate::definitions::{
    CallerDefinition, GrantDefinition, InterfaceDefinition, SystemDefinition, TableDefinition,
};

/// Name and schema (draft 2020-12) of every kind of definition; the file is `<name>.schema.json`.
pub fn all() -> Vec<(&'static str, Value)> {
    vec![
        ("system", schema_of::<SystemDefinition>()),
        ("interface", schema_of::<InterfaceDefinition>()),
        ("caller", schema_of::<CallerDefinition>()),
        ("grant", schema_of::<GrantDefinition>()),
        ("table", schema_of::<TableDefinition>()),
    ]
}

/// The text of a schema's file.
pub fn text(schema: &Value) -> String {
    format!("{schema:#}\n")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_committed_schemas_are_current() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema");
        for (name, schema) in all() {
            let file = folder.join(format!("{name}.schema.json"));
            let committed = std::fs::read_to_string(&file).unwrap_or_default();
            let current = committed == text(&schema);
            assert!(current, "{name}.schema.json is not current; run `make schema`");
        }
    }

    #[test]
    fn every_schema_is_valid_and_says_what_its_keys_mean() {
        for (name, schema) in all() {
            jsonschema::draft202012::new(&schema).expect(name);
            assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
            assert!(schema["description"].as_str().is_some_and(|about| about.contains("routes/")), "{name}");
            assert_eq!(schema["additionalProperties"], false, "{name}");
        }
    }
}
