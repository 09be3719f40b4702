//! Codecs: bytes of a message to its document and back, as a system's or interface's definition describes them.

mod charset;
mod form;
pub(crate) mod json;
mod soap;
pub(crate) mod xml;

pub use charset::Charset;
pub use soap::{SoapFault, SoapVersion};

use crate::error::{CodecError, CodecErrorKind, SpecError};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The most bytes a codec decodes or encodes.
pub const MAX_BYTES: usize = 64 << 20;
/// The deepest nesting a codec reads or writes.
pub const MAX_DEPTH: usize = 64;

/// The format of a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CodecKind {
    /// JSON (RFC 8259), compact; UTF-8 unless a partner writes another charset.
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`: an object of texts, a repeated name a list.
    Form,
    /// XML 1.0 with namespaces: `{root: content}`; attribute `@name`, text beside attributes or elements `#text`. Paths
    /// write such names in quotes: `$.answer.item['@id']`.
    Xml,
    /// SOAP 1.1 or 1.2 around one body element.
    Soap,
    /// Plain text, a JSON string.
    Text,
    /// Any bytes, a JSON string of base64.
    Raw,
}

/// How messages of a system or interface are written.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CodecSpec {
    /// The format.
    pub codec: CodecKind,
    /// The character set; utf-8 unless given. Reading XML without it, the document's own declaration counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charset: Option<Charset>,
    /// The Content-Type to send instead of the format's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// xml, soap: elements that are a list even when there is one, by path from the root element (soap: the child of the
    /// Body): `submitResponse.items.item`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arrays: Vec<String>,
    /// xml, soap: the element put around the document when writing. Without it the document is `{root: content}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub element: Option<String>,
    /// xml, soap: reading gives the content of the root element rather than `{root: content}`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unwrap: bool,
    /// xml, soap: the namespace of the root element when writing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// xml, soap: its prefix; without one the namespace is the default one, and so that of every element inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// xml, soap: with a prefix, write it on every element, not on the root alone (elementFormDefault="qualified").
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub qualified: bool,
    /// xml, soap: more namespaces by prefix, declared on the root; a name in the document may then be `prefix:name`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub namespaces: IndexMap<String, String>,
    /// xml, soap: leave out the XML declaration when writing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_declaration: bool,
    /// soap: the version; 1.1 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<SoapVersion>,
    /// soap: the action, sent as SOAPAction (1.1) or in the Content-Type (1.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
}

/// What a codec read.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The document: for soap the child of the Body, `{}` when the Body is empty.
    pub document: Value,
    /// soap: the fault that the Body holds instead; the document is then the `Fault` element.
    pub soap_fault: Option<SoapFault>,
    /// soap: the header blocks by name, when there are any.
    pub soap_header: Option<Value>,
}

/// A compiled codec.
#[derive(Debug, Clone)]
pub struct Codec {
    kind: CodecKind,
    charset: Charset,
    content_type: String,
    xml: xml::Format,
    soap: soap::Binding,
}

impl Codec {
    /// Compiles a codec.
    ///
    /// # Errors
    /// Every setting that its format does not have, and names that are not XML names.
    pub fn compile(spec: &CodecSpec) -> Result<Codec, Vec<SpecError>> {
        let mut errors = Vec::new();
        refuse_misplaced(spec, &mut errors);
        let charset = spec.charset.unwrap_or_default();
        let xml = xml::Format::compile(spec, &mut errors);
        let soap = soap::Binding { version: spec.version.unwrap_or_default(), action: spec.action.clone() };
        let content_type = content_type(spec, charset, &soap);
        if errors.is_empty() {
            Ok(Codec { kind: spec.codec, charset, content_type, xml, soap })
        } else {
            Err(errors)
        }
    }

    /// Reads a message.
    ///
    /// # Errors
    /// Bytes that are not a well-formed message within the bounds, with line and column where the format has them.
    pub fn decode(&self, bytes: &[u8]) -> Result<Decoded, CodecError> {
        bounded(bytes.len())?;
        let document = match self.kind {
            CodecKind::Json => json::decode(self.charset.decode_message(bytes)?.as_bytes())?,
            CodecKind::Form => form::decode(bytes, self.charset)?,
            CodecKind::Xml => xml::decode(bytes, &self.xml)?,
            CodecKind::Soap => return soap::decode(bytes, &self.xml, &self.soap),
            CodecKind::Text => Value::String(self.charset.decode_message(bytes)?.into_owned()),
            CodecKind::Raw => Value::String(BASE64_STANDARD.encode(bytes)),
        };
        Ok(Decoded { document, soap_fault: None, soap_header: None })
    }

    /// Writes a document.
    ///
    /// # Errors
    /// A document the format cannot carry; a character the charset or XML 1.0 cannot carry.
    pub fn encode(&self, document: &Value) -> Result<Vec<u8>, CodecError> {
        let bytes = match self.kind {
            CodecKind::Json => self.charset.encode(json::encode(document)?.into())?,
            CodecKind::Form => form::encode(document, self.charset)?,
            CodecKind::Xml => xml::encode(document, &self.xml, self.charset)?,
            CodecKind::Soap => soap::encode(document, None, &self.xml, &self.soap, self.charset)?,
            CodecKind::Text => match crate::document::scalar_text(document) {
                Some(text) => self.charset.encode(text)?,
                None => return Err(CodecError::not_encodable("the document is neither text nor number")),
            },
            CodecKind::Raw => match document.as_str().map(|text| BASE64_STANDARD.decode(text)) {
                Some(Ok(bytes)) => bytes,
                _ => return Err(CodecError::not_encodable("the document is not base64 text")),
            },
        };
        bounded(bytes.len())?;
        Ok(bytes)
    }

    /// Writes a document that is JSON text already; none where the format is another.
    ///
    /// # Errors
    /// A character the charset cannot carry, too many bytes.
    pub fn encode_json_text(&self, text: String) -> Option<Result<Vec<u8>, CodecError>> {
        let encode = |text: String| {
            let bytes = self.charset.encode(text.into())?;
            bounded(bytes.len()).map(|()| bytes)
        };
        (self.kind == CodecKind::Json).then(|| encode(text))
    }

    /// Writes a SOAP message with header blocks, an object of block name to content.
    ///
    /// # Errors
    /// As [`Codec::encode`], and any other format.
    pub fn encode_with_header(&self, document: &Value, header: &Value) -> Result<Vec<u8>, CodecError> {
        self.soap_only()?;
        soap::encode(document, Some(header), &self.xml, &self.soap, self.charset)
    }

    /// Writes a SOAP fault.
    ///
    /// # Errors
    /// As [`Codec::encode`], and any other format.
    pub fn encode_fault(&self, fault: &SoapFault) -> Result<Vec<u8>, CodecError> {
        self.soap_only()?;
        soap::encode_fault(fault, &self.xml, &self.soap, self.charset)
    }

    /// The Content-Type to send.
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// The value of the SOAPAction header, quotes included; SOAP 1.1 only.
    pub fn soap_action(&self) -> Option<String> {
        let bound = self.kind == CodecKind::Soap && self.soap.version == SoapVersion::V11;
        bound.then(|| format!("\"{}\"", self.soap.action.as_deref().unwrap_or_default()))
    }

    /// The format.
    pub fn kind(&self) -> CodecKind {
        self.kind
    }

    fn soap_only(&self) -> Result<(), CodecError> {
        match self.kind {
            CodecKind::Soap => Ok(()),
            _ => {
                Err(CodecError::new(CodecErrorKind::Unexpected, "only the soap codec has headers and faults"))
            }
        }
    }
}

fn bounded(bytes: usize) -> Result<(), CodecError> {
    if bytes > MAX_BYTES {
        return Err(CodecError::new(CodecErrorKind::Limit, format!("the message exceeds {MAX_BYTES} bytes")));
    }
    Ok(())
}

fn content_type(spec: &CodecSpec, charset: Charset, soap: &soap::Binding) -> String {
    if let Some(given) = &spec.content_type {
        return given.clone();
    }
    let label = charset.label();
    match (spec.codec, soap.version) {
        (CodecKind::Json, _) if charset == Charset::Utf8 => "application/json".into(),
        (CodecKind::Json, _) => format!("application/json; charset={label}"),
        (CodecKind::Form, _) => format!("application/x-www-form-urlencoded; charset={label}"),
        (CodecKind::Xml, _) | (CodecKind::Soap, SoapVersion::V11) => format!("text/xml; charset={label}"),
        (CodecKind::Soap, SoapVersion::V12) => match &soap.action {
            Some(action) => format!("application/soap+xml; charset={label}; action=\"{action}\""),
            None => format!("application/soap+xml; charset={label}"),
        },
        (CodecKind::Text, _) => format!("text/plain; charset={label}"),
        (CodecKind::Raw, _) => "application/octet-stream".into(),
    }
}

/// Refuses settings the format does not have, so that none is written in vain.
fn refuse_misplaced(spec: &CodecSpec, errors: &mut Vec<SpecError>) {
    let soap = spec.codec == CodecKind::Soap;
    let xml = soap || spec.codec == CodecKind::Xml;
    let charset = spec.codec != CodecKind::Raw;
    let checks = [
        ("charset", spec.charset.is_some_and(|charset| charset != Charset::Utf8), charset),
        ("arrays", !spec.arrays.is_empty(), xml),
        ("element", spec.element.is_some(), xml),
        ("unwrap", spec.unwrap, xml),
        ("namespace", spec.namespace.is_some(), xml),
        ("prefix", spec.prefix.is_some(), xml),
        ("qualified", spec.qualified, xml),
        ("namespaces", !spec.namespaces.is_empty(), xml),
        ("noDeclaration", spec.no_declaration, xml),
        ("version", spec.version.is_some(), soap),
        ("action", spec.action.is_some(), soap),
    ];
    for (key, given, known) in checks {
        if given && !known {
            errors
                .push(SpecError::new(key, format!("the {:?} codec has no {key}", spec.codec).to_lowercase()));
        }
    }
    for (key, text) in [("action", &spec.action), ("contentType", &spec.content_type)] {
        if text
            .as_ref()
            .is_some_and(|text| text.contains(|c: char| c.is_control() || c == '"' && key == "action"))
        {
            errors.push(SpecError::new(key, "a header value has no quotes or control characters"));
        }
    }
}

#[cfg(test)]
mod tests;
