//! A document written as YAML that the strict reader reads back the same.
use serde_json::Value;

/// Block style; texts are quoted unless they are plainly text.
pub fn write(value: &Value) -> String {
    let mut out = String::new();
    block(value, 0, &mut out);
    out
}

fn block(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                out.push_str(&"  ".repeat(indent));
                out.push_str(&scalar(&Value::from(name.as_str())));
                out.push(':');
                below(value, indent + 1, out);
            }
        }
        Value::Array(values) if !values.is_empty() => {
            for value in values {
                out.push_str(&"  ".repeat(indent));
                out.push('-');
                item(value, indent + 1, out);
            }
        }
        value => {
            out.push_str(&"  ".repeat(indent));
            out.push_str(&scalar(value));
            out.push('\n');
        }
    }
}

/// What stands behind `name:`.
fn below(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            out.push('\n');
            block(value, indent, out);
        }
        Value::Array(values) if !values.is_empty() => {
            out.push('\n');
            block(value, indent, out);
        }
        value => {
            out.push(' ');
            out.push_str(&scalar(value));
            out.push('\n');
        }
    }
}

/// What stands behind `-`: an object begins on the same line.
fn item(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            let mut inner = String::new();
            block(value, indent, &mut inner);
            out.push(' ');
            out.push_str(inner.trim_start_matches(' '));
        }
        value => below(value, indent, out),
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        // JSON's escapes are YAML's in double quotes.
        Value::String(_) => value.to_string(),
        Value::Object(_) => "{}".into(),
        Value::Array(_) => "[]".into(),
        other => other.to_string(),
    }
}

/// Whether a text can stand unquoted: a word or a path that is no number, boolean or null.
fn is_plain(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_alphabetic() || c == '/' || c == '$' || c == '_');
    let words = text.chars().all(|c| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '$'));
    let reserved = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"];
    begins && words && !reserved.contains(&text.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use qiao_mappings::strict::Source;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "\\PC{0,12}|[-:#{}\\[\\]\"'\\\\\n ~.0-9eE]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec(("[a-z$. 0-9-]{1,6}", inner), 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn reads_back_the_same(value in value()) {
            let document = serde_json::json!({"a": value});
            let text = write(&document);
            let source = Source::read("x.yaml", &text).unwrap_or_else(|wrong| panic!("{wrong:?}\n{text}"));
            prop_assert_eq!(source.value(), &document, "{}", text);
        }
    }
}
