//! One row: its fields to bytes and back, in either form.

use super::error::Problem;
use super::spec::{Align, ColumnSpec, FileForm, FileFormat};
use qiao_mappings::Charset;
use std::borrow::Cow;
use std::sync::Arc;
use time::Date;

/// The header, without the totals that follow from the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The batch's number, at most 20 bytes.
    pub batch_no: String,
    /// The bank's code, at most 12 bytes.
    pub bank_code: String,
    /// The day of business.
    pub date: Date,
    /// How many rows the file has.
    pub count: u64,
    /// Their sum in fen; 0 in files of no money.
    pub amount: u64,
}

/// A data row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its running number, from 1.
    pub sequence: u64,
    /// The values of the declared columns, in order.
    pub values: Vec<String>,
}

/// The version of the form, in the header.
pub(super) const FORM_VERSION: &str = "1.0";

/// A column of any row: name, width when fixed, alignment, whether writing cuts.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    name: Cow<'static, str>,
    width: Option<usize>,
    align: Align,
    cut: bool,
}

const fn text(name: &'static str, width: usize) -> Cell {
    Cell { name: Cow::Borrowed(name), width: Some(width), align: Align::Text, cut: false }
}

const fn number(name: &'static str, width: usize) -> Cell {
    Cell { name: Cow::Borrowed(name), width: Some(width), align: Align::Number, cut: false }
}

/// The header behind its `H`.
pub(super) const HEADER: [Cell; 6] = [
    text("version", 3),
    text("batch number", 20),
    text("bank code", 12),
    text("date", 8),
    number("count", 10),
    number("amount", 18),
];
/// The trailer behind its `T`.
pub(super) const TRAILER: [Cell; 2] = [number("count", 10), text("sm3", 64)];
/// The running number behind the `D` of a row.
const SEQUENCE: Cell = number("running number", 10);

/// The cells of a data row.
pub(super) fn data_cells(columns: &[ColumnSpec]) -> Arc<[Cell]> {
    let cell = |column: &ColumnSpec| {
        let ColumnSpec { name, width, align, cut } = column.clone();
        Cell { name: Cow::Owned(name), width, align, cut }
    };
    [SEQUENCE].into_iter().chain(columns.iter().map(cell)).collect()
}

/// Reads the fields of a row behind its type.
pub(super) fn decode(format: &FileFormat, cells: &[Cell], row: &[u8]) -> Result<Vec<String>, Problem> {
    match format.spec.form {
        FileForm::Delimited => decode_delimited(cells, row),
        FileForm::Fixed => decode_fixed(cells, row),
    }
}

/// The row is decoded before it is split: 0x7C is also the second byte of characters, as in 亅 (81 7C).
fn decode_delimited(cells: &[Cell], row: &[u8]) -> Result<Vec<String>, Problem> {
    let row = Charset::Gb18030.decode(row).map_err(|_| Problem::NotText { column: "row".to_owned() })?;
    let rest = row.strip_prefix('|').ok_or(Problem::Columns { found: 0, wanted: cells.len() })?;
    let values: Vec<String> = rest.split('|').take(cells.len() + 1).map(str::to_owned).collect();
    if values.len() != cells.len() {
        return Err(Problem::Columns { found: rest.split('|').count(), wanted: cells.len() });
    }
    for (cell, value) in cells.iter().zip(&values) {
        if let Some(most) = cell.width
            // no character takes more than twice its UTF-8 bytes in GB 18030
            && value.len() > most / 2
        {
            let bytes = encode_value(cell, value)?.len();
            if bytes > most {
                return Err(Problem::TooLong { column: cell.name.to_string(), bytes, most });
            }
        }
    }
    Ok(values)
}

fn decode_fixed(cells: &[Cell], row: &[u8]) -> Result<Vec<String>, Problem> {
    let wanted: usize = cells.iter().filter_map(|cell| cell.width).sum();
    if row.len() != wanted {
        return Err(Problem::Width { found: row.len(), wanted });
    }
    let mut rest = row;
    let mut values = Vec::with_capacity(cells.len());
    for cell in cells {
        let bytes;
        (bytes, rest) = rest.split_at(cell.width.unwrap_or_default());
        let not_text = |_| Problem::NotText { column: cell.name.to_string() };
        let value = Charset::Gb18030.decode(bytes).map_err(not_text)?;
        values.push(match cell.align {
            Align::Text => value.trim_end_matches(' ').to_owned(),
            Align::Number if !bytes.iter().all(u8::is_ascii_digit) => {
                return Err(Problem::field(&cell.name, "holds something else than digits"));
            }
            Align::Number => match value.trim_start_matches('0') {
                "" => "0".to_owned(),
                digits => digits.to_owned(),
            },
        });
    }
    Ok(values)
}

fn encode_value(cell: &Cell, value: &str) -> Result<Vec<u8>, Problem> {
    let not_encodable = |_| Problem::field(&cell.name, "holds a character that GB 18030 cannot carry");
    Charset::Gb18030.encode(value.into()).map_err(not_encodable)
}

/// Writes a row: its type, then its fields.
pub(super) fn encode(
    format: &FileFormat,
    kind: u8,
    cells: &[Cell],
    values: &[&str],
    output: &mut Vec<u8>,
) -> Result<(), Problem> {
    if values.len() != cells.len() {
        return Err(Problem::Columns { found: values.len(), wanted: cells.len() });
    }
    let start = output.len();
    output.push(kind);
    for (cell, value) in cells.iter().zip(values) {
        if value.contains(['\n', '\r']) {
            return Err(Problem::field(&cell.name, "holds a line break"));
        }
        let bytes = fit(cell, value)?;
        match format.spec.form {
            FileForm::Delimited => {
                if value.contains('|') {
                    return Err(Problem::field(&cell.name, "holds the separator |"));
                }
                output.push(b'|');
                output.extend_from_slice(&bytes);
            }
            FileForm::Fixed => pad(cell, value, &bytes, output)?,
        }
    }
    if output.len() - start > format.spec.max_row_bytes {
        return Err(Problem::RowTooLong { most: format.spec.max_row_bytes });
    }
    output.push(b'\n');
    Ok(())
}

/// The value's bytes, cut at the end of a character when the column says so.
fn fit(cell: &Cell, value: &str) -> Result<Vec<u8>, Problem> {
    let bytes = encode_value(cell, value)?;
    let Some(most) = cell.width.filter(|most| bytes.len() > *most) else { return Ok(bytes) };
    if !cell.cut {
        return Err(Problem::TooLong { column: cell.name.to_string(), bytes: bytes.len(), most });
    }
    let mut kept = Vec::with_capacity(most);
    for (index, character) in value.char_indices() {
        let next = encode_value(cell, &value[index..index + character.len_utf8()])?;
        if kept.len() + next.len() > most {
            break;
        }
        kept.extend_from_slice(&next);
    }
    Ok(kept)
}

/// Pads the value to its width. What reading could not tell from padding is refused.
fn pad(cell: &Cell, value: &str, bytes: &[u8], output: &mut Vec<u8>) -> Result<(), Problem> {
    let room = cell.width.unwrap_or_default().saturating_sub(bytes.len());
    match cell.align {
        Align::Text if value.ends_with(' ') => Err(Problem::field(&cell.name, "ends with a space")),
        Align::Text => {
            output.extend_from_slice(bytes);
            output.resize(output.len() + room, b' ');
            Ok(())
        }
        Align::Number if !is_number(value) => {
            Err(Problem::field(&cell.name, "is not a whole number without leading zeros"))
        }
        Align::Number => {
            output.resize(output.len() + room, b'0');
            output.extend_from_slice(bytes);
            Ok(())
        }
    }
}

/// Whether the text is `0` or digits that do not start with 0.
pub(super) fn is_number(value: &str) -> bool {
    value == "0"
        || (!value.is_empty() && !value.starts_with('0') && value.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The number in a field.
pub(super) fn read_number(column: &str, value: &str) -> Result<u64, Problem> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let refuse = || Problem::field(column, "is not a whole number");
    if digits { value.parse().map_err(|_| refuse()) } else { Err(refuse()) }
}
