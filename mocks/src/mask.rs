//! Personal data hidden in what people look at: by the field's name, and identity numbers, phones and cards in any text.
use std::{borrow::Cow, sync::LazyLock};

use qiao_mappings::{NoTables, functions::call::Applied};
use regex::{Captures, Regex};
use serde_json::{Map, Value};

use crate::journal::{Nearest, Verdict};

/// Field names and the mask of their values.
const TAGS: &[(&str, &[&str])] = &[
    (
        "name",
        &[
            "name",
            "xm",
            "aac003",
            "userName",
            "personName",
            "realName",
            "custName",
            "contactName",
            "receiverName",
            "senderName",
            "handlerName",
            "guardianName",
            "callerName",
            "consignee",
            "fprCnName",
            "cnName",
            "latinName",
            "姓名",
        ],
    ),
    ("address", &["address", "addr", "hukouAddr", "liveAddress", "地址"]),
    ("last4", &["cardNo", "socialCardNo", "bankCardNo", "bankAccount", "account", "rpNo", "卡号"]),
    ("email", &["email", "mail"]),
];

/// A mask, and the texts it is found in: JSON (also JSON within JSON text), XML, forms.
struct Tag {
    mask: Applied,
    json: Regex,
    xml: Regex,
    form: Regex,
    names: &'static [&'static str],
}

static TAGGED: LazyLock<Vec<Tag>> = LazyLock::new(|| {
    let tag = |(kind, names): &(&str, &'static [&'static str])| {
        let any = names.join("|");
        let regex =
            |text: String| Regex::new(&text).expect("field names hold nothing special, which a test checks");
        Tag {
            mask: applied(kind),
            json: regex(format!(r#"(?i)(\\*"(?:{any})\\*"\s*:\s*\\*")((?:[^"\\]|\\u[0-9a-f]{{4}})*)"#)),
            xml: regex(format!(r"(?i)(<(?:[\w.-]+:)?(?:{any})(?:\s[^>]*)?>)([^<]+)")),
            form: regex(format!(r"(?i)((?:^|&)(?:{any})=)([^&\s]+)")),
            names,
        }
    };
    TAGS.iter().map(tag).collect()
});
static ID: LazyLock<Applied> = LazyLock::new(|| applied("idNo"));
static PHONE: LazyLock<Applied> = LazyLock::new(|| applied("phone"));
static CARD: LazyLock<Applied> = LazyLock::new(|| applied("card"));

fn applied(kind: &str) -> Applied {
    Applied::parse(&format!("mask({kind})"), &NoTables)
        .expect("the kinds are those of mask(), which a test checks")
}

/// What cannot be masked is hidden altogether.
fn run(mask: &Applied, text: &str) -> String {
    if text.contains(['\\', '%']) {
        return "***".to_owned();
    }
    match mask.run(&Value::from(text), &Map::new()) {
        Ok(Value::String(masked)) => masked,
        _ => "***".to_owned(),
    }
}

/// A text of any kind: a body, a path, a message.
pub fn text(text: &str) -> String {
    let mut masked = Cow::Borrowed(text);
    for tag in TAGGED.iter() {
        let hide = |found: &Captures<'_>| format!("{}{}", &found[1], run(&tag.mask, &found[2]));
        for regex in [&tag.json, &tag.xml, &tag.form] {
            if regex.is_match(&masked) {
                masked = Cow::Owned(regex.replace_all(&masked, hide).into_owned());
            }
        }
    }
    numbers(&masked)
}

/// A value by the name of its field, which may be a path such as `$.request.person.name`.
pub fn field(name: &str, value: &str) -> String {
    let last = name.rsplit(['.', ' ', '/']).next().unwrap_or(name);
    let last = last.split('[').next().unwrap_or(last).trim_end_matches(['\'', '"', ']']);
    match TAGGED.iter().find(|tag| tag.names.iter().any(|known| known.eq_ignore_ascii_case(last))) {
        Some(tag) => run(&tag.mask, value),
        None => text(value),
    }
}

/// A document, each text by the name of its field.
pub fn document(value: &Value) -> Value {
    named("", value)
}

fn named(name: &str, value: &Value) -> Value {
    match value {
        Value::String(text) => field(name, text).into(),
        Value::Array(elements) => elements.iter().map(|element| named(name, element)).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), named(name, value))).collect()
        }
        // A number may be one as well.
        Value::Number(number) => {
            let plain = number.to_string();
            let masked = numbers(&plain);
            if masked == plain { value.clone() } else { masked.into() }
        }
        other => other.clone(),
    }
}

/// An explanation.
pub fn nearest(nearest: &Nearest) -> Nearest {
    Nearest { stub: nearest.stub.clone(), criteria: nearest.criteria.iter().map(verdict).collect() }
}

/// One line of an explanation.
pub fn verdict(verdict: &Verdict) -> Verdict {
    Verdict {
        criterion: numbers(&verdict.criterion),
        wanted: text(&verdict.wanted),
        seen: verdict.seen.as_ref().map(|seen| field(&verdict.criterion, seen)),
        ok: verdict.ok,
    }
}

/// Masks runs of digits that stand alone and are as long as an identity number, a mobile number or a bank card.
fn numbers(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut done, mut at) = (String::with_capacity(text.len()), 0, 0);
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() || at > 0 && bytes[at - 1].is_ascii_alphanumeric() {
            at += 1;
            continue;
        }
        let mut end = at + bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if end - at == 17 && matches!(bytes.get(end), Some(b'X' | b'x')) {
            end += 1;
        }
        let alone = !bytes.get(end).is_some_and(u8::is_ascii_alphanumeric);
        if let (true, Some(mask)) = (alone, mask_of(&text[at..end])) {
            out.push_str(&text[done..at]);
            out.push_str(&run(mask, &text[at..end]));
            done = end;
        }
        at = end;
    }
    out.push_str(&text[done..]);
    out
}

fn mask_of(digits: &str) -> Option<&'static Applied> {
    match digits.len() {
        18 => Some(&*ID),
        11 if digits.starts_with('1') && digits.as_bytes()[1] >= b'3' => Some(&*PHONE),
        16 | 19 => Some(&*CARD),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_by_field_and_numbers_anywhere_are_hidden_in_every_kind_of_text() {
        let body = r#"{"name":"张三丰","idNo":"310101199003074511","mobile":"13800005678","note":"卡6222021234567890123号","retBody":"{\"name\":\"𬱖三\"}"}"#;
        let masked = text(body);
        assert_eq!(
            masked,
            r#"{"name":"张*丰","idNo":"310***********4511","mobile":"138****5678","note":"卡622202*********0123号","retBody":"{\"name\":\"𬱖*\"}"}"#
        );
        assert_eq!(
            text("<p:name>欧阳娜</p:name><idNo>31010119900307451X</idNo>"),
            "<p:name>欧*娜</p:name><idNo>310***********451X</idNo>"
        );
        assert_eq!(text("a=1&name=%E5%BC%A0&phone=13800005678"), "a=1&name=***&phone=138****5678");
        assert_eq!(text(r#"{"name":"\u5f20\u4e09"}"#), r#"{"name":"***"}"#);
    }

    #[test]
    fn other_numbers_and_business_keys_stay() {
        for kept in [
            "MZ20260105000001",
            "1234567890123",
            "20260105093000",
            "66c7f0f462eeedd9d1f2d46bdc10e4e2",
            r#"{"code":"0000"}"#,
        ] {
            assert_eq!(text(kept), kept);
        }
    }

    #[test]
    fn documents_and_explanations_are_hidden_by_the_last_name_of_the_path() {
        let masked = document(
            &json!({"person": {"name": "张三", "idNo": "310101199003074511"}, "rows": [{"cardNo": "A12345678"}], "n": 13_800_005_678_u64}),
        );
        assert_eq!(
            masked,
            json!({"person": {"name": "张*", "idNo": "310***********4511"}, "rows": [{"cardNo": "*****5678"}], "n": "138****5678"})
        );
        assert_eq!(field("$.request.person.name", "张三丰"), "张*丰");
    }
}
