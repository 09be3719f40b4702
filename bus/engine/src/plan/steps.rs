//! Compiles a flow: names become slots, texts become expressions, systems and operations become handles.
mod call;
mod compound;

use std::{collections::HashMap, sync::Arc};

use http::StatusCode;
use serde_json::{Map, Value};

use super::{
    draft::{Draft, join, unknown_root},
    flow::{BodyPlan, FailPlan, RespondPlan, StepKind, StepPlan, Steps, ValidatePlan},
    forms,
    system::SystemPlan,
};
use crate::definitions::flow::{FailStep, RespondStep, Step, ValidateStep};

/// The documents every flow sees beside its steps' results.
pub(crate) const FIXED: &[&str] = &["request", "headers", "caller", "call", "vars", "outcomes"];

/// Compiles the flow of one interface.
pub(crate) struct FlowCompiler<'a, 'd> {
    pub draft: &'a mut Draft<'d>,
    pub interface: &'a str,
    /// The systems that compiled.
    pub systems: &'a HashMap<String, Arc<SystemPlan>>,
    /// Whether a system is defined at all, also where it did not compile.
    pub defined: &'a dyn Fn(&str) -> bool,
    /// Slot names: step ids, item names and `index`.
    pub names: Vec<Arc<str>>,
    /// `outcomes` before any step ran: every step and branch skipped.
    pub outcomes: Map<String, Value>,
    /// Whether any part reads `headers`.
    pub reads_headers: bool,
    /// Whether any part reads `outcomes`.
    pub reads_outcomes: bool,
    /// Which last good answers are in use, by system.
    pub kept: Vec<(Arc<str>, u64)>,
}

impl FlowCompiler<'_, '_> {
    /// Declares every name first, so that parts may be checked against them; then compiles.
    pub fn compile(&mut self, flow: &[Step]) -> Option<Steps> {
        self.declare(flow, "flow");
        self.steps(flow, "flow", "")
    }

    fn declare(&mut self, steps: &[Step], path: &str) {
        for (index, step) in steps.iter().enumerate() {
            let place = format!("{path}[{index}]");
            if let Some(id) = &step.id {
                self.declare_step(&format!("{place}.id"), id);
            }
            for (index, arm) in step.branch.iter().flatten().enumerate() {
                self.declare(&arm.steps, &format!("{place}.branch[{index}].steps"));
            }
            for (index, branch) in step.parallel.iter().flat_map(|parallel| &parallel.branches).enumerate() {
                let place = format!("{place}.parallel.branches[{index}]");
                self.declare_outcome(&format!("{place}.name"), &branch.name);
                self.declare(&branch.steps, &format!("{place}.steps"));
            }
            if let Some(each) = &step.each {
                self.declare(&each.steps, &format!("{place}.each.steps"));
            }
        }
    }

    fn declare_step(&mut self, path: &str, id: &str) {
        if FIXED.contains(&id) {
            self.draft.wrong_so(path, format!("`{id}` names a document of every flow"), "choose another id");
        }
        self.declare_outcome(path, id);
        self.slot(id);
    }

    fn declare_outcome(&mut self, path: &str, id: &str) {
        if self.outcomes.insert(id.to_owned(), crate::run::outcomes::skipped()).is_some() {
            self.draft.wrong_so(
                path,
                format!("`{id}` is taken already"),
                "ids and branch names are unique in a flow",
            );
        }
    }

    /// The slot of a name, made if it is new.
    fn slot(&mut self, name: &str) -> usize {
        self.names.iter().position(|known| **known == *name).unwrap_or_else(|| {
            self.names.push(name.into());
            self.names.len() - 1
        })
    }

    /// Notes what a part reads and refuses documents that no step gives.
    fn reads(&mut self, path: &str, roots: &[String]) {
        self.reads_headers |= roots.iter().any(|root| root == "headers");
        self.reads_outcomes |= roots.iter().any(|root| root == "outcomes");
        let names = &self.names;
        let known = |root: &str| FIXED.contains(&root) || names.iter().any(|name| **name == *root);
        if let Some(root) = unknown_root(roots, &known) {
            let all = FIXED.iter().copied().chain(names.iter().map(|name| &**name));
            let remedy = qiao_mappings::strict::did_you_mean(root, all).unwrap_or_default();
            let message = format!("there is no document or step `{root}`");
            if remedy.is_empty() {
                self.draft.wrong(path, message);
            } else {
                self.draft.wrong_so(path, message, remedy);
            }
        }
    }

    fn steps(&mut self, steps: &[Step], path: &str, prefix: &str) -> Option<Steps> {
        let mut compiled = Vec::with_capacity(steps.len());
        for (index, step) in steps.iter().enumerate() {
            let alone =
                steps.iter().filter(|other| other.id.is_none() && kind(other) == kind(step)).count() < 2;
            let own = match &step.id {
                Some(id) => id.clone(),
                None if alone => kind(step).to_owned(),
                None => format!("{}#{}", kind(step), index + 1),
            };
            let name = if prefix.is_empty() { own } else { format!("{prefix}.{own}") };
            if let Some(step) = self.step(step, &format!("{path}[{index}]"), name, prefix) {
                compiled.push(step);
            }
        }
        (compiled.len() == steps.len()).then(|| compiled.into())
    }

    fn step(&mut self, step: &Step, path: &str, name: String, prefix: &str) -> Option<StepPlan> {
        let place = format!("{path}.when");
        let when = self.draft.condition(&place, step.when.as_ref());
        if let Some(Some(when)) = &when {
            self.reads(&place, when.roots());
        }
        // Steps inside a compound without an id are named as if they stood where it stands.
        let inner = if step.id.is_some() { name.as_str() } else { prefix };
        let kind = self.kind(step, path, &name, inner);
        let id: Option<Arc<str>> = step.id.as_deref().map(Arc::from);
        let slot = id.as_deref().map(|id| self.slot(id));
        Some(StepPlan { name: name.into(), id, slot, when: when?, kind: kind? })
    }

    fn kind(&mut self, step: &Step, path: &str, name: &str, inner: &str) -> Option<StepKind> {
        let kinds = kinds(step);
        if kinds.len() != 1 {
            let found = if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") };
            let message = format!("a step has exactly one kind; found: {found}");
            self.draft.wrong_so(path, message, format!("kinds: {}", KINDS.join(", ")));
            return None;
        }
        let at = |part: &str| format!("{path}.{part}");
        if let Some(call) = &step.call {
            return self.call(call, &at("call"), name).map(|call| StepKind::Call(Box::new(call)));
        }
        if let Some(map) = &step.map {
            let mapping = self.draft.mapping(&at("map"), map)?;
            self.reads(&at("map"), mapping.roots());
            return Some(StepKind::Map(mapping));
        }
        if let Some(set) = &step.set {
            return self.set(set, &at("set"));
        }
        if let Some(validate) = &step.validate {
            return self.validate(validate, &at("validate")).map(StepKind::Validate);
        }
        if let Some(arms) = &step.branch {
            return self.branch(arms, &at("branch"), inner);
        }
        if let Some(parallel) = &step.parallel {
            return self.parallel(parallel, &at("parallel"), inner);
        }
        if let Some(each) = &step.each {
            return self.each(each, &at("each"));
        }
        if let Some(respond) = &step.respond {
            return self.respond(respond, &at("respond")).map(|respond| StepKind::Respond(Box::new(respond)));
        }
        let fail = step.fail.as_ref()?;
        self.fail(fail, &at("fail")).map(|fail| StepKind::Fail(Box::new(fail)))
    }

    fn set(&mut self, set: &indexmap::IndexMap<String, Value>, path: &str) -> Option<StepKind> {
        let mut compiled = Vec::with_capacity(set.len());
        for (name, value) in set {
            let place = join(path, name);
            if let Some(template) = self.template(&place, value) {
                compiled.push((name.clone(), template));
            }
        }
        (compiled.len() == set.len()).then_some(StepKind::Set(compiled))
    }

    fn validate(&mut self, step: &ValidateStep, path: &str) -> Option<ValidatePlan> {
        let of = match &step.of {
            None => Some(None),
            Some(of) => self.selector(&format!("{path}.of"), of).map(Some),
        };
        let schema = self.draft.schema(&format!("{path}.schema"), &step.schema);
        Some(ValidatePlan { of: of?, schema: schema? })
    }

    fn respond(&mut self, step: &RespondStep, path: &str) -> Option<RespondPlan> {
        let body = match (&step.body, &step.from, &step.map) {
            (Some(body), None, None) => self.template(&format!("{path}.body"), body).map(BodyPlan::Template),
            (None, Some(from), None) => self.selector(&format!("{path}.from"), from).map(BodyPlan::From),
            (None, None, Some(map)) => {
                let place = format!("{path}.map");
                self.draft.mapping(&place, map).map(|mapping| {
                    self.reads(&place, mapping.roots());
                    BodyPlan::Map(mapping)
                })
            }
            _ => {
                self.draft.wrong(path, "exactly one of `body`, `from` and `map`");
                None
            }
        };
        let names = self.names.clone();
        let known = |root: &str| FIXED.contains(&root) || names.iter().any(|name| **name == *root);
        self.reads_headers |= step.headers.values().any(|text| text.contains("headers"));
        self.reads_outcomes |= step.headers.values().any(|text| text.contains("outcomes"));
        let headers = forms::headers(self.draft, &format!("{path}.headers"), &step.headers, &known);
        let status = self.status(&format!("{path}.status"), step.status.unwrap_or(200));
        Some(RespondPlan { status: status?, body: body?, headers: headers? })
    }

    fn fail(&mut self, step: &FailStep, path: &str) -> Option<FailPlan> {
        let code = self.template(&format!("{path}.code"), &Value::from(step.code.as_str()));
        let text = self.template(&format!("{path}.text"), &Value::from(step.text.as_str()));
        let status = self.status(&format!("{path}.status"), step.status.unwrap_or(422));
        Some(FailPlan { code: code?, text: text?, status: status? })
    }

    fn status(&mut self, path: &str, status: u16) -> Option<StatusCode> {
        let found = StatusCode::from_u16(status).ok().filter(|status| status.as_u16() >= 200);
        if found.is_none() {
            self.draft.wrong(path, format!("{status} is not a status an answer can have"));
        }
        found
    }

    fn template(&mut self, path: &str, value: &Value) -> Option<qiao_mappings::Template> {
        let template = self.draft.template(path, value)?;
        self.reads(path, template.roots());
        Some(template)
    }

    fn selector(&mut self, path: &str, text: &str) -> Option<qiao_mappings::Selector> {
        let selector = self.draft.selector(path, text)?;
        self.reads(path, selector.roots());
        Some(selector)
    }
}

const KINDS: &[&str] = &["call", "map", "set", "validate", "branch", "parallel", "each", "respond", "fail"];

fn kinds(step: &Step) -> Vec<&'static str> {
    let present = [
        step.call.is_some(),
        step.map.is_some(),
        step.set.is_some(),
        step.validate.is_some(),
        step.branch.is_some(),
        step.parallel.is_some(),
        step.each.is_some(),
        step.respond.is_some(),
        step.fail.is_some(),
    ];
    KINDS.iter().zip(present).filter_map(|(kind, present)| present.then_some(*kind)).collect()
}

fn kind(step: &Step) -> &'static str {
    kinds(step).first().copied().unwrap_or("step")
}
