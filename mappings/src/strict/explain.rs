//! From a validator's errors to mistakes in words: one per mistake made, at the key or value that is wrong.
use jsonschema::{ValidationError, error::ValidationErrorKind as Kind};
use serde_json::Value;

use super::{
    did_you_mean, nearest,
    place::Segment,
    schema::Compiled,
    wanted::{self, Wanted},
};

/// One thing in a value that does not fit its schema.
pub(super) struct Misfit {
    pub place: Vec<Segment>,
    /// Whether the key itself is wrong, and not its value.
    pub at_key: bool,
    pub message: String,
    pub remedy: Option<String>,
}

/// Everything in `value` that does not fit the schema, without what only follows from another mistake.
pub(super) fn explain(value: &Value, compiled: &Compiled) -> Vec<Misfit> {
    let explainer = Explainer { value, schema: &compiled.schema };
    let mut findings = Vec::new();
    for error in compiled.validator.iter_errors(value) {
        explainer.findings(&error, &mut findings);
    }
    without_consequences(&mut findings);
    findings.into_iter().map(misfit).collect()
}

/// What is wrong at one place.
#[derive(Debug, PartialEq)]
enum What {
    Type,
    Unknown { key: String, known: Vec<String> },
    Missing { key: String },
    Value,
}

struct Finding {
    place: Vec<Segment>,
    what: What,
    message: String,
    remedy: Option<String>,
}

struct Explainer<'a> {
    value: &'a Value,
    schema: &'a Value,
}

impl Explainer<'_> {
    fn findings(&self, error: &ValidationError<'_>, findings: &mut Vec<Finding>) {
        let place = self.place(error.instance_path().as_str());
        let instance = self.instance(&place);
        let schema = self.holder(error.schema_path().as_str());
        let mut push = |what, message: String, remedy| {
            findings.push(Finding { place: place.clone(), what, message, remedy });
        };
        match error.kind() {
            Kind::AdditionalProperties { unexpected } => {
                let known = wanted::keys(self.schema, schema);
                for key in unexpected {
                    push(What::Unknown { key: key.clone(), known: known.clone() }, String::new(), None);
                }
            }
            Kind::Required { property } => {
                let key = property.as_str().unwrap_or_default().to_owned();
                push(What::Missing { key }, String::new(), None);
            }
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                let branches = schema.get(error.kind().keyword()).and_then(Value::as_array);
                self.closest(&place, branches.map_or(&[][..], Vec::as_slice), context, findings);
            }
            Kind::Type { .. } => {
                let wanted = Wanted::of(self.schema, schema);
                push(What::Type, wanted.but_found(instance), wanted.remedy(instance));
            }
            Kind::Enum { .. } | Kind::Constant { .. } => {
                let wanted = Wanted::of(self.schema, schema);
                push(What::Value, wanted.but_found(instance), wanted.nearest(instance));
            }
            _ => push(What::Value, wanted::rule(error, schema), None),
        }
    }

    /// Of alternatives none of which fits, tells what is wrong with the one that was meant.
    fn closest(
        &self,
        place: &[Segment],
        branches: &[Value],
        context: &[Vec<ValidationError<'_>>],
        findings: &mut Vec<Finding>,
    ) {
        let instance = self.instance(place);
        let all = Wanted::of_any(self.schema, branches);
        let of_type: Vec<usize> =
            (0..branches.len()).filter(|i| Wanted::of(self.schema, &branches[*i]).takes(instance)).collect();
        if of_type.is_empty() || all.is_only_words() {
            let (what, remedy) = if all.takes(instance) {
                (What::Value, all.nearest(instance))
            } else {
                (What::Type, all.remedy(instance))
            };
            let message = all.but_found(instance);
            return findings.push(Finding { place: place.to_vec(), what, message, remedy });
        }
        let mut candidates: Vec<(isize, Vec<Finding>)> = of_type
            .into_iter()
            .filter_map(|i| {
                let mut of_branch = Vec::new();
                context.get(i)?.iter().for_each(|error| self.findings(error, &mut of_branch));
                let known = wanted::keys(self.schema, &branches[i]);
                let recognised = known.iter().filter(|key| instance.get(key.as_str()).is_some()).count();
                Some((distance(place, &of_branch, recognised), of_branch))
            })
            .collect();
        let Some(least) = candidates.iter().map(|(distance, _)| *distance).min() else { return };
        candidates.retain(|(distance, _)| *distance == least);
        findings.extend(merged(place, candidates.into_iter().map(|(_, of_branch)| of_branch).collect()));
    }

    /// The segments of a JSON pointer; the value tells keys of digits from positions.
    fn place(&self, pointer: &str) -> Vec<Segment> {
        let mut value = Some(self.value);
        let mut place = Vec::new();
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            let index = part.parse::<usize>().ok().filter(|_| value.is_some_and(Value::is_array));
            value = value.and_then(|value| match index {
                Some(index) => value.get(index),
                None => value.get(&part),
            });
            place.push(index.map_or(Segment::Key(part), Segment::Index));
        }
        place
    }

    fn instance(&self, place: &[Segment]) -> &Value {
        place.iter().fold(self.value, |value, segment| match segment {
            Segment::Key(key) => &value[key.as_str()],
            Segment::Index(index) => &value[*index],
        })
    }

    /// The schema that holds the keyword at `pointer`.
    fn holder(&self, pointer: &str) -> &Value {
        let holder = pointer.rsplit_once('/').map_or("", |(holder, _)| holder);
        self.schema.pointer(holder).unwrap_or(&Value::Null)
    }
}

fn misfit(finding: Finding) -> Misfit {
    let Finding { mut place, what, mut message, mut remedy } = finding;
    let mut at_key = false;
    match what {
        What::Unknown { key, known } => {
            remedy = did_you_mean(&key, known.iter().map(String::as_str));
            message = "unknown key".to_owned();
            place.push(Segment::Key(key));
            at_key = true;
        }
        What::Missing { key } => message = format!("`{key}` is missing"),
        What::Type | What::Value => {}
    }
    Misfit { place, at_key, message, remedy }
}

/// How far a branch is from what was meant: keys unknown and missing weigh most (a misspelt key is both, and weighs little),
/// then a wrong tag, then mistakes deeper down; every key that only this branch could mean brings it nearer.
fn distance(place: &[Segment], findings: &[Finding], recognised: usize) -> isize {
    let misspelt = misspelt(findings);
    let is_misspelt =
        |key: &str| misspelt.iter().any(|(at, from, to)| at == place && (from == key || to == key));
    let weigh = |finding: &Finding| match &finding.what {
        _ if finding.place.len() > place.len() + 1 => 1,
        What::Unknown { key, .. } | What::Missing { key } if is_misspelt(key) => 10,
        What::Unknown { .. } | What::Missing { .. } if finding.place.len() == place.len() => 100,
        What::Value if finding.place.len() == place.len() + 1 => 90,
        _ => 10,
    };
    let recognised = isize::try_from(recognised).unwrap_or(isize::MAX / 100);
    findings.iter().map(weigh).sum::<isize>() - 60 * recognised
}

/// Unknown keys that are near a known one: where, what was written, what was meant.
fn misspelt(findings: &[Finding]) -> Vec<(Vec<Segment>, String, String)> {
    let near = |finding: &Finding| match &finding.what {
        What::Unknown { key, known } => {
            let near = nearest(key, known.iter().map(String::as_str))?;
            Some((finding.place.clone(), key.clone(), near.to_owned()))
        }
        _ => None,
    };
    findings.iter().filter_map(near).collect()
}

/// Branches that are equally near: what all of them refuse is wrong; the keys of all of them are known.
fn merged(place: &[Segment], mut branches: Vec<Vec<Finding>>) -> Vec<Finding> {
    if branches.len() < 2 {
        return branches.pop().unwrap_or_default();
    }
    let here = |finding: &Finding| finding.place == place;
    let mut unknown: Vec<(String, Vec<String>)> = Vec::new();
    let mut missing: Vec<String> = Vec::new();
    for finding in branches.iter().flatten().filter(|finding| here(finding)) {
        match &finding.what {
            What::Unknown { key, known } => match unknown.iter_mut().find(|(seen, _)| seen == key) {
                Some((_, all)) => {
                    all.extend(known.iter().filter(|k| !all.contains(k)).cloned().collect::<Vec<_>>())
                }
                None => unknown.push((key.clone(), known.clone())),
            },
            What::Missing { key } if !missing.contains(key) => missing.push(key.clone()),
            _ => {}
        }
    }
    let refused_by_all = |key: &str| {
        branches.iter().all(|b| b.iter().any(|f| matches!(&f.what, What::Unknown { key: k, .. } if k == key)))
    };
    unknown.retain(|(key, _)| refused_by_all(key));
    if !unknown.is_empty() {
        let finding = |(key, known)| Finding {
            place: place.to_vec(),
            what: What::Unknown { key, known },
            message: String::new(),
            remedy: None,
        };
        return unknown.into_iter().map(finding).collect();
    }
    if missing.len() > 1
        && branches.iter().all(|b| b.iter().any(|f| here(f) && matches!(f.what, What::Missing { .. })))
    {
        let message = format!("one of `{}` is missing", missing.join("`, `"));
        return vec![Finding { place: place.to_vec(), what: What::Value, message, remedy: None }];
    }
    branches.swap_remove(0)
}

/// Drops what another finding already explains: a missing key that is there misspelt, and further rules broken by a value of the wrong type.
fn without_consequences(findings: &mut Vec<Finding>) {
    let mut kept: Vec<Finding> = Vec::new();
    findings.sort_by_key(|finding| !matches!(finding.what, What::Type));
    for finding in findings.drain(..) {
        let follows = match &finding.what {
            What::Value | What::Type => {
                kept.iter().any(|k| k.place == finding.place && matches!(k.what, What::Type | What::Value))
            }
            What::Unknown { .. } | What::Missing { .. } => kept
                .iter()
                .any(|k| k.place == finding.place && (k.what == finding.what || k.what == What::Type)),
        };
        if !follows {
            kept.push(finding);
        }
    }
    let misspelt = misspelt(&kept);
    kept.retain(|finding| match &finding.what {
        What::Missing { key } => {
            !misspelt.iter().any(|(place, _, meant)| *place == finding.place && meant == key)
        }
        _ => true,
    });
    *findings = kept;
}
