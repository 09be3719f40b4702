//! What a mapping matches: method, URL, headers, query, cookies, credentials.
use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    super::at::{At, Try},
    body,
};
use crate::spec::{
    Criterion, When,
    criteria::{Ignored, Scalar},
};

/// A place that a pattern looks at.
#[derive(Clone)]
pub enum Spot {
    Header(String),
    Query(String),
    Param(String),
    /// A JSONPath of what conditions see.
    Select(String),
}

impl Spot {
    pub fn criterion(&self) -> Criterion {
        let mut criterion = Criterion::default();
        let text = match self {
            Self::Header(name) => (&mut criterion.header, name),
            Self::Query(name) => (&mut criterion.query, name),
            Self::Param(name) => (&mut criterion.param, name),
            Self::Select(path) => (&mut criterion.json, path),
        };
        *text.0 = Some(text.1.clone());
        criterion
    }
}

/// A condition that must hold, or must not.
pub struct Clause {
    pub criterion: Criterion,
    pub holds: bool,
}

impl Clause {
    pub fn must(criterion: Criterion) -> Self {
        Self { criterion, holds: true }
    }

    pub fn must_not(criterion: Criterion) -> Self {
        Self { criterion, holds: false }
    }
}

/// The place of a name.
type Named = fn(&str) -> Spot;

pub fn when(request: &At<'_>) -> Try<When> {
    request.only(&[
        "method",
        "url",
        "urlPattern",
        "urlPath",
        "urlPathPattern",
        "urlPathTemplate",
        "pathParameters",
        "headers",
        "queryParameters",
        "cookies",
        "basicAuthCredentials",
        "basicAuth",
        "bodyPatterns",
    ])?;
    let mut when = When::default();
    if let Some(method) = request.get("method") {
        let text = method.text()?.to_ascii_uppercase();
        if text != "ANY" {
            when.method = Some(text);
        }
    }
    let mut clauses = Vec::new();
    url(request, &mut when, &mut clauses)?;
    let places: [(&str, Named); 4] = [
        ("headers", |name| Spot::Header(name.to_ascii_lowercase())),
        ("queryParameters", |name| Spot::Query(name.to_owned())),
        ("cookies", |name| Spot::Select(format!("$.cookies[{}]", quoted(name)))),
        ("pathParameters", |name| Spot::Param(name.to_owned())),
    ];
    for (key, spot) in places {
        let Some(group) = request.get(key) else { continue };
        for (name, pattern) in group.members()? {
            clauses.extend(self::pattern(&pattern, &spot(name))?);
        }
    }
    if let Some(credentials) = request.get("basicAuthCredentials").or(request.get("basicAuth")) {
        clauses.push(Clause::must(basic(&credentials)?));
    }
    for pattern in
        request.get("bodyPatterns").map(|patterns| patterns.items()).transpose()?.unwrap_or_default()
    {
        if let Some(any) = pattern.get("or") {
            alternatives(&any, &mut when)?;
        } else {
            clauses.extend(body::pattern(&pattern)?);
        }
    }
    for clause in clauses {
        if clause.holds { when.all.push(clause.criterion) } else { when.not.push(clause.criterion) }
    }
    Ok(when)
}

/// One list of alternatives fits `any`.
fn alternatives(or: &At<'_>, when: &mut When) -> Try<()> {
    if !when.any.is_empty() {
        return or.refuse("a second list of alternatives");
    }
    for pattern in or.items()? {
        let clauses = body::pattern(&pattern)?;
        match <[Clause; 1]>::try_from(clauses) {
            Ok([Clause { criterion, holds: true }]) => when.any.push(criterion),
            _ => return pattern.refuse("an alternative of several conditions"),
        }
    }
    Ok(())
}

fn url(request: &At<'_>, when: &mut When, clauses: &mut Vec<Clause>) -> Try<()> {
    let regex = |at: &At<'_>, place: &str| -> Try<Clause> {
        let criterion = Spot::Select(place.into()).criterion();
        Ok(Clause::must(Criterion { matches: Some(full_match(at)?), ..criterion }))
    };
    let equal = |place: &str, text: &str| {
        let criterion = Spot::Select(place.into()).criterion();
        Clause::must(Criterion { equals: Some(Scalar::Text(text.to_owned())), ..criterion })
    };
    if let Some(at) = request.get("url") {
        let text = at.text()?;
        when.path = literal(text.split('?').next().unwrap_or_default());
        clauses.push(equal("$.url", text));
    }
    if let Some(at) = request.get("urlPath") {
        let text = at.text()?;
        when.path = literal(text);
        if when.path.is_none() {
            clauses.push(equal("$.path", text));
        }
    }
    if let Some(at) = request.get("urlPathTemplate") {
        let text = at.text()?;
        if text.contains(':') || text.contains('*') {
            return at.refuse("a path template with patterns in its names");
        }
        when.path = Some(text.to_owned());
    }
    for (key, place) in [("urlPattern", "$.url"), ("urlPathPattern", "$.path")] {
        if let Some(at) = request.get(key) {
            clauses.push(regex(&at, place)?);
        }
    }
    Ok(())
}

/// A path that the tree of paths can hold; the others are compared as text.
fn literal(path: &str) -> Option<String> {
    let plain = path.starts_with('/')
        && path.len() > 1
        && path.chars().all(|c| c.is_ascii_graphic() && !"{}*%?#".contains(c));
    plain.then(|| path.to_owned())
}

fn basic(credentials: &At<'_>) -> Try<Criterion> {
    let part = |key: &str| match credentials.get(key) {
        Some(part) => part.text(),
        None => credentials.refuse(format!("no `{key}`")),
    };
    let pair = STANDARD.encode(format!("{}:{}", part("username")?, part("password")?));
    let wanted = Some(Scalar::Text(format!("Basic {pair}")));
    Ok(Criterion { equals: wanted, ..Spot::Header("authorization".into()).criterion() })
}

/// A JSONPath's name in quotes.
pub fn quoted(name: &str) -> String {
    format!("'{}'", name.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// The conditions of a value pattern on a place that holds a text.
pub fn pattern(at: &At<'_>, spot: &Spot) -> Try<Vec<Clause>> {
    at.only(&[
        "equalTo",
        "caseInsensitive",
        "contains",
        "doesNotContain",
        "matches",
        "doesNotMatch",
        "absent",
        "and",
        "not",
        "equalToJson",
        "ignoreArrayOrder",
        "ignoreExtraElements",
    ])?;
    let here = || spot.criterion();
    // A body is always there, if empty.
    let body = matches!(spot, Spot::Select(path) if path == "$.body");
    let there = || (!body).then(|| Clause::must(Criterion { exists: Some(true), ..here() }));
    let mut clauses = Vec::new();
    if let Some(wanted) = at.get("equalTo") {
        let text = wanted.text()?;
        let fold = at.get("caseInsensitive").map(|fold| fold.flag()).transpose()?.unwrap_or(false);
        clauses.push(Clause::must(if fold {
            Criterion { matches: Some(format!("(?i)^{}$", regex::escape(text))), ..here() }
        } else {
            Criterion { equals: Some(Scalar::Text(text.to_owned())), ..here() }
        }));
    }
    if let Some(part) = at.get("contains") {
        clauses.push(Clause::must(Criterion { contains: Some(part.text()?.to_owned()), ..here() }));
    }
    if let Some(part) = at.get("doesNotContain") {
        clauses.extend(there());
        clauses.push(Clause::must_not(Criterion { contains: Some(part.text()?.to_owned()), ..here() }));
    }
    if let Some(regex) = at.get("matches") {
        clauses.push(Clause::must(Criterion { matches: Some(full_match(&regex)?), ..here() }));
    }
    if let Some(regex) = at.get("doesNotMatch") {
        clauses.extend(there());
        clauses.push(Clause::must_not(Criterion { matches: Some(full_match(&regex)?), ..here() }));
    }
    if let Some(absent) = at.get("absent") {
        clauses.push(Clause::must(Criterion { exists: Some(!absent.flag()?), ..here() }));
    }
    if let Some(json) = at.get("equalToJson") {
        clauses.push(Clause::must(like(at, &json, spot)?));
    }
    if let Some(all) = at.get("and") {
        for one in all.items()? {
            clauses.extend(pattern(&one, spot)?);
        }
    }
    if let Some(not) = at.get("not") {
        match <[Clause; 1]>::try_from(pattern(&not, spot)?) {
            Ok([Clause { criterion, holds }]) => clauses.push(Clause { criterion, holds: !holds }),
            Err(_) => return not.refuse("a negation of several conditions"),
        }
    }
    if clauses.is_empty() { at.refuse("no matcher") } else { Ok(clauses) }
}

/// `equalToJson`, written as JSON or as a text that holds it.
pub fn like(at: &At<'_>, json: &At<'_>, spot: &Spot) -> Try<Criterion> {
    let Spot::Select(_) = spot else { return json.refuse("JSON in a header or parameter") };
    let wanted = match json.value.as_str() {
        Some(text) => match serde_json::from_str(text) {
            Ok(value) => value,
            Err(error) => return json.refuse(format!("not JSON: {error}")),
        },
        None => json.value.clone(),
    };
    if wanted.to_string().contains("${json-unit") {
        return json.refuse("placeholders of json-unit are not supported");
    }
    let mut ignore = Vec::new();
    for (key, what) in
        [("ignoreArrayOrder", Ignored::ArrayOrder), ("ignoreExtraElements", Ignored::ExtraMembers)]
    {
        if at.get(key).map(|flag| flag.flag()).transpose()?.unwrap_or(false) {
            ignore.push(what);
        }
    }
    Ok(Criterion { equals_json: Some(wanted), ignore, ..spot.criterion() })
}

/// A regular expression that must fit the whole text, as in Java's `matches`.
pub fn full_match(at: &At<'_>) -> Try<String> {
    let anchored = format!("^(?:{})$", at.text()?);
    match regex::Regex::new(&anchored) {
        Ok(_) => Ok(anchored),
        Err(error) => {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
            at.refuse(format!("a regular expression that is not supported: {reason}"))
        }
    }
}
