//! Walks a flow: one span and one outcome per step.
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use jsonschema::Validator;
use qiao_core::{BoxFuture, Fault, Outcome, SpanKind, fault_codes};
use qiao_mappings::Template;
use serde_json::Value;

use super::{
    answer::{JSON, to_bytes},
    call,
    context::{Bounds, CallContext, Refusal, Reply, Stop},
    each, faults,
    outcomes::StepOutcome,
    parallel,
    scope::FlowScope,
    spans::End,
    wire,
};
use crate::plan::flow::{ArmPlan, BodyPlan, FailPlan, RespondPlan, StepKind, StepPlan, ValidatePlan};

/// Mistakes of a document named to the caller.
const MOST_MISTAKES: usize = 5;

/// A step that came to its end.
pub(crate) struct Done {
    pub outcome: StepOutcome,
    pub result: Option<Arc<Value>>,
    pub end: End,
}

impl Done {
    pub fn ok(result: Option<Arc<Value>>) -> Self {
        Self { outcome: StepOutcome::of("ok"), result, end: End::of(Outcome::Ok) }
    }
}

/// Runs steps one after the other. Boxed, because steps hold steps.
pub(crate) fn run_steps<'a>(
    context: &'a Arc<CallContext>,
    steps: &'a [StepPlan],
    scope: &'a mut FlowScope,
    bounds: Bounds,
) -> BoxFuture<'a, Result<(), Stop>> {
    Box::pin(async move {
        for step in steps {
            run_step(context, step, scope, bounds).await?;
        }
        Ok(())
    })
}

async fn run_step(
    context: &Arc<CallContext>,
    step: &StepPlan,
    scope: &mut FlowScope,
    bounds: Bounds,
) -> Result<(), Stop> {
    let name = match &scope.item {
        None => step.name.clone(),
        Some(item) => format!("{item}.{}", step.name).into(),
    };
    let wanted = match &step.when {
        None => Ok(true),
        Some(when) => when.eval_bool(scope).map_err(|error| faults::condition(&error, "when")),
    };
    if let Ok(false) = wanted {
        context.spans.skipped(bounds.parent, name, "its condition is false");
        return Ok(());
    }
    let span = context.spans.open(bounds.parent, SpanKind::Step, name.clone());
    let below = Bounds { parent: span.index(), ..bounds };
    let ended = match wanted {
        Ok(_) => run_kind(context, step, &name, scope, below).await,
        Err(fault) => Err(fault.into()),
    };
    match ended {
        Ok(done) => {
            if let (Some(slot), Some(result)) = (step.slot, done.result) {
                scope.set(slot, result);
            }
            if let Some(id) = &step.id {
                scope.set_outcome(id, done.outcome);
            }
            span.finish(done.end);
            Ok(())
        }
        Err(stop) => {
            if let Some(id) = &step.id {
                scope.set_outcome(id, StepOutcome::stop(&stop));
            }
            span.finish(end_of(&stop));
            Err(stop)
        }
    }
}

/// How a span ends that a stop passes through.
pub(crate) fn end_of(stop: &Stop) -> End {
    match stop {
        Stop::Respond(reply) => End::of(Outcome::Ok).note(&format!("status {}", reply.status.as_u16())),
        Stop::Fail(_) => End::fault(&Fault::new(&fault_codes::FLOW_FAILED, "the flow refused the business")),
        Stop::Fault(fault) => End::fault(fault),
    }
}

async fn run_kind(
    context: &Arc<CallContext>,
    step: &StepPlan,
    name: &Arc<str>,
    scope: &mut FlowScope,
    bounds: Bounds,
) -> Result<Done, Stop> {
    match &step.kind {
        StepKind::Call(plan) => call::run(context, plan, scope, name, bounds).await,
        StepKind::Map(mapping) => {
            let result = mapping.apply(scope).map_err(|error| faults::mapping(&error, "map"))?;
            Ok(Done::ok(Some(Arc::new(result))))
        }
        StepKind::Set(values) => set(values, scope),
        StepKind::Validate(plan) => validate(plan, scope),
        StepKind::Branch(arms) => branch(context, arms, scope, bounds).await,
        StepKind::Parallel(plan) => parallel::run(context, plan, scope, bounds).await,
        StepKind::Each(plan) => each::run(context, plan, name, scope, bounds).await,
        StepKind::Respond(plan) => Err(Stop::Respond(Box::new(respond(plan, scope)?))),
        StepKind::Fail(plan) => Err(Stop::Fail(Box::new(fail(plan, scope)?))),
    }
}

fn set(values: &[(String, Template)], scope: &mut FlowScope) -> Result<Done, Stop> {
    for (name, template) in values {
        let value = template.render(scope).map_err(|error| faults::eval(&error, "set"))?;
        scope.set_var(name, value);
    }
    Ok(Done::ok(None))
}

fn validate(plan: &ValidatePlan, scope: &FlowScope) -> Result<Done, Stop> {
    let (document, is_request) = match &plan.of {
        None => (Some(&*scope.base.request), true),
        Some(of) => (of.first(scope), of.root() == "request"),
    };
    check(&plan.schema, document.unwrap_or(&Value::Null), is_request)?;
    Ok(Done::ok(None))
}

/// Checks a document. The text for the caller names places and what is wanted there, never a value.
pub(crate) fn check(schema: &Validator, document: &Value, is_request: bool) -> Result<(), Fault> {
    if schema.is_valid(document) {
        return Ok(());
    }
    let mistakes: Vec<String> = schema
        .iter_errors(document)
        .take(MOST_MISTAKES)
        .map(|error| {
            let place = error.instance_path().as_str();
            format!("{}: {}", if place.is_empty() { "/" } else { place }, error.masked())
        })
        .collect();
    let text = mistakes.join("; ");
    if is_request {
        let caller = format!("{}：{text}", fault_codes::INVALID_REQUEST.text);
        let detail = format!("the request does not fit its schema: {text}");
        return Err(Fault::new(&fault_codes::INVALID_REQUEST, detail).with_text(caller));
    }
    Err(Fault::new(&fault_codes::FIELD_FORMAT, format!("a document does not fit its schema: {text}")))
}

async fn branch(
    context: &Arc<CallContext>,
    arms: &[ArmPlan],
    scope: &mut FlowScope,
    bounds: Bounds,
) -> Result<Done, Stop> {
    for (index, arm) in arms.iter().enumerate() {
        let holds = match &arm.when {
            None => true,
            Some(when) => when.eval_bool(scope).map_err(|error| faults::condition(&error, "branch"))?,
        };
        if holds {
            run_steps(context, &arm.steps, scope, bounds).await?;
            let end = End::of(Outcome::Ok).note(&format!("arm {}", index + 1));
            return Ok(Done { end, ..Done::ok(None) });
        }
    }
    Ok(Done { end: End::of(Outcome::Ok).note("no arm"), ..Done::ok(None) })
}

fn respond(plan: &RespondPlan, scope: &FlowScope) -> Result<Reply, Fault> {
    let body: Bytes = match &plan.body {
        BodyPlan::Template(template) => {
            to_bytes(&template.render(scope).map_err(|error| faults::eval(&error, "respond"))?)
        }
        BodyPlan::Map(mapping) => {
            to_bytes(&mapping.apply(scope).map_err(|error| faults::mapping(&error, "respond"))?)
        }
        BodyPlan::From(selector) if selector.is_singular() => {
            to_bytes(selector.first(scope).unwrap_or(&Value::Null))
        }
        BodyPlan::From(selector) => to_bytes(&selector.select(scope).into_iter().cloned().collect()),
    };
    let mut headers = wire::headers(&plan.headers, scope)?;
    headers.entry(CONTENT_TYPE).or_insert(JSON);
    Ok(Reply { status: plan.status, headers, body })
}

fn fail(plan: &FailPlan, scope: &FlowScope) -> Result<Refusal, Fault> {
    let code = wire::text(&plan.code, scope, "fail")?;
    let text = wire::text(&plan.text, scope, "fail")?;
    Ok(Refusal { code, text, status: plan.status })
}
