//! Walking a document along the segments of a selector.

use super::filter::At;
use super::{Pick, Segment};
use crate::document::Scope;
use serde_json::Value;

/// Follows names and indexes only; the caller has checked that there is nothing else.
pub(super) fn single<'a>(segments: &[Segment], document: &'a Value) -> Option<&'a Value> {
    let mut node = document;
    for segment in segments {
        node = match segment {
            Segment::Name(name) => node.as_object()?.get(name)?,
            Segment::Index(index) => element(node, *index)?,
            Segment::Children(_) | Segment::Descendants(_) => return None,
        };
    }
    Some(node)
}

/// Every node the segments select in `document`.
pub(super) fn all<'a>(segments: &[Segment], document: &'a Value, scope: &'a dyn Scope) -> Vec<&'a Value> {
    from(segments, document, document, scope)
}

/// Every node the segments select from `start`, a node of `document`.
pub(super) fn from<'a>(
    segments: &[Segment],
    start: &'a Value,
    document: &'a Value,
    scope: &'a dyn Scope,
) -> Vec<&'a Value> {
    let mut nodes = vec![start];
    for segment in segments {
        let mut next = Vec::with_capacity(nodes.len());
        for node in nodes {
            match segment {
                Segment::Name(name) => next.extend(node.as_object().and_then(|members| members.get(name))),
                Segment::Index(index) => next.extend(element(node, *index)),
                Segment::Children(picks) => children(picks, At { node, document, scope }, &mut next),
                Segment::Descendants(picks) => descendants(picks, At { node, document, scope }, &mut next),
            }
        }
        nodes = next;
    }
    nodes
}

fn descendants<'a>(picks: &[Pick], at: At<'a>, out: &mut Vec<&'a Value>) {
    children(picks, at, out);
    // Recursion is bounded by the depth a codec accepts.
    match at.node {
        Value::Array(elements) => elements.iter().for_each(|node| descendants(picks, At { node, ..at }, out)),
        Value::Object(members) => {
            members.values().for_each(|node| descendants(picks, At { node, ..at }, out))
        }
        _ => {}
    }
}

fn children<'a>(picks: &[Pick], at: At<'a>, out: &mut Vec<&'a Value>) {
    for pick in picks {
        match (pick, at.node) {
            (Pick::Name(name), Value::Object(members)) => out.extend(members.get(name)),
            (Pick::Index(index), node) => out.extend(element(node, *index)),
            (Pick::All, Value::Array(elements)) => out.extend(elements),
            (Pick::All, Value::Object(members)) => out.extend(members.values()),
            (Pick::Slice { start, end, step }, Value::Array(elements)) => {
                slice(elements, *start, *end, *step, out)
            }
            (Pick::Where(logic), Value::Array(elements)) => {
                out.extend(elements.iter().filter(|node| logic.holds(At { node, ..at })));
            }
            (Pick::Where(logic), Value::Object(members)) => {
                out.extend(members.values().filter(|node| logic.holds(At { node, ..at })));
            }
            _ => {}
        }
    }
}

fn element(node: &Value, index: i64) -> Option<&Value> {
    let elements = node.as_array()?;
    let index = if index < 0 { index.checked_add(i64::try_from(elements.len()).ok()?)? } else { index };
    elements.get(usize::try_from(index).ok()?)
}

/// RFC 9535 §2.3.4.2.2.
fn slice<'a>(
    elements: &'a [Value],
    start: Option<i64>,
    end: Option<i64>,
    step: i64,
    out: &mut Vec<&'a Value>,
) {
    let Ok(len) = i64::try_from(elements.len()) else { return };
    let normal = |index: i64| if index < 0 { len.saturating_add(index) } else { index };
    let at = |index: i64| usize::try_from(index).ok().and_then(|index| elements.get(index));
    if step > 0 {
        let mut index = normal(start.unwrap_or(0)).clamp(0, len);
        let upper = normal(end.unwrap_or(len)).clamp(0, len);
        while index < upper {
            out.extend(at(index));
            index = index.saturating_add(step);
        }
    } else if step < 0 {
        let mut index = start.map_or(len - 1, normal).clamp(-1, len - 1);
        let lower = end.map_or(-1, normal).clamp(-1, len - 1);
        while index > lower {
            out.extend(at(index));
            index = index.saturating_add(step);
        }
    }
}
