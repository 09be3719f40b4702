//! Whole values compared, with what may be passed over.
use serde_json::Value;

use crate::spec::criteria::Ignored;

/// Elements of lists that are compared in any order; longer lists only in theirs.
const MAX_UNORDERED: usize = 1_000;

/// A value wanted.
#[derive(Debug)]
pub struct Likeness {
    wanted: Value,
    any_order: bool,
    more_members: bool,
}

impl Likeness {
    pub fn new(wanted: &Value, ignored: &[Ignored]) -> Self {
        Self {
            wanted: wanted.clone(),
            any_order: ignored.contains(&Ignored::ArrayOrder),
            more_members: ignored.contains(&Ignored::ExtraMembers),
        }
    }

    pub fn fits(&self, seen: &Value) -> bool {
        self.like(&self.wanted, seen)
    }

    fn like(&self, wanted: &Value, seen: &Value) -> bool {
        match (wanted, seen) {
            (Value::Number(wanted), Value::Number(seen)) => {
                wanted == seen
                    || wanted.as_f64().zip(seen.as_f64()).is_some_and(|(wanted, seen)| wanted == seen)
            }
            (Value::Object(wanted), Value::Object(seen)) => {
                (self.more_members || wanted.len() == seen.len())
                    && wanted
                        .iter()
                        .all(|(name, wanted)| seen.get(name).is_some_and(|seen| self.like(wanted, seen)))
            }
            (Value::Array(wanted), Value::Array(seen)) => self.lists(wanted, seen),
            (wanted, seen) => wanted == seen,
        }
    }

    fn lists(&self, wanted: &[Value], seen: &[Value]) -> bool {
        // More elements pass only where members may be more: then lists may be longer as well.
        let lengths = wanted.len() == seen.len() || self.more_members && wanted.len() < seen.len();
        if !lengths {
            return false;
        }
        if !self.any_order || wanted.len().max(seen.len()) > MAX_UNORDERED {
            return wanted.iter().zip(seen).all(|(wanted, seen)| self.like(wanted, seen));
        }
        let mut left: Vec<&Value> = seen.iter().collect();
        wanted.iter().all(|wanted| {
            let found = left.iter().position(|seen| self.like(wanted, seen));
            found.map(|at| left.swap_remove(at)).is_some()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn order_and_more_members_count_unless_ignored() {
        let seen = json!({"a": [1, 2, {"x": 1.0, "y": 2}], "b": "t"});
        let fits = |wanted: Value, ignored: &[Ignored]| Likeness::new(&wanted, ignored).fits(&seen);
        assert!(fits(json!({"b": "t", "a": [1.0, 2, {"y": 2, "x": 1}]}), &[]));
        assert!(!fits(json!({"b": "t", "a": [2, 1, {"y": 2, "x": 1}]}), &[]));
        assert!(fits(json!({"b": "t", "a": [{"y": 2, "x": 1}, 2, 1]}), &[Ignored::ArrayOrder]));
        assert!(!fits(json!({"b": "t"}), &[Ignored::ArrayOrder]));
        assert!(fits(json!({"a": [1, 2, {"x": 1}]}), &[Ignored::ExtraMembers]));
        assert!(!fits(json!({"b": 1}), &[Ignored::ExtraMembers]));
    }
}
