//! Targets of rules: where a value goes in the new document.

use serde_json::{Map, Value};

/// A list may be filled at an index up to this one.
const MAX_INDEX: usize = 999;

/// A compiled target path; empty for the whole result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    text: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(usize),
}

impl Target {
    /// Compiles `a.b[0].c`, `a['b.c']`, `$.a` or `$`.
    pub(super) fn parse(text: &str) -> Result<Target, String> {
        let path = text.strip_prefix("$.").unwrap_or(text);
        if matches!(path, "$" | ".") {
            return Ok(Target { text: "$".into(), steps: Vec::new() });
        }
        let mut steps = Vec::new();
        let mut rest = path;
        loop {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let name = &rest[..end];
            if !name.is_empty() {
                if name != name.trim() {
                    return Err(format!("the name `{name}` has blanks around"));
                }
                steps.push(Step::Name(name.to_owned()));
            } else if !rest.starts_with('[') {
                return Err("a target is a path such as person.name, or $ for the whole result".into());
            }
            rest = &rest[end..];
            while let Some(inside) = rest.strip_prefix('[') {
                let (step, after) = bracket(inside)?;
                steps.push(step);
                rest = after;
            }
            match rest.strip_prefix('.') {
                Some(after) => rest = after,
                None if rest.is_empty() => break,
                None => return Err("a dot is missing after a closing bracket".into()),
            }
        }
        if matches!(steps.first(), Some(Step::Index(_))) {
            return Err("a target starts with a name; use each to make a list".into());
        }
        Ok(Target { text: path.to_owned(), steps })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn is_whole(&self) -> bool {
        self.steps.is_empty()
    }

    /// Puts `value` at this place of `document`; what stands in the way is replaced.
    pub(super) fn set(&self, document: &mut Value, value: Value) {
        let mut place = document;
        for step in &self.steps {
            place = match step {
                Step::Name(name) => {
                    if !place.is_object() {
                        *place = Value::Object(Map::new());
                    }
                    let Value::Object(members) = place else { return };
                    members.entry(name.as_str()).or_insert(Value::Null)
                }
                Step::Index(index) => {
                    if !place.is_array() {
                        *place = Value::Array(Vec::new());
                    }
                    let Value::Array(elements) = place else { return };
                    if elements.len() <= *index {
                        elements.resize(*index + 1, Value::Null);
                    }
                    &mut elements[*index]
                }
            };
        }
        *place = value;
    }
}

fn bracket(inside: &str) -> Result<(Step, &str), String> {
    if let Some(quoted) = inside.strip_prefix('\'') {
        let (name, after) = quoted.split_once("']").ok_or("a quoted name lacks its ']")?;
        return if name.is_empty() {
            Err("a name is empty".into())
        } else {
            Ok((Step::Name(name.to_owned()), after))
        };
    }
    let (index, after) = inside.split_once(']').ok_or("a bracket is not closed")?;
    match index.parse::<usize>() {
        Ok(index) if index <= MAX_INDEX => Ok((Step::Index(index), after)),
        _ => Err(format!("an index is a number from 0 to {MAX_INDEX}; use each to map a list")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sets_nested_names_indexes_and_quoted_names() {
        let mut document = json!({});
        for (path, value) in [("a.b", 1), ("a.list[1].c", 2), ("x['d.e']", 3), ("$.y.@id", 4)] {
            Target::parse(path).expect(path).set(&mut document, json!(value));
        }
        assert_eq!(
            document,
            json!({"a": {"b": 1, "list": [null, {"c": 2}]}, "x": {"d.e": 3}, "y": {"@id": 4}})
        );
    }

    #[test]
    fn refuses_what_is_no_path() {
        for path in ["", "a..b", "a.", ".a", "[0]", "a[x]", "a[1", "a[1000]", "a['b", "a[0]b", "a. b"] {
            assert!(Target::parse(path).is_err(), "{path}");
        }
    }
}
