//! Reading and writing frames.

use super::spec::{Framing, Kind, LengthForm, LengthSpec};
use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem;

/// A stream that does not follow its framing. It cannot be read on: close the connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A length of digits that holds something else.
    #[error("byte {position} of the {digits}-digit length is 0x{found:02x}, not a decimal digit")]
    NotADigit {
        /// Which byte of the length, from 1.
        position: usize,
        /// Digits of the length.
        digits: usize,
        /// The byte.
        found: u8,
    },
    /// A length below the least.
    #[error("the stated length {stated} gives a message of {bytes} bytes, at least {least} are needed")]
    TooShort {
        /// The length in the field.
        stated: u64,
        /// Bytes of the message; below 0 when the length does not even cover the head.
        bytes: i128,
        /// The least.
        least: usize,
    },
    /// A length above the bound.
    #[error("the stated length {stated} gives a message of {bytes} bytes, at most {most} are allowed")]
    TooLong {
        /// The length in the field.
        stated: u64,
        /// Bytes of the message.
        bytes: i128,
        /// The bound.
        most: usize,
    },
    /// No delimiter within the bound.
    #[error("no delimiter within {most} bytes")]
    NoDelimiter {
        /// The bound.
        most: usize,
    },
    /// The stream ended inside a message.
    #[error("the stream ended inside a message, after {have} of its bytes")]
    Cut {
        /// Bytes of the message that came, head included.
        have: usize,
    },
    /// A message to write is outside the bounds or the form of the framing.
    #[error("cannot write a message of {bytes} bytes: {reason}")]
    Unwritable {
        /// Bytes of the message.
        bytes: usize,
        /// Why not.
        reason: &'static str,
    },
}

impl Framing {
    /// The most bytes of a message.
    pub fn max(&self) -> usize {
        self.max
    }

    /// The most bytes a reader needs to hold for [`FrameDecoder::decode`] to answer with a message or an error.
    pub fn limit(&self) -> usize {
        match &self.kind {
            Kind::Length(spec) if spec.strip => self.max + spec.size,
            Kind::Length(_) | Kind::Fixed => self.max,
            Kind::Delimiter(delimiter) => self.max + delimiter.len(),
        }
    }

    /// Writes a message: length in front, length filled into its head, delimiter behind, or as it is.
    ///
    /// # Errors
    /// A message outside the bounds, a head too short for its length, a delimiter inside the message.
    pub fn encode(&self, message: &[u8]) -> Result<Bytes, FrameError> {
        let refuse = |reason| FrameError::Unwritable { bytes: message.len(), reason };
        if message.len() > self.max {
            return Err(refuse("it exceeds the most bytes of the framing"));
        }
        if message.len() < self.min {
            return Err(refuse("it is below the fewest bytes of the framing"));
        }
        match &self.kind {
            Kind::Fixed => Ok(Bytes::copy_from_slice(message)),
            Kind::Delimiter(delimiter) => {
                let mut frame = [message, delimiter].concat();
                // a message that ends with the start of the delimiter would end too early as well
                if memmem::find(&frame, delimiter) != Some(message.len()) {
                    return Err(refuse("it would end at a delimiter inside it"));
                }
                frame.shrink_to_fit();
                Ok(frame.into())
            }
            Kind::Length(spec) => {
                write_length(spec, message).ok_or(refuse("its length does not fit the field"))
            }
        }
    }
}

/// Puts the length before or into the message; `None` when the field cannot say it.
fn write_length(spec: &LengthSpec, message: &[u8]) -> Option<Bytes> {
    let head = spec.offset + spec.size;
    let total = if spec.strip { head + message.len() } else { message.len() };
    let counted = if spec.inclusive { total } else { total - head };
    let stated = u64::try_from(i128::try_from(counted).ok()? - i128::from(spec.adjust)).ok()?;
    let mut frame = Vec::with_capacity(total);
    if spec.strip {
        frame.resize(head, 0);
    }
    frame.extend_from_slice(message);
    let field = frame.get_mut(spec.offset..head)?;
    match spec.form {
        LengthForm::Digits => {
            let digits = format!("{stated:0width$}", width = spec.size);
            if digits.len() != spec.size {
                return None;
            }
            field.copy_from_slice(digits.as_bytes());
        }
        LengthForm::Big | LengthForm::Little => {
            let bytes = stated.to_be_bytes();
            let (high, low) = bytes.split_at(bytes.len() - spec.size);
            if high.iter().any(|byte| *byte != 0) {
                return None;
            }
            field.copy_from_slice(low);
            if spec.form == LengthForm::Little {
                field.reverse();
            }
        }
    }
    Some(frame.into())
}

/// The reading side of one connection.
#[derive(Debug, Clone)]
pub struct FrameDecoder {
    framing: Framing,
    /// Bytes at the start of the buffer known to hold no delimiter.
    scanned: usize,
}

impl FrameDecoder {
    /// A decoder at the start of a stream.
    pub fn new(framing: Framing) -> FrameDecoder {
        FrameDecoder { framing, scanned: 0 }
    }

    /// Takes the next message off the buffer; `None` when more bytes are needed. Call it again until then, before
    /// reading on: the buffer then never needs more than [`Framing::limit`] and one read.
    ///
    /// # Errors
    /// As soon as the bytes cannot become a message: a length out of bounds is refused before the message is there.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        let (head, body) = match &self.framing.kind {
            Kind::Fixed => (0, self.framing.max),
            Kind::Length(spec) => match read_length(spec, buffer)? {
                None => return Ok(None),
                Some(stated) => measure(spec, &self.framing, stated)?,
            },
            Kind::Delimiter(delimiter) => {
                let size = delimiter.len();
                let Some(end) = find(buffer, delimiter, &mut self.scanned, self.framing.max)? else {
                    return Ok(None);
                };
                let message = buffer.split_to(end).freeze();
                buffer.advance(size);
                return Ok(Some(message));
            }
        };
        if buffer.len() < head + body {
            return Ok(None);
        }
        buffer.advance(head);
        Ok(Some(buffer.split_to(body).freeze()))
    }

    /// The stream has ended: refuses the beginning of a message left in the buffer.
    ///
    /// # Errors
    /// Any byte left.
    pub fn finish(&self, buffer: &BytesMut) -> Result<(), FrameError> {
        if buffer.is_empty() { Ok(()) } else { Err(FrameError::Cut { have: buffer.len() }) }
    }
}

/// The value of the length field; `None` when it is not there yet.
fn read_length(spec: &LengthSpec, buffer: &[u8]) -> Result<Option<u64>, FrameError> {
    let held = buffer.get(spec.offset..).unwrap_or_default();
    let held = &held[..held.len().min(spec.size)];
    if spec.form == LengthForm::Digits
        && let Some(index) = held.iter().position(|byte| !byte.is_ascii_digit())
    {
        return Err(FrameError::NotADigit { position: index + 1, digits: spec.size, found: held[index] });
    }
    if held.len() < spec.size {
        return Ok(None);
    }
    // at most 18 digits or 8 bytes: no overflow
    Ok(Some(match spec.form {
        LengthForm::Digits => held.iter().fold(0, |length, digit| length * 10 + u64::from(digit - b'0')),
        LengthForm::Big => held.iter().fold(0, |length, byte| (length << 8) | u64::from(*byte)),
        LengthForm::Little => held.iter().rev().fold(0, |length, byte| (length << 8) | u64::from(*byte)),
    }))
}

/// Bytes to skip and bytes of the message for a stated length.
fn measure(spec: &LengthSpec, framing: &Framing, stated: u64) -> Result<(usize, usize), FrameError> {
    let head = spec.offset + spec.size;
    let counted = i128::from(stated) + i128::from(spec.adjust);
    // head is at most 1024 + 18
    let total = if spec.inclusive { counted } else { counted + head as i128 };
    let skipped = if spec.strip { head } else { 0 };
    let bytes = total - skipped as i128;
    match usize::try_from(bytes) {
        Ok(body) if body > framing.max => Err(FrameError::TooLong { stated, bytes, most: framing.max }),
        Ok(body) if body >= framing.min => Ok((skipped, body)),
        Err(_) if bytes > 0 => Err(FrameError::TooLong { stated, bytes, most: framing.max }),
        _ => Err(FrameError::TooShort { stated, bytes, least: framing.min }),
    }
}

/// Where the delimiter starts. Looks only at bytes it has not seen, so that a slow stream costs no more than a fast one.
fn find(
    buffer: &[u8],
    delimiter: &[u8],
    scanned: &mut usize,
    most: usize,
) -> Result<Option<usize>, FrameError> {
    let from = (*scanned).min(buffer.len());
    let found = memmem::find(&buffer[from..], delimiter).map(|index| from + index);
    match found {
        Some(end) if end <= most => {
            *scanned = 0;
            Ok(Some(end))
        }
        None if buffer.len() < most + delimiter.len() => {
            *scanned = (buffer.len() + 1).saturating_sub(delimiter.len());
            Ok(None)
        }
        _ => Err(FrameError::NoDelimiter { most }),
    }
}
