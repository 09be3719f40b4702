//! A mistake in a definition, as checks and the plan compiler name it: which definition, where in it, what, and what to do.
use std::fmt;

use serde::Serialize;

/// The kinds of definitions; each has its folder under `routes/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    System,
    Interface,
    Caller,
    Grant,
    Table,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::System, Self::Interface, Self::Caller, Self::Grant, Self::Table];

    /// The word for one, which is also the key that holds the id in the file.
    pub fn word(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Interface => "interface",
            Self::Caller => "caller",
            Self::Grant => "grant",
            Self::Table => "table",
        }
    }

    /// The folder under the definitions' folder.
    pub fn folder(self) -> &'static str {
        match self {
            Self::System => "systems",
            Self::Interface => "interfaces",
            Self::Caller => "callers",
            Self::Grant => "grants",
            Self::Table => "tables",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Names one definition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct DefinitionId {
    pub kind: Kind,
    pub id: String,
}

impl DefinitionId {
    pub fn new(kind: Kind, id: impl Into<String>) -> Self {
        Self { kind, id: id.into() }
    }
}

impl fmt::Display for DefinitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)
    }
}

/// A mistake found in a definition that was read without mistakes. `Loaded::located` gives it its file, line and column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanMistake {
    pub definition: DefinitionId,
    /// Where in the definition: `flow[2].call.operation`; empty for the whole.
    pub path: String,
    pub message: String,
    pub remedy: Option<String>,
}

impl PlanMistake {
    pub fn new(definition: DefinitionId, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { definition, path: path.into(), message: message.into(), remedy: None }
    }

    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl fmt::Display for PlanMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.definition)?;
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
