//! Submitted messages scored against standard ones, field by field: for training and exams.
use qiao_mappings::strict::{Mistake, Source};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    catalogue::Catalogue,
    compile::report::{Place, Report},
    journal::Entry,
    mask,
    matching::memo::scalar,
    question::{Question, facts, incoming},
    spec::{Pick, ScoreField, ScoreTemplate},
};

/// Fields of one standard message at most.
const MAX_FIELDS: usize = 1_000;
/// Fields shown that the standard message does not have.
const MAX_UNEXPECTED: usize = 50;

/// What is wrong with standard messages.
pub fn mistakes(templates: &[ScoreTemplate], source: &Source) -> Vec<Mistake> {
    let mut report = Report::default();
    drop(compile(templates, &Place::root(source).at("score"), &mut report));
    report.found
}

/// Compiles standard messages that stand at `place`.
pub fn compile(templates: &[ScoreTemplate], place: &Place<'_>, report: &mut Report) -> Vec<Standard> {
    let one = |(number, template): (usize, &ScoreTemplate)| {
        Standard::compile(template, &place.at(&format!("[{number}]")), report)
    };
    templates.iter().enumerate().map(one).collect()
}

/// A compiled standard message.
pub struct Standard {
    id: String,
    title: Option<String>,
    when: Question,
    pick: Pick,
    leaves: Vec<Leaf>,
    fields: Vec<Field>,
}

/// A scalar of the standard message.
struct Leaf {
    place: String,
    wanted: String,
    points: f64,
}

struct Field {
    spec: ScoreField,
    test: Question,
    points: f64,
}

/// What one message earned.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scored {
    pub template: String,
    pub title: Option<String>,
    /// Id of the journal's entry; none where nothing was submitted.
    pub entry: Option<u64>,
    pub points: f64,
    pub of: f64,
    pub fields: Vec<ScoredField>,
    /// Places of the submitted message that the standard one does not have.
    pub unexpected: Vec<String>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScoredField {
    pub field: String,
    pub wanted: String,
    pub seen: Option<String>,
    pub points: f64,
    pub of: f64,
}

/// All messages together.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Total {
    pub points: f64,
    pub of: f64,
    /// Of a hundred, to one decimal.
    pub percent: f64,
}

/// Sums up.
pub fn total(scored: &[Scored]) -> Total {
    let points: f64 = scored.iter().map(|message| message.points).sum();
    let of: f64 = scored.iter().map(|message| message.of).sum();
    let percent = if of > 0.0 { (points / of * 1000.0).round() / 10.0 } else { 0.0 };
    Total { points, of, percent }
}

impl Standard {
    fn compile(template: &ScoreTemplate, place: &Place<'_>, report: &mut Report) -> Self {
        let mut leaves = Vec::new();
        if let Some(message) = &template.message {
            flatten("", message, &mut |place, wanted| {
                let points = weight(template, place);
                let wanted = wanted.to_owned();
                leaves.push(Leaf { place: place.to_owned(), wanted, points });
            });
        }
        for (weighed, points) in &template.weights {
            let at = place.member("weights", weighed);
            if !(0.0..=1000.0).contains(points) {
                report.add(&at, "0 to 1000 points");
            }
            if !leaves.iter().any(|leaf| below(&leaf.place, weighed)) {
                report.add(&at, "the message has no such field");
            }
        }
        leaves.retain(|leaf| leaf.points > 0.0);
        if leaves.len() + template.fields.len() > MAX_FIELDS {
            report.add(place, format!("a standard message has at most {MAX_FIELDS} fields"));
        }
        if leaves.is_empty() && template.fields.is_empty() {
            report.add(place, "`message` or `fields`: otherwise there is nothing to score");
        }
        let field = |(number, spec): (usize, &ScoreField)| {
            let test = Question::of_criterion(&spec.that, &place.nth("fields", number).at("that"), report);
            Field { spec: spec.clone(), test, points: spec.points.unwrap_or(1.0) }
        };
        let fields = template.fields.iter().enumerate().map(field).collect();
        let when = Question::compile(&template.when, &place.at("when"), report);
        Self {
            id: template.id.clone(),
            title: template.title.clone(),
            when,
            pick: template.pick.unwrap_or_default(),
            leaves,
            fields,
        }
    }

    /// Scores the entry that is meant, of those in the order in which they came.
    pub fn score(&self, entries: &[Entry<'_>], catalogue: &Catalogue, raw: bool) -> Scored {
        let mut candidates = entries.iter().filter(|entry| self.when.fits(entry, catalogue));
        let one = |entry: &Entry<'_>| self.message(entry, catalogue, raw);
        let found = match self.pick {
            Pick::First => candidates.next().map(one),
            Pick::Last => candidates.next_back().map(one),
            // Of equals the last: it was meant to be better.
            Pick::Best => candidates.map(one).max_by(|left, right| left.points.total_cmp(&right.points)),
        };
        found.unwrap_or_else(|| {
            let leaves = self.leaves.iter().map(|leaf| leaf.earned(None, raw));
            let fields = self.fields.iter().map(|field| field.missing());
            self.summed(None, leaves.chain(fields).collect(), Vec::new())
        })
    }

    fn message(&self, entry: &Entry<'_>, catalogue: &Catalogue, raw: bool) -> Scored {
        let incoming = incoming(entry);
        let partner = catalogue.partner(entry.partner);
        let facts = partner.and_then(|partner| facts(entry, &incoming, partner));
        let document = facts.as_ref().map(|facts| facts.documents().business()).unwrap_or(&Value::Null);
        let mut seen = std::collections::HashMap::new();
        flatten("", document, &mut |place, text| {
            seen.insert(place.to_owned(), text.to_owned());
        });
        let mut scored: Vec<ScoredField> = self
            .leaves
            .iter()
            .map(|leaf| leaf.earned(seen.get(&leaf.place).map(String::as_str), raw))
            .collect();
        scored.extend(self.fields.iter().map(|field| field.earned(entry, catalogue, raw)));
        let mut unexpected: Vec<String> = Vec::new();
        if !self.leaves.is_empty() {
            let known = |place: &String| self.leaves.iter().any(|leaf| leaf.place == *place);
            unexpected = seen.into_keys().filter(|place| !known(place)).collect();
            unexpected.sort_unstable();
            unexpected.truncate(MAX_UNEXPECTED);
        }
        self.summed(Some(entry.id), scored, unexpected)
    }

    fn summed(&self, entry: Option<u64>, fields: Vec<ScoredField>, unexpected: Vec<String>) -> Scored {
        let points = fields.iter().map(|field| field.points).sum();
        let of = fields.iter().map(|field| field.of).sum();
        Scored { template: self.id.clone(), title: self.title.clone(), entry, points, of, fields, unexpected }
    }
}

impl Leaf {
    fn earned(&self, seen: Option<&str>, raw: bool) -> ScoredField {
        let right = seen.unwrap_or_default() == self.wanted;
        let shown = |text: &str| if raw { text.to_owned() } else { mask::field(&self.place, text) };
        ScoredField {
            field: self.place.clone(),
            wanted: shown(&self.wanted),
            seen: seen.map(shown),
            points: if right { self.points } else { 0.0 },
            of: self.points,
        }
    }
}

impl Field {
    fn name(&self) -> String {
        let that = &self.spec.that;
        let place = that.json.as_ref().or(that.xml.as_ref()).or(that.param.as_ref()).or(that.cel.as_ref());
        self.spec.title.as_ref().or(place).cloned().unwrap_or_default()
    }

    fn missing(&self) -> ScoredField {
        ScoredField { field: self.name(), wanted: String::new(), seen: None, points: 0.0, of: self.points }
    }

    fn earned(&self, entry: &Entry<'_>, catalogue: &Catalogue, raw: bool) -> ScoredField {
        let verdict = self.test.verdicts(entry, catalogue).into_iter().next_back();
        let Some(verdict) = verdict else { return self.missing() };
        let partly = self.spec.partly.iter().filter(|partly| Some(partly.equals.text()) == verdict.seen);
        let partly = partly.map(|partly| partly.points).fold(0.0, f64::max).min(self.points);
        let points = if verdict.ok { self.points } else { partly };
        let verdict = if raw { verdict } else { mask::verdict(&verdict) };
        ScoredField {
            field: self.name(),
            wanted: verdict.wanted,
            seen: verdict.seen,
            points,
            of: self.points,
        }
    }
}

/// The points of a place: those of the longest part of it that is weighed.
fn weight(template: &ScoreTemplate, place: &str) -> f64 {
    let weighed = template.weights.iter().filter(|(part, _)| below(place, part));
    weighed.max_by_key(|(part, _)| part.len()).map_or(1.0, |(_, points)| *points)
}

/// Whether a place is `part` or lies in it.
fn below(place: &str, part: &str) -> bool {
    place.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Passes every scalar with its place.
fn flatten(place: &str, value: &Value, take: &mut dyn FnMut(&str, &str)) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let dot = if place.is_empty() { "" } else { "." };
                flatten(&format!("{place}{dot}{name}"), value, take);
            }
        }
        Value::Array(elements) => {
            for (number, element) in elements.iter().enumerate() {
                flatten(&format!("{place}[{number}]"), element, take);
            }
        }
        other => take(place, &scalar(other).unwrap_or_default()),
    }
}
