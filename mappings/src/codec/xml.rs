//! The xml codec: XML 1.0 with namespaces as a document, strict where partners and attackers are not.
//!
//! An element is a member of its parent: text alone is a string, an empty element `""`, `xsi:nil` null, repeated
//! elements a list. Attributes are `@name`, text beside attributes or elements is `#text`; white space between
//! elements is no text. Prefixes are dropped on reading, so are `xmlns`, `xsi:` and, in SOAP, envelope attributes.

mod arrays;
mod attributes;
mod chars;
mod namespaces;
mod read;
mod write;

pub(super) use read::{Read, read};
pub(super) use write::Writer;

use super::{Charset, CodecSpec};
use crate::error::{CodecError, CodecErrorKind, SpecError};
use arrays::Arrays;
use serde_json::Value;
use std::borrow::Cow;

/// The settings of the xml and soap codecs.
#[derive(Debug, Clone, Default)]
pub(super) struct Format {
    pub charset: Option<Charset>,
    pub arrays: Arrays,
    pub element: Option<String>,
    pub unwrap: bool,
    /// The declarations of the root's own namespace, ` xmlns:m="urn:x"`, escaped.
    pub own_declaration: String,
    /// Those of the further namespaces.
    pub declarations: String,
    pub prefix: Option<String>,
    pub qualified: bool,
    /// Every prefix a name in a document may have.
    pub prefixes: Vec<String>,
    pub declared: bool,
}

impl Format {
    pub(super) fn compile(spec: &CodecSpec, errors: &mut Vec<SpecError>) -> Format {
        let mut format = Format {
            charset: spec.charset,
            arrays: Arrays::default(),
            element: spec.element.clone(),
            unwrap: spec.unwrap,
            prefix: spec.prefix.clone(),
            qualified: spec.qualified,
            prefixes: spec.prefix.iter().chain(spec.namespaces.keys()).cloned().collect(),
            declared: !spec.no_declaration,
            ..Format::default()
        };
        for (index, path) in spec.arrays.iter().enumerate() {
            if let Err(message) = format.arrays.add(path) {
                errors.push(SpecError::new(format!("arrays[{index}]"), message));
            }
        }
        if spec.element.as_deref().is_some_and(|name| !chars::is_ncname(name)) {
            errors.push(SpecError::new("element", "not an XML name without prefix"));
        }
        namespaces::compile(spec, &mut format, errors);
        format
    }
}

/// Reads an XML document.
pub(super) fn decode(bytes: &[u8], format: &Format) -> Result<Value, CodecError> {
    let text = text(bytes, format)?;
    let root = read(&text, &format.arrays, None)?.root;
    if format.unwrap { Ok(only_member(root)) } else { Ok(root) }
}

/// Writes a document as XML.
pub(super) fn encode(document: &Value, format: &Format, charset: Charset) -> Result<Vec<u8>, CodecError> {
    let mut writer = Writer::new(format, charset);
    writer.document(document, true)?;
    charset.encode(writer.finish().into())
}

/// Reads XML inside a field.
pub(crate) fn decode_text(text: &str) -> Result<Value, CodecError> {
    let format = Format { charset: Some(Charset::Utf8), ..Format::default() };
    decode(text.as_bytes(), &format)
}

/// Writes XML for a field.
pub(crate) fn encode_text(document: &Value) -> Result<String, CodecError> {
    let format = Format::default();
    let mut writer = Writer::new(&format, Charset::Utf8);
    writer.document(document, true)?;
    Ok(writer.finish())
}

/// The text of an XML message: in the definition's charset, else that of its declaration, else UTF-8.
pub(super) fn text<'a>(bytes: &'a [u8], format: &Format) -> Result<Cow<'a, str>, CodecError> {
    let charset = match format.charset {
        Some(charset) => charset,
        None => declared(bytes)?,
    };
    let text = charset.decode_message(bytes)?;
    if let Some(at) = chars::first_illegal(&text) {
        return Err(CodecError::malformed("a character that XML 1.0 does not allow").at(&text, at));
    }
    // XML 1.0 §2.11: line ends are one line feed.
    if text.contains('\r') {
        Ok(Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")))
    } else {
        Ok(text)
    }
}

fn declared(bytes: &[u8]) -> Result<Charset, CodecError> {
    let head = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    if !head.starts_with(b"<?xml") {
        return Ok(Charset::Utf8);
    }
    let head = &head[..head.len().min(256)];
    let end = head.windows(2).position(|pair| pair == b"?>").unwrap_or(head.len());
    let head = String::from_utf8_lossy(&head[..end]);
    let Some((_, after)) = head.split_once("encoding") else { return Ok(Charset::Utf8) };
    let label = after.trim_start().trim_start_matches('=').trim_start();
    let label = label.trim_start_matches(['"', '\'']).split(['"', '\'']).next().unwrap_or_default();
    Charset::for_label(label).ok_or_else(|| {
        CodecError::new(
            CodecErrorKind::Unexpected,
            "the declared encoding is neither UTF-8 nor GB 18030 or GBK",
        )
    })
}

/// The content of a one-member object; anything else as it is.
pub(super) fn only_member(value: Value) -> Value {
    match value {
        Value::Object(members) if members.len() == 1 => {
            members.into_iter().next().map_or(Value::Null, |(_, content)| content)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests;
