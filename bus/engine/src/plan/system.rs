//! A partner's system, compiled: its operations ready to be asked, its envelopes, its connector and its state.
use std::{collections::HashMap, sync::Arc, time::Duration};

use http::Method as HttpMethod;
use indexmap::IndexMap;
use qiao_core::Connector;
use qiao_mappings::{CodecSpec, Template};
use qiao_vault::{Envelope, Side};
use serde_json::{Value, json};

use super::{
    CompileContext,
    draft::Draft,
    forms::{self, AnswerPlan, HeaderPlan, RequestPlan, RulePlan},
};
use crate::{
    definitions::{
        OperationDefinition, SystemDefinition,
        system::{AnswerForm, Method, RequestForm},
    },
    partner::{PartnerState, retry::RetryPolicy},
};

/// Bound on one attempt where neither operation nor system declares one.
const TIMEOUT: Duration = Duration::from_secs(5);

/// One system of a plan.
pub struct SystemPlan {
    pub id: Arc<str>,
    pub definition: Arc<SystemDefinition>,
    /// None for a system that only calls the bus.
    pub connector: Option<Arc<dyn Connector>>,
    pub state: Arc<PartnerState>,
    pub(crate) operations: IndexMap<String, Arc<OperationPlan>>,
    pub(crate) envelopes: HashMap<String, Envelope>,
    pub(crate) headers: Vec<HeaderPlan>,
    pub(crate) parameters: Arc<Value>,
    pub(crate) retry: RetryPolicy,
}

/// One operation, compiled.
pub(crate) struct OperationPlan {
    /// Position in the system's definition: how the connector knows it.
    pub index: usize,
    pub method: HttpMethod,
    pub path: PathPlan,
    pub changing: bool,
    pub keyed: bool,
    pub timeout: Duration,
    /// None: a body is neither built nor sent.
    pub request: RequestPlan,
    pub answer: AnswerPlan,
    pub judge: Arc<Vec<RulePlan>>,
    /// `operation` as frames and headers see it.
    pub document: Value,
}

/// A path whose `${…}` are percent-encoded when filled in.
pub(crate) struct PathPlan(pub Vec<PathPart>);

impl PathPlan {
    pub fn is_template(&self) -> bool {
        self.0.iter().any(|part| matches!(part, PathPart::Value(_)))
    }
}

pub(crate) enum PathPart {
    Literal(String),
    Value(Template),
}

pub(crate) fn method(method: Method) -> HttpMethod {
    match method {
        Method::Get => HttpMethod::GET,
        Method::Post => HttpMethod::POST,
        Method::Put => HttpMethod::PUT,
        Method::Patch => HttpMethod::PATCH,
        Method::Delete => HttpMethod::DELETE,
    }
}

/// Compiles one system; its connector comes from the factory, its state from the previous plan where that still fits.
pub(crate) fn compile(
    id: &str,
    definition: &Arc<SystemDefinition>,
    context: &CompileContext<'_>,
    draft: &mut Draft<'_>,
) -> Option<SystemPlan> {
    let known = |root: &str| ["call", "operation", "parameters"].contains(&root);
    let headers = forms::headers(draft, "headers", &definition.headers, &known);
    let envelopes = envelopes(definition, context, draft);
    let judge = forms::judge(draft, "judge", &definition.judge).map(Arc::new);
    let mut operations = IndexMap::with_capacity(definition.operations.len());
    for (index, (name, operation)) in definition.operations.iter().enumerate() {
        if let Some(plan) = compile_operation(draft, definition, index, name, operation, judge.as_ref()) {
            operations.insert(name.clone(), Arc::new(plan));
        }
    }
    let connector = match definition.protocol {
        None => {
            if !definition.operations.is_empty() {
                draft.wrong_so(
                    "operations",
                    "a system without a protocol offers nothing",
                    "add `protocol: http`",
                );
            }
            None
        }
        Some(_) => match context.connectors.connector(id, definition) {
            Ok(connector) => Some(connector),
            Err(message) => {
                draft.wrong("", message);
                None
            }
        },
    };
    if definition.protocol.is_some() && connector.is_none() || operations.len() < definition.operations.len()
    {
        return None;
    }
    Some(SystemPlan {
        id: id.into(),
        connector,
        state: state(id, definition, context),
        operations,
        envelopes: envelopes?,
        headers: headers?,
        parameters: Arc::new(Value::Object(definition.parameters.clone().into_iter().collect())),
        retry: RetryPolicy::new(definition.retry.as_ref()),
        definition: definition.clone(),
    })
}

fn state(id: &str, definition: &SystemDefinition, context: &CompileContext<'_>) -> Arc<PartnerState> {
    match context.previous.and_then(|plan| plan.system(id)) {
        Some(before) => before.state.under(&before.definition, definition),
        None => Arc::new(PartnerState::new(definition.breaker.as_ref(), definition.limits.as_ref())),
    }
}

fn envelopes(
    definition: &SystemDefinition,
    context: &CompileContext<'_>,
    draft: &mut Draft<'_>,
) -> Option<HashMap<String, Envelope>> {
    let mut compiled = HashMap::with_capacity(definition.envelopes.len());
    for (name, spec) in &definition.envelopes {
        match Envelope::compile(spec, context.vault, Side::Bus) {
            Ok(envelope) => {
                compiled.insert(name.clone(), envelope);
            }
            Err(mistakes) => mistakes.into_iter().for_each(|mistake| {
                draft.wrong(&format!("envelopes.{name}.{}", mistake.path), mistake.message)
            }),
        }
    }
    (compiled.len() == definition.envelopes.len()).then_some(compiled)
}

fn compile_operation(
    draft: &mut Draft<'_>,
    system: &SystemDefinition,
    index: usize,
    name: &str,
    definition: &OperationDefinition,
    system_judge: Option<&Arc<Vec<RulePlan>>>,
) -> Option<OperationPlan> {
    let place = format!("operations.{name}");
    let path = path(draft, &format!("{place}.path"), &definition.path);
    let (at, form) = form_of(&place, "request", &definition.request, &system.request);
    let plain = RequestForm { wire: CodecSpec::default(), seal: None, frame: None };
    let request = forms::request(draft, &at, form.unwrap_or(&plain));
    let (at, form) = form_of(&place, "answer", &definition.answer, &system.answer);
    let plain = AnswerForm { wire: CodecSpec::default(), open: None, frame: None };
    let answer = forms::answer(draft, &at, form.unwrap_or(&plain));
    let judge = match &definition.judge {
        Some(rules) => forms::judge(draft, &format!("{place}.judge"), rules).map(Arc::new),
        None => system_judge.cloned(),
    };
    let (request, answer) = (request?, answer?);
    for (part, envelope) in [
        ("request.seal.envelope", request.seal.as_ref().map(|seal| &seal.envelope)),
        ("answer.open.envelope", answer.open.as_ref().map(|open| &open.envelope)),
    ] {
        if let Some(envelope) = envelope.filter(|name| !system.envelopes.contains_key(*name)) {
            let known: Vec<_> = system.envelopes.keys().map(String::as_str).collect();
            let message = format!("the system has no envelope `{envelope}`");
            draft.wrong_so(&format!("{place}.{part}"), message, format!("known: {}", known.join(", ")));
        }
    }
    Some(OperationPlan {
        index,
        method: method(definition.method.unwrap_or(Method::Post)),
        path: path?,
        changing: definition.changing,
        keyed: definition.idempotency_header.is_some(),
        timeout: definition.timeout.or(system.timeout).map_or(TIMEOUT, |timeout| timeout.0),
        request,
        answer,
        judge: judge?,
        document: json!({
            "id": name,
            "title": definition.title,
            "path": definition.path,
            "soapAction": definition.soap_action,
        }),
    })
}

/// An operation's own form, or else the system's, with its place.
fn form_of<'a, T>(
    operation: &str,
    part: &str,
    own: &'a Option<T>,
    system: &'a Option<T>,
) -> (String, Option<&'a T>) {
    match own {
        Some(form) => (format!("{operation}.{part}"), Some(form)),
        None => (part.to_owned(), system.as_ref()),
    }
}

fn path(draft: &mut Draft<'_>, place: &str, text: &str) -> Option<PathPlan> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(end) = rest[start..].find('}') else {
            draft.wrong(place, "`${` lacks its closing brace");
            return None;
        };
        if start > 0 {
            parts.push(PathPart::Literal(rest[..start].to_owned()));
        }
        parts.push(PathPart::Value(draft.text_template(place, &rest[start..=start + end])?));
        rest = &rest[start + end + 1..];
    }
    if !rest.is_empty() {
        parts.push(PathPart::Literal(rest.to_owned()));
    }
    Some(PathPlan(parts))
}
