//! One condition: a place and a test, or a CEL expression.
use std::cmp::Ordering;

use super::{Memo, likeness::Likeness};

/// A compiled condition with the words it was written in, for explanations.
#[derive(Debug)]
pub struct Condition {
    pub look: Look,
    /// The place as written: `$.request.age`, `header x-sign`.
    pub place: Box<str>,
    /// The test as written: `gte 65`.
    pub wanted: Box<str>,
}

#[derive(Debug)]
pub enum Look {
    /// The number of the place, and the test of its values.
    At(usize, Test),
    /// The number of the expression.
    Cel(usize),
}

#[derive(Debug)]
pub enum Test {
    Equals(Box<str>),
    /// Sorted.
    In(Vec<Box<str>>),
    /// The number of the regular expression.
    Matches(usize),
    Contains(Box<str>),
    StartsWith(Box<str>),
    Order(Order, Box<str>),
    Exists(bool),
    /// The whole value.
    Json(Box<Likeness>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Gt,
    Gte,
    Lt,
    Lte,
}

impl Condition {
    pub fn holds(&self, memo: &mut Memo<'_>) -> bool {
        match &self.look {
            Look::Cel(number) => memo.cel(*number),
            Look::At(source, Test::Matches(regex)) => memo.matches(*regex, *source),
            Look::At(source, Test::Exists(wanted)) => memo.seen(*source).texts().is_empty() != *wanted,
            Look::At(source, Test::Json(wanted)) => {
                memo.values(*source).iter().any(|value| wanted.fits(value))
            }
            Look::At(source, test) => memo.seen(*source).texts().iter().flatten().any(|text| test.fits(text)),
        }
    }

    /// The place and the values by which this condition can be indexed.
    pub fn equalities(&self) -> Option<(usize, &[Box<str>])> {
        match &self.look {
            Look::At(source, Test::Equals(value)) => Some((*source, std::slice::from_ref(value))),
            Look::At(source, Test::In(values)) if values.len() <= 64 => Some((*source, values)),
            _ => None,
        }
    }

    /// Equal for conditions that say the same.
    pub fn identity(&self) -> String {
        format!("{} {}", self.place, self.wanted)
    }
}

impl Test {
    fn fits(&self, text: &str) -> bool {
        match self {
            Self::Equals(wanted) => **wanted == *text,
            Self::In(wanted) => wanted.binary_search_by(|value| (**value).cmp(text)).is_ok(),
            Self::Contains(part) => text.contains(&**part),
            Self::StartsWith(start) => text.starts_with(&**start),
            Self::Order(order, bound) => order.fits(compare(text, bound)),
            Self::Matches(_) | Self::Exists(_) | Self::Json(_) => false,
        }
    }
}

impl Order {
    fn fits(self, ordering: Ordering) -> bool {
        match self {
            Self::Gt => ordering.is_gt(),
            Self::Gte => ordering.is_ge(),
            Self::Lt => ordering.is_lt(),
            Self::Lte => ordering.is_le(),
        }
    }
}

/// Integers exactly, other numbers as doubles, anything else as text.
fn compare(left: &str, right: &str) -> Ordering {
    if let (Ok(left), Ok(right)) = (left.parse::<i128>(), right.parse::<i128>()) {
        return left.cmp(&right);
    }
    match (left.parse::<f64>(), right.parse::<f64>()) {
        (Ok(left), Ok(right)) => left.total_cmp(&right),
        _ => left.cmp(right),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_numbers_by_value_and_dates_as_text() {
        let fits = |order, bound: &str, text| Test::Order(order, bound.into()).fits(text);
        assert!(fits(Order::Gte, "65", "100"));
        assert!(!fits(Order::Gt, "9.5", "9.50"));
        assert!(fits(Order::Lt, "2026-02-01", "2026-01-31"));
        assert!(fits(Order::Gt, "310101199003074511", "310101199003074512"), "beyond a double's 53 bits");
    }
}
