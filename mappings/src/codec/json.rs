//! The json codec: RFC 8259 within bounds, without duplicate names and without numbers that would lose digits.

use super::MAX_DEPTH;
use crate::error::{CodecError, CodecErrorKind};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

const TOO_DEEP: &str = "nested too deep";
/// From here on a double no longer holds every integer of 64 bits.
const MAX_EXACT: f64 = 18_446_744_073_709_551_616.0;

pub(crate) fn decode(bytes: &[u8]) -> Result<Value, CodecError> {
    let text = std::str::from_utf8(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes))
        .map_err(|_| CodecError::malformed("JSON is UTF-8, these bytes are not"))?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = Document { depth: 0 }.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    read.map_err(|error| explain(&error))
}

pub(crate) fn encode(document: &Value) -> Result<String, CodecError> {
    serde_json::to_string(document)
        .map_err(|_| CodecError::not_encodable("the document cannot be written as JSON"))
}

/// serde_json's message, without the value it may quote, and its place.
fn explain(error: &serde_json::Error) -> CodecError {
    let text = error.to_string();
    let message = text.split(" at line ").next().unwrap_or_default();
    let limit = message.starts_with(TOO_DEEP) || message.starts_with("recursion limit");
    let kind = if limit { CodecErrorKind::Limit } else { CodecErrorKind::Malformed };
    let mut out = CodecError::new(kind, if limit { TOO_DEEP } else { message });
    out.line = u32::try_from(error.line()).ok().filter(|line| *line > 0);
    out.column = u32::try_from(error.column()).ok().filter(|_| out.line.is_some());
    out
}

#[derive(Clone, Copy)]
struct Document {
    depth: usize,
}

impl Document {
    fn deeper<E: serde::de::Error>(self) -> Result<Document, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom(format_args!("{TOO_DEEP}, more than {MAX_DEPTH} levels")));
        }
        Ok(Document { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Document {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Document {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        if value.abs() >= MAX_EXACT {
            return Err(E::custom("a number beyond 64 bits would lose digits; it must be sent as text"));
        }
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut elements = Vec::new();
        while let Some(element) = access.next_element_seed(inner)? {
            elements.push(element);
        }
        Ok(Value::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut members = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            let value = access.next_value_seed(inner)?;
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a name occurs twice in one object"));
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn keeps_member_order_and_exact_integers() {
        let text = r#"{"b":18446744073709551615,"a":-9223372036854775808,"c":[1.5,"x",null,true,{}]}"#;
        assert_eq!(encode(&decode(text.as_bytes()).expect("valid")).as_deref(), Ok(text));
    }

    #[test]
    fn refuses_what_another_reader_might_read_otherwise() {
        for (text, part) in [
            (r#"{"a":1,"a":2}"#, "twice"),
            (r#"{"a":{"b":1,"c":2,"b":1}}"#, "twice"),
            ("[18446744073709551616]", "64 bits"),
            ("[1e400]", "number out of range"),
            ("{} x", "trailing"),
            ("", "EOF"),
            ("[1,]", "trailing comma"),
            ("{'a':1}", "key must be a string"),
            ("\"\u{1}\"", "control character"),
            ("[NaN]", "expected value"),
            (r#"["\ud800"]"#, "hex escape"),
        ] {
            let message = decode(text.as_bytes()).expect_err(text).to_string();
            assert!(message.contains(part), "{text}: {message}");
        }
        assert!(decode(b"\"\xD5\xC5\"").is_err());
    }

    #[test]
    fn bounds_the_depth() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(decode(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(decode(nested(MAX_DEPTH + 1).as_bytes()).map_err(|e| e.kind), Err(CodecErrorKind::Limit));
        assert_eq!(decode("[".repeat(100_000).as_bytes()).map_err(|e| e.kind), Err(CodecErrorKind::Limit));
    }

    #[test]
    fn names_line_and_column() {
        let error = decode(b"{\n \"a\": x}").expect_err("not JSON");
        assert_eq!((error.line, error.column), (Some(2), Some(7)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            drop(decode(&bytes));
        }

        #[test]
        fn reads_what_it_writes(name in ".{0,8}", text in ".{0,20}", number in any::<i64>()) {
            let document = json!({name: [text, number, null, {"x": number}]});
            prop_assert_eq!(decode(encode(&document).expect("JSON").as_bytes()).expect("its own text"), document);
        }
    }
}
