//! What a request holds in the places that conditions look at, read at most once per request.
use std::{borrow::Cow, collections::HashMap};

use http::HeaderName;
use qiao_mappings::{Expression, Selector};
use regex::Regex;
use serde_json::Value;

use crate::facts::Facts;

/// A place that conditions look at.
#[derive(Debug)]
pub enum Source {
    /// The dispatch key.
    Item,
    Select(Selector),
    Header(HeaderName),
    Query(Box<str>),
    /// A segment of the path.
    Segment(usize),
}

/// All places, regular expressions and CEL expressions of a partner, each once; conditions hold their numbers.
#[derive(Debug, Default)]
pub struct Sources {
    sources: Vec<Source>,
    regexes: Vec<Regex>,
    cels: Vec<Expression>,
    known: HashMap<String, usize>,
}

impl Sources {
    /// The number of the thing called `name`, made by `make` when it is new.
    fn intern<T, E>(
        &mut self,
        name: String,
        list: impl Fn(&mut Self) -> &mut Vec<T>,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<usize, E> {
        if let Some(number) = self.known.get(&name) {
            return Ok(*number);
        }
        let made = make()?;
        let all = list(self);
        let number = all.len();
        all.push(made);
        self.known.insert(name, number);
        Ok(number)
    }

    /// The number of a place.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn source<E>(&mut self, name: &str, make: impl FnOnce() -> Result<Source, E>) -> Result<usize, E> {
        self.intern(format!("source {name}"), |all| &mut all.sources, make)
    }

    /// The number of a regular expression.
    ///
    /// # Errors
    /// Text that is none, or one too large.
    pub fn regex(&mut self, text: &str) -> Result<usize, String> {
        let make = || {
            let regex = regex::RegexBuilder::new(text).size_limit(1 << 20).build();
            regex.map_err(|error| error.to_string().lines().last().unwrap_or_default().to_owned())
        };
        self.intern(format!("regex {text}"), |all| &mut all.regexes, make)
    }

    /// The number of a CEL condition.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn cel<E>(&mut self, text: &str, make: impl FnOnce() -> Result<Expression, E>) -> Result<usize, E> {
        self.intern(format!("cel {text}"), |all| &mut all.cels, make)
    }
}

/// The values at a place.
#[derive(Debug)]
pub enum Seen<'f> {
    Nothing,
    One(Text<'f>),
    Many(Vec<Text<'f>>),
}

/// A scalar as text; none for a list or an object, which is there but compares with nothing.
pub type Text<'f> = Option<Cow<'f, str>>;

impl<'f> Seen<'f> {
    pub fn texts(&self) -> &[Text<'f>] {
        match self {
            Self::Nothing => &[],
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}

/// A request with all that was read from it so far.
pub struct Memo<'f> {
    facts: &'f Facts<'f>,
    sources: &'f Sources,
    seen: Vec<Option<Seen<'f>>>,
    /// Answers of regular expressions by (regex, source).
    matched: Vec<((usize, usize), bool)>,
    cels: Vec<Option<bool>>,
}

/// More answers of regular expressions than this are not kept: looking them up would cost more than matching.
const KEPT_MATCHES: usize = 64;

impl<'f> Memo<'f> {
    pub fn new(facts: &'f Facts<'f>, sources: &'f Sources) -> Self {
        let mut seen = Vec::new();
        seen.resize_with(sources.sources.len(), || None);
        Self { facts, sources, seen, matched: Vec::new(), cels: vec![None; sources.cels.len()] }
    }

    pub fn facts(&self) -> &'f Facts<'f> {
        self.facts
    }

    /// The values at a place.
    pub fn seen(&mut self, source: usize) -> &Seen<'f> {
        let (facts, sources) = (self.facts, self.sources);
        self.seen[source].get_or_insert_with(|| read(facts, &sources.sources[source]))
    }

    /// The whole values at a place in a document; elsewhere there are only texts.
    pub fn values(&self, source: usize) -> Vec<&'f Value> {
        match &self.sources.sources[source] {
            Source::Select(selector) => selector.select(self.facts),
            _ => Vec::new(),
        }
    }

    /// Whether a regular expression is found in any text of a place.
    pub fn matches(&mut self, regex: usize, source: usize) -> bool {
        if let Some((_, answer)) = self.matched.iter().find(|(which, _)| *which == (regex, source)) {
            return *answer;
        }
        let compiled = &self.sources.regexes[regex];
        let answer = self.seen(source).texts().iter().flatten().any(|text| compiled.is_match(text));
        if self.matched.len() < KEPT_MATCHES {
            self.matched.push(((regex, source), answer));
        }
        answer
    }

    /// Whether a CEL condition holds; an error counts as no.
    pub fn cel(&mut self, number: usize) -> bool {
        let (facts, sources) = (self.facts, self.sources);
        *self.cels[number].get_or_insert_with(|| sources.cels[number].eval_bool(facts).unwrap_or(false))
    }
}

fn read<'f>(facts: &'f Facts<'f>, source: &Source) -> Seen<'f> {
    let one = |text: Option<Cow<'f, str>>| text.map_or(Seen::Nothing, |text| Seen::One(Some(text)));
    match source {
        Source::Item => one(facts.item().map(Cow::Borrowed)),
        Source::Segment(place) => {
            one(facts.segments().get(*place).map(|segment| Cow::Borrowed(segment.as_str())))
        }
        Source::Header(name) => {
            let mut values = facts.incoming().headers.get_all(name).iter();
            let text = |value: &'f http::HeaderValue| String::from_utf8_lossy(value.as_bytes());
            match (values.next(), values.next()) {
                (None, _) => Seen::Nothing,
                (Some(value), None) => Seen::One(Some(text(value))),
                (Some(first), Some(second)) => Seen::Many(
                    [first, second].into_iter().chain(values).map(|value| Some(text(value))).collect(),
                ),
            }
        }
        Source::Query(name) => match facts.query().get(&**name) {
            None => Seen::Nothing,
            Some(Value::Array(values)) => Seen::Many(values.iter().map(scalar).collect()),
            Some(value) => Seen::One(scalar(value)),
        },
        Source::Select(selector) if selector.is_singular() => match selector.first(facts) {
            None => Seen::Nothing,
            Some(value) => Seen::One(scalar(value)),
        },
        Source::Select(selector) => Seen::Many(selector.select(facts).into_iter().map(scalar).collect()),
    }
}

/// A scalar as the text that conditions compare; null is empty.
pub fn scalar(value: &Value) -> Text<'_> {
    match value {
        Value::Null => Some(Cow::Borrowed("")),
        Value::Bool(boolean) => Some(Cow::Borrowed(if *boolean { "true" } else { "false" })),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Array(_) | Value::Object(_) => None,
    }
}
