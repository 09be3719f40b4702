//! What an import makes: a partner's folder as a draft, checked, with a report of what came of each file.
use std::{collections::BTreeMap, path::Path, sync::Arc};

use qiao_mappings::strict::Source;
use qiao_vault::Vault;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Refusal, yaml};
use crate::{
    compile,
    files::PartnerFiles,
    spec::{ListenSpec, PartnerSpec, StubSpec, StubsFile},
};

/// Files by their path below the partner's folder.
pub type Files = BTreeMap<String, Vec<u8>>;

/// A draft partner.
#[derive(Debug, Default)]
pub struct Imported {
    pub partner: String,
    pub files: Files,
    pub report: ImportReport,
}

/// What came of each file of an import.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportReport {
    /// Files taken over whole, with the ids of their stubs.
    pub imported: Vec<Taken>,
    pub refused: Vec<Refused>,
    /// What the draft does differently from its origin.
    pub notes: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct Taken {
    pub file: String,
    pub stubs: Vec<String>,
}

/// A file of which nothing was taken over.
#[derive(Debug, Serialize)]
pub struct Refused {
    pub file: String,
    /// JSON pointer of what stands in the way.
    pub pointer: String,
    pub reason: String,
}

/// The stubs of one file of the origin.
pub struct Part {
    pub file: String,
    pub stubs: Vec<StubSpec>,
    /// Where each stub stands in the file.
    pub pointers: Vec<String>,
    pub bodies: Files,
}

/// A partner in the making.
pub struct Draft {
    pub partner: String,
    pub title: String,
    pub about: String,
    pub listen: ListenSpec,
    pub parameters: Vec<(String, Value)>,
    pub parts: Vec<Part>,
    /// Files that stand in the folder beside the stubs.
    pub beside: Files,
    pub report: ImportReport,
}

impl Draft {
    /// Checks the draft and leaves out, with the reason, every file whose stubs do not pass.
    ///
    /// # Errors
    /// A draft that does not pass even without any file's stubs.
    pub fn finish(mut self) -> Result<Imported, String> {
        let vault = Vault::in_memory().map_err(|error| error.to_string())?;
        self.name_apart();
        loop {
            let files = self.files();
            let Err((file, path, message)) = self.check(&files, &vault) else {
                let taken = |part: &Part| Taken {
                    file: part.file.clone(),
                    stubs: part.stubs.iter().map(|stub| stub.id.clone()).collect(),
                };
                self.report.imported.extend(self.parts.iter().map(taken));
                return Ok(Imported { partner: self.partner, files, report: self.report });
            };
            let Some(at) = self.parts.iter().position(|part| stubs_file(&part.file) == file) else {
                return Err(format!("{file}: {path}: {message}"));
            };
            let part = self.parts.remove(at);
            let number =
                path.strip_prefix("stubs[").and_then(|rest| rest.split(']').next()?.parse::<usize>().ok());
            let pointer = number.and_then(|number| part.pointers.get(number)).cloned().unwrap_or_default();
            let inside = path.split_once("].").map(|(_, rest)| format!("{rest}: ")).unwrap_or_default();
            self.report.refused.push(Refused {
                file: part.file,
                pointer,
                reason: format!("{inside}{message}"),
            });
        }
    }

    /// Ids are unique over all files.
    fn name_apart(&mut self) {
        let mut used = std::collections::HashSet::new();
        for stub in self.parts.iter_mut().flat_map(|part| &mut part.stubs) {
            let base = stub.id.clone();
            let mut number = 2;
            while !used.insert(stub.id.clone()) {
                stub.id = format!("{}-{number}", &base[..base.len().min(70)]);
                number += 1;
            }
        }
    }

    fn files(&self) -> Files {
        let mut partner =
            json!({"mock": "v1", "partner": self.partner, "title": self.title, "about": self.about});
        if !self.parameters.is_empty() {
            partner["parameters"] = Value::Object(self.parameters.iter().cloned().collect());
        }
        partner["listen"] = json!([self.listen]);
        let mut files = self.beside.clone();
        files.insert("partner.yaml".into(), yaml::write(&partner).into_bytes());
        for part in &self.parts {
            let text = yaml::write(&json!({"stubs": part.stubs}));
            if !part.stubs.is_empty() {
                files.insert(stubs_file(&part.file), text.into_bytes());
            }
            files.extend(part.bodies.clone());
        }
        files
    }

    /// The first mistake: file, path, message.
    fn check(&self, files: &Files, vault: &Vault) -> Result<(), (String, String, String)> {
        let first = |mistakes: Vec<qiao_mappings::strict::Mistake>| {
            let first = mistakes.into_iter().next();
            first.map_or_else(Default::default, |mistake| {
                let remedy = mistake.remedy.map(|remedy| format!("; {remedy}")).unwrap_or_default();
                (mistake.file, mistake.path, format!("{}{remedy}", mistake.message))
            })
        };
        let partner = partner_files(&self.partner, files).map_err(first)?;
        compile::partner(partner, vault, &Arc::default(), None).map(|_| ()).map_err(first)
    }
}

/// The files of a draft as the compiler takes them.
pub(crate) fn partner_files(
    partner: &str,
    files: &Files,
) -> Result<PartnerFiles, Vec<qiao_mappings::strict::Mistake>> {
    let text = |name: &str| String::from_utf8_lossy(files.get(name).map_or(&[], Vec::as_slice)).into_owned();
    let source = Source::read("partner.yaml", &text("partner.yaml"))?;
    let spec = source.decode::<PartnerSpec>()?;
    let mut more = Vec::new();
    for name in files.keys().filter(|name| name.starts_with("stubs/")) {
        let source = Source::read(name, &text(name))?;
        let stubs = source.decode::<StubsFile>()?;
        more.push((source, stubs));
    }
    PartnerFiles::of_memory(partner, source, spec, more, files.clone())
}

/// The file of the draft that holds the stubs of a file of the origin.
fn stubs_file(file: &str) -> String {
    format!("stubs/{}.yaml", slug(file.trim_end_matches(".json")))
}

/// Lower-case letters, digits and hyphens, 1 to 60 of them.
pub fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars() {
        let c = c.to_ascii_lowercase();
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
        if slug.len() >= 60 {
            break;
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "stub".into() } else { slug.into() }
}

impl Imported {
    /// Writes the draft below a folder, as a new subfolder named like the partner.
    ///
    /// # Errors
    /// A subfolder that is there already, or a file that cannot be written.
    pub fn write(&self, folder: &Path) -> std::io::Result<()> {
        let home = folder.join(&self.partner);
        std::fs::create_dir_all(folder)?;
        std::fs::create_dir(&home)?;
        for (name, bytes) in &self.files {
            let path = home.join(name);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(path, bytes)?;
        }
        Ok(())
    }
}

impl ImportReport {
    pub fn refuse(&mut self, file: &str, refusal: Refusal) {
        let Refusal { pointer, reason } = refusal;
        self.refused.push(Refused { file: file.to_owned(), pointer, reason });
    }

    pub fn note(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }
}
