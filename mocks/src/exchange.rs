//! One request of any protocol: decided, counted, journaled. What is left to its server is to wait and to send.
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use serde_json::json;

use crate::{
    answer::Rendered,
    decide::{Decision, Setting, decide},
    facts::Incoming,
    faults::Fault,
    journal::{Body, Entry},
    partner::Partner,
    pushes::run,
    server::{Shared, diagnosis::Miss},
    spec::FaultKind,
};

/// What to do about a request.
pub struct Exchange {
    pub answer: Rendered,
    /// What goes wrong while sending; what it does to the answer itself is done.
    pub fault: Option<Arc<Fault>>,
    /// Wait before sending.
    pub delay: Duration,
}

/// Decides a request that came at `started`. `twist` does to the answer what its fault asks for in the protocol at hand; the
/// journal shows the answer as it leaves.
pub fn exchange(
    shared: &Arc<Shared>,
    partner: Arc<Partner>,
    number: usize,
    incoming: Incoming,
    started: Instant,
    twist: impl FnOnce(&Fault, &mut Rendered),
) -> Exchange {
    let session = shared.sessions.get(&incoming.session);
    let overlay = session.as_ref().and_then(|session| session.overlay(&partner.id));
    let ahead_ms = session.as_ref().map_or(0, |session| session.ahead_ms());
    let setting = Setting { clock: &shared.clock, overlay: overlay.as_deref(), ahead_ms, dry: false };
    let mut decision = decide(&partner, number, &incoming, &setting);
    let missed = decision.stub.is_none();
    let fault = decision.applied.fault.take();
    let mut answer = basis(&mut decision, &partner);
    if let Some(fault) = &fault {
        if fault.kind == FaultKind::Replay {
            answer = fault.replay(answer);
        }
        twist(fault, &mut answer);
    }
    let counter = if missed { &partner.runtime.missed } else { &partner.runtime.matched };
    counter.fetch_add(1, Ordering::Relaxed);
    if let Some((plan, snapshot)) = decision.then.take()
        && let Err(problem) = run::start(shared, Arc::clone(&partner), plan, snapshot)
    {
        decision.problem.get_or_insert(problem);
    }
    let delay = decision.applied.delay;
    let at_us = shared.clock.now_us();
    let entry = entry(decision, fault.as_deref(), &partner, number, &incoming, &answer, started);
    let entry = shared.journal.push(Entry { at_us, ..entry });
    let id = entry.id;
    if missed {
        answer.headers.insert("x-mock-miss", HeaderValue::from(id));
        shared.diagnosis.explain(Miss { partner, overlay, number, incoming, entry });
    }
    Exchange { answer, fault, delay }
}

/// The answer before its fault: the stub's, the fallback's, a miss, or why there is none.
fn basis(decision: &mut Decision, partner: &Partner) -> Rendered {
    let mut rendered = match (decision.answer.take(), &decision.problem, &decision.stub) {
        (Some(rendered), ..) => rendered,
        (None, Some(problem), Some(_)) => short(500, &format!("the mock could not answer: {problem}")),
        (None, problem, _) => {
            let why = problem.as_deref().map(|problem| format!("; {problem}")).unwrap_or_default();
            short(
                404,
                &format!(
                    "no stub of `{}` matches; X-Mock-Miss names the journal entry that says why{why}",
                    partner.id
                ),
            )
        }
    };
    let label = decision.stub.as_deref().map(HeaderValue::from_str);
    let label = label.and_then(Result::ok).unwrap_or_else(|| {
        HeaderValue::from_str(&format!("{}/-", partner.id)).unwrap_or(HeaderValue::from_static("-"))
    });
    rendered.headers.insert("x-mocked", label);
    rendered
}

fn short(status: u16, text: &str) -> Rendered {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Rendered { status, headers, body: json!({"mock": text}).to_string().into() }
}

fn entry(
    decision: Decision,
    fault: Option<&Fault>,
    partner: &Partner,
    number: usize,
    incoming: &Incoming,
    response: &Rendered,
    started: Instant,
) -> Entry {
    let web = partner.listeners[number].proto.is_http();
    let silent = fault.is_some_and(|fault| match fault.kind {
        FaultKind::NoAnswer | FaultKind::Reset => true,
        FaultKind::Refused | FaultKind::Throttle => !web,
        FaultKind::Maintenance => !web && fault.business.is_none(),
        _ => false,
    });
    let header = |name| incoming.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    Entry {
        partner: Arc::clone(&partner.id),
        listener: Arc::clone(&partner.listeners[number].id),
        session: incoming.session.clone(),
        caller: decision.caller,
        traceparent: header("traceparent").filter(|text| text.len() <= 64).map(Into::into),
        method: incoming.method.as_str().into(),
        path: incoming.path.as_str().into(),
        item: decision.item,
        key: decision.key,
        stub: decision.stub,
        state_before: decision.state_before,
        state_after: decision.state_after,
        writes: decision.writes,
        fault: fault.map(|fault| format!("{} ({})", fault.kind.name(), decision.applied.origin).into()),
        delay_ms: u64::try_from(decision.applied.delay.as_millis()).unwrap_or(u64::MAX),
        took_us: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        status: if silent { 0 } else { response.status },
        request: Body::cut(&incoming.body),
        plain: decision.plain.map(|plain| Body::cut(plain.as_bytes())),
        answer: if silent { Body::default() } else { Body::cut(&response.body) },
        problem: decision.problem.map(String::into_boxed_str),
        ..Entry::default()
    }
}
