//! The errors of this crate, for the engine and connectors that turn them into faults.
//!
//! No message holds a value taken from a message: names, types and places only.

use std::fmt;

/// A mistake in a definition, found when it is compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SpecError {
    /// Where, relative to the compiled part: `[3].apply[0]`, `arrays[1]`, or empty for the part itself.
    pub path: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl SpecError {
    pub(crate) fn new(path: impl Into<String>, message: impl Into<String>) -> SpecError {
        SpecError { path: path.into(), message: message.into() }
    }

    /// The same mistake seen from the definition that holds the compiled part at `prefix`.
    pub fn under(mut self, prefix: &str) -> SpecError {
        self.path = join_path(prefix, &self.path);
        self
    }
}

/// Joins two definition paths: `steps[2].map` and `[3].to` give `steps[2].map[3].to`.
pub(crate) fn join_path(prefix: &str, path: &str) -> String {
    if prefix.is_empty() || path.is_empty() || path.starts_with('[') {
        format!("{prefix}{path}")
    } else {
        format!("{prefix}.{path}")
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            out.write_str(&self.message)
        } else {
            write!(out, "{}: {}", self.path, self.message)
        }
    }
}

/// A selector, condition or function call that cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExpressionError {
    /// What is wrong and where in the text.
    pub message: String,
}

impl ExpressionError {
    pub(crate) fn new(message: impl Into<String>) -> ExpressionError {
        ExpressionError { message: message.into() }
    }
}

/// Why an expression or template gave no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvalErrorKind {
    /// A document or member it names is not there.
    Missing,
    /// An operator or function met a value it cannot work on.
    Format,
    /// The result would exceed [`crate::template::MAX_TEXT`].
    Limit,
}

/// An expression or template that failed on the documents of one call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EvalError {
    /// Which sort of failure.
    pub kind: EvalErrorKind,
    /// What failed, without any value of the message.
    pub message: String,
}

impl EvalError {
    pub(crate) fn missing(message: impl Into<String>) -> EvalError {
        EvalError { kind: EvalErrorKind::Missing, message: message.into() }
    }

    pub(crate) fn format(message: impl Into<String>) -> EvalError {
        EvalError { kind: EvalErrorKind::Format, message: message.into() }
    }
}

/// Why a mapping failed; the fault codes QIAO-4101, 4102 and 4105 follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapErrorKind {
    /// A required field has no value.
    Missing,
    /// A value has not the form its rule expects.
    Format,
    /// A character cannot be written in the target's charset.
    NotEncodable,
}

/// A mapping that failed on the documents of one call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{to}: {message}")]
pub struct MapError {
    /// The target of the rule that failed, indexes included: `materials[2].name`.
    pub to: String,
    /// Which sort of failure.
    pub kind: MapErrorKind,
    /// What failed, without the value.
    pub message: String,
}

/// Why a codec refused bytes or a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodecErrorKind {
    /// The bytes are not a well-formed message of the format.
    Malformed,
    /// Well formed, but beyond a bound (size, depth, count).
    Limit,
    /// Well formed, but not the message the definition expects (another root, another SOAP version).
    Unexpected,
    /// The document holds something the format or charset cannot carry.
    NotEncodable,
}

/// A message that could not be decoded or encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodecError {
    /// Which sort of failure.
    pub kind: CodecErrorKind,
    /// Line from 1, where the format knows it.
    pub line: Option<u32>,
    /// Column from 1 in characters, where the format knows it.
    pub column: Option<u32>,
    /// What is wrong, without values.
    pub message: String,
}

impl CodecError {
    pub(crate) fn new(kind: CodecErrorKind, message: impl Into<String>) -> CodecError {
        CodecError { kind, line: None, column: None, message: message.into() }
    }

    pub(crate) fn malformed(message: impl Into<String>) -> CodecError {
        CodecError::new(CodecErrorKind::Malformed, message)
    }

    pub(crate) fn not_encodable(message: impl Into<String>) -> CodecError {
        CodecError::new(CodecErrorKind::NotEncodable, message)
    }

    /// Names the line and column of byte `offset` in `text`.
    pub(crate) fn at(mut self, text: &str, offset: usize) -> CodecError {
        let mut end = offset.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &text[..end];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.line = Some(count(before.bytes().filter(|b| *b == b'\n').count() + 1));
        self.column = Some(count(before[line_start..].chars().count() + 1));
        self
    }
}

impl std::error::Error for CodecError {}

impl fmt::Display for CodecError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (Some(line), Some(column)) => write!(out, "line {line}, column {column}: {}", self.message),
            (Some(line), None) => write!(out, "line {line}: {}", self.message),
            _ => out.write_str(&self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_place_from_the_holder_of_the_part() {
        let mistake = SpecError::new("[3].apply[0]", "no such function");
        assert_eq!(mistake.under("steps[2].map").to_string(), "steps[2].map[3].apply[0]: no such function");
        assert_eq!(SpecError::new("arrays[1]", "x").under("codec").path, "codec.arrays[1]");
    }

    #[test]
    fn counts_columns_in_characters() {
        let error = CodecError::malformed("x").at("一\n二三<", 10);
        assert_eq!((error.line, error.column), (Some(2), Some(3)));
    }
}
