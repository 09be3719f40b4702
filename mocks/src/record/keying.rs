//! Whom data belongs to: the field of requests that answers depend on, and the course of answers to repeated requests.
use std::collections::{BTreeSet, HashMap};

use super::{
    generate::is_uuid,
    group::decides,
    leaves::{Case, asked_at},
    people::{Kind, Pseudonyms},
    place::{Place, text},
};

/// Answers to a repeated request at most; beyond it, they have no course.
pub const MAX_STEPS: usize = 8;

/// What answers depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Key {
    /// None: nothing that could be told apart. Two together are one key, such as a person and a month.
    pub places: Vec<Place>,
    /// Whether answers change when a request is repeated.
    pub course: bool,
}

/// Between the parts of a key.
pub const BETWEEN: &str = "|";

impl Key {
    /// A case's key.
    pub fn of(&self, case: &Case<'_>) -> String {
        let parts: Vec<String> = self
            .places
            .iter()
            .map(|place| asked_at(case, place).and_then(text).unwrap_or_default())
            .collect();
        parts.join(BETWEEN)
    }

    /// The same in CEL.
    pub fn cel(&self) -> String {
        match self.places.as_slice() {
            [one] => one.cel(),
            many => many
                .iter()
                .map(|place| format!("text({})", place.cel()))
                .collect::<Vec<_>>()
                .join(" + '|' + "),
        }
    }

    /// The same for conditions, which know the path as a whole.
    pub fn condition(&self) -> String {
        let of = |place: &Place| match place {
            Place::Segment(number) => format!("split(path, '/')[{}]", number + 1),
            other => other.cel(),
        };
        match self.places.as_slice() {
            [one] => of(one),
            many => {
                many.iter().map(|place| format!("text({})", of(place))).collect::<Vec<_>>().join(" + '|' + ")
            }
        }
    }
}

/// A field that answers may depend on.
struct Candidate {
    place: Place,
    /// The lower, the likelier.
    rank: usize,
    distinct: usize,
    /// Whether a value occurs twice.
    repeats: bool,
}

/// Fields whose value is another one in every request.
const SERIAL: usize = 4;

/// Chooses the key. `outcomes` tell what each case's answer is, beyond what needs no key.
pub fn choose(cases: &[Case<'_>], people: &Pseudonyms, outcomes: &[String]) -> Key {
    let all = candidates(cases, people);
    let violations = |places: &[Place]| {
        let key = Key { places: places.to_vec(), course: false };
        violations(cases, &key, outcomes)
    };
    let one = |place: &Place| Key { places: vec![place.clone()], course: false };
    let varying: Vec<&Candidate> = all.iter().filter(|candidate| candidate.distinct > 1).collect();
    let steady: Vec<&&Candidate> = varying.iter().filter(|candidate| candidate.rank < SERIAL).collect();
    let fits = steady.iter().filter(|candidate| violations(std::slice::from_ref(&candidate.place)) == 0);
    if let Some(best) = fits.min_by_key(|candidate| (candidate.rank, candidate.distinct)) {
        return one(&best.place);
    }
    for (at, first) in steady.iter().enumerate() {
        for second in &steady[at + 1..] {
            let places = [first.place.clone(), second.place.clone()];
            if violations(&places) == 0 {
                return Key { places: places.to_vec(), course: false };
            }
        }
    }
    // Always asking about one person with another number each time is a repeat, not another thing asked about.
    let same_person = all.iter().any(|candidate| candidate.distinct == 1 && candidate.rank == 0);
    let serial = varying.iter().find(|candidate| {
        let speaks = candidate.repeats || varying.len() == 1 && !same_person;
        candidate.rank >= SERIAL && speaks && violations(std::slice::from_ref(&candidate.place)) == 0
    });
    if let Some(serial) = serial {
        return one(&serial.place);
    }
    let best = steady.iter().min_by_key(|candidate| {
        (violations(std::slice::from_ref(&candidate.place)), candidate.rank, candidate.distinct)
    });
    Key { places: best.map(|best| best.place.clone()).into_iter().collect(), course: true }
}

fn candidates(cases: &[Case<'_>], people: &Pseudonyms) -> Vec<Candidate> {
    let mut all = Vec::new();
    for (place, _) in &cases[0].asked {
        let values: Option<Vec<String>> = cases
            .iter()
            .map(|case| asked_at(case, place).and_then(text).filter(|text| !text.is_empty()))
            .collect();
        let Some(values) = values else { continue };
        let may = values
            .iter()
            .zip(cases)
            .all(|(value, case)| value.len() <= 128 && decides(place, value, case.seen.at_us / 1000));
        if !may {
            continue;
        }
        let distinct = values.iter().collect::<BTreeSet<_>>().len();
        let repeats = distinct < values.len();
        all.push(Candidate { place: place.clone(), rank: rank(place, &values, people), distinct, repeats });
    }
    all
}

fn rank(place: &Place, values: &[String], people: &Pseudonyms) -> usize {
    let name: String =
        place.name().chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    let serial = [
        "bizno",
        "requestno",
        "reqno",
        "requestid",
        "reqid",
        "serialno",
        "seqno",
        "transno",
        "transid",
        "traceid",
        "msgid",
        "messageid",
        "flowno",
        "lsh",
        "uuid",
        "seq",
        "serial",
    ];
    match values.first().and_then(|value| people.kind_of(value)) {
        Some(Kind::Identity | Kind::Card | Kind::Phone | Kind::Number) => return 0,
        Some(Kind::Name) => return 2,
        Some(_) => return 3,
        None => {}
    }
    match place {
        _ if ends(&serial) || values.iter().all(|value| is_uuid(value)) => SERIAL,
        Place::Segment(_) => 1,
        _ if ends(&["no", "id", "code", "num", "number", "key", "bh", "hm", "号", "编号"]) => 1,
        _ => 3,
    }
}

/// Cases whose outcome is not that of the first case with their key.
fn violations(cases: &[Case<'_>], key: &Key, outcomes: &[String]) -> usize {
    let mut first: HashMap<String, &String> = HashMap::new();
    let each = cases.iter().zip(outcomes);
    each.filter(|(case, outcome)| *first.entry(key.of(case)).or_insert(outcome) != *outcome).count()
}

/// The cases of each key in their order, without repeats at the end.
pub fn courses(cases: &[Case<'_>], key: &Key, outcomes: &[String]) -> Vec<(String, Vec<usize>)> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut courses: Vec<(String, Vec<usize>)> = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let text = key.of(case);
        let place = *places.entry(text.clone()).or_insert(courses.len());
        match courses.get_mut(place) {
            Some((_, course)) => course.push(number),
            None => courses.push((text, vec![number])),
        }
    }
    for (_, course) in &mut courses {
        while let [.., before, last] = course.as_slice() {
            if outcomes[*before] != outcomes[*last] {
                break;
            }
            course.pop();
        }
    }
    courses
}
