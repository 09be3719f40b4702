//! The folder of mock partners, read strictly: every partner's YAML, tables and bodies.
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Component, Path, PathBuf},
};

use qiao_mappings::strict::{Mistake, Source};

use crate::{
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
        Ok(Self { folder: folder.to_owned(), path: PathBuf::new(), source, spec, more, tables, memory })
    }

    /// A file below the partner's folder.
    ///
    /// # Errors
    /// A path that leaves the folder, a file that cannot be read or is too large.
    pub fn body(&self, name: &str) -> Result<Vec<u8>, String> {
        match self.memory.get(name) {
            Some(bytes) => Ok(bytes.clone()),
            None => below(&self.path, name),
        }
    }
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
        let memory = BTreeMap::new();
        Ok(Self { folder: folder.to_owned(), path, source, spec, more, tables, memory })
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
    let (source, spec) = yaml::<CitySpec>(&file)?;
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
            Ok((source, spec)) => packs.push(Pack { id, folder, source, spec }),
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
    let mut mistakes = Vec::new();
    let mut keep = |found: Vec<Mistake>| mistakes.extend(found);
    let main = yaml::<PartnerSpec>(file).map_err(&mut keep).ok();
    let more: Vec<_> = files(folder, "stubs", "yaml")
        .iter()
        .filter_map(|path| yaml::<StubsFile>(path).map_err(&mut keep).ok())
        .collect();
    let mut tables = HashMap::new();
    for path in files(folder, "tables", "csv") {
        match table(&path) {
            Ok(table) => {
                let name =
                    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
                tables.insert(name, table);
            }
            Err(mistake) => keep(vec![mistake]),
        }
    }
    match main {
        Some((source, spec)) if mistakes.is_empty() => {
            let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let memory = BTreeMap::new();
            Ok(PartnerFiles { folder: name, path: folder.to_owned(), source, spec, more, tables, memory })
        }
        _ => Err(mistakes),
    }
}

fn yaml<T: serde::de::DeserializeOwned + schemars::JsonSchema + 'static>(
    path: &Path,
) -> Result<(Source, T), Vec<Mistake>> {
    let size = fs::metadata(path).map_or(0, |about| about.len());
    if size > qiao_mappings::strict::MAX_BYTES as u64 {
        return Err(vec![of_file(path, "too large: spread the stubs over several files below `stubs/`")]);
    }
    let text =
        fs::read_to_string(path).map_err(|error| vec![of_file(path, format!("cannot be read: {error}"))])?;
    let source = Source::read(&path.display().to_string(), &text)?;
    let spec = source.decode::<T>()?;
    Ok((source, spec))
}

fn table(path: &Path) -> Result<DataTable, Mistake> {
    let size = fs::metadata(path).map_or(0, |about| about.len());
    if size > table::MAX_BYTES as u64 {
        return Err(of_file(path, "a table has at most 16 MiB"));
    }
    let text = fs::read_to_string(path).map_err(|error| of_file(path, format!("cannot be read: {error}")))?;
    DataTable::parse(&text).map_err(|wrong| Mistake { line: wrong.line, ..of_file(path, wrong.message) })
}
