//! The strict reader of YAML files that people write: definitions and mock partners. Every mistake at once, each with line, column, path and remedy.
use std::fmt;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

mod explain;
mod near;
mod place;
mod scalar;
mod schema;
mod wanted;
mod yaml;

pub use near::{did_you_mean, nearest};
pub use place::{Position, Segment, write_path};
pub use schema::schema_of;

/// Bytes of one file at most.
pub const MAX_BYTES: usize = 4 << 20;
/// Lists and blocks within one another at most.
pub const MAX_DEPTH: usize = 64;
/// Values in one file at most.
pub const MAX_NODES: usize = 200_000;
/// Mistakes reported of one file at most; the last one then tells how many are not shown.
pub const MAX_MISTAKES: usize = 200;

/// One mistake, where it is and what to do about it. Sorts by file and position.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Mistake {
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// Where in the document: `steps[2].call.operation`; empty for the document as a whole.
    pub path: String,
    pub message: String,
    pub remedy: Option<String>,
}

impl Mistake {
    /// A mistake of a file as a whole.
    pub fn of_file(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            line: 1,
            column: 1,
            path: String::new(),
            message: message.into(),
            remedy: None,
        }
    }

    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// `routes/systems/hrss.yaml:12:7: steps[2].call.operatoin: unknown key; did you mean `operation`?`
impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

/// A YAML file that was read: its value, and where every key and value stands.
#[derive(Clone, Debug)]
pub struct Source {
    file: String,
    value: Value,
    root: place::Node,
}

impl Source {
    /// Reads one YAML document with the scalars of the YAML 1.2 core schema. `file` is only the name shown in mistakes.
    ///
    /// # Errors
    /// Text that is not YAML, and what YAML allows but this reader refuses because it hides mistakes: duplicate keys, keys
    /// that are not text, anchors, aliases, merge keys, tags, several documents, numbers with leading zeros; and the bounds.
    pub fn read(file: &str, text: &str) -> Result<Self, Vec<Mistake>> {
        let (value, root) = yaml::build(file, text).map_err(bounded)?;
        Ok(Self { file: file.to_owned(), value, root })
    }

    pub fn file(&self) -> &str {
        &self.file
    }

    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The value as a `T`, checked against the JSON Schema of `T` first, so that all mistakes come at once.
    ///
    /// # Errors
    /// Every place that does not fit, once each, in the order of the file.
    pub fn decode<T: DeserializeOwned + JsonSchema + 'static>(&self) -> Result<T, Vec<Mistake>> {
        let compiled = schema::compiled::<T>().map_err(|broken| vec![self.mistake("", broken)])?;
        let misfits = explain::explain(&self.value, &compiled);
        if !misfits.is_empty() {
            return Err(bounded(misfits.into_iter().map(|misfit| self.of_misfit(misfit)).collect()));
        }
        serde_path_to_error::deserialize(&self.value).map_err(|error| {
            let path = error.path().to_string();
            let path = if path == "." { "" } else { &path };
            vec![self.mistake(path, error.inner().to_string())]
        })
    }

    fn of_misfit(&self, misfit: explain::Misfit) -> Mistake {
        let find = if misfit.at_key { place::Node::key_position } else { place::Node::value_position };
        let at = find(&self.root, &misfit.place);
        Mistake {
            file: self.file.clone(),
            line: at.line,
            column: at.column,
            path: write_path(&misfit.place),
            message: misfit.message,
            remedy: misfit.remedy,
        }
    }

    /// Line and column, both from 1, of the value at `path`; of its key where the value is a list or block; of the nearest
    /// parent that exists where it does not.
    pub fn locate(&self, path: &str) -> (u32, u32) {
        let at = self.root.locate(path);
        (at.line, at.column)
    }

    /// A mistake at `path`, for checks beyond the form.
    pub fn mistake(&self, path: &str, message: impl Into<String>) -> Mistake {
        let (line, column) = self.locate(path);
        Mistake {
            file: self.file.clone(),
            line,
            column,
            path: path.to_owned(),
            message: message.into(),
            remedy: None,
        }
    }
}

/// What in a value does not fit a JSON Schema, in the words of the reader: path, message and remedy of each.
///
/// # Errors
/// The schema itself is no JSON Schema 2020-12.
pub fn misfits(schema: &Value, value: &Value) -> Result<Vec<(String, String, Option<String>)>, String> {
    let validator = jsonschema::draft202012::new(schema).map_err(|error| error.to_string())?;
    let compiled = schema::Compiled { schema: schema.clone(), validator };
    let misfits = explain::explain(value, &compiled).into_iter();
    Ok(misfits.map(|misfit| (write_path(&misfit.place), misfit.message, misfit.remedy)).collect())
}

/// Sorted, and at most [`MAX_MISTAKES`] with a last one that tells how many more there are.
fn bounded(mut mistakes: Vec<Mistake>) -> Vec<Mistake> {
    mistakes.sort();
    mistakes.dedup();
    let more = mistakes.len().saturating_sub(MAX_MISTAKES);
    if more > 0 {
        mistakes.truncate(MAX_MISTAKES);
        if let Some(last) = mistakes.last().cloned() {
            let message = format!("{more} more mistakes are not shown");
            mistakes.push(Mistake { path: String::new(), message, remedy: None, ..last });
        }
    }
    mistakes
}

#[cfg(test)]
mod tests;
