//! One operation's exchanges made into stubs and a table: what all have in common stands in the stubs, whom it depends on in
//! the table's key, the rest in its columns.
mod columns;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use qiao_mappings::units::Duration;
use serde_json::{Map, Value};

use super::{
    group::Group,
    keying::{self, Key, MAX_STEPS},
    leaves::{self, Case, Leaf, Made},
    people::Pseudonyms,
    place::{Place, Step, Steps, cel_text, pointer},
    replay::Reason,
    wire::Form,
};
use crate::{
    import::escaped,
    spec::{Criterion, Delay, Respond, SoapFault, StateRule, StubSpec, When},
};
use columns::Column;

/// The parameter that keys the course of requests that nothing tells apart.
pub const COMMON_KEY: &str = "recording";
/// Delays of stubs at most, as the strict reader wants it.
const MAX_DELAY_MS: u64 = 600_000;

/// What becomes of a group.
pub struct Generalised {
    pub stubs: Vec<StubSpec>,
    /// Name and CSV.
    pub table: Option<(String, String)>,
    /// By exchange: places of answers that are not the same again, and why.
    pub reasons: Vec<(usize, String, Reason)>,
    /// Whether a course is keyed by the common parameter.
    pub common: bool,
}

struct Plan<'g> {
    group: &'g Group<'g>,
    name: String,
    cases: Vec<Case<'g>>,
    leaves: Vec<Leaf>,
    key: Option<Key>,
    courses: Vec<(String, Vec<usize>)>,
    steps: usize,
    columns: BTreeMap<Steps, Column>,
    variants: usize,
}

/// Makes stubs of a group; `name` is theirs and their table's.
pub fn generalise(group: &Group<'_>, name: &str, people: &Pseudonyms) -> Generalised {
    let cases = leaves::cases(&group.seen, &group.path);
    let variants = cases.iter().map(|case| case.variant).max().unwrap_or(0) + 1;
    let mut leaves: Vec<Leaf> = Vec::new();
    for variant in 0..variants {
        let of: Vec<&Case<'_>> = cases.iter().filter(|case| case.variant == variant).collect();
        leaves.extend(leaves::leaves(&of, variant, people));
    }
    let mut plan = Plan {
        group,
        name: name.to_owned(),
        cases,
        leaves,
        key: None,
        courses: Vec::new(),
        steps: 1,
        columns: BTreeMap::new(),
        variants,
    };
    plan.find_key(people);
    plan.find_columns();
    Generalised {
        stubs: plan.stubs(),
        table: plan.table(),
        reasons: plan.reasons(),
        common: plan.steps > 1 && plan.key.as_ref().is_some_and(|key| key.places.is_empty()),
    }
}

/// The values of a leaf by case.
fn value<'c>(case: &'c Case<'_>, steps: &[Step]) -> &'c Value {
    super::place::at(&case.answer, steps).unwrap_or(&Value::Null)
}

impl Plan<'_> {
    fn data(&self, variant: usize) -> impl Iterator<Item = &Leaf> {
        self.leaves.iter().filter(move |leaf| leaf.variant == variant && leaf.made == Made::Data)
    }

    fn outcomes(&self) -> Vec<String> {
        let outcome = |case: &Case<'_>| {
            let values: Vec<String> =
                self.data(case.variant).map(|leaf| value(case, &leaf.steps).to_string()).collect();
            format!("{} {}", case.variant, values.join("\u{1f}"))
        };
        self.cases.iter().map(outcome).collect()
    }

    fn find_key(&mut self, people: &Pseudonyms) {
        let mut outcomes = self.outcomes();
        if outcomes.windows(2).all(|pair| pair[0] == pair[1]) {
            // With one exchange everything is constant.
            self.settle_data();
            return;
        }
        let mut key = keying::choose(&self.cases, people, &outcomes);
        let composed = key.places.len() > 1;
        if key.course {
            let longest =
                |courses: &[(String, Vec<usize>)]| courses.iter().map(|(_, course)| course.len()).max();
            let courses = keying::courses(&self.cases, &key, &outcomes);
            if composed || longest(&courses).unwrap_or(1) > MAX_STEPS {
                self.drop_restless(&key);
                outcomes = self.outcomes();
                if outcomes.windows(2).all(|pair| pair[0] == pair[1]) {
                    return;
                }
            }
        }
        let mut courses = keying::courses(&self.cases, &key, &outcomes);
        courses.iter_mut().for_each(|(_, course)| course.truncate(MAX_STEPS));
        self.steps = courses.iter().map(|(_, course)| course.len()).max().unwrap_or(1);
        key.course = self.steps > 1;
        self.courses = courses;
        self.key = Some(key);
    }

    /// Data that is the same in all cases needs no table.
    fn settle_data(&mut self) {
        for leaf in self.leaves.iter_mut().filter(|leaf| leaf.made == Made::Data) {
            if let Some(case) = self.cases.iter().find(|case| case.variant == leaf.variant) {
                leaf.made = Made::Fixed(escaped(value(case, &leaf.steps)));
            }
        }
    }

    /// Parts that differ although their key is the same have no rule.
    fn drop_restless(&mut self, key: &Key) {
        let keys: Vec<String> = self.cases.iter().map(|case| key.of(case)).collect();
        for leaf in self.leaves.iter_mut().filter(|leaf| leaf.made == Made::Data) {
            let mut first: HashMap<&str, &Value> = HashMap::new();
            let of = self.cases.iter().zip(&keys).filter(|(case, _)| case.variant == leaf.variant);
            let restless = of.clone().any(|(case, key)| {
                let value = value(case, &leaf.steps);
                *first.entry(key).or_insert(value) != value
            });
            if let (true, Some((case, _))) = (restless, of.clone().next()) {
                leaf.made = Made::Varies(escaped(value(case, &leaf.steps)));
            }
        }
    }

    /// A column's name at a step of the course.
    fn at_step(&self, name: &str, step: usize) -> String {
        if step == 0 { name.to_owned() } else { format!("{name}_{}", step + 1) }
    }

    /// The case that a course is at in that step; at its end it stays.
    fn case_at(&self, course: &[usize], step: usize) -> &Case<'_> {
        let number = course.get(step).or(course.last()).copied().unwrap_or(0);
        &self.cases[number]
    }

    fn needs_table(&self) -> bool {
        self.key.as_ref().is_some_and(|key| !key.places.is_empty())
    }

    /// A form of answers that holds nobody's data: what answers for whom the table does not know.
    fn otherwise(&self) -> Option<usize> {
        let free = (0..self.variants).filter(|variant| self.data(*variant).next().is_none());
        let cases = |variant: &usize| self.cases.iter().filter(|case| case.variant == *variant).count();
        if self.needs_table() && self.variants > 1 { free.max_by_key(cases) } else { None }
    }

    fn stubs(&self) -> Vec<StubSpec> {
        let mut stubs = Vec::new();
        let otherwise = self.otherwise();
        let mut used: BTreeSet<(usize, usize)> = BTreeSet::new();
        for step in 0..self.steps {
            for (_, course) in &self.courses {
                used.insert((step, self.case_at(course, step).variant));
            }
        }
        if self.courses.is_empty() {
            used.insert((0, 0));
        }
        for (step, variant) in used {
            if self.steps == 1 && Some(variant) == otherwise {
                continue;
            }
            stubs.push(self.stub(variant, step, false));
        }
        stubs.extend(otherwise.map(|variant| self.stub(variant, 0, true)));
        stubs
    }

    fn stub(&self, variant: usize, step: usize, otherwise: bool) -> StubSpec {
        let mut stub = StubSpec::named(self.name.clone());
        let group = self.group;
        let item = group.item.as_ref().map(|item| item.value.clone());
        let about: Vec<String> =
            [Some(group.method.to_string()), Some(group.pattern()), item].into_iter().flatten().collect();
        stub.title = Some(about.join(" "));
        if let (Some(item), None) = (&group.item, group.item.as_ref().and_then(|item| item.place.as_ref())) {
            stub.item = Some(item.value.clone());
        }
        let mut when = self.when();
        if otherwise {
            stub.priority = Some(-10);
        } else if let Some(key) = self.key.as_ref().filter(|_| self.needs_table()) {
            let row = format!("table({}, {})", cel_text(&self.name), key.condition());
            let cel = if self.variants > 1 {
                let column = cel_text(&self.at_step("answer", step));
                format!("get({row}, {column}, '') == {}", cel_text(&answer_name(variant)))
            } else {
                format!("{row} != null")
            };
            when.all.push(Criterion { cel: Some(cel), ..Criterion::default() });
        }
        stub.when = Some(when);
        if self.steps > 1 && !otherwise {
            stub.state = Some(self.state(step));
        }
        stub.delay = self.delay(variant);
        stub.respond = self.respond(variant, step);
        stub
    }

    fn when(&self) -> When {
        let mut when = When {
            method: Some(self.group.method.to_string()),
            path: Some(self.group.pattern()),
            ..When::default()
        };
        if let Some((place, item)) =
            self.group.item.as_ref().and_then(|item| Some((item.place.as_ref()?, item)))
        {
            match place {
                Place::Query(name) => drop(when.query.insert(name.clone(), item.value.clone())),
                place => when.all.push(Criterion {
                    equals: Some(crate::spec::criteria::Scalar::Text(item.value.clone())),
                    ..Criterion::at(place.json_path())
                }),
            }
        }
        when
    }

    fn state(&self, step: usize) -> StateRule {
        let name = |step: usize| if step == 0 { "new".to_owned() } else { format!("step-{}", step + 1) };
        let place = self.key.as_ref().and_then(|key| key.places.first());
        let key = place.map_or_else(|| format!("$.partner.{COMMON_KEY}"), Place::json_path);
        StateRule {
            machine: Some(self.name.clone()),
            within: vec![name(step)],
            to: (step + 1 < self.steps).then(|| name(step + 1)),
            key: Some(key),
            ..StateRule::default()
        }
    }

    fn delay(&self, variant: usize) -> Option<Delay> {
        let of = self.cases.iter().filter(|case| case.variant == variant);
        let mut times: Vec<u64> = of.map(|case| case.seen.latency_ms.clamp(1, MAX_DELAY_MS)).collect();
        times.sort_unstable();
        let median = *times.get(times.len() / 2)?;
        let millis = |ms| Some(Duration(std::time::Duration::from_millis(ms)));
        if times.len() < 5 {
            return Some(Delay { fixed: millis(median), ..Delay::default() });
        }
        #[allow(clippy::cast_precision_loss, reason = "at most ten minutes in milliseconds")]
        let logs: Vec<f64> = times.iter().map(|time| (*time as f64).ln()).collect();
        #[allow(clippy::cast_precision_loss, reason = "at most ten thousand")]
        let count = logs.len() as f64;
        let mean = logs.iter().sum::<f64>() / count;
        let spread = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / count;
        let sigma = (spread.sqrt().clamp(0.01, 3.0) * 100.0).round() / 100.0;
        Some(Delay { median: millis(median), sigma: Some(sigma), ..Delay::default() })
    }

    fn respond(&self, variant: usize, step: usize) -> Respond {
        let Some(first) = self.cases.iter().find(|case| case.variant == variant) else {
            return Respond::default();
        };
        let mut templates: HashMap<Steps, Value> = HashMap::new();
        for leaf in self.leaves.iter().filter(|leaf| leaf.variant == variant) {
            let template = match &leaf.made {
                Made::Fixed(template) | Made::Generated(template) | Made::Varies(template) => {
                    template.clone()
                }
                Made::Data => self.looked_up(first, leaf, step),
            };
            templates.insert(leaf.steps.clone(), template);
        }
        let made = filled(&first.answer, &mut Vec::new(), &templates);
        let mut respond = Respond {
            status: (first.seen.status != 200).then(|| first.seen.status.clamp(200, 599)),
            ..Respond::default()
        };
        for (name, template) in made["headers"].as_object().into_iter().flatten() {
            respond.headers.insert(name.clone(), template.as_str().unwrap_or_default().to_owned());
        }
        body(first, made["body"].clone(), &mut respond);
        respond
    }

    fn reasons(&self) -> Vec<(usize, String, Reason)> {
        let mut reasons = Vec::new();
        for case in &self.cases {
            for leaf in self.leaves.iter().filter(|leaf| leaf.variant == case.variant) {
                let reason = match leaf.made {
                    Made::Generated(_) => Reason::Generated,
                    Made::Varies(_) => Reason::Varies,
                    Made::Fixed(_) | Made::Data => continue,
                };
                reasons.push((case.seen.number, pointer(&leaf.steps), reason));
            }
        }
        reasons
    }
}

/// Puts the body's template where its form belongs.
fn body(first: &Case<'_>, made: Value, respond: &mut Respond) {
    let answer = &first.seen.answer;
    match (&answer.fault, answer.form) {
        (Some(fault), _) => {
            let text = made["faultstring"].as_str().unwrap_or_default().to_owned();
            respond.soap_fault = Some(SoapFault { code: fault.code.clone(), text });
        }
        (None, Form::Text) => {
            respond.text = made.as_str().map(str::to_owned);
            if let Some(kind) = &first.seen.answer_type {
                respond.headers.insert("content-type".into(), kind.clone());
            }
        }
        (None, Form::Empty) => {}
        (None, _) => respond.json = Some(made),
    }
}

/// What the column `answer` says.
fn answer_name(variant: usize) -> String {
    format!("form-{}", variant + 1)
}

fn filled(value: &Value, steps: &mut Steps, templates: &HashMap<Steps, Value>) -> Value {
    if let Some(template) = templates.get(steps) {
        return template.clone();
    }
    match value {
        Value::Object(members) => {
            let mut made = Map::new();
            for (name, value) in members {
                steps.push(Step::Name(name.clone()));
                made.insert(name.clone(), filled(value, steps, templates));
                steps.pop();
            }
            Value::Object(made)
        }
        Value::Array(elements) => {
            let mut made = Vec::new();
            for (index, value) in elements.iter().enumerate() {
                steps.push(Step::Index(index));
                made.push(filled(value, steps, templates));
                steps.pop();
            }
            Value::Array(made)
        }
        other => escaped(other),
    }
}
