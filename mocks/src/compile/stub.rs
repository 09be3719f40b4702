//! Stubs from their written form: conditions, state, faults, answers, and the order in which they are tried.
use std::{cmp::Reverse, sync::Arc};

use bytes::Bytes;
use http::HeaderName;
use qiao_mappings::strict::did_you_mean;
use serde_json::Value;

use super::{
    MAX_STUBS, carrier, criteria,
    forms::{flat, template},
    lint,
    report::{ANSWERING, KEYING, Place, Report},
    rows,
};
use crate::{
    answer::{Answer, Payload},
    entropy::Fnv,
    faults::{Fault, Wait},
    files::PartnerFiles,
    functions::FUNCTIONS,
    matching::Sources,
    partner::{Listener, State, Stub},
    pushes::compile::{self as pushes, Plans, Targets},
    spec::{Delay, Respond, StateRule, StubSpec},
    tables::SharedTables,
};

/// A compiled stub with its place and rank.
pub struct Written<'s> {
    pub stub: Stub,
    pub place: Place<'s>,
    pub priority: i32,
    /// Number in the order of the files.
    pub number: usize,
}

/// Sorts stubs into the order in which they are tried.
pub fn order(stubs: &mut [Written<'_>]) {
    stubs.sort_by_key(|written| {
        let state = written.stub.state.as_ref().is_some_and(|state| !state.within.is_empty());
        let rows = written.stub.rows.iter().map(|look| 1 + look.fits.len()).sum::<usize>();
        let specificity = written.stub.conditions.specificity() + usize::from(state) + rows;
        (Reverse(written.priority), Reverse(specificity), written.number)
    });
}

/// What stubs are compiled against.
pub struct Around<'a> {
    pub partner: &'a str,
    pub listeners: &'a [Listener],
    pub tables: &'a SharedTables,
    pub targets: &'a Targets,
    pub plans: &'a Plans,
    /// Gives the bytes of a `bodyFile`.
    pub body: &'a dyn Fn(&str) -> Result<Vec<u8>, String>,
}

/// All stubs of a partner, checked one by one and against one another.
pub fn all<'s>(
    files: &'s PartnerFiles,
    around: &Around<'_>,
    sources: &mut Sources,
    report: &mut Report,
) -> Vec<Written<'s>> {
    let own = Place::root(&files.source);
    let own = files.spec.stubs.iter().enumerate().map(|(number, spec)| (own.nth("stubs", number), spec));
    let more = files.more.iter().flat_map(|(source, file)| {
        let root = Place::root(source);
        file.stubs.iter().enumerate().map(move |(number, spec)| (root.nth("stubs", number), spec))
    });
    list(own.chain(more), around, sources, report)
}

/// Stubs with their places, checked one by one and against one another.
pub fn list<'s>(
    specs: impl Iterator<Item = (Place<'s>, &'s StubSpec)>,
    around: &Around<'_>,
    sources: &mut Sources,
    report: &mut Report,
) -> Vec<Written<'s>> {
    let mut stubs = Vec::new();
    for (number, (place, spec)) in specs.enumerate() {
        if number == MAX_STUBS {
            report.add(&place, format!("a partner has at most {MAX_STUBS} stubs"));
            break;
        }
        let then = spec.then.as_ref().map(|then| {
            pushes::then(then, &spec.id, around.targets, around.plans, &place.at("then"), report)
        });
        let stub = stub(spec, around, &place, sources, report);
        if let Some((stub, then)) = stub.zip(flat(then)) {
            let needs_instance = stub.needs_instance || then.is_some();
            let stub = Stub { then, needs_instance, ..stub };
            stubs.push(Written { stub, place, priority: spec.priority.unwrap_or(0), number });
        }
    }
    order(&mut stubs);
    lint::check(&stubs, report);
    stubs
}

pub fn stub(
    spec: &StubSpec,
    around: &Around<'_>,
    place: &Place<'_>,
    sources: &mut Sources,
    report: &mut Report,
) -> Option<Stub> {
    let listeners = around.listeners;
    let listener = match &spec.listener {
        None => None,
        Some(id) => {
            let known = listeners.iter().position(|listener| *listener.id == **id);
            if known.is_none() {
                let remedy = did_you_mean(id, listeners.iter().map(|listener| &*listener.id));
                report.add_with_remedy(&place.at("listener"), format!("there is no listener `{id}`"), remedy);
            }
            known
        }
    };
    let reachable = |number: usize| listener.is_none_or(|only| only == number);
    let here =
        listeners.iter().enumerate().filter(|(number, _)| reachable(*number)).map(|(_, listener)| listener);
    if spec.item.is_some() && here.clone().any(|listener| listener.select.is_none()) {
        report.add(&place.at("item"), "the listener has no `select` that gives an item");
    }
    let of_carrier = !listeners.is_empty() && here.clone().all(|listener| listener.carrier.is_some());
    let when = if of_carrier { carrier::messages_only(spec.when.as_ref()) } else { spec.when.clone() };
    let conditions = criteria::conditions(spec.item.as_deref(), when.as_ref(), place, sources, report);
    let state = spec.state.as_ref().map(|rule| state(rule, &place.at("state"), report));
    let looks = rows::looks(&spec.rows, around.tables, place, report);
    let writes = rows::writes(&spec.write, around.tables, place, report);
    let delay = spec.delay.as_ref().map(|delay| wait(delay, &place.at("delay"), report));
    let fault = spec.fault.as_ref().map(|fault| {
        let protocols = here.clone().map(|listener| listener.proto);
        super::refuse_impossible(fault, protocols, &place.at("fault.kind"), report);
        let id = format!("{} stub {}", around.partner, spec.id);
        report.keep_all(&place.at("fault"), Fault::compile(fault, &id)).map(Arc::new)
    });
    let soap = here.clone().all(|listener| listener.soap);
    let answer = answer(&spec.respond, around.body, Some(soap), &place.at("respond"), report);
    let written = serde_json::to_string(spec).unwrap_or_default();
    let hash = Fnv::hash(written.as_bytes()) >> 32;
    let delay = flat(delay)?;
    let fault = flat(fault)?;
    let random = FUNCTIONS.iter().any(|(name, ..)| written.contains(&format!("{name}(")));
    let needs_instance = state.is_some()
        || random
        || written.contains("inst")
        || delay.is_some_and(|delay| delay.varies())
        || fault.as_ref().is_some_and(|fault| fault.needs_instance());
    Some(Stub {
        id: spec.id.as_str().into(),
        label: format!("{}/{}@{hash:08x}", around.partner, spec.id).into(),
        title: spec.title.clone(),
        listener,
        item: spec.item.clone(),
        conditions,
        state: flat(state)?,
        uses_tables: rows::uses_tables(spec),
        rows: looks?,
        writes: writes?,
        delay,
        fault,
        answer: answer?,
        needs_instance,
        then: None,
    })
}

/// A delay, or none with its mistakes reported.
pub fn wait(delay: &Delay, place: &Place<'_>, report: &mut Report) -> Option<Wait> {
    report.keep_all(place, Wait::compile(delay))
}

fn state(rule: &StateRule, place: &Place<'_>, report: &mut Report) -> Option<State> {
    if rule.within.is_empty() && rule.to.is_none() && rule.set.is_empty() {
        report.add(place, "a state needs `in`, `to` or `set`");
    }
    let set = rule.set.iter().map(|(name, value)| {
        Some((name.clone(), template(value, ANSWERING, &place.member("set", name), report)?))
    });
    let set: Option<Vec<_>> = set.collect::<Vec<_>>().into_iter().collect();
    let key = rule.key.as_ref().map(|key| report.selector(&place.at("key"), key, KEYING));
    let alias = rule
        .alias
        .as_ref()
        .map(|alias| template(&Value::from(alias.as_str()), ANSWERING, &place.at("alias"), report));
    Some(State {
        machine: rule.machine.as_deref().unwrap_or("main").into(),
        within: rule.within.iter().map(|state| state.as_str().into()).collect(),
        to: rule.to.as_deref().map(Into::into),
        set: set?,
        key: flat(key)?,
        alias: flat(alias)?,
    })
}

/// An answer. `soap`: whether all listeners it can be given on speak SOAP; none where that is not known.
pub fn answer(
    spec: &Respond,
    body: &dyn Fn(&str) -> Result<Vec<u8>, String>,
    soap: Option<bool>,
    place: &Place<'_>,
    report: &mut Report,
) -> Option<Answer> {
    let headers = spec.headers.iter().map(|(name, text)| {
        let place = place.member("headers", name);
        let header = report.keep(&place, HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes()));
        let template = template(&Value::from(text.as_str()), ANSWERING, &place, report);
        header.zip(template)
    });
    let headers: Option<Vec<_>> = headers.collect::<Vec<_>>().into_iter().collect();
    let payload = payload(spec, body, soap, place, report)?;
    let default = if matches!(payload, Payload::SoapFault { .. }) { 500 } else { 200 };
    Some(Answer {
        status: spec.status.unwrap_or(default),
        headers: headers?,
        payload,
        ready: Vec::new(),
        json: None,
    })
}

fn payload(
    spec: &Respond,
    body: &dyn Fn(&str) -> Result<Vec<u8>, String>,
    soap: Option<bool>,
    place: &Place<'_>,
    report: &mut Report,
) -> Option<Payload> {
    match (&spec.json, &spec.wire, &spec.text, &spec.body_file, &spec.soap_fault) {
        (None, None, None, None, None) => Some(Payload::Empty),
        (Some(json), None, None, None, None) => {
            template(json, ANSWERING, &place.at("json"), report).map(Payload::Business)
        }
        (None, Some(wire), None, None, None) => {
            template(wire, ANSWERING, &place.at("wire"), report).map(Payload::Wire)
        }
        (None, None, Some(text), None, None) => {
            template(&Value::from(text.as_str()), ANSWERING, &place.at("text"), report).map(Payload::Text)
        }
        (None, None, None, Some(file), None) => match body(file) {
            Ok(bytes) => Some(Payload::File(Bytes::from(bytes))),
            Err(message) => {
                report.add(&place.at("bodyFile"), message);
                None
            }
        },
        (None, None, None, None, Some(fault)) => {
            let place = place.at("soapFault");
            if soap != Some(true) {
                report.add(&place, "only a stub whose listeners all have `proto: soap` answers a SOAP fault");
            }
            let text = template(&Value::from(fault.text.as_str()), ANSWERING, &place.at("text"), report)?;
            Some(Payload::SoapFault { code: fault.code.clone(), text })
        }
        _ => {
            report.add(place, "at most one of json, wire, text, bodyFile and soapFault");
            None
        }
    }
}
