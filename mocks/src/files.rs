//! The folder of mock partners, read strictly: every partner's YAML, tables and bodies.
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Component, Path, PathBuf},
};

use parking_lot::Mutex;
use qiao_mappings::strict::{Mistake, Source};

use crate::{
    origin::{Known, Origin},
    sessions::Pack,
    spec::{CitySpec, PackSpec, PartnerSpec, StubsFile},
    table::{self, DataTable},
};

/// Partners at most.
pub const MAX_PARTNERS: usize = 500;
const MAX_BODY_FILE: u64 = 8 << 20;

/// The files of one partner.
pub struct PartnerFiles {
    pub folder: String,
    path: PathBuf,
    pub source: Source,
    pub spec: PartnerSpec,
    pub more: Vec<(Source, StubsFile)>,
    pub tables: HashMap<String, DataTable>,
    /// Files of a draft that stands in no folder yet.
    memory: BTreeMap<String, Vec<u8>>,
    /// What was read so far.
    seen: Mutex<BTreeMap<String, Known>>,
}

impl PartnerFiles {
    /// A partner whose files are all at hand; tables are among them.
    ///
    /// # Errors
    /// A table that cannot be read.
    pub fn of_memory(
        folder: &str,
        source: Source,
        spec: PartnerSpec,
        more: Vec<(Source, StubsFile)>,
        memory: BTreeMap<String, Vec<u8>>,
    ) -> Result<Self, Vec<Mistake>> {
        let mut tables = HashMap::new();
        for (file, bytes) in &memory {
            let Some(name) = file.strip_prefix("tables/").and_then(|name| name.strip_suffix(".csv")) else {
                continue;
            };
            let table = DataTable::parse(&String::from_utf8_lossy(bytes)).map_err(|wrong| {
                vec![Mistake { line: wrong.line, ..Mistake::of_file(file.clone(), wrong.message) }]
            })?;
            tables.insert(name.to_owned(), table);
        }
        let (folder, path, seen) = (folder.to_owned(), PathBuf::new(), Mutex::default());
        Ok(Self { folder, path, source, spec, more, tables, memory, seen })
    }

    /// A partner whose files are all at hand, none of which has been read yet.
    ///
    /// # Errors
    /// Every mistake of form in every file.
    pub fn parse(folder: &str, memory: BTreeMap<String, Vec<u8>>) -> Result<Self, Vec<Mistake>> {
        let (mut main, mut more, mut mistakes) = (None, Vec::new(), Vec::new());
        for (name, bytes) in memory.iter().filter(|(name, _)| is_definition(name)) {
            let text = String::from_utf8_lossy(bytes);
            let source = Source::read(name, &text);
            let read = source.and_then(|source| {
                if name == "partner.yaml" {
                    main = Some((source.decode::<PartnerSpec>()?, source));
                } else {
                    more.push((source.decode::<StubsFile>()?, source));
                }
                Ok(())
            });
            mistakes.extend(read.err().into_iter().flatten());
        }
        let more = more.into_iter().map(|(stubs, source)| (source, stubs)).collect();
        match main {
            Some((spec, source)) if mistakes.is_empty() => {
                let files = Self::of_memory(folder, source, spec, more, memory)?;
                let definitions =
                    files.memory.iter().filter(|(name, _)| is_definition(name) || is_table(name));
                let seen = definitions.map(|(name, bytes)| (name.clone(), Known::of(bytes, false))).collect();
                *files.seen.lock() = seen;
                Ok(files)
            }
            Some(_) => Err(mistakes),
            None => {
                if !memory.contains_key("partner.yaml") {
                    mistakes.push(Mistake::of_file("partner.yaml", "a partner needs its `partner.yaml`"));
                }
                Err(mistakes)
            }
        }
    }

    /// A file below the partner's folder.
    ///
    /// # Errors
    /// A path that leaves the folder, a file that cannot be read or is too large.
    pub fn body(&self, name: &str) -> Result<Vec<u8>, String> {
        self.read(name, false)
    }

    /// As [`Self::body`], a file that is used and never given out.
    ///
    /// # Errors
    /// As [`Self::body`].
    pub fn secret(&self, name: &str) -> Result<Vec<u8>, String> {
        self.read(name, true)
    }

    fn read(&self, name: &str, secret: bool) -> Result<Vec<u8>, String> {
        let bytes = match self.memory.get(name) {
            Some(bytes) => bytes.clone(),
            None if self.path.as_os_str().is_empty() => return Err("there is no such file".into()),
            None => below(&self.path, name)?,
        };
        let mut seen = self.seen.lock();
        let secret = secret || seen.get(name).is_some_and(|known| known.secret);
        seen.insert(name.to_owned(), Known::of(&bytes, secret));
        Ok(bytes)
    }

    /// What was read so far.
    pub fn origin(&self) -> Origin {
        Origin::new(self.path.clone(), self.seen.lock().clone())
    }
}

fn is_definition(name: &str) -> bool {
    name == "partner.yaml" || is_within(name, "stubs/", ".yaml")
}

fn is_table(name: &str) -> bool {
    is_within(name, "tables/", ".csv")
}

/// Whether it is a file right within a subfolder.
fn is_within(name: &str, folder: &str, ending: &str) -> bool {
    let inside = name.strip_prefix(folder).and_then(|rest| rest.strip_suffix(ending));
    inside.is_some_and(|stem| !stem.contains('/'))
}

/// A file below a folder.
///
/// # Errors
/// A path that leaves the folder, a file that cannot be read or is too large.
pub fn below(folder: &Path, name: &str) -> Result<Vec<u8>, String> {
    let relative = Path::new(name);
    if !relative.components().all(|part| matches!(part, Component::Normal(_))) {
        return Err("a path below the folder, without `..`".into());
    }
    let path = folder.join(relative);
    let size = fs::metadata(&path).map_err(|error| format!("cannot be read: {error}"))?.len();
    if size > MAX_BODY_FILE {
        return Err("at most 8 MiB".into());
    }
    fs::read(&path).map_err(|error| format!("cannot be read: {error}"))
}

#[cfg(test)]
impl PartnerFiles {
    /// A partner of one text, without tables and bodies.
    pub fn of_text(folder: &str, text: &str) -> Result<Self, Vec<Mistake>> {
        let source = Source::read("partner.yaml", text)?;
        let spec = source.decode::<PartnerSpec>()?;
        let (path, more, tables) = (PathBuf::new(), Vec::new(), HashMap::new());
        let (memory, seen) = (BTreeMap::new(), Mutex::default());
        Ok(Self { folder: folder.to_owned(), path, source, spec, more, tables, memory, seen })
    }
}

/// Reads every folder below `root` that holds a `partner.yaml`, in the order of names. Other folders are none of our business.
///
/// # Errors
/// Every mistake of form in every file.
pub fn read(root: &Path) -> Result<Vec<PartnerFiles>, Vec<Mistake>> {
    let folders = entries(root).map_err(|error| vec![of_file(root, format!("cannot be read: {error}"))])?;
    let (mut partners, mut mistakes) = (Vec::new(), Vec::new());
    for folder in folders.into_iter().filter(|path| path.is_dir()) {
        let file = folder.join("partner.yaml");
        if !file.is_file() {
            if folder.join("stubs").is_dir() || folder.join("partner.yml").is_file() {
                mistakes.push(of_file(&folder, "a folder with stubs needs its `partner.yaml`"));
            }
            continue;
        }
        match partner(&folder, &file) {
            Ok(partner) => partners.push(partner),
            Err(found) => mistakes.extend(found),
        }
    }
    if partners.len() > MAX_PARTNERS {
        mistakes.push(of_file(root, format!("at most {MAX_PARTNERS} mock partners")));
    }
    if mistakes.is_empty() { Ok(partners) } else { Err(mistakes) }
}

/// The city beside the partners, where it is declared.
///
/// # Errors
/// Every mistake in its file.
pub fn city(root: &Path) -> Result<Option<CitySpec>, Vec<Mistake>> {
    let file = root.join("city").join("city.yaml");
    if !file.is_file() {
        return Ok(None);
    }
    let (source, spec, _) = yaml::<CitySpec>(&file)?;
    let mistakes = crate::compile::rows::mistakes(&spec.rows, &crate::city::form, &source);
    if mistakes.is_empty() { Ok(Some(spec)) } else { Err(mistakes) }
}

/// The packs below `packs/`, in the order of their names.
///
/// # Errors
/// Every mistake of form in every pack.
pub fn packs(root: &Path) -> Result<Vec<Pack>, Vec<Mistake>> {
    let (mut packs, mut mistakes) = (Vec::new(), Vec::new());
    let folders = entries(&root.join("packs")).unwrap_or_default();
    for folder in folders.into_iter().filter(|path| path.join("pack.yaml").is_file()) {
        let id = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        match yaml::<PackSpec>(&folder.join("pack.yaml")) {
            Ok((source, spec, _)) => packs.push(Pack { id, folder, source, spec }),
            Err(found) => mistakes.extend(found),
        }
    }
    if packs.len() > MAX_PARTNERS {
        mistakes.push(of_file(root, format!("at most {MAX_PARTNERS} packs")));
    }
    if mistakes.is_empty() { Ok(packs) } else { Err(mistakes) }
}

fn of_file(path: &Path, message: impl Into<String>) -> Mistake {
    Mistake::of_file(path.display().to_string(), message)
}

fn entries(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// Files of a subfolder with an extension; a subfolder that is not there has none.
fn files(folder: &Path, name: &str, extension: &str) -> Vec<PathBuf> {
    let paths = entries(&folder.join(name)).unwrap_or_default();
    paths.into_iter().filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

fn partner(folder: &Path, file: &Path) -> Result<PartnerFiles, Vec<Mistake>> {
    let (mut mistakes, mut seen) = (Vec::new(), BTreeMap::new());
    let mut keep = |found: Vec<Mistake>| mistakes.extend(found);
    let mut note = |path: &Path, known: Known| {
        let name = path.strip_prefix(folder).unwrap_or(path).to_string_lossy().replace('\\', "/");
        seen.insert(name, known);
    };
    let main = yaml::<PartnerSpec>(file).map_err(&mut keep).ok();
    main.iter().for_each(|(.., known)| note(file, *known));
    let mut more = Vec::new();
    for path in files(folder, "stubs", "yaml") {
        if let Ok((source, stubs, known)) = yaml::<StubsFile>(&path).map_err(&mut keep) {
            note(&path, known);
            more.push((source, stubs));
        }
    }
    let mut tables = HashMap::new();
    for path in files(folder, "tables", "csv") {
        match table(&path) {
            Ok((table, known)) => {
                note(&path, known);
                let name =
                    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
                tables.insert(name, table);
            }
            Err(mistake) => keep(vec![mistake]),
        }
    }
    match main {
        Some((source, spec, _)) if mistakes.is_empty() => {
            let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let (memory, seen, path) = (BTreeMap::new(), Mutex::new(seen), folder.to_owned());
            Ok(PartnerFiles { folder: name, path, source, spec, more, tables, memory, seen })
        }
        _ => Err(mistakes),
    }
}

fn yaml<T: serde::de::DeserializeOwned + schemars::JsonSchema + 'static>(
    path: &Path,
) -> Result<(Source, T, Known), Vec<Mistake>> {
    let size = fs::metadata(path).map_or(0, |about| about.len());
    if size > qiao_mappings::strict::MAX_BYTES as u64 {
        return Err(vec![of_file(path, "too large: spread the stubs over several files below `stubs/`")]);
    }
    let text =
        fs::read_to_string(path).map_err(|error| vec![of_file(path, format!("cannot be read: {error}"))])?;
    let source = Source::read(&path.display().to_string(), &text)?;
    let spec = source.decode::<T>()?;
    Ok((source, spec, Known::of(text.as_bytes(), false)))
}

fn table(path: &Path) -> Result<(DataTable, Known), Mistake> {
    let size = fs::metadata(path).map_or(0, |about| about.len());
    if size > table::MAX_BYTES as u64 {
        return Err(of_file(path, "a table has at most 16 MiB"));
    }
    let text = fs::read_to_string(path).map_err(|error| of_file(path, format!("cannot be read: {error}")))?;
    let table = DataTable::parse(&text);
    let table = table.map_err(|wrong| Mistake { line: wrong.line, ..of_file(path, wrong.message) })?;
    Ok((table, Known::of(text.as_bytes(), false)))
}
