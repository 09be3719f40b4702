//! Requests made for a stub of an import: one that fits, and for each criterion one that fits all others.
use regex_syntax::hir::{Class, Hir, HirKind};
use serde_json::{Map, Value, json};

use crate::help::{Mocks, PATIENCE, Reply};

/// A request under construction.
#[derive(Default)]
pub struct Made {
    method: String,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    cookies: Vec<(String, String)>,
    document: Option<Value>,
    text: String,
}

/// Which criterion is not met.
#[derive(Clone, Copy, PartialEq)]
pub enum Broken {
    Nothing,
    Method,
    Path,
    All(usize),
    Any,
    Not(usize),
}

/// The values a criterion allows, or refuses.
fn value(criterion: &Value, fits: bool) -> Option<Value> {
    let text = |key: &str| criterion[key].as_str();
    if let Some(wanted) = criterion.get("equals") {
        return Some(if fits { wanted.clone() } else { json!("something else") });
    }
    if let Some(wanted) = criterion.get("equalsJson") {
        return Some(if fits { wanted.clone() } else { json!({"something": "else"}) });
    }
    if let Some(pattern) = text("matches") {
        let mut made = String::new();
        write(&regex_syntax::parse(pattern).expect("a pattern"), &mut made);
        return if fits { Some(made.into()) } else { unfit(pattern).map(Value::from) };
    }
    if let Some(part) = text("contains") {
        return Some(if fits { format!("before {part} after").into() } else { json!("nothing of it") });
    }
    match criterion["exists"].as_bool() {
        Some(exists) => (exists == fits).then(|| json!("there")),
        None => panic!("{criterion}"),
    }
}

/// A text that a pattern does not fit; none where it fits everything.
fn unfit(pattern: &str) -> Option<&'static str> {
    let pattern = regex::Regex::new(pattern).expect("a pattern");
    ["/fits-no-pattern", "~ fits no pattern ~", ""].into_iter().find(|text| !pattern.is_match(text))
}

fn write(hir: &Hir, out: &mut String) {
    match hir.kind() {
        HirKind::Literal(literal) => out.push_str(&String::from_utf8_lossy(&literal.0)),
        HirKind::Class(Class::Unicode(class)) => {
            let holds = |c: &char| class.iter().any(|range| (range.start()..=range.end()).contains(c));
            let first = class.iter().next().map(|range| range.start());
            out.extend(['1', 'A', 'a', 'x'].into_iter().find(holds).or(first));
        }
        HirKind::Repetition(repetition) => (0..repetition.min).for_each(|_| write(&repetition.sub, out)),
        HirKind::Capture(capture) => write(&capture.sub, out),
        HirKind::Concat(parts) => parts.iter().for_each(|part| write(part, out)),
        HirKind::Alternation(parts) => write(&parts[0], out),
        _ => {}
    }
}

pub fn made(stub: &Value, broken: Broken) -> Made {
    let when = &stub["when"];
    let mut made = Made { method: when["method"].as_str().unwrap_or("POST").into(), ..Made::default() };
    if broken == Broken::Method {
        made.method = "PATCH".into();
    }
    let path = when["path"].as_str().unwrap_or("/");
    made.path = path
        .split('/')
        .map(|part| if part.starts_with('{') { "some" } else { part })
        .collect::<Vec<_>>()
        .join("/");
    let list = |key: &str| when[key].as_array().cloned().unwrap_or_default();
    for (at, criterion) in list("not").iter().enumerate() {
        put(&mut made, criterion, broken == Broken::Not(at), path);
    }
    if let Some(first) = list("any").first() {
        put(&mut made, first, broken != Broken::Any, path);
    }
    for (at, criterion) in list("all").iter().enumerate() {
        // A place that is only said to be there may have been given its value already.
        let already = criterion["exists"] == true && list("not").iter().any(|not| same_place(not, criterion));
        if !already || broken == Broken::All(at) {
            put(&mut made, criterion, broken != Broken::All(at), path);
        }
    }
    if broken == Broken::Path {
        made.path.push_str("/further");
    }
    made
}

fn same_place(one: &Value, other: &Value) -> bool {
    ["json", "header", "query", "param"].iter().all(|key| one.get(key) == other.get(key))
}

/// Writes what a criterion wants, or does not want, to its place.
fn put(made: &mut Made, criterion: &Value, fits: bool, pattern: &str) {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let place = |key: &str| criterion[key].as_str();
    if let Some(cel) = place("cel") {
        return xml(made, cel, fits);
    }
    let value = value(criterion, fits);
    let set = |list: &mut Vec<(String, String)>, name: &str, value: &Option<Value>| {
        list.retain(|(known, _)| known != name);
        list.extend(value.as_ref().map(|value| (name.to_owned(), text(value))));
    };
    if let Some(name) = place("header") {
        return set(&mut made.headers, name, &value);
    }
    if let Some(name) = place("query") {
        return set(&mut made.query, name, &value);
    }
    if let Some(name) = place("param") {
        let at = pattern.split('/').position(|part| part == format!("{{{name}}}")).expect("a segment");
        let mut parts: Vec<String> = made.path.split('/').map(str::to_owned).collect();
        parts[at] = text(&value.expect("a value")).replace([' ', '~'], "-");
        made.path = parts.join("/");
        return;
    }
    let json = place("json").expect("a place");
    if let Some(name) = json.strip_prefix("$.cookies['") {
        return set(&mut made.cookies, name.trim_end_matches("']"), &value);
    }
    match json {
        "$.url" if fits => {
            let url = text(&value.expect("a URL"));
            let (path, query) = url.split_once('?').unwrap_or((&url, ""));
            made.path = path.into();
            made.query = query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .map(|(k, v)| (k.into(), v.into()))
                .collect();
        }
        "$.url" => made.query.push(("further".into(), "1".into())),
        "$.path" => made.path = text(&value.expect("a path")).replace([' ', '~'], "-"),
        "$.body" => made.text = format!("{}{}", text(&value.expect("a text")), made.text),
        "$.request" => made.document = value,
        path => set_in(
            made.document.get_or_insert_with(|| json!({})),
            path.trim_start_matches("$.request."),
            value,
        ),
    }
}

fn set_in(document: &mut Value, path: &str, value: Option<Value>) {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let (name, listed) = first.strip_suffix("[0]").map_or((first, false), |name| (name, true));
    let members = document.as_object_mut().expect("an object");
    let mut at = members.entry(name.to_owned()).or_insert(if listed { json!([{}]) } else { json!({}) });
    if listed {
        at = &mut at[0];
    }
    match (rest, value) {
        ("", Some(value)) => *at = value,
        ("", None) => drop(members.shift_remove(name)),
        (rest, value) => set_in(at, rest, value),
    }
}

/// XML for the two forms of conditions that the import writes.
fn xml(made: &mut Made, cel: &str, fits: bool) {
    let texts: Vec<String> = match cel.strip_prefix("has(parseXml(body).") {
        Some(path) => vec![path.trim_end_matches(')').to_owned()],
        None => cel.split('"').skip(1).step_by(2).map(str::to_owned).collect(),
    };
    if cel.starts_with("parseXml") {
        made.text = if fits { texts[0].clone() } else { "<other/>".into() };
        return;
    }
    let (path, wanted) = (&texts[0], texts.get(1).map_or("there", String::as_str));
    let steps: Vec<&str> = path.split('.').skip(1).collect();
    let mut inner = if fits { wanted.to_owned() } else { String::from("other") };
    for step in steps.iter().rev() {
        inner = if !fits && texts.len() == 1 { String::new() } else { format!("<{step}>{inner}</{step}>") };
    }
    let before = made.text.trim_start_matches("<order>").trim_end_matches("</order>").to_owned();
    made.text = format!("<order>{before}{inner}</order>");
}

pub async fn send(mocks: &Mocks, partner: &str, made: &Made) -> Reply {
    let query: Vec<String> =
        made.query.iter().map(|(name, value)| format!("{name}={}", value.replace(' ', "+"))).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let mut headers = made.headers.clone();
    if !made.cookies.is_empty() {
        let cookies: Vec<String> =
            made.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        headers.push(("cookie".into(), cookies.join("; ")));
    }
    let headers: Vec<(&str, &str)> =
        headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let body = made.document.as_ref().map_or_else(|| made.text.clone(), Value::to_string);
    let path = format!("/{partner}{}{query}", made.path);
    mocks.connect().await.send(&made.method, &path, &headers, &body).await.expect("an answer")
}

/// Puts the scenario into a state that the stub asks for.
pub async fn prepare(mocks: &Mocks, partner: &str, stub: &Value, fits: bool) {
    let Some(machine) = stub["state"]["machine"].as_str() else { return };
    let wanted = stub["state"]["in"][0].as_str().unwrap_or("new");
    let states: Map<String, Value> =
        [(machine.to_owned(), json!(if fits { wanted } else { "elsewhere" }))].into_iter().collect();
    let reply = mocks
        .admin("PUT", &format!("/api/mocks/state/{partner}/all"), Some(&json!({"states": states})))
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

/// The criteria that the journal says were not met.
pub async fn failed(mocks: &Mocks, reply: &Reply, stub: &str) -> Vec<String> {
    let id = reply.header("x-mock-miss").expect("a miss");
    let asked = std::time::Instant::now();
    loop {
        let entry = mocks.admin("GET", &format!("/api/mocks/journal/{id}"), None).await.json();
        if let Some(nearest) = entry["nearest"].as_array() {
            let ours = nearest
                .iter()
                .find(|near| near["stub"] == stub)
                .unwrap_or_else(|| panic!("{stub}: {nearest:?}"));
            let criteria = ours["criteria"].as_array().expect("criteria");
            let failed = criteria.iter().filter(|criterion| criterion["ok"] == false);
            return failed
                .map(|criterion| criterion["criterion"].as_str().unwrap_or_default().to_owned())
                .collect();
        }
        assert!(asked.elapsed() < PATIENCE, "no diagnosis");
        tokio::task::yield_now().await;
    }
}

/// Every way to break a stub's conditions, with the name that the explanation must give.
pub fn mutations(stub: &Value) -> Vec<(Broken, String)> {
    let when = &stub["when"];
    let mut mutations = Vec::new();
    if when.get("method").is_some() {
        mutations.push((Broken::Method, "method".to_owned()));
    }
    if when.get("path").is_some() {
        mutations.push((Broken::Path, "path".to_owned()));
    }
    let name = |criterion: &Value| {
        let of = |key: &str, prefix: &str| criterion[key].as_str().map(|name| format!("{prefix}{name}"));
        let param = || criterion.get("param").map(|_| "segment".to_owned());
        let name = of("json", "").or(of("header", "header ")).or(of("query", "query ")).or_else(param);
        name.unwrap_or_else(|| "cel".into())
    };
    let list = |key: &str| when[key].as_array().cloned().unwrap_or_default();
    for (at, criterion) in list("all").iter().enumerate() {
        if criterion["matches"].as_str().is_none_or(|pattern| unfit(pattern).is_some()) {
            mutations.push((Broken::All(at), name(criterion)));
        }
    }
    for (at, criterion) in list("not").iter().enumerate() {
        mutations.push((Broken::Not(at), name(criterion)));
    }
    if let Some(first) = list("any").first() {
        mutations.push((Broken::Any, name(first)));
    }
    mutations
}
