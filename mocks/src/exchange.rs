//! One request of any protocol: decided, counted, journaled. What is left to its server is to wait and to send.
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
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

/// Which stub has answered.
const MOCKED: HeaderName = HeaderName::from_static("x-mocked");
/// The journal's entry that says why no stub has.
const MISS: HeaderName = HeaderName::from_static("x-mock-miss");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

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
    let at_us = shared.clock.now_us();
    let setting = Setting { now: started, at_us, overlay: overlay.as_deref(), ahead_ms, dry: false };
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
    let entry = journal(
        shared,
        &decision,
        fault.as_deref(),
        (&partner, number),
        &incoming,
        &answer,
        (started, at_us),
    );
    if missed {
        answer.headers.insert(MISS, HeaderValue::from(entry));
        shared.diagnosis.explain(Miss { partner, overlay, number, incoming, entry });
    }
    Exchange { answer, fault, delay }
}

/// The answer before its fault: the stub's, the fallback's, a miss, or why there is none.
fn basis(decision: &mut Decision<'_>, partner: &Partner) -> Rendered {
    let mut rendered = match (decision.answer.take(), &decision.problem, decision.stub) {
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
    let label = match decision.stub {
        Some(stub) => HeaderValue::from_str(&stub.label),
        None => HeaderValue::from_str(&format!("{}/-", partner.id)),
    };
    let label = label.unwrap_or(HeaderValue::from_static("-"));
    rendered.headers.insert(MOCKED, label);
    rendered
}

fn short(status: u16, text: &str) -> Rendered {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Rendered { status, headers, body: json!({"mock": text}).to_string().into() }
}

/// Journals what was no request: a stream that broke, a file that appeared, a handshake that failed.
pub fn note(shared: &Shared, partner: &str, listener: &str, told: Entry<'_>) {
    let path = if told.path.is_empty() { "/" } else { told.path };
    shared.journal.push(&Entry { at_us: shared.clock.now_us(), partner, listener, path, ..told });
}

/// Journals the exchange and tells its entry's id.
fn journal(
    shared: &Shared,
    decision: &Decision<'_>,
    fault: Option<&Fault>,
    (partner, number): (&Partner, usize),
    incoming: &Incoming,
    response: &Rendered,
    (started, at_us): (Instant, i64),
) -> u64 {
    let listener = &partner.listeners[number];
    let web = listener.proto.is_http();
    let silent = fault.is_some_and(|fault| match fault.kind {
        FaultKind::NoAnswer | FaultKind::Reset => true,
        FaultKind::Refused | FaultKind::Throttle => !web,
        FaultKind::Maintenance => !web && fault.business.is_none(),
        _ => false,
    });
    let traceparent = incoming.headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
    let struck = fault.map(|fault| format!("{} ({})", fault.kind.name(), decision.applied.origin));
    shared.journal.push(&Entry {
        id: 0,
        at_us,
        partner: &partner.id,
        listener: &listener.id,
        session: &incoming.session,
        caller: decision.caller.as_deref(),
        traceparent: traceparent.filter(|text| text.len() <= 64),
        method: incoming.method.as_str(),
        path: &incoming.path,
        item: decision.item.as_deref(),
        key: decision.key.as_deref(),
        stub: decision.stub.map(|stub| &*stub.label),
        state_before: decision.state_before.as_deref(),
        state_after: decision.state_after.as_deref(),
        writes: decision.writes.as_deref(),
        fault: struck.as_deref(),
        delay_ms: u64::try_from(decision.applied.delay.as_millis()).unwrap_or(u64::MAX),
        took_us: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        status: if silent { 0 } else { response.status },
        request: Body::cut(&incoming.body),
        plain: decision.plain.as_ref().map(|plain| Body::cut(plain.as_bytes())),
        answer: if silent { Body::default() } else { Body::cut(&response.body) },
        problem: decision.problem.as_deref(),
    })
}
