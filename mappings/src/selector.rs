//! Selectors: JSONPath (RFC 9535) over a scope, `$.request.person.name`, for whoever reads a document by path.
//!
//! `jsonpath-rust` parses the text once. Evaluation is ours, because the library compiles regular expressions per
//! node, compares numbers as doubles within an epsilon, and builds a path text for every node it visits.

mod compile;
mod filter;
mod walk;

use crate::document::Scope;
use crate::error::ExpressionError;
use filter::Logic;
use serde_json::Value;

/// A compiled selector. The first segment after `$` names a document of the scope.
#[derive(Debug, Clone)]
pub struct Selector {
    text: String,
    query: Query,
    roots: Vec<String>,
    singular: bool,
}

/// A query from a node: the document named `root`, or without it the node at hand.
#[derive(Debug, Clone)]
struct Query {
    root: Option<String>,
    segments: Vec<Segment>,
}

#[derive(Debug, Clone)]
enum Segment {
    /// One member or element: the common case, walked without a node list.
    Name(String),
    Index(i64),
    Children(Vec<Pick>),
    Descendants(Vec<Pick>),
}

#[derive(Debug, Clone)]
enum Pick {
    Name(String),
    Index(i64),
    All,
    Slice { start: Option<i64>, end: Option<i64>, step: i64 },
    Where(Logic),
}

impl Selector {
    /// Compiles a selector, such as `$.request.items[?@.code == $.vars.code].name`.
    ///
    /// # Errors
    /// Text that is not RFC 9535 JSONPath or names no document; a function outside RFC 9535; a pattern of `match` or
    /// `search` that is not a literal; more than two descendant segments.
    pub fn parse(text: &str) -> Result<Selector, ExpressionError> {
        let (query, roots) = compile::selector(text)?;
        let singular = query.is_singular();
        Ok(Selector { text: text.to_owned(), query, roots, singular })
    }

    /// Every selected value, in document order.
    pub fn select<'a>(&self, scope: &'a dyn Scope) -> Vec<&'a Value> {
        let Some(document) = scope.get(self.root()) else { return Vec::new() };
        if self.singular {
            return walk::single(&self.query.segments, document).into_iter().collect();
        }
        walk::all(&self.query.segments, document, scope)
    }

    /// The first selected value.
    pub fn first<'a>(&self, scope: &'a dyn Scope) -> Option<&'a Value> {
        let document = scope.get(self.root())?;
        if self.singular {
            return walk::single(&self.query.segments, document);
        }
        walk::all(&self.query.segments, document, scope).into_iter().next()
    }

    /// The name of the document it selects from.
    pub fn root(&self) -> &str {
        self.query.root.as_deref().unwrap_or_default()
    }

    /// Every document it reads, filters included; the first is [`Selector::root`].
    pub fn roots(&self) -> &[String] {
        &self.roots
    }

    /// Whether it selects at most one value whatever the document: names and indexes only.
    pub fn is_singular(&self) -> bool {
        self.singular
    }

    /// The text it was compiled from.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl Query {
    fn is_singular(&self) -> bool {
        self.segments.iter().all(|segment| matches!(segment, Segment::Name(_) | Segment::Index(_)))
    }
}

#[cfg(test)]
mod tests;
