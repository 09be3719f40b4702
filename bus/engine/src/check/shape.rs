//! The shape of interfaces and steps, where the form alone cannot say it.
use super::{interfaces, walk};
use crate::{
    definitions::{
        Definitions, Step,
        flow::{Join, OnFault},
    },
    mistake::PlanMistake,
};

const KINDS: [&str; 9] = ["call", "map", "set", "validate", "branch", "parallel", "each", "respond", "fail"];

/// The kinds a step names; one, where it is right.
fn kinds(step: &Step) -> Vec<&'static str> {
    let named = [
        step.call.is_some(),
        step.map.is_some(),
        step.set.is_some(),
        step.validate.is_some(),
        step.branch.is_some(),
        step.parallel.is_some(),
        step.each.is_some(),
        step.respond.is_some(),
        step.fail.is_some(),
    ];
    KINDS.into_iter().zip(named).filter_map(|(kind, named)| named.then_some(kind)).collect()
}

/// A step has exactly one kind.
pub(super) fn one_kind(all: &Definitions, found: &mut Vec<PlanMistake>) {
    for (id, interface) in interfaces(all) {
        walk::steps(interface, &mut |step, path| {
            let kinds = kinds(step);
            if kinds.len() != 1 {
                let message = match kinds.len() {
                    0 => "a step without a kind".to_owned(),
                    _ => format!("a step of several kinds: {}", kinds.join(", ")),
                };
                let remedy = format!("exactly one of {}", KINDS.join(", "));
                found.push(PlanMistake::new(id.clone(), path, message).with_remedy(remedy));
            }
        });
    }
}

/// A respond step builds its answer in exactly one way.
pub(super) fn one_answer_source(all: &Definitions, found: &mut Vec<PlanMistake>) {
    for (id, interface) in interfaces(all) {
        walk::steps(interface, &mut |step, path| {
            let Some(respond) = &step.respond else { return };
            let sources = [respond.body.is_some(), respond.from.is_some(), respond.map.is_some()];
            if sources.into_iter().filter(|given| *given).count() != 1 {
                let path = format!("{path}.respond");
                found.push(PlanMistake::new(id.clone(), path, "exactly one of `body`, `from` and `map`"));
            }
        });
    }
}

/// An interface has a flow or forwards, not both.
pub(super) fn flow_or_forward(all: &Definitions, found: &mut Vec<PlanMistake>) {
    for (id, interface) in interfaces(all) {
        match (&interface.forward, interface.flow.is_empty()) {
            (Some(_), false) => {
                let message = "a flow beside `forward`";
                found.push(PlanMistake::new(id, "flow", message).with_remedy("keep one of them"));
            }
            (None, true) => {
                let message = "neither `flow` nor `forward`";
                found.push(PlanMistake::new(id, "", message).with_remedy("add the steps under `flow`"));
            }
            _ => {}
        }
    }
}

/// A branch has arms, and only the last may always hold.
pub(super) fn branches(all: &Definitions, found: &mut Vec<PlanMistake>) {
    for (id, interface) in interfaces(all) {
        walk::steps(interface, &mut |step, path| {
            let Some(arms) = &step.branch else { return };
            if arms.is_empty() {
                found.push(PlanMistake::new(id.clone(), format!("{path}.branch"), "a branch without arms"));
            }
            let before_last = arms.len().saturating_sub(1);
            for (index, arm) in arms.iter().enumerate() {
                if arm.when.is_none() && index < before_last {
                    let message = "an arm without `when` always holds: the arms after it never run";
                    let mistake =
                        PlanMistake::new(id.clone(), format!("{path}.branch[{index}].when"), message);
                    found.push(mistake.with_remedy("move it to the end"));
                }
            }
        });
    }
}

/// A parallel step can reach its join.
pub(super) fn parallels(all: &Definitions, found: &mut Vec<PlanMistake>) {
    for (id, interface) in interfaces(all) {
        walk::steps(interface, &mut |step, path| {
            let Some(parallel) = &step.parallel else { return };
            let count = parallel.branches.len();
            let at = |part: &str| format!("{path}.parallel.{part}");
            let mut wrong = |part: &str, message: String, remedy: &str| {
                found.push(PlanMistake::new(id.clone(), at(part), message).with_remedy(remedy));
            };
            if count == 0 {
                wrong("branches", "no branch".to_owned(), "add branches, each with `name` and `steps`");
                return;
            }
            match (parallel.join, parallel.need) {
                (Join::First, None) if count < 2 => {
                    wrong("join", "`first` of one branch".to_owned(), "add a branch or leave `join` out");
                }
                (Join::NOfM, Some(need)) if need >= 1 && need as usize <= count => {}
                (Join::NOfM, Some(need)) => {
                    wrong("need", format!("{need} of {count} branches"), &format!("wanted 1 to {count}"));
                }
                (Join::NOfM, None) => {
                    wrong("need", "`n-of-m` without `need`".to_owned(), &format!("add `need`, 1 to {count}"));
                }
                (Join::All | Join::First, Some(_)) => {
                    wrong("need", "only `join: n-of-m` takes `need`".to_owned(), "leave it out");
                }
                (Join::All | Join::First, None) => {}
            }
            for (index, branch) in parallel.branches.iter().enumerate().filter(|(_, b)| b.steps.is_empty()) {
                let message = format!("branch `{}` has no steps", branch.name);
                wrong(&format!("branches[{index}].steps"), message, "add steps or leave the branch out");
            }
        });
    }
}

/// An each step can reach its need.
pub(super) fn each(all: &Definitions, found: &mut Vec<PlanMistake>) {
    for (id, interface) in interfaces(all) {
        walk::steps(interface, &mut |step, path| {
            let Some(each) = &step.each else { return };
            let mut wrong = |part: &str, message: &str, remedy: &str| {
                let path = format!("{path}.each.{part}");
                found.push(PlanMistake::new(id.clone(), path, message).with_remedy(remedy));
            };
            if each.steps.is_empty() {
                wrong("steps", "nothing to do for an item", "add steps");
            }
            if each.most == Some(0) {
                wrong("most", "no item at all", "wanted at least 1");
            }
            match (each.need, each.on_fault) {
                (Some(_), OnFault::Fail) => {
                    wrong("need", "only `onFault: continue` takes `need`", "leave it out")
                }
                (Some(need), OnFault::Continue) if need > each.most.unwrap_or(1000) => {
                    wrong("need", "more than the items allowed", "raise `most` or lower `need`");
                }
                _ => {}
            }
        });
    }
}

/// A degraded answer names a stand-in.
pub(super) fn degrades(all: &Definitions, found: &mut Vec<PlanMistake>) {
    for (id, interface) in interfaces(all) {
        walk::calls(interface, &mut |call, path| {
            let Some(degrade) = &call.degrade else { return };
            if degrade.alternative.is_none() && degrade.last_good.is_none() && degrade.fixed.is_none() {
                let message = "names no stand-in";
                let mistake = PlanMistake::new(id.clone(), format!("{path}.degrade"), message);
                found.push(mistake.with_remedy("at least one of `alternative`, `lastGood` and `static`"));
            }
        });
    }
}
