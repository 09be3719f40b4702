//! Cutting a long message into parts.

use super::encoding::{Encoding, TextError};

/// The most parts of a message: what the one byte of the header can count.
pub const MAX_PARTS: usize = 255;

/// Bytes of a part, header included. ASCII keeps to it too: gateways disagree whether they pack it into 7 bits.
const PART_BYTES: usize = 140;

/// The sender's number of a long message; it should differ from those of its last messages to the same recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference {
    /// The usual 6-byte header `05 00 03 ref total n`.
    Narrow(u8),
    /// The 7-byte header `06 08 04 refHi refLo total n`.
    Wide(u16),
}

impl Reference {
    fn header_bytes(self) -> usize {
        match self {
            Reference::Narrow(_) => 6,
            Reference::Wide(_) => 7,
        }
    }

    fn write(self, total: u8, number: u8, content: &mut Vec<u8>) {
        match self {
            Reference::Narrow(reference) => content.extend_from_slice(&[5, 0, 3, reference, total, number]),
            Reference::Wide(reference) => {
                let [high, low] = reference.to_be_bytes();
                content.extend_from_slice(&[6, 8, 4, high, low, total, number]);
            }
        }
    }
}

/// One part of a message, ready for the content field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// How many parts the message has: Pk_total.
    pub total: u8,
    /// Which part this is, from 1: Pk_number.
    pub number: u8,
    /// Whether the content starts with a user data header: TP_udhi.
    pub has_header: bool,
    /// The content, at most 140 bytes; 160 for ASCII of one part.
    pub content: Vec<u8>,
}

/// The ends of the parts of `bytes`, each at a character's end and at most `room` bytes after the one before.
fn cuts(bytes: &[u8], encoding: Encoding, room: usize) -> Vec<usize> {
    let mut ends = Vec::with_capacity(bytes.len() / room + 1);
    let (mut start, mut at) = (0, 0);
    while at < bytes.len() {
        let next = (at + encoding.character_bytes(&bytes[at..])).min(bytes.len());
        if next - start > room {
            ends.push(at);
            start = at;
        }
        at = next;
    }
    ends.push(bytes.len());
    ends
}

/// Cuts a text into parts: one without a header when it fits, else as many as it needs, none of which ends inside a
/// character or a surrogate pair.
///
/// # Errors
/// A character that the encoding cannot carry; more than `max_parts` parts ([`MAX_PARTS`] at most).
pub fn split(
    text: &str,
    encoding: Encoding,
    reference: Reference,
    max_parts: usize,
) -> Result<Vec<Part>, TextError> {
    let bytes = encoding.encode(text)?;
    if bytes.len() <= encoding.single_bytes() {
        return Ok(vec![Part { total: 1, number: 1, has_header: false, content: bytes }]);
    }
    let ends = cuts(&bytes, encoding, PART_BYTES - reference.header_bytes());
    let most = max_parts.min(MAX_PARTS);
    let too_many = TextError::TooManyParts { parts: ends.len(), most };
    let total = u8::try_from(ends.len()).ok().filter(|total| usize::from(*total) <= most).ok_or(too_many)?;
    let mut start = 0;
    let parts = (1..=total).zip(ends).map(|(number, end)| {
        let mut content = Vec::with_capacity(PART_BYTES);
        reference.write(total, number, &mut content);
        content.extend_from_slice(&bytes[start..end]);
        start = end;
        Part { total, number, has_header: true, content }
    });
    Ok(parts.collect())
}

/// How many parts a text takes with the usual header: what the carrier charges.
///
/// # Errors
/// A character that the encoding cannot carry.
pub fn count_parts(text: &str, encoding: Encoding) -> Result<usize, TextError> {
    let bytes = encoding.encode(text)?;
    let room = PART_BYTES - Reference::Narrow(0).header_bytes();
    Ok(if bytes.len() <= encoding.single_bytes() { 1 } else { cuts(&bytes, encoding, room).len() })
}
