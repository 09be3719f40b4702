//! Exchanges that belong to one operation: by listener, method, shape of the path, and item.
use std::collections::{BTreeMap, BTreeSet, HashMap};

use http::Method;
use qiao_mappings::Selector;
use serde_json::{Value, json};

use super::{
    generate::{Sample, is_near, is_uuid},
    people::{Hint, Pseudonyms, hint},
    place::{self, Place, segment_name, text},
    seen::Seen,
    wire::Form,
};

/// Values of a field that tells items apart, at most.
const MAX_ITEMS: usize = 200;

/// One operation.
pub struct Group<'s> {
    pub method: Method,
    /// Segments of the path; none for one that varies.
    pub path: Vec<Option<String>>,
    /// What tells it from others of the same path.
    pub item: Option<Item>,
    pub seen: Vec<&'s Seen>,
}

/// Whether it is SOAP, the method, and the segments of the path.
type Shape = (bool, String, Vec<Option<String>>);

/// A place and its value; without a place, the value of the `select` that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    pub place: Option<Place>,
    pub value: String,
}

impl Group<'_> {
    /// The path's pattern.
    pub fn pattern(&self) -> String {
        let segments = self.path.iter().enumerate().map(|(number, segment)| match segment {
            Some(text) => format!("/{text}"),
            None => format!("/{{{}}}", segment_name(number)),
        });
        let pattern: String = segments.collect();
        if pattern.is_empty() { "/".into() } else { pattern }
    }
}

/// Groups exchanges. `select` is the dispatch key asked for; SOAP's is the operation.
pub fn groups<'s>(seen: &'s [Seen], select: Option<&Selector>, people: &Pseudonyms) -> Vec<Group<'s>> {
    let mut by_path: BTreeMap<Shape, Vec<&Seen>> = BTreeMap::new();
    for one in seen {
        let path = one.segments.iter().map(|segment| (!varies(segment, people)).then(|| segment.clone()));
        let key = (one.request.form.is_soap(), one.method.to_string(), path.collect());
        by_path.entry(key).or_default().push(one);
    }
    let mut groups = Vec::new();
    for ((soap, _, path), seen) in by_path {
        let mut by_item: BTreeMap<Option<Item>, Vec<&Seen>> = BTreeMap::new();
        let telling = match (select, soap) {
            (None, false) => telling(&seen, people),
            _ => None,
        };
        for one in seen {
            let item = match (select, soap) {
                (Some(select), _) => selected(select, one).map(|value| Item { place: None, value }),
                (None, true) => operation(one).map(|value| Item { place: None, value }),
                (None, false) => telling.as_ref().and_then(|place| {
                    Some(Item { place: Some(place.clone()), value: value_at(one, place)? })
                }),
            };
            by_item.entry(item).or_default().push(one);
        }
        groups.extend(by_item.into_iter().map(|(item, seen)| Group {
            method: seen[0].method.clone(),
            path: path.clone(),
            item,
            seen,
        }));
    }
    groups
}

/// Whether a segment of a path is a value rather than a name.
fn varies(segment: &str, people: &Pseudonyms) -> bool {
    let digits = segment.bytes().filter(u8::is_ascii_digit).count();
    let odd = segment.is_empty() || segment.contains(|c: char| "{}*?#%".contains(c) || c.is_whitespace());
    people.kind_of(segment).is_some()
        || is_uuid(segment)
        || digits >= 4
        || digits > 0 && digits == segment.len()
        || odd
}

fn selected(select: &Selector, one: &Seen) -> Option<String> {
    let scope = json!({
        "request": one.request.document,
        "wire": one.request.document,
        "query": one.query,
        "headers": one.headers,
        "method": one.method.as_str(),
        "path": format!("/{}", one.segments.join("/")),
        "operation": operation(one).unwrap_or_default(),
    });
    text(select.first(&scope)?)
}

/// The local name of a SOAP Body's element.
fn operation(one: &Seen) -> Option<String> {
    match &one.request.document {
        Value::Object(members) if members.len() == 1 => members.keys().next().cloned(),
        _ => None,
    }
}

/// The scalars of a request by their places.
pub fn request(one: &Seen) -> Vec<(Place, &Value)> {
    let body =
        place::scalars(&one.request.document).into_iter().map(|(steps, value)| (Place::Body(steps), value));
    let body = body.filter(|_| one.request.form != Form::Text);
    let query = one.query.iter().map(|(name, value)| (Place::Query(name.clone()), value));
    let headers = one.headers.iter().map(|(name, value)| (Place::Header(name.clone()), value));
    body.chain(query).chain(headers).collect()
}

pub fn value_at(one: &Seen, place: &Place) -> Option<String> {
    match place {
        Place::Body(steps) => text(place::at(&one.request.document, steps)?),
        Place::Query(name) => text(one.query.get(name)?),
        Place::Header(name) => text(one.headers.get(name)?),
        Place::Segment(number) => one.segments.get(*number).cloned(),
    }
}

/// Whether a place may decide anything: signatures, nonces and times never do.
pub fn decides(place: &Place, value: &str, at_ms: i64) -> bool {
    let name = place.name();
    let lower = name.to_ascii_lowercase();
    let timely = ["timestamp", "time", "ts", "nonce", "sign"].contains(&lower.as_str());
    let near = || is_near(&Sample { at_ms, value: &Value::from(value) });
    hint(name) != Some(Hint::Secret) && !timely && !near() && !matches!(place, Place::Header(_))
}

/// Names of fields that tell operations apart, the surest first.
const ITEMS: [&str; 26] = [
    "itemcode",
    "item",
    "apicode",
    "interfacecode",
    "servicecode",
    "service",
    "action",
    "transcode",
    "trancode",
    "txcode",
    "tradecode",
    "method",
    "api",
    "func",
    "function",
    "funcid",
    "command",
    "cmd",
    "operation",
    "op",
    "biztype",
    "busitype",
    "msgtype",
    "messagetype",
    "type",
    "kind",
];

/// The field that tells operations of one path apart, where there is one.
fn telling(seen: &[&Seen], people: &Pseudonyms) -> Option<Place> {
    let mut best: Option<((usize, usize), Place)> = None;
    for (place, _) in request(seen[0]) {
        let values: Option<Vec<String>> = seen.iter().map(|one| value_at(one, &place)).collect();
        let Some(values) = values else { continue };
        let distinct: BTreeSet<&String> = values.iter().collect();
        let fits = (2..=MAX_ITEMS).contains(&distinct.len())
            && values
                .iter()
                .zip(seen)
                .all(|(value, one)| is_word(value, people) && decides(&place, value, one.at_us / 1000));
        let name: String = place.name().chars().filter(char::is_ascii_alphanumeric).collect();
        let spoken = ITEMS.iter().position(|known| name.eq_ignore_ascii_case(known));
        if !fits || !separates(seen, &values, spoken.is_some()) {
            continue;
        }
        let rank = (spoken.unwrap_or(ITEMS.len()), distinct.len());
        if best.as_ref().is_none_or(|(known, _)| rank < *known) {
            best = Some((rank, place));
        }
    }
    best.map(|(_, place)| place)
}

/// Codes and words; no person's data, no long number.
fn is_word(value: &str, people: &Pseudonyms) -> bool {
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    (1..=64).contains(&value.len()) && digits <= 8 && people.kind_of(value).is_none() && !is_uuid(value)
}

/// Whether messages with different values have different forms: for a field whose name says nothing, each value its own.
fn separates(seen: &[&Seen], values: &[String], spoken: bool) -> bool {
    let mut forms: HashMap<&str, BTreeSet<String>> = HashMap::new();
    for (one, value) in seen.iter().zip(values) {
        let form = format!("{:?}", skeleton(&one.request.document));
        forms.entry(value).or_default().insert(form);
    }
    let all: BTreeSet<&String> = forms.values().flatten().collect();
    let answers: BTreeSet<String> =
        seen.iter().map(|one| format!("{:?}", skeleton(&one.answer.document))).collect();
    if spoken {
        return all.len() > 1 || answers.len() > 1;
    }
    all.len() == forms.len() && forms.values().all(|forms| forms.len() == 1)
}

/// The members of a document, outside of lists.
fn skeleton(value: &Value) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    place::walk(value, &mut Vec::new(), &mut |steps, _| {
        if !steps.iter().any(|step| matches!(step, place::Step::Index(_))) {
            all.insert(place::pointer(steps));
        }
    });
    all
}
