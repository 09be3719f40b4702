//! Filters of selectors: conditions on a node (RFC 9535 §2.3.5), evaluated without copying a document.

use super::{Query, walk};
use crate::document::{Scope, compare_numbers, same};
use regex::Regex;
use serde_json::Value;
use std::borrow::Cow;
use std::cmp::Ordering;

/// What a filter is evaluated against.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub node: &'a Value,
    /// The document the whole selector started in.
    pub document: &'a Value,
    pub scope: &'a dyn Scope,
}

#[derive(Debug, Clone)]
pub(super) enum Logic {
    Any(Vec<Logic>),
    All(Vec<Logic>),
    Not(Box<Logic>),
    Compare(Operand, Comparison, Operand),
    Exists((Query, bool)),
    Matches(Operand, Box<Regex>),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A value, or nothing. The flag says whether the query starts at `$`.
#[derive(Debug, Clone)]
pub(super) enum Operand {
    Literal(Value),
    Single(Query, bool),
    Length(Box<Operand>),
    Count((Query, bool)),
    Value((Query, bool)),
}

impl Logic {
    pub(super) fn holds(&self, at: At<'_>) -> bool {
        match self {
            Logic::Any(parts) => parts.iter().any(|part| part.holds(at)),
            Logic::All(parts) => parts.iter().all(|part| part.holds(at)),
            Logic::Not(part) => !part.holds(at),
            Logic::Compare(left, comparison, right) => {
                comparison.holds(left.value(at).as_deref(), right.value(at).as_deref())
            }
            Logic::Exists((query, absolute)) => !nodes(query, *absolute, at).is_empty(),
            Logic::Matches(operand, pattern) => operand
                .value(at)
                .as_deref()
                .and_then(Value::as_str)
                .is_some_and(|text| pattern.is_match(text)),
        }
    }
}

impl Comparison {
    fn holds(self, left: Option<&Value>, right: Option<&Value>) -> bool {
        match self {
            Comparison::Equal => equal(left, right),
            Comparison::NotEqual => !equal(left, right),
            Comparison::Less => less(left, right),
            Comparison::LessOrEqual => less(left, right) || equal(left, right),
            Comparison::Greater => less(right, left),
            Comparison::GreaterOrEqual => less(right, left) || equal(left, right),
        }
    }
}

fn equal(left: Option<&Value>, right: Option<&Value>) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => same(left, right),
        (None, None) => true,
        _ => false,
    }
}

fn less(left: Option<&Value>, right: Option<&Value>) -> bool {
    match (left, right) {
        (Some(Value::Number(left)), Some(Value::Number(right))) => {
            compare_numbers(left, right) == Some(Ordering::Less)
        }
        (Some(Value::String(left)), Some(Value::String(right))) => left < right,
        _ => false,
    }
}

impl Operand {
    fn value<'a>(&'a self, at: At<'a>) -> Option<Cow<'a, Value>> {
        match self {
            Operand::Literal(value) => Some(Cow::Borrowed(value)),
            Operand::Single(query, absolute) => {
                walk::single(&query.segments, start(query, *absolute, at)?).map(Cow::Borrowed)
            }
            Operand::Length(operand) => {
                length(operand.value(at)?.as_ref()).map(|n| Cow::Owned(Value::from(n)))
            }
            Operand::Count((query, absolute)) => {
                Some(Cow::Owned(Value::from(nodes(query, *absolute, at).len())))
            }
            Operand::Value((query, absolute)) => match nodes(query, *absolute, at).as_slice() {
                [one] => Some(Cow::Borrowed(*one)),
                _ => None,
            },
        }
    }
}

fn length(value: &Value) -> Option<usize> {
    match value {
        Value::String(text) => Some(text.chars().count()),
        Value::Array(elements) => Some(elements.len()),
        Value::Object(members) => Some(members.len()),
        _ => None,
    }
}

fn start<'a>(query: &Query, absolute: bool, at: At<'a>) -> Option<&'a Value> {
    match &query.root {
        Some(name) => at.scope.get(name),
        None if absolute => Some(at.document),
        None => Some(at.node),
    }
}

fn nodes<'a>(query: &Query, absolute: bool, at: At<'a>) -> Vec<&'a Value> {
    let Some(start) = start(query, absolute, at) else { return Vec::new() };
    walk::from(&query.segments, start, at.document, at.scope)
}
