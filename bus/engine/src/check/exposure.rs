//! No two interfaces share a path and method.
use super::interfaces;
use crate::{
    definitions::{Definitions, InterfaceDefinition, system::Method},
    mistake::{DefinitionId, PlanMistake},
};

/// No two interfaces share a path and method.
pub(super) fn conflicts(all: &Definitions, found: &mut Vec<PlanMistake>) {
    let mut taken: Vec<(String, Vec<Method>, DefinitionId)> = Vec::new();
    for (id, interface) in interfaces(all) {
        let (path, methods) = exposed(interface);
        let place = if interface.expose.path.is_some() { "expose.path" } else { "interface" };
        if let Some(mistake) = wildcard(&id, interface, &path, place) {
            found.push(mistake);
        }
        let shared = |other: &&(String, Vec<Method>, DefinitionId)| {
            other.0 == path && other.1.iter().any(|method| methods.contains(method))
        };
        if let Some((_, _, other)) = taken.iter().find(shared) {
            let message = format!("`{path}` is the path of `{}` too", other.id);
            let mistake = PlanMistake::new(id.clone(), place, message);
            found.push(mistake.with_remedy("give one of them another `expose.path` or other `methods`"));
        }
        taken.push((path, methods, id));
    }
}

/// Path and methods on the gateway.
fn exposed(interface: &InterfaceDefinition) -> (String, Vec<Method>) {
    let path = interface.expose.path.clone();
    let path = path.unwrap_or_else(|| format!("/{}", interface.interface.replacen('.', "/", 1)));
    let methods = match interface.expose.methods.as_slice() {
        [] => vec![Method::Post],
        methods => methods.to_vec(),
    };
    (path, methods)
}

fn wildcard(
    id: &DefinitionId,
    interface: &InterfaceDefinition,
    path: &str,
    place: &str,
) -> Option<PlanMistake> {
    let fixed = path.strip_suffix("/*").unwrap_or(path);
    if fixed.contains('*') {
        let mistake = PlanMistake::new(id.clone(), place, "`*` stands only at the end, after `/`");
        return Some(mistake.with_remedy("write `/…/*`"));
    }
    if fixed.len() != path.len() && interface.forward.is_none() {
        let mistake = PlanMistake::new(id.clone(), place, "only a forwarded interface may end in `/*`");
        return Some(mistake.with_remedy("leave it out, or use `forward`"));
    }
    None
}
