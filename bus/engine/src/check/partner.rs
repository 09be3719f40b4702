//! Numbers and addresses of systems that make sense together.
use std::time::Duration;

use super::{interfaces, systems, walk};
use crate::{
    definitions::{
        Definitions, SystemDefinition,
        partner::Retry,
        system::{Endpoint, JudgeRule},
    },
    mistake::{DefinitionId, PlanMistake},
};

/// Where neither operation nor system says how long an attempt may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Where an interface says nothing about its deadline.
const DEADLINE: Duration = Duration::from_secs(10);

/// A system that is called has an address, and addresses are URLs without secrets.
pub(super) fn endpoints(all: &Definitions, found: &mut Vec<PlanMistake>) {
    for (id, system) in systems(all) {
        let sets = [("live", &system.endpoints.live), ("mock", &system.endpoints.mock)];
        if system.protocol.is_some() && sets.iter().all(|(_, set)| set.is_empty()) {
            let mistake = PlanMistake::new(id.clone(), "endpoints", "a protocol, but no endpoint");
            found.push(mistake.with_remedy("add `endpoints: {live: [{url: …}]}` or `mock`"));
        }
        if system.protocol.is_none() && !system.operations.is_empty() {
            let message = "a system without a protocol offers nothing";
            found.push(
                PlanMistake::new(id.clone(), "operations", message).with_remedy("add `protocol: http`"),
            );
        }
        for (name, set) in sets {
            for (index, endpoint) in set.iter().enumerate() {
                if let Err(message) = address(endpoint) {
                    found.push(PlanMistake::new(
                        id.clone(),
                        format!("endpoints.{name}[{index}].url"),
                        message,
                    ));
                } else if set[..index].iter().any(|before| before.url == endpoint.url) {
                    let message = "the same endpoint twice";
                    let mistake =
                        PlanMistake::new(id.clone(), format!("endpoints.{name}[{index}].url"), message);
                    found.push(mistake.with_remedy("use `weight` for a larger share"));
                }
            }
        }
    }
}

fn address(endpoint: &Endpoint) -> Result<(), String> {
    let uri: http::Uri = endpoint.url.parse().map_err(|error| format!("not a URL: {error}"))?;
    let authority = uri.authority().ok_or("a URL without a host")?;
    if authority.as_str().contains('@') {
        return Err("a URL holds no user or password: use `credential`".to_owned());
    }
    if authority.as_str().contains(':') && authority.port_u16().is_none_or(|port| port == 0) {
        return Err("a port is a number from 1 to 65535".to_owned());
    }
    Ok(())
}

/// Limits, breaker, retry, health and timeouts make sense together.
pub(super) fn numbers(all: &Definitions, found: &mut Vec<PlanMistake>) {
    for (id, system) in systems(all) {
        let mut wrong = |path: &str, message: String| found.push(PlanMistake::new(id.clone(), path, message));
        for (path, count) in counts(system) {
            if count == Some(0) {
                wrong(path, "wanted at least 1, found 0".to_owned());
            }
        }
        for (path, duration) in durations(system) {
            if duration.is_some_and(|duration| duration.is_zero()) {
                wrong(path, "a time of 0".to_owned());
            }
        }
        let timeout = system.timeout.map_or(TIMEOUT, |timeout| timeout.0);
        if let Some(connect) = system.connect_timeout.filter(|connect| connect.0 > timeout) {
            let timeout = crate::definitions::Duration(timeout);
            wrong(
                "connectTimeout",
                format!("{connect} is longer than the whole attempt may take ({timeout})"),
            );
        }
        if let Some(health) = &system.health {
            if !health.path.starts_with('/') {
                wrong("health.path", "a path starts with `/`".to_owned());
            }
            let (every, timeout) = (health.every.map(|d| d.0), health.timeout.map(|d| d.0));
            if timeout.unwrap_or(Duration::from_secs(2)) > every.unwrap_or(Duration::from_secs(10)) {
                wrong("health.timeout", "longer than the time between two checks".to_owned());
            }
        }
        retry_waits(system.retry.as_ref(), "retry", &mut wrong);
        for (name, operation) in &system.operations {
            if operation.timeout.is_some_and(|timeout| timeout.0.is_zero()) {
                wrong(&format!("operations.{name}.timeout"), "a time of 0".to_owned());
            }
        }
    }
    for (id, interface) in interfaces(all) {
        let mut wrong = |path: &str, message: String| found.push(PlanMistake::new(id.clone(), path, message));
        if interface.deadline.is_some_and(|deadline| deadline.0.is_zero()) {
            wrong("deadline", "a time of 0".to_owned());
        }
        walk::calls(interface, &mut |call, path| {
            if call.timeout.is_some_and(|timeout| timeout.0.is_zero()) {
                wrong(&format!("{path}.timeout"), "a time of 0".to_owned());
            }
            retry_waits(call.retry.as_ref(), &format!("{path}.retry"), &mut wrong);
        });
    }
}

fn counts(system: &SystemDefinition) -> Vec<(&'static str, Option<u32>)> {
    let (pool, limits) = (system.pool.as_ref(), system.limits.as_ref());
    vec![
        ("pool.connections", pool.and_then(|pool| pool.connections)),
        ("limits.concurrent", limits.and_then(|limits| limits.concurrent)),
        ("breaker.minimum", system.breaker.as_ref().and_then(|breaker| breaker.minimum)),
        ("health.fall", system.health.as_ref().and_then(|health| health.fall)),
        ("health.rise", system.health.as_ref().and_then(|health| health.rise)),
    ]
}

fn durations(system: &SystemDefinition) -> Vec<(&'static str, Option<Duration>)> {
    let (breaker, health) = (system.breaker.as_ref(), system.health.as_ref());
    let all = [
        ("timeout", system.timeout),
        ("connectTimeout", system.connect_timeout),
        ("breaker.window", breaker.and_then(|breaker| breaker.window)),
        ("breaker.open", breaker.and_then(|breaker| breaker.open)),
        ("health.every", health.and_then(|health| health.every)),
        ("health.timeout", health.and_then(|health| health.timeout)),
    ];
    all.into_iter().map(|(path, duration)| (path, duration.map(|duration| duration.0))).collect()
}

fn retry_waits(retry: Option<&Retry>, path: &str, wrong: &mut dyn FnMut(&str, String)) {
    let Some(retry) = retry else { return };
    if let (Some(first), Some(most)) = (retry.first, retry.most)
        && first > most
    {
        wrong(&format!("{path}.first"), format!("{first} is longer than the longest wait ({most})"));
    }
    if retry.attempts == 1 && (retry.first.is_some() || retry.most.is_some()) {
        wrong(&format!("{path}.attempts"), "1 attempt is no repeat, and so there are no waits".to_owned());
    }
}

/// A system has one credential.
pub(super) fn credentials(all: &Definitions, found: &mut Vec<PlanMistake>) {
    for (id, system) in systems(all) {
        let Some(credential) = &system.credential else { continue };
        if credential.basic.is_some() == credential.header.is_some() {
            found.push(PlanMistake::new(id, "credential", "exactly one of `basic` and `header`"));
        }
    }
}

/// No judge rule stands behind one that always applies.
pub(super) fn judges(all: &Definitions, found: &mut Vec<PlanMistake>) {
    for (id, system) in systems(all) {
        judge_order(&id, "judge", &system.judge, found);
        for (name, operation) in &system.operations {
            judge_order(
                &id,
                &format!("operations.{name}.judge"),
                operation.judge.as_deref().unwrap_or_default(),
                found,
            );
        }
    }
}

fn judge_order(id: &DefinitionId, path: &str, rules: &[JudgeRule], found: &mut Vec<PlanMistake>) {
    if let Some(index) =
        rules.iter().position(|rule| rule.when.is_none()).filter(|index| index + 1 < rules.len())
    {
        let message = format!("never applies: rule {path}[{index}] always does");
        let mistake = PlanMistake::new(id.clone(), format!("{path}[{}]", index + 1), message);
        found.push(mistake.with_remedy("give that rule a `when` or move it to the end"));
    }
}

/// A step that asks for repeats of a changing operation is only told: the executor repeats nothing that may have had an effect,
/// so that a mistake here could cost attempts, never a second effect.
pub(super) fn retries(all: &Definitions, found: &mut Vec<PlanMistake>) {
    for (id, interface) in interfaces(all) {
        walk::calls(interface, &mut |call, path| {
            let operation =
                all.systems.get(&call.system).and_then(|system| system.operations.get(&call.operation));
            let Some(operation) = operation else { return };
            let repeats = call.retry.as_ref().is_some_and(|retry| retry.attempts > 1);
            if repeats && operation.changing && operation.idempotency_header.is_none() {
                let message = format!(
                    "`{}` changes the partner's state and knows no repeats: repeated only when surely nothing was taken",
                    call.operation
                );
                let warning = PlanMistake::new(id.clone(), format!("{path}.retry.attempts"), message);
                found.push(warning.with_remedy("declare `idempotencyHeader` if the partner honours one"));
            }
        });
    }
}

/// A call's timeout lies within its interface's deadline.
pub(super) fn deadlines(all: &Definitions, found: &mut Vec<PlanMistake>) {
    for (id, interface) in interfaces(all) {
        let deadline = interface.deadline.map_or(DEADLINE, |deadline| deadline.0);
        walk::calls(interface, &mut |call, path| {
            if let Some(timeout) = call.timeout.filter(|timeout| timeout.0 > deadline) {
                let deadline = crate::definitions::Duration(deadline);
                let message = format!("{timeout} is never reached: the interface's deadline is {deadline}");
                found.push(PlanMistake::new(id.clone(), format!("{path}.timeout"), message));
            }
        });
    }
}
