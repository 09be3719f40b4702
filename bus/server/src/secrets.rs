//! The files of a node that only their owner may read: the admin token and the vault's unseal key.
use std::{
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// A secret file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {reason}")]
pub struct SecretsError {
    pub file: PathBuf,
    pub reason: String,
}

/// The token of the admin API, made at the first start.
pub fn admin_token(data: &Path) -> Result<String, SecretsError> {
    let file = data.join("admin-token");
    read_or_make(&file, || hex::encode(random_bytes()))
}

/// The text of the file, which is made first where there is none.
pub fn read_or_make(file: &Path, make: impl FnOnce() -> String) -> Result<String, SecretsError> {
    let failed = |error: std::io::Error| SecretsError { file: file.into(), reason: error.to_string() };
    match fs::read_to_string(file) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let text = make();
            write_private(file, &text).map_err(failed)?;
            Ok(text)
        }
        Err(error) => Err(failed(error)),
    }
}

/// Writes a file that only its owner may read.
pub fn write_private(file: &Path, text: &str) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    let mut opened = options.write(true).create(true).truncate(true).mode(0o600).open(file)?;
    opened.write_all(text.as_bytes())?;
    opened.write_all(b"\n")
}

/// 32 bytes from the operating system's generator.
fn random_bytes() -> [u8; 32] {
    let (first, second) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(first.as_bytes());
    bytes[16..].copy_from_slice(second.as_bytes());
    bytes
}

/// Equality that takes the same time wherever the texts differ.
pub fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}
