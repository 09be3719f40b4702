//! Asks one partner: attempts within the bounds of breaker, bulkhead, deadline and what is safe to repeat.
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use qiao_core::{AnswerBody, Fault, Outbound, OutboundBody, Repeat, SpanKind, fault_codes};
use qiao_mappings::{Layer, Scope};
use serde_json::Value;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{
    context::{Bounds, CallContext, Effect},
    faults, judge,
    scope::FlowScope,
    spans::{End, SpanGuard},
    wire::{self, WireRequest},
};
use crate::{
    definitions::system::Judgement,
    partner::{
        breaker::Leave,
        retry::{counts_against_partner, may_repeat},
    },
    plan::flow::AskPlan,
};

/// Connectors keep the deadline themselves; this much later the engine stops waiting for one that does not.
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
    let call = scope.get("call").unwrap_or(&Value::Null);
    let key: Option<Box<str>> = operation.keyed.then(|| format!("{}-{name}", context.call).into());
    let mut request = wire::encode(ask, plain, call)?;
    let mut avoid = None;
    let mut number = 0;
    loop {
        let sent = Attempt { context, ask, request: &request, number, avoid, key: &key, call, bounds };
        let fault = match sent.make().await {
            Ok(answer) => {
                if operation.changing {
                    context.took_effect(Effect::Some);
                }
                return Ok(answer);
            }
            Err(fault) => fault,
        };
        number += 1;
        let again = number < ask.retry.attempts && may_repeat(&fault, operation.changing, operation.keyed);
        let wait = ask.retry.wait(number, rand::random()).max(fault.retry_after().unwrap_or_default());
        let next = Instant::now() + wait;
        if !again || next >= bounds.deadline {
            if operation.changing && fault.repeat() == Repeat::Unknown {
                context.took_effect(Effect::Unknown);
            }
            return Err(fault);
        }
        sleep_until(next).await;
        avoid = fault.endpoint().cloned();
        if operation.request.seal.is_some() {
            // A fresh seal: partners refuse a nonce or timestamp they have seen.
            request = wire::encode(ask, plain, call)?;
        }
    }
}

struct Attempt<'a> {
    context: &'a CallContext,
    ask: &'a AskPlan,
    request: &'a WireRequest,
    number: u32,
    avoid: Option<Arc<str>>,
    key: &'a Option<Box<str>>,
    call: &'a Value,
    bounds: Bounds,
}

impl Attempt<'_> {
    async fn make(self) -> Result<(judge::ReadAnswer, usize), Fault> {
        let (context, ask) = (self.context, self.ask);
        let Some(connector) = &ask.system.connector else {
            return Err(Fault::new(&fault_codes::FLOW_FAULT, "the system has no protocol"));
        };
        let state = &ask.system.state;
        state.breaker.peek(Instant::now())?;
        let place = state.bulkhead.enter(self.bounds.deadline).await?;
        let now = Instant::now();
        let deadline = (now + ask.operation.timeout).min(self.bounds.deadline);
        if deadline <= now {
            let detail = "the time ran out before the partner was asked";
            return Err(Fault::new(&fault_codes::DEADLINE_EXCEEDED, detail).with_repeat(Repeat::Safe));
        }
        let leave = state.breaker.admit(now)?;
        let span = context.spans.open(self.bounds.parent, SpanKind::Attempt, ask.system.id.clone());
        let mut in_flight = InFlight(ask.operation.changing.then_some(context));
        let answer = timeout_at(deadline + GRACE, connector.call(self.outbound(deadline))).await;
        in_flight.0 = None;
        drop(place);
        let sent = self.request.body.len() as u64;
        // A timeout says little about a partner that was given less than half of its time.
        let fair = deadline - now >= ask.operation.timeout / 2;
        let answer = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(fault)) => return Err(failed(fault, leave, span, sent, fair)),
            Err(_) => {
                let repeat = if ask.operation.changing { Repeat::Unknown } else { Repeat::Safe };
                let fault = Fault::new(&fault_codes::PARTNER_TIMEOUT, "the connector overran its deadline");
                return Err(failed(fault.with_repeat(repeat), leave, span, sent, fair));
            }
        };
        if answer.mocked.is_some() {
            context.mocked.store(true, Relaxed);
        }
        let AnswerBody::Whole(bytes) = &answer.body else {
            let fault = judge::broken(ask, "the connector streamed an answer that was to be read".into());
            return Err(failed(fault, leave, span, sent, fair));
        };
        let end = |end: End| end.bytes(sent, bytes.len() as u64).named(answer.endpoint.clone());
        let read = judge::read(ask, self.call, answer.status, &answer.headers, bytes);
        let read = match read {
            Ok(read) => read,
            Err(fault) => {
                let fault = fault.with_endpoint(answer.endpoint.clone());
                tell(&fault, leave, fair);
                span.finish(end(End::fault(&fault)));
                return Err(fault);
            }
        };
        if read.verdict.unwell {
            leave.bad()
        } else {
            leave.good()
        }
        match refusal(ask, &read.verdict, answer.status, &answer.headers) {
            None => {
                let note = format!("status {}, judged {}", answer.status, word(read.verdict.is));
                span.finish(end(End::of(qiao_core::Outcome::Ok).note(&note)));
                Ok((read, bytes.len()))
            }
            Some(fault) => {
                let fault = fault.with_endpoint(answer.endpoint.clone());
                span.finish(end(End::fault(&fault)));
                Err(fault)
            }
        }
    }

    fn outbound(&self, deadline: Instant) -> Outbound {
        Outbound {
            operation: self.ask.operation.index,
            path: self.request.path.clone(),
            method: self.ask.operation.method.clone(),
            headers: self.request.headers.clone(),
            body: OutboundBody::Whole(self.request.body.clone()),
            deadline: deadline.into_std(),
            attempt: self.number,
            avoid: self.avoid.clone(),
            changing: self.ask.operation.changing,
            idempotency_key: self.key.clone(),
            traceparent: self.context.traceparent.clone(),
        }
    }
}

/// Ends an attempt without an answer.
fn failed(fault: Fault, leave: Leave<'_>, span: SpanGuard, sent: u64, fair: bool) -> Fault {
    tell(&fault, leave, fair);
    let end = End::fault(&fault).bytes(sent, 0);
    span.finish(match fault.endpoint() {
        Some(endpoint) => end.named(endpoint.clone()),
        None => end,
    });
    fault
}

pub(crate) fn tell(fault: &Fault, leave: Leave<'_>, fair: bool) {
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
