//! Whether a path can lead anywhere in a value of a schema. In doubt it can: only declared `properties` say no, and only where no
//! further ones are allowed by an explicit `additionalProperties`.
use serde_json::Value;

/// References followed at most.
const MOST_REFERENCES: usize = 16;

/// One step of a path into a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Name(String),
    /// Some element of a list.
    Any,
}

/// Whether a path exists.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    Perhaps,
    /// `name` is not among the `known` members at its place.
    No {
        name: String,
        known: Vec<String>,
    },
}

/// The parts of a mapping's target: `person.name`, `list[0].code`; empty for the whole. None: a form not understood here.
pub(super) fn parts(target: &str) -> Option<Vec<Part>> {
    if matches!(target, "$" | ".") {
        return Some(Vec::new());
    }
    let target = target.strip_prefix("$.").unwrap_or(target);
    selected(&format!(".{target}"))
}

/// The parts of a selector after its document: `.person.name`, `[0].code`, `[*]`. None: a filter, slice, descendant or wildcard name.
pub(super) fn selected(text: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let name = &after[..end];
            if name.is_empty() || name.contains(['*', ' ', '?', '@']) {
                return None;
            }
            parts.push(Part::Name(name.to_owned()));
            rest = &after[end..];
        } else {
            let (inside, after) = rest.strip_prefix('[')?.split_once(']')?;
            let quoted = ['\'', '"'].into_iter().find_map(|q| inside.strip_prefix(q)?.strip_suffix(q));
            parts.push(match quoted {
                Some(name) if !name.contains(['\\', '\'', '"']) => Part::Name(name.to_owned()),
                None if inside == "*"
                    || inside.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit()) =>
                {
                    Part::Any
                }
                _ => return None,
            });
            rest = after;
        }
    }
    Some(parts)
}

/// Looks the path up in the schema.
pub(super) fn find(schema: &Value, parts: &[Part]) -> Known {
    below(schema, schema, parts, MOST_REFERENCES)
}

fn below(root: &Value, schema: &Value, parts: &[Part], fuel: usize) -> Known {
    let Some((part, rest)) = parts.split_first() else { return Known::Perhaps };
    if fuel == 0 {
        return Known::Perhaps;
    }
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let target = target.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return target.map_or(Known::Perhaps, |target| below(root, target, parts, fuel - 1));
    }
    // Alternatives and conditions may add members.
    if ["anyOf", "oneOf", "allOf", "if", "patternProperties", "$dynamicRef"]
        .iter()
        .any(|key| schema.get(key).is_some())
    {
        return Known::Perhaps;
    }
    match part {
        Part::Any => match schema.get("items").filter(|items| items.is_object()) {
            Some(items) if schema.get("prefixItems").is_none() => below(root, items, rest, fuel - 1),
            _ => Known::Perhaps,
        },
        Part::Name(name) => {
            let Some(known) = schema.get("properties").and_then(Value::as_object) else {
                return Known::Perhaps;
            };
            match known.get(name) {
                Some(member) => below(root, member, rest, fuel - 1),
                None if is_open(schema) => Known::Perhaps,
                None => Known::No { name: name.clone(), known: known.keys().cloned().collect() },
            }
        }
    }
}

/// Whether further members are expressly allowed. Only expressly: a schema that says nothing describes what is there.
fn is_open(schema: &Value) -> bool {
    schema.get("additionalProperties").is_some_and(|more| *more != Value::Bool(false))
}
