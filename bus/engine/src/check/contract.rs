//! Contracts and the examples that prove them.
use qiao_mappings::strict;
use serde_json::Value;

use super::{grants, interfaces, references::covers, systems, walk};
use crate::{
    definitions::{
        Definitions,
        interface::{Example, InterfaceDefinition, Pattern},
    },
    mistake::{DefinitionId, Kind, PlanMistake},
};

/// Contracts, accepts, returns and validate hold JSON Schemas 2020-12.
pub(super) fn schemas(all: &Definitions, found: &mut Vec<PlanMistake>) {
    for (id, system) in systems(all) {
        for (name, operation) in &system.operations {
            schema(&id, &format!("operations.{name}.accepts"), operation.accepts.as_ref(), found);
            schema(&id, &format!("operations.{name}.returns"), operation.returns.as_ref(), found);
        }
    }
    for (id, interface) in interfaces(all) {
        schema(&id, "contract.request", interface.contract.request.as_ref(), found);
        schema(&id, "contract.answer", interface.contract.answer.as_ref(), found);
        walk::steps(interface, &mut |step, path| {
            let checked = step.validate.as_ref().map(|validate| &validate.schema);
            schema(&id, &format!("{path}.validate.schema"), checked, found);
        });
    }
}

fn schema(id: &DefinitionId, path: &str, schema: Option<&Value>, found: &mut Vec<PlanMistake>) {
    let Some(Err(error)) = schema.map(jsonschema::draft202012::new) else { return };
    let mut path = path.to_owned();
    for part in error.instance_path().as_str().split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        path += &if part.parse::<usize>().is_ok() { format!("[{part}]") } else { format!(".{part}") };
    }
    let is_type = path.ends_with(".type");
    let mistake =
        PlanMistake::new(id.clone(), path, format!("not a JSON Schema 2020-12: {}", error.masked()));
    found.push(if is_type {
        mistake.with_remedy("types are string, number, integer, boolean, array, object and null")
    } else {
        mistake
    });
}

/// A synchronous interface has examples of callers that are granted, whose requests fit the contract.
pub(super) fn examples(all: &Definitions, found: &mut Vec<PlanMistake>) {
    for (id, interface) in interfaces(all) {
        if interface.pattern == Pattern::Sync && interface.examples.is_empty() && interface.forward.is_none()
        {
            let mistake = PlanMistake::new(id.clone(), "", "a synchronous interface without examples");
            found.push(mistake.with_remedy("add `examples`: each with name, caller, request and expect"));
        }
        for (index, example) in interface.examples.iter().enumerate() {
            let path = format!("examples[{index}]");
            if interface.examples[..index].iter().any(|before| before.name == example.name) {
                let message = format!("a second example `{}`", example.name);
                found.push(PlanMistake::new(id.clone(), format!("{path}.name"), message));
            }
            found.extend(granted(all, &id, example, &path));
            if !refusal_expected(example) {
                found.extend(fits(&id, interface, example, &path));
            }
            expectations(&id, example, &path, found);
        }
    }
}

/// Examples may show refusals: what is wrong with their request is then what they show.
fn refusal_expected(example: &Example) -> bool {
    example.expect.status.is_some_and(|status| status >= 400)
}

fn granted(all: &Definitions, id: &DefinitionId, example: &Example, path: &str) -> Option<PlanMistake> {
    let path = format!("{path}.caller");
    if !all.has(Kind::Caller, &example.caller) {
        let mistake = PlanMistake::new(id.clone(), path, format!("there is no caller `{}`", example.caller));
        return Some(match strict::did_you_mean(&example.caller, all.callers.keys().map(String::as_str)) {
            Some(remedy) => mistake.with_remedy(remedy),
            None => mistake,
        });
    }
    let some_unread = all.unread.iter().any(|unread| unread.kind == Kind::Grant);
    // A grant that names nothing may be the one that was meant.
    let broken = grants(all).any(|(_, grant)| {
        !all.has(Kind::Caller, &grant.caller)
            || grant.interfaces.iter().any(|entry| !all.interfaces.keys().any(|id| covers(entry, id)))
    });
    let is_granted = grants(all).any(|(_, grant)| {
        grant.caller == example.caller && grant.interfaces.iter().any(|entry| covers(entry, &id.id))
    });
    if is_granted || broken || some_unread || refusal_expected(example) {
        return None;
    }
    let message = format!("caller `{}` is not granted this interface", example.caller);
    Some(PlanMistake::new(id.clone(), path, message).with_remedy("add it to a grant of the caller"))
}

fn fits(
    id: &DefinitionId,
    interface: &InterfaceDefinition,
    example: &Example,
    path: &str,
) -> Vec<PlanMistake> {
    let Some(schema) = &interface.contract.request else { return Vec::new() };
    let Ok(misfits) = strict::misfits(schema, &example.request) else { return Vec::new() };
    let mistake = |(below, message, remedy): (String, String, Option<String>)| {
        let place = match below.as_str() {
            "" => format!("{path}.request"),
            below if below.starts_with('[') => format!("{path}.request{below}"),
            below => format!("{path}.request.{below}"),
        };
        PlanMistake {
            remedy,
            ..PlanMistake::new(id.clone(), place, format!("does not fit contract.request: {message}"))
        }
    };
    misfits.into_iter().map(mistake).collect()
}

fn expectations(id: &DefinitionId, example: &Example, path: &str, found: &mut Vec<PlanMistake>) {
    for (index, text) in example.expect.that.iter().enumerate() {
        let place = format!("{path}.expect.that[{index}]");
        match qiao_mappings::Expression::compile(text, &walk::AnyTable::new()) {
            Err(error) => found.push(PlanMistake::new(id.clone(), place, error.message)),
            Ok(expression) => {
                let known = ["status", "headers", "body", "request"];
                if let Some(root) = expression.roots().iter().find(|root| !known.contains(&root.as_str())) {
                    let mistake =
                        PlanMistake::new(id.clone(), place, format!("there is no document `{root}` here"));
                    found.push(mistake.with_remedy(format!("known here: {}", known.join(", "))));
                }
            }
        }
    }
}
