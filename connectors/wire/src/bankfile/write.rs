//! Writing a batch file, row by row.

use super::error::{FileError, Problem};
use super::name::write_date;
use super::read::{Totals, add_amount, check_totals};
use super::row::{self, FORM_VERSION, Header};
use super::spec::FileFormat;
use sm3::{Digest, Sm3};

/// Writes one file. The header states the totals before the rows are known: they are checked at the end.
pub struct FileWriter {
    format: FileFormat,
    header: Header,
    digest: Sm3,
    count: u64,
    sum: u64,
}

impl FileWriter {
    /// Appends the header to the output.
    ///
    /// # Errors
    /// A field of the header that does not fit; nothing is appended then.
    pub fn new(format: FileFormat, header: Header, output: &mut Vec<u8>) -> Result<FileWriter, FileError> {
        let mut writer = FileWriter { format, header, digest: Sm3::new(), count: 0, sum: 0 };
        let Header { batch_no, bank_code, date, count, amount } = &writer.header;
        let (date, count, amount) = (write_date(*date), count.to_string(), amount.to_string());
        let values = [FORM_VERSION, batch_no, bank_code, &date, &count, &amount];
        let line = writer.line(b'H', &row::HEADER, &values)?;
        writer.append(&line, output);
        Ok(writer)
    }

    /// Appends a data row with the next running number.
    ///
    /// # Errors
    /// A value that does not fit its column; nothing is appended then.
    pub fn row<T: AsRef<str>>(&mut self, values: &[T], output: &mut Vec<u8>) -> Result<(), FileError> {
        let at = self.count + 2;
        if self.count >= self.format.spec.max_rows {
            return Err(Problem::TooManyRows { most: self.format.spec.max_rows }.at(at));
        }
        let sum = add_amount(&self.format, self.sum, values).map_err(|problem| problem.at(at))?;
        let sequence = (self.count + 1).to_string();
        let fields: Vec<&str> = std::iter::once(&*sequence).chain(values.iter().map(AsRef::as_ref)).collect();
        let line = self.line(b'D', &self.format.cells, &fields)?;
        self.append(&line, output);
        self.sum = sum;
        self.count += 1;
        Ok(())
    }

    /// Appends the trailer.
    ///
    /// # Errors
    /// Rows whose count or sum the header does not state.
    pub fn finish(self, output: &mut Vec<u8>) -> Result<Totals, FileError> {
        let Totals { count, amount } = Totals { count: self.count, amount: self.header.amount };
        let checked = check_totals(&self.format, &self.header, count, count, self.sum);
        checked.map_err(|problem| problem.at(count + 2))?;
        let digest = hex::encode(self.digest.clone().finalize());
        let line = self.line(b'T', &row::TRAILER, &[&count.to_string(), &digest])?;
        output.extend_from_slice(&line);
        Ok(Totals { count, amount })
    }

    fn line(&self, kind: u8, cells: &[row::Cell], values: &[&str]) -> Result<Vec<u8>, FileError> {
        let mut line = Vec::new();
        let at = if kind == b'H' { 1 } else { self.count + 2 };
        row::encode(&self.format, kind, cells, values, &mut line).map_err(|problem| problem.at(at))?;
        Ok(line)
    }

    fn append(&mut self, line: &[u8], output: &mut Vec<u8>) {
        self.digest.update(line);
        output.extend_from_slice(line);
    }
}

/// Writes a whole file; the totals of the header are taken from the rows, the amount only when a column is declared.
///
/// # Errors
/// The first value that does not fit.
pub fn write_file<T: AsRef<str>>(
    format: &FileFormat,
    header: &Header,
    rows: &[Vec<T>],
) -> Result<Vec<u8>, FileError> {
    let mut header = Header { count: rows.len() as u64, ..header.clone() };
    if format.amount.is_some() {
        let add =
            |sum, (row, at): (&Vec<T>, u64)| add_amount(format, sum, row).map_err(|problem| problem.at(at));
        header.amount = rows.iter().zip(2..).try_fold(0, add)?;
    }
    let mut output = Vec::new();
    let mut writer = FileWriter::new(format.clone(), header, &mut output)?;
    for row in rows {
        writer.row(row, &mut output)?;
    }
    writer.finish(&mut output)?;
    Ok(output)
}
