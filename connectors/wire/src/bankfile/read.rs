//! Reading a batch file as its bytes come.

use super::error::{FileError, Problem};
use super::name::parse_date;
use super::row::{self, FORM_VERSION, Header, Row};
use super::spec::FileFormat;
use bytes::{Buf, BytesMut};
use memchr::memchr;
use sm3::{Digest, Sm3};

/// One row of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// The first row.
    Header(Header),
    /// A data row.
    Row(Row),
    /// The last row; count and SM3 are right.
    Trailer,
}

/// What a right file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Data rows.
    pub count: u64,
    /// The header's amount in fen, equal to the rows' sum when an amount column is declared.
    pub amount: u64,
}

/// Byte order marks of UTF-8, GB 18030, UTF-16.
const MARKS: [&[u8]; 4] = [b"\xEF\xBB\xBF", b"\x84\x31\x95\x33", b"\xFF\xFE", b"\xFE\xFF"];

/// Reads one file. After an error it must not be used again.
pub struct FileReader {
    format: FileFormat,
    digest: Sm3,
    /// Rows read.
    rows: u64,
    header: Option<Header>,
    count: u64,
    sum: u64,
    finished: bool,
    /// Bytes at the start of the buffer known to hold no line feed.
    scanned: usize,
}

impl FileReader {
    /// A reader at the start of a file.
    pub fn new(format: FileFormat) -> FileReader {
        let digest = Sm3::new();
        FileReader { format, digest, rows: 0, header: None, count: 0, sum: 0, finished: false, scanned: 0 }
    }

    /// Takes the next row off the buffer; `None` when more bytes are needed. The buffer never needs to hold more than
    /// one row and one read.
    ///
    /// # Errors
    /// The first row that is wrong.
    pub fn read(&mut self, buffer: &mut BytesMut) -> Result<Option<Record>, FileError> {
        if self.finished && !buffer.is_empty() {
            return Err(Problem::AfterTrailer.at(self.rows + 1));
        }
        if self.rows == 0 && MARKS.iter().any(|mark| buffer.starts_with(mark)) {
            return Err(Problem::ByteOrderMark.at(1));
        }
        let most = self.format.spec.max_row_bytes;
        let Some(end) = memchr(b'\n', &buffer[self.scanned..]).map(|index| self.scanned + index) else {
            self.scanned = buffer.len();
            if buffer.len() > most {
                return Err(Problem::RowTooLong { most }.at(self.rows + 1));
            }
            return Ok(None);
        };
        self.scanned = 0;
        self.rows += 1;
        let line = buffer.split_to(end).freeze();
        buffer.advance(1);
        self.row(&line).map(Some).map_err(|problem| problem.at(self.rows))
    }

    /// The file has ended: approves it.
    ///
    /// # Errors
    /// A file that ends inside a row or before its trailer.
    pub fn finish(self, rest: &BytesMut) -> Result<Totals, FileError> {
        if self.finished && !rest.is_empty() {
            return Err(Problem::AfterTrailer.at(self.rows + 1));
        }
        if !rest.is_empty() {
            return Err(Problem::Partial { bytes: rest.len() }.at(self.rows + 1));
        }
        match self.header {
            Some(header) if self.finished => Ok(Totals { count: self.count, amount: header.amount }),
            _ => Err(Problem::NoTrailer.at(self.rows + 1)),
        }
    }

    fn row(&mut self, line: &[u8]) -> Result<Record, Problem> {
        if line.len() > self.format.spec.max_row_bytes {
            return Err(Problem::RowTooLong { most: self.format.spec.max_row_bytes });
        }
        if line.ends_with(b"\r") {
            return Err(Problem::CarriageReturn);
        }
        let record = match (&self.header, line.split_first()) {
            (None, Some((b'H', fields))) => {
                let header = self.header(fields)?;
                self.header = Some(header.clone());
                Record::Header(header)
            }
            (None, _) => return Err(Problem::RowType { wanted: "H" }),
            (Some(_), Some((b'D', fields))) => Record::Row(self.data(fields)?),
            (Some(header), Some((b'T', fields))) => {
                self.trailer(header, fields)?;
                self.finished = true;
                return Ok(Record::Trailer);
            }
            (Some(_), _) => return Err(Problem::RowType { wanted: "D or T" }),
        };
        self.digest.update(line);
        self.digest.update(b"\n");
        Ok(record)
    }

    fn header(&self, fields: &[u8]) -> Result<Header, Problem> {
        let mut values = row::decode(&self.format, &row::HEADER, fields)?.into_iter();
        // decode gives as many values as there are cells
        let [version, batch_no, bank_code, date, count, amount] =
            std::array::from_fn(|_| values.next().unwrap_or_default());
        if version != FORM_VERSION {
            return Err(Problem::field("version", "is not 1.0"));
        }
        let date =
            parse_date(&date).ok_or(Problem::field("date", "is not a day of the calendar as yyyyMMdd"))?;
        let count = row::read_number("count", &count)?;
        if count > self.format.spec.max_rows {
            return Err(Problem::TooManyRows { most: self.format.spec.max_rows });
        }
        Ok(Header { batch_no, bank_code, date, count, amount: row::read_number("amount", &amount)? })
    }

    fn data(&mut self, fields: &[u8]) -> Result<Row, Problem> {
        let mut values = row::decode(&self.format, &self.format.cells, fields)?;
        let sequence = row::read_number("running number", &values.remove(0))?;
        if sequence != self.count + 1 {
            return Err(Problem::Sequence { found: sequence, wanted: self.count + 1 });
        }
        if self.count >= self.format.spec.max_rows {
            return Err(Problem::TooManyRows { most: self.format.spec.max_rows });
        }
        self.sum = add_amount(&self.format, self.sum, &values)?;
        self.count += 1;
        Ok(Row { sequence, values })
    }

    fn trailer(&self, header: &Header, fields: &[u8]) -> Result<(), Problem> {
        let mut values = row::decode(&self.format, &row::TRAILER, fields)?.into_iter();
        let [count, stated] = std::array::from_fn(|_| values.next().unwrap_or_default());
        let digest = hex::encode(self.digest.clone().finalize());
        check_totals(&self.format, header, row::read_number("count", &count)?, self.count, self.sum)?;
        if stated.eq_ignore_ascii_case(&digest) { Ok(()) } else { Err(Problem::Digest) }
    }
}

/// Adds a row's amount to the sum, when an amount column is declared.
pub(super) fn add_amount<T: AsRef<str>>(format: &FileFormat, sum: u64, values: &[T]) -> Result<u64, Problem> {
    let Some(value) = format.amount.and_then(|index| values.get(index)) else { return Ok(sum) };
    let column = format.spec.amount.as_deref().unwrap_or("amount");
    let amount = row::read_number(column, value.as_ref())?;
    sum.checked_add(amount).ok_or(Problem::field(column, "the sum is above what 64 bits hold"))
}

/// Compares the stated totals with the rows.
pub(super) fn check_totals(
    format: &FileFormat,
    header: &Header,
    trailer_count: u64,
    found: u64,
    sum: u64,
) -> Result<(), Problem> {
    for (place, stated) in [("header", header.count), ("trailer", trailer_count)] {
        if stated != found {
            return Err(Problem::Count { place, stated, found });
        }
    }
    if format.amount.is_some() && header.amount != sum {
        return Err(Problem::Amount { stated: header.amount, found: sum });
    }
    Ok(())
}
