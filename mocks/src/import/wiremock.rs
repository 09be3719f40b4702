//! WireMock's stub mappings: single ones, bundles under `mappings`, folders with `__files`. A file is taken over whole or not at all.
mod body;
mod request;
mod response;
mod template;

use serde_json::{Value, json};

use super::{
    at::{At, Try},
    draft::{Draft, Files, ImportReport, Part, slug},
};
use crate::spec::{ListenSpec, Proto, StateRule, StubSpec};

/// The parameter that keys scenarios: they belong to no business key.
const SCENARIO_KEY: &str = "scenario";

/// Makes a draft of every JSON file that is not below `__files`.
///
/// # Errors
/// No such file.
pub fn draft(files: &Files, partner: &str) -> Result<Draft, String> {
    let mut report = ImportReport::default();
    let mut parts = Vec::new();
    let mappings = files.iter().filter(|(name, _)| name.ends_with(".json") && !in_files(name));
    for (name, bytes) in mappings {
        match part(name, bytes, files) {
            Ok(part) => parts.push(part),
            Err(refusal) => report.refuse(name, refusal),
        }
    }
    if parts.is_empty() && report.refused.is_empty() {
        return Err("no mapping: a .json file, or a folder with `mappings` and `__files`".into());
    }
    report.note("of several stubs that match, the one with more conditions answers; WireMock takes the one added last");
    let scenarios = parts.iter().flat_map(|part| &part.stubs).any(|stub| stub.state.is_some());
    Ok(Draft {
        partner: partner.to_owned(),
        title: partner.to_owned(),
        about: "Imported from WireMock mappings.".into(),
        listen: ListenSpec::on_path("http", Proto::Http, format!("/{partner}")),
        parameters: if scenarios { vec![(SCENARIO_KEY.into(), json!("all"))] } else { Vec::new() },
        parts,
        beside: Files::new(),
        report,
    })
}

fn in_files(name: &str) -> bool {
    name.split('/').any(|part| part == "__files")
}

/// Where bodies of a mapping's file lie.
struct Context<'f> {
    /// The folder that holds `mappings` and `__files`, with its slash.
    home: &'f str,
    files: &'f Files,
    bodies: Files,
}

fn part(name: &str, bytes: &[u8], files: &Files) -> Try<Part> {
    let document: Value = match serde_json::from_slice(bytes) {
        Ok(document) => document,
        Err(error) => return At::root(&Value::Null).refuse(format!("not JSON: {error}")),
    };
    let root = At::root(&document);
    let home = name.find("mappings/").map_or("", |at| &name[..at]);
    let mut context = Context { home, files, bodies: Files::new() };
    let mappings = match root.get("mappings") {
        Some(mappings) => {
            root.only(&["mappings", "meta", "importOptions"])?;
            mappings.items()?
        }
        None => vec![root.clone()],
    };
    let stem = name.rsplit('/').next().unwrap_or(name).trim_end_matches(".json");
    let (mut stubs, mut pointers) = (Vec::new(), Vec::new());
    // The last written answers first where all else is equal.
    for mapping in mappings.iter().rev() {
        stubs.push(stub(mapping, stem, &mut context)?);
        pointers.push(mapping.pointer.clone());
    }
    Ok(Part { file: name.to_owned(), stubs, pointers, bodies: context.bodies })
}

fn stub(mapping: &At<'_>, stem: &str, context: &mut Context<'_>) -> Try<StubSpec> {
    let Some(request) = mapping.get("request") else {
        return mapping.refuse("no `request`: not a stub mapping");
    };
    mapping.only(&[
        "request",
        "response",
        "priority",
        "scenarioName",
        "requiredScenarioState",
        "newScenarioState",
        "id",
        "uuid",
        "name",
        "persistent",
        "metadata",
        "insertionIndex",
        "$schema",
    ])?;
    let name = mapping.get("name").map(|name| name.text()).transpose()?;
    let when = request::when(&request)?;
    let mut stub = StubSpec { when: Some(when), ..StubSpec::named(slug(name.unwrap_or(stem))) };
    stub.title = name.map(str::to_owned);
    if let Some(priority) = mapping.get("priority") {
        // 1 is the highest there, 5 what is meant where none is given.
        stub.priority = Some(5 - i32::try_from(priority.number()?).unwrap_or(i32::MAX / 2));
    }
    stub.state = state(mapping)?;
    if let Some(response) = mapping.get("response") {
        response::respond(&response, &mut stub, context)?;
    }
    Ok(stub)
}

fn state(mapping: &At<'_>) -> Try<Option<StateRule>> {
    let Some(scenario) = mapping.get("scenarioName") else {
        return match mapping.get("requiredScenarioState").or(mapping.get("newScenarioState")) {
            Some(state) => state.refuse("a scenario's state without `scenarioName`"),
            None => Ok(None),
        };
    };
    let named = |key: &str| -> Try<Option<String>> {
        let Some(state) = mapping.get(key) else { return Ok(None) };
        Ok(Some(match state.text()? {
            "Started" => "new".to_owned(),
            other => other.to_owned(),
        }))
    };
    let within: Vec<String> = named("requiredScenarioState")?.into_iter().collect();
    let to = named("newScenarioState")?;
    let machine = Some(scenario.text()?.to_owned());
    if within.is_empty() && to.is_none() {
        return Ok(None);
    }
    let key = Some(format!("$.partner.{SCENARIO_KEY}"));
    Ok(Some(StateRule { machine, within, to, key, ..StateRule::default() }))
}
