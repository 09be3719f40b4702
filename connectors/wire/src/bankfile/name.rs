//! Names of batch files: `{BIZ}_{SENDER}_{RECVER}_{yyyyMMdd}_{batch4}.txt` and the companions `.ok` and `.sig`.

use std::fmt;
use time::{Date, Month};

/// The name of a batch file, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileName {
    business: String,
    sender: String,
    receiver: String,
    date: Date,
    batch: u16,
}

/// A name that is no batch file's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not five parts between underscores and `.txt`.
    #[error("a batch file is named BIZ_SENDER_RECVER_yyyyMMdd_batch.txt")]
    Shape,
    /// Business, sender or receiver are not 1 to 20 upper-case letters and digits.
    #[error("business, sender and receiver are 1 to 20 upper-case letters and digits")]
    Code,
    /// The date is none of the calendar.
    #[error("the date is not a day of the calendar as yyyyMMdd")]
    Date,
    /// The batch is not four digits.
    #[error("the batch number is four digits")]
    Batch,
}

fn is_code(text: &str) -> bool {
    (1..=20).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// A number of exactly `digits` decimal digits.
fn number(text: &str, digits: usize) -> Option<u16> {
    let fits = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok())?
}

/// Reads yyyyMMdd.
pub(super) fn parse_date(text: &str) -> Option<Date> {
    let part = |from: usize, to: usize| number(text.get(from..to)?, to - from);
    if text.len() != 8 {
        return None;
    }
    let month = Month::try_from(u8::try_from(part(4, 6)?).ok()?).ok()?;
    Date::from_calendar_date(i32::from(part(0, 4)?), month, u8::try_from(part(6, 8)?).ok()?).ok()
}

/// Writes yyyyMMdd; the year is 0 to 9999 in every date this crate reads.
pub(super) fn write_date(date: Date) -> String {
    format!("{:04}{:02}{:02}", date.year(), u8::from(date.month()), date.day())
}

impl FileName {
    /// The name of a file.
    ///
    /// # Errors
    /// Codes other than 1 to 20 upper-case letters and digits, a year outside 0 to 9999, a batch above 9999.
    pub fn new(
        business: &str,
        sender: &str,
        receiver: &str,
        date: Date,
        batch: u16,
    ) -> Result<FileName, NameError> {
        if ![business, sender, receiver].into_iter().all(is_code) {
            return Err(NameError::Code);
        }
        if !(0..=9999).contains(&date.year()) {
            return Err(NameError::Date);
        }
        if batch > 9999 {
            return Err(NameError::Batch);
        }
        let (business, sender, receiver) = (business.to_owned(), sender.to_owned(), receiver.to_owned());
        Ok(FileName { business, sender, receiver, date, batch })
    }

    /// Takes a name apart, without folders.
    ///
    /// # Errors
    /// The first part that breaks the rule.
    pub fn parse(name: &str) -> Result<FileName, NameError> {
        let parts: Vec<&str> = name.strip_suffix(".txt").ok_or(NameError::Shape)?.split('_').collect();
        let [business, sender, receiver, date, batch] = parts[..] else { return Err(NameError::Shape) };
        if ![business, sender, receiver].into_iter().all(is_code) {
            return Err(NameError::Code);
        }
        let date = parse_date(date).ok_or(NameError::Date)?;
        FileName::new(business, sender, receiver, date, number(batch, 4).ok_or(NameError::Batch)?)
    }

    /// The business, such as batch opening.
    pub fn business(&self) -> &str {
        &self.business
    }

    /// Who made the file.
    pub fn sender(&self) -> &str {
        &self.sender
    }

    /// Whom it is for.
    pub fn receiver(&self) -> &str {
        &self.receiver
    }

    /// The day of business.
    pub fn date(&self) -> Date {
        self.date
    }

    /// The batch of that day.
    pub fn batch(&self) -> u16 {
        self.batch
    }

    /// The empty file that says the data file is complete: write it last, read the data file only when it is there.
    pub fn ok_name(&self) -> String {
        format!("{}.ok", self.stem())
    }

    /// The file of the detached signature.
    pub fn signature_name(&self) -> String {
        format!("{}.sig", self.stem())
    }

    fn stem(&self) -> String {
        let FileName { business, sender, receiver, date, batch } = self;
        format!("{business}_{sender}_{receiver}_{}_{batch:04}", write_date(*date))
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.txt", self.stem())
    }
}
