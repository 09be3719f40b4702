//! The declaration of a batch file and the checks it passes before use.

use super::row::{Cell, data_cells};
use qiao_mappings::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::Arc;

/// How the fields of a row are kept apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum FileForm {
    /// By `|`.
    #[default]
    Delimited,
    /// By byte widths.
    Fixed,
}

/// How a value sits in a fixed-width column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Align {
    /// Text: left, padded with spaces.
    #[default]
    Text,
    /// A whole number: right, padded with zeros.
    Number,
}

/// A column of the rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ColumnSpec {
    /// The column's name, for mappings and errors.
    pub name: String,
    /// Bytes in GB 18030: the width when fixed, else the most bytes of a value. A rare character takes four.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
    /// fixed: how the value sits in the column.
    #[serde(default)]
    pub align: Align,
    /// Writing shortens a text that is too long, at the end of a character; otherwise it is refused.
    #[serde(default)]
    pub cut: bool,
}

/// The rows of a batch file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FileSpec {
    /// How fields are kept apart; delimited unless given.
    #[serde(default)]
    pub form: FileForm,
    /// The columns behind the running number.
    pub columns: Vec<ColumnSpec>,
    /// The column whose sum, in fen, the header states; without it the header's amount is carried unchecked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    /// The most rows of a file; a million unless given.
    #[serde(default = "default_rows")]
    pub max_rows: u64,
    /// The most bytes of a row; 64 KiB unless given.
    #[serde(default = "default_row_bytes")]
    pub max_row_bytes: usize,
}

fn default_rows() -> u64 {
    1_000_000
}

fn default_row_bytes() -> usize {
    64 << 10
}

impl FileSpec {
    /// Delimited rows of these columns.
    pub fn delimited(columns: impl IntoIterator<Item = &'static str>) -> FileSpec {
        let column =
            |name: &str| ColumnSpec { name: name.to_owned(), width: None, align: Align::Text, cut: false };
        FileSpec {
            form: FileForm::Delimited,
            columns: columns.into_iter().map(column).collect(),
            amount: None,
            max_rows: default_rows(),
            max_row_bytes: default_row_bytes(),
        }
    }

    /// Checks the declaration.
    ///
    /// # Errors
    /// Every mistake with its path in the declaration.
    pub fn compile(&self) -> Result<FileFormat, Vec<SpecError>> {
        let mut mistakes = Vec::new();
        let mut refuse =
            |path: String, message: &str| mistakes.push(SpecError { path, message: message.to_owned() });
        let mut names = HashSet::new();
        for (index, column) in self.columns.iter().enumerate() {
            if column.name.is_empty() || !names.insert(&column.name) {
                refuse(
                    format!("columns[{index}].name"),
                    "must be there and differ from the other columns' names",
                );
            }
            match column.width {
                None if self.form == FileForm::Fixed => {
                    refuse(format!("columns[{index}].width"), "is required in the fixed form");
                }
                Some(0) => refuse(format!("columns[{index}].width"), "must be at least 1"),
                Some(width) if width > self.max_row_bytes => {
                    refuse(format!("columns[{index}].width"), "is above maxRowBytes");
                }
                _ => {}
            }
            if column.cut && (column.width.is_none() || column.align == Align::Number) {
                refuse(format!("columns[{index}].cut"), "needs a text with a width");
            }
        }
        if self.columns.is_empty() || self.columns.len() > 1000 {
            refuse("columns".to_owned(), "must be 1 to 1000");
        }
        if !(256..=16 << 20).contains(&self.max_row_bytes) {
            refuse("maxRowBytes".to_owned(), "must be 256 to 16777216");
        }
        let amount =
            self.amount.as_ref().map(|name| self.columns.iter().position(|column| column.name == *name));
        if amount == Some(None) {
            refuse("amount".to_owned(), "is not the name of a column");
        }
        if mistakes.is_empty() {
            Ok(FileFormat {
                spec: Arc::new(self.clone()),
                cells: data_cells(&self.columns),
                amount: amount.flatten(),
            })
        } else {
            Err(mistakes)
        }
    }
}

/// A checked declaration; cheap to clone.
#[derive(Debug, Clone)]
pub struct FileFormat {
    pub(super) spec: Arc<FileSpec>,
    /// Running number and columns.
    pub(super) cells: Arc<[Cell]>,
    /// Index of the amount's column.
    pub(super) amount: Option<usize>,
}

impl FileFormat {
    /// The declaration.
    pub fn spec(&self) -> &FileSpec {
        &self.spec
    }
}
