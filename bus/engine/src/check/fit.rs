//! Whether what steps build and select is in the schemas that operations and contracts declare.
use qiao_mappings::{
    MappingSpec, RuleSpec,
    strict::{did_you_mean, nearest},
};
use serde_json::Value;

use super::{interfaces, walk};
use crate::{
    definitions::{Definitions, InterfaceDefinition, OperationDefinition, flow::CallStep},
    mistake::{DefinitionId, PlanMistake},
};

mod shape;

use shape::{Known, Part, parts};

/// What a call builds is what the operation accepts: every target is in `accepts`, and what `accepts` requires is built.
pub(super) fn requests(all: &Definitions, found: &mut Vec<PlanMistake>) {
    for (id, interface) in interfaces(all) {
        for ask in asks(all, interface) {
            if let (Some(accepts), Some(with)) = (&ask.operation.accepts, ask.with) {
                let path = format!("{}.with", ask.path);
                targets(&id, &with.0, &path, accepts, &[], found);
                required(&id, with, &path, accepts, found);
            }
        }
    }
}

/// One question to a partner: a call, or the stand-in of one.
struct Ask<'a> {
    path: String,
    operation: &'a OperationDefinition,
    with: Option<&'a MappingSpec>,
    answer: Option<&'a MappingSpec>,
}

/// Every call and stand-in whose operation exists.
fn asks<'a>(all: &'a Definitions, interface: &'a InterfaceDefinition) -> Vec<Ask<'a>> {
    let find =
        |system: &str, name: &str| all.systems.get(system).and_then(|system| system.operations.get(name));
    let mut asks = Vec::new();
    walk::calls(interface, &mut |call: &'a CallStep, path| {
        if let Some(operation) = find(&call.system, &call.operation) {
            let (with, answer) = (call.with.as_ref(), call.answer.as_ref());
            asks.push(Ask { path: path.to_owned(), operation, with, answer });
        }
        let other = call.degrade.as_ref().and_then(|degrade| degrade.alternative.as_ref());
        if let Some((other, operation)) = other.and_then(|o| Some((o, find(&o.system, &o.operation)?))) {
            let path = format!("{path}.degrade.alternative");
            asks.push(Ask { path, operation, with: other.with.as_ref(), answer: other.answer.as_ref() });
        }
    });
    asks
}

/// Every target of the rules, and of the rules inside them, must be known.
fn targets(
    id: &DefinitionId,
    rules: &[RuleSpec],
    path: &str,
    schema: &Value,
    above: &[Part],
    found: &mut Vec<PlanMistake>,
) {
    for (index, rule) in rules.iter().enumerate() {
        let Some(own) = parts(&rule.to) else { continue };
        let mut whole = above.to_vec();
        whole.extend(own);
        if rule.each.is_some() {
            whole.push(Part::Any);
        }
        let place = format!("{path}[{index}]");
        if let Known::No { name, known } = shape::find(schema, &whole) {
            let mistake = PlanMistake::new(
                id.clone(),
                format!("{place}.to"),
                format!("the operation accepts no `{name}`"),
            );
            found.push(match did_you_mean(&name, known.iter().map(String::as_str)) {
                Some(remedy) => mistake.with_remedy(remedy),
                None => mistake,
            });
        } else if let Some(rules) = &rule.rules {
            targets(id, &rules.0, &format!("{place}.rules"), schema, &whole, found);
        }
    }
}

/// What the schema requires at its top must be built, unless one rule builds the whole.
fn required(id: &DefinitionId, with: &MappingSpec, path: &str, schema: &Value, found: &mut Vec<PlanMistake>) {
    let targets: Vec<Vec<Part>> = with.0.iter().filter_map(|rule| parts(&rule.to)).collect();
    if targets.len() < with.0.len() || targets.iter().any(Vec::is_empty) {
        return;
    }
    let names =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let misspelt = |name: &str| {
        let known =
            || schema.get("properties").and_then(Value::as_object).into_iter().flat_map(|known| known.keys());
        let firsts = targets.iter().filter_map(|target| match &target[0] {
            Part::Name(first) if !known().any(|key| key == first) => Some(first),
            _ => None,
        });
        firsts.into_iter().any(|first| nearest(first, known().map(String::as_str)) == Some(name))
    };
    for name in names.filter(|name| !misspelt(name)) {
        if !targets.iter().any(|target| matches!(&target[0], Part::Name(first) if first == name)) {
            let message = format!("`{name}`, which the operation requires, is not built");
            let mistake = PlanMistake::new(id.clone(), path, message);
            found.push(mistake.with_remedy(format!("add a rule `to: {name}`")));
        }
    }
}

/// What is selected from the request and from answers is in their schemas.
pub(super) fn sources(all: &Definitions, found: &mut Vec<PlanMistake>) {
    for (id, interface) in interfaces(all) {
        if let Some(request) = &interface.contract.request {
            walk::steps(interface, &mut |step, path| {
                for (path, text) in selectors(step, path) {
                    found.extend(missing(&id, &path, text, "request", request, "contract.request"));
                }
            });
        }
        for ask in asks(all, interface) {
            let (Some(returns), Some(answer)) = (&ask.operation.returns, ask.answer) else { continue };
            for (path, text) in rule_selectors(&answer.0, &format!("{}.answer", ask.path)) {
                found.extend(missing(&id, &path, text, "body", returns, "the operation's `returns`"));
            }
        }
    }
}

/// The selectors of a step that read the request, with their paths.
fn selectors<'a>(step: &'a crate::definitions::Step, path: &str) -> Vec<(String, &'a str)> {
    let mut all = Vec::new();
    let mut mapping = |spec: Option<&'a MappingSpec>, part: &str| {
        all.extend(rule_selectors(spec.map_or(&[], |spec| &spec.0), &format!("{path}.{part}")));
    };
    mapping(step.map.as_ref(), "map");
    if let Some(call) = &step.call {
        mapping(call.with.as_ref(), "call.with");
        mapping(call.answer.as_ref(), "call.answer");
    }
    mapping(step.respond.as_ref().and_then(|respond| respond.map.as_ref()), "respond.map");
    let mut one = |text: Option<&'a String>, part: &str| {
        all.extend(text.map(|text| (format!("{path}.{part}"), text.as_str())));
    };
    one(step.respond.as_ref().and_then(|respond| respond.from.as_ref()), "respond.from");
    one(step.each.as_ref().map(|each| &each.over), "each.over");
    one(step.validate.as_ref().and_then(|validate| validate.of.as_ref()), "validate.of");
    all
}

fn rule_selectors<'a>(rules: &'a [RuleSpec], path: &str) -> Vec<(String, &'a str)> {
    let mut all = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let place = format!("{path}[{index}]");
        all.extend(rule.from.as_deref().map(|text| (format!("{place}.from"), text)));
        all.extend(rule.each.as_deref().map(|text| (format!("{place}.each"), text)));
        if let Some(rules) = &rule.rules {
            all.extend(rule_selectors(&rules.0, &format!("{place}.rules")));
        }
    }
    all
}

/// The mistake of a selector that reads `root` where its schema has no such member.
fn missing(
    id: &DefinitionId,
    path: &str,
    text: &str,
    root: &str,
    schema: &Value,
    schema_name: &str,
) -> Option<PlanMistake> {
    let rest = text.strip_prefix("$.")?.strip_prefix(root)?;
    if !(rest.is_empty() || rest.starts_with(['.', '['])) {
        return None;
    }
    let parts = shape::selected(rest)?;
    let Known::No { name, known } = shape::find(schema, &parts) else { return None };
    let mistake = PlanMistake::new(id.clone(), path, format!("there is no `{name}` in {schema_name}"));
    Some(match did_you_mean(&name, known.iter().map(String::as_str)) {
        Some(remedy) => mistake.with_remedy(remedy),
        None => mistake,
    })
}
