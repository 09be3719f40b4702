//! Field types that all three protocols use: fixed-width texts, digests, numbers, message content.

use super::{Body, Field, Layout, Reader};
use crate::error::WireError;
use serde_json::Value;
use std::fmt;

/// A text field of `N` bytes: left-aligned, NUL-padded. Holds the bytes of the wire exactly, padding included.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FixedText<const N: usize>([u8; N]);

impl<const N: usize> FixedText<N> {
    /// A field that holds `value`, padded with NUL.
    ///
    /// # Errors
    /// A value longer than `N` bytes, or one that holds a NUL and so could not be read back.
    pub fn new(value: impl AsRef<[u8]>) -> Result<FixedText<N>, WireError> {
        FixedText::named(value.as_ref(), "text")
    }

    pub(crate) fn named(value: &[u8], field: &'static str) -> Result<FixedText<N>, WireError> {
        if value.contains(&0) {
            return Err(WireError::Value { field, reason: "a NUL byte inside the text" });
        }
        let mut bytes = [0; N];
        let room = bytes.get_mut(..value.len());
        room.ok_or(WireError::TooLong { field, bytes: value.len(), most: N })?.copy_from_slice(value);
        Ok(FixedText(bytes))
    }

    /// A field of exactly these bytes, whatever follows a NUL.
    pub fn from_bytes(bytes: [u8; N]) -> FixedText<N> {
        FixedText(bytes)
    }

    /// All bytes, padding included.
    pub fn as_bytes(&self) -> &[u8; N] {
        &self.0
    }

    /// The text: the bytes before the first NUL. Gateways leave remains of other messages behind it.
    pub fn value(&self) -> &[u8] {
        self.0.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    /// The text as UTF-8 (in practice ASCII), `None` when it is not.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.value()).ok()
    }

    /// Whether every byte is NUL.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; N]
    }

    /// The first `width` bytes, when all others are NUL: the same field in a version that has it narrower.
    pub(crate) fn narrow(&self, width: usize) -> Option<&[u8]> {
        let (kept, rest) = self.0.split_at_checked(width)?;
        rest.iter().all(|byte| *byte == 0).then_some(kept)
    }

    /// Reads the narrower form of the field.
    pub(crate) fn widened(bytes: &[u8]) -> FixedText<N> {
        let mut wide = [0; N];
        for (to, from) in wide.iter_mut().zip(bytes) {
            *to = *from;
        }
        FixedText(wide)
    }

    pub(crate) fn to_json(self) -> Value {
        match self.as_str() {
            Some(text) => Value::from(text),
            None => Value::from(hex::encode(self.0)),
        }
    }
}

impl<const N: usize> Default for FixedText<N> {
    fn default() -> FixedText<N> {
        FixedText([0; N])
    }
}

impl<const N: usize> fmt::Debug for FixedText<N> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "\"{}\"", self.0.escape_ascii())
    }
}

impl<const N: usize, V> Field<V> for FixedText<N> {
    fn read(input: &mut Reader<'_>, _: V, name: &'static str) -> Result<Self, WireError> {
        input.array(name).map(FixedText)
    }

    fn write(&self, output: &mut Vec<u8>, _: V, _: &'static str) -> Result<(), WireError> {
        output.extend_from_slice(&self.0);
        Ok(())
    }

    fn shown(&self) -> Value {
        self.to_json()
    }
}

/// A [`FixedText`] that no debug output and no journal shows: a password sent in plain.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct SecretText<const N: usize>(pub FixedText<N>);

impl<const N: usize> fmt::Debug for SecretText<N> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

impl<const N: usize, V> Field<V> for SecretText<N> {
    fn read(input: &mut Reader<'_>, version: V, name: &'static str) -> Result<Self, WireError> {
        FixedText::read(input, version, name).map(SecretText)
    }

    fn write(&self, output: &mut Vec<u8>, version: V, name: &'static str) -> Result<(), WireError> {
        self.0.write(output, version, name)
    }

    fn shown(&self) -> Value {
        Value::from("***")
    }
}

/// An MD5 login digest. Not shown: with the timestamp beside it, a weak secret could be guessed from it.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Authenticator(pub [u8; 16]);

impl fmt::Debug for Authenticator {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

impl<V> Field<V> for Authenticator {
    fn read(input: &mut Reader<'_>, _: V, name: &'static str) -> Result<Self, WireError> {
        input.array(name).map(Authenticator)
    }

    fn write(&self, output: &mut Vec<u8>, _: V, _: &'static str) -> Result<(), WireError> {
        output.extend_from_slice(&self.0);
        Ok(())
    }

    fn shown(&self) -> Value {
        Value::from("***")
    }
}

/// Message content behind a length of one byte: at most 255 bytes. The protocols promise 140, or 160 of ASCII.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content(pub Vec<u8>);

impl<V> Field<V> for Content {
    fn read(input: &mut Reader<'_>, _: V, name: &'static str) -> Result<Self, WireError> {
        let length = input.byte(name)?;
        Ok(Content(input.take(usize::from(length), name)?.to_vec()))
    }

    fn write(&self, output: &mut Vec<u8>, _: V, name: &'static str) -> Result<(), WireError> {
        let too_long = WireError::TooLong { field: name, bytes: self.0.len(), most: 255 };
        output.push(u8::try_from(self.0.len()).map_err(|_| too_long)?);
        output.extend_from_slice(&self.0);
        Ok(())
    }

    fn shown(&self) -> Value {
        Value::from(hex::encode(&self.0))
    }
}

/// A count of one byte, then that many numbers of 21 bytes: 1 to 100 (SMGP 3.0 §6.2.20, SGIP 1.2 §4.2.3.3.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Numbers(pub Vec<FixedText<21>>);

/// Refuses a count of recipients outside `1..=most`.
pub(crate) fn check_count(field: &'static str, count: usize, most: usize) -> Result<(), WireError> {
    if (1..=most).contains(&count) { Ok(()) } else { Err(WireError::Count { field, count, least: 1, most }) }
}

impl<V: Copy> Field<V> for Numbers {
    fn read(input: &mut Reader<'_>, version: V, name: &'static str) -> Result<Self, WireError> {
        let count = usize::from(input.byte(name)?);
        check_count(name, count, 100)?;
        (0..count).map(|_| FixedText::read(input, version, name)).collect::<Result<_, _>>().map(Numbers)
    }

    fn write(&self, output: &mut Vec<u8>, version: V, name: &'static str) -> Result<(), WireError> {
        check_count(name, self.0.len(), 100)?;
        // at most 100, just checked
        output.push(self.0.len() as u8);
        self.0.iter().try_for_each(|number| number.write(output, version, name))
    }

    fn shown(&self) -> Value {
        self.0.iter().map(|number| number.to_json()).collect()
    }
}

/// The body of a command whose layout this crate does not read: all its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Raw(pub Vec<u8>);

impl Layout for Raw {
    const FIELDS: &'static [&'static str] = &["bytes"];

    fn to_value(&self) -> Value {
        Value::from_iter([("bytes", hex::encode(&self.0))])
    }
}

impl<V> Body<V> for Raw {
    fn read(input: &mut Reader<'_>, _: V) -> Result<Self, WireError> {
        let left = input.left();
        Ok(Raw(input.take(left, "bytes")?.to_vec()))
    }

    fn write(&self, output: &mut Vec<u8>, _: V) -> Result<(), WireError> {
        output.extend_from_slice(&self.0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_exact_bytes_and_shows_the_text_before_the_first_nul() {
        let field = FixedText::from_bytes(*b"1068\0\0old\0");
        assert_eq!(field.value(), b"1068");
        assert_eq!(field.as_bytes(), b"1068\0\0old\0");
        assert_ne!(field, FixedText::new("1068").expect("fits"));
    }

    #[test]
    fn refuses_a_value_longer_than_its_field() {
        let error = FixedText::<6>::new("9012345").expect_err("seven bytes");
        assert_eq!(error.to_string(), "text: 7 bytes, the field holds at most 6");
        assert!(FixedText::<6>::new("90\x0012").is_err());
        assert!(FixedText::<6>::new("901234").is_ok());
    }

    #[test]
    fn shows_no_secret() {
        let secret = SecretText(FixedText::<16>::new("s3cret").expect("fits"));
        assert_eq!(format!("{secret:?} {:?}", Authenticator([7; 16])), "*** ***");
        assert_eq!(Field::<()>::shown(&secret), Value::from("***"));
    }
}
