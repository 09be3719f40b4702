//! A partner's tables: CSV files (RFC 4180) whose first line names the columns and whose first column is the key.
use std::collections::HashMap;

use serde_json::{Map, Value};

/// Bytes of one file at most.
pub const MAX_BYTES: usize = 16 << 20;

/// A table by key.
#[derive(Debug)]
pub struct DataTable {
    rows: HashMap<Box<str>, Value>,
}

/// A mistake in a file, with its line from 1.
#[derive(Debug, PartialEq, Eq)]
pub struct TableMistake {
    pub line: u32,
    pub message: String,
}

impl DataTable {
    /// Reads a file. Values are texts; a byte order mark and CRLF are accepted.
    ///
    /// # Errors
    /// The first line that does not fit: a missing column name, another number of fields, a key used twice, a quote left open.
    pub fn parse(text: &str) -> Result<Self, TableMistake> {
        let mut records = Records { rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 1 };
        let refuse = |line, message: &str| TableMistake { line, message: message.to_owned() };
        let Some((_, columns)) = records.next().transpose()? else {
            return Err(refuse(1, "the first line names the columns"));
        };
        if columns.iter().any(String::is_empty) {
            return Err(refuse(1, "every column needs a name"));
        }
        let mut rows = HashMap::new();
        for record in records {
            let (line, fields) = record?;
            if fields.len() != columns.len() {
                let message = format!("{} fields where the first line names {}", fields.len(), columns.len());
                return Err(TableMistake { line, message });
            }
            let key = fields[0].as_str().into();
            let row: Map<_, _> = columns.iter().cloned().zip(fields.into_iter().map(Value::String)).collect();
            if rows.insert(key, Value::Object(row)).is_some() {
                return Err(refuse(line, "this key stands in an earlier line already"));
            }
        }
        Ok(Self { rows })
    }

    pub fn row(&self, key: &str) -> Option<&Value> {
        self.rows.get(key)
    }
}

/// The records of a file with the lines on which they begin; empty lines are skipped.
struct Records<'t> {
    rest: &'t str,
    line: u32,
}

impl Iterator for Records<'_> {
    type Item = Result<(u32, Vec<String>), TableMistake>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(rest) = self.rest.strip_prefix("\r\n").or_else(|| self.rest.strip_prefix(['\n', '\r']))
        {
            self.rest = rest;
            self.line += 1;
        }
        if self.rest.is_empty() {
            return None;
        }
        let start = self.line;
        Some(self.record().map(|fields| (start, fields)))
    }
}

impl Records<'_> {
    fn record(&mut self) -> Result<Vec<String>, TableMistake> {
        let mut fields = Vec::new();
        loop {
            let field = if self.rest.starts_with('"') { self.quoted()? } else { self.bare() };
            fields.push(field);
            if let Some(rest) = self.rest.strip_prefix(',') {
                self.rest = rest;
            } else if self.rest.is_empty() || self.rest.starts_with(['\r', '\n']) {
                return Ok(fields);
            } else {
                return Err(TableMistake { line: self.line, message: "text after a closing quote".into() });
            }
        }
    }

    fn bare(&mut self) -> String {
        let end = self.rest.find([',', '\n', '\r']).unwrap_or(self.rest.len());
        let (field, rest) = self.rest.split_at(end);
        self.rest = rest;
        field.to_owned()
    }

    fn quoted(&mut self) -> Result<String, TableMistake> {
        let start = self.line;
        let mut field = String::new();
        self.rest = &self.rest[1..];
        loop {
            let Some(end) = self.rest.find('"') else {
                return Err(TableMistake { line: start, message: "a quote is not closed".into() });
            };
            let part = &self.rest[..end];
            self.line += u32::try_from(part.matches('\n').count()).unwrap_or(u32::MAX);
            field.push_str(part);
            self.rest = &self.rest[end + 1..];
            match self.rest.strip_prefix('"') {
                Some(rest) => {
                    field.push('"');
                    self.rest = rest;
                }
                None => return Ok(field),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn reads_quotes_commas_and_line_ends_inside_fields() {
        let table =
            DataTable::parse("\u{feff}id,name\r\n1,\"a, \"\"b\"\"\nc\"\r\n\r\n2,张三").expect("valid");
        assert_eq!(table.row("1"), Some(&json!({"id": "1", "name": "a, \"b\"\nc"})));
        assert_eq!(table.row("2"), Some(&json!({"id": "2", "name": "张三"})));
    }

    #[test]
    fn names_the_line_of_a_mistake() {
        let line = |text| DataTable::parse(text).expect_err(text).line;
        assert_eq!(line("a,b\n1,2\n3"), 3);
        assert_eq!(line("a,b\n1,\"x\ny\"\n1,2"), 4);
        assert_eq!(line("a\n\"open"), 2);
        assert_eq!(line(""), 1);
    }

    proptest! {
        #[test]
        fn reads_back_what_a_writer_quotes(cells in prop::collection::vec("[a-z,\"\n ]{0,8}", 1..20)) {
            let quote = |cell: &str| format!("\"{}\"", cell.replace('"', "\"\""));
            let mut text = "id,cell\n".to_owned();
            for (n, cell) in cells.iter().enumerate() {
                text.push_str(&format!("{n},{}\n", quote(cell)));
            }
            let table = DataTable::parse(&text).expect("valid");
            for (n, cell) in cells.iter().enumerate() {
                prop_assert_eq!(table.row(&n.to_string()), Some(&json!({"id": n.to_string(), "cell": cell})));
            }
        }

        #[test]
        fn never_panics(text in ".{0,200}") {
            drop(DataTable::parse(&text));
        }
    }
}
