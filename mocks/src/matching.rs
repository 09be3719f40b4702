//! Which stub answers: conditions compiled once, indexed by path and the most telling equality, evaluated at most once per request.
pub mod condition;
pub mod explain;
pub mod index;
pub mod likeness;
pub mod memo;
pub mod path;

pub use condition::{Condition, Test};
pub use index::Index;
pub use memo::{Memo, Source, Sources};
pub use path::{PathPattern, PathTree};

use http::Method;

/// The conditions of one stub on one request, state apart.
#[derive(Debug, Default)]
pub struct Conditions {
    pub method: Option<Method>,
    pub path: Option<PathPattern>,
    /// `item`, `header`, `query` and `all`.
    pub all: Vec<Condition>,
    pub any: Vec<Condition>,
    pub not: Vec<Condition>,
}

impl Conditions {
    /// Whether all hold but the path, which the index has already looked at, and that one of `all` which holds already.
    pub fn hold(&self, memo: &mut Memo<'_>, proven: Option<u16>) -> bool {
        let proven = proven.map(usize::from);
        self.method.as_ref().is_none_or(|method| *method == memo.facts().incoming().method)
            && (0..self.all.len()).all(|place| proven == Some(place) || self.all[place].holds(memo))
            && (self.any.is_empty() || self.any.iter().any(|condition| condition.holds(memo)))
            && !self.not.iter().any(|condition| condition.holds(memo))
    }

    /// How much is asked: the more, the earlier the stub is tried among those of its priority. A whole path asks more than a pattern.
    pub fn specificity(&self) -> usize {
        let path = self.path.as_ref().map_or(0, |path| if path.is_literal() { 2 } else { 1 });
        self.all.len() + self.any.len() + self.not.len() + path + usize::from(self.method.is_some())
    }
}
