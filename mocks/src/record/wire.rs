//! Bodies of overheard messages: their form, told by the Content-Type and the bytes, and their document.
use qiao_mappings::{Charset, Codec, CodecKind, CodecSpec, SoapFault, SoapVersion};
use serde_json::Value;

use crate::wsdl::tree;

/// The form of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// No body.
    Empty,
    Json,
    Urlencoded,
    Xml,
    Soap11,
    Soap12,
    Text,
}

/// A body read.
#[derive(Clone, Debug)]
pub struct Body {
    pub form: Form,
    pub charset: Charset,
    /// Null for no body, a text for [`Form::Text`].
    pub document: Value,
    pub fault: Option<SoapFault>,
    /// Of XML and SOAP: the namespace of the document's root element, and whether the elements inside are in it.
    pub namespace: Option<(String, bool)>,
}

impl Form {
    pub fn is_soap(self) -> bool {
        matches!(self, Self::Soap11 | Self::Soap12)
    }

    fn codec(self) -> (CodecKind, Option<SoapVersion>) {
        match self {
            Self::Empty | Self::Json => (CodecKind::Json, None),
            Self::Urlencoded => (CodecKind::Form, None),
            Self::Xml => (CodecKind::Xml, None),
            Self::Soap11 => (CodecKind::Soap, Some(SoapVersion::V11)),
            Self::Soap12 => (CodecKind::Soap, Some(SoapVersion::V12)),
            Self::Text => (CodecKind::Text, None),
        }
    }

    /// The settings that read and write it.
    pub fn spec(self, charset: Charset) -> CodecSpec {
        let (codec, version) = self.codec();
        let charset = (charset != Charset::Utf8).then_some(charset);
        CodecSpec { codec, version, charset, ..CodecSpec::default() }
    }
}

/// Reads a body.
///
/// # Errors
/// Why it cannot be read, without any of it.
pub fn read(content_type: Option<&str>, bytes: &[u8]) -> Result<Body, &'static str> {
    let nothing = Body {
        form: Form::Empty,
        charset: Charset::Utf8,
        document: Value::Null,
        fault: None,
        namespace: None,
    };
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(nothing);
    }
    let content_type = content_type.unwrap_or_default().to_ascii_lowercase();
    let label = content_type.split_once("charset=").map(|(_, label)| label.trim_matches(['"', ' ', ';']));
    let charset = label.and_then(Charset::for_label).unwrap_or_default();
    for form in candidates(&content_type, bytes) {
        let mut spec = form.spec(charset);
        if form == Form::Xml && label.is_none() {
            // The document's own declaration counts.
            spec.charset = None;
        }
        let Ok(codec) = Codec::compile(&spec) else { continue };
        if let Ok(decoded) = codec.decode(bytes) {
            let namespace =
                matches!(form, Form::Xml | Form::Soap11 | Form::Soap12).then(|| namespace(bytes, form));
            return Ok(Body {
                form,
                charset,
                document: decoded.document,
                fault: decoded.soap_fault,
                namespace: namespace.flatten(),
            });
        }
    }
    Err("neither JSON, a form, XML nor text")
}

/// Forms that a body may have, the likeliest first.
fn candidates(content_type: &str, bytes: &[u8]) -> Vec<Form> {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace()).copied().unwrap_or_default();
    let holds = |text: &str| bytes.windows(text.len()).take(4096).any(|part| part == text.as_bytes());
    let mut forms = Vec::new();
    if content_type.contains("urlencoded") {
        forms.push(Form::Urlencoded);
    }
    if content_type.contains("json") || matches!(first, b'{' | b'[') {
        forms.push(Form::Json);
    }
    if first == b'<' || bytes.starts_with(b"\xEF\xBB\xBF<") {
        if holds("http://schemas.xmlsoap.org/soap/envelope/") {
            forms.push(Form::Soap11);
        } else if holds("http://www.w3.org/2003/05/soap-envelope") {
            forms.push(Form::Soap12);
        }
        if !content_type.contains("html") {
            forms.push(Form::Xml);
        }
    }
    let is_binary =
        ["octet-stream", "image/", "zip", "pdf", "multipart/"].iter().any(|kind| content_type.contains(kind));
    if !is_binary && !bytes.contains(&0) {
        forms.push(Form::Text);
    }
    forms
}

fn namespace(bytes: &[u8], form: Form) -> Option<(String, bool)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let root = tree::parse(text.trim_start_matches('\u{feff}')).ok()?;
    let element = match form {
        Form::Xml => &root,
        _ => root.one("Body")?.children.first()?,
    };
    let uri = &element.name.namespace;
    let qualified = element.children.iter().any(|child| child.name.namespace == *uri);
    (!uri.is_empty()).then(|| (uri.to_string(), qualified))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tells_forms_by_label_and_bytes() {
        let form = |label, bytes: &str| read(label, bytes.as_bytes()).map(|body| (body.form, body.document));
        assert_eq!(form(None, " \n"), Ok((Form::Empty, Value::Null)));
        assert_eq!(form(Some("text/plain"), r#"{"a":1}"#), Ok((Form::Json, json!({"a": 1}))));
        assert_eq!(
            form(Some("application/x-www-form-urlencoded; charset=UTF-8"), "a=1&b=%E5%BC%A0"),
            Ok((Form::Urlencoded, json!({"a": "1", "b": "张"})))
        );
        assert_eq!(form(Some("text/xml"), "<r><a>1</a></r>"), Ok((Form::Xml, json!({"r": {"a": "1"}}))));
        assert_eq!(form(None, "ok"), Ok((Form::Text, json!("ok"))));
        assert_eq!(form(Some("application/json"), "not json"), Ok((Form::Text, json!("not json"))));
        assert!(form(Some("application/zip"), "PK\u{0}").is_err());
        assert!(read(Some("application/octet-stream"), &[0, 159, 1]).is_err());
    }

    #[test]
    fn reads_soap_with_its_version_namespace_and_fault() {
        let soap = |uri: &str, body: &str| {
            let text = format!(r#"<e:Envelope xmlns:e="{uri}"><e:Body>{body}</e:Body></e:Envelope>"#);
            read(Some("text/xml"), text.as_bytes()).expect("SOAP")
        };
        let eleven = "http://schemas.xmlsoap.org/soap/envelope/";
        let answer = soap(eleven, r#"<m:ask xmlns:m="urn:m"><no>1</no></m:ask>"#);
        assert_eq!((answer.form, answer.document), (Form::Soap11, json!({"ask": {"no": "1"}})));
        assert_eq!(answer.namespace, Some(("urn:m".into(), false)));
        let twelve =
            soap("http://www.w3.org/2003/05/soap-envelope", r#"<ask xmlns="urn:m"><no>1</no></ask>"#);
        assert_eq!((twelve.form, twelve.namespace), (Form::Soap12, Some(("urn:m".into(), true))));
        let fault = soap(
            eleven,
            "<e:Fault><faultcode>e:Server</faultcode><faultstring>closed</faultstring></e:Fault>",
        );
        assert_eq!(fault.fault.map(|fault| fault.string), Some("closed".into()));
    }
}
