//! Stubs against one another: ids used twice, and stubs that can never answer because another always answers first.
use std::collections::HashMap;

use super::{report::Report, stub::Written};
use crate::matching::Condition;

/// Stubs with more conditions are only compared with their equals: the subsets of a set double with each member.
const MAX_CONDITIONS: usize = 8;

/// Checks stubs that are in the order in which they are tried.
pub fn check(stubs: &[Written<'_>], report: &mut Report) {
    duplicates(stubs, report);
    shadowed(stubs, report);
}

fn duplicates(stubs: &[Written<'_>], report: &mut Report) {
    let mut first: HashMap<&str, usize> = HashMap::new();
    let mut written: Vec<&Written<'_>> = stubs.iter().collect();
    written.sort_by_key(|written| written.number);
    for (at, stub) in written.iter().enumerate() {
        if let Some(earlier) = first.get(&*stub.stub.id) {
            let earlier = written[*earlier].place.mistake("");
            let message =
                format!("there is another stub `{}` in {} line {}", stub.stub.id, earlier.file, earlier.line);
            report.add(&stub.place.at("id"), message);
        } else {
            first.insert(&stub.stub.id, at);
        }
    }
}

/// A stub never answers when an earlier one, which looks at no state, asks for nothing that it does not ask for as well.
fn shadowed(stubs: &[Written<'_>], report: &mut Report) {
    let mut numbers: HashMap<String, u32> = HashMap::new();
    let mut earlier: HashMap<Vec<u32>, usize> = HashMap::new();
    for (at, written) in stubs.iter().enumerate() {
        let mut set: Vec<u32> = Vec::new();
        for name in conditions(written) {
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            set.push(*numbers.entry(name).or_insert(next));
        }
        set.sort_unstable();
        set.dedup();
        if let Some(other) = covering(&set, &earlier) {
            let other = &stubs[other].stub.id;
            let message =
                format!("never answers: `{other}` is tried before it and matches everything that it matches");
            report.add_with_remedy(
                &written.place.at("id"),
                message,
                Some("give it a higher priority or more conditions, or remove it".into()),
            );
        }
        let looks_at_state =
            written.stub.state.as_ref().is_some_and(|state| !state.within.is_empty() || state.key.is_some());
        // Rows may be there or not, as state may be this or that.
        if !looks_at_state && written.stub.rows.is_empty() {
            earlier.entry(set).or_insert(at);
        }
    }
}

fn covering(set: &[u32], earlier: &HashMap<Vec<u32>, usize>) -> Option<usize> {
    if set.len() > MAX_CONDITIONS {
        return earlier.get(set).copied();
    }
    let subset = |mask: u32| -> Vec<u32> {
        set.iter()
            .enumerate()
            .filter(|(bit, _)| mask & (1 << bit) != 0)
            .map(|(_, condition)| *condition)
            .collect()
    };
    (0..1_u32 << set.len()).filter_map(|mask| earlier.get(&subset(mask)).copied()).min()
}

/// Each condition in words that are equal for equal conditions. `any` and `not` count as a whole.
fn conditions(written: &Written<'_>) -> Vec<String> {
    let stub = &written.stub;
    let conditions = &stub.conditions;
    let mut words: Vec<String> = conditions.all.iter().map(Condition::identity).collect();
    words.extend(stub.listener.map(|listener| format!("listener {listener}")));
    words.extend(conditions.method.as_ref().map(|method| format!("method {method}")));
    words.extend(conditions.path.as_ref().map(|path| format!("path {}", path.shape())));
    words.extend(conditions.not.iter().map(|condition| format!("not {}", condition.identity())));
    if !conditions.any.is_empty() {
        let mut any: Vec<String> = conditions.any.iter().map(Condition::identity).collect();
        any.sort();
        words.push(format!("any {}", any.join(" | ")));
    }
    words
}
