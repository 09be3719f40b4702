//! Places in messages: how a document is walked, and how conditions and templates name what stands there.
use serde_json::{Map, Value};

/// One step into a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    Name(String),
    Index(usize),
}

/// Steps from a document's root.
pub type Steps = Vec<Step>;

/// A place in a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// In the body's document.
    Body(Steps),
    Query(String),
    /// A segment of the path, by its number; the pattern names it.
    Segment(usize),
    Header(String),
}

/// The name that a path's pattern gives a segment.
pub fn segment_name(number: usize) -> String {
    format!("p{}", number + 1)
}

impl Place {
    /// The last name on the way there.
    pub fn name(&self) -> &str {
        match self {
            Self::Body(steps) => last_name(steps),
            Self::Query(name) | Self::Header(name) => name,
            Self::Segment(_) => "",
        }
    }

    /// As a CEL expression.
    pub fn cel(&self) -> String {
        match self {
            Self::Body(steps) => steps.iter().fold("request".to_owned(), |path, step| path + &cel_step(step)),
            Self::Query(name) => format!("query{}", cel_member(name)),
            Self::Segment(number) => format!("params.{}", segment_name(*number)),
            Self::Header(name) => format!("headers{}", cel_member(name)),
        }
    }

    /// As JSONPath.
    pub fn json_path(&self) -> String {
        match self {
            Self::Body(steps) => {
                steps.iter().fold("$.request".to_owned(), |path, step| path + &json_step(step))
            }
            Self::Query(name) => format!("$.query{}", json_member(name)),
            Self::Segment(number) => format!("$.params.{}", segment_name(*number)),
            Self::Header(name) => format!("$.headers{}", json_member(name)),
        }
    }
}

/// The last name of a path; positions in lists have none.
pub fn last_name(steps: &[Step]) -> &str {
    let named = steps.iter().rev().find_map(|step| match step {
        Step::Name(name) => Some(name.as_str()),
        Step::Index(_) => None,
    });
    named.unwrap_or_default().trim_start_matches('@')
}

/// RFC 6901.
pub fn pointer(steps: &[Step]) -> String {
    steps.iter().fold(String::new(), |path, step| match step {
        Step::Name(name) => path + "/" + &name.replace('~', "~0").replace('/', "~1"),
        Step::Index(index) => format!("{path}/{index}"),
    })
}

fn is_word(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Words that CEL keeps for itself.
const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// A text as a CEL literal.
pub fn cel_text(text: &str) -> String {
    let mut out = String::from("'");
    for c in text.chars() {
        match c {
            '\'' => out.push_str("\\'"),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other => out.push(other),
        }
    }
    out + "'"
}

/// `.name`, or `['name']` where it is no word of CEL's.
pub fn cel_member(name: &str) -> String {
    if is_word(name) && !RESERVED.contains(&name) {
        format!(".{name}")
    } else {
        format!("[{}]", cel_text(name))
    }
}

fn cel_step(step: &Step) -> String {
    match step {
        Step::Name(name) => cel_member(name),
        Step::Index(index) => format!("[{index}]"),
    }
}

fn json_member(name: &str) -> String {
    if is_word(name) {
        return format!(".{name}");
    }
    format!("['{}']", name.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn json_step(step: &Step) -> String {
    match step {
        Step::Name(name) => json_member(name),
        Step::Index(index) => format!("[{index}]"),
    }
}

/// Every scalar of a document with its way there; null is none.
pub fn scalars(value: &Value) -> Vec<(Steps, &Value)> {
    let mut all = Vec::new();
    walk(value, &mut Vec::new(), &mut |steps, value| {
        if !matches!(value, Value::Null | Value::Array(_) | Value::Object(_)) {
            all.push((steps.to_vec(), value));
        }
    });
    all
}

/// Passes every value of a document, the root first.
pub fn walk<'v>(value: &'v Value, steps: &mut Steps, each: &mut impl FnMut(&[Step], &'v Value)) {
    each(steps, value);
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                steps.push(Step::Name(name.clone()));
                walk(value, steps, each);
                steps.pop();
            }
        }
        Value::Array(elements) => {
            for (index, value) in elements.iter().enumerate() {
                steps.push(Step::Index(index));
                walk(value, steps, each);
                steps.pop();
            }
        }
        _ => {}
    }
}

/// The value at the end of a way.
pub fn at<'v>(value: &'v Value, steps: &[Step]) -> Option<&'v Value> {
    steps.iter().try_fold(value, |value, step| match step {
        Step::Name(name) => value.get(name),
        Step::Index(index) => value.get(index),
    })
}

/// A scalar as text.
pub fn text(value: &Value) -> Option<String> {
    crate::matching::memo::scalar(value).map(std::borrow::Cow::into_owned)
}

/// The answer as one document: its headers, and its body or fault.
pub fn answer(headers: &Map<String, Value>, body: &super::wire::Body) -> Value {
    let body = match &body.fault {
        Some(fault) => serde_json::json!({"faultcode": fault.code, "faultstring": fault.string}),
        None => body.document.clone(),
    };
    serde_json::json!({"headers": headers, "body": body})
}
