//! Every JSON Schema under `docs/schema/`: definitions, mock partners, settings. For editors, and for who changed a type.
use qiao_mappings::strict::schema_of;
use serde_json::Value;

use crate::config::{Config, MocksOnlyConfig};

/// Name and schema of each; the file is `<name>.schema.json`.
pub fn all() -> Vec<(&'static str, Value)> {
    let mut all = qiao_engine::schema::all();
    all.extend(qiao_mocks::schemas());
    all.push(("config", schema_of::<Config>()));
    all.push(("mocks-config", schema_of::<MocksOnlyConfig>()));
    all
}

/// The text of a schema's file.
pub fn text(schema: &Value) -> String {
    qiao_engine::schema::text(schema)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_committed_schemas_are_current_and_none_is_left_over() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema");
        let mut names = Vec::new();
        for (name, schema) in all() {
            let name = format!("{name}.schema.json");
            let committed = std::fs::read_to_string(folder.join(&name)).unwrap_or_default();
            assert!(committed == text(&schema), "{name} is not current; run `make schema`");
            names.push(name);
        }
        for file in std::fs::read_dir(folder).expect("docs/schema").flatten() {
            let file = file.file_name().to_string_lossy().into_owned();
            assert!(file == "README.md" || names.contains(&file), "{file} is the schema of nothing");
        }
    }
}
