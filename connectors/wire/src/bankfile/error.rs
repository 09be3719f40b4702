//! What is wrong with a batch file, and in which row.

/// A file that is refused, or a row that cannot be written. No text holds a value of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("row {row}: {problem}")]
pub struct FileError {
    /// The row, counted from 1 with the header.
    pub row: u64,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file starts with a byte order mark.
    #[error("the file starts with a byte order mark; send GB 18030 without one")]
    ByteOrderMark,
    /// The row ends with carriage return and line feed.
    #[error("the row ends with CR LF; rows end with LF alone")]
    CarriageReturn,
    /// The file ends inside the row.
    #[error("the file ends inside the row, after {bytes} bytes; it was transferred in part")]
    Partial {
        /// Bytes of the row.
        bytes: usize,
    },
    /// The file ends without a trailer.
    #[error("the file ends without its trailer; it was transferred in part")]
    NoTrailer,
    /// Bytes follow the trailer.
    #[error("the file goes on after its trailer")]
    AfterTrailer,
    /// The row is longer than allowed.
    #[error("the row exceeds {most} bytes")]
    RowTooLong {
        /// The bound.
        most: usize,
    },
    /// There are more rows than allowed.
    #[error("the file has more than {most} rows")]
    TooManyRows {
        /// The bound.
        most: u64,
    },
    /// The row is of another type than its place asks for.
    #[error("a row that starts with {wanted} is expected here")]
    RowType {
        /// `H`, `D`, or `D or T`.
        wanted: &'static str,
    },
    /// The row has another number of columns.
    #[error("{found} columns, {wanted} are expected")]
    Columns {
        /// Columns of the row.
        found: usize,
        /// Columns declared.
        wanted: usize,
    },
    /// The fixed-width row has another length.
    #[error("{found} bytes, {wanted} are expected")]
    Width {
        /// Bytes of the row.
        found: usize,
        /// Sum of the widths.
        wanted: usize,
    },
    /// Bytes that are not GB 18030.
    #[error("{column}: bytes that are not GB 18030; a character may be cut in half")]
    NotText {
        /// The column, `row` for the whole row.
        column: String,
    },
    /// A field that holds something else than its form.
    #[error("{column}: {reason}")]
    Field {
        /// The column.
        column: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A value longer than its column.
    #[error("{column}: {bytes} bytes in GB 18030, the column holds {most}")]
    TooLong {
        /// The column.
        column: String,
        /// Bytes of the value.
        bytes: usize,
        /// Bytes of the column.
        most: usize,
    },
    /// The running number is wrong: a row is missing or doubled.
    #[error("the running number is {found}, {wanted} is expected; a row is missing or doubled")]
    Sequence {
        /// The number in the row.
        found: u64,
        /// The number expected.
        wanted: u64,
    },
    /// A stated count differs from the rows.
    #[error("the {place} states {stated} rows, the file has {found}")]
    Count {
        /// `header` or `trailer`.
        place: &'static str,
        /// The count stated.
        stated: u64,
        /// The rows counted.
        found: u64,
    },
    /// The stated amount differs from the sum of the rows.
    #[error("the header states an amount of {stated} fen, the rows sum up to {found}")]
    Amount {
        /// The amount stated.
        stated: u64,
        /// The sum.
        found: u64,
    },
    /// The SM3 of the trailer is not that of the file.
    #[error("the SM3 of the trailer is not that of the rows; the file was changed or cut")]
    Digest,
}

impl Problem {
    pub(super) fn field(column: &str, reason: &'static str) -> Problem {
        Problem::Field { column: column.to_owned(), reason }
    }

    pub(super) fn at(self, row: u64) -> FileError {
        FileError { row, problem: self }
    }
}
