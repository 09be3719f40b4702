//! Batch files exchanged with banks: named by rule, GB 18030, one row a line, totals and SM3 at the end.
//!
//! ```text
//! H|1.0|batchNo|bankCode|yyyyMMdd|count|amount      header: rows and their sum in fen
//! D|1|…                                             rows, numbered from 1, the columns as declared
//! T|count|sm3                                       SM3 (GB/T 32905) in hex over all bytes before this row
//! ```
//! Rows end with one line feed. In the fixed-width form the same fields have byte widths and no separator. Reading is
//! strict: a file is right to the last byte, or refused with the row that is wrong. It is read as a stream; rows that
//! were given out before a later error must not take effect before [`FileReader::finish`] has approved the file.

mod error;
mod name;
mod read;
mod row;
mod spec;
mod write;

pub use error::{FileError, Problem};
pub use name::{FileName, NameError};
pub use read::{FileReader, Record, Totals};
pub use row::{Header, Row};
pub use spec::{Align, ColumnSpec, FileForm, FileFormat, FileSpec};
pub use write::{FileWriter, write_file};

#[cfg(test)]
mod tests;
