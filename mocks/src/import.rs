//! Draft partners made of what others have written down: WireMock mappings, OpenAPI examples, WSDL.
mod at;
pub mod draft;
mod openapi;
mod wiremock;
mod wsdl;
pub(crate) mod yaml;

use std::path::Path;

use serde_json::Value;

pub use at::Refusal;
pub use draft::{Files, ImportReport, Imported};

/// Files of one import at most, and their bytes together.
const MAX_FILES: usize = 5_000;
const MAX_BYTES: usize = 64 << 20;

/// What is imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// WireMock's stub mappings.
    Wiremock,
    /// OpenAPI 3.0 or 3.1.
    Openapi,
    /// WSDL 1.1.
    Wsdl,
}

/// Makes a draft of files given by their names: `mappings/a.json`, `__files/a.xml`, or one alone.
///
/// # Errors
/// Nothing that could be imported, or a draft that the mock partners' own check refuses.
pub fn import(format: Format, files: &Files, partner: &str) -> Result<Imported, String> {
    well_named(partner)?;
    let draft = match format {
        Format::Wiremock => wiremock::draft(files, partner),
        Format::Openapi => openapi::draft(files, partner),
        Format::Wsdl => wsdl::draft(files, partner),
    };
    draft?.finish()
}

/// Refuses what cannot be a partner's id.
pub(crate) fn well_named(partner: &str) -> Result<(), String> {
    let fits = partner.starts_with(|c: char| c.is_ascii_lowercase())
        && partner.len() <= 40
        && partner.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if fits {
        return Ok(());
    }
    Err(format!("`{partner}` is no partner's id: lower-case letters, digits and hyphens, at most 40"))
}

/// A document as a template that gives it as it is: `${` in it is no expression.
pub(crate) fn escaped(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace("${", "$${")),
        Value::Array(values) => Value::Array(values.iter().map(escaped).collect()),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, value)| (name.clone(), escaped(value))).collect())
        }
        other => other.clone(),
    }
}

/// Reads a file, or all files below a folder; of a WSDL, what it imports as well.
///
/// # Errors
/// What cannot be read, more than 5000 files or 64 MiB.
pub fn read(format: Format, path: &Path) -> Result<Files, String> {
    let mut files = Files::new();
    if path.is_file() {
        if format == Format::Wsdl {
            return wsdl::read(path);
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        files.insert(name, bytes);
        return Ok(files);
    }
    let mut folders = vec![path.to_owned()];
    let mut size = 0;
    while let Some(folder) = folders.pop() {
        let wrong = |error: std::io::Error| format!("{}: {error}", folder.display());
        for entry in std::fs::read_dir(&folder).map_err(wrong)? {
            let entry = entry.map_err(wrong)?.path();
            if entry.is_symlink() {
                continue;
            }
            if entry.is_dir() {
                folders.push(entry);
                continue;
            }
            let name = entry.strip_prefix(path).unwrap_or(&entry).to_string_lossy().replace('\\', "/");
            let bytes = std::fs::read(&entry).map_err(|error| format!("{}: {error}", entry.display()))?;
            size += bytes.len();
            files.insert(name, bytes);
            if files.len() > MAX_FILES || size > MAX_BYTES {
                return Err(format!("{}: more than {MAX_FILES} files or 64 MiB", path.display()));
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests;
