//! Patterns of bodies: text, JSON, JSONPath, and of XML what can be said without namespaces.
use qiao_mappings::Selector;

use super::{
    super::at::{At, Try},
    request::{Clause, Spot, like, pattern as value_pattern},
};
use crate::spec::Criterion;

pub fn pattern(at: &At<'_>) -> Try<Vec<Clause>> {
    if let Some(json) = at.get("equalToJson") {
        at.only(&["equalToJson", "ignoreArrayOrder", "ignoreExtraElements"])?;
        return Ok(vec![Clause::must(like(at, &json, &Spot::Select("$.request".into()))?)]);
    }
    if let Some(path) = at.get("matchesJsonPath") {
        at.only(&["matchesJsonPath"])?;
        return json_path(&path);
    }
    if let Some(path) = at.get("matchesXPath") {
        at.only(&["matchesXPath"])?;
        return x_path(&path);
    }
    if let Some(xml) = at.get("equalToXml") {
        at.only(&["equalToXml"])?;
        return equal_xml(&xml);
    }
    value_pattern(at, &Spot::Select("$.body".into()))
}

/// Alone it must select something; with a matcher, something that fits.
fn json_path(at: &At<'_>) -> Try<Vec<Clause>> {
    let (expression, inner) = match at.get("expression") {
        Some(expression) => (expression, Some(at)),
        None => (at.clone(), None),
    };
    let text = expression.text()?;
    let Some(rest) = text.strip_prefix('$') else { return expression.refuse("a JSONPath begins with $") };
    if rest.contains('$') {
        return expression.refuse("a filter that looks at the whole document is not supported");
    }
    let path = format!("$.request{rest}");
    if let Err(error) = Selector::parse(&path) {
        return expression.refuse(format!("not a JSONPath of RFC 9535: {}", error.message));
    }
    let spot = Spot::Select(path);
    let Some(object) = inner else {
        return Ok(vec![Clause::must(Criterion { exists: Some(true), ..spot.criterion() })]);
    };
    let members = object.members()?.into_iter().filter(|(name, _)| *name != "expression");
    let rest: serde_json::Map<_, _> = members.map(|(name, at)| (name.to_owned(), at.value.clone())).collect();
    let rest = serde_json::Value::Object(rest);
    value_pattern(&At { value: &rest, pointer: object.pointer.clone() }, &spot)
}

/// `/a/b/c`, `/a/b/text()`, alone or with `equalTo`.
fn x_path(at: &At<'_>) -> Try<Vec<Clause>> {
    let (expression, wanted) = match at.get("expression") {
        Some(expression) => {
            at.only(&["expression", "equalTo"])?;
            (expression, at.get("equalTo"))
        }
        None => (at.clone(), None),
    };
    let text = expression.text()?;
    let steps: Option<Vec<&str>> =
        text.strip_prefix('/').map(|rest| rest.trim_end_matches("/text()").split('/').collect());
    let plain = |step: &&str| !step.is_empty() && step.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let Some(steps) = steps.filter(|steps| steps.iter().all(plain)) else {
        return expression.refuse("only XPath of plain steps, such as /order/item/code, is supported");
    };
    let path = steps.join(".");
    let cel = match wanted {
        None => format!("has(parseXml(body).{path})"),
        Some(wanted) => {
            format!("get(parseXml(body), {}, '') == {}", cel_text(&path), cel_text(wanted.text()?))
        }
    };
    Ok(vec![Clause::must(Criterion { cel: Some(cel), ..Criterion::default() })])
}

fn equal_xml(at: &At<'_>) -> Try<Vec<Clause>> {
    let text = at.text()?;
    if text.contains("xmlns") || text.contains("${") {
        return at.refuse("XML with namespaces or placeholders is not supported");
    }
    let cel = format!("parseXml(body) == parseXml({})", cel_text(text.trim()));
    Ok(vec![Clause::must(Criterion { cel: Some(cel), ..Criterion::default() })])
}

/// A text as CEL writes it.
pub fn cel_text(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
