//! Walks a flow with the path of every step, and lists what a step reads and where.
use qiao_mappings::{Expression, Mapping, MappingSpec, Selector, Table, Tables, Template};
use serde_json::Value;

use crate::definitions::{
    flow::{CallStep, Step},
    interface::InterfaceDefinition,
};

/// Calls `visit` for every step with its path, those inside other steps after them.
pub(super) fn steps<'a>(interface: &'a InterfaceDefinition, visit: &mut dyn FnMut(&'a Step, &str)) {
    below(&interface.flow, "flow", visit);
}

fn below<'a>(steps: &'a [Step], path: &str, visit: &mut dyn FnMut(&'a Step, &str)) {
    for (index, step) in steps.iter().enumerate() {
        let place = format!("{path}[{index}]");
        visit(step, &place);
        for (steps, path) in inner(step, &place) {
            below(steps, &path, visit);
        }
    }
}

/// The lists of steps inside a step, with their paths.
pub(super) fn inner<'a>(step: &'a Step, place: &str) -> Vec<(&'a [Step], String)> {
    let mut lists: Vec<(&[Step], String)> = Vec::new();
    for (index, arm) in step.branch.iter().flatten().enumerate() {
        lists.push((&arm.steps, format!("{place}.branch[{index}].steps")));
    }
    for (index, branch) in step.parallel.iter().flat_map(|parallel| &parallel.branches).enumerate() {
        lists.push((&branch.steps, format!("{place}.parallel.branches[{index}].steps")));
    }
    if let Some(each) = &step.each {
        lists.push((&each.steps, format!("{place}.each.steps")));
    }
    lists
}

/// Calls `visit` for every call step with the path of its `call`.
pub(super) fn calls<'a>(interface: &'a InterfaceDefinition, visit: &mut dyn FnMut(&'a CallStep, &str)) {
    steps(interface, &mut |step, path| {
        if let Some(call) = &step.call {
            visit(call, &format!("{path}.call"));
        }
    });
}

/// One text or rule of a step and the documents it reads.
pub(super) struct Reading {
    pub path: String,
    pub roots: Vec<String>,
}

/// Everything a step itself reads (not the steps inside it), but for `each.collect`. What does not compile reads nothing: the
/// compiler reports it.
pub(super) fn readings(step: &Step, path: &str) -> Vec<Reading> {
    let mut all = Readings(Vec::new());
    let at = |part: &str| format!("{path}.{part}");
    all.expression(&at("when"), step.when.as_deref());
    if let Some(call) = &step.call {
        all.call(call, &at("call"));
    }
    all.mapping(&at("map"), step.map.as_ref(), None);
    for (name, value) in step.set.iter().flatten() {
        all.template(&at(&format!("set.{name}")), Some(value));
    }
    if let Some(validate) = &step.validate {
        all.selector(&at("validate.of"), validate.of.as_deref());
    }
    for (index, arm) in step.branch.iter().flatten().enumerate() {
        all.expression(&at(&format!("branch[{index}].when")), arm.when.as_deref());
    }
    if let Some(each) = &step.each {
        all.selector(&at("each.over"), Some(&each.over));
    }
    if let Some(respond) = &step.respond {
        all.template(&at("respond.body"), respond.body.as_ref());
        all.selector(&at("respond.from"), respond.from.as_deref());
        all.mapping(&at("respond.map"), respond.map.as_ref(), None);
        for (name, text) in &respond.headers {
            all.text(&at(&format!("respond.headers.{name}")), text);
        }
    }
    if let Some(fail) = &step.fail {
        all.text(&at("fail.code"), &fail.code);
        all.text(&at("fail.text"), &fail.text);
    }
    all.0
}

/// What `each.collect` reads.
pub(super) fn collected(step: &Step, path: &str) -> Vec<Reading> {
    let mut all = Readings(Vec::new());
    all.template(&format!("{path}.each.collect"), step.each.as_ref().and_then(|each| each.collect.as_ref()));
    all.0
}

struct Readings(Vec<Reading>);

impl Readings {
    fn add(&mut self, path: &str, roots: &[String]) {
        if !roots.is_empty() {
            self.0.push(Reading { path: path.to_owned(), roots: roots.to_vec() });
        }
    }

    fn call(&mut self, call: &CallStep, path: &str) {
        self.mapping(&format!("{path}.with"), call.with.as_ref(), None);
        self.mapping(&format!("{path}.answer"), call.answer.as_ref(), Some("body"));
        let Some(degrade) = &call.degrade else { return };
        if let Some(alternative) = &degrade.alternative {
            self.mapping(&format!("{path}.degrade.alternative.with"), alternative.with.as_ref(), None);
            self.mapping(
                &format!("{path}.degrade.alternative.answer"),
                alternative.answer.as_ref(),
                Some("body"),
            );
        }
        let key = degrade.last_good.as_ref().map(|kept| kept.key.as_str());
        self.expression(&format!("{path}.degrade.lastGood.key"), key);
        self.template(&format!("{path}.degrade.static"), degrade.fixed.as_ref());
    }

    fn expression(&mut self, path: &str, text: Option<&str>) {
        if let Some(Ok(expression)) = text.map(|text| Expression::compile(text, &AnyTable::new())) {
            self.add(path, expression.roots());
        }
    }

    fn selector(&mut self, path: &str, text: Option<&str>) {
        if let Some(Ok(selector)) = text.map(Selector::parse) {
            self.add(path, selector.roots());
        }
    }

    fn template(&mut self, path: &str, value: Option<&Value>) {
        if let Some(Ok(template)) = value.map(|value| Template::compile_with(value, &AnyTable::new())) {
            self.add(path, template.roots());
        }
    }

    fn text(&mut self, path: &str, text: &str) {
        self.template(path, Some(&Value::from(text)));
    }

    /// Rule by rule, so that a mistake stands at its rule. `given` is a document only this mapping sees.
    fn mapping(&mut self, path: &str, spec: Option<&MappingSpec>, given: Option<&str>) {
        for (index, rule) in spec.iter().flat_map(|spec| &spec.0).enumerate() {
            if let Ok(mapping) = Mapping::compile(&MappingSpec(vec![rule.clone()]), &AnyTable::new()) {
                let roots: Vec<String> =
                    mapping.roots().iter().filter(|root| Some(root.as_str()) != given).cloned().collect();
                self.add(&format!("{path}[{index}]"), &roots);
            }
        }
    }
}

/// Stands for every code table: whether one exists is not asked here.
pub(super) struct AnyTable(Table);

impl AnyTable {
    pub fn new() -> Self {
        Self(Table::new(&qiao_mappings::TableSpec::default()))
    }
}

impl Tables for AnyTable {
    fn table(&self, _: &str) -> Option<&Table> {
        Some(&self.0)
    }
}
