//! Copies of the project's definitions and mock partners that a scenario may change.
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The project's root folder.
pub fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the workspace").to_owned()
}

/// Copies a folder with everything in it.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Replaces a file in one step, as editors and deployments do.
pub fn replace(file: &Path, text: &str) -> io::Result<()> {
    let beside = file.with_extension("new~");
    fs::write(&beside, text)?;
    fs::rename(beside, file)
}
