//! A run of a plan: its steps due one after the other, sent, acknowledged, repeated; late, twice or never where a fault asks.
use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use serde_json::{Map, Value, json};

use super::{
    Move, Plan, Route, Step,
    runs::{Ready, Run, Standing},
    send::CameBack,
    snapshot::{PushScope, Snapshot},
};
use crate::{
    entropy::Entropy,
    faults::{self, Aim, Applied, Fault, alter},
    forms::Spoil,
    functions::Draws,
    journal::{Body, Entry},
    overlay::Overlay,
    partner::Partner,
    server::{
        Shared,
        carrier::{Uplink, send_uplink},
    },
    spec::FaultKind,
    state::full_key,
};

/// Starts a plan: every step waits for its time. Gives the run's number.
///
/// # Errors
/// Too many pushes wait already.
pub fn start(
    shared: &Arc<Shared>,
    partner: Arc<Partner>,
    plan: Arc<Plan>,
    snapshot: Snapshot,
) -> Result<u64, String> {
    let run = shared.runs.begin(partner, plan, snapshot).ok_or("too many runs of plans go on")?;
    for (place, step) in run.plan.steps.iter().enumerate() {
        later(shared, &run, place, step.after, false).map_err(|full| full.to_string())?;
    }
    Ok(run.id)
}

/// Lets a step be due after a while. `again`: what was rendered is sent again.
fn later(
    shared: &Arc<Shared>,
    run: &Arc<Run>,
    place: usize,
    after: std::time::Duration,
    again: bool,
) -> Result<(), crate::timers::Full> {
    let (weak, ours) = (Arc::downgrade(shared), Arc::clone(run));
    let task: crate::timers::Task = Box::new(move || {
        Box::pin(async move {
            if let Some(shared) = weak.upgrade() {
                if again {
                    deliver(&shared, &ours, place, None).await;
                } else {
                    due(&shared, &ours, place, true).await;
                }
            }
        })
    });
    let step = &run.plan.steps[place];
    let what = format!("push {}.{}", run.plan.id, step.id);
    let (partner, session, key) = (&run.partner.id, &*run.snapshot.session, &*run.snapshot.key);
    // The number is noted under the same lock under which a firing timer looks at it.
    let mut steps = run.steps.lock();
    let timer = shared.timers.schedule(after, (partner, session), (&what, key), task)?;
    steps[place].timer = Some(timer);
    Ok(())
}

/// A step whose time has come. `by_time`: not by hand, so that faults may hold it back.
pub async fn due(shared: &Arc<Shared>, run: &Arc<Run>, place: usize, by_time: bool) {
    if !claim(run, place) {
        return;
    }
    let step = &run.plan.steps[place];
    let applied = if by_time { strike(shared, run, step) } else { Applied::default() };
    let sent = match applied.fault.as_deref().map(|fault| fault.kind) {
        Some(FaultKind::Never) => {
            note(shared, run, place, &applied, "a fault dial keeps it back");
            settle(run, place, Standing::Skipped, Some("never sent, as a fault dial asks"));
            false
        }
        Some(FaultKind::OutOfOrder) if run.has_later(place) => {
            note(shared, run, place, &applied, "held until a later step has been sent");
            return settle(run, place, Standing::Held, None);
        }
        Some(FaultKind::Maintenance) => return postpone(shared, run, place, &applied),
        _ => send(shared, run, place, &applied, "its condition does not hold").await,
    };
    if sent && applied.fault.as_deref().is_some_and(|fault| fault.kind == FaultKind::Duplicate) {
        deliver(shared, run, place, Some(&applied)).await;
    }
    // What was held goes out behind this one; at the latest with the last step, sent or not.
    if sent || !run.has_later(place) {
        for held in run.release(place) {
            send(shared, run, held, &Applied::default(), "its condition does not hold any more").await;
        }
    }
}

/// Renders a step and sends it; false where there was nothing to send, which is noted with its reason.
async fn send(shared: &Arc<Shared>, run: &Arc<Run>, place: usize, applied: &Applied, skipped: &str) -> bool {
    match prepare(shared, run, &run.plan.steps[place], applied.fault.as_deref()) {
        Ok(Some(ready)) => run.steps.lock()[place].ready = Some(ready),
        Ok(None) => {
            settle(run, place, Standing::Skipped, Some(skipped));
            return false;
        }
        Err(problem) => {
            note(shared, run, place, applied, &problem);
            settle(run, place, Standing::Failed, Some(&problem));
            return false;
        }
    }
    deliver(shared, run, place, Some(applied)).await;
    true
}

/// The partner is closed for maintenance: the step waits for the window's end.
fn postpone(shared: &Arc<Shared>, run: &Arc<Run>, place: usize, applied: &Applied) {
    note(shared, run, place, applied, "waits for the end of the maintenance window");
    let seconds = applied.fault.as_deref().map_or(1, |fault| fault.retry_after(shared.clock.now_ms()));
    settle(run, place, Standing::Waiting, None);
    if let Err(full) = later(shared, run, place, std::time::Duration::from_secs(seconds), false) {
        settle(run, place, Standing::Failed, Some(&full.to_string()));
    }
}

/// Takes a step that waits or is held; false where another was first.
fn claim(run: &Run, place: usize) -> bool {
    let mut steps = run.steps.lock();
    let waits = matches!(steps[place].standing, Standing::Waiting | Standing::Held);
    if waits {
        steps[place].standing = Standing::Sending;
    }
    waits
}

/// Notes how a step stands.
pub fn settle(run: &Run, place: usize, standing: Standing, why: Option<&str>) {
    let mut steps = run.steps.lock();
    steps[place].standing = standing;
    steps[place].why = why.map(Into::into);
}

/// The fault that a dial lays over this step.
fn strike(shared: &Shared, run: &Run, step: &Step) -> Applied {
    let partner = shared.partner(&run.partner.id).unwrap_or_else(|| Arc::clone(&run.partner));
    let live = partner.runtime.dials.load();
    let session = shared.sessions.get(&run.snapshot.session);
    let overlay = session.and_then(|session| session.overlay(&run.partner.id));
    let own = overlay.as_deref().map(Overlay::all_dials).unwrap_or_default();
    let aim = Aim {
        listener: &step.target.id,
        proto: step.target.route.proto(),
        now_ms: shared.clock.now_ms(),
        item: None,
        stub: Some(&run.plan.id),
        push: Some(&step.id),
        own_delay: None,
        own_fault: None,
        asked: None,
    };
    let dials = own.iter().chain(live.iter()).map(|dial| &**dial).chain(&partner.dials);
    let dials = dials.filter(|dial| dial.spec.target.as_ref().is_some_and(|target| target.push.is_some()));
    faults::apply(aim, dials, &|| entropy(run, step), None, false, Instant::now())
}

fn entropy(run: &Run, step: &Step) -> Entropy {
    let Snapshot { session, key, count, .. } = &run.snapshot;
    let name = format!("{}.{}", run.plan.id, step.id);
    let parts: [&[u8]; 4] = [session.as_bytes(), run.partner.id.as_bytes(), name.as_bytes(), key.as_bytes()];
    Entropy::of(run.partner.seed, &parts, *count)
}

/// Renders a step: none where its condition does not hold. Moves the key's state.
fn prepare(shared: &Shared, run: &Run, step: &Step, fault: Option<&Fault>) -> Result<Option<Ready>, String> {
    let skew = fault.filter(|fault| fault.kind == FaultKind::ClockSkew).map_or(0, |fault| fault.skew_ms);
    let draws = Draws {
        entropy: entropy(run, step),
        tables: Arc::clone(&run.partner.tables),
        shared: Arc::clone(&run.partner.shared),
        session: run.snapshot.session.clone(),
    };
    let mut scope = PushScope {
        snapshot: &run.snapshot,
        partner: &run.partner.parameters,
        inst: inst(run),
        draws: Arc::new(draws),
        now_ms: shared.clock.now_ms() + skew,
    };
    if let Some(when) = &step.when
        && !when.eval_bool(&scope).map_err(|error| format!("when: {error}"))?
    {
        return Ok(None);
    }
    if let Some(change) = &step.state {
        go(run, change, &scope)?;
        scope.inst = inst(run);
    }
    let target = &step.target;
    let to = match &target.route {
        Route::Http { to, .. } | Route::Tcp { to, .. } | Route::Amqp { routing_key: to, .. } => {
            text(to, &scope).map_err(|error| format!("to: {error}"))?
        }
        Route::Carrier { listener } => listener.clone(),
    };
    let mut headers = HeaderMap::with_capacity(target.headers.len() + 2);
    if let Ok(kind) = HeaderValue::from_str(target.form.wire.content_type()) {
        headers.insert(CONTENT_TYPE, kind);
    }
    for (name, template) in &target.headers {
        let value = text(template, &scope).map_err(|error| format!("the header {name}: {error}"))?;
        let value = HeaderValue::from_str(&value);
        headers.insert(name, value.map_err(|_| format!("the header {name} holds control characters"))?);
    }
    let template = fault.and_then(|fault| fault.business.as_ref()).unwrap_or(&step.json);
    let mut plain = template.render(&scope).map_err(|error| format!("json: {error}"))?;
    fault.map_or(Ok(()), |fault| alter::document(fault, &mut plain))?;
    let spoil = match fault.map(|fault| fault.kind) {
        Some(FaultKind::BadSignature) => Spoil::Signature,
        Some(FaultKind::StaleKey) => Spoil::Keys,
        _ => Spoil::Nothing,
    };
    let body: Bytes = target.form.write(&plain, &scope, spoil)?.into();
    let plain = if target.form.is_plain() { Bytes::new() } else { plain.to_string().into() };
    Ok(Some(Ready { to, headers, body, plain }))
}

fn text(template: &qiao_mappings::Template, scope: &PushScope<'_>) -> Result<String, String> {
    let value = template.render(scope).map_err(|error| error.to_string())?;
    crate::matching::memo::scalar(&value).map(|text| text.into_owned()).ok_or_else(|| "is no text".into())
}

/// The object `inst`: the key's state as it is now.
fn inst(run: &Run) -> Value {
    let Snapshot { session, key, machine, .. } = &run.snapshot;
    let full = full_key(session, key);
    let lock = run.partner.runtime.state.lock(&full);
    let instance = lock.peek(&full, Instant::now()).cloned().unwrap_or_default();
    drop(lock);
    json!({"key": **key, "state": instance.state(machine), "data": instance.data, "count": instance.count})
}

fn go(run: &Run, change: &Move, scope: &PushScope<'_>) -> Result<(), String> {
    let set = change.set.iter().map(|(name, template)| {
        let value = template.render(scope).map_err(|error| format!("state.set.{name}: {error}"))?;
        Ok((name.clone(), value))
    });
    let set: Map<String, Value> = set.collect::<Result<_, String>>()?;
    let full = full_key(&run.snapshot.session, &run.snapshot.key);
    let mut lock = run.partner.runtime.state.lock(&full);
    let instance = lock.instance(&full, Instant::now());
    let before = instance.data.clone();
    instance.data.extend(set);
    if !instance.fits() {
        instance.data = before;
        return Err("state.set: a key holds at most 16 KiB".into());
    }
    if let Some(to) = &change.to {
        instance.go(&change.machine, to);
    }
    Ok(())
}

/// Sends what is ready, and sees whether it was acknowledged; if not, it is sent again later.
pub async fn deliver(shared: &Arc<Shared>, run: &Arc<Run>, place: usize, applied: Option<&Applied>) {
    let step = &run.plan.steps[place];
    let target = &step.target;
    let ready = {
        let mut steps = run.steps.lock();
        steps[place].attempts += 1;
        steps[place].ready.clone()
    };
    let Some(ready) = ready else { return };
    let started = Instant::now();
    let running = shared.partner(&run.partner.id).is_some_and(|partner| partner.runtime.is_running());
    let came_back = match &target.route {
        _ if !running => Err("the partner is stopped".into()),
        Route::Carrier { .. } => uplink(shared, run, &ready),
        _ => shared.sender.send(target, &ready).await,
    };
    let verdict = came_back.as_ref().map_err(Clone::clone).and_then(|answer| acknowledged(step, answer));
    let nothing = Applied::default();
    let sent = Entry {
        request: Body::cut(&ready.body),
        plain: (!ready.plain.is_empty()).then(|| Body::cut(&ready.plain)),
        status: came_back.as_ref().map_or(0, |answer| answer.status),
        answer: came_back.as_ref().map(|answer| Body::cut(&answer.body)).unwrap_or_default(),
        problem: verdict.as_ref().err().map(String::as_str),
        took_us: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        ..Entry::default()
    };
    journal(shared, run, place, applied.unwrap_or(&nothing), sent);
    match verdict {
        Ok(()) => settle(run, place, Standing::Done, None),
        Err(problem) => repeat(shared, run, place, &problem),
    }
}

/// Hands a user's message to the carrier's gateway, which delivers it as soon as the provider is there.
fn uplink(shared: &Arc<Shared>, run: &Run, ready: &Ready) -> Result<CameBack, String> {
    let mut document: Value = serde_json::from_slice(&ready.body).map_err(|error| error.to_string())?;
    if let Value::Object(members) = &mut document {
        members.insert("listener".into(), ready.to.as_str().into());
    }
    let uplink: Uplink = serde_json::from_value(document).map_err(|error| format!("json: {error}"))?;
    let queued = send_uplink(shared, &run.partner.id, &uplink)?;
    Ok(CameBack { body: json!(queued).to_string().into(), ..CameBack::default() })
}

fn acknowledged(step: &Step, answer: &CameBack) -> Result<(), String> {
    let Some(rule) = &step.target.acknowledged else {
        let fine = answer.status == 0 || (200..300).contains(&answer.status);
        return if fine { Ok(()) } else { Err(format!("not acknowledged: status {}", answer.status)) };
    };
    let document =
        step.target.answer.decode(&answer.body).map(|decoded| decoded.document).unwrap_or_default();
    let headers = answer.headers.iter();
    let headers: Map<String, Value> = headers
        .map(|(name, value)| (name.as_str().into(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    let scope = json!({"status": answer.status, "answer": document, "headers": headers});
    match rule.eval_bool(&scope) {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("not acknowledged: status {}", answer.status)),
        Err(error) => Err(format!("not acknowledged: {error}")),
    }
}

fn repeat(shared: &Arc<Shared>, run: &Arc<Run>, place: usize, problem: &str) {
    let made = run.steps.lock()[place].attempts as usize;
    let wait = made.checked_sub(1).and_then(|made| run.plan.steps[place].target.retry.get(made));
    let Some(wait) = wait else { return settle(run, place, Standing::Failed, Some(problem)) };
    settle(run, place, Standing::Repeating, Some(problem));
    if let Err(full) = later(shared, run, place, *wait, true) {
        settle(run, place, Standing::Failed, Some(&full.to_string()));
    }
}

/// Journals that a step was not sent.
fn note(shared: &Shared, run: &Run, place: usize, applied: &Applied, why: &str) {
    journal(shared, run, place, applied, Entry { problem: Some(why), ..Entry::default() });
}

/// Journals a step, with what came of it.
fn journal(shared: &Shared, run: &Run, place: usize, applied: &Applied, told: Entry<'_>) {
    let step = &run.plan.steps[place];
    let key = &*run.snapshot.key;
    let fault = applied.fault.as_ref().map(|fault| format!("{} ({})", fault.kind.name(), applied.origin));
    shared.journal.push(&Entry {
        at_us: shared.clock.now_us(),
        partner: &run.partner.id,
        listener: &step.target.id,
        session: &run.snapshot.session,
        method: "PUSH",
        path: &format!("/{}/{}", run.plan.id, step.id),
        key: (!key.is_empty() && !key.starts_with('#')).then_some(key),
        stub: Some(&format!("{}/{}.{}", run.partner.id, run.plan.id, step.id)),
        fault: fault.as_deref(),
        ..told
    });
}
