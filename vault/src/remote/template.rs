//! Requests with placeholders, read once and filled per call. For the remote driver.
use super::{MethodName, OperationSpec};
use crate::encoding::TextForm;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// RFC 3986 §2.3: everything but unreserved characters is encoded.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What the placeholders stand for in one call.
#[derive(Clone, Copy, Default)]
pub(super) struct Input<'a> {
    pub(super) key: &'a str,
    pub(super) usage: &'a str,
    pub(super) mode: &'a str,
    pub(super) direction: &'a str,
    pub(super) credential: &'a str,
    pub(super) digest: &'a [u8],
    pub(super) message: &'a [u8],
    pub(super) id: &'a [u8],
    pub(super) data: &'a [u8],
    pub(super) iv: &'a [u8],
}

/// The names of texts; the others are bytes and need a form.
const TEXTS: [&str; 5] = ["key", "usage", "mode", "direction", "credential"];

impl<'a> Input<'a> {
    fn text(&self, name: &str) -> &'a str {
        match name {
            "key" => self.key,
            "usage" => self.usage,
            "mode" => self.mode,
            "direction" => self.direction,
            _ => self.credential,
        }
    }

    fn bytes(&self, name: &str) -> &'a [u8] {
        match name {
            "digest" => self.digest,
            "message" => self.message,
            "id" => self.id,
            "iv" => self.iv,
            _ => self.data,
        }
    }
}

enum Piece {
    Literal(String),
    Text(String),
    Bytes(String, TextForm),
}

/// A text with placeholders.
pub(super) struct Template(Vec<Piece>);

impl Template {
    /// `allowed`: the names that have a value here. Errors say what is wrong, without a place.
    pub(super) fn new(text: &str, allowed: &[&str]) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (inside, behind) = after.split_once('}').ok_or_else(|| format!("`${{{after}` has no end"))?;
            if !before.is_empty() {
                pieces.push(Piece::Literal(before.to_owned()));
            }
            pieces.push(piece(inside, allowed)?);
            rest = behind;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// `None` where bytes cannot be written in their form.
    pub(super) fn fill(&self, input: &Input<'_>) -> Option<Zeroizing<String>> {
        self.join(input, |value| value)
    }

    fn join(&self, input: &Input<'_>, value: impl Fn(String) -> String) -> Option<Zeroizing<String>> {
        let mut out = Zeroizing::new(String::new());
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Text(name) => out.push_str(&value(input.text(name).to_owned())),
                Piece::Bytes(name, form) => out.push_str(&value(form.encode(input.bytes(name))?)),
            }
        }
        Some(out)
    }
}

fn piece(inside: &str, allowed: &[&str]) -> Result<Piece, String> {
    let (name, form) = inside.split_once('.').map_or((inside, None), |(name, form)| (name, Some(form)));
    if !allowed.contains(&name) {
        return Err(format!("`${{{inside}}}` has no value here; there are {}", allowed.join(", ")));
    }
    match (TEXTS.contains(&name), form) {
        (true, None) => Ok(Piece::Text(name.to_owned())),
        (true, Some(_)) => Err(format!("`${{{inside}}}`: {name} is a text and has no form")),
        (false, form) => {
            let form = match form {
                Some("base64") => TextForm::Base64,
                Some("base64url") => TextForm::Base64Url,
                Some("hex") => TextForm::Hex,
                Some("HEX") => TextForm::UpperHex,
                Some("text") => TextForm::Text,
                _ => {
                    return Err(format!(
                        "`${{{inside}}}`: write {name}.base64, .base64url, .hex, .HEX or .text"
                    ));
                }
            };
            Ok(Piece::Bytes(name.to_owned(), form))
        }
    }
}

/// A JSON value whose texts have placeholders.
enum Body {
    Fixed(Value),
    Text(Template),
    List(Vec<Body>),
    Object(Vec<(String, Body)>),
}

impl Body {
    fn new(value: &Value, allowed: &[&str]) -> Result<Self, String> {
        Ok(match value {
            Value::String(text) => Self::Text(Template::new(text, allowed)?),
            Value::Array(list) => {
                Self::List(list.iter().map(|value| Self::new(value, allowed)).collect::<Result<_, _>>()?)
            }
            Value::Object(object) => Self::Object(
                object
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), Self::new(value, allowed)?)))
                    .collect::<Result<_, String>>()?,
            ),
            other => Self::Fixed(other.clone()),
        })
    }

    fn fill(&self, input: &Input<'_>) -> Option<Value> {
        Some(match self {
            Self::Fixed(value) => value.clone(),
            Self::Text(template) => Value::String(std::mem::take(&mut *template.fill(input)?)),
            Self::List(list) => {
                Value::Array(list.iter().map(|body| body.fill(input)).collect::<Option<_>>()?)
            }
            Self::Object(object) => Value::Object(
                object
                    .iter()
                    .map(|(name, body)| Some((name.clone(), body.fill(input)?)))
                    .collect::<Option<Map<_, _>>>()?,
            ),
        })
    }
}

/// An operation, ready to be filled.
pub(super) struct Compiled {
    pub(super) method: MethodName,
    path: Template,
    body: Body,
    pub(super) result: String,
    pub(super) form: TextForm,
}

impl Compiled {
    /// Errors begin with the member that is wrong.
    pub(super) fn new(spec: &OperationSpec, allowed: &[&str]) -> Result<Self, String> {
        let path = Template::new(&spec.path, allowed).map_err(|what| format!("path: {what}"))?;
        if !spec.path.starts_with('/') {
            return Err("path: begins with `/`".to_owned());
        }
        if !spec.result.starts_with('/') {
            return Err("result: a JSON pointer begins with `/`".to_owned());
        }
        if matches!(spec.form, TextForm::Text | TextForm::Json) {
            return Err("as: bytes are hex, HEX, base64 or base64url".to_owned());
        }
        if spec.method == MethodName::Get && !spec.body.is_null() {
            return Err("body: a GET has none".to_owned());
        }
        let body = Body::new(&spec.body, allowed).map_err(|what| format!("body: {what}"))?;
        Ok(Self { method: spec.method, path, body, result: spec.result.clone(), form: spec.form })
    }

    pub(super) fn path(&self, input: &Input<'_>) -> Option<String> {
        let encode = |value: String| utf8_percent_encode(&value, RESERVED).to_string();
        self.path.join(input, encode).map(|mut path| std::mem::take(&mut *path))
    }

    /// The body's bytes.
    pub(super) fn body(&self, input: &Input<'_>) -> Option<Zeroizing<Vec<u8>>> {
        serde_json::to_vec(&self.body.fill(input)?).ok().map(Zeroizing::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(text: &str, input: &Input<'_>) -> String {
        let template = Template::new(text, &["key", "data", "id"]).unwrap();
        template.fill(input).unwrap().to_string()
    }

    #[test]
    fn fills_texts_and_bytes() {
        let input = Input { key: "k/1", data: &[0xab, 0xff], id: "张".as_bytes(), ..Input::default() };
        assert_eq!(
            filled("a ${key} ${data.hex} ${data.HEX} ${data.base64} ${id.text}", &input),
            "a k/1 abff ABFF q/8= 张"
        );
        let spec = r#"{"path": "/keys/${key}", "result": "/r", "body": {"list": ["${data.hex}", 1, null], "id": "${id.text}"}}"#;
        let compiled = Compiled::new(&serde_json::from_str(spec).unwrap(), &["key", "data", "id"]).unwrap();
        assert_eq!(compiled.path(&input).unwrap(), "/keys/k%2F1");
        assert_eq!(compiled.body(&input).unwrap()[..], *r#"{"list":["abff",1,null],"id":"张"}"#.as_bytes());
    }

    #[test]
    fn names_what_is_wrong_with_a_template() {
        for (text, part) in [
            ("${nothing}", "there are key, data, id"),
            ("${data}", "write data.base64"),
            ("${data.xml}", "write data.base64"),
            ("${key.hex}", "is a text"),
            ("${key", "has no end"),
        ] {
            let error = Template::new(text, &["key", "data", "id"]).err().unwrap();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn names_the_member_of_an_operation_that_is_wrong() {
        for (spec, part) in [
            (r#"{"path": "sign", "result": "/r"}"#, "path: begins with"),
            (r#"{"path": "/sign", "result": "r"}"#, "result: a JSON pointer"),
            (r#"{"path": "/sign", "result": "/r", "as": "json"}"#, "as: bytes are"),
            (r#"{"path": "/sign", "result": "/r", "method": "GET", "body": {}}"#, "body: a GET has none"),
            (r#"{"path": "/sign", "result": "/r", "body": {"a": "${x}"}}"#, "body: `${x}` has no value"),
        ] {
            let error = Compiled::new(&serde_json::from_str(spec).unwrap(), &["key"]).err().unwrap();
            assert!(error.starts_with(part), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_template_or_a_named_mistake(text in ".{0,40}") {
            if let Ok(template) = Template::new(&text, &["key"]) {
                let filled = template.fill(&Input { key: "k", ..Input::default() }).unwrap();
                prop_assert_eq!(&*filled, &text.replace("${key}", "k"));
            }
        }
    }
}
