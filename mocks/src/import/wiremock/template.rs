//! Handlebars of WireMock's response templating in the words of mock templates: what both can say, nothing else.
use super::{
    super::at::{At, Try},
    body::cel_text,
};

/// A text with `{{…}}` as a text with `${…}`.
pub fn translate(at: &At<'_>, text: &str) -> Try<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let (before, inside) = rest.split_at(start);
        out.push_str(&before.replace("${", "$${"));
        let triple = inside.starts_with("{{{");
        let (open, close) = if triple { (3, "}}}") } else { (2, "}}") };
        let Some(end) = inside[open..].find(close) else { return at.refuse("a template that is not closed") };
        let expression = inside[open..open + end].trim();
        out.push_str(&format!("${{{}}}", cel(at, expression)?));
        rest = &inside[open + end + close.len()..];
    }
    let whole = out.is_empty() && rest.is_empty();
    out.push_str(&rest.replace("${", "$${"));
    // A text that is one expression alone would keep its value's type; there it is always text.
    if !whole
        && out.starts_with("${")
        && out.ends_with('}')
        && out.matches("${").count() == 1
        && rest.is_empty()
    {
        let inner = out[2..out.len() - 1].to_owned();
        return Ok(format!("${{string({inner})}}"));
    }
    Ok(out)
}

fn cel(at: &At<'_>, expression: &str) -> Try<String> {
    let words = words(expression);
    let unsupported = || at.refuse(format!("the template `{{{{{expression}}}}}` is not supported"));
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [path] if path.starts_with("request.") => request(path).map_or_else(unsupported, Ok),
        ["jsonPath", "request.body", path] => {
            let path = path.trim_matches(['\'', '"']);
            match path.strip_prefix("$.") {
                Some(plain) if is_plain(plain) => Ok(format!("get(request, {}, '')", cel_text(plain))),
                _ => unsupported(),
            }
        }
        ["now", format] => {
            match format.strip_prefix("format=").map(|format| format.trim_matches(['\'', '"'])) {
                Some(format) if format.chars().all(|c| "yMdHms-:/. ".contains(c)) => {
                    Ok(format!("now({})", cel_text(format)))
                }
                _ => unsupported(),
            }
        }
        ["randomValue", options @ ..] => random(options).map_or_else(unsupported, Ok),
        _ => unsupported(),
    }
}

fn request(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('.').skip(1).collect();
    let number = |part: &str| part.trim_matches(['[', ']']).parse::<usize>().ok();
    match parts.as_slice() {
        ["url"] => Some("url".into()),
        ["path"] => Some("path".into()),
        ["method"] => Some("method".into()),
        ["body"] => Some("body".into()),
        ["path" | "pathSegments", segment] => Some(match number(segment) {
            Some(at) => format!("path.split('/')[{}]", at + 1),
            None if is_plain(segment) => format!("params.{segment}"),
            None => return None,
        }),
        ["query", name] if is_plain(name) => Some(format!("get(query, {}, '')", cel_text(name))),
        ["headers", name] if is_plain(name) => {
            Some(format!("get(headers, {}, '')", cel_text(&name.to_ascii_lowercase())))
        }
        ["cookies", name] if is_plain(name) => Some(format!("get(cookies, {}, '')", cel_text(name))),
        _ => None,
    }
}

fn random(options: &[&str]) -> Option<String> {
    let option = |name: &str| {
        let found = options.iter().find_map(|option| option.strip_prefix(name)?.strip_prefix('='));
        found.map(|value| value.trim_matches(['\'', '"']))
    };
    match (option("type")?, option("length")) {
        ("UUID", _) => Some("uuid()".into()),
        ("NUMERIC", Some(length)) => {
            let length: u32 = length.parse().ok().filter(|length| (1..=18).contains(length))?;
            Some(format!("seq('', {length})"))
        }
        _ => None,
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

/// Words apart at blanks outside quotes.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote): (Vec<String>, String, Option<char>) =
        (Vec::new(), String::new(), None);
    for c in text.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '\'' || c == '"' => quote = Some(c),
            _ => {}
        }
        if c.is_whitespace() && quote.is_none() {
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
        } else {
            word.push(c);
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}
