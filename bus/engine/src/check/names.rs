//! Names within a flow: ids and branch names, and where `outcomes` speaks of them.
use std::collections::BTreeMap;

use qiao_mappings::strict::did_you_mean;

use super::{interfaces, walk};
use crate::{
    definitions::{Definitions, InterfaceDefinition, Step},
    mistake::PlanMistake,
};

/// What a step may not be called: the documents of flows, forms and frames.
pub(super) const RESERVED: [&str; 15] = [
    "request",
    "headers",
    "caller",
    "call",
    "vars",
    "outcomes",
    "item",
    "index",
    "body",
    "status",
    "wire",
    "plain",
    "sealed",
    "parameters",
    "operation",
];

/// Every id and branch name with its path, in the order of the flow.
fn named(interface: &InterfaceDefinition) -> Vec<(&str, String)> {
    let mut names = Vec::new();
    walk::steps(interface, &mut |step: &Step, path| {
        if let Some(id) = &step.id {
            names.push((id.as_str(), format!("{path}.id")));
        }
        for (index, branch) in step.parallel.iter().flat_map(|parallel| &parallel.branches).enumerate() {
            names.push((branch.name.as_str(), format!("{path}.parallel.branches[{index}].name")));
        }
    });
    names
}

/// Step ids and branch names are unique and name no document of the bus.
pub(super) fn steps(all: &Definitions, found: &mut Vec<PlanMistake>) {
    for (id, interface) in interfaces(all) {
        let mut first: BTreeMap<&str, String> = BTreeMap::new();
        for (name, path) in named(interface) {
            if RESERVED.contains(&name) {
                let message = format!("`{name}` names a document of the bus");
                let mistake = PlanMistake::new(id.clone(), path, message);
                found.push(mistake.with_remedy("choose another name"));
            } else if let Some(before) = first.get(name) {
                let message = format!("`{name}` is taken already, at {before}");
                let mistake = PlanMistake::new(id.clone(), path, message);
                found.push(mistake.with_remedy("ids and branch names are unique within an interface"));
            } else {
                first.insert(name, path);
            }
        }
        walk::steps(interface, &mut |step, path| {
            let Some(name) = step.each.as_ref().and_then(|each| each.name.as_deref()) else { return };
            if first.contains_key(name) || (name != "item" && RESERVED.contains(&name)) {
                let mistake = PlanMistake::new(
                    id.clone(),
                    format!("{path}.each.as"),
                    format!("`{name}` is taken already"),
                );
                found.push(mistake.with_remedy("choose another name"));
            }
        });
    }
}

/// `outcomes.x` names a step or branch.
pub(super) fn outcomes(all: &Definitions, found: &mut Vec<PlanMistake>) {
    for (id, interface) in interfaces(all) {
        let names: Vec<&str> = named(interface).into_iter().map(|(name, _)| name).collect();
        let flow = serde_json::to_value(&interface.flow).unwrap_or_default();
        texts(&flow, "flow", &mut |text, path| {
            for name in after(text, "outcomes.") {
                if !names.contains(&name) {
                    let message = format!("there is no step or branch `{name}`");
                    let mistake = PlanMistake::new(id.clone(), path, message);
                    found.push(match did_you_mean(name, names.iter().copied()) {
                        Some(remedy) => mistake.with_remedy(remedy),
                        None => mistake,
                    });
                }
            }
        });
    }
}

/// Every text of a value with its path.
pub(super) fn texts(value: &serde_json::Value, path: &str, visit: &mut dyn FnMut(&str, &str)) {
    match value {
        serde_json::Value::String(text) => visit(text, path),
        serde_json::Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, item)| texts(item, &format!("{path}[{index}]"), visit));
        }
        serde_json::Value::Object(keys) => {
            keys.iter().for_each(|(key, value)| texts(value, &format!("{path}.{key}"), visit));
        }
        _ => {}
    }
}

/// The identifiers that follow `prefix` where it starts a word.
fn after<'a>(text: &'a str, prefix: &str) -> Vec<&'a str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(prefix)
        .filter(|(at, _)| {
            !text[..*at].ends_with(is_word) && (!text[..*at].ends_with('.') || text[..*at].ends_with("$."))
        })
        .map(|(at, _)| &text[at + prefix.len()..])
        .map(|rest| &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())])
        .filter(|name| !name.is_empty())
        .collect()
}
