//! Runs a call on a plan: open, validate, flow, respond; a span each. `forward` passes bodies through unread.
pub mod answer;
mod aside;
mod ask;
mod call;
pub(crate) mod context;
mod each;
mod faults;
mod forward;
mod judge;
mod once;
mod open;
pub(crate) mod outcomes;
mod parallel;
mod scope;
pub mod spans;
mod steps;
mod wire;

#[cfg(test)]
pub(crate) mod tests;

use std::{
    sync::{Arc, OnceLock, atomic::Ordering::Relaxed},
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use qiao_core::{CallId, Fault, Outcome, SpanKind, fault_codes};
use serde_json::{Map, Value, json};

pub use answer::{DEGRADED, FaultResponse, fault_response};
pub use forward::{ForwardBody, ForwardInput, ForwardOutput, forward};
pub use once::{Arrival, IDEMPOTENCY_KEY};
pub use spans::{End, MOST_SPANS, SpanGuard, SpanLog, outcome_of};

use crate::plan::{
    CallerPlan, InterfacePlan, Plan,
    interface::{FlowPlan, Work},
    keep::Kept,
};
use context::{Bounds, CallContext, Reply, Stop};
use scope::{Base, CallDocument, FlowScope};

/// A call let in by the gateway.
pub struct CallInput<'a> {
    pub call: CallId,
    pub caller: Option<Arc<CallerPlan>>,
    /// The request's headers; credentials among them are not shown to flows.
    pub headers: &'a HeaderMap,
    pub body: Bytes,
    /// The whole call ends here.
    pub deadline: Instant,
    /// Unix time of acceptance, microseconds.
    pub started_us: i64,
    /// W3C trace context passed on to partners.
    pub traceparent: Option<Box<str>>,
    /// The caller's `X-Request-Id`.
    pub request_id: Option<Box<str>>,
    pub arrival: Arrival<'a>,
}

/// What came of a call.
pub struct CallOutput {
    pub status: StatusCode,
    /// Content type, `X-Degraded`, `Retry-After`, and what the flow added.
    pub headers: HeaderMap,
    pub body: Bytes,
    pub outcome: Outcome,
    /// Why it failed or was refused.
    pub fault: Option<Fault>,
    /// Whether a mock partner took part.
    pub mocked: bool,
    /// What the interface keeps of its calls; none where the request could not be opened either.
    pub kept: Option<Kept>,
}

/// Stand-ins named in `X-Degraded`; the others are counted.
const MOST_MARKS: usize = 8;
/// Headers that prove who calls are no business of a flow.
const CREDENTIALS: &[&str] = &["authorization", "proxy-authorization", "cookie", "x-app-key"];

/// Runs a call to its answer. Dropped before it ends, its open spans end as abandoned.
pub async fn run(
    plan: &Arc<Plan>,
    interface: &Arc<InterfacePlan>,
    input: CallInput<'_>,
    spans: &SpanLog,
) -> CallOutput {
    let deadline = tokio::time::Instant::from_std(input.deadline);
    let context = CallContext::new(input.call, deadline, input.traceparent.clone(), spans.clone());
    let mut so_far = SoFar::default();
    let ended = phases(plan, interface, &input, &context, &mut so_far).await;
    let span = spans.open(None, SpanKind::Phase, "respond".into());
    let mut output = answer(&context, ended, &so_far.degraded);
    if let (Some(keep), Some(kept)) = (&interface.keep, &mut so_far.kept) {
        keep.answer(kept, &output.body);
    }
    if let Some(ticket) = so_far.ticket.take() {
        ticket.end(&output);
    }
    let envelope = input.caller.as_ref().and_then(|caller| caller.envelope()).filter(|_| so_far.opened);
    if let Some(envelope) = envelope
        && let Err(fault) = open::seal(envelope, &input, &mut output)
    {
        // Nothing is sent in the clear that should have been sealed.
        output = fault_output(&context, fault);
    }
    output.mocked = context.mocked.load(Relaxed);
    output.kept = so_far.kept;
    let end = End::of(output.outcome).bytes(output.body.len() as u64, 0);
    span.finish(end.note(&format!("status {}", output.status.as_u16())));
    output
}

/// Whether a request that is passed through is its caller's own, and no repeat. Its body must be whole. A caller with a key has
/// proven itself already.
pub async fn prove(input: &CallInput<'_>, spans: &SpanLog) -> Result<(), Fault> {
    if input.caller.as_ref().is_some_and(|caller| caller.is_sealed()) {
        let detail = "the caller is known by its body's envelope, and a forwarded interface opens none";
        return Err(Fault::new(&fault_codes::NOT_GRANTED, detail));
    }
    if !input.caller.as_ref().is_some_and(|caller| caller.signs_requests()) {
        return Ok(());
    }
    let span = spans.open(None, SpanKind::Phase, "open".into());
    let proven = async { once::fresh(input, open::prove(input)?.stamp, input.deadline.into()).await }.await;
    span.finish(match &proven {
        Ok(()) => End::of(Outcome::Ok),
        Err(fault) => End::fault(fault),
    });
    proven
}

/// What is known of a call besides how it ended.
#[derive(Default)]
struct SoFar<'a> {
    /// The caller's envelope was opened: from then on answers are sealed.
    opened: bool,
    degraded: Vec<String>,
    kept: Option<Kept>,
    /// The request's idempotency key, taken until it ends.
    ticket: Option<once::Ticket<'a>>,
}

/// Everything before the answer.
async fn phases<'a>(
    plan: &Arc<Plan>,
    interface: &Arc<InterfacePlan>,
    input: &CallInput<'a>,
    context: &Arc<CallContext>,
    so_far: &mut SoFar<'a>,
) -> Result<(), Stop> {
    let Work::Flow(flow) = &interface.work else {
        return Err(Fault::new(&fault_codes::INTERNAL, "a forwarded interface has no flow to run").into());
    };
    let request = opened(input, context).await?;
    so_far.opened = input.caller.as_ref().is_some_and(|caller| caller.is_sealed());
    so_far.kept =
        interface.keep.as_ref().map(|keep| keep.request(&request.document, || request.bytes(input)));
    phase(context, "validate", || match &interface.request {
        Some(schema) => steps::check(schema, &request.document, true),
        None => Ok(()),
    })?;
    match once::key(input, &interface.id, || request.digest(input), context.deadline).await? {
        once::Key::None => {}
        once::Key::First(ticket) => so_far.ticket = Some(ticket),
        once::Key::Answered(reply) => {
            context.spans.skipped(None, "flow".into(), "answered as before: the same idempotency key");
            return Err(Stop::Respond(reply));
        }
    }
    let request = request.document;
    let mut scope = FlowScope::new(base(flow, interface, input, request, plan), flow.outcomes.clone());
    let span = context.spans.open(None, SpanKind::Phase, "flow".into());
    let bounds = Bounds { deadline: context.deadline, parent: span.index() };
    let ended = steps::run_steps(context, &flow.steps, &mut scope, bounds).await;
    so_far.degraded.extend(
        scope.degraded.iter().take(MOST_MARKS).map(|(step, from)| format!("{step}={}", from.as_str())),
    );
    if scope.degraded.len() > MOST_MARKS {
        so_far.degraded.push(format!("+{}", scope.degraded.len() - MOST_MARKS));
    }
    match &ended {
        Ok(()) => span.finish(End::of(Outcome::Failed).note("the flow ended without an answer")),
        Err(stop) => span.finish(steps::end_of(stop)),
    }
    ended
}

/// The request, opened and no repeat.
async fn opened(input: &CallInput<'_>, context: &CallContext) -> Result<open::Opened, Fault> {
    let span = context.spans.open(None, SpanKind::Phase, "open".into());
    let result = async {
        let opened = open::open(input)?;
        once::fresh(input, opened.proven.stamp, context.deadline).await?;
        Ok(opened)
    }
    .await;
    span.finish(match &result {
        Ok(_) => End::of(Outcome::Ok),
        Err(fault) => End::fault(fault),
    });
    result
}

fn phase<T>(
    context: &CallContext,
    name: &'static str,
    work: impl FnOnce() -> Result<T, Fault>,
) -> Result<T, Fault> {
    let span = context.spans.open(None, SpanKind::Phase, name.into());
    let result = work();
    span.finish(match &result {
        Ok(_) => End::of(Outcome::Ok),
        Err(fault) => End::fault(fault),
    });
    result
}

fn base(
    flow: &FlowPlan,
    interface: &InterfacePlan,
    input: &CallInput<'_>,
    request: Value,
    plan: &Plan,
) -> Base {
    let call = CallDocument {
        id: input.call,
        interface: interface.id.clone(),
        started_us: input.started_us,
        request_id: input.request_id.clone(),
        plan: plan.number,
        built: OnceLock::new(),
    };
    let nobody = || Arc::new(json!({"id": null, "title": null}));
    Base {
        names: flow.names.clone(),
        request: Arc::new(request),
        headers: flow.reads_headers.then(|| visible_headers(input.headers)),
        caller: input.caller.as_ref().map_or_else(nobody, |caller| caller.document.clone()),
        call,
    }
}

fn visible_headers(headers: &HeaderMap) -> Value {
    let mut document = judge::headers_document(headers);
    if let Value::Object(members) = &mut document {
        members.retain(|name, _| !CREDENTIALS.contains(&name.as_str()));
    }
    document
}

fn answer(context: &CallContext, ended: Result<(), Stop>, degraded: &[String]) -> CallOutput {
    let mut output = match ended {
        Err(Stop::Respond(reply)) => reply_output(*reply, !degraded.is_empty()),
        Err(Stop::Fault(fault)) => {
            let repeat = context.repeat_of_call(&fault);
            fault_output(context, fault.with_repeat(repeat))
        }
        Err(Stop::Fail(refusal)) => {
            let fault = Fault::new(&fault_codes::FLOW_FAILED, "the flow refused the business");
            let fault = fault.with_text(refusal.text.clone());
            let document =
                answer::refusal_document(&refusal.code, &refusal.text, context.call, fault.repeat());
            CallOutput {
                status: refusal.status,
                body: answer::to_bytes(&document),
                ..fault_output(context, fault)
            }
        }
        Ok(()) => {
            fault_output(context, Fault::new(&fault_codes::FLOW_FAULT, "the flow ended without an answer"))
        }
    };
    if !degraded.is_empty()
        && let Ok(value) = HeaderValue::from_str(&degraded.join(", "))
    {
        output.headers.insert(DEGRADED, value);
    }
    output
}

fn reply_output(reply: Reply, degraded: bool) -> CallOutput {
    let outcome = match reply.status.as_u16() {
        500.. => Outcome::Failed,
        400.. => Outcome::Refused,
        _ if degraded => Outcome::Degraded,
        _ => Outcome::Ok,
    };
    CallOutput {
        status: reply.status,
        headers: reply.headers,
        body: reply.body,
        outcome,
        fault: None,
        mocked: false,
        kept: None,
    }
}

fn fault_output(context: &CallContext, fault: Fault) -> CallOutput {
    CallOutput {
        status: answer::fault_status(&fault),
        headers: answer::fault_headers(&fault),
        body: answer::to_bytes(&answer::fault_document(&fault, context.call)),
        outcome: outcome_of(&fault),
        fault: Some(fault),
        mocked: false,
        kept: None,
    }
}

/// An empty object stands for a body that is not there.
pub(crate) fn no_document() -> Value {
    Value::Object(Map::new())
}
