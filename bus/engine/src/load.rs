//! Reads a folder of definitions, or the files of a release, with all mistakes of all files at once.
use std::{collections::BTreeMap, path::Path, sync::Arc};

use qiao_mappings::strict::{Mistake, Source};

use crate::{
    definitions::Definitions,
    mistake::{DefinitionId, Kind, PlanMistake},
};

mod folder;

/// Files in one set of definitions at most.
pub const MAX_FILES: usize = 10_000;
/// Bytes of all files together at most.
pub const MAX_TOTAL_BYTES: usize = 64 << 20;

/// The text of one definition and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefinitionFile {
    /// Below the definitions' folder, with `/`: `interfaces/permit/registration-upload.yaml`.
    pub path: String,
    pub text: String,
}

/// What was read, and what could not be.
#[derive(Debug, Default)]
pub struct Loaded {
    pub definitions: Definitions,
    /// Of every definition that was read.
    pub sources: BTreeMap<DefinitionId, Source>,
    /// Sorted by file and place.
    pub mistakes: Vec<Mistake>,
}

/// Reads `systems/*.yaml`, `interfaces/<provider>/*.yaml`, `callers/*.yaml`, `grants/*.yaml` and `tables/*.yaml`. Hidden files,
/// `*.md`, and the folder `certificates/` are passed over. Blocking; bounded by [`MAX_FILES`] and [`MAX_TOTAL_BYTES`].
pub fn load(folder: &Path) -> Loaded {
    load_with(folder, |_| Vec::new())
}

/// As [`load`], after a look at the texts themselves: what `examine` finds wrong (a seal that does not hold) is among the
/// mistakes, and what is loaded is exactly what it saw.
pub fn load_with(folder: &Path, examine: impl FnOnce(&[DefinitionFile]) -> Vec<Mistake>) -> Loaded {
    let shown = folder.to_string_lossy();
    let shown = shown.trim_end_matches('/');
    let (files, mistakes) = folder::read(folder, shown);
    let mut loaded = load_texts(&files, shown);
    loaded.mistakes.extend(mistakes);
    loaded.mistakes.extend(examine(&files));
    loaded.mistakes.sort();
    loaded
}

/// Reads definitions from texts; `shown` is the folder named in mistakes and may be empty.
pub fn load_texts(files: &[DefinitionFile], shown: &str) -> Loaded {
    let mut loaded = Loaded::default();
    for file in files {
        let name = if shown.is_empty() { file.path.clone() } else { format!("{shown}/{}", file.path) };
        match place(&file.path) {
            Ok(id) => loaded.read(id, &name, &file.text),
            Err((message, remedy)) => {
                loaded.mistakes.push(Mistake::of_file(name, message).with_remedy(remedy))
            }
        }
    }
    loaded.mistakes.sort();
    loaded
}

/// Which definition a file must hold.
fn place(path: &str) -> Result<DefinitionId, (String, String)> {
    let parts: Vec<&str> = path.split('/').collect();
    let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.folder() == parts[0]).filter(|_| parts.len() > 1)
    else {
        let folders: Vec<&str> = Kind::ALL.into_iter().map(Kind::folder).collect();
        let remedy = qiao_mappings::strict::did_you_mean(parts[0], folders).unwrap_or_default();
        return Err(("not in a folder of definitions".to_owned(), remedy));
    };
    let Some(stem) = parts.last().and_then(|name| name.strip_suffix(".yaml")) else {
        return Err(("not a definition".to_owned(), "definitions end in `.yaml`".to_owned()));
    };
    match (kind, parts.as_slice()) {
        (Kind::Interface, [_, provider, _]) => Ok(DefinitionId::new(kind, format!("{provider}.{stem}"))),
        (Kind::Interface, _) => Err((
            "an interface outside its provider's folder".to_owned(),
            "move it to `interfaces/<provider>/<name>.yaml`".to_owned(),
        )),
        (_, [_, _]) => Ok(DefinitionId::new(kind, stem)),
        _ => Err((format!("too deep for a {kind}"), format!("move it to `{}/<id>.yaml`", kind.folder()))),
    }
}

impl Loaded {
    /// One file; what it holds goes to the definitions, its mistakes to the mistakes.
    fn read(&mut self, id: DefinitionId, name: &str, text: &str) {
        let source = match Source::read(name, text) {
            Ok(source) => source,
            Err(mistakes) => return self.refuse(id, mistakes),
        };
        let result = self.decode(&id, &source);
        self.sources.insert(id.clone(), source);
        if let Err(mistakes) = result {
            self.refuse(id, mistakes);
        }
    }

    fn refuse(&mut self, id: DefinitionId, mistakes: Vec<Mistake>) {
        self.definitions.unread.insert(id);
        self.mistakes.extend(mistakes);
    }

    fn decode(&mut self, id: &DefinitionId, source: &Source) -> Result<(), Vec<Mistake>> {
        let all = &mut self.definitions;
        let key = id.id.clone();
        match id.kind {
            Kind::System => {
                named(&mut all.systems, key, Arc::new(source.decode()?), id, source, |d| &d.system)
            }
            Kind::Interface => {
                named(&mut all.interfaces, key, Arc::new(source.decode()?), id, source, |d| &d.interface)
            }
            Kind::Caller => {
                named(&mut all.callers, key, Arc::new(source.decode()?), id, source, |d| &d.caller)
            }
            Kind::Grant => named(&mut all.grants, key, Arc::new(source.decode()?), id, source, |d| &d.grant),
            Kind::Table => named(&mut all.tables, key, Arc::new(source.decode()?), id, source, |d| &d.table),
        }
    }

    /// A mistake found in a definition, with its file, line and column.
    pub fn located(&self, mistake: &PlanMistake) -> Mistake {
        let located = self.locate(&mistake.definition, &mistake.path, &mistake.message);
        Mistake { remedy: mistake.remedy.clone(), ..located }
    }

    /// A mistake at `path` of a definition, with its file, line and column.
    pub fn locate(&self, definition: &DefinitionId, path: &str, message: &str) -> Mistake {
        match self.sources.get(definition) {
            Some(source) => source.mistake(path, message),
            None => Mistake { path: path.to_owned(), ..Mistake::of_file(definition.to_string(), message) },
        }
    }
}

/// Keeps a definition under its id, which is also its file's name.
fn named<T>(
    all: &mut BTreeMap<String, Arc<T>>,
    key: String,
    definition: Arc<T>,
    id: &DefinitionId,
    source: &Source,
    own: impl Fn(&T) -> &String,
) -> Result<(), Vec<Mistake>> {
    let written = own(&definition);
    if *written != id.id {
        let message = format!("`{written}` in the file of `{}`", id.id);
        let remedy = "the id is the file's name; an interface's is `<folder>.<file>`";
        return Err(vec![source.mistake(id.kind.word(), message).with_remedy(remedy)]);
    }
    all.insert(key, definition);
    Ok(())
}

#[cfg(test)]
mod tests;
