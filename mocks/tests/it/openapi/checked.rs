//! An admin API whose every answer is held against the document.
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use jsonschema::Validator;
use qiao_mappings::strict::Source;
use serde_json::{Map, Value, json};

use crate::help::{Client, Mocks, Reply};

/// `docs/openapi/mocks.yaml`.
pub fn document() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi/mocks.yaml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let source = Source::read("mocks.yaml", &text).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    source.value().clone()
}

/// The API of a server, and which statuses of which operations were seen.
pub struct Checked<'m> {
    mocks: &'m Mocks,
    document: Value,
    /// The document's schemas, with no member allowed that they do not name.
    schemas: Value,
    pub seen: BTreeMap<(String, String), BTreeSet<u16>>,
}

impl<'m> Checked<'m> {
    pub fn over(mocks: &'m Mocks) -> Self {
        let document = document();
        let mut schemas = document["components"]["schemas"].clone();
        for (_, schema) in schemas.as_object_mut().expect("schemas") {
            forbid_others(schema);
        }
        // As one part of a whole entry it does not name the other's members; the whole does.
        let part = schemas["JournalEntry"].as_object_mut().expect("a schema");
        part.remove("additionalProperties");
        schemas["WholeEntry"]["unevaluatedProperties"] = false.into();
        let rest = schemas["WholeEntry"]["allOf"][1].as_object_mut().expect("a schema");
        rest.remove("additionalProperties");
        Self { mocks, document, schemas, seen: BTreeMap::new() }
    }

    /// Asks, and holds the request and the answer against the document.
    pub async fn ask(&mut self, status: u16, method: &str, path: &str, body: Value) -> Value {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        if status < 400 && !body.is_null() {
            self.hold_request(method, path, &body);
        }
        let reply = self.send(status, method, path, &[("content-type", "application/json")], &text).await;
        if reply.body.is_empty() { Value::Null } else { reply.json() }
    }

    pub async fn send(
        &mut self,
        status: u16,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let mut client = Client::to(self.mocks.server.admin_addr().expect("an admin API")).await;
        let reply = client.send(method, path, headers, body).await.expect("an answer");
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.text());
        let template = self.template(path);
        let responses = &self.document["paths"][&template][method.to_lowercase()]["responses"];
        let response = responses.get(status.to_string()).or_else(|| responses.get("default"));
        let response = response.unwrap_or_else(|| panic!("{method} {template} does not document {status}"));
        let response = match response["$ref"].as_str() {
            Some(reference) => self.document.pointer(&reference[1..]).expect("a response"),
            None => response,
        };
        if let Some(schema) = response["content"].get("application/json") {
            let kind = reply.header("content-type").unwrap_or_default();
            assert!(kind.starts_with("application/json"), "{method} {path} {status}: {kind}");
            let mut schema = schema["schema"].clone();
            forbid_others(&mut schema);
            self.hold(&schema, &reply.json(), &format!("{method} {path} {status}"));
        }
        self.seen.entry((template, method.to_owned())).or_default().insert(status);
        reply
    }

    fn hold_request(&self, method: &str, path: &str, body: &Value) {
        let operation = &self.document["paths"][&self.template(path)][method.to_lowercase()];
        let schema = operation["requestBody"]["content"].get("application/json");
        let schema = schema.unwrap_or_else(|| panic!("{method} {path} documents no body"));
        let mut schema = schema["schema"].clone();
        forbid_others(&mut schema);
        self.hold(&schema, body, &format!("the request {method} {path}"));
    }

    fn hold(&self, schema: &Value, document: &Value, what: &str) {
        let whole = json!({"components": {"schemas": self.schemas}, "allOf": [schema]});
        let validator: Validator =
            jsonschema::validator_for(&whole).unwrap_or_else(|error| panic!("{what}: {error}"));
        let wrong: Vec<String> = validator
            .iter_errors(document)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(wrong.is_empty(), "{what} is not as documented: {wrong:#?}\n{document:#}");
    }

    /// The documented path that a path is one of; one without parameters before others.
    fn template(&self, path: &str) -> String {
        let path = path.split('?').next().unwrap_or_default();
        let fits = |template: &&String| {
            let (wanted, seen): (Vec<&str>, Vec<&str>) =
                (template.split('/').collect(), path.split('/').collect());
            let same = |(wanted, seen): (&&str, &&str)| wanted.starts_with('{') || wanted == seen;
            wanted.len() == seen.len() && wanted.iter().zip(&seen).all(same)
        };
        let paths: &Map<String, Value> = self.document["paths"].as_object().expect("paths");
        let found = paths.keys().filter(fits).min_by_key(|template| template.matches('{').count());
        found.unwrap_or_else(|| panic!("{path} is not documented")).clone()
    }

    /// What was not exercised: operations without a success or without a refusal, and documented statuses never seen.
    pub fn unseen(&self) -> Vec<String> {
        let mut unseen = Vec::new();
        for (path, method, operation) in super::operations(&self.document) {
            let seen = self.seen.get(&(path.clone(), method.clone())).cloned().unwrap_or_default();
            let place = format!("{method} {path}");
            if !seen.iter().any(|status| *status < 400) {
                unseen.push(format!("{place}: no success"));
            }
            if !seen.iter().any(|status| *status >= 400) {
                unseen.push(format!("{place}: no refusal"));
            }
            for status in operation["responses"].as_object().expect("responses").keys() {
                if status.parse::<u16>().is_ok_and(|status| !seen.contains(&status)) {
                    unseen.push(format!("{place}: {status} never came"));
                }
            }
        }
        unseen
    }
}

/// Refuses members that a schema does not name, so that an answer with an undocumented one is found.
fn forbid_others(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.values_mut().for_each(forbid_others);
            if members.get("properties").is_some_and(Value::is_object)
                && !members.contains_key("additionalProperties")
            {
                members.insert("additionalProperties".to_owned(), false.into());
            }
        }
        Value::Array(values) => values.iter_mut().for_each(forbid_others),
        _ => {}
    }
}
