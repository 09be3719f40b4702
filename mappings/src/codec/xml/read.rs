//! Reading XML. quick-xml cuts the text into tags and texts; what makes a document well formed is checked here, because
//! quick-xml accepts names like `<a*b>`, several roots, text outside the root and more.

use super::arrays::{Arrays, At};
use super::attributes::Attributes;
use super::chars::{is_ncname, is_space, referenced};
use super::namespaces::{Bindings, XSI};
use crate::codec::soap::{Envelope, is_envelope_namespace};
use crate::codec::{MAX_DEPTH, SoapVersion};
use crate::error::{CodecError, CodecErrorKind};
use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::map::Entry;
use serde_json::{Map, Value};
use std::borrow::Cow;

const MAX_ELEMENTS: usize = 200_000;
const MAX_ATTRIBUTES: usize = 64;
const MAX_NAME: usize = 256;

/// What was read.
pub(in crate::codec) struct Read {
    /// `{root: content}`.
    pub root: Value,
    /// soap: whether the Body holds a fault.
    pub is_fault: bool,
}

/// Reads a document whose characters and line ends have been checked and normalised.
pub(in crate::codec) fn read(
    text: &str,
    arrays: &Arrays,
    soap: Option<SoapVersion>,
) -> Result<Read, CodecError> {
    let mut tree = Tree {
        text,
        arrays,
        envelope: soap.map(Envelope::new),
        bindings: Bindings::default(),
        frames: Vec::with_capacity(8),
        elements: 0,
        root: None,
    };
    let mut reader = Reader::from_str(text);
    let config = reader.config_mut();
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    config.check_comments = true;
    loop {
        let start = position(&reader);
        let event = reader.read_event().map_err(|error| {
            let at = usize::try_from(reader.error_position()).unwrap_or(text.len());
            CodecError::malformed(format!("not well-formed XML: {error}")).at(text, at)
        })?;
        let raw = text.get(start..position(&reader)).unwrap_or_default();
        match event {
            Event::Start(_) => tree.open(inside(raw, 1, 1), start + 1, false)?,
            Event::Empty(_) => tree.open(inside(raw, 1, 2), start + 1, true)?,
            Event::End(_) => tree.end_tag(inside(raw, 2, 1), start)?,
            Event::Text(_) => tree.text(raw, start)?,
            Event::CData(_) => tree.cdata(inside(raw, 9, 3), start)?,
            Event::GeneralRef(_) => tree.reference(inside(raw, 1, 1), start)?,
            Event::Comment(_) if inside(raw, 4, 3).ends_with('-') => {
                return Err(tree.malformed("-- inside a comment", start));
            }
            Event::Comment(_) => {}
            Event::Decl(_) => tree.declaration(inside(raw, 5, 2), start)?,
            Event::PI(_) => return Err(tree.malformed("a processing instruction", start)),
            Event::DocType(_) => return Err(tree.malformed("a document type declaration", start)),
            Event::Eof => return tree.finish(),
        }
    }
}

fn position(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

/// The production EncName.
fn is_encoding_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

fn inside(raw: &str, head: usize, tail: usize) -> &str {
    raw.get(head..raw.len().saturating_sub(tail)).unwrap_or_default()
}

struct Tree<'a> {
    text: &'a str,
    arrays: &'a Arrays,
    envelope: Option<Envelope>,
    bindings: Bindings<'a>,
    frames: Vec<Frame<'a>>,
    elements: usize,
    root: Option<Value>,
}

/// An open element.
struct Frame<'a> {
    /// As written, prefix included: the end tag must repeat it.
    name: &'a str,
    local: &'a str,
    members: Map<String, Value>,
    text: Cow<'a, str>,
    nil: bool,
    bindings: usize,
    arrays: At,
}

/// An attribute that declares no namespace.
struct Attribute<'a> {
    prefix: &'a str,
    local: &'a str,
    value: Cow<'a, str>,
}

impl<'a> Tree<'a> {
    fn open(&mut self, tag: &'a str, offset: usize, empty: bool) -> Result<(), CodecError> {
        if self.frames.is_empty() && self.root.is_some() {
            return Err(self.malformed("a second root element", offset));
        }
        self.elements += 1;
        // An envelope adds two levels around the document.
        let deepest = if self.envelope.is_some() { MAX_DEPTH + 2 } else { MAX_DEPTH };
        if self.frames.len() >= deepest || self.elements > MAX_ELEMENTS {
            let message = format!("more than {MAX_DEPTH} levels or {MAX_ELEMENTS} elements");
            return Err(CodecError::new(CodecErrorKind::Limit, message).at(self.text, offset));
        }
        let length = tag.bytes().position(|byte| matches!(byte, b' ' | b'\t' | b'\n')).unwrap_or(tag.len());
        let (name, rest) = tag.split_at(length);
        let (prefix, local) = self.qualified(name, offset)?;
        let bindings = self.bindings.len();
        let (members, nil) = self.attributes(rest, offset + length)?;
        let uri = self.bindings.resolve(prefix).ok_or_else(|| self.malformed("an unbound prefix", offset))?;
        let arrays = self.place(local);
        if let Some(envelope) = &mut self.envelope {
            envelope.open(self.frames.len(), uri, local).map_err(|error| error.at(self.text, offset))?;
        }
        self.frames.push(Frame { name, local, members, text: Cow::Borrowed(""), nil, bindings, arrays });
        if empty { self.close(offset) } else { Ok(()) }
    }

    /// The place in the tree of declared lists; it starts at the root, or at the child of a Body.
    fn place(&self, local: &str) -> At {
        let start = if self.envelope.is_some() { 2 } else { 0 };
        match self.frames.last() {
            _ if self.frames.len() < start => None,
            Some(parent) if self.frames.len() > start => self.arrays.child(parent.arrays, local),
            _ => self.arrays.child(self.arrays.start(), local),
        }
    }

    fn qualified(&self, name: &'a str, offset: usize) -> Result<(&'a str, &'a str), CodecError> {
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        if !is_ncname(local) || !(prefix.is_empty() || is_ncname(prefix)) || name.starts_with(':') {
            return Err(self.malformed("a name that XML does not allow", offset));
        }
        if name.len() > MAX_NAME {
            return Err(CodecError::new(CodecErrorKind::Limit, format!("a name beyond {MAX_NAME} bytes"))
                .at(self.text, offset));
        }
        Ok((prefix, local))
    }

    /// Binds the namespaces of a tag, then reads its other attributes; also whether it is `xsi:nil`.
    fn attributes(&mut self, text: &'a str, offset: usize) -> Result<(Map<String, Value>, bool), CodecError> {
        if text.is_empty() {
            return Ok((Map::new(), false));
        }
        let mut others = Vec::new();
        let mut attributes = Attributes::new(text);
        let bound = self.bindings.len();
        while let Some((name, value)) =
            attributes.next().map_err(|(at, message)| self.malformed(message, offset + at))?
        {
            match self.qualified(name, offset)? {
                ("", "xmlns") => self.bind("", value, bound, offset)?,
                ("xmlns", prefix) => self.bind(prefix, value, bound, offset)?,
                (prefix, local) => others.push(Attribute { prefix, local, value }),
            }
            if others.len() + self.bindings.len() - bound > MAX_ATTRIBUTES {
                let message = format!("more than {MAX_ATTRIBUTES} attributes");
                return Err(CodecError::new(CodecErrorKind::Limit, message).at(self.text, offset));
            }
        }
        self.data(&others, offset)
    }

    /// Binds a prefix declared by a tag that had `bound` bindings before it.
    fn bind(
        &mut self,
        prefix: &'a str,
        uri: Cow<'a, str>,
        bound: usize,
        offset: usize,
    ) -> Result<(), CodecError> {
        if self.bindings.since(bound).any(|other| other == prefix) {
            return Err(self.malformed("an attribute occurs twice", offset));
        }
        self.bindings.bind(prefix, uri).map_err(|message| self.malformed(message, offset))
    }

    /// The attributes that are data, and whether one of the others is `xsi:nil`.
    fn data(
        &self,
        attributes: &[Attribute<'a>],
        offset: usize,
    ) -> Result<(Map<String, Value>, bool), CodecError> {
        let (mut members, mut nil) = (Map::new(), false);
        let uri = |attribute: &Attribute<'a>| match attribute.prefix {
            "" => Some(""),
            prefix => self.bindings.resolve(prefix),
        };
        for (index, attribute) in attributes.iter().enumerate() {
            let Some(namespace) = uri(attribute) else {
                return Err(self.malformed("an unbound prefix", offset));
            };
            let same = |other: &&Attribute<'a>| other.local == attribute.local;
            if attributes[..index].iter().filter(same).any(|other| uri(other) == Some(namespace)) {
                return Err(self.malformed("an attribute occurs twice", offset));
            }
            if namespace == XSI {
                nil |= attribute.local == "nil" && matches!(attribute.value.trim(), "true" | "1");
            } else if !(self.envelope.is_some() && is_envelope_namespace(namespace)) {
                let value = Value::from(attribute.value.as_ref());
                if members.insert(format!("@{}", attribute.local), value).is_some() {
                    return Err(self.malformed("two attributes of one name in different namespaces", offset));
                }
            }
        }
        Ok((members, nil))
    }

    fn end_tag(&mut self, name: &str, offset: usize) -> Result<(), CodecError> {
        let name = name.trim_end_matches([' ', '\t', '\n']);
        match self.frames.last() {
            Some(frame) if frame.name == name => self.close(offset),
            _ => Err(self.malformed("an end tag that matches no open element", offset)),
        }
    }

    fn close(&mut self, offset: usize) -> Result<(), CodecError> {
        let Some(frame) = self.frames.pop() else {
            return Err(self.malformed("an end tag that matches no open element", offset));
        };
        self.bindings.truncate(frame.bindings);
        let (local, arrays) = (frame.local, frame.arrays);
        let value = frame.value();
        let is_array = self.arrays.is_array(arrays);
        match self.frames.last_mut() {
            Some(parent) => parent.add(local, value, is_array),
            None => {
                let mut root = Map::with_capacity(1);
                root.insert(local.to_owned(), value);
                self.root = Some(Value::Object(root));
            }
        }
        Ok(())
    }

    fn text(&mut self, raw: &'a str, offset: usize) -> Result<(), CodecError> {
        // Looking for one byte first is several times faster than for the three.
        if raw.as_bytes().contains(&b']')
            && let Some(at) = raw.find("]]>")
        {
            return Err(self.malformed("]]> in text", offset + at));
        }
        match self.frames.last_mut() {
            Some(frame) => frame.push(raw),
            None if is_space(raw) => {}
            None => return Err(self.malformed("text outside the root element", offset)),
        }
        Ok(())
    }

    fn cdata(&mut self, raw: &'a str, offset: usize) -> Result<(), CodecError> {
        match self.frames.last_mut() {
            Some(frame) => frame.push(raw),
            None => return Err(self.malformed("text outside the root element", offset)),
        }
        Ok(())
    }

    fn reference(&mut self, name: &str, offset: usize) -> Result<(), CodecError> {
        match (self.frames.last_mut(), referenced(name)) {
            (Some(frame), Some(c)) => frame.text.to_mut().push(c),
            (None, _) => return Err(self.malformed("text outside the root element", offset)),
            (_, None) => {
                return Err(
                    self.malformed("a reference that is not one of XML's own or a legal character", offset)
                );
            }
        }
        Ok(())
    }

    /// `version="1.0" encoding="…" standalone="…"`, at the very start only.
    fn declaration(&self, text: &str, offset: usize) -> Result<(), CodecError> {
        let wrong =
            || self.malformed("an XML declaration that is not at the start or not of version 1.0", offset);
        let mut attributes = Attributes::new(text);
        let mut expected = ["version", "encoding", "standalone"].into_iter();
        let mut version = false;
        while let Some((name, value)) = attributes.next().map_err(|_| wrong())? {
            if !expected.any(|expected| expected == name) {
                return Err(wrong());
            }
            match name {
                "version" => version = value == "1.0",
                "standalone" if !matches!(value.as_ref(), "yes" | "no") => return Err(wrong()),
                "encoding" if !is_encoding_name(&value) => return Err(wrong()),
                _ => {}
            }
        }
        if offset == 0 && version && !text.contains('&') { Ok(()) } else { Err(wrong()) }
    }

    fn finish(self) -> Result<Read, CodecError> {
        if !self.frames.is_empty() {
            return Err(self.malformed("the text ends inside an element", self.text.len()));
        }
        let is_fault = self.envelope.as_ref().is_some_and(Envelope::is_fault);
        match self.root {
            Some(root) => Ok(Read { root, is_fault }),
            None => Err(CodecError::malformed("there is no root element").at(self.text, self.text.len())),
        }
    }

    fn malformed(&self, message: &str, offset: usize) -> CodecError {
        CodecError::malformed(message).at(self.text, offset)
    }
}

impl<'a> Frame<'a> {
    fn push(&mut self, text: &'a str) {
        if self.text.is_empty() { self.text = Cow::Borrowed(text) } else { self.text.to_mut().push_str(text) }
    }

    fn add(&mut self, name: &str, value: Value, is_array: bool) {
        if self.members.is_empty() {
            self.members = Map::with_capacity(8);
        }
        match self.members.entry(name) {
            Entry::Vacant(place) => {
                place.insert(if is_array { Value::Array(vec![value]) } else { value });
            }
            Entry::Occupied(mut place) => match place.get_mut() {
                Value::Array(elements) => elements.push(value),
                first => *first = Value::Array(vec![first.take(), value]),
            },
        }
    }

    fn value(mut self) -> Value {
        if self.members.is_empty() {
            return if self.nil { Value::Null } else { Value::String(self.text.into_owned()) };
        }
        if !is_space(&self.text) {
            self.members.insert("#text".to_owned(), Value::String(self.text.into_owned()));
        }
        Value::Object(self.members)
    }
}
