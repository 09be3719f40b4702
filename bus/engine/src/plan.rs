//! The plan: every definition compiled once into one immutable snapshot that calls run on.
mod access;
mod draft;
pub(crate) mod flow;
pub(crate) mod forms;
pub(crate) mod interface;
pub(crate) mod keep;
mod router;
pub(crate) mod steps;
pub(crate) mod system;
mod window;

#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc};

use http::Method;
use indexmap::IndexMap;
use qiao_core::Connector;
use qiao_mappings::{Table, TableSpec};
use qiao_vault::Vault;

pub use access::{CallerPlan, CallerProof, GrantPlan};
pub use interface::InterfacePlan;
pub use keep::{Kept, KeptKey};
pub use router::Routed;
pub use system::SystemPlan;
pub use window::{Window, quota_day};

use crate::{
    definitions::{Definitions, SystemDefinition},
    mistake::{DefinitionId, Kind, PlanMistake},
    partner::PartnerStatus,
};
use access::Grants;
use draft::Draft;
use router::Router;

/// Makes connectors, or gives back the one of a system that did not change.
pub trait ConnectorFactory {
    /// A connector for a system that has a protocol. Which endpoints it uses is the factory's business. The error names
    /// the place in the definition and what to do.
    fn connector(&self, id: &str, definition: &SystemDefinition) -> Result<Arc<dyn Connector>, String>;
}

/// What a plan is compiled with.
pub struct CompileContext<'a> {
    pub vault: &'a Vault,
    pub connectors: &'a dyn ConnectorFactory,
    /// The plan in force: partners keep breaker, bulkhead and last good answers where their definition did not change.
    pub previous: Option<&'a Plan>,
    /// The number the plan gets; ascending.
    pub number: u64,
}

/// A compiled set of definitions.
pub struct Plan {
    pub number: u64,
    interfaces: IndexMap<Box<str>, Arc<InterfacePlan>>,
    callers: IndexMap<Box<str>, Arc<CallerPlan>>,
    systems: IndexMap<Box<str>, Arc<SystemPlan>>,
    grants: Grants,
    router: Router,
}

impl Plan {
    /// The interface exposed at a path, exact paths before prefixes, longer prefixes before shorter.
    pub fn route(&self, method: &Method, path: &str) -> Routed {
        self.router.route(method, path)
    }

    pub fn interface(&self, id: &str) -> Option<&Arc<InterfacePlan>> {
        self.interfaces.get(id)
    }

    pub fn interfaces(&self) -> impl Iterator<Item = &Arc<InterfacePlan>> {
        self.interfaces.values()
    }

    pub fn caller(&self, id: &str) -> Option<&Arc<CallerPlan>> {
        self.callers.get(id)
    }

    pub fn callers(&self) -> impl Iterator<Item = &Arc<CallerPlan>> {
        self.callers.values()
    }

    /// The grants of a caller for an interface, in definition order; the first whose window is open counts.
    pub fn grants(&self, caller: &str, interface: &str) -> &[Arc<GrantPlan>] {
        self.grants.of(caller, interface)
    }

    pub fn system(&self, id: &str) -> Option<&Arc<SystemPlan>> {
        self.systems.get(id)
    }

    pub fn systems(&self) -> impl Iterator<Item = &Arc<SystemPlan>> {
        self.systems.values()
    }

    /// Breaker, bulkhead and queue of every system that is called.
    pub fn partner_states(&self) -> impl Iterator<Item = PartnerStatus> {
        let called = self.systems.values().filter(|system| system.connector.is_some());
        called.map(|system| system.state.status(system.id.clone()))
    }
}

/// Compiles definitions into a plan, or gives every mistake in them. Definitions that were not all read never give a plan.
pub fn compile(definitions: &Definitions, context: &CompileContext<'_>) -> Result<Plan, Vec<PlanMistake>> {
    let tables: HashMap<String, Table> = definitions
        .tables
        .iter()
        .map(|(id, table)| {
            let (title, entries) = (Some(table.title.clone()), table.entries.clone());
            let default = table.default.clone();
            (id.clone(), Table::new(&TableSpec { title, entries, default, reverse_default: None }))
        })
        .collect();
    let mut compiler =
        Compiler { definitions, context, tables: &tables, mistakes: Vec::new(), kept: Vec::new() };
    let systems = compiler.systems();
    let interfaces = compiler.interfaces(&systems);
    let router = compiler.router(&interfaces);
    let callers = compiler.callers();
    let grants = compiler.grants();
    if !compiler.mistakes.is_empty() || !definitions.unread.is_empty() {
        return Err(compiler.mistakes);
    }
    for system in systems.values() {
        let of = |(id, identity): &(Arc<str>, u64)| (*id == system.id).then_some(*identity);
        system.state.keep_only(&compiler.kept.iter().filter_map(of).collect::<Vec<_>>());
    }
    let mut systems: Vec<_> = systems.into_iter().collect();
    systems.sort_by(|(left, _), (right, _)| left.cmp(right));
    Ok(Plan {
        number: context.number,
        interfaces: interfaces.into_iter().map(|interface| (Box::from(&*interface.id), interface)).collect(),
        callers: callers.into_iter().map(|caller| (Box::from(&*caller.id), Arc::new(caller))).collect(),
        systems: systems.into_iter().map(|(id, system)| (id.into(), system)).collect(),
        grants,
        router,
    })
}

struct Compiler<'a> {
    definitions: &'a Definitions,
    context: &'a CompileContext<'a>,
    tables: &'a HashMap<String, Table>,
    mistakes: Vec<PlanMistake>,
    /// Which last good answers are in use, by system.
    kept: Vec<(Arc<str>, u64)>,
}

impl<'a> Compiler<'a> {
    /// Compiles one definition and takes over its mistakes.
    fn draft<T>(&mut self, kind: Kind, id: &str, compile: impl FnOnce(&mut Draft<'a>) -> T) -> T {
        let mut draft = Draft::new(DefinitionId::new(kind, id), self.tables);
        let compiled = compile(&mut draft);
        self.mistakes.append(&mut draft.mistakes);
        compiled
    }

    fn systems(&mut self) -> HashMap<String, Arc<SystemPlan>> {
        let (definitions, context) = (self.definitions, self.context);
        let mut compiled = HashMap::with_capacity(definitions.systems.len());
        for (id, definition) in &definitions.systems {
            let system =
                self.draft(Kind::System, id, |draft| system::compile(id, definition, context, draft));
            if let Some(system) = system {
                compiled.insert(id.clone(), Arc::new(system));
            }
        }
        compiled
    }

    fn interfaces(&mut self, systems: &HashMap<String, Arc<SystemPlan>>) -> Vec<Arc<InterfacePlan>> {
        let definitions = self.definitions;
        let defined = |id: &str| definitions.has(Kind::System, id);
        let mut kept = std::mem::take(&mut self.kept);
        let mut compiled = Vec::with_capacity(definitions.interfaces.len());
        for (id, definition) in &definitions.interfaces {
            let interface = self.draft(Kind::Interface, id, |draft| {
                interface::compile(definition, systems, &defined, &mut kept, draft)
            });
            compiled.extend(interface.map(Arc::new));
        }
        self.kept = kept;
        compiled
    }

    fn router(&mut self, interfaces: &[Arc<InterfacePlan>]) -> Router {
        let mut router = Router::default();
        for interface in interfaces {
            if let Err(taken) = router.add(interface) {
                self.draft(Kind::Interface, &interface.id, |draft| {
                    let message = format!("`{}` is exposed there already, with a method in common", taken);
                    draft.wrong_so("expose.path", message, "choose another path or other methods");
                });
            }
        }
        router
    }

    fn callers(&mut self) -> Vec<CallerPlan> {
        let (definitions, context) = (self.definitions, self.context);
        let mut compiled = Vec::with_capacity(definitions.callers.len());
        for (id, definition) in &definitions.callers {
            let caller = self.draft(Kind::Caller, id, |draft| {
                access::compile_caller(definition, definitions, context.vault, draft)
            });
            compiled.extend(caller);
        }
        compiled
    }

    fn grants(&mut self) -> Grants {
        let definitions = self.definitions;
        let mut grants = Grants::default();
        for (id, definition) in &definitions.grants {
            self.draft(Kind::Grant, id, |draft| {
                grants.compile(definition, definitions, draft);
            });
        }
        grants
    }
}
