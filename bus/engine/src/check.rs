//! What must hold in a set of definitions beyond its form: one table of checks, run the same by `qiao check`, activation and publishing.
use qiao_mappings::strict::Mistake;

use crate::{
    definitions::{CallerDefinition, Definitions, GrantDefinition, InterfaceDefinition, SystemDefinition},
    load::Loaded,
    mistake::{DefinitionId, Kind, PlanMistake},
};

mod answering;
mod contract;
mod exposure;
mod fit;
mod names;
mod partner;
mod references;
mod shape;
mod unused;
mod visible;
mod walk;

/// What a finding means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Cannot be published.
    Mistake,
    /// Shown, and published all the same.
    Warning,
}

/// One check over a whole set.
pub struct Check {
    pub name: &'static str,
    /// What holds when it finds nothing.
    pub about: &'static str,
    pub severity: Severity,
    run: fn(&Definitions, &mut Vec<PlanMistake>),
}

macro_rules! checks {
    ($($severity:ident $name:literal $run:path: $about:literal,)*) => {
        &[$(Check { name: $name, about: $about, severity: Severity::$severity, run: $run },)*]
    };
}

/// Every check, in the order it runs.
pub static CHECKS: &[Check] = checks![
    Mistake "calls-resolve" references::calls: "calls, stand-ins and forwards name an operation of a system",
    Mistake "envelopes-resolve" references::envelopes: "forms name an envelope of their system",
    Mistake "callers-resolve" references::callers: "a caller has one credential, and its envelope exists",
    Mistake "grants-resolve" references::grants: "grants name a caller and interfaces that exist",
    Mistake "one-kind" shape::one_kind: "a step has exactly one kind",
    Mistake "one-answer-source" shape::one_answer_source: "a respond step builds its answer in exactly one way",
    Mistake "flow-or-forward" shape::flow_or_forward: "an interface has a flow or forwards, not both",
    Mistake "step-names" names::steps: "step ids and branch names are unique and name no document of the bus",
    Mistake "branch-arms" shape::branches: "a branch has arms, and only the last may always hold",
    Mistake "parallel-joins" shape::parallels: "a parallel step can reach its join",
    Mistake "each-bounds" shape::each: "an each step can reach its need",
    Mistake "stand-ins" shape::degrades: "a degraded answer names a stand-in",
    Mistake "earlier-results" visible::steps: "a step reads only results that are there when it runs",
    Mistake "outcomes-exist" names::outcomes: "`outcomes.x` names a step or branch",
    Mistake "always-answered" answering::always: "every path through a flow responds or fails",
    Mistake "nothing-unreachable" answering::unreachable: "nothing follows a respond or fail",
    Mistake "endpoints" partner::endpoints: "a system that is called has an address, and addresses are URLs without secrets",
    Mistake "numbers" partner::numbers: "limits, breaker, retry, health and timeouts make sense together",
    Mistake "one-credential" partner::credentials: "a system has one credential",
    Mistake "judge-order" partner::judges: "no judge rule stands behind one that always applies",
    Mistake "schemas" contract::schemas: "contracts, accepts, returns and validate hold JSON Schemas 2020-12",
    Mistake "examples" contract::examples: "a synchronous interface has examples of callers that are granted, whose requests fit the contract",
    Mistake "paths-free" exposure::conflicts: "no two interfaces share a path and method",
    Mistake "requests-fit" fit::requests: "what a call builds is what the operation accepts",
    Mistake "sources-exist" fit::sources: "what is selected from requests and answers is in their schemas",
    Warning "unused" unused::definitions: "every system, envelope and table is used; every caller and interface is granted",
    Warning "careful-retry" partner::retries: "a changing operation without a repeat key is not asked to be repeated",
    Warning "early-answers" answering::early: "a flow responds after its parallel and each steps, not inside them",
    Warning "time-enough" partner::deadlines: "a call's timeout lies within its interface's deadline",
];

/// What the checks found.
#[derive(Debug, Default)]
pub struct Checked {
    pub mistakes: Vec<PlanMistake>,
    pub warnings: Vec<PlanMistake>,
}

/// Runs every check. Of two findings at one place only the first is kept.
pub fn check(definitions: &Definitions) -> Checked {
    let mut checked = Checked::default();
    for check in CHECKS {
        let kept = match check.severity {
            Severity::Mistake => &mut checked.mistakes,
            Severity::Warning => &mut checked.warnings,
        };
        let mut found = Vec::new();
        (check.run)(definitions, &mut found);
        for finding in found {
            if !kept.iter().any(|known| known.definition == finding.definition && known.path == finding.path)
            {
                kept.push(finding);
            }
        }
    }
    checked
}

/// What reading, checking and compiling found together.
#[derive(Debug)]
pub struct Review<T> {
    /// Only when there is no mistake.
    pub plan: Option<T>,
    /// Sorted by file and place; what several of the three found appears once.
    pub mistakes: Vec<Mistake>,
    pub warnings: Vec<Mistake>,
}

/// Checks what was loaded and compiles it. Compiling is left out while files could not be read.
pub fn review<T>(
    loaded: &Loaded,
    compile: impl FnOnce(&Definitions) -> Result<T, Vec<PlanMistake>>,
) -> Review<T> {
    let mut checked = check(&loaded.definitions);
    let readable = loaded.mistakes.is_empty();
    let compiled = if readable { compile(&loaded.definitions).map(Some) } else { Ok(None) };
    let plan = compiled.unwrap_or_else(|mistakes| {
        let new: Vec<_> =
            mistakes.into_iter().filter(|m| !checked.mistakes.iter().any(|c| same(c, m))).collect();
        checked.mistakes.extend(new);
        None
    });
    let mut mistakes = loaded.mistakes.clone();
    mistakes.extend(checked.mistakes.iter().map(|mistake| loaded.located(mistake)));
    mistakes.sort();
    mistakes.dedup();
    let mut warnings: Vec<_> = checked.warnings.iter().map(|warning| loaded.located(warning)).collect();
    warnings.sort();
    Review { plan: plan.filter(|_| mistakes.is_empty()), mistakes, warnings }
}

/// Whether check and compiler mean the same: the same place, or one inside the other about the same thing.
fn same(checked: &PlanMistake, compiled: &PlanMistake) -> bool {
    let (a, b) = (checked.path.as_str(), compiled.path.as_str());
    let within = |inner: &str, outer: &str| {
        outer.is_empty() || inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with(['.', '[']))
    };
    let nested = || within(a, b) || within(b, a);
    checked.definition == compiled.definition
        && (a == b || nested() && about_the_same(&checked.message, &compiled.message))
}

/// Whether two messages name the same thing in backquotes, or both speak of a schema.
fn about_the_same(a: &str, b: &str) -> bool {
    let mut names = a.split('`').skip(1).step_by(2);
    let schema = "not a JSON Schema";
    names.any(|name| b.split('`').skip(1).step_by(2).any(|other| other == name))
        || a.starts_with(schema) && b.starts_with(schema)
}

/// Each kind with its ids, for the checks' loops.
fn systems(all: &Definitions) -> impl Iterator<Item = (DefinitionId, &SystemDefinition)> {
    all.systems.iter().map(|(id, system)| (DefinitionId::new(Kind::System, id), &**system))
}

fn interfaces(all: &Definitions) -> impl Iterator<Item = (DefinitionId, &InterfaceDefinition)> {
    all.interfaces.iter().map(|(id, interface)| (DefinitionId::new(Kind::Interface, id), &**interface))
}

fn callers(all: &Definitions) -> impl Iterator<Item = (DefinitionId, &CallerDefinition)> {
    all.callers.iter().map(|(id, caller)| (DefinitionId::new(Kind::Caller, id), &**caller))
}

fn grants(all: &Definitions) -> impl Iterator<Item = (DefinitionId, &GrantDefinition)> {
    all.grants.iter().map(|(id, grant)| (DefinitionId::new(Kind::Grant, id), &**grant))
}

#[cfg(test)]
mod tests;
