//! Draft partners made of what others have written down: WireMock mappings, OpenAPI examples, WSDL.
mod at;
pub mod draft;
mod wiremock;
pub(crate) mod yaml;

use std::path::Path;

pub use at::Refusal;
pub use draft::{Files, ImportReport, Imported};

/// Files of one import at most, and their bytes together.
const MAX_FILES: usize = 5_000;
const MAX_BYTES: usize = 64 << 20;

/// What is imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Wiremock,
}

/// Makes a draft of files given by their names: `mappings/a.json`, `__files/a.xml`, or one alone.
///
/// # Errors
/// Nothing that could be imported, or a draft that the mock partners' own check refuses.
pub fn import(format: Format, files: &Files, partner: &str) -> Result<Imported, String> {
    let well_named = partner.starts_with(|c: char| c.is_ascii_lowercase())
        && partner.len() <= 40
        && partner.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !well_named {
        return Err(format!(
            "`{partner}` is no partner's id: lower-case letters, digits and hyphens, at most 40"
        ));
    }
    let draft = match format {
        Format::Wiremock => wiremock::draft(files, partner),
    };
    draft?.finish()
}

/// Reads a file, or all files below a folder.
///
/// # Errors
/// What cannot be read, more than 5000 files or 64 MiB.
pub fn read(path: &Path) -> Result<Files, String> {
    let mut files = Files::new();
    if path.is_file() {
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
