//! What a schema wants, in words, and what was found instead.
use jsonschema::{ValidationError, error::ValidationErrorKind as Kind};
use serde_json::Value;

use super::near::nearest;

/// References followed at most, against a schema that refers to itself.
const MOST_REFERENCES: usize = 16;

/// The kinds of value a schema takes at its top, and the words where it lists them.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// JSON Schema type names, in the order met; empty: anything.
    types: Vec<String>,
    words: Vec<String>,
    /// What text has to look like, where the schema explains it with examples.
    form: Option<String>,
    anything: bool,
}

impl Wanted {
    pub fn of(root: &Value, schema: &Value) -> Self {
        let mut wanted = Self::default();
        wanted.collect(root, schema, MOST_REFERENCES);
        wanted
    }

    pub fn of_any(root: &Value, branches: &[Value]) -> Self {
        let mut wanted = Self::default();
        branches.iter().for_each(|branch| wanted.collect(root, branch, MOST_REFERENCES));
        wanted
    }

    fn collect(&mut self, root: &Value, schema: &Value, fuel: usize) {
        if fuel == 0 {
            self.anything = true;
            return;
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let target = target.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
            return self.collect(root, target.unwrap_or(&Value::Null), fuel - 1);
        }
        if let Some(branches) = ["anyOf", "oneOf"].iter().find_map(|k| schema.get(k)?.as_array()) {
            return branches.iter().for_each(|branch| self.collect(root, branch, fuel - 1));
        }
        let constants: Vec<&Value> = match (schema.get("const"), schema.get("enum").and_then(Value::as_array))
        {
            (Some(constant), _) => vec![constant],
            (None, Some(constants)) => constants.iter().collect(),
            (None, None) => Vec::new(),
        };
        if !constants.is_empty() {
            constants.into_iter().for_each(|constant| self.constant(constant));
            return;
        }
        match schema.get("type") {
            Some(Value::String(name)) => {
                self.add(name);
                if name == "string" && schema.get("examples").is_some() {
                    let about = schema.get("description").and_then(Value::as_str);
                    self.form = about.map(|about| about.trim_end_matches('.').to_owned());
                }
            }
            Some(Value::Array(names)) => {
                names.iter().filter_map(Value::as_str).for_each(|name| self.add(name))
            }
            _ => self.anything = true,
        }
    }

    fn constant(&mut self, constant: &Value) {
        match constant {
            Value::String(word) => {
                self.add("string");
                if !self.words.contains(word) {
                    self.words.push(word.clone());
                }
            }
            other => self.add(name_of(other)),
        }
    }

    fn add(&mut self, name: &str) {
        if !self.types.iter().any(|known| known == name) {
            self.types.push(name.to_owned());
        }
    }

    /// Whether a value of this type could fit.
    pub fn takes(&self, value: &Value) -> bool {
        let name = name_of(value);
        let fits = |wanted: &String| wanted == name || (wanted == "number" && name == "integer");
        self.anything || self.types.iter().any(fits)
    }

    /// Whether only listed words fit (or nothing at all).
    pub fn is_only_words(&self) -> bool {
        !self.words.is_empty()
            && !self.anything
            && self.types.iter().all(|name| name == "string" || name == "null")
    }

    /// `wanted text, found the number 5`
    pub fn but_found(&self, found: &Value) -> String {
        let mut alternatives: Vec<String> = Vec::new();
        for name in self.types.iter().filter(|name| *name != "null" || self.types.len() == 1) {
            if name == "string" && !self.words.is_empty() {
                alternatives.extend(self.words.iter().map(|word| format!("`{word}`")));
            } else if let Some(form) = self.form.as_ref().filter(|_| name == "string") {
                alternatives.push(format!("text: {form}"));
            } else {
                alternatives.push(in_words(name).to_owned());
            }
        }
        let last = alternatives.pop().unwrap_or_else(|| "something else".to_owned());
        let wanted =
            if alternatives.is_empty() { last } else { format!("{} or {last}", alternatives.join(", ")) };
        let mark = if self.form.is_some() { ";" } else { "," };
        format!("wanted {wanted}{mark} found {}", describe(found, !self.words.is_empty()))
    }

    pub fn nearest(&self, found: &Value) -> Option<String> {
        let near = nearest(found.as_str()?, self.words.iter().map(String::as_str))?;
        Some(format!("did you mean `{near}`?"))
    }

    /// What to do about a value of the wrong type, where that is plain.
    pub fn remedy(&self, found: &Value) -> Option<String> {
        let wants = |name: &str| self.types.iter().any(|wanted| wanted == name);
        let remedy = match found {
            Value::Number(_) | Value::Bool(_)
                if wants("string") && self.words.is_empty() && self.form.is_none() =>
            {
                "put it in quotes"
            }
            Value::String(text) if wants("boolean") => match text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "true" => "write `true`",
                "no" | "off" | "false" => "write `false`",
                _ => return None,
            },
            Value::String(text) if wants("integer") && text.parse::<i64>().is_ok() => "leave out the quotes",
            Value::String(_) | Value::Object(_) if wants("array") => {
                "write it as a list, each item after `- `"
            }
            Value::Null => "give it a value or leave the key out",
            _ => return None,
        };
        Some(remedy.to_owned())
    }
}

/// The keys a schema knows at its top.
pub(super) fn keys(root: &Value, schema: &Value) -> Vec<String> {
    let target = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#'));
    let schema = target.and_then(|pointer| root.pointer(pointer)).unwrap_or(schema);
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.map(|known| known.keys().cloned().collect()).unwrap_or_default()
}

/// A rule other than type and words, in words.
pub(super) fn rule(error: &ValidationError<'_>, schema: &Value) -> String {
    let number = |key: &str| schema.get(key).filter(|limit| limit.is_number());
    let found = error.instance();
    match error.kind() {
        Kind::Pattern { pattern } => pattern_in_words(pattern, schema),
        Kind::Minimum { .. } | Kind::Maximum { .. } => match (number("minimum"), number("maximum")) {
            (Some(least), Some(most)) => format!("wanted {least} to {most}, found {found}"),
            (Some(least), None) => format!("wanted at least {least}, found {found}"),
            (_, most) => format!("wanted at most {}, found {found}", most.unwrap_or(&Value::Null)),
        },
        Kind::MinItems { limit } => format!("wanted at least {limit} items, found {}", size(found)),
        Kind::MaxItems { limit } => format!("wanted at most {limit} items, found {}", size(found)),
        Kind::MinProperties { limit } => format!("wanted at least {limit} keys, found {}", size(found)),
        Kind::MaxProperties { limit } => format!("wanted at most {limit} keys, found {}", size(found)),
        Kind::MinLength { limit } => format!("wanted at least {limit} characters"),
        Kind::MaxLength { limit } => format!("wanted at most {limit} characters"),
        Kind::UniqueItems => "the same item twice".to_owned(),
        Kind::OneOfMultipleValid { .. } => "fits several forms at once; only one may be given".to_owned(),
        _ => error.masked_with("the value").to_string(),
    }
}

/// Does not repeat the text found: it may be a secret put where a reference belongs.
fn pattern_in_words(pattern: &str, schema: &Value) -> String {
    match schema.get("description").and_then(Value::as_str) {
        Some(about) if schema.get("examples").is_some() => {
            format!("wanted text: {}", about.trim_end_matches('.'))
        }
        Some(about) => format!("wanted: {} (pattern `{pattern}`)", about.trim_end_matches('.')),
        None => format!("wanted text of the pattern `{pattern}`"),
    }
}

fn size(value: &Value) -> usize {
    value.as_array().map_or_else(|| value.as_object().map_or(0, serde_json::Map::len), Vec::len)
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn in_words(name: &str) -> &str {
    match name {
        "null" => "nothing",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "text",
        "array" => "a list",
        "object" => "a block of keys",
        other => other,
    }
}

fn describe(value: &Value, words_wanted: bool) -> String {
    match value {
        Value::String(text) if words_wanted && text.chars().count() <= 40 => format!("`{text}`"),
        Value::Bool(_) => format!("`{value}`"),
        Value::Number(_) => format!("the number {value}"),
        other => in_words(name_of(other)).to_owned(),
    }
}
