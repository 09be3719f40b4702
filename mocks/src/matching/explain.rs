//! Why a request met no stub: the nearest stubs, criterion by criterion. Off the hot path.
use std::time::Instant;

use qiao_mappings::Layer;

use super::{Condition, Conditions, Memo, condition::Look, memo::Text};
use crate::{
    decide::{params, state_key},
    facts::{Facts, Incoming},
    journal::{Nearest, Verdict},
    overlay::{self, Overlay},
    partner::{Partner, Stub},
    rows::{Looked, RowLook},
    state::{INITIAL, full_key},
};

/// Stubs shown.
pub const NEAREST: usize = 3;
/// Another dispatch key is another item altogether: it weighs as much as this many criteria.
const ITEM_WEIGHT: usize = 8;
const SEEN_CUT: usize = 200;

/// The stubs that came nearest, the nearest first. State and tables are looked at as they are now.
pub fn nearest(
    partner: &Partner,
    overlay: Option<&Overlay>,
    number: usize,
    incoming: &Incoming,
) -> Vec<Nearest> {
    let facts = Facts::new(incoming, partner, &partner.listeners[number]);
    let mut scored: Vec<(usize, usize, &Stub, usize)> = Vec::new();
    let mut memos: Vec<Memo<'_>> = Vec::with_capacity(2);
    for tried in overlay::tried(partner, overlay, number) {
        let mut memo = Memo::new(&facts, tried.sources);
        let here = tried.stubs.iter().filter(|stub| stub.listener.is_none_or(|only| only == number));
        for stub in here {
            scored.push((misfit(stub, partner, &mut memo), scored.len(), stub, memos.len()));
        }
        memos.push(memo);
    }
    let shown = NEAREST.min(scored.len());
    if scored.len() > shown && shown > 0 {
        scored.select_nth_unstable_by_key(shown - 1, |(misfit, rank, ..)| (*misfit, *rank));
    }
    scored.truncate(shown);
    scored.sort_by_key(|(misfit, rank, ..)| (*misfit, *rank));
    let shown = scored.into_iter();
    shown
        .map(|(_, _, stub, memo)| Nearest {
            stub: stub.id.to_string(),
            criteria: verdicts(stub, partner, &mut memos[memo]),
        })
        .collect()
}

/// How far a stub is from matching.
fn misfit(stub: &Stub, partner: &Partner, memo: &mut Memo<'_>) -> usize {
    let facts = memo.facts();
    let conditions = &stub.conditions;
    let mut misfit = 0;
    let count = |holds: bool, weight: usize| if holds { 0 } else { weight };
    for (place, condition) in conditions.all.iter().enumerate() {
        let item = place == 0 && stub.item.is_some();
        misfit += count(condition.holds(memo), if item { ITEM_WEIGHT } else { 1 });
    }
    misfit += conditions.not.iter().map(|condition| count(!condition.holds(memo), 1)).sum::<usize>();
    misfit +=
        count(conditions.any.is_empty() || conditions.any.iter().any(|condition| condition.holds(memo)), 1);
    misfit += count(conditions.method.as_ref().is_none_or(|method| *method == facts.incoming().method), 1);
    misfit += count(conditions.path.as_ref().is_none_or(|path| path.fits(facts.segments())), 2);
    misfit += looks(stub, partner, facts).iter().map(|(_, looked)| count(looked.holds, 1)).sum::<usize>();
    misfit + count(state(stub, partner, facts).is_none_or(|(_, _, holds)| holds), 1)
}

/// Key and state of a stub that looks at it, and whether it is one of those wanted. A request without the key has no state.
fn state(stub: &Stub, partner: &Partner, facts: &Facts<'_>) -> Option<(String, Option<String>, bool)> {
    let rule = stub.state.as_ref().filter(|rule| !rule.within.is_empty() || rule.key.is_some())?;
    let Some(key) = state_key(stub, facts) else { return Some((String::new(), None, false)) };
    let full = full_key(&facts.incoming().session, &key);
    let lock = partner.runtime.state.lock(&full);
    let current = lock.peek(&full, Instant::now()).map_or(INITIAL, |instance| instance.state(&rule.machine));
    let holds = rule.within.is_empty() || rule.within.iter().any(|wanted| **wanted == *current);
    Some((key, Some(current.to_owned()), holds))
}

/// The rows that a stub looks at, as they are now.
fn looks<'p>(stub: &'p Stub, partner: &Partner, facts: &Facts<'_>) -> Vec<(&'p RowLook, Looked)> {
    if stub.rows.is_empty() {
        return Vec::new();
    }
    let params = params(stub, facts);
    let scope = Layer { parent: facts, name: "params", value: &params };
    // Opening a sealed body takes long: not under the tables' lock.
    facts.documents();
    let view = partner.shared.view();
    let session = &facts.incoming().session;
    stub.rows.iter().map(|look| (look, look.look(&view, session, &scope))).collect()
}

/// Every criterion of a stub with what was seen.
pub fn verdicts(stub: &Stub, partner: &Partner, memo: &mut Memo<'_>) -> Vec<Verdict> {
    let facts = memo.facts();
    let mut verdicts = conditions_verdicts(&stub.conditions, memo);
    let mut add = |criterion: &str, wanted: String, seen: Option<String>, ok: bool| {
        verdicts.push(Verdict { criterion: cut(criterion), wanted: cut(&wanted), seen, ok });
    };
    for (look, looked) in looks(stub, partner, facts) {
        let place = format!("{} by {}", look.form.name, look.column);
        add(&place, look.wanted(), look.seen(&looked).as_deref().map(cut), looked.holds);
    }
    if let (Some(rule), Some((key, current, ok))) = (&stub.state, state(stub, partner, facts)) {
        add(
            &format!("state {} of {key}", rule.machine),
            format!("in {}", rule.within.join(", ")),
            current,
            ok,
        );
    }
    verdicts
}

/// Every condition with what was seen.
pub fn conditions_verdicts(conditions: &Conditions, memo: &mut Memo<'_>) -> Vec<Verdict> {
    let facts = memo.facts();
    let mut verdicts = Vec::new();
    let mut add = |criterion: &str, wanted: String, seen: Option<String>, ok: bool| {
        verdicts.push(Verdict { criterion: cut(criterion), wanted: cut(&wanted), seen, ok });
    };
    if let Some(method) = &conditions.method {
        let seen = &facts.incoming().method;
        add("method", format!("equals {method}"), Some(seen.to_string()), method == seen);
    }
    if let Some(path) = &conditions.path {
        add(
            "path",
            format!("fits {}", path.text()),
            Some(cut(&facts.incoming().path)),
            path.fits(facts.segments()),
        );
    }
    for condition in &conditions.all {
        let ok = condition.holds(memo);
        add(&condition.place, condition.wanted.to_string(), seen(condition, memo), ok);
    }
    let any: Vec<bool> = conditions.any.iter().map(|condition| condition.holds(memo)).collect();
    let one = any.iter().any(|holds| *holds);
    for condition in &conditions.any {
        add(&condition.place, format!("any: {}", condition.wanted), seen(condition, memo), one);
    }
    for condition in &conditions.not {
        let holds = condition.holds(memo);
        add(&condition.place, format!("not: {}", condition.wanted), seen(condition, memo), !holds);
    }
    verdicts
}

fn seen(condition: &Condition, memo: &mut Memo<'_>) -> Option<String> {
    let Look::At(source, _) = &condition.look else { return None };
    let text = |text: &Text<'_>| text.as_deref().map_or_else(|| "a list or an object".to_owned(), cut);
    match memo.seen(*source).texts() {
        [] => None,
        [one] => Some(text(one)),
        many => Some(many.iter().take(8).map(text).collect::<Vec<_>>().join(", ")),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SEEN_CUT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
