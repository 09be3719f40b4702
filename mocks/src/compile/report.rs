//! Mistakes of a partner's files, each at its place.
use std::fmt::Display;

use qiao_mappings::{
    Selector,
    strict::{Mistake, Source, did_you_mean},
};

use crate::functions::Environment;

/// A place in a file.
#[derive(Clone)]
pub struct Place<'s> {
    source: &'s Source,
    path: String,
}

impl<'s> Place<'s> {
    pub fn root(source: &'s Source) -> Self {
        Self { source, path: String::new() }
    }

    /// The place below: `key`, `key.key`, `[2]`, or the place itself for an empty path.
    pub fn at(&self, below: &str) -> Self {
        let dot = !below.is_empty() && !below.starts_with('[') && !self.path.is_empty();
        Self { source: self.source, path: format!("{}{}{below}", self.path, if dot { "." } else { "" }) }
    }

    pub fn nth(&self, key: &str, index: usize) -> Self {
        self.at(&format!("{key}[{index}]"))
    }

    /// A member whose name may hold dots.
    pub fn member(&self, key: &str, name: &str) -> Self {
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        if plain { self.at(&format!("{key}.{name}")) } else { self.at(&format!("{key}[\"{name}\"]")) }
    }

    pub fn mistake(&self, message: impl Into<String>) -> Mistake {
        self.source.mistake(&self.path, message)
    }
}

/// The mistakes found so far while something is compiled.
#[derive(Default)]
pub struct Report {
    pub found: Vec<Mistake>,
    /// What templates and expressions are compiled against.
    pub environment: Environment,
}

impl Report {
    pub fn add(&mut self, place: &Place<'_>, message: impl Into<String>) {
        self.found.push(place.mistake(message));
    }

    pub fn add_with_remedy(&mut self, place: &Place<'_>, message: impl Into<String>, remedy: Option<String>) {
        let mistake = place.mistake(message);
        self.found.push(match remedy {
            Some(remedy) => mistake.with_remedy(remedy),
            None => mistake,
        });
    }

    /// The value, or none with its error reported.
    pub fn keep<T, E: Display>(&mut self, place: &Place<'_>, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(place, error.to_string())).ok()
    }

    /// The value, or none with its errors reported at their paths below the place.
    pub fn keep_all<T, M: Display>(
        &mut self,
        place: &Place<'_>,
        result: Result<T, impl IntoIterator<Item = (String, M)>>,
    ) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(errors) => {
                errors
                    .into_iter()
                    .for_each(|(path, message)| self.add(&place.at(&path), message.to_string()));
                None
            }
        }
    }

    /// A selector all of whose documents exist where it is used.
    pub fn selector(&mut self, place: &Place<'_>, text: &str, known: &[&str]) -> Option<Selector> {
        let selector = self.keep(place, Selector::parse(text))?;
        self.roots(place, selector.roots(), known);
        Some(selector)
    }

    /// Refuses names of documents that do not exist where they are used.
    pub fn roots(&mut self, place: &Place<'_>, roots: &[String], known: &[&str]) {
        for root in roots.iter().filter(|root| !known.contains(&root.as_str())) {
            let remedy = did_you_mean(root, known.iter().copied());
            self.add_with_remedy(place, format!("there is no document `{root}` here"), remedy);
        }
    }
}

/// The names of two lists in one. `N` is the length of both.
const fn joined<const A: usize, const B: usize, const N: usize>(
    first: [&'static str; A],
    more: [&'static str; B],
) -> [&'static str; N] {
    assert!(N == A + B, "N is the length of both lists");
    let mut all = [""; N];
    let mut at = 0;
    while at < N {
        all[at] = if at < A { first[at] } else { more[at - A] };
        at += 1;
    }
    all
}

const OUTER: [&str; 9] = ["wire", "headers", "cookies", "query", "method", "path", "url", "body", "partner"];
const FRAMED: [&str; 10] = joined(OUTER, ["plain"]);
const MATCHED: [&str; 14] = joined(OUTER, ["request", "operation", "soapVersion", "item", "problem"]);
const KEYED: [&str; 15] = joined(MATCHED, ["params"]);
const PUSHED: [&str; 16] = joined(KEYED, ["inst"]);
const ANSWERED: [&str; 17] = joined(PUSHED, ["rows"]);
const CLOSED: [&str; 19] = joined(ANSWERED, ["plain", "sealed"]);

/// What opening sees.
pub const OPENING: &[&str] = &OUTER;
/// What the frame of requests sees.
pub const FRAMING: &[&str] = &FRAMED;
/// What conditions see.
pub const MATCHING: &[&str] = &MATCHED;
/// What a stub's own key sees.
pub const KEYING: &[&str] = &KEYED;
/// What templates and conditions of pushes see. Rows are not among them: a plan may be started by hand, and long after the look.
pub const PUSHING: &[&str] = &PUSHED;
/// What templates of answers see.
pub const ANSWERING: &[&str] = &ANSWERED;
/// What the frame and the envelope's parameters of answers see.
pub const CLOSING: &[&str] = &CLOSED;
