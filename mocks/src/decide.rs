//! One request decided: the stub that answers, its state's transition, its fault and delay, its answer.
use std::{
    borrow::Cow,
    sync::{Arc, OnceLock},
    time::Instant,
};

use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use qiao_mappings::Layer;
use serde_json::{Map, Value, json};

use crate::{
    answer::{Answer, AnswerScope, Rendered},
    facts::{Facts, Incoming},
    faults::{self, Aim, Applied},
    functions::Luck,
    matching::{Memo, memo},
    overlay::{self, Overlay},
    partner::{Listener, Partner, State, Stub},
    pushes::{Plan, snapshot::Snapshot},
    rows::{Bound, told},
    spec::FaultKind,
    state::{Instance, Locked, full_key},
    tables::View,
    wsdl::Call,
};

/// What came of a request, before anything is sent.
pub struct Decision<'p> {
    /// None for a miss.
    pub stub: Option<&'p Stub>,
    pub item: Option<Box<str>>,
    pub key: Option<Box<str>>,
    pub caller: Option<Box<str>>,
    pub state_before: Option<Box<str>>,
    pub state_after: Option<Box<str>>,
    /// Changes of shared tables, as JSON.
    pub writes: Option<Box<str>>,
    pub applied: Applied,
    /// None for a miss without a fallback.
    pub answer: Option<Rendered>,
    /// Why the request could not be understood or the answer not made.
    pub problem: Option<String>,
    /// The opened business document, where requests are sealed or framed.
    pub plain: Option<String>,
    /// What is sent afterwards.
    pub then: Option<(Arc<Plan>, Snapshot)>,
}

/// Under which circumstances a request is decided.
pub struct Setting<'s> {
    /// When the request came.
    pub now: Instant,
    /// The same by the mock partners' clock, Unix time in microseconds.
    pub at_us: i64,
    /// What the request's session lays over the partner.
    pub overlay: Option<&'s Overlay>,
    /// How far the session's clock is ahead, in milliseconds.
    pub ahead_ms: i64,
    /// Nothing is counted, stored or moved.
    pub dry: bool,
}

/// Decides a request.
pub fn decide<'p>(
    partner: &'p Partner,
    number: usize,
    incoming: &Incoming,
    setting: &Setting<'p>,
) -> Decision<'p> {
    let (dry, overlay) = (setting.dry, setting.overlay);
    let listener = &partner.listeners[number];
    let facts = Facts::new(incoming, partner, listener);
    let now = setting.now;
    // What a WSDL does not allow is refused before any stub is tried.
    let refusal = facts.call().filter(|call| call.refusal.is_some()).cloned();
    // The tables are locked before any state, always: the other way round in another request, they would wait for each other.
    let uses_tables = partner.uses_tables || overlay.is_some_and(|overlay| overlay.uses_tables);
    let tables = uses_tables.then(|| {
        // Opening a sealed body takes long: not under the lock.
        facts.documents();
        partner.shared.view()
    });
    let mut found = match &refusal {
        Some(_) => Found::default(),
        None => find(partner, (overlay, number), &facts, tables.as_ref(), Some(now)),
    };
    let asked = asked(partner, incoming);
    let live = partner.runtime.dials.load();
    let sessions = overlay.map(Overlay::all_dials).unwrap_or_default();
    let needs = found.stub.is_some_and(|stub| stub.needs_instance)
        || partner.dials_need_instance
        || sessions.iter().chain(live.iter()).any(|dial| dial.needs_instance());
    let mut decision = Decision {
        stub: found.stub,
        item: None,
        key: None,
        caller: None,
        state_before: None,
        state_after: None,
        writes: None,
        applied: Applied::default(),
        answer: None,
        problem: None,
        plain: None,
        then: None,
    };
    let key = found.key.take().or_else(|| if needs { Some(business_key(&facts)) } else { None });
    let session_key = key.as_ref().map(|key| full_key(&incoming.session, key));
    // The lock is held from the look at the state until the transition is done.
    let mut lock =
        found.lock.take().or_else(|| session_key.as_ref().map(|key| partner.runtime.state.lock(key)));
    let mut copy;
    let mut instance = match (&mut lock, &session_key) {
        (Some(lock), Some(key)) if !dry => Some(lock.instance(key, now)),
        (Some(lock), Some(key)) => {
            copy = lock.peek(key, now).cloned().unwrap_or_default();
            Some(&mut copy)
        }
        _ => None,
    };
    if let Some(instance) = instance.as_deref_mut() {
        instance.count += 1;
    }
    let count = instance.as_deref().map_or(0, |instance| instance.count);
    let stub_id = found.stub.map_or("", |stub| &*stub.id);
    let luck = Luck {
        partner,
        session: &incoming.session,
        stub: stub_id,
        key: key.as_deref().unwrap_or_default(),
        count,
    };
    let params = found.stub.map_or(Value::Null, |stub| params(stub, &facts));
    let mut bound = std::mem::take(&mut found.rows);
    let mut scope = AnswerScope {
        facts: &facts,
        inst: Value::Null,
        params,
        rows: Value::Object(std::mem::take(&mut bound.rows)),
        luck,
        draws: OnceLock::new(),
        now_ms: setting.at_us.div_euclid(1000).saturating_add(setting.ahead_ms),
    };
    let writes = found.stub.filter(|stub| !stub.writes.is_empty());
    let before = if writes.is_some() { instance.as_deref().cloned() } else { None };
    if let (Some(state), Some(instance)) =
        (found.stub.and_then(|stub| stub.state.as_ref()), instance.as_deref_mut())
    {
        decision.state_before = Some(instance.state(&state.machine).into());
        scope.inst = view(key.as_deref(), Some(state), instance);
        decision.problem = transition(state, instance, &mut scope).err();
        decision.state_after = Some(instance.state(&state.machine).into());
    } else if let Some(instance) = instance.as_deref() {
        scope.inst = view(key.as_deref(), None, instance);
    }
    if let (Some(stub), Some(tables), None) = (writes, &tables, &decision.problem) {
        match write(stub, tables, dry, &scope) {
            Ok(told) => {
                decision.writes = Some(told);
                bound.refresh(tables, &incoming.session, &mut scope.rows);
            }
            Err(problem) => {
                // All together or not at all: the machine stays where it was.
                if let (Some(before), Some(instance)) = (before, instance.as_deref_mut()) {
                    *instance = before;
                }
                decision.state_after = decision.state_before.clone();
                decision.problem = Some(problem);
            }
        }
    }
    let alias = instance.as_deref().and_then(|instance| alias(&mut decision, found.stub?, instance, &scope));
    let aim = Aim {
        listener: &listener.id,
        proto: listener.proto,
        now_ms: scope.now_ms,
        item: facts_item(partner, &facts, sessions.iter().chain(live.iter())),
        stub: found.stub.map(|stub| &*stub.id),
        push: None,
        own_delay: found.stub.map_or(partner.fallback.as_ref().and_then(|f| f.delay), |stub| stub.delay),
        own_fault: found.stub.and_then(|stub| stub.fault.as_ref()),
        asked: asked.unwrap_or_else(|problem| {
            decision.problem.get_or_insert(problem);
            None
        }),
    };
    let dials = sessions.iter().chain(live.iter()).map(|dial| &**dial).chain(&partner.dials);
    decision.applied = faults::apply(aim, dials, &|| luck.entropy(), instance, dry, now);
    drop(lock);
    if let Some((alias, copy)) = alias.filter(|_| !dry) {
        // Nobody knows that key before the answer has left: it need not be one step with the transition.
        let alias = full_key(&incoming.session, &alias);
        *partner.runtime.state.lock(&alias).instance(&alias, now) = copy;
    }
    drop(tables);

    let mut stub = found.stub;
    match decision.applied.fault.as_deref() {
        Some(fault) if fault.kind == FaultKind::ClockSkew => scope.now_ms += fault.skew_ms,
        Some(fault) if fault.kind == FaultKind::OtherReply && refusal.is_none() => {
            let tables = uses_tables.then(|| partner.shared.view());
            let found = find(partner, (overlay, number), &facts, tables.as_ref(), None);
            stub = found.stub;
            decision.stub = stub;
            let problem = anew(found, key.as_deref(), &mut scope).err();
            decision.problem = decision.problem.or(problem);
        }
        _ => {}
    }
    let answer = stub.map(|stub| &stub.answer).or(partner.fallback.as_ref().map(|fallback| &fallback.answer));
    match refusal {
        Some(call) => refuse(&mut decision, call, listener),
        None => render(&mut decision, answer, number, listener, &scope),
    }
    if let Some(stub) = found.stub.filter(|_| !dry) {
        follow(&mut decision, stub, &scope, key.as_deref().unwrap_or_default(), count);
    }
    finish(&mut decision, partner, listener, &facts, key);
    decision
}

/// The stub found, the rows it looked at, and the shard of its key, still locked where its state was looked at.
#[derive(Default)]
struct Found<'p> {
    stub: Option<&'p Stub>,
    key: Option<String>,
    lock: Option<Locked<'p>>,
    rows: Bound,
}

/// The fault that a request asks for itself.
const FAULT: HeaderName = HeaderName::from_static("x-mock-fault");
/// Set in the count of a request that is answered as if it were new: its random values are others.
const ANEW: u64 = 1 << 63;

/// Answers by that stub as if the business key had never been seen; nothing of it is kept.
fn anew(found: Found<'_>, key: Option<&str>, scope: &mut AnswerScope<'_>) -> Result<(), String> {
    scope.luck.count |= ANEW;
    scope.draws = OnceLock::new();
    scope.params = found.stub.map_or(Value::Null, |stub| params(stub, scope.facts));
    scope.rows = Value::Object(found.rows.rows);
    let mut instance = Instance::default();
    instance.count = 1;
    let state = found.stub.and_then(|stub| stub.state.as_ref());
    scope.inst = view(key, state, &instance);
    state.map_or(Ok(()), |state| transition(state, &mut instance, scope))
}

/// The first stub in order whose conditions, rows and state hold. From the first look at a state on, the key's shard stays
/// locked, so that no other request moves it in between. Without a time every machine counts as new, and nothing is locked.
fn find<'p>(
    partner: &'p Partner,
    (overlay, number): (Option<&'p Overlay>, usize),
    facts: &Facts<'_>,
    tables: Option<&View<'_>>,
    now: Option<Instant>,
) -> Found<'p> {
    let mut key: Option<String> = None;
    let mut lock: Option<Locked<'p>> = None;
    for tried in overlay::tried(partner, overlay, number) {
        let mut memo = Memo::new(facts, tried.sources);
        for candidate in tried.index.candidates(&mut memo) {
            let stub = &tried.stubs[candidate.stub as usize];
            if !stub.conditions.hold(&mut memo, candidate.proven) {
                continue;
            }
            let Some(rows) = rows(stub, facts, tables) else { continue };
            let Some(state) = &stub.state else {
                return Found { stub: Some(stub), rows, ..Found::default() };
            };
            let own = state_key(stub, facts);
            let Some(own) = own else { continue };
            let full = full_key(&facts.incoming().session, &own);
            if now.is_some() && key.as_ref() != Some(&own) {
                // Never two of these locks at once: the other way round in another request, they would wait for each other.
                drop(lock.take());
                lock = Some(partner.runtime.state.lock(&full));
            }
            let current = lock
                .as_ref()
                .zip(now)
                .and_then(|(lock, now)| lock.peek(&full, now))
                .map(|instance| instance.state(&state.machine));
            let current = current.unwrap_or(crate::state::INITIAL);
            let holds = state.within.is_empty() || state.within.iter().any(|wanted| **wanted == *current);
            key = Some(own);
            if holds {
                return Found { stub: Some(stub), key, lock, rows };
            }
        }
    }
    Found::default()
}

/// The rows that a stub looks at; none where one of its looks fails.
fn rows(stub: &Stub, facts: &Facts<'_>, tables: Option<&View<'_>>) -> Option<Bound> {
    let mut bound = Bound::default();
    if stub.rows.is_empty() {
        return Some(bound);
    }
    let tables = tables?;
    let params = params(stub, facts);
    let scope = Layer { parent: facts, name: "params", value: &params };
    for look in &stub.rows {
        let looked = look.look(tables, &facts.incoming().session, &scope);
        if !looked.holds {
            return None;
        }
        bound.add(look, looked.row);
    }
    Some(bound)
}

/// Makes a stub's changes of shared tables, all or none, and tells them as JSON.
fn write(stub: &Stub, tables: &View<'_>, dry: bool, scope: &AnswerScope<'_>) -> Result<Box<str>, String> {
    let made = stub.writes.iter().map(|write| write.make(scope)).collect::<Result<Vec<_>, _>>()?;
    let told = told(&made).to_string().into_boxed_str();
    tables.apply(&scope.facts.incoming().session, made, dry)?;
    Ok(told)
}

fn business_key(facts: &Facts<'_>) -> String {
    facts.key().unwrap_or_else(|| facts.content_key())
}

/// The key whose state a stub looks at: its own, else the partner's. None where the request has not the stub's own.
pub fn state_key(stub: &Stub, facts: &Facts<'_>) -> Option<String> {
    let Some(selector) = stub.state.as_ref().and_then(|state| state.key.as_ref()) else {
        return Some(business_key(facts));
    };
    let params = params(stub, facts);
    let scope = Layer { parent: facts, name: "params", value: &params };
    let value = selector.first(&scope)?;
    memo::scalar(value).filter(|text| !text.is_empty()).map(Cow::into_owned)
}

pub fn params(stub: &Stub, facts: &Facts<'_>) -> Value {
    let Some(path) = &stub.conditions.path else { return Value::Object(Map::new()) };
    let value = |place: usize| {
        facts.segments().get(place).map_or(Value::Null, |segment| Value::from(segment.as_str()))
    };
    Value::Object(path.names().map(|(place, name)| (name.to_owned(), value(place))).collect())
}

/// The object `inst`.
fn view(key: Option<&str>, state: Option<&State>, instance: &Instance) -> Value {
    let machine = state.map_or("main", |state| &*state.machine);
    json!({"key": key, "state": instance.state(machine), "data": instance.data, "count": instance.count})
}

/// Stores the values and moves the machine; all or, where a template fails, nothing.
fn transition(state: &State, instance: &mut Instance, scope: &mut AnswerScope<'_>) -> Result<(), String> {
    let mut values = Vec::with_capacity(state.set.len());
    for (name, template) in &state.set {
        let value = template.render(scope).map_err(|error| format!("state.set.{name}: {error}"))?;
        values.push((name.clone(), value));
    }
    if !values.is_empty() {
        let before = instance.data.clone();
        instance.data.extend(values);
        if !instance.fits() {
            instance.data = before;
            return Err("state.set: a key holds at most 16 KiB".into());
        }
        scope.inst["data"] = Value::Object(instance.data.clone());
    }
    if let Some(to) = &state.to {
        instance.go(&state.machine, to);
    }
    Ok(())
}

/// The other key of a stub's state, with the copy kept under it.
fn alias(
    decision: &mut Decision<'_>,
    stub: &Stub,
    instance: &Instance,
    scope: &AnswerScope<'_>,
) -> Option<(String, Instance)> {
    let template = stub.state.as_ref()?.alias.as_ref()?;
    if decision.problem.is_some() {
        return None;
    }
    let rendered = template.render(scope).map_err(|error| error.to_string());
    match rendered.map(|value| memo::scalar(&value).map(Cow::into_owned).filter(|text| !text.is_empty())) {
        Ok(Some(alias)) => Some((alias, instance.clone())),
        Ok(None) => {
            decision.problem = Some("state.alias: is no text".into());
            None
        }
        Err(error) => {
            decision.problem = Some(format!("state.alias: {error}"));
            None
        }
    }
}

/// The dispatch key, read only where a dial asks for it: reading it may mean reading the body.
fn facts_item<'f, 'd>(
    partner: &Partner,
    facts: &'f Facts<'_>,
    mut live: impl Iterator<Item = &'d Arc<faults::LiveDial>>,
) -> Option<&'f str> {
    let asks =
        |dial: &faults::LiveDial| dial.spec.target.as_ref().is_some_and(|target| target.item.is_some());
    let asked = partner.dials.iter().any(asks) || live.any(|dial| asks(dial));
    if asked { facts.item() } else { None }
}

fn asked(partner: &Partner, incoming: &Incoming) -> Result<Option<faults::Fault>, String> {
    match partner.fault_header.then(|| incoming.headers.get(FAULT)).flatten() {
        Some(value) => faults::asked(value.to_str().unwrap_or_default()).map(Some),
        None => Ok(None),
    }
}

fn render(
    decision: &mut Decision<'_>,
    answer: Option<&Answer>,
    number: usize,
    listener: &Listener,
    scope: &AnswerScope<'_>,
) {
    let Some(answer) = answer.filter(|_| decision.problem.is_none()) else { return };
    match answer.render(number, listener, scope, decision.applied.fault.as_deref()) {
        Ok(rendered) => decision.answer = Some(rendered),
        Err(problem) => decision.problem = Some(problem),
    }
}

/// Keeps what the pushes that follow need of the request.
fn follow(decision: &mut Decision<'_>, stub: &Stub, scope: &AnswerScope<'_>, key: &str, count: u64) {
    let Some(then) = &stub.then else { return };
    match then.when.as_ref().map_or(Ok(true), |when| when.eval_bool(scope)) {
        Ok(true) => {}
        Ok(false) => return,
        Err(error) => {
            decision.problem = Some(format!("then.when: {error}"));
            return;
        }
    }
    let machine = stub.state.as_ref().map_or("main", |state| &*state.machine);
    match Snapshot::of(scope.facts, &scope.params, key, count, machine) {
        Ok(snapshot) => decision.then = Some((Arc::clone(&then.plan), snapshot)),
        Err(problem) => decision.problem = Some(problem),
    }
}

/// The fault of a request that the service's description does not allow.
fn refuse(decision: &mut Decision<'_>, call: Call, listener: &Listener) {
    let (Some(contract), Some(refusal)) = (&listener.contract, call.refusal) else { return };
    let mut headers = HeaderMap::new();
    if let Ok(content_type) = HeaderValue::from_str(contract.codec(call.version).content_type()) {
        headers.insert(CONTENT_TYPE, content_type);
    }
    if let Ok((status, body)) = contract.fault(call.version, refusal.code, refusal.text.clone()) {
        decision.answer = Some(Rendered { status, headers, body: body.into() });
    }
    decision.problem = Some(refusal.text);
}

/// What the journal wants to know. Nothing is read for it that matching did not read.
fn finish(
    decision: &mut Decision<'_>,
    partner: &Partner,
    listener: &Listener,
    facts: &Facts<'_>,
    key: Option<String>,
) {
    if listener.select.is_some() && facts.is_read() {
        decision.item = facts.item().map(Into::into);
    }
    if let Some(documents) = facts.read_documents() {
        decision.plain = documents.plain.as_ref().filter(|plain| !plain.is_null()).map(Value::to_string);
        if let (None, Some(problem)) =
            (&decision.problem, documents.problem.as_str().filter(|text| !text.is_empty()))
        {
            // A stub that answers a broken request has understood it well enough.
            if decision.stub.is_none() {
                decision.problem = Some(problem.to_owned());
            }
        }
    }
    decision.caller =
        partner.caller.as_ref().and_then(|caller| memo::scalar(caller.first(facts)?)).map(Into::into);
    decision.key = key.filter(|key| !key.starts_with('#')).map(Into::into);
}
