//! Runs the examples of interfaces and says what is wrong with an answer, member by member.
use qiao_engine::definitions::interface::{Example, Expectation};
use qiao_mappings::Expression;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::caller::{CallError, Callers, Reply};

/// What came of an interface's examples.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InterfaceResult {
    pub interface: String,
    pub title: String,
    pub examples: Vec<ExampleResult>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExampleResult {
    pub name: String,
    pub call_id: Option<String>,
    pub status: Option<u16>,
    pub ms: f64,
    /// What was not as expected; empty: it passed.
    pub wrong: Vec<String>,
}

impl InterfaceResult {
    /// An interface without examples proves nothing and does not pass.
    pub fn passed(&self) -> bool {
        !self.examples.is_empty() && self.examples.iter().all(|example| example.wrong.is_empty())
    }
}

/// Every example of every interface, or of one, in order.
pub async fn run(callers: &Callers, only: Option<&str>) -> Vec<InterfaceResult> {
    let mut results = Vec::new();
    for interface in callers.definitions().interfaces.values() {
        if interface.off || only.is_some_and(|only| only != interface.interface) {
            continue;
        }
        let mut examples = Vec::with_capacity(interface.examples.len());
        for example in &interface.examples {
            examples.push(run_one(callers, &interface.interface, example).await);
        }
        results.push(InterfaceResult {
            interface: interface.interface.clone(),
            title: interface.title.clone(),
            examples,
        });
    }
    results
}

async fn run_one(callers: &Callers, interface: &str, example: &Example) -> ExampleResult {
    match call(callers, interface, example).await {
        Ok(reply) => ExampleResult {
            name: example.name.clone(),
            call_id: reply.call_id().map(str::to_owned),
            status: Some(reply.status.as_u16()),
            ms: reply.took.as_secs_f64() * 1000.0,
            wrong: judge(&example.expect, &example.request, &reply),
        },
        Err(error) => {
            let wrong = vec![error.to_string()];
            ExampleResult { name: example.name.clone(), call_id: None, status: None, ms: 0.0, wrong }
        }
    }
}

async fn call(callers: &Callers, interface: &str, example: &Example) -> Result<Reply, CallError> {
    let definition = callers.interface(interface)?;
    let caller = callers.caller(Some(&example.caller), interface)?;
    callers.call(definition, caller, example.request.to_string().into()).await
}

/// What in a reply is not as expected.
pub fn judge(expect: &Expectation, request: &Value, reply: &Reply) -> Vec<String> {
    let mut wrong = Vec::new();
    let (status, wanted) = (reply.status.as_u16(), expect.status.unwrap_or(200));
    if status != wanted {
        wrong.push(format!("status is {status}, expected {wanted}"));
    }
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
    if let Some(wanted) = &expect.body {
        differences("body", wanted, &body, &mut wrong);
    }
    let headers: Map<String, Value> = reply
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), json!(String::from_utf8_lossy(value.as_bytes()))))
        .collect();
    let scope = [
        ("status", json!(status)),
        ("headers", Value::Object(headers)),
        ("body", body),
        ("request", request.clone()),
    ];
    let scope: Map<String, Value> = scope.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    for condition in &expect.that {
        if let Some(text) = unmet(condition, &scope) {
            wrong.push(text);
        }
    }
    wrong
}

fn unmet(condition: &str, scope: &Map<String, Value>) -> Option<String> {
    let holds = Expression::parse(condition).map_err(|error| error.to_string());
    let holds = holds.and_then(|expression| expression.eval_bool(scope).map_err(|error| error.to_string()));
    match holds {
        Ok(true) => None,
        Ok(false) => Some(format!("does not hold: {condition}")),
        Err(error) => Some(format!("{condition}: {error}")),
    }
}

/// Members wanted that are missing or differ. Values of the answer are not shown: they may be personal data.
fn differences(path: &str, wanted: &Value, found: &Value, wrong: &mut Vec<String>) {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            for (name, wanted) in wanted {
                let path = format!("{path}.{name}");
                match found.get(name) {
                    Some(found) => differences(&path, wanted, found, wrong),
                    None => wrong.push(format!("{path} is missing")),
                }
            }
        }
        _ if wanted == found => {}
        _ => wrong.push(format!("{path} is not {wanted}")),
    }
}
