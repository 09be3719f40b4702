//! Every path through a flow responds or fails, and nothing follows.
use super::{interfaces, walk};
use crate::{
    definitions::{Definitions, Step, interface::Pattern},
    mistake::PlanMistake,
};

/// Whether a step surely ends the flow.
fn ends(step: &Step) -> bool {
    if step.when.is_some() {
        return false;
    }
    if step.respond.is_some() || step.fail.is_some() {
        return true;
    }
    step.branch.as_ref().is_some_and(|arms| {
        arms.last().is_some_and(|last| last.when.is_none())
            && arms.iter().all(|arm| arm.steps.iter().any(ends))
    })
}

/// Every path through a flow responds or fails. Nobody waits for the answer of a scheduled flow or an event.
pub(super) fn always(all: &Definitions, found: &mut Vec<PlanMistake>) {
    for (id, interface) in interfaces(all) {
        let answers = matches!(interface.pattern, Pattern::Sync | Pattern::Async | Pattern::Push);
        if answers && interface.forward.is_none() && !interface.flow.is_empty() {
            let mut open = Vec::new();
            open_ends(&interface.flow, "flow", &mut open);
            found.extend(open.into_iter().map(|(path, message)| {
                PlanMistake::new(id.clone(), path, message).with_remedy("end it with `respond` or `fail`")
            }));
        }
    }
}

/// Where these steps can end without an answer.
fn open_ends(steps: &[Step], path: &str, open: &mut Vec<(String, String)>) {
    if steps.iter().any(ends) {
        return;
    }
    let Some((index, last)) = steps.iter().enumerate().next_back() else {
        return open.push((path.to_owned(), "no steps, and so no answer".to_owned()));
    };
    let place = format!("{path}[{index}]");
    match &last.branch {
        Some(arms) if last.when.is_none() && !arms.is_empty() => {
            for (index, arm) in arms.iter().enumerate() {
                open_ends(&arm.steps, &format!("{place}.branch[{index}].steps"), open);
            }
            if arms.iter().all(|arm| arm.when.is_some()) {
                let message = "when no arm holds, nothing answers: the last arm needs no `when`";
                open.push((format!("{place}.branch"), message.to_owned()));
            }
        }
        _ if last.when.is_some() && (last.respond.is_some() || last.fail.is_some()) => {
            open.push((format!("{place}.when"), "when this does not hold, nothing answers".to_owned()));
        }
        _ => open.push((place, "the flow can end after this step without an answer".to_owned())),
    }
}

/// Nothing follows a respond or fail.
pub(super) fn unreachable(all: &Definitions, found: &mut Vec<PlanMistake>) {
    for (id, interface) in interfaces(all) {
        let mut after = |steps: &[Step], path: &str| {
            if let Some(index) = steps.iter().position(ends).filter(|index| index + 1 < steps.len()) {
                let message = format!("never runs: the flow has ended at {path}[{index}]");
                let mistake = PlanMistake::new(id.clone(), format!("{path}[{}]", index + 1), message);
                found.push(mistake.with_remedy("move it before, or leave it out"));
            }
        };
        after(&interface.flow, "flow");
        walk::steps(interface, &mut |step, path| {
            walk::inner(step, path).into_iter().for_each(|(steps, path)| after(steps, &path));
        });
    }
}

/// No respond stands inside a parallel or each step: it would cut off what still runs there.
pub(super) fn early(all: &Definitions, found: &mut Vec<PlanMistake>) {
    for (id, interface) in interfaces(all) {
        walk::steps(interface, &mut |step, path| {
            let inside = [(".parallel.branches[", "a parallel"), (".each.steps[", "an each")];
            if let Some((_, kind)) =
                inside.into_iter().find(|(part, _)| step.respond.is_some() && path.contains(part))
            {
                let message = format!("responds inside {kind} step and cuts off what still runs there");
                let mistake = PlanMistake::new(id.clone(), format!("{path}.respond"), message);
                found.push(mistake.with_remedy("respond after it, from its results"));
            }
        });
    }
}
