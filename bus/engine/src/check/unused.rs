//! What nothing uses.
use std::collections::BTreeSet;

use super::{callers, grants, interfaces, names, references, systems, walk};
use crate::{
    definitions::Definitions,
    mistake::{DefinitionId, Kind, PlanMistake},
};

/// Every system, envelope and table is used; every caller and interface is granted. Silent while a file could not be read.
pub(super) fn definitions(all: &Definitions, found: &mut Vec<PlanMistake>) {
    if !all.unread.is_empty() {
        return;
    }
    let (systems_used, envelopes_used) = used(all);
    for (id, system) in systems(all) {
        for name in
            system.envelopes.keys().filter(|name| !envelopes_used.contains(&(id.id.clone(), (*name).clone())))
        {
            let message = format!("no form or caller uses the envelope `{name}`");
            found.push(PlanMistake::new(id.clone(), format!("envelopes.{name}"), message));
        }
        if !systems_used.contains(&id.id) {
            found.push(PlanMistake::new(id, "system", "no interface or caller uses this system"));
        }
    }
    for id in tables_unused(all) {
        found.push(PlanMistake::new(
            DefinitionId::new(Kind::Table, id),
            "table",
            "no mapping or expression reads this table",
        ));
    }
    for (id, caller) in callers(all) {
        if !caller.off && !grants(all).any(|(_, grant)| grant.caller == id.id) {
            found.push(PlanMistake::new(id, "caller", "nothing is granted to this caller"));
        }
    }
    for (id, interface) in interfaces(all) {
        let covered = |entry: &String| references::covers(entry, &id.id);
        if !interface.off && !grants(all).any(|(_, grant)| grant.interfaces.iter().any(covered)) {
            found.push(PlanMistake::new(id, "interface", "granted to no caller"));
        }
    }
}

/// The systems named, and the envelopes named by system.
fn used(all: &Definitions) -> (BTreeSet<String>, BTreeSet<(String, String)>) {
    let (mut systems_used, mut envelopes_used) = (BTreeSet::new(), BTreeSet::new());
    for (_, interface) in interfaces(all) {
        walk::calls(interface, &mut |call, _| {
            systems_used.insert(call.system.clone());
            let other = call.degrade.as_ref().and_then(|degrade| degrade.alternative.as_ref());
            systems_used.extend(other.map(|other| other.system.clone()));
        });
        systems_used.extend(interface.forward.as_ref().map(|forward| forward.system.clone()));
    }
    for (_, caller) in callers(all) {
        if let Some(envelope) = &caller.credential.envelope {
            systems_used.insert(envelope.system.clone());
            envelopes_used.insert((envelope.system.clone(), envelope.envelope.clone()));
        }
    }
    for (id, system) in systems(all) {
        let named = references::envelopes_named(system).into_iter();
        envelopes_used.extend(named.map(|(_, envelope)| (id.id.clone(), envelope.to_owned())));
    }
    (systems_used, envelopes_used)
}

/// Tables whose name stands in no text that looks something up.
fn tables_unused(all: &Definitions) -> Vec<&String> {
    let mut looked_up = String::new();
    let mut gather = |value: Result<serde_json::Value, _>| {
        let value: serde_json::Value = value.unwrap_or_default();
        names::texts(&value, "", &mut |text, _| {
            if text.contains("ookup") {
                looked_up.push_str(text);
                looked_up.push('\n');
            }
        });
    };
    all.interfaces.values().for_each(|interface| gather(serde_json::to_value(&**interface)));
    all.systems.values().for_each(|system| gather(serde_json::to_value(&**system)));
    all.tables.keys().filter(|id| !mentions(&looked_up, id)).collect()
}

/// Whether the name stands alone in the text.
fn mentions(text: &str, name: &str) -> bool {
    let part_of_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
    text.match_indices(name).any(|(at, _)| {
        !text[..at].ends_with(part_of_name) && !text[at + name.len()..].starts_with(part_of_name)
    })
}
