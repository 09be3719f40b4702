//! The attributes of a start tag, read strictly: white space between, quoted, no `<`, references resolved.

use super::chars::referenced;
use std::borrow::Cow;

/// Iterates over `name="value"` pairs; offsets in errors are within the given text.
pub(super) struct Attributes<'a> {
    text: &'a str,
    at: usize,
}

/// An attribute's name and value.
pub(super) type Attribute<'a> = (&'a str, Cow<'a, str>);

impl<'a> Attributes<'a> {
    /// `text` is what follows the name of the tag.
    pub(super) fn new(text: &'a str) -> Attributes<'a> {
        Attributes { text, at: 0 }
    }

    pub(super) fn next(&mut self) -> Result<Option<Attribute<'a>>, (usize, &'static str)> {
        let start = self.at;
        self.skip_space();
        let Some(first) = self.text.as_bytes().get(self.at) else { return Ok(None) };
        if self.at == start {
            return Err((self.at, "white space is missing before an attribute"));
        }
        if *first == b'=' {
            return Err((self.at, "an attribute has no name"));
        }
        let rest = &self.text[self.at..];
        let length = rest.find(['=', ' ', '\t', '\n']).ok_or((self.at, "an attribute has no value"))?;
        let name = &rest[..length];
        self.at += length;
        self.skip_space();
        if self.text.as_bytes().get(self.at) != Some(&b'=') {
            return Err((self.at, "an attribute has no value"));
        }
        self.at += 1;
        self.skip_space();
        let value = self.quoted()?;
        Ok(Some((name, value)))
    }

    fn quoted(&mut self) -> Result<Cow<'a, str>, (usize, &'static str)> {
        let quote = match self.text.as_bytes().get(self.at) {
            Some(b'"') => '"',
            Some(b'\'') => '\'',
            _ => return Err((self.at, "the value of an attribute is not quoted")),
        };
        let start = self.at + 1;
        let length =
            self.text[start..].find(quote).ok_or((self.at, "the value of an attribute lacks its quote"))?;
        let raw = &self.text[start..start + length];
        self.at = start + length + 1;
        if let Some(at) = raw.find('<') {
            return Err((start + at, "the character < in an attribute"));
        }
        unescape(raw)
            .map_err(|at| (start + at, "a reference that is not one of XML's own or a legal character"))
    }

    fn skip_space(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
    }
}

/// Resolves references and turns white space to blanks (XML 1.0 §3.3.3).
fn unescape(raw: &str) -> Result<Cow<'_, str>, usize> {
    if !raw.bytes().any(|byte| matches!(byte, b'&' | b'\t' | b'\n')) {
        return Ok(Cow::Borrowed(raw));
    }
    let mut out = String::with_capacity(raw.len());
    let mut at = 0;
    while at < raw.len() {
        let rest = &raw[at..];
        let plain = rest.find(['&', '\t', '\n']).unwrap_or(rest.len());
        out.push_str(&rest[..plain]);
        at += plain;
        match rest[plain..].chars().next() {
            Some('&') => {
                let end = rest[plain..].find(';').ok_or(at)?;
                out.push(referenced(&rest[plain + 1..plain + end]).ok_or(at)?);
                at += end + 1;
            }
            Some(_) => {
                out.push(' ');
                at += 1;
            }
            None => {}
        }
    }
    Ok(Cow::Owned(out))
}
