//! The form codec: `application/x-www-form-urlencoded`, percent-encoded bytes of the charset.

use super::Charset;
use crate::document::scalar_text;
use crate::error::{CodecError, CodecErrorKind};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};
use serde_json::{Map, Value};

const MAX_FIELDS: usize = 1_000;
/// What browsers leave as it is (WHATWG URL, application/x-www-form-urlencoded percent-encode set).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_');

pub(super) fn decode(bytes: &[u8], charset: Charset) -> Result<Value, CodecError> {
    let mut members = Map::new();
    for (count, pair) in bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).enumerate() {
        if count >= MAX_FIELDS {
            return Err(CodecError::new(
                CodecErrorKind::Limit,
                format!("a form has at most {MAX_FIELDS} fields"),
            ));
        }
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let name = part(halves.next().unwrap_or_default(), charset)?;
        let text = Value::String(part(halves.next().unwrap_or_default(), charset)?);
        match members.get_mut(&name) {
            None => drop(members.insert(name, text)),
            Some(Value::Array(elements)) => elements.push(text),
            Some(first) => *first = Value::Array(vec![first.take(), text]),
        }
    }
    Ok(Value::Object(members))
}

fn part(bytes: &[u8], charset: Charset) -> Result<String, CodecError> {
    let spaced: Vec<u8> = bytes.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    for (at, _) in spaced.iter().enumerate().filter(|(_, byte)| **byte == b'%') {
        let digits = spaced.get(at + 1..at + 3).unwrap_or_default();
        if digits.len() != 2 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(CodecError::malformed("a percent sign is not followed by two hexadecimal digits"));
        }
    }
    let bytes: Vec<u8> = percent_decode(&spaced).collect();
    charset.decode(&bytes).map(std::borrow::Cow::into_owned)
}

pub(super) fn encode(document: &Value, charset: Charset) -> Result<Vec<u8>, CodecError> {
    let Value::Object(members) = document else {
        return Err(CodecError::not_encodable("a form is an object of texts"));
    };
    let mut out = String::new();
    for (name, value) in members {
        match value {
            Value::Array(elements) => {
                elements.iter().try_for_each(|value| field(&mut out, name, value, charset))?
            }
            Value::Null => {}
            value => field(&mut out, name, value, charset)?,
        }
    }
    Ok(out.into_bytes())
}

fn field(out: &mut String, name: &str, value: &Value, charset: Charset) -> Result<(), CodecError> {
    let text = scalar_text(value).ok_or_else(|| {
        CodecError::not_encodable(format!("the form field `{name}` is neither text nor number"))
    })?;
    if !out.is_empty() {
        out.push('&');
    }
    push(out, &charset.encode(name.into())?);
    out.push('=');
    push(out, &charset.encode(text)?);
    Ok(())
}

fn push(out: &mut String, bytes: &[u8]) {
    for (index, word) in bytes.split(|byte| *byte == b' ').enumerate() {
        if index > 0 {
            out.push('+');
        }
        out.extend(percent_encode(word, ENCODED));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn writes_and_reads_the_charset_of_the_partner() {
        let document = json!({"name": "张 三", "list": ["a", 1], "empty": "", "none": null});
        let gbk = encode(&document, Charset::Gbk).expect("GBK has it");
        assert_eq!(String::from_utf8_lossy(&gbk), "name=%D5%C5+%C8%FD&list=a&list=1&empty=");
        let read = decode(&gbk, Charset::Gbk).expect("its own bytes");
        assert_eq!(read, json!({"name": "张 三", "list": ["a", "1"], "empty": ""}));
    }

    #[test]
    fn refuses_broken_escapes_bytes_and_structures() {
        for text in ["a=%", "a=%4", "a=%zz", "%=a"] {
            assert!(decode(text.as_bytes(), Charset::Utf8).is_err(), "{text}");
        }
        assert!(decode(b"a=%D5%C5", Charset::Utf8).is_err());
        assert!(encode(&json!({"a": {}}), Charset::Utf8).is_err());
        assert!(encode(&json!([]), Charset::Utf8).is_err());
        assert!(encode(&json!({"a": "𬱖"}), Charset::Gbk).is_err());
        let many = vec!["a=1"; MAX_FIELDS + 1].join("&");
        assert_eq!(decode(many.as_bytes(), Charset::Utf8).map_err(|e| e.kind), Err(CodecErrorKind::Limit));
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(name in ".{1,8}", text in ".{0,20}") {
            let document = json!({name: text});
            let bytes = encode(&document, Charset::Utf8).expect("text");
            prop_assert!(bytes.iter().all(|b| b.is_ascii_graphic()));
            prop_assert_eq!(decode(&bytes, Charset::Utf8).expect("its own bytes"), document);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            drop(decode(&bytes, Charset::Gb18030));
        }
    }
}
