//! The documents of a running flow. Cloning one shares every document: a branch starts from its parent's and is merged back.
use std::sync::{Arc, OnceLock};

use qiao_core::CallId;
use qiao_mappings::Scope;
use serde_json::{Value, json};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

use super::outcomes::{DegradedFrom, StepOutcome};

static NULL: Value = Value::Null;

/// What stays the same all through a call.
pub(crate) struct Base {
    pub names: Arc<[Arc<str>]>,
    pub request: Arc<Value>,
    /// None where the flow reads no headers.
    pub headers: Option<Value>,
    pub caller: Arc<Value>,
    pub call: CallDocument,
}

/// `call` as flows and forms see it; built when first read.
pub(crate) struct CallDocument {
    pub id: CallId,
    pub interface: Arc<str>,
    /// Unix time, microseconds.
    pub started_us: i64,
    pub request_id: Option<Box<str>>,
    pub plan: u64,
    pub built: OnceLock<Value>,
}

impl CallDocument {
    pub fn document(&self) -> &Value {
        self.built.get_or_init(|| {
            let id = self.id.to_string();
            json!({
                "id": id,
                "traceId": id,
                "startedAt": self.started_at(),
                "interface": &*self.interface,
                "requestId": self.request_id.as_deref(),
                "plan": self.plan,
            })
        })
    }

    /// RFC 3339 in China standard time.
    fn started_at(&self) -> String {
        let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.started_us) * 1000);
        let china = UtcOffset::from_hms(8, 0, 0).unwrap_or(UtcOffset::UTC);
        moment.ok().and_then(|moment| moment.to_offset(china).format(&Rfc3339).ok()).unwrap_or_default()
    }
}

/// The documents at one place of a flow.
#[derive(Clone)]
pub(crate) struct FlowScope {
    pub base: Arc<Base>,
    slots: Vec<Option<Arc<Value>>>,
    vars: Arc<Value>,
    /// None where the flow reads none.
    outcomes: Option<Arc<Value>>,
    /// Steps answered by a stand-in, in the order they ended.
    pub degraded: Vec<(Arc<str>, DegradedFrom)>,
    /// What was written since the scope was branched off.
    written: Vec<Written>,
    /// Inside `each`: the name of the item, `parties[2]`.
    pub item: Option<Arc<str>>,
}

#[derive(Clone)]
enum Written {
    Slot(usize),
    Var(String),
    Outcome(Arc<str>),
}

impl FlowScope {
    pub fn new(base: Base, outcomes: Option<Arc<Value>>) -> Self {
        Self {
            slots: vec![None; base.names.len()],
            base: Arc::new(base),
            vars: Arc::new(Value::Object(serde_json::Map::new())),
            outcomes,
            degraded: Vec::new(),
            written: Vec::new(),
            item: None,
        }
    }

    /// A scope for a branch or an item, over the same documents.
    pub fn branch(&self) -> Self {
        Self { written: Vec::new(), degraded: Vec::new(), ..self.clone() }
    }

    /// Takes over what a branch wrote.
    pub fn merge(&mut self, branch: Self) {
        for written in branch.written {
            match &written {
                Written::Slot(slot) => self.slots[*slot].clone_from(&branch.slots[*slot]),
                Written::Var(name) => {
                    insert(&mut self.vars, name, branch.vars.get(name).cloned().unwrap_or_default());
                }
                Written::Outcome(id) => {
                    if let (Some(mine), Some(theirs)) = (&mut self.outcomes, &branch.outcomes) {
                        insert(mine, id, theirs.get(&**id).cloned().unwrap_or_default());
                    }
                }
            }
            self.written.push(written);
        }
        self.degraded.extend(branch.degraded);
    }

    /// Takes over what an item wrote beyond its own results: those stay with the item.
    pub fn merge_item(&mut self, item: Self) {
        let vars = item.written.iter().filter_map(|written| match written {
            Written::Var(name) => Some(name),
            _ => None,
        });
        for name in vars {
            self.set_var(name, item.vars.get(name).cloned().unwrap_or_default());
        }
        self.degraded.extend(item.degraded);
    }

    pub fn set(&mut self, slot: usize, document: Arc<Value>) {
        self.slots[slot] = Some(document);
        self.written.push(Written::Slot(slot));
    }

    pub fn slot(&self, slot: usize) -> Option<&Arc<Value>> {
        self.slots[slot].as_ref()
    }

    pub fn set_var(&mut self, name: &str, value: Value) {
        insert(&mut self.vars, name, value);
        self.written.push(Written::Var(name.to_owned()));
    }

    pub fn set_outcome(&mut self, id: &Arc<str>, outcome: StepOutcome) {
        if let Some(outcomes) = &mut self.outcomes {
            insert(outcomes, id, outcome.document());
            self.written.push(Written::Outcome(id.clone()));
        }
    }
}

fn insert(object: &mut Arc<Value>, name: &str, value: Value) {
    if let Value::Object(members) = Arc::make_mut(object) {
        members.insert(name.to_owned(), value);
    }
}

impl Scope for FlowScope {
    fn get(&self, name: &str) -> Option<&Value> {
        match name {
            "request" => Some(&self.base.request),
            "vars" => Some(&self.vars),
            "outcomes" => self.outcomes.as_deref(),
            "caller" => Some(&self.base.caller),
            "call" => Some(self.base.call.document()),
            "headers" => self.base.headers.as_ref(),
            _ => {
                let slot = self.base.names.iter().position(|known| **known == *name)?;
                // A step that has not run or was skipped gives null.
                Some(self.slots[slot].as_deref().unwrap_or(&NULL))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> FlowScope {
        let names: Arc<[Arc<str>]> = vec![Arc::from("a"), Arc::from("b")].into();
        let document = || Arc::new(json!({"x": 1}));
        let call = CallDocument {
            id: CallId::generate(),
            interface: "a.b".into(),
            started_us: 0,
            request_id: None,
            plan: 1,
            built: OnceLock::new(),
        };
        let base = Base { names, request: document(), headers: None, caller: document(), call };
        FlowScope::new(base, Some(Arc::new(json!({"a": {"is": "skipped"}}))))
    }

    #[test]
    fn a_branch_sees_its_parent_and_the_parent_sees_it_only_after_the_merge() {
        let mut parent = scope();
        parent.set(0, Arc::new(json!("first")));
        parent.set_var("kept", json!(1));
        let mut branch = parent.branch();
        assert_eq!(branch.get("a"), Some(&json!("first")));
        branch.set(1, Arc::new(json!("second")));
        branch.set_var("mine", json!(2));
        branch.set_outcome(&"a".into(), StepOutcome::of("ok"));
        parent.set_var("meanwhile", json!(3));
        assert_eq!(parent.get("b"), Some(&Value::Null), "known, not run yet");
        parent.merge(branch);
        assert_eq!(parent.get("b"), Some(&json!("second")));
        assert_eq!(parent.get("vars"), Some(&json!({"kept": 1, "meanwhile": 3, "mine": 2})));
        assert_eq!(parent.get("outcomes").expect("there")["a"]["is"], "ok");
        assert_eq!(parent.get("elsewhere"), None);
    }

    #[test]
    fn documents_are_shared_not_copied() {
        let parent = scope();
        let before = Arc::strong_count(&parent.base);
        let branch = parent.branch();
        assert_eq!(Arc::strong_count(&branch.base), before + 1);
    }

    #[test]
    fn an_items_results_stay_with_it_but_its_variables_are_global() {
        let mut parent = scope();
        let mut item = parent.branch();
        item.set(0, Arc::new(json!("mine")));
        item.set_var("seen", json!(true));
        parent.merge_item(item);
        assert_eq!(parent.get("a"), Some(&Value::Null));
        assert_eq!(parent.get("vars"), Some(&json!({"seen": true})));
    }
}
