//! The files that a partner was made of: which they are and a digest of each, so that they can be given out as they are in
//! effect, and never as somebody is changing them.
use std::{collections::BTreeMap, path::PathBuf};

use crate::entropy::Fnv;

/// Bytes of a partner's files together, where they are given out at once.
const MAX_BYTES: usize = 64 << 20;

/// What is known of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    hash: u64,
    /// Private keys: used, never given out.
    pub secret: bool,
}

impl Known {
    pub fn of(bytes: &[u8], secret: bool) -> Self {
        Self { hash: Fnv::hash(bytes), secret }
    }
}

/// Where a partner comes from.
#[derive(Debug, Default)]
pub struct Origin {
    folder: PathBuf,
    /// By their path below the folder.
    files: BTreeMap<String, Known>,
    /// Equal where all files are equal.
    pub hash: u64,
}

impl Origin {
    pub fn new(folder: PathBuf, files: BTreeMap<String, Known>) -> Self {
        let mut hash = Fnv::new();
        for (name, known) in &files {
            hash.write(name.as_bytes());
            hash.write(&[0]);
            hash.write(&known.hash.to_le_bytes());
        }
        Self { folder, files, hash: hash.finish() }
    }

    /// Whether a file is used but never given out.
    pub fn is_secret(&self, name: &str) -> bool {
        self.files.get(name).is_some_and(|known| known.secret)
    }

    /// The files that the partner was made of.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The files as they were when the partner was made.
    ///
    /// # Errors
    /// A file that has changed or gone since, or more than 64 MiB.
    pub fn read(&self) -> Result<BTreeMap<String, Vec<u8>>, String> {
        let mut size = 0;
        let mut files = BTreeMap::new();
        for (name, known) in &self.files {
            let changed = || {
                format!(
                    "{name} is no longer what the partner was made of: reload the partners, or put the file back"
                )
            };
            let path = self.folder.join(name);
            let length = std::fs::metadata(&path).map_err(|_| changed())?.len();
            size += usize::try_from(length).unwrap_or(usize::MAX).min(MAX_BYTES + 1);
            if size > MAX_BYTES {
                return Err("the partner's files have more than 64 MiB: take them from its folder".to_owned());
            }
            let bytes = std::fs::read(&path).map_err(|_| changed())?;
            if Known::of(&bytes, known.secret) != *known {
                return Err(changed());
            }
            files.insert(name.clone(), bytes);
        }
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_given_out_only_as_they_were_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |text: &str| std::fs::write(folder.path().join("a.yaml"), text).expect("written");
        write("a: 1");
        let files = BTreeMap::from([("a.yaml".to_owned(), Known::of(b"a: 1", false))]);
        let origin = Origin::new(folder.path().to_owned(), files);
        assert_eq!(origin.read().map(|files| files["a.yaml"].clone()), Ok(b"a: 1".to_vec()));
        write("a: 2");
        assert!(origin.read().is_err_and(|why| why.contains("a.yaml") && why.contains("reload")));
    }

    #[test]
    fn the_hash_tells_contents_and_names_apart() {
        let of = |name: &str, text: &[u8]| {
            Origin::new(PathBuf::new(), BTreeMap::from([(name.to_owned(), Known::of(text, false))])).hash
        };
        assert_eq!(of("a", b"1"), of("a", b"1"));
        assert_ne!(of("a", b"1"), of("b", b"1"));
        assert_ne!(of("a", b"1"), of("a", b"2"));
    }
}
