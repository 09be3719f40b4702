//! Finds the interface of a request: exact paths first, then the longest prefix of a forwarded interface.
use std::{collections::HashMap, sync::Arc};

use http::Method;

use super::InterfacePlan;

/// Where a request goes.
pub enum Routed {
    Found(Arc<InterfacePlan>),
    /// The path is known, the method is not accepted there.
    WrongMethod {
        allowed: Vec<Method>,
    },
    Nothing,
}

/// Every exposed path.
#[derive(Default)]
pub(crate) struct Router {
    exact: HashMap<Box<str>, Vec<Arc<InterfacePlan>>>,
    /// Prefixes ending in `/`, longest first.
    prefixes: Vec<(Box<str>, Vec<Arc<InterfacePlan>>)>,
}

impl Router {
    /// Adds an interface; the id of the one that has the same path and method already is the error.
    pub fn add(&mut self, interface: &Arc<InterfacePlan>) -> Result<(), Arc<str>> {
        let places = if interface.prefix {
            match self.prefixes.iter().position(|(prefix, _)| **prefix == *interface.path) {
                Some(index) => &mut self.prefixes[index].1,
                None => {
                    let index =
                        self.prefixes.partition_point(|(prefix, _)| prefix.len() >= interface.path.len());
                    self.prefixes.insert(index, (interface.path.as_str().into(), Vec::new()));
                    &mut self.prefixes[index].1
                }
            }
        } else {
            self.exact.entry(interface.path.as_str().into()).or_default()
        };
        let taken =
            places.iter().find(|other| other.methods.iter().any(|method| interface.methods.contains(method)));
        if let Some(taken) = taken {
            return Err(taken.id.clone());
        }
        places.push(interface.clone());
        Ok(())
    }

    pub fn route(&self, method: &Method, path: &str) -> Routed {
        if let Some(places) = self.exact.get(path) {
            return pick(places, method);
        }
        let found = self.prefixes.iter().find(|(prefix, _)| {
            path.strip_prefix(&**prefix).is_some()
                || path.len() + 1 == prefix.len() && prefix.starts_with(path)
        });
        found.map_or(Routed::Nothing, |(_, places)| pick(places, method))
    }
}

fn pick(places: &[Arc<InterfacePlan>], method: &Method) -> Routed {
    // What passes GET through passes HEAD too (RFC 9110 §9.3.2): the partner answers it.
    let heads = |place: &Arc<InterfacePlan>| place.is_forward() && place.methods.contains(&Method::GET);
    let takes = |place: &&Arc<InterfacePlan>| {
        place.methods.contains(method) || *method == Method::HEAD && heads(place)
    };
    match places.iter().find(takes) {
        Some(place) => Routed::Found(place.clone()),
        None => {
            let head = places.iter().any(heads).then_some(Method::HEAD);
            let named = places.iter().flat_map(|place| place.methods.clone());
            Routed::WrongMethod { allowed: named.chain(head).collect() }
        }
    }
}
