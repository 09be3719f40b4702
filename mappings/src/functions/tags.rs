//! Text that partners call XML and no XML reader accepts: elements without a root, names with an asterisk, lines after
//! the last element. Only for fields whose partner is known to write it; messages go through the xml codec.

use super::{Call, FunctionError};
use crate::document::scalar_text;
use serde_json::map::Entry;
use serde_json::{Map, Value};

const MAX_DEPTH: usize = 16;
const MAX_ELEMENTS: usize = 10_000;
const REST: &str = "#rest";

type Result<T> = std::result::Result<T, FunctionError>;

pub(super) fn parse(call: &Call<'_>) -> Result<Value> {
    let text = call.text()?;
    let mut reader = Reader { text: text.trim(), elements: 0 };
    let mut members = reader.elements(0)?;
    let rest = reader.text.trim();
    if !rest.is_empty() {
        members.insert(REST.into(), unescape(rest)?.into());
    }
    Ok(Value::Object(members))
}

struct Reader<'a> {
    /// What has not been read yet.
    text: &'a str,
    elements: usize,
}

impl<'a> Reader<'a> {
    /// Reads elements up to an end tag or text.
    fn elements(&mut self, depth: usize) -> Result<Map<String, Value>> {
        let mut members = Map::new();
        while let Some(name) = self.start_tag()? {
            self.elements += 1;
            if depth >= MAX_DEPTH || self.elements > MAX_ELEMENTS {
                return Err(FunctionError::new("more levels or elements than a field may hold"));
            }
            let (name, empty) = match name.strip_suffix('/') {
                Some(name) => (name.trim_end(), true),
                None => (name, false),
            };
            let value = if empty { Value::from("") } else { self.content(name, depth)? };
            match members.entry(name) {
                Entry::Vacant(place) => {
                    place.insert(value);
                }
                Entry::Occupied(mut place) => match place.get_mut() {
                    Value::Array(elements) => elements.push(value),
                    first => *first = Value::Array(vec![first.take(), value]),
                },
            }
        }
        Ok(members)
    }

    /// The name of a start tag here, if there is one; its end tag is not one.
    fn start_tag(&mut self) -> Result<Option<&'a str>> {
        let text = self.text.trim_start();
        let Some(tag) = text.strip_prefix('<').filter(|tag| !tag.starts_with('/')) else { return Ok(None) };
        let (name, rest) = tag.split_once('>').ok_or_else(|| FunctionError::new("a tag is not closed"))?;
        // No attributes, comments or declarations: what looks like one is a message of another kind.
        if name.is_empty()
            || name.contains(['<', '=', '!', '?', '"', '\''])
            || name.contains(char::is_whitespace)
        {
            return Err(FunctionError::new("a tag has something else than a name"));
        }
        self.text = rest;
        Ok(Some(name))
    }

    fn content(&mut self, name: &str, depth: usize) -> Result<Value> {
        let start = self.text;
        let members = self.elements(depth + 1)?;
        let end = || FunctionError::new("an element has no end tag of its name");
        if members.is_empty() {
            let length = start.find('<').ok_or_else(end)?;
            self.text = &start[length..];
        } else {
            self.text = self.text.trim_start();
        }
        let after = self.text.strip_prefix("</").and_then(|text| text.strip_prefix(name));
        let value = if members.is_empty() {
            unescape(&start[..start.len() - self.text.len()])?.into()
        } else {
            Value::Object(members)
        };
        self.text = after.and_then(|text| text.strip_prefix('>')).ok_or_else(end)?;
        Ok(value)
    }
}

/// The five entities; an ampersand that starts none of them stays, as such partners write it.
fn unescape(text: &str) -> Result<String> {
    if text.contains('<') {
        return Err(FunctionError::new("text beside elements"));
    }
    if !text.contains('&') {
        return Ok(text.to_owned());
    }
    let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    Ok(plain.replace("&amp;", "&"))
}

pub(super) fn write(call: &Call<'_>) -> Result<Value> {
    let Value::Object(members) = call.input else {
        return Err(FunctionError::new("the value is not an object"));
    };
    let mut out = String::new();
    elements(members, &mut out, 0)?;
    Ok(out.into())
}

fn elements(members: &Map<String, Value>, out: &mut String, depth: usize) -> Result<()> {
    if depth >= MAX_DEPTH {
        return Err(FunctionError::new("more levels than a field may hold"));
    }
    for (name, value) in members {
        if name.is_empty() || name.contains(['<', '>', '/', '=', '&']) || name.contains(char::is_whitespace) {
            return Err(FunctionError::new("a member has a name no tag can have"));
        }
        match value {
            Value::Null => {}
            Value::Array(several) => several.iter().try_for_each(|value| element(name, value, out, depth))?,
            value => element(name, value, out, depth)?,
        }
    }
    Ok(())
}

fn element(name: &str, value: &Value, out: &mut String, depth: usize) -> Result<()> {
    out.push('<');
    out.push_str(name);
    out.push('>');
    match (value, scalar_text(value)) {
        (_, Some(text)) => {
            out.push_str(&text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"))
        }
        (Value::Object(members), None) => elements(members, out, depth + 1)?,
        _ => return Err(FunctionError::new("a list of lists")),
    }
    out.push_str("</");
    out.push_str(name);
    out.push('>');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn run(function: super::super::Run, input: &Value) -> Result<Value> {
        function(&Call { input, arguments: &[], table: None, now_millis: &|| 0 })
    }

    #[test]
    fn reads_the_answers_of_card_management() {
        let text = "<ERR>00</ERR><批次号>286</批次号><人数>1</人数>\n序号,社保卡号\n1,A1";
        assert_eq!(
            run(parse, &json!(text)),
            Ok(json!({"ERR": "00", "批次号": "286", "人数": "1", "#rest": "序号,社保卡号\n1,A1"}))
        );
        let nested = "<操作*>临时挂失</操作*> <a> <b>1</b><b/><c>x &amp; &lt;y</c> </a>";
        assert_eq!(
            run(parse, &json!(nested)),
            Ok(json!({"操作*": "临时挂失", "a": {"b": ["1", ""], "c": "x & <y"}}))
        );
        assert_eq!(run(parse, &json!("系统忙")), Ok(json!({"#rest": "系统忙"})));
    }

    #[test]
    fn refuses_tags_that_do_not_match_and_messages_of_another_kind() {
        for text in [
            "<a>",
            "<a><b></a>",
            "<a>1</b>",
            "<a x='1'>1</a>",
            "<a",
            "<!DOCTYPE a>",
            "<?xml?>",
            "</a>",
            "<a>x<b/></a>",
            "<>1</>",
        ] {
            assert!(run(parse, &json!(text)).is_err(), "{text}");
        }
        assert!(run(parse, &json!("<a>".repeat(100))).is_err());
        assert!(run(write, &json!({"a b": 1})).is_err());
        assert!(run(write, &json!({"a": [[1]]})).is_err());
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(name in "[a-z\u{4e00}-\u{9fa5}][a-z*]{0,4}", text in "[^\u{0}-\u{20}]{1,12}", other in "[ -~]{0,8}") {
            let object = json!({"first": {"x": other}, name: [text, ""]});
            let written = run(write, &object).expect("tags");
            prop_assert_eq!(run(parse, &written).expect("its own text"), object);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[<>/a&;*张 \\n]{0,40}") {
            drop(run(parse, &json!(text)));
        }
    }
}
