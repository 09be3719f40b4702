//! Pseudonyms: personal data and secrets of a recording replaced by made ones of the same form, alike in requests, answers and
//! all exchanges, before anything of it is written or shown.
//!
//! All originals are collected first, then each gets its pseudonym, drawn from a keyed hash: the same key gives the same
//! pseudonyms, whatever the order of the exchanges, and nobody without the key can test a guess.
mod hints;
mod made;
mod shapes;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ops::Range,
};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use qiao_vault::classic::hmac_sha256;
use regex::Regex;
use serde_json::{Map, Value};

use crate::entropy::Entropy;
pub use hints::{Hint, hint};

/// What stays of a URL when it is written anew.
const URL: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b':')
    .remove(b'?')
    .remove(b'&')
    .remove(b'=')
    .remove(b'.')
    .remove(b'_')
    .remove(b'-')
    .remove(b'~')
    .remove(b'+')
    .remove(b',');
/// Draws before a pseudonym that somebody else has already is taken all the same.
const DRAWS: u64 = 2_000;
/// JSON within JSON texts is looked into this deep.
const NESTED: usize = 4;

/// A kind of personal data, or a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Identity numbers: GB 11643, residence permits, the permanent residence card, and those of 15 digits.
    Identity,
    Phone,
    /// Bank cards (ISO/IEC 7812-1).
    Card,
    /// Numbers of other documents, cards and accounts, by the field's name.
    Number,
    Name,
    Address,
    Email,
    /// A date of birth.
    Birth,
    /// Keys, tokens, passwords, signatures.
    Secret,
    /// Pictures, and encoded bytes that may be anything.
    Picture,
}

impl Kind {
    /// For reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity numbers",
            Self::Phone => "phones",
            Self::Card => "bank cards",
            Self::Number => "other numbers",
            Self::Name => "names",
            Self::Address => "addresses",
            Self::Email => "e-mail addresses",
            Self::Birth => "dates of birth",
            Self::Secret => "secrets",
            Self::Picture => "pictures and encoded bytes",
        }
    }
}

/// Personal data found in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub range: Range<usize>,
    pub kind: Kind,
    /// Whether the same text is replaced elsewhere too, where no field's name tells what it is.
    pub anywhere: bool,
}

/// The originals of a recording.
#[derive(Default)]
pub struct Originals {
    found: BTreeSet<(Kind, String)>,
    anywhere: BTreeSet<(Kind, String)>,
}

impl Originals {
    /// Takes what is personal in a document whose root has that name.
    pub fn collect(&mut self, name: &str, value: &Value) {
        walk(hint(name), value, &mut |hint, text| self.text(hint, text, NESTED));
    }

    fn text(&mut self, hint: Option<Hint>, text: &str, depth: usize) {
        if let Some(inner) = nested(text, depth) {
            walk(None, &inner, &mut |hint, text| self.text(hint, text, depth - 1));
            return;
        }
        for found in shapes::find(hint, text) {
            let original = text[found.range].to_owned();
            if found.anywhere {
                self.anywhere.insert((found.kind, original.clone()));
            }
            self.found.insert((found.kind, original));
        }
        if let Some(decoded) = decoded(text) {
            self.text(hint, &decoded, depth);
        }
    }

    /// Takes a secret wherever it stands: a token of a header, a password.
    pub fn secret(&mut self, text: &str) {
        let is_word = text.len() < 20 && !text.bytes().any(|b| b.is_ascii_digit());
        if text.len() >= 8 && !is_word {
            self.anywhere.insert((Kind::Secret, text.to_owned()));
            self.found.insert((Kind::Secret, text.to_owned()));
        }
    }
}

/// The pseudonyms of a recording.
pub struct Pseudonyms {
    by_original: HashMap<(Kind, String), String>,
    made: HashMap<String, Kind>,
    /// Originals that are replaced wherever they stand; the longest first.
    anywhere: Vec<Regex>,
    kinds: HashMap<String, Kind>,
    key: [u8; 32],
}

impl Pseudonyms {
    /// Gives every original its pseudonym, in their order, so that the order of the exchanges does not count.
    pub fn of(originals: Originals, key: [u8; 32]) -> Self {
        let taken: HashSet<&str> = originals.found.iter().map(|(_, original)| original.as_str()).collect();
        let mut pseudonyms = Self {
            by_original: HashMap::new(),
            made: HashMap::new(),
            anywhere: anywhere(&originals.anywhere),
            kinds: originals.anywhere.iter().map(|(kind, text)| (text.clone(), *kind)).collect(),
            key,
        };
        for (kind, original) in &originals.found {
            let pseudonym = pseudonyms.draw(*kind, original, &taken);
            pseudonyms.made.insert(pseudonym.clone(), *kind);
            pseudonyms.by_original.insert((*kind, original.clone()), pseudonym);
        }
        pseudonyms
    }

    fn draw(&self, kind: Kind, original: &str, taken: &HashSet<&str>) -> String {
        let mut made = String::new();
        for attempt in 0..DRAWS {
            made = made::of(kind, original, &self.entropy(kind, original, attempt));
            if !taken.contains(made.as_str()) && !self.made.contains_key(&made) {
                break;
            }
        }
        made
    }

    fn entropy(&self, kind: Kind, original: &str, attempt: u64) -> Entropy {
        // Different spellings of one number are one person.
        let same = original.to_ascii_uppercase();
        let digest = hmac_sha256(&self.key, format!("{kind:?}\0{same}").as_bytes());
        let (head, rest) = digest.split_at(8);
        let seed = u64::from_le_bytes(head.try_into().unwrap_or_default());
        Entropy::of(seed, &[rest], attempt)
    }

    /// What kind of pseudonym a text is.
    pub fn kind_of(&self, text: &str) -> Option<Kind> {
        self.made.get(text).copied()
    }

    /// How many originals of each kind were replaced.
    pub fn counts(&self) -> BTreeMap<Kind, usize> {
        let mut counts = BTreeMap::new();
        self.by_original.keys().for_each(|(kind, _)| *counts.entry(*kind).or_default() += 1);
        counts
    }

    /// Whether a text that is about to be written still holds an original number or secret.
    pub fn leaks(&self, text: &str) -> Option<Kind> {
        let found = self.anywhere.iter().flat_map(|regex| regex.find_iter(text));
        let kinds = found.filter_map(|found| self.known(text, found.range()));
        kinds.into_iter().find(|kind| !matches!(kind, Kind::Name | Kind::Address))
    }

    /// The kind of an original that stands there. One of few digits within a longer number is chance.
    fn known(&self, text: &str, range: Range<usize>) -> Option<Kind> {
        let kind = self.kinds.get(&text[range.clone()]).copied()?;
        let joined = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = text.as_bytes();
        let within =
            joined(range.start.checked_sub(1).and_then(|at| bytes.get(at))) || joined(bytes.get(range.end));
        (!within || !matches!(kind, Kind::Number | Kind::Phone)).then_some(kind)
    }

    /// The dates of birth in a document's identity numbers with those of their pseudonyms, as yyyyMMdd.
    pub fn births(&self, value: &Value) -> Births {
        let mut births = Births::new();
        walk(None, value, &mut |hint, text| {
            for found in shapes::find(hint, text).into_iter().filter(|found| found.kind == Kind::Identity) {
                let original = &text[found.range];
                if let Some(made) = self.by_original.get(&(Kind::Identity, original.to_owned()))
                    && let (Some(from), Some(to)) = (made::birth(original), made::birth(made))
                {
                    births.entry(from.to_owned()).or_insert_with(|| to.to_owned());
                }
            }
        });
        births
    }

    /// A document with pseudonyms in place of what is personal.
    pub fn document(&self, name: &str, value: &Value, births: &Births) -> Value {
        self.rewritten(hint(name), value, births, NESTED)
    }

    fn rewritten(&self, under: Option<Hint>, value: &Value, births: &Births, depth: usize) -> Value {
        match value {
            Value::String(text) => self.text(under, text, births, depth).into(),
            Value::Number(number) => {
                let plain = number.to_string();
                let made = self.text(under, &plain, births, depth);
                if made == plain {
                    return value.clone();
                }
                made.parse::<serde_json::Number>().map_or_else(|_| made.into(), Value::Number)
            }
            Value::Array(elements) => {
                elements.iter().map(|element| self.rewritten(under, element, births, depth)).collect()
            }
            Value::Object(members) => {
                let pair = hints::of_pair(members);
                let each = members.iter().map(|(name, value)| {
                    let hint = hints::of_member(name, members, pair);
                    let name = self.text(None, name, births, 0);
                    (name, self.rewritten(hint, value, births, depth))
                });
                Value::Object(each.collect::<Map<_, _>>())
            }
            other => other.clone(),
        }
    }

    /// A text with pseudonyms in place of what is personal.
    pub fn text(&self, hint: Option<Hint>, text: &str, births: &Births, depth: usize) -> String {
        if let Some(inner) = nested(text, depth) {
            let made = self.rewritten(None, &inner, births, depth - 1);
            return if made == inner { text.to_owned() } else { made.to_string() };
        }
        let mut out = String::with_capacity(text.len());
        let mut done = 0;
        for (range, made) in self.replacements(hint, text, births) {
            if range.start >= done {
                out.push_str(&text[done..range.start]);
                out.push_str(&made);
                done = range.end;
            }
        }
        out.push_str(&text[done..]);
        if let Some(decoded) = decoded(&out) {
            let made = self.text(hint, &decoded, births, depth);
            if made != decoded {
                return utf8_percent_encode(&made, URL).to_string();
            }
        }
        out
    }

    /// Sorted by place; of two that overlap the one that is known by its form or its field comes first.
    fn replacements(&self, hint: Option<Hint>, text: &str, births: &Births) -> Vec<(Range<usize>, String)> {
        let mut all: Vec<(Range<usize>, String)> = Vec::new();
        let mut add = |range: Range<usize>, made: String| {
            if all.iter().all(|(other, _)| range.end <= other.start || other.end <= range.start) {
                all.push((range, made));
            }
        };
        for found in shapes::find(hint, text) {
            let original = &text[found.range.clone()];
            let made = match found.kind {
                Kind::Birth => made::moved_birth(original, births),
                _ => None,
            };
            let known = || self.by_original.get(&(found.kind, original.to_owned())).cloned();
            add(found.range, made.or_else(known).unwrap_or_else(|| "***".into()));
        }
        for regex in &self.anywhere {
            for found in regex.find_iter(text) {
                let kind = self.known(text, found.range());
                let key = kind.map(|kind| (kind, found.as_str().to_owned()));
                if let Some(made) = key.and_then(|key| self.by_original.get(&key)) {
                    add(found.range(), made.clone());
                }
            }
        }
        for found in shapes::masked(hint, text) {
            let made = self.masked(&text[found.clone()]);
            add(found, made);
        }
        all.sort_by_key(|(range, _)| range.start);
        all
    }

    /// `310***********4511` becomes the mask of the pseudonym, where the original is known; else other characters.
    fn masked(&self, mask: &str) -> String {
        let shown: Vec<char> = mask.chars().collect();
        let fits = |original: &str| {
            original.chars().count() == shown.len()
                && original.chars().zip(&shown).all(|(c, mask)| *mask == '*' || c.eq_ignore_ascii_case(mask))
        };
        let mut known: Vec<_> = self.by_original.iter().filter(|((_, original), _)| fits(original)).collect();
        known.sort();
        match known.first() {
            Some((_, made)) => {
                made.chars().zip(&shown).map(|(c, mask)| if *mask == '*' { '*' } else { c }).collect()
            }
            None => made::of(Kind::Number, mask, &self.entropy(Kind::Number, mask, 0)),
        }
    }
}

/// Dates of birth of one exchange, yyyyMMdd, with those of the pseudonyms.
pub type Births = BTreeMap<String, String>;

/// Passes every text of a document, and every number as text, with what its field's name says.
fn walk(under: Option<Hint>, value: &Value, each: &mut impl FnMut(Option<Hint>, &str)) {
    match value {
        Value::String(text) => each(under, text),
        Value::Number(number) => each(under, &number.to_string()),
        Value::Array(elements) => elements.iter().for_each(|element| walk(under, element, each)),
        Value::Object(members) => {
            let pair = hints::of_pair(members);
            for (name, value) in members {
                each(None, name);
                walk(hints::of_member(name, members, pair), value, each);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

/// The document in a text that is a JSON object or list.
fn nested(text: &str, depth: usize) -> Option<Value> {
    let trimmed = text.trim_start();
    if depth == 0 || !trimmed.starts_with(['{', '[']) {
        return None;
    }
    serde_json::from_str(text).ok().filter(|value: &Value| value.is_object() || value.is_array())
}

/// A text without its percent-encoding, where it has any.
fn decoded(text: &str) -> Option<String> {
    if !text.contains('%') {
        return None;
    }
    let decoded = percent_decode_str(text).decode_utf8().ok()?;
    (decoded != text).then(|| decoded.into_owned())
}

/// Patterns of at most this many originals each.
const PER_PATTERN: usize = 100_000;
/// Originals longer than this are looked for in their own fields only.
const ANYWHERE_BYTES: usize = 512;

fn anywhere(originals: &BTreeSet<(Kind, String)>) -> Vec<Regex> {
    let short = originals.iter().map(|(_, text)| text.as_str()).filter(|text| text.len() <= ANYWHERE_BYTES);
    let mut texts: Vec<&str> = short.collect();
    texts.sort_by_key(|text| (std::cmp::Reverse(text.len()), *text));
    texts.dedup();
    let pattern = |texts: &[&str]| {
        let any: Vec<String> = texts.iter().map(|text| regex::escape(text)).collect();
        let built = regex::RegexBuilder::new(&any.join("|")).size_limit(256 << 20).build();
        built.expect("escaped texts of a bounded recording are a pattern within the size limit")
    };
    texts.chunks(PER_PATTERN).map(pattern).collect()
}

#[cfg(test)]
mod tests;
