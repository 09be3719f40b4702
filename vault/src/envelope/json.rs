//! JSON inside envelopes: canonical text and values as signable text. For `run`.
use serde_json::Value;

/// The value with every object's members sorted by key (by UTF-8 bytes), compact.
pub(super) fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write_canonical(value, &mut out);
    out
}

fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(key, _)| key.as_str());
            out.push('{');
            for (index, (key, member)) in members.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write_canonical(member, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

/// A value as it stands in a `k=v` pair: strings bare, null empty, the rest as compact JSON.
pub(super) fn pair_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_members_at_every_depth_and_leaves_arrays_alone() {
        let value: Value = serde_json::from_str(r#"{"b":[{"d":1,"c":"é\n"}],"a":null}"#).unwrap();
        assert_eq!(canonical(&value), "{\"a\":null,\"b\":[{\"c\":\"é\\n\",\"d\":1}]}");
    }
}
