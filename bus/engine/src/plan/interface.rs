//! An interface, compiled: where it is exposed, what it accepts, and the flow or the operation behind it.
use std::{collections::HashMap, sync::Arc, time::Duration};

use http::Method;
use jsonschema::Validator;
use qiao_core::RecordPolicy;
use serde_json::{Map, Value};

use super::{
    draft::Draft,
    flow::Steps,
    keep::KeepPlan,
    steps::FlowCompiler,
    system::{self, OperationPlan, SystemPlan},
};
use crate::definitions::{InterfaceDefinition, interface::Forward};

const DEADLINE: Duration = Duration::from_secs(10);
const BODY_BYTES: u64 = 1 << 20;

/// One interface of a plan.
pub struct InterfacePlan {
    pub id: Arc<str>,
    pub definition: Arc<InterfaceDefinition>,
    /// The exact path, or with [`InterfacePlan::prefix`] what paths begin with, its last `/` included.
    pub path: String,
    /// Whether the exposed path ended in `/*`.
    pub prefix: bool,
    pub methods: Vec<Method>,
    /// Bound on the whole call.
    pub deadline: Duration,
    /// Bound on the request body.
    pub body_bytes: u64,
    pub record: RecordPolicy,
    /// What of a call is kept with its record; none where nothing is.
    pub(crate) keep: Option<KeepPlan>,
    /// Switched off.
    pub off: bool,
    pub(crate) request: Option<Validator>,
    pub(crate) work: Work,
}

/// What an interface does with a call.
pub(crate) enum Work {
    Flow(FlowPlan),
    Forward(ForwardPlan),
}

pub(crate) struct FlowPlan {
    pub steps: Steps,
    /// Names of the slots.
    pub names: Arc<[Arc<str>]>,
    /// `outcomes` before any step ran; none where no step reads it.
    pub outcomes: Option<Arc<Value>>,
    pub reads_headers: bool,
}

pub(crate) struct ForwardPlan {
    pub system: Arc<SystemPlan>,
    pub operation: Arc<OperationPlan>,
    pub span: Arc<str>,
}

impl InterfacePlan {
    /// Whether bodies are passed through unread: use `forward`, not `run`.
    pub fn is_forward(&self) -> bool {
        matches!(self.work, Work::Forward(_))
    }
}

/// Compiles one interface. `kept` gathers which last good answers are in use, by system.
pub(crate) fn compile(
    definition: &Arc<InterfaceDefinition>,
    systems: &HashMap<String, Arc<SystemPlan>>,
    defined: &dyn Fn(&str) -> bool,
    kept: &mut Vec<(Arc<str>, u64)>,
    draft: &mut Draft<'_>,
) -> Option<InterfacePlan> {
    let request = match &definition.contract.request {
        None => Some(None),
        Some(schema) => draft.schema("contract.request", schema).map(Some),
    };
    if let Some(schema) = &definition.contract.answer {
        draft.schema("contract.answer", schema);
    }
    let work = match (&definition.forward, definition.flow.is_empty()) {
        (Some(forward), true) => forward_plan(forward, systems, defined, draft).map(Work::Forward),
        (None, false) => flow_plan(definition, systems, defined, kept, draft).map(Work::Flow),
        (Some(_), false) => {
            draft.wrong("flow", "exactly one of `forward` and `flow`");
            None
        }
        (None, true) => {
            draft.wrong("", "exactly one of `forward` and `flow`");
            None
        }
    };
    let keep = KeepPlan::compile(definition, draft);
    let (path, prefix) = exposure(definition, draft);
    let methods = match definition.expose.methods.as_slice() {
        [] => vec![Method::POST],
        methods => methods.iter().map(|method| system::method(*method)).collect(),
    };
    Some(InterfacePlan {
        id: definition.interface.as_str().into(),
        path,
        prefix,
        methods,
        deadline: definition.deadline.map_or(DEADLINE, |deadline| deadline.0),
        body_bytes: definition.body_bytes.map_or(BODY_BYTES, |bytes| bytes.0),
        record: definition.record.unwrap_or_default(),
        keep,
        off: definition.off,
        request: request?,
        work: work?,
        definition: definition.clone(),
    })
}

fn exposure(definition: &InterfaceDefinition, draft: &mut Draft<'_>) -> (String, bool) {
    let path = match &definition.expose.path {
        Some(path) => path.clone(),
        None => format!("/{}", definition.interface.replacen('.', "/", 1)),
    };
    match path.strip_suffix('*') {
        Some(prefix) if prefix.ends_with('/') => {
            if definition.forward.is_none() {
                let message = "only a forwarded interface may be exposed below a prefix";
                draft.wrong_so("expose.path", message, "name one path without `/*`");
            }
            (prefix.to_owned(), true)
        }
        _ if path.contains('*') => {
            draft.wrong("expose.path", "`*` may only stand at the end, after a slash");
            (path, false)
        }
        _ => (path, false),
    }
}

fn forward_plan(
    forward: &Forward,
    systems: &HashMap<String, Arc<SystemPlan>>,
    defined: &dyn Fn(&str) -> bool,
    draft: &mut Draft<'_>,
) -> Option<ForwardPlan> {
    let Some(system) = systems.get(&forward.system) else {
        if !defined(&forward.system) {
            draft.wrong("forward.system", format!("there is no system `{}`", forward.system));
        }
        return None;
    };
    let Some(operation) = system.operations.get(&forward.operation) else {
        let message = format!("system `{}` offers no `{}`", forward.system, forward.operation);
        draft.wrong("forward.operation", message);
        return None;
    };
    if operation.path.is_template() {
        let message = format!(
            "the path of `{}` takes values of a document, which a forward never reads",
            forward.operation
        );
        draft.wrong("forward.operation", message);
    }
    Some(ForwardPlan { system: system.clone(), operation: operation.clone(), span: "forward".into() })
}

fn flow_plan(
    definition: &InterfaceDefinition,
    systems: &HashMap<String, Arc<SystemPlan>>,
    defined: &dyn Fn(&str) -> bool,
    kept: &mut Vec<(Arc<str>, u64)>,
    draft: &mut Draft<'_>,
) -> Option<FlowPlan> {
    let mut compiler = FlowCompiler {
        draft,
        interface: &definition.interface,
        systems,
        defined,
        names: Vec::new(),
        outcomes: Map::new(),
        reads_headers: false,
        reads_outcomes: false,
        kept: Vec::new(),
    };
    let steps = compiler.compile(&definition.flow);
    kept.append(&mut compiler.kept);
    Some(FlowPlan {
        steps: steps?,
        names: compiler.names.into(),
        outcomes: compiler.reads_outcomes.then(|| Arc::new(Value::Object(compiler.outcomes))),
        reads_headers: compiler.reads_headers,
    })
}
