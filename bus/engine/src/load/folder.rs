//! Finds the files of a folder of definitions, in the order of their names, and refuses what does not belong there.
use std::{
    fs, io,
    path::{Path, PathBuf},
};

use qiao_mappings::strict::{MAX_BYTES, Mistake};

use super::{DefinitionFile, MAX_FILES, MAX_TOTAL_BYTES};
use crate::mistake::Kind;

/// Folder for certificates that definitions name.
const CERTIFICATES: &str = "certificates";
/// `interfaces/<provider>/<name>.yaml` is the deepest.
const MAX_DEPTH: usize = 3;

pub(super) fn read(folder: &Path, shown: &str) -> (Vec<DefinitionFile>, Vec<Mistake>) {
    let mut reader =
        Reader { root: PathBuf::new(), shown, files: Vec::new(), bytes: 0, mistakes: Vec::new() };
    match folder.canonicalize() {
        Ok(root) => {
            reader.root = root.clone();
            if reader.folder(&root, "", 0).is_err() {
                let message =
                    format!("more than {MAX_FILES} files or {MAX_TOTAL_BYTES} bytes of definitions");
                reader.mistakes.push(Mistake::of_file(shown, message));
            }
        }
        Err(error) => reader.unreadable("", &error),
    }
    (reader.files, reader.mistakes)
}

/// A bound was met; reading stops.
struct TooMuch;

struct Reader<'a> {
    root: PathBuf,
    shown: &'a str,
    files: Vec<DefinitionFile>,
    bytes: usize,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    fn folder(&mut self, folder: &Path, below: &str, depth: usize) -> Result<(), TooMuch> {
        let mut names = Vec::new();
        match fs::read_dir(folder) {
            Ok(entries) => {
                for entry in entries.take(MAX_FILES + 1) {
                    match entry {
                        Ok(entry) => names.push(entry.file_name()),
                        Err(error) => self.unreadable(below, &error),
                    }
                }
            }
            Err(error) => self.unreadable(below, &error),
        }
        names.sort();
        for name in names {
            let Some(name) = name.to_str() else {
                self.wrong(below, "a file whose name is not UTF-8", "rename it");
                continue;
            };
            if !name.starts_with('.') {
                let path = if below.is_empty() { name.to_owned() } else { format!("{below}/{name}") };
                self.entry(&folder.join(name), &path, depth)?;
            }
        }
        Ok(())
    }

    /// `path` is shown; `place` is where it is.
    fn entry(&mut self, place: &Path, path: &str, depth: usize) -> Result<(), TooMuch> {
        match place.canonicalize() {
            Ok(real) if !real.starts_with(&self.root) => {
                self.wrong(path, "a link that leads out of the folder", "copy the file here");
                return Ok(());
            }
            Ok(_) => {}
            Err(error) => {
                self.unreadable(path, &error);
                return Ok(());
            }
        }
        if place.is_dir() {
            let known = depth > 0 || Kind::ALL.iter().any(|kind| kind.folder() == path);
            if depth == 0 && path == CERTIFICATES {
                return Ok(());
            }
            if !known {
                let folders = Kind::ALL.iter().map(|kind| kind.folder());
                let remedy = qiao_mappings::strict::did_you_mean(path, folders).unwrap_or_default();
                self.wrong(path, "not a folder of definitions", &remedy);
                return Ok(());
            }
            if depth + 1 >= MAX_DEPTH {
                self.wrong(path, "a folder too deep", "definitions are at most in `interfaces/<provider>/`");
                return Ok(());
            }
            return self.folder(place, path, depth + 1);
        }
        self.file(place, path)
    }

    fn file(&mut self, place: &Path, path: &str) -> Result<(), TooMuch> {
        if path.ends_with(".md") {
            return Ok(());
        }
        if !path.ends_with(".yaml") {
            self.wrong(path, "not a definition", "definitions end in `.yaml`");
            return Ok(());
        }
        if self.files.len() >= MAX_FILES {
            return Err(TooMuch);
        }
        match fs::metadata(place).map(|about| about.len()) {
            Ok(bytes) if bytes > MAX_BYTES as u64 => {
                self.wrong(path, &format!("{bytes} bytes; a file holds at most {MAX_BYTES}"), "split it");
                return Ok(());
            }
            Ok(_) => {}
            Err(error) => {
                self.unreadable(path, &error);
                return Ok(());
            }
        }
        match fs::read_to_string(place) {
            Ok(text) => {
                self.bytes += text.len();
                if self.bytes > MAX_TOTAL_BYTES {
                    return Err(TooMuch);
                }
                self.files.push(DefinitionFile { path: path.to_owned(), text });
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.wrong(path, "not UTF-8", "save it as UTF-8");
            }
            Err(error) => self.unreadable(path, &error),
        }
        Ok(())
    }

    fn unreadable(&mut self, path: &str, error: &io::Error) {
        self.wrong(path, &format!("cannot be read: {error}"), "check that it exists and may be read");
    }

    fn wrong(&mut self, path: &str, message: &str, remedy: &str) {
        let file = if path.is_empty() { self.shown.to_owned() } else { format!("{}/{path}", self.shown) };
        self.mistakes.push(Mistake::of_file(file, message).with_remedy(remedy));
    }
}
