//! Writing XML: one pass into one string, every name checked and every character escaped or refused.

use super::Format;
use super::chars::{is_char, is_ncname};
use crate::codec::{Charset, MAX_DEPTH};
use crate::document::scalar_text;
use crate::error::{CodecError, CodecErrorKind};
use serde_json::{Map, Value};

/// Writes elements into a message.
pub(in crate::codec) struct Writer<'a> {
    out: String,
    format: &'a Format,
}

impl<'a> Writer<'a> {
    /// Starts a message, with the XML declaration unless the definition leaves it out.
    pub(in crate::codec) fn new(format: &'a Format, charset: Charset) -> Writer<'a> {
        let mut out = String::with_capacity(1024);
        if format.declared {
            out.push_str("<?xml version=\"1.0\" encoding=\"");
            out.push_str(charset.label());
            out.push_str("\"?>");
        }
        Writer { out, format }
    }

    pub(in crate::codec) fn finish(self) -> String {
        self.out
    }

    /// Text that is XML already: tags of an envelope.
    pub(in crate::codec) fn raw(&mut self, xml: &str) {
        self.out.push_str(xml);
    }

    /// The document: inside the definition's element, or `{root: content}`.
    pub(in crate::codec) fn document(&mut self, document: &Value, outermost: bool) -> Result<(), CodecError> {
        if let Some(element) = &self.format.element {
            return self.root(element, document, outermost);
        }
        match document.as_object().map(|members| (members.len(), members.iter().next())) {
            Some((1, Some((name, content)))) => self.root(name, content, outermost),
            _ => Err(CodecError::not_encodable(
                "the document is not an object of one member, the root element",
            )),
        }
    }

    fn root(&mut self, name: &str, content: &Value, outermost: bool) -> Result<(), CodecError> {
        if content.is_array() {
            return Err(CodecError::not_encodable("the root element is a list"));
        }
        let start = self.out.len() + 1;
        self.tag(name, content, 0, true)?;
        // The declarations go after the root's name, which was written first.
        let end = self.out[start..].find([' ', '/', '>']).map_or(self.out.len(), |length| start + length);
        if outermost {
            self.out.insert_str(end, &self.format.declarations);
        }
        self.out.insert_str(end, &self.format.own_declaration);
        Ok(())
    }

    /// The members of an object, each an element.
    pub(in crate::codec) fn members(
        &mut self,
        members: &Map<String, Value>,
        depth: usize,
    ) -> Result<(), CodecError> {
        for (name, value) in members {
            if !name.starts_with('@') && name != "#text" {
                self.element(name, value, depth)?;
            }
        }
        Ok(())
    }

    fn element(&mut self, name: &str, value: &Value, depth: usize) -> Result<(), CodecError> {
        match value {
            Value::Null => Ok(()),
            Value::Array(elements) => elements.iter().try_for_each(|element| match element {
                Value::Array(_) => Err(CodecError::not_encodable(format!("`{name}` is a list of lists"))),
                element => self.tag(name, element, depth, self.format.qualified),
            }),
            value => self.tag(name, value, depth, self.format.qualified),
        }
    }

    fn tag(&mut self, name: &str, value: &Value, depth: usize, prefixed: bool) -> Result<(), CodecError> {
        if depth >= MAX_DEPTH {
            return Err(CodecError::new(CodecErrorKind::Limit, format!("more than {MAX_DEPTH} levels")));
        }
        self.out.push('<');
        let named = self.out.len();
        if prefixed
            && !name.contains(':')
            && let Some(prefix) = &self.format.prefix
        {
            self.out.push_str(prefix);
            self.out.push(':');
        }
        self.name(name)?;
        let name_end = self.out.len();
        let content = match value {
            Value::Object(members) => {
                self.attributes(members)?;
                let children = members.iter().any(|(name, value)| !name.starts_with('@') && !value.is_null());
                children.then_some(value)
            }
            value => Some(value).filter(|value| !value.is_null() && value.as_str() != Some("")),
        };
        let Some(content) = content else {
            self.out.push_str("/>");
            return Ok(());
        };
        self.out.push('>');
        match content {
            Value::Object(members) => {
                if let Some(text) = members.get("#text") {
                    self.content(text, "#text")?;
                }
                self.members(members, depth + 1)?;
            }
            text => self.content(text, name)?,
        }
        self.out.push_str("</");
        let name = self.out[named..name_end].to_owned();
        self.out.push_str(&name);
        self.out.push('>');
        Ok(())
    }

    fn attributes(&mut self, members: &Map<String, Value>) -> Result<(), CodecError> {
        for (name, value) in members {
            let Some(name) = name.strip_prefix('@') else { continue };
            if value.is_null() {
                continue;
            }
            self.out.push(' ');
            self.name(name)?;
            self.out.push_str("=\"");
            let text = scalar_text(value).ok_or_else(|| structure(name))?;
            refuse_illegal(&text)?;
            escape_attribute(&mut self.out, &text);
            self.out.push('"');
        }
        Ok(())
    }

    fn name(&mut self, name: &str) -> Result<(), CodecError> {
        let legal = match name.split_once(':') {
            None => is_ncname(name) && name != "xmlns",
            Some((prefix, local)) => {
                self.format.prefixes.iter().any(|known| known == prefix) && is_ncname(local)
            }
        };
        if !legal {
            return Err(CodecError::not_encodable(
                "a member has no XML name, or a prefix that is not declared",
            ));
        }
        self.out.push_str(name);
        Ok(())
    }

    /// Escaped text.
    pub(in crate::codec) fn content(&mut self, value: &Value, name: &str) -> Result<(), CodecError> {
        let text = scalar_text(value).ok_or_else(|| structure(name))?;
        refuse_illegal(&text)?;
        escape(&mut self.out, &text, |c| matches!(c, b'&' | b'<' | b'>' | b'\r'));
        Ok(())
    }
}

fn structure(name: &str) -> CodecError {
    CodecError::not_encodable(format!("`{name}` is neither text nor number"))
}

fn refuse_illegal(text: &str) -> Result<(), CodecError> {
    match text.chars().find(|c| !is_char(*c)) {
        Some(c) => Err(CodecError::not_encodable(format!("XML 1.0 has no character U+{:04X}", u32::from(c)))),
        None => Ok(()),
    }
}

/// Escapes text for an attribute in double quotes.
pub(super) fn escape_attribute(out: &mut String, text: &str) {
    escape(out, text, |c| matches!(c, b'&' | b'<' | b'>' | b'"' | b'\t' | b'\n' | b'\r'));
}

fn escape(out: &mut String, text: &str, needed: fn(u8) -> bool) {
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate().filter(|(_, byte)| needed(*byte)) {
        out.push_str(&text[from..at]);
        from = at + 1;
        out.push_str(match byte {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            b'\t' => "&#9;",
            b'\n' => "&#10;",
            _ => "&#13;",
        });
    }
    out.push_str(&text[from..]);
}
