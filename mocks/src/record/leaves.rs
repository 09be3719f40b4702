//! The answers of one operation laid over one another: which parts are always the same, come from the request, are made anew,
//! or are data.
use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value};

use super::{
    generate::{Sample, generator, is_near},
    group,
    people::Pseudonyms,
    place::{self, Place, Step, Steps, last_name, text},
    seen::Seen,
};
use crate::import::escaped;

/// An exchange with its answer as one document.
pub struct Case<'s> {
    pub seen: &'s Seen,
    pub answer: Value,
    pub asked: Vec<(Place, Value)>,
    /// The form of its answer, by number.
    pub variant: usize,
}

/// What stands at a place of answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Made {
    /// A template that needs no table.
    Fixed(Value),
    /// A template of a generator.
    Generated(Value),
    /// Values that belong to somebody or something.
    Data,
    /// Values without a rule; the first is taken.
    Varies(Value),
}

/// A part of the answers of one form.
#[derive(Clone, Debug)]
pub struct Leaf {
    pub variant: usize,
    pub steps: Steps,
    pub made: Made,
}

/// Forms of answers of one operation at most; where there are more, documents of any form count as one.
const MAX_FORMS: usize = 32;

/// The cases of an operation, with the forms that their answers have.
pub fn cases<'s>(seen: &[&'s Seen], path: &[Option<String>]) -> Vec<Case<'s>> {
    let mut cases: Vec<Case<'s>> = seen.iter().map(|one| case(one, path)).collect();
    let fine =
        |case: &Case<'_>| format!("{} {:?} {}", case.seen.status, case.seen.answer.form, shape(&case.answer));
    if number(&mut cases, fine) > MAX_FORMS {
        number(&mut cases, |case| format!("{} {:?}", case.seen.status, case.seen.answer.form));
    }
    cases
}

fn case<'s>(one: &'s Seen, path: &[Option<String>]) -> Case<'s> {
    let mut asked: Vec<(Place, Value)> =
        group::request(one).into_iter().map(|(place, value)| (place, value.clone())).collect();
    let open = path.iter().enumerate().filter(|(_, segment)| segment.is_none());
    asked.extend(open.filter_map(|(number, _)| {
        Some((Place::Segment(number), Value::from(one.segments.get(number)?.as_str())))
    }));
    Case { seen: one, answer: place::answer(&one.answer_headers, &one.answer), asked, variant: 0 }
}

/// Numbers the forms in the order in which they first occur, and tells how many there are.
fn number(cases: &mut [Case<'_>], form: impl Fn(&Case<'_>) -> String) -> usize {
    let mut forms: HashMap<String, usize> = HashMap::new();
    for case in cases {
        let next = forms.len();
        case.variant = *forms.entry(form(case)).or_insert(next);
    }
    forms.len()
}

/// Objects with their members, and kinds of values; what stands in lists does not count.
fn shape(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let each: BTreeSet<String> =
                members.iter().map(|(name, value)| format!("{name}:{}", shape(value))).collect();
            format!("{{{}}}", each.into_iter().collect::<Vec<_>>().join(","))
        }
        Value::Array(_) => "[]".into(),
        _ => "x".into(),
    }
}

/// The leaves of one form's answers, as far as they can be told without knowing whom they belong to.
pub fn leaves(cases: &[&Case<'_>], variant: usize, people: &Pseudonyms) -> Vec<Leaf> {
    let mut all = Vec::new();
    let answers: Vec<&Value> = cases.iter().map(|case| &case.answer).collect();
    below(&answers, &mut Vec::new(), &mut |steps, values| {
        let made = leaf(cases, steps, values, people);
        all.push(Leaf { variant, steps: steps.to_vec(), made });
    });
    all
}

/// Walks documents of one form side by side, down to where they differ in form or are scalars.
pub fn below<'v>(values: &[&'v Value], steps: &mut Steps, each: &mut impl FnMut(&[Step], &[&'v Value])) {
    let members: Option<Vec<&Map<String, Value>>> = values.iter().map(|value| value.as_object()).collect();
    if let Some(members) = members
        && members.iter().all(|other| {
            other.len() == members[0].len() && other.keys().all(|key| members[0].contains_key(key))
        })
        && !members[0].is_empty()
    {
        for name in members[0].keys() {
            steps.push(Step::Name(name.clone()));
            let inner: Vec<&Value> = members.iter().filter_map(|members| members.get(name)).collect();
            below(&inner, steps, each);
            steps.pop();
        }
        return;
    }
    let lists: Option<Vec<&Vec<Value>>> = values.iter().map(|value| value.as_array()).collect();
    if let Some(lists) = lists
        && lists.iter().all(|other| other.len() == lists[0].len())
        && !lists[0].is_empty()
    {
        for index in 0..lists[0].len() {
            steps.push(Step::Index(index));
            let inner: Vec<&Value> = lists.iter().map(|list| &list[index]).collect();
            below(&inner, steps, each);
            steps.pop();
        }
        return;
    }
    each(steps, values);
}

fn leaf(cases: &[&Case<'_>], steps: &[Step], values: &[&Value], people: &Pseudonyms) -> Made {
    let same = values.windows(2).all(|pair| pair[0] == pair[1]);
    if let Some(echo) = echo(cases, steps, values, same, people) {
        return Made::Fixed(echo);
    }
    let personal = values.iter().any(|value| text(value).is_some_and(|text| people.kind_of(&text).is_some()));
    if values.len() > 1 && !(personal && same) {
        let samples: Vec<Sample<'_>> = cases
            .iter()
            .zip(values)
            .map(|(case, value)| Sample { at_ms: case.seen.at_us / 1000, value })
            .collect();
        let secret = personal && super::people::hint(last_name(steps)) != Some(super::people::Hint::Secret);
        if let Some(made) = generator(last_name(steps), &samples).filter(|_| !secret) {
            return Made::Generated(made);
        }
    }
    if same { Made::Fixed(escaped(values[0])) } else { Made::Data }
}

/// A template that takes the value from the request.
fn echo(
    cases: &[&Case<'_>],
    steps: &[Step],
    values: &[&Value],
    same: bool,
    people: &Pseudonyms,
) -> Option<Value> {
    let texts: Vec<String> = values.iter().map(|value| scalar(value)).collect::<Option<_>>()?;
    let name = last_name(steps);
    let timely = values.len() > 1 && is_near(&Sample { at_ms: cases[0].seen.at_us / 1000, value: values[0] });
    let mut found: Option<((bool, usize), Value)> = None;
    for (rank, (place, _)) in cases[0].asked.iter().enumerate() {
        let begins = asked_at(cases[0], place).and_then(scalar);
        if !begins.is_some_and(|asked| texts[0].contains(&asked)) {
            continue;
        }
        let asked: Option<Vec<&Value>> = cases.iter().map(|case| asked_at(case, place)).collect();
        let Some(asked) = asked else { continue };
        let asked_texts: Option<Vec<String>> = asked.iter().map(|value| scalar(value)).collect();
        let Some(asked_texts) = asked_texts else { continue };
        let namesake = place.name().eq_ignore_ascii_case(name);
        // A time that is the request's by chance is the answer's own.
        if same && !telling(&texts[0], namesake, people) || timely && !namesake {
            continue;
        }
        let Some(template) = taken(place, &asked, &asked_texts, values, &texts) else { continue };
        let order = (!namesake, rank);
        if found.as_ref().is_none_or(|(known, _)| order < *known) {
            found = Some((order, template));
        }
    }
    found.map(|(_, template)| template)
}

/// A text, a number or a boolean as text.
fn scalar(value: &Value) -> Option<String> {
    if value.is_null() { None } else { text(value).filter(|text| !text.is_empty()) }
}

pub fn asked_at<'c>(case: &'c Case<'_>, place: &Place) -> Option<&'c Value> {
    case.asked.iter().find(|(known, _)| known == place).map(|(_, value)| value)
}

/// Whether a value that never changes is so peculiar that it can only come from the request.
fn telling(text: &str, namesake: bool, people: &Pseudonyms) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    people.kind_of(text).is_some()
        || namesake && text.len() >= 4 && digits > 0
        || text.len() >= 8 && digits >= 4
}

/// The template where every answer's value is, or holds, the request's.
fn taken(
    place: &Place,
    asked: &[&Value],
    asked_texts: &[String],
    values: &[&Value],
    texts: &[String],
) -> Option<Value> {
    let path = place.cel();
    if asked_texts == texts {
        let same_type = asked
            .iter()
            .zip(values)
            .all(|(asked, value)| std::mem::discriminant(*asked) == std::mem::discriminant(*value));
        let of = |is: fn(&Value) -> bool| values.iter().all(|value| is(value));
        return match () {
            () if same_type => Some(format!("${{{path}}}").into()),
            () if of(Value::is_string) => Some(format!("${{text({path})}}").into()),
            () if of(Value::is_number) => Some(format!("${{number({path})}}").into()),
            () => None,
        };
    }
    // Within a longer text that is otherwise always the same.
    if !values.iter().all(|value| value.is_string())
        || asked_texts.iter().any(|asked| asked.chars().count() < 4)
    {
        return None;
    }
    let (before, after) = texts[0].split_once(asked_texts[0].as_str())?;
    let fits = |(text, asked): (&String, &String)| *text == format!("{before}{asked}{after}");
    let plain = |text: &str| text.replace("${", "$${");
    texts
        .iter()
        .zip(asked_texts)
        .all(fits)
        .then(|| format!("{}${{{path}}}{}", plain(before), plain(after)).into())
}
