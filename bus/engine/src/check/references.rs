//! References between definitions lead somewhere.
use qiao_mappings::strict::did_you_mean;

use super::{callers as all_callers, grants as all_grants, interfaces, systems, walk};
use crate::{
    definitions::{Definitions, SystemDefinition},
    mistake::{DefinitionId, Kind, PlanMistake},
};

fn with_known<'a>(
    mistake: PlanMistake,
    word: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> PlanMistake {
    match did_you_mean(word, known) {
        Some(remedy) => mistake.with_remedy(remedy),
        None => mistake,
    }
}

/// Calls, stand-ins and forwards name an operation of a system.
pub(super) fn calls(all: &Definitions, found: &mut Vec<PlanMistake>) {
    for (id, interface) in interfaces(all) {
        let mut asked = |path: &str, system: &str, operation: &str| {
            found.extend(operation_exists(all, &id, path, system, operation));
        };
        walk::calls(interface, &mut |call, path| {
            asked(path, &call.system, &call.operation);
            if let Some(other) = call.degrade.as_ref().and_then(|degrade| degrade.alternative.as_ref()) {
                asked(&format!("{path}.degrade.alternative"), &other.system, &other.operation);
            }
        });
        if let Some(forward) = &interface.forward {
            asked("forward", &forward.system, &forward.operation);
        }
    }
}

fn operation_exists(
    all: &Definitions,
    id: &DefinitionId,
    path: &str,
    system: &str,
    operation: &str,
) -> Option<PlanMistake> {
    if all.is_unread(Kind::System, system) {
        return None;
    }
    let Some(definition) = all.systems.get(system) else {
        let mistake =
            PlanMistake::new(id.clone(), format!("{path}.system"), format!("there is no system `{system}`"));
        return Some(with_known(mistake, system, all.systems.keys().map(String::as_str)));
    };
    if definition.operations.contains_key(operation) {
        return None;
    }
    let message = format!("system `{system}` offers no operation `{operation}`");
    let mistake = PlanMistake::new(id.clone(), format!("{path}.operation"), message);
    Some(with_known(mistake, operation, definition.operations.keys().map(String::as_str)))
}

/// Every envelope a system's forms name, with its path.
pub(super) fn envelopes_named(system: &SystemDefinition) -> Vec<(String, &str)> {
    let own = (String::new(), system.request.as_ref(), system.answer.as_ref());
    let of_operations = system
        .operations
        .iter()
        .map(|(name, o)| (format!("operations.{name}."), o.request.as_ref(), o.answer.as_ref()));
    let mut named = Vec::new();
    for (prefix, request, answer) in std::iter::once(own).chain(of_operations) {
        if let Some(seal) = request.and_then(|form| form.seal.as_ref()) {
            named.push((format!("{prefix}request.seal.envelope"), seal.envelope.as_str()));
        }
        if let Some(open) = answer.and_then(|form| form.open.as_ref()) {
            named.push((format!("{prefix}answer.open.envelope"), open.envelope.as_str()));
        }
    }
    named
}

/// Forms name an envelope of their system.
pub(super) fn envelopes(all: &Definitions, found: &mut Vec<PlanMistake>) {
    for (id, system) in systems(all) {
        for (path, envelope) in envelopes_named(system) {
            if !system.envelopes.contains_key(envelope) {
                let message = format!("the system has no envelope `{envelope}`");
                let mistake = PlanMistake::new(id.clone(), path, message);
                found.push(with_known(mistake, envelope, system.envelopes.keys().map(String::as_str)));
            }
        }
    }
}

/// A caller has one credential, and its envelope exists.
pub(super) fn callers(all: &Definitions, found: &mut Vec<PlanMistake>) {
    for (id, caller) in all_callers(all) {
        let credential = &caller.credential;
        if credential.key.is_some() == credential.envelope.is_some() {
            found.push(PlanMistake::new(id.clone(), "credential", "exactly one of `key` and `envelope`"));
        }
        let Some(used) =
            credential.envelope.as_ref().filter(|used| !all.is_unread(Kind::System, &used.system))
        else {
            continue;
        };
        let Some(system) = all.systems.get(&used.system) else {
            let message = format!("there is no system `{}`", used.system);
            let mistake = PlanMistake::new(id, "credential.envelope.system", message);
            found.push(with_known(mistake, &used.system, all.systems.keys().map(String::as_str)));
            continue;
        };
        if !system.envelopes.contains_key(&used.envelope) {
            let message = format!("system `{}` has no envelope `{}`", used.system, used.envelope);
            let mistake = PlanMistake::new(id, "credential.envelope.envelope", message);
            found.push(with_known(mistake, &used.envelope, system.envelopes.keys().map(String::as_str)));
        }
    }
}

/// Whether a grant's entry covers an interface: its id, or `<provider>.*`.
pub(super) fn covers(entry: &str, interface: &str) -> bool {
    match entry.strip_suffix('*') {
        Some(provider) => provider.ends_with('.') && interface.starts_with(provider),
        None => entry == interface,
    }
}

/// Grants name a caller and interfaces that exist.
pub(super) fn grants(all: &Definitions, found: &mut Vec<PlanMistake>) {
    let unread = all.unread.iter().filter(|id| id.kind == Kind::Interface).map(|id| id.id.as_str());
    let known: Vec<&str> = all.interfaces.keys().map(String::as_str).chain(unread).collect();
    for (id, grant) in all_grants(all) {
        if !all.has(Kind::Caller, &grant.caller) {
            let message = format!("there is no caller `{}`", grant.caller);
            let mistake = PlanMistake::new(id.clone(), "caller", message);
            found.push(with_known(mistake, &grant.caller, all.callers.keys().map(String::as_str)));
        }
        for (index, entry) in grant.interfaces.iter().enumerate() {
            if !known.iter().any(|interface| covers(entry, interface)) {
                let message = format!("`{entry}` covers no interface");
                let mistake = PlanMistake::new(id.clone(), format!("interfaces[{index}]"), message);
                found.push(with_known(mistake, entry, known.iter().copied()));
            }
        }
    }
}
