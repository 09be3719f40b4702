//! The facets of simple types: checked, and met by examples.
use regex::Regex;
use regex_syntax::hir::{Class, Hir, HirKind};
use serde_json::Value;

use super::builtin::Builtin;

/// Characters that an example repeats at most.
const MAX_EXAMPLE: usize = 200;

#[derive(Clone, Debug, Default)]
pub struct Facets {
    pub enumeration: Vec<String>,
    /// One of them must fit the whole text. A pattern that regular expressions of Rust do not know is not checked.
    pub patterns: Vec<(String, Option<Regex>)>,
    pub length: Option<usize>,
    pub min_length: Option<usize>,
    pub max_length: Option<usize>,
    /// With whether the bound itself is included.
    pub low: Option<(String, bool)>,
    pub high: Option<(String, bool)>,
    pub total_digits: Option<usize>,
    pub fraction_digits: Option<usize>,
}

impl Facets {
    pub fn add_pattern(&mut self, text: &str) {
        let regex = Regex::new(&format!("^(?:{})$", translated(text))).ok();
        self.patterns.push((text.to_owned(), regex));
    }

    /// What of the facets a text does not fit.
    pub fn misfit(&self, text: &str, builtin: Builtin) -> Option<String> {
        if !self.enumeration.is_empty() && !self.enumeration.iter().any(|allowed| allowed == text) {
            return Some(format!("is none of {}", self.enumeration.join(", ")));
        }
        let checked = self.patterns.iter().all(|(_, regex)| regex.is_some());
        let fits = self.patterns.iter().flat_map(|(_, regex)| regex).any(|regex| regex.is_match(text));
        if !self.patterns.is_empty() && checked && !fits {
            return Some(format!("does not fit the pattern {}", self.patterns[0].0));
        }
        self.length_misfit(text, builtin).or_else(|| self.number_misfit(text, builtin))
    }

    fn length_misfit(&self, text: &str, builtin: Builtin) -> Option<String> {
        let length = match builtin {
            Builtin::Hex => text.trim().len() / 2,
            Builtin::Base64 => {
                let packed = text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=').count();
                packed * 3 / 4
            }
            _ => text.chars().count(),
        };
        if self.length.is_some_and(|wanted| wanted != length) {
            return Some(format!("has {length} characters, not {}", self.length.unwrap_or_default()));
        }
        if self.min_length.is_some_and(|least| length < least) {
            return Some(format!("has fewer than {} characters", self.min_length.unwrap_or_default()));
        }
        if self.max_length.is_some_and(|most| length > most) {
            return Some(format!("has more than {} characters", self.max_length.unwrap_or_default()));
        }
        None
    }

    fn number_misfit(&self, text: &str, builtin: Builtin) -> Option<String> {
        let below = |left: &str, right: &str, equal: bool| {
            let (left, right) = (left.trim(), right.trim());
            match (left.parse::<f64>(), right.parse::<f64>()) {
                (Ok(left), Ok(right)) if builtin.is_number() => left < right || equal && left <= right,
                _ => left < right || equal && left == right,
            }
        };
        if let Some((low, included)) = &self.low
            && !below(low, text, *included)
        {
            return Some(format!("is below {low}"));
        }
        if let Some((high, included)) = &self.high
            && !below(text, high, *included)
        {
            return Some(format!("is above {high}"));
        }
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        if self.total_digits.is_some_and(|most| digits > most) {
            return Some(format!("has more than {} digits", self.total_digits.unwrap_or_default()));
        }
        let fraction = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        if self.fraction_digits.is_some_and(|most| fraction > most) {
            return Some(format!(
                "has more than {} fraction digits",
                self.fraction_digits.unwrap_or_default()
            ));
        }
        None
    }

    /// An example that meets the facets as far as one can be made from `base`.
    pub fn example(&self, base: Value) -> Value {
        if let Some(first) = self.enumeration.first() {
            return Value::from(first.as_str());
        }
        if let Some(made) = self.patterns.first().and_then(|(pattern, _)| of_pattern(pattern)) {
            return Value::from(made);
        }
        match base {
            Value::String(text) => Value::from(self.sized(text)),
            Value::Number(number) => self.bounded(number),
            other => other,
        }
    }

    fn sized(&self, mut text: String) -> String {
        let least = self.length.or(self.min_length).unwrap_or(0).min(MAX_EXAMPLE);
        while text.chars().count() < least {
            text.push('x');
        }
        match self.length.or(self.max_length).and_then(|most| text.char_indices().nth(most)) {
            Some((end, _)) => text[..end].to_owned(),
            None => text,
        }
    }

    fn bounded(&self, number: serde_json::Number) -> Value {
        let whole = number.is_i64();
        let step = if whole { 1.0 } else { 0.5 };
        let mut value = number.as_f64().unwrap_or(1.0);
        let parse = |bound: &Option<(String, bool)>| {
            bound.as_ref().and_then(|(text, included)| Some((text.trim().parse::<f64>().ok()?, *included)))
        };
        if let Some((high, included)) = parse(&self.high)
            && (value > high || value >= high && !included)
        {
            value = if included { high } else { high - step };
        }
        if let Some((low, included)) = parse(&self.low)
            && (value < low || value <= low && !included)
        {
            value = if included { low } else { low + step };
        }
        if self.fraction_digits == Some(0) {
            value = value.round();
        }
        #[allow(clippy::cast_possible_truncation, reason = "bounds of examples are small")]
        if whole || self.fraction_digits == Some(0) { Value::from(value as i64) } else { Value::from(value) }
    }
}

/// XSD's own escapes in the words of Rust: name characters.
fn translated(pattern: &str) -> String {
    pattern.replace(r"\i", r"[\p{L}_:]").replace(r"\c", r"[\p{L}\p{N}._:-]")
}

/// A text that fits a pattern: the first choice everywhere, the fewest repetitions.
fn of_pattern(pattern: &str) -> Option<String> {
    let hir = regex_syntax::parse(&translated(pattern)).ok()?;
    let mut out = String::new();
    write(&hir, &mut out, &mut (10 * MAX_EXAMPLE)).then_some(out)
}

/// Whether a text could be written within `left` steps.
fn write(hir: &Hir, out: &mut String, left: &mut usize) -> bool {
    if out.len() > MAX_EXAMPLE || *left == 0 {
        return false;
    }
    *left -= 1;
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => true,
        HirKind::Literal(literal) => {
            out.push_str(&String::from_utf8_lossy(&literal.0));
            true
        }
        HirKind::Class(Class::Unicode(class)) => {
            // A letter or digit where the class has one: control characters are no XML.
            let readable = ['1', '0', 'A', 'a', '-', '中'];
            let holds = |c: &char| class.iter().any(|range| (range.start()..=range.end()).contains(c));
            let first = class.iter().next().map(|range| range.start());
            let chosen = readable.into_iter().find(|c| holds(c)).or(first);
            out.extend(chosen);
            chosen.is_some()
        }
        HirKind::Class(Class::Bytes(_)) => false,
        HirKind::Repetition(repetition) => {
            (0..repetition.min.min(MAX_EXAMPLE as u32)).all(|_| write(&repetition.sub, out, left))
        }
        HirKind::Capture(capture) => write(&capture.sub, out, left),
        HirKind::Concat(parts) => parts.iter().all(|part| write(part, out, left)),
        HirKind::Alternation(parts) => parts.first().is_some_and(|part| write(part, out, left)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn examples_meet_their_facets() {
        let mut facets = Facets::default();
        facets.add_pattern(r"[A-Z]{2}-\d{4}(X|Y)");
        let example = facets.example(Value::from("string"));
        assert_eq!(facets.misfit(example.as_str().expect("text"), Builtin::Text), None, "{example}");
        let short = Facets { max_length: Some(3), ..Facets::default() };
        assert_eq!(short.example(Value::from("string")), Value::from("str"));
        let bounded =
            Facets { low: Some(("18".into(), true)), high: Some(("60".into(), false)), ..Facets::default() };
        assert_eq!(bounded.example(Value::from(1)), Value::from(18));
    }

    #[test]
    fn says_what_does_not_fit() {
        let facets = Facets { low: Some(("18".into(), true)), total_digits: Some(2), ..Facets::default() };
        let number = Builtin::named("int").expect("int");
        assert_eq!(facets.misfit("9", number).as_deref(), Some("is below 18"));
        assert_eq!(facets.misfit("100", number).as_deref(), Some("has more than 2 digits"));
        assert_eq!(facets.misfit("20", number), None);
    }

    proptest! {
        #[test]
        fn patterns_never_panic(pattern in ".{0,40}", text in ".{0,20}") {
            let mut facets = Facets::default();
            facets.add_pattern(&pattern);
            drop(facets.misfit(&text, Builtin::Text));
            drop(facets.example(Value::from("x")));
        }
    }
}
