//! The user data header in front of a part (GSM 03.40 §9.2.3.24).

/// Which part of which long message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concatenation {
    /// The sender's number of the message: 8 bits, or 16 with the wide form.
    pub reference: u16,
    /// How many parts the message has, at least 1.
    pub total: u8,
    /// Which part this is, from 1.
    pub number: u8,
}

/// A content that should start with a user data header and does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UdhError {
    /// The header is longer than the content, or an element longer than the header.
    #[error("the user data header ends outside the content; TP_udhi is 1 by mistake?")]
    Cut,
    /// A concatenation whose part is 0 or above the total.
    #[error("the user data header names part {number} of {total}")]
    Part {
        /// The part.
        number: u8,
        /// The total.
        total: u8,
    },
}

/// Splits a content whose TP_udhi is 1 into what its header says of concatenation and the payload behind the header.
/// Elements other than concatenation (`00 03 …` and `08 04 …`) are skipped.
///
/// # Errors
/// A header that does not fit the content, a part outside its total.
pub fn split_header(content: &[u8]) -> Result<(Option<Concatenation>, &[u8]), UdhError> {
    let (length, rest) = content.split_first().ok_or(UdhError::Cut)?;
    let (mut elements, payload) = rest.split_at_checked(usize::from(*length)).ok_or(UdhError::Cut)?;
    let mut found = None;
    while let [id, length, rest @ ..] = elements {
        let (data, after) = rest.split_at_checked(usize::from(*length)).ok_or(UdhError::Cut)?;
        found = match (*id, data) {
            (0x00, [reference, total, number]) => Some((u16::from(*reference), *total, *number)),
            (0x08, [high, low, total, number]) => Some((u16::from_be_bytes([*high, *low]), *total, *number)),
            _ => found,
        };
        elements = after;
    }
    if !elements.is_empty() {
        return Err(UdhError::Cut);
    }
    match found {
        Some((_, total, number)) if number == 0 || number > total => Err(UdhError::Part { number, total }),
        Some((reference, total, number)) => Ok((Some(Concatenation { reference, total, number }), payload)),
        None => Ok((None, payload)),
    }
}
