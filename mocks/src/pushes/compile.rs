//! Targets and plans from their written form.
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use http::{HeaderName, Method};
use indexmap::IndexMap;
use qiao_mappings::{Codec, CodecSpec, Expression, strict::did_you_mean};
use qiao_wire::frame::{FrameSpec, LengthForm, LengthSpec};
use serde_json::Value;

use super::{Move, Plan, Route, Step, Target, Then};
use crate::{
    compile::{
        forms::{self, Sealers, flat, template},
        report::{ANSWERING, PUSHING, Place, Report},
    },
    spec::{AnswerForm, PlanSpec, PushSpec, StateRule, StepSpec, ThenSpec},
};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_TIMEOUT: Duration = Duration::from_secs(50);
/// A step is due, and a push repeated, within this time.
const MAX_AFTER: Duration = Duration::from_secs(366 * 24 * 3600);
/// Bytes of a frame at most, where the push does not say.
const MAX_FRAME: usize = 1 << 20;
/// What the condition of an acknowledgement sees.
const COMING_BACK: &[&str] = &["status", "answer", "headers"];

/// A partner's targets by name.
pub type Targets = BTreeMap<String, Arc<Target>>;
/// A partner's plans by name.
pub type Plans = BTreeMap<String, Arc<Plan>>;

/// All targets of a partner.
pub fn targets(
    specs: &IndexMap<String, PushSpec>,
    sealers: &Sealers,
    carriers: &[&str],
    place: &Place<'_>,
    report: &mut Report,
) -> Targets {
    let compiled = specs.iter().filter_map(|(id, spec)| {
        let target = target(id, spec, (sealers, carriers), &place.member("pushes", id), report)?;
        Some((id.clone(), Arc::new(target)))
    });
    compiled.collect()
}

fn target(
    id: &str,
    spec: &PushSpec,
    (sealers, carriers): (&Sealers, &[&str]),
    place: &Place<'_>,
    report: &mut Report,
) -> Option<Target> {
    let route = route(spec, carriers, place, report);
    let headers = spec.headers.iter().map(|(name, text)| {
        let place = place.member("headers", name);
        let header = report.keep(&place, HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes()));
        header.zip(template(&Value::from(text.as_str()), PUSHING, &place, report))
    });
    let headers: Option<Vec<_>> = headers.collect::<Vec<_>>().into_iter().collect();
    let bare = AnswerForm { wire: CodecSpec::default(), seal: None, frame: None };
    let form = spec.form.as_ref().unwrap_or(&bare);
    let answer = Codec::compile(spec.answer.as_ref().unwrap_or(&form.wire));
    let answer = answer.map_err(|wrong| wrong.into_iter().map(|error| (error.path, error.message)));
    let answer = report.keep_all(&place.at("answer"), answer);
    let form = forms::answer_path(form, sealers, &place.at("form"), report);
    let acknowledged = spec
        .acknowledged
        .as_ref()
        .map(|text| condition(text, COMING_BACK, &place.at("acknowledged"), report));
    let timeout = spec.timeout.map_or(DEFAULT_TIMEOUT, |timeout| timeout.0);
    if timeout > MAX_TIMEOUT {
        report.add(&place.at("timeout"), "at most 50s");
    }
    let retry: Vec<Duration> = spec.retry.iter().map(|wait| wait.0).collect();
    if retry.iter().any(|wait| *wait > MAX_AFTER) {
        report.add(&place.at("retry"), "at most 366 days each");
    }
    Some(Target {
        id: id.into(),
        route: route?,
        headers: headers?,
        form: form?,
        answer: answer?,
        acknowledged: flat(acknowledged)?,
        timeout,
        retry,
    })
}

fn route(spec: &PushSpec, carriers: &[&str], place: &Place<'_>, report: &mut Report) -> Option<Route> {
    let template = |text: &str, key: &str, report: &mut Report| {
        template(&Value::from(text), PUSHING, &place.at(key), report)
    };
    let compiled = match (&spec.to, &spec.amqp, &spec.carrier) {
        (Some(to), None, None) if to.starts_with("tcp://") => {
            let to = template(to, "to", report);
            let framing = spec.framing.clone().unwrap_or(FrameSpec::Length(LengthSpec {
                size: 8,
                form: LengthForm::Digits,
                ..LengthSpec::new(MAX_FRAME)
            }));
            let framing =
                framing.compile().map_err(|wrong| wrong.into_iter().map(|error| (error.path, error.message)));
            let framing = report.keep_all(&place.at("framing"), framing);
            to.zip(framing).map(|(to, framing)| Route::Tcp { to, framing })
        }
        (Some(to), None, None) => {
            let to = template(to, "to", report);
            let method = Method::from_bytes(spec.method.as_deref().unwrap_or("POST").as_bytes());
            let method = report.keep(&place.at("method"), method);
            to.zip(method).map(|(to, method)| Route::Http { to, method })
        }
        (None, Some(amqp), None) => {
            let routing_key = template(&amqp.routing_key, "amqp.routingKey", report);
            routing_key.map(|routing_key| Route::Amqp { exchange: amqp.exchange.clone(), routing_key })
        }
        (None, None, Some(listener)) => {
            if !carriers.contains(&listener.as_str()) {
                let remedy = did_you_mean(listener, carriers.iter().copied());
                let message = format!("there is no carrier's listener `{listener}`");
                report.add_with_remedy(&place.at("carrier"), message, remedy);
            }
            Some(Route::Carrier { listener: listener.clone() })
        }
        _ => {
            report.add(place, "exactly one of `to`, `amqp` and `carrier`");
            None
        }
    };
    let mut refuse = |key: &str, given: bool, fits: bool| {
        if given && !fits {
            report.add(&place.at(key), format!("a push of this kind has no `{key}`"));
        }
    };
    let http = matches!(compiled, Some(Route::Http { .. }) | None);
    let tcp = matches!(compiled, Some(Route::Tcp { .. }) | None);
    let amqp = matches!(compiled, Some(Route::Amqp { .. }) | None);
    let carrier = matches!(compiled, Some(Route::Carrier { .. }));
    refuse("form", spec.form.is_some(), !carrier);
    refuse("method", spec.method.is_some(), http);
    refuse("framing", spec.framing.is_some(), tcp);
    refuse("headers", !spec.headers.is_empty(), http || amqp);
    refuse("acknowledged", spec.acknowledged.is_some(), http || tcp);
    compiled
}

fn condition(text: &str, known: &[&str], place: &Place<'_>, report: &mut Report) -> Option<Expression> {
    let compiled = Expression::compile(text, &report.environment);
    let compiled = report.keep(place, compiled)?;
    report.roots(place, compiled.roots(), known);
    Some(compiled)
}

/// All named plans of a partner.
pub fn plans(
    specs: &IndexMap<String, PlanSpec>,
    targets: &Targets,
    place: &Place<'_>,
    report: &mut Report,
) -> Plans {
    let compiled = specs.iter().filter_map(|(id, spec)| {
        let place = place.member("plans", id);
        let steps = steps(&spec.steps, targets, &place, report)?;
        Some((id.clone(), Arc::new(Plan { id: Arc::from(id.as_str()), title: spec.title.clone(), steps })))
    });
    compiled.collect()
}

/// What follows a stub.
pub fn then(
    spec: &ThenSpec,
    stub: &str,
    targets: &Targets,
    plans: &Plans,
    place: &Place<'_>,
    report: &mut Report,
) -> Option<Then> {
    let when = spec.when.as_ref().map(|text| condition(text, ANSWERING, &place.at("when"), report));
    let plan = match (&spec.plan, spec.steps.is_empty()) {
        (Some(name), true) => {
            let plan = plans.get(name).cloned();
            if plan.is_none() {
                let remedy = did_you_mean(name, plans.keys().map(String::as_str));
                report.add_with_remedy(
                    &place.at("plan"),
                    format!("there is no usable plan `{name}`"),
                    remedy,
                );
            }
            plan
        }
        (None, false) => {
            let steps = steps(&spec.steps, targets, place, report)?;
            Some(Arc::new(Plan { id: stub.into(), title: None, steps }))
        }
        _ => {
            report.add(place, "either `plan` or `steps`");
            None
        }
    };
    Some(Then { plan: plan?, when: flat(when)? })
}

fn steps(specs: &[StepSpec], targets: &Targets, place: &Place<'_>, report: &mut Report) -> Option<Vec<Step>> {
    let mut ids = HashSet::new();
    let steps = specs.iter().enumerate().map(|(number, spec)| {
        let place = place.nth("steps", number);
        if !ids.insert(spec.id.as_str()) {
            report.add(&place.at("id"), format!("there is another step `{}`", spec.id));
        }
        step(spec, targets, &place, report)
    });
    steps.collect::<Vec<_>>().into_iter().collect()
}

fn step(spec: &StepSpec, targets: &Targets, place: &Place<'_>, report: &mut Report) -> Option<Step> {
    let target = targets.get(&spec.push).cloned();
    if target.is_none() {
        let remedy = did_you_mean(&spec.push, targets.keys().map(String::as_str));
        report.add_with_remedy(&place.at("push"), format!("there is no usable push `{}`", spec.push), remedy);
    }
    let after = spec.after.map_or(Duration::ZERO, |after| after.0);
    if after > MAX_AFTER {
        report.add(&place.at("after"), "at most 366 days");
    }
    let when = spec.when.as_ref().map(|text| condition(text, PUSHING, &place.at("when"), report));
    let state = spec.state.as_ref().map(|rule| moving(rule, &place.at("state"), report));
    let json = template(&spec.json, PUSHING, &place.at("json"), report);
    Some(Step {
        id: spec.id.as_str().into(),
        after,
        when: flat(when)?,
        state: flat(state)?,
        target: target?,
        json: json?,
    })
}

fn moving(rule: &StateRule, place: &Place<'_>, report: &mut Report) -> Option<Move> {
    if !rule.within.is_empty() || rule.key.is_some() || rule.alias.is_some() {
        report.add(place, "a step has neither `in`, `key` nor `alias`: use `when`, and the key of the plan");
    }
    let set = rule.set.iter().map(|(name, value)| {
        Some((name.clone(), template(value, PUSHING, &place.member("set", name), report)?))
    });
    let set: Option<Vec<_>> = set.collect::<Vec<_>>().into_iter().collect();
    Some(Move {
        machine: rule.machine.as_deref().unwrap_or("main").into(),
        to: rule.to.as_deref().map(Into::into),
        set: set?,
    })
}
