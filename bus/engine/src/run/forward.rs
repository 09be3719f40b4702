//! Pass-through: bodies go by unread, governed like any other call. The bus's hottest path: no JSON, no copies.
use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderMap, Method};
use http_body::{Body, Frame, SizeHint};
use qiao_core::{
    Answer, AnswerBody, CallId, Fault, Outbound, OutboundBody, Outcome, SpanKind,
    connector::{StreamBody, StreamError},
    fault_codes,
};
use qiao_mappings::Scope;
use serde_json::Value;

use super::{
    ask::{self, Entered},
    scope::CallDocument,
    spans::{End, SpanLog},
    wire,
};
use crate::{
    partner::{bulkhead::Place, retry::may_repeat},
    plan::{
        InterfacePlan, Plan,
        forms::HeaderSource,
        interface::{ForwardPlan, Work},
        system::PathPart,
    },
};

/// A call to pass through.
pub struct ForwardInput<'a> {
    pub call: CallId,
    pub method: Method,
    /// The path below the exposed prefix, without the slash the prefix ends in; still percent-encoded.
    pub rest: &'a str,
    /// The query, without `?`.
    pub query: Option<&'a str>,
    /// Passed on as they are: credentials and hop-by-hop headers are gone already.
    pub headers: HeaderMap,
    pub body: ForwardBody,
    pub deadline: Instant,
    /// Unix time of acceptance, microseconds.
    pub started_us: i64,
    pub traceparent: Option<Box<str>>,
}

/// A request body that is passed through.
pub enum ForwardBody {
    Empty,
    Whole(Bytes),
    Stream(StreamBody),
}

/// The partner's answer, its body on its way.
pub struct ForwardOutput {
    pub status: u16,
    /// As the partner sent them.
    pub headers: HeaderMap,
    /// A stream keeps the place at the partner until it ends or is dropped.
    pub body: AnswerBody,
    pub mocked: bool,
}

/// Passes a call through. One attempt, and one more for each the system's retry allows where the body is empty and the
/// operation changes nothing. Errors are those of a call step; an answer of any status is passed on, not judged.
pub async fn forward(
    whole: &Arc<Plan>,
    interface: &Arc<InterfacePlan>,
    input: ForwardInput<'_>,
    spans: &SpanLog,
) -> Result<ForwardOutput, Fault> {
    let Work::Forward(plan) = &interface.work else {
        return Err(Fault::new(&fault_codes::INTERNAL, "the interface has a flow: it is not passed through"));
    };
    let ForwardInput { call, method, rest, query, mut headers, body, deadline, started_us, traceparent } =
        input;
    if rest.split('/').any(is_dots) {
        return Err(Fault::new(&fault_codes::BAD_REQUEST, "the path holds `.` or `..` segments"));
    }
    let document = CallDocument {
        id: call,
        interface: interface.id.clone(),
        started_us,
        request_id: None,
        plan: whole.number,
        built: OnceLock::new(),
    };
    add_headers(plan, &document, &mut headers)?;
    let bound = tokio::time::Instant::from_std(deadline);
    let repeatable = matches!(body, ForwardBody::Empty) && !plan.operation.changing;
    let attempts = if repeatable { plan.system.retry.attempts } else { 1 };
    let (body, sent) = sent(body);
    let outbound = Outbound {
        operation: plan.operation.index,
        path: path(plan, rest, query),
        method,
        headers,
        body,
        deadline,
        attempt: 0,
        avoid: None,
        changing: plan.operation.changing,
        idempotency_key: plan.operation.keyed.then(|| format!("{call}-forward").into()),
        traceparent,
    };
    repeat(plan, outbound, attempts, bound, sent, spans).await
}

async fn repeat(
    plan: &ForwardPlan,
    mut outbound: Outbound,
    attempts: u32,
    bound: tokio::time::Instant,
    sent: u64,
    spans: &SpanLog,
) -> Result<ForwardOutput, Fault> {
    loop {
        let number = outbound.attempt + 1;
        let spare = (number < attempts).then(|| again(&outbound));
        let fault = match attempt(plan, outbound, bound, sent, spans).await {
            Ok(output) => return Ok(output),
            Err(fault) => fault,
        };
        let next = tokio::time::Instant::now() + plan.system.retry.wait(number, rand::random());
        let Some(spare) = spare.filter(|_| next < bound && may_repeat(&fault, false, false)) else {
            return Err(fault);
        };
        tokio::time::sleep_until(next).await;
        outbound = Outbound { attempt: number, avoid: fault.endpoint().cloned(), ..spare };
    }
}

/// The same request once more; only requests without a body are repeated.
fn again(outbound: &Outbound) -> Outbound {
    Outbound {
        operation: outbound.operation,
        path: outbound.path.clone(),
        method: outbound.method.clone(),
        headers: outbound.headers.clone(),
        body: OutboundBody::Whole(Bytes::new()),
        deadline: outbound.deadline,
        attempt: outbound.attempt,
        avoid: None,
        changing: outbound.changing,
        idempotency_key: outbound.idempotency_key.clone(),
        traceparent: outbound.traceparent.clone(),
    }
}

/// The body for the connector, and its size where it is known.
fn sent(body: ForwardBody) -> (OutboundBody, u64) {
    match body {
        ForwardBody::Empty => (OutboundBody::Whole(Bytes::new()), 0),
        ForwardBody::Whole(bytes) => {
            let sent = bytes.len() as u64;
            (OutboundBody::Whole(bytes), sent)
        }
        ForwardBody::Stream(stream) => {
            let sent = stream.size_hint().exact().unwrap_or(0);
            (OutboundBody::Stream(stream), sent)
        }
    }
}

async fn attempt(
    plan: &ForwardPlan,
    mut outbound: Outbound,
    bound: tokio::time::Instant,
    sent: u64,
    spans: &SpanLog,
) -> Result<ForwardOutput, Fault> {
    let Some(connector) = &plan.system.connector else {
        return Err(Fault::new(&fault_codes::FLOW_FAULT, "the system has no protocol"));
    };
    let entered = ask::enter(&plan.system.state, plan.operation.timeout, bound).await?;
    let Entered { place, leave, deadline, fair } = entered;
    outbound.deadline = deadline.into_std();
    let span = spans.open(None, SpanKind::Attempt, plan.span.clone());
    // The connector keeps the deadline: a second timer per call would be felt here.
    match connector.forward(outbound).await {
        Ok(answer) => {
            if matches!(answer.status, 429 | 500..) {
                leave.bad()
            } else {
                leave.good()
            }
            let received = match &answer.body {
                AnswerBody::Whole(bytes) => bytes.len() as u64,
                AnswerBody::Stream(stream) => stream.size_hint().exact().unwrap_or(0),
            };
            span.finish(End::of(Outcome::Ok).bytes(sent, received).named(answer.endpoint.clone()));
            Ok(output(answer, place))
        }
        Err(fault) => Err(ask::failed(fault, leave, span, sent, fair)),
    }
}

fn output(answer: Answer, place: Place) -> ForwardOutput {
    let body = match answer.body {
        AnswerBody::Whole(bytes) => AnswerBody::Whole(bytes),
        AnswerBody::Stream(inner) => AnswerBody::Stream(StreamBody::new(Held { inner, _place: place })),
    };
    ForwardOutput { status: answer.status, headers: answer.headers, body, mocked: answer.mocked.is_some() }
}

/// A body that keeps its place at the partner.
struct Held {
    inner: StreamBody,
    _place: Place,
}

impl Body for Held {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// `.` and `..`, also percent-encoded, would lead out of the operation's path.
fn is_dots(segment: &str) -> bool {
    let mut rest = segment;
    let mut dots = 0;
    while let Some(next) =
        rest.strip_prefix('.').or_else(|| rest.strip_prefix("%2e")).or_else(|| rest.strip_prefix("%2E"))
    {
        rest = next;
        dots += 1;
    }
    rest.is_empty() && (dots == 1 || dots == 2)
}

fn path(plan: &ForwardPlan, rest: &str, query: Option<&str>) -> String {
    let base = match plan.operation.path.0.as_slice() {
        [PathPart::Literal(base)] => base.as_str(),
        _ => "",
    };
    let mut path = String::with_capacity(base.len() + rest.len() + query.map_or(0, str::len) + 2);
    path.push_str(base);
    if !rest.is_empty() {
        if !path.ends_with('/') && !rest.starts_with('/') {
            path.push('/');
        }
        path.push_str(if path.ends_with('/') { rest.trim_start_matches('/') } else { rest });
    }
    if let Some(query) = query {
        path.push(if path.contains('?') { '&' } else { '?' });
        path.push_str(query);
    }
    path
}

/// What the headers of a system may read.
struct HeaderScope<'a> {
    plan: &'a ForwardPlan,
    call: &'a CallDocument,
}

impl Scope for HeaderScope<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        match name {
            "call" => Some(self.call.document()),
            "operation" => Some(&self.plan.operation.document),
            "parameters" => Some(&self.plan.system.parameters),
            _ => None,
        }
    }
}

fn add_headers(plan: &ForwardPlan, call: &CallDocument, headers: &mut HeaderMap) -> Result<(), Fault> {
    for header in &plan.system.headers {
        let value = match &header.value {
            HeaderSource::Fixed(value) => value.clone(),
            HeaderSource::Template(template) => {
                let scope = HeaderScope { plan, call };
                wire::header_value(header.name.as_str(), &wire::text(template, &scope, "a header")?)?
            }
        };
        headers.insert(header.name.clone(), value);
    }
    Ok(())
}
