//! What faults do to an answer: to a member of its document, to its charset.
use serde_json::{Map, Value};

use super::Fault;
use crate::spec::FaultKind;

/// Characters of a text made too long.
const LONG: usize = 4000;

/// Changes the member that the fault names.
///
/// # Errors
/// No such member, or one that cannot be changed in this way; says which.
pub fn document(fault: &Fault, document: &mut Value) -> Result<(), String> {
    if !fault.kind.is_of_field() {
        return Ok(());
    }
    let missing = || format!("the fault `{}`: the answer has no `{}`", fault.kind.name(), fault.field);
    if fault.kind == FaultKind::FieldMissing {
        let (holder, name) = fault.field.rsplit_once('.').unwrap_or(("", &fault.field));
        let holder = member(document, holder).ok_or_else(missing)?;
        return match holder {
            Value::Object(members) => members.shift_remove(name).map(drop).ok_or_else(missing),
            Value::Array(items) => {
                let at = name.parse().ok().filter(|at| *at < items.len()).ok_or_else(missing)?;
                items.remove(at);
                Ok(())
            }
            _ => Err(missing()),
        };
    }
    let field = member(document, &fault.field).ok_or_else(missing)?;
    let unfit =
        |wanted: &str| Err(format!("the fault `{}`: `{}` is no {wanted}", fault.kind.name(), fault.field));
    match (fault.kind, &mut *field) {
        (FaultKind::FieldExtra, Value::Object(members)) => {
            members.insert("unannounced".into(), Value::from("未约定的字段"));
        }
        (FaultKind::FieldExtra, _) => return unfit("object"),
        (FaultKind::FieldType, _) => *field = other_type(field.take()),
        (FaultKind::FieldLonger, Value::String(text)) if text.is_empty() => *text = "长".repeat(LONG),
        (FaultKind::FieldLonger, Value::String(text)) => {
            *text = text.chars().cycle().take(LONG.max(text.chars().count() + 1)).collect();
        }
        (FaultKind::RareChar, Value::String(text)) => last(text, '\u{2CC56}'),
        (FaultKind::PuaChar, Value::String(text)) => last(text, '\u{E816}'),
        _ => return unfit("text"),
    }
    Ok(())
}

/// The member at a path of names and indexes between dots; the document itself for an empty one.
fn member<'v>(document: &'v mut Value, path: &str) -> Option<&'v mut Value> {
    path.split('.').filter(|name| !name.is_empty()).try_fold(document, |value, name| match value {
        Value::Object(members) => members.get_mut(name),
        Value::Array(items) => items.get_mut(name.parse::<usize>().ok()?),
        _ => None,
    })
}

fn other_type(value: Value) -> Value {
    match value {
        Value::String(_) => Value::Array(vec![value]),
        Value::Array(mut items) if !items.is_empty() => items.swap_remove(0),
        Value::Array(_) => Value::Object(Map::new()),
        Value::Object(_) => Value::from(value.to_string()),
        Value::Null => Value::from(0),
        Value::Bool(_) | Value::Number(_) => Value::from(value.to_string()),
    }
}

/// Replaces the last character, or is all of an empty text.
fn last(text: &mut String, character: char) {
    text.pop();
    text.push(character);
}

/// The body in another charset than its own: GBK for UTF-8, UTF-8 for the rest.
pub fn other_charset(body: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(body) {
        Ok(text) => encoding_rs::GBK.encode(text).0.into_owned(),
        Err(_) => encoding_rs::GB18030.decode_without_bom_handling(body).0.into_owned().into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::spec::FaultSpec;

    fn altered(kind: FaultKind, field: &str) -> Result<Value, String> {
        let spec = FaultSpec { field: (!field.is_empty()).then(|| field.to_owned()), ..FaultSpec::of(kind) };
        let fault = Fault::compile(&spec, "test").map_err(|wrong| format!("{wrong:?}"))?;
        let mut document =
            json!({"code": 7, "data": {"name": "张三", "cards": [{"no": "A1"}, {"no": "A2"}]}});
        super::document(&fault, &mut document).map(|()| document)
    }

    #[test]
    fn a_member_is_missing_extra_longer_or_of_another_type() {
        assert_eq!(
            altered(FaultKind::FieldMissing, "data.cards").expect("done")["data"],
            json!({"name": "张三"})
        );
        let fewer = altered(FaultKind::FieldMissing, "data.cards.0").expect("done");
        assert_eq!(fewer["data"]["cards"], json!([{"no": "A2"}]));
        assert!(altered(FaultKind::FieldExtra, "").expect("done")["unannounced"].is_string());
        assert!(
            altered(FaultKind::FieldExtra, "data.cards.1").expect("done")["data"]["cards"][1]["unannounced"]
                .is_string()
        );
        let longer = altered(FaultKind::FieldLonger, "data.name").expect("done");
        assert_eq!(longer["data"]["name"].as_str().expect("text").chars().count(), LONG);
        assert_eq!(altered(FaultKind::FieldType, "code").expect("done")["code"], json!("7"));
        assert_eq!(
            altered(FaultKind::FieldType, "data.name").expect("done")["data"]["name"],
            json!(["张三"])
        );
    }

    #[test]
    fn a_text_ends_in_a_rare_or_private_character() {
        assert_eq!(altered(FaultKind::RareChar, "data.name").expect("done")["data"]["name"], "张\u{2CC56}");
        assert_eq!(
            altered(FaultKind::PuaChar, "data.cards.1.no").expect("done")["data"]["cards"][1]["no"],
            "A\u{E816}"
        );
    }

    #[test]
    fn a_member_that_is_not_there_or_does_not_suit_is_named() {
        for (kind, field, told) in [
            (FaultKind::FieldMissing, "data.sex", "has no `data.sex`"),
            (FaultKind::FieldMissing, "data.cards.2", "has no `data.cards.2`"),
            (FaultKind::FieldLonger, "code", "`code` is no text"),
            (FaultKind::FieldExtra, "data.name", "`data.name` is no object"),
            (FaultKind::FieldLonger, "", "needs `field`"),
        ] {
            let problem = altered(kind, field).expect_err("refused");
            assert!(problem.contains(told), "{problem}");
        }
    }

    #[test]
    fn the_other_charset_is_none_that_reads_as_the_own() {
        let gbk = other_charset("张三".as_bytes());
        assert_eq!(gbk, [0xD5, 0xC5, 0xC8, 0xFD]);
        assert_eq!(other_charset(&gbk), "张三".as_bytes());
    }
}
