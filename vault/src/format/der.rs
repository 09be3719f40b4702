//! The DER that SM2 and its certificates need, read strictly: minimal lengths, minimal non-negative integers.

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OID: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;

/// One element with a tag of one byte.
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    /// Tag, length and content.
    pub(crate) whole: &'a [u8],
}

impl<'a> Element<'a> {
    pub(crate) fn content_of(&self, tag: u8) -> Option<&'a [u8]> {
        (self.tag == tag).then_some(self.content)
    }
}

/// Takes the next element, whatever it is.
pub(crate) fn element<'a>(input: &mut &'a [u8]) -> Option<Element<'a>> {
    let before = *input;
    let tag = *before.first()?;
    if tag & 0x1f == 0x1f {
        return None;
    }
    let content = take(input, tag)?;
    Some(Element { tag, content, whole: &before[..before.len() - input.len()] })
}

pub(crate) fn put(out: &mut Vec<u8>, tag: u8, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.push(tag);
    if length < 0x80 {
        out.push(length as u8);
    } else {
        let bytes = length.to_be_bytes();
        let bytes = &bytes[bytes.iter().position(|b| *b != 0).unwrap_or(0)..];
        out.push(0x80 | bytes.len() as u8);
        out.extend_from_slice(bytes);
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// A non-negative big-endian number; leading zero bytes are dropped as DER demands.
pub(crate) fn put_integer(out: &mut Vec<u8>, number: &[u8]) {
    let number = match number.iter().position(|b| *b != 0) {
        Some(first) => &number[first..],
        None => &[0],
    };
    let sign: &[u8] = if number[0] & 0x80 == 0 { &[] } else { &[0] };
    put(out, INTEGER, &[sign, number]);
}

pub(crate) fn put_octets(out: &mut Vec<u8>, octets: &[u8]) {
    put(out, OCTET_STRING, &[octets]);
}

pub(crate) fn sequence(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 6);
    put(&mut out, SEQUENCE, &[body]);
    out
}

fn take<'a>(input: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    let rest = input.strip_prefix(&[tag])?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if bytes.is_empty() || bytes.len() > 4 || bytes[0] == 0 {
            return None;
        }
        let length = bytes.iter().fold(0usize, |sum, b| sum << 8 | usize::from(*b));
        if length < 0x80 {
            return None;
        }
        (length, rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    *input = rest;
    Some(content)
}

/// The content of the one SEQUENCE that fills the input.
pub(crate) fn read_sequence(mut input: &[u8]) -> Option<&[u8]> {
    let body = take(&mut input, SEQUENCE)?;
    input.is_empty().then_some(body)
}

/// Reads an INTEGER that fits `out`, filled with leading zeros.
pub(crate) fn take_integer(input: &mut &[u8], out: &mut [u8]) -> Option<()> {
    let content = take(input, INTEGER)?;
    let number = match content {
        [] => return None,
        [0] => &[],
        [0, rest @ ..] if rest[0] & 0x80 != 0 => rest,
        [first, ..] if *first == 0 || first & 0x80 != 0 => return None,
        _ => content,
    };
    let start = out.len().checked_sub(number.len())?;
    out[..start].fill(0);
    out[start..].copy_from_slice(number);
    Some(())
}

pub(crate) fn take_octets<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    take(input, OCTET_STRING)
}
