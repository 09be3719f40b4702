//! The DER that SM2 and its certificates need, read strictly: minimal lengths, minimal non-negative integers.

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const NULL: u8 = 0x05;
pub(crate) const OID: u8 = 0x06;
pub(crate) const ENUMERATED: u8 = 0x0a;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// The tag of a constructed, context-specific element.
pub(crate) const fn context(number: u8) -> u8 {
    0xa0 | number
}

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
    wrap(SEQUENCE, &[body])
}

/// One element around the parts.
pub(crate) fn wrap(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(parts.iter().map(|part| part.len()).sum::<usize>() + 6);
    put(&mut out, tag, parts);
    out
}

/// SEQUENCE { OID, parameters }; empty parameters are absent.
pub(crate) fn algorithm(oid: &[u8], parameters: &[u8]) -> Vec<u8> {
    wrap(SEQUENCE, &[&wrap(OID, &[oid]), parameters])
}

/// SET OF in DER: its members sorted by their encoding.
pub(crate) fn set_of(tag: u8, mut members: Vec<Vec<u8>>) -> Vec<u8> {
    members.sort();
    wrap(tag, &[&members.concat()])
}

/// Takes the element with this tag, if it is next, and gives its content.
pub(crate) fn optional<'a>(input: &mut &'a [u8], tag: u8) -> Option<Option<&'a [u8]>> {
    if input.first() == Some(&tag) { take(input, tag).map(Some) } else { Some(None) }
}

/// The content of a minimal INTEGER of at most 20 bytes, for serial numbers and nonces.
pub(crate) fn take_number<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let content = take(input, INTEGER)?;
    let minimal = !matches!(content, [] | [0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..]);
    (minimal && content.len() <= 20).then_some(content)
}

/// SEQUENCE { OID, parameters? }: the identifier and the parameters' encoding, empty where absent.
pub(crate) fn take_algorithm<'a>(input: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let mut body = take(input, SEQUENCE)?;
    let oid = take(&mut body, OID)?;
    let parameters = body;
    if !body.is_empty() {
        element(&mut body)?;
    }
    body.is_empty().then_some((oid, parameters))
}

/// What is inside a BIT STRING of whole bytes.
pub(crate) fn take_bits<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    take(input, BIT_STRING)?.strip_prefix(&[0])
}

/// Takes an element with this tag and gives its content.
pub(crate) fn take<'a>(input: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
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
