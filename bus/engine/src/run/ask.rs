//! Asks one partner: attempts within the bounds of breaker, bulkhead, deadline and what is safe to repeat.
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use qiao_core::{
    Answer, AnswerBody, BoxFuture, Fault, Outbound, OutboundBody, Repeat, SpanKind, fault_codes,
};
use qiao_mappings::Layer;
use serde_json::Value;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{
    context::{Bounds, CallContext, Effect},
    faults, judge,
    scope::{CallDocument, FlowScope},
    spans::{End, SpanGuard},
    wire::{self, WireRequest},
};
use crate::{
    definitions::system::Judgement,
    partner::{
        PartnerState,
        breaker::Leave,
        bulkhead::Place,
        retry::{counts_against_partner, may_repeat},
    },
    plan::flow::AskPlan,
};

/// How long after the deadline a connector may still say how the attempt ended.
const GRACE: Duration = Duration::from_millis(100);

/// A partner's answer that lets the flow go on.
pub(crate) struct Asked {
    pub result: Arc<Value>,
    /// ok, done or partial.
    pub is: Judgement,
    pub partner_code: Option<String>,
    pub text: Option<String>,
    /// Its size on the wire.
    pub bytes: usize,
}

/// A changing attempt that is cancelled in flight may have taken effect.
struct InFlight<'a>(Option<&'a CallContext>);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if let Some(context) = self.0 {
            context.took_effect(Effect::Unknown);
        }
    }
}

/// Builds the document, asks until there is an answer or no repeat is safe, and builds the result.
pub(crate) async fn ask(
    context: &CallContext,
    ask: &AskPlan,
    scope: &FlowScope,
    name: &str,
    bounds: Bounds,
) -> Result<Asked, Fault> {
    let built;
    let plain: &Value = match &ask.with {
        None => &scope.base.request,
        Some(with) => {
            built = with.apply(scope).map_err(|error| faults::mapping(&error, "building the request"))?;
            &built
        }
    };
    let (answer, bytes) = attempts(context, ask, plain, scope, name, bounds).await?;
    let body = answer.body;
    let result = match &ask.answer {
        None => body,
        Some(mapping) => {
            let scope = Layer { parent: scope, name: "body", value: &body };
            mapping.apply(&scope).map_err(|error| faults::mapping(&error, "building the result"))?
        }
    };
    let verdict = answer.verdict;
    Ok(Asked {
        result: Arc::new(result),
        is: verdict.is,
        partner_code: verdict.code,
        text: verdict.text,
        bytes,
    })
}

async fn attempts(
    context: &CallContext,
    ask: &AskPlan,
    plain: &Value,
    scope: &FlowScope,
    name: &str,
    bounds: Bounds,
) -> Result<(judge::ReadAnswer, usize), Fault> {
    let operation = &ask.operation;
    let call = &scope.base.call;
    let key: Option<Box<str>> = operation.keyed.then(|| format!("{}-{name}", context.call).into());
    let mut request = wire::encode(ask, plain, call)?;
    let mut avoid = None;
    let mut uncertain = false;
    for number in 1.. {
        let last = number >= ask.retry.attempts;
        let request_now = if last { std::mem::take(&mut request) } else { request.clone() };
        let attempt = Attempt {
            context,
            ask,
            request: request_now,
            number: number - 1,
            avoid,
            key: &key,
            call,
            bounds,
        };
        let fault = match attempt.make().await {
            Ok(answer) => {
                if operation.changing {
                    context.took_effect(Effect::Some);
                }
                return Ok(answer);
            }
            Err(fault) => fault,
        };
        uncertain |= operation.changing && fault.repeat() == Repeat::Unknown;
        let wait = ask.retry.wait(number, rand::random()).max(fault.retry_after().unwrap_or_default());
        let next = Instant::now() + wait;
        if last || next >= bounds.deadline || !may_repeat(&fault, operation.changing, operation.keyed) {
            return Err(ended(context, fault, uncertain));
        }
        sleep_until(next).await;
        avoid = fault.endpoint().cloned();
        if operation.request.seal.is_some() {
            // A fresh seal: partners refuse a nonce or timestamp they have seen.
            request = wire::encode(ask, plain, call).map_err(|fault| ended(context, fault, uncertain))?;
        }
    }
    Err(Fault::new(&fault_codes::INTERNAL, "attempts are numbered without end"))
}

/// The last fault; where an earlier attempt may have taken effect, a repeat of it is not safe either.
fn ended(context: &CallContext, fault: Fault, uncertain: bool) -> Fault {
    if !uncertain {
        return fault;
    }
    context.took_effect(Effect::Unknown);
    if fault.repeat() == Repeat::Safe { fault.with_repeat(Repeat::Unknown) } else { fault }
}

struct Attempt<'a> {
    context: &'a CallContext,
    ask: &'a AskPlan,
    request: WireRequest,
    number: u32,
    avoid: Option<Arc<str>>,
    key: &'a Option<Box<str>>,
    call: &'a CallDocument,
    bounds: Bounds,
}

impl Attempt<'_> {
    async fn make(mut self) -> Result<(judge::ReadAnswer, usize), Fault> {
        let (context, ask) = (self.context, self.ask);
        let Some(connector) = &ask.system.connector else {
            return Err(Fault::new(&fault_codes::FLOW_FAULT, "the system has no protocol"));
        };
        let entered = enter(&ask.system.state, ask.operation.timeout, self.bounds.deadline).await?;
        let Entered { place, leave, deadline, fair } = entered;
        let span = context.spans.open(self.bounds.parent, SpanKind::Attempt, ask.system.id.clone());
        let mut in_flight = InFlight(ask.operation.changing.then_some(context));
        let sent = self.request.body.len() as u64;
        let outbound = self.outbound(deadline);
        let answer = within(deadline, ask.operation.changing, connector.call(outbound)).await;
        in_flight.0 = None;
        drop(place);
        match answer {
            Ok(answer) => self.finish(answer, leave, span, sent),
            Err(fault) => Err(failed(fault, leave, span, sent, fair)),
        }
    }

    /// Reads and judges an answer, and tells breaker and span.
    fn finish(
        &self,
        answer: Answer,
        leave: Leave<'_>,
        span: SpanGuard,
        sent: u64,
    ) -> Result<(judge::ReadAnswer, usize), Fault> {
        let (context, ask) = (self.context, self.ask);
        if answer.mocked.is_some() {
            context.mocked.store(true, Relaxed);
        }
        let AnswerBody::Whole(bytes) = &answer.body else {
            let fault = judge::broken(ask, "the connector streamed an answer that was to be read".into());
            return Err(failed(fault, leave, span, sent, true));
        };
        let end = |end: End| end.bytes(sent, bytes.len() as u64).named(answer.endpoint.clone());
        let judged = match judge::read(ask, self.call, answer.status, &answer.headers, bytes) {
            Ok(read) => {
                if read.verdict.unwell {
                    leave.bad()
                } else {
                    leave.good()
                }
                match refusal(ask, &read.verdict, answer.status, &answer.headers) {
                    None => Ok(read),
                    Some(fault) => Err(fault),
                }
            }
            Err(fault) => {
                tell(&fault, leave, true);
                Err(fault)
            }
        };
        match judged {
            Ok(read) => {
                let note = format!("status {}, judged {}", answer.status, word(read.verdict.is));
                span.finish(end(End::of(qiao_core::Outcome::Ok).note(&note)));
                Ok((read, bytes.len()))
            }
            Err(fault) => {
                span.finish(end(End::fault(&fault)));
                Err(fault.with_endpoint(answer.endpoint.clone()))
            }
        }
    }

    /// The request, which is handed over.
    fn outbound(&mut self, deadline: Instant) -> Outbound {
        let WireRequest { path, headers, body } = std::mem::take(&mut self.request);
        Outbound {
            operation: self.ask.operation.index,
            path,
            method: self.ask.operation.method.clone(),
            headers,
            body: OutboundBody::Whole(body),
            deadline: deadline.into_std(),
            attempt: self.number,
            avoid: self.avoid.take(),
            changing: self.ask.operation.changing,
            idempotency_key: self.key.clone(),
            traceparent: self.context.traceparent.clone(),
        }
    }
}

/// What an attempt holds while it is under way.
pub(crate) struct Entered<'a> {
    pub place: Place,
    pub leave: Leave<'a>,
    pub deadline: Instant,
    /// Whether the partner is given enough time for a timeout to tell something: at least half of the operation's.
    pub fair: bool,
}

/// Leave from the breaker and a place at the partner, for one attempt.
pub(crate) async fn enter(
    state: &PartnerState,
    timeout: Duration,
    bound: Instant,
) -> Result<Entered<'_>, Fault> {
    state.breaker.peek(Instant::now())?;
    let place = state.bulkhead.enter(bound).await?;
    let now = Instant::now();
    let deadline = (now + timeout).min(bound);
    if deadline <= now {
        let detail = "the time ran out before the partner was asked";
        return Err(Fault::new(&fault_codes::DEADLINE_EXCEEDED, detail).with_repeat(Repeat::Safe));
    }
    let leave = state.breaker.admit(now)?;
    Ok(Entered { place, leave, deadline, fair: deadline - now >= timeout / 2 })
}

/// The connector's answer; connectors keep the deadline themselves, this only stops waiting for one that does not.
pub(crate) async fn within(
    deadline: Instant,
    changing: bool,
    answer: BoxFuture<'_, Result<Answer, Fault>>,
) -> Result<Answer, Fault> {
    timeout_at(deadline + GRACE, answer).await.unwrap_or_else(|_| {
        let repeat = if changing { Repeat::Unknown } else { Repeat::Safe };
        Err(Fault::new(&fault_codes::PARTNER_TIMEOUT, "the connector overran its deadline")
            .with_repeat(repeat))
    })
}

/// Ends an attempt without an answer.
pub(crate) fn failed(fault: Fault, leave: Leave<'_>, span: SpanGuard, sent: u64, fair: bool) -> Fault {
    tell(&fault, leave, fair);
    let end = End::fault(&fault).bytes(sent, 0);
    span.finish(match fault.endpoint() {
        Some(endpoint) => end.named(endpoint.clone()),
        None => end,
    });
    fault
}

fn tell(fault: &Fault, leave: Leave<'_>, fair: bool) {
    let timed_out = fault.code() == &fault_codes::PARTNER_TIMEOUT;
    if counts_against_partner(fault) && (fair || !timed_out) {
        leave.bad();
    }
}

/// What a verdict comes to when it does not let the flow go on.
fn refusal(ask: &AskPlan, verdict: &judge::Verdict, status: u16, headers: &http::HeaderMap) -> Option<Fault> {
    let detail = format!("status {status}, judged {}", word(verdict.is));
    let fault = match verdict.is {
        Judgement::Ok | Judgement::Done | Judgement::Partial => return None,
        Judgement::Refused => {
            let fault = Fault::new(&fault_codes::PARTNER_REFUSED, detail);
            match &verdict.text {
                Some(text) => fault.with_text(text.clone()),
                None => fault,
            }
        }
        Judgement::Retry => {
            let fault = Fault::new(&fault_codes::PARTNER_TRY_LATER, detail);
            let after =
                headers.get(http::header::RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok());
            match after {
                Some(seconds) => fault.with_retry_after(Duration::from_secs(u64::min(seconds, 3600))),
                None => fault,
            }
        }
        Judgement::Unknown => Fault::new(&fault_codes::PARTNER_RESULT_UNKNOWN, detail),
        Judgement::Broken => judge::broken(ask, detail),
    };
    Some(match &verdict.code {
        Some(code) => fault.with_partner_code(code.clone()),
        None => fault,
    })
}

pub(crate) fn word(judgement: Judgement) -> &'static str {
    match judgement {
        Judgement::Ok => "ok",
        Judgement::Refused => "refused",
        Judgement::Done => "done",
        Judgement::Partial => "partial",
        Judgement::Retry => "retry",
        Judgement::Unknown => "unknown",
        Judgement::Broken => "broken",
    }
}
