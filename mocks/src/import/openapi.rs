//! OpenAPI 3.0 and 3.1: a stub for every example of every operation's answers; where there is none, one made of the schema.
use std::cell::Cell;

use qiao_mappings::strict::Source;
use regex::Regex;
use serde_json::{Map, Value, json};

use super::{
    at::{At, Refusal, Try},
    draft::{Draft, Files, ImportReport, Part, slug},
    escaped,
};
use crate::spec::{ListenSpec, Proto, StubSpec, When};

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
/// Header of a request that asks for another answer than the first: `404`, or an example's name.
const CHOICE: &str = "x-mock-example";
const MAX_DEPTH: usize = 10;
/// Values of one document made of a schema; a schema that refers to itself in many places would go on for ever.
const MAX_MADE: usize = 5_000;

/// Makes a draft of every description among the files.
///
/// # Errors
/// No file that could be one.
pub fn draft(files: &Files, partner: &str) -> Result<Draft, String> {
    let mut report = ImportReport::default();
    let mut parts = Vec::new();
    for (name, bytes) in files {
        if ![".yaml", ".yml", ".json"].iter().any(|end| name.ends_with(end)) {
            continue;
        }
        match part(name, bytes, &mut report) {
            Ok(part) => parts.push(part),
            Err(refusal) => report.refuse(name, refusal),
        }
    }
    if parts.is_empty() && report.refused.is_empty() {
        return Err("no description: a .yaml or .json file of OpenAPI 3".into());
    }
    report.note(format!(
        "the header {CHOICE} chooses an answer that is not the first: its status, or its example's name"
    ));
    Ok(Draft {
        partner: partner.to_owned(),
        title: partner.to_owned(),
        about: "Imported from an OpenAPI description.".into(),
        listen: ListenSpec::on_path("http", Proto::Http, format!("/{partner}")),
        parameters: Vec::new(),
        parts,
        beside: Files::new(),
        report,
    })
}

fn part(name: &str, bytes: &[u8], report: &mut ImportReport) -> Try<Part> {
    let refused = |reason: String| Refusal { pointer: String::new(), reason };
    let document = read(name, bytes).map_err(refused)?;
    let root = At::root(&document);
    match root.get("openapi").map(|version| version.text()).transpose()? {
        Some(version) if version.starts_with("3.0") || version.starts_with("3.1") => {}
        _ => return root.refuse("`openapi` must be 3.0 or 3.1"),
    }
    let schemas = Schemas { root: &document, made: Cell::new(0) };
    let (mut stubs, mut pointers) = (Vec::new(), Vec::new());
    for (path, item) in root.get("paths").map(|paths| paths.members()).transpose()?.unwrap_or_default() {
        if path
            .split('/')
            .any(|segment| segment.contains('{') && !(segment.starts_with('{') && segment.ends_with('}')))
        {
            report.note(format!("{name}: {path} is left out: a segment is text or a name, not both"));
            continue;
        }
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            let id = match operation.get("operationId") {
                Some(id) => slug(id.text()?),
                None => slug(&format!("{method} {path}")),
            };
            let when = When {
                method: Some(method.to_ascii_uppercase()),
                path: Some(path.to_owned()),
                ..When::default()
            };
            for (number, answer) in answers(&operation, &schemas)?.into_iter().enumerate() {
                let mut stub = answer.stub(&id, number, when.clone());
                stub.title =
                    operation.get("summary").map(|title| title.text()).transpose()?.map(str::to_owned);
                stubs.push(stub);
                pointers.push(answer.pointer);
            }
        }
    }
    if stubs.is_empty() {
        return root.refuse("no operation with an answer");
    }
    Ok(Part { file: name.to_owned(), stubs, pointers, bodies: Files::new() })
}

/// YAML or JSON. Status codes are usually written bare as keys, which YAML reads as numbers: they are quoted first.
fn read(name: &str, bytes: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())?;
    if name.ends_with(".json") {
        return serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"));
    }
    static STATUS: std::sync::LazyLock<Regex> = std::sync::LazyLock::new(|| {
        Regex::new(r"(?m)^(\s*)([1-5][0-9X]{2})(\s*:(?:\s|$))").expect("a constant that the tests use")
    });
    let text = STATUS.replace_all(text, "$1\"$2\"$3");
    let source = Source::read(name, &text)
        .map_err(|mistakes| mistakes.first().map_or_else(|| "not YAML".to_owned(), ToString::to_string))?;
    Ok(source.value().clone())
}

/// One answer of an operation.
struct Answer {
    status: u16,
    /// The name of the example, where there are several.
    example: Option<String>,
    /// Media type and document.
    body: Option<(String, Value)>,
    pointer: String,
}

impl Answer {
    /// The first answers every request; the others are asked for by name.
    fn stub(&self, id: &str, number: usize, mut when: When) -> StubSpec {
        let mut name = id.to_owned();
        if number > 0 {
            let choice = self.example.clone().unwrap_or_else(|| self.status.to_string());
            name = slug(&format!("{id} {} {}", self.status, self.example.as_deref().unwrap_or_default()));
            when.header.insert(CHOICE.into(), choice);
        }
        let mut stub = StubSpec { when: Some(when), ..StubSpec::named(name) };
        stub.respond.status = Some(self.status);
        match &self.body {
            Some((media, document)) if is_json(media) => stub.respond.json = Some(escaped(document)),
            Some((media, document)) => {
                let text = document.as_str().map_or_else(|| document.to_string(), str::to_owned);
                stub.respond.text = Some(text.replace("${", "$${"));
                stub.respond.headers.insert("content-type".into(), media.clone());
            }
            None => {}
        }
        stub
    }
}

fn is_json(media: &str) -> bool {
    media.contains("json") || media == "*/*"
}

/// The answers of an operation, a good one first.
fn answers(operation: &At<'_>, schemas: &Schemas<'_>) -> Try<Vec<Answer>> {
    let mut answers = Vec::new();
    for (status, response) in
        operation.get("responses").map(|all| all.members()).transpose()?.unwrap_or_default()
    {
        let status = match status.trim_end_matches("XX") {
            "default" => 200,
            one if one.len() == 1 => one.parse::<u16>().unwrap_or(2) * 100,
            code => match code.parse() {
                Ok(code @ 200..=599) => code,
                _ => return response.refuse("not a status that can be answered"),
            },
        };
        let response = schemas.resolve(response)?;
        let content =
            response.get("content").map(|content| content.members()).transpose()?.unwrap_or_default();
        let chosen = content.iter().find(|(media, _)| is_json(media)).or(content.first());
        let Some((media, content)) = chosen else {
            answers.push(Answer { status, example: None, body: None, pointer: response.pointer });
            continue;
        };
        for (example, document) in examples(content, schemas)? {
            let body = Some(((*media).to_owned(), document));
            answers.push(Answer { status, example, body, pointer: content.pointer.clone() });
        }
    }
    answers.sort_by_key(|answer| !(200..300).contains(&answer.status));
    Ok(answers)
}

/// The examples of a media type, else one of its schema.
fn examples(content: &At<'_>, schemas: &Schemas<'_>) -> Try<Vec<(Option<String>, Value)>> {
    if let Some(example) = content.get("example") {
        return Ok(vec![(None, example.value.clone())]);
    }
    let mut found = Vec::new();
    for (name, example) in content.get("examples").map(|all| all.members()).transpose()?.unwrap_or_default() {
        let example = schemas.resolve(example)?;
        match example.get("value") {
            Some(value) => found.push((Some(name.to_owned()), value.value.clone())),
            None => return example.refuse("an example without `value`"),
        }
    }
    if found.is_empty() {
        let document = match content.get("schema") {
            Some(schema) => schemas.document(schema)?,
            None => json!({}),
        };
        found.push((None, document));
    }
    Ok(found)
}

struct Schemas<'v> {
    root: &'v Value,
    /// Values made for the document at hand.
    made: Cell<usize>,
}

impl<'v> Schemas<'v> {
    /// Follows references within the document.
    fn resolve(&self, at: At<'v>) -> Try<At<'v>> {
        let mut at = at;
        for _ in 0..MAX_DEPTH {
            let Some(reference) = at.get("$ref") else { return Ok(at) };
            let Some(pointer) = reference.text()?.strip_prefix('#') else {
                return reference.refuse("references to other files are not supported");
            };
            let Some(value) = self.root.pointer(pointer) else {
                return reference.refuse("refers to nothing");
            };
            at = At { value, pointer: pointer.to_owned() };
        }
        at.refuse("references go round in a circle")
    }

    /// A document of a schema.
    fn document(&self, schema: At<'v>) -> Try<Value> {
        self.made.set(0);
        self.example(schema, 0)
    }

    /// Null where the schema nests deeper, or asks for more, than a document made of it may hold.
    fn example(&self, schema: At<'v>, depth: usize) -> Try<Value> {
        self.made.set(self.made.get() + 1);
        if depth > MAX_DEPTH || self.made.get() > MAX_MADE {
            return Ok(Value::Null);
        }
        let schema = self.resolve(schema)?;
        for key in ["example", "const", "default"] {
            if let Some(given) = schema.get(key) {
                return Ok(given.value.clone());
            }
        }
        for key in ["examples", "enum"] {
            if let Some(first) = schema.get(key).and_then(|list| list.value.get(0).cloned()) {
                return Ok(first);
            }
        }
        if let Some(all) = schema.get("allOf") {
            return self.merged(&schema, &all, depth);
        }
        for key in ["oneOf", "anyOf"] {
            if let Some(first) =
                schema.get(key).map(|list| list.items()).transpose()?.and_then(|list| list.into_iter().next())
            {
                return self.example(first, depth + 1);
            }
        }
        let kind = schema.get("type").map(|kind| match kind.value {
            Value::Array(kinds) => {
                kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or("null")
            }
            kind => kind.as_str().unwrap_or_default(),
        });
        Ok(match kind {
            Some("object") => self.object(&schema, depth)?,
            None if schema.get("properties").is_some() => self.object(&schema, depth)?,
            Some("array") => match schema.get("items") {
                Some(items) if depth < MAX_DEPTH => json!([self.example(items, depth + 1)?]),
                _ => json!([]),
            },
            Some("string") => text(&schema),
            Some("integer") => schema.get("minimum").map_or(json!(1), |least| least.value.clone()),
            Some("number") => schema.get("minimum").map_or(json!(1.5), |least| least.value.clone()),
            Some("boolean") => json!(true),
            _ => Value::Null,
        })
    }

    fn object(&self, schema: &At<'v>, depth: usize) -> Try<Value> {
        let mut members = Map::new();
        if depth < MAX_DEPTH {
            for (name, property) in
                schema.get("properties").map(|all| all.members()).transpose()?.unwrap_or_default()
            {
                members.insert(name.to_owned(), self.example(property, depth + 1)?);
            }
        }
        Ok(Value::Object(members))
    }

    fn merged(&self, schema: &At<'v>, all: &At<'v>, depth: usize) -> Try<Value> {
        let mut merged = Map::new();
        let own = self.object(schema, depth)?;
        let mut parts = vec![own];
        if depth < MAX_DEPTH {
            for part in all.items()? {
                parts.push(self.example(part, depth + 1)?);
            }
        }
        for part in parts {
            match part {
                Value::Object(members) => merged.extend(members),
                other if merged.is_empty() => return Ok(other),
                _ => {}
            }
        }
        Ok(Value::Object(merged))
    }
}

fn text(schema: &At<'_>) -> Value {
    let format = schema.get("format").and_then(|format| format.value.as_str());
    json!(match format {
        Some("date") => "2026-01-15",
        Some("date-time") => "2026-01-15T09:30:00+08:00",
        Some("uuid") => "6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b",
        Some("email") => "someone@example.com",
        Some("uri" | "url") => "https://example.com/",
        Some("byte") => "cWlhbw==",
        _ => "string",
    })
}
