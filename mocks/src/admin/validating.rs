//! A partner's files checked as a reload would check them: every mistake and every lint with its place. Nothing changes.
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use axum::{
    Json,
    body::Bytes,
    extract::{Query, State},
    http::{HeaderMap, header},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use qiao_mappings::strict::{Mistake, Source};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, Refused};
use crate::{catalogue, compile, files::PartnerFiles, server::Shared};

/// Files by their path below the partner's folder.
type Texts = BTreeMap<String, Vec<u8>>;

/// Which file a body in YAML is.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Which {
    /// The partner that it belongs to; for `partner.yaml` the one that it names.
    partner: Option<String>,
    /// `partner.yaml` when left out.
    file: Option<String>,
}

/// What is checked, in JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Given {
    /// The one that `partner.yaml` names when left out.
    #[serde(default)]
    partner: Option<String>,
    /// Without `partner.yaml`: laid over the files of the partner that is served.
    files: BTreeMap<String, FileText>,
}

/// As export and import give files.
#[derive(Deserialize)]
#[serde(untagged)]
enum FileText {
    Text(String),
    Bytes { base64: String },
}

/// The answer is 200 whether they are right or not; `ok` tells.
pub async fn validate(
    State(shared): Api,
    Query(which): Query<Which>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refused> {
    let Ok(_place) = shared.checking.clone().try_acquire_owned() else {
        return Err(Refused::busy("other files are being checked: try again in a moment"));
    };
    let kind = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
    let is_json = kind.starts_with(b"application/json");
    let (partner, files) = if is_json { of_json(&which, &body)? } else { of_yaml(which, &body) };
    // Compiling thousands of stubs takes long: not on a thread that serves.
    let checking = Arc::clone(&shared);
    let done = tokio::task::spawn_blocking(move || check(&checking, partner, files)).await;
    done.unwrap_or_else(|_| Err(Refused::broken("checking broke off"))).map(Json)
}

fn of_json(which: &Which, body: &[u8]) -> Result<(Option<String>, Texts), Refused> {
    if which.partner.is_some() || which.file.is_some() {
        return Err(Refused::bad(
            "`partner` and `file` go with a body in YAML; in JSON they stand in the body",
        ));
    }
    let given: Given = serde_json::from_slice(body)
        .map_err(|error| Refused::unfit(format!("the body is not {{partner, files}}: {error}")))?;
    let mut files = Texts::new();
    for (name, text) in given.files {
        let bytes = match text {
            FileText::Text(text) => text.into_bytes(),
            FileText::Bytes { base64 } => STANDARD
                .decode(base64)
                .map_err(|error| Refused::unfit(format!("files: {name}: not Base64: {error}")))?,
        };
        files.insert(name, bytes);
    }
    Ok((given.partner, files))
}

fn of_yaml(which: Which, body: &[u8]) -> (Option<String>, Texts) {
    let name = which.file.unwrap_or_else(|| "partner.yaml".to_owned());
    (which.partner, Texts::from([(name, body.to_vec())]))
}

fn check(shared: &Shared, partner: Option<String>, files: Texts) -> Result<Value, Refused> {
    let id = partner.or_else(|| named(&files)).ok_or_else(|| {
        Refused::unfit("say whose files these are: `partner`, or a `partner.yaml` that names it")
    })?;
    let mut all = Texts::new();
    if !files.contains_key("partner.yaml") {
        all = super::partner(shared, &id)?.origin.read().map_err(Refused::stale)?;
    }
    let given: Vec<String> = files.keys().cloned().collect();
    all.extend(files);
    let (stubs, unused, mistakes) = match compiled(shared, &id, all) {
        Ok(Checked { stubs, used, mistakes }) => {
            let unused: Vec<String> = given.into_iter().filter(|name| !used.contains(name)).collect();
            (Some(stubs), unused, mistakes)
        }
        Err(mistakes) => (None, Vec::new(), mistakes),
    };
    let shown: Vec<Value> = mistakes.iter().map(view).collect();
    Ok(json!({"ok": shown.is_empty(), "partner": id, "stubs": stubs, "unused": unused, "mistakes": shown}))
}

/// The partner that `partner.yaml` names; `partner` where it names none, which is a mistake in it.
fn named(files: &Texts) -> Option<String> {
    let text = String::from_utf8_lossy(files.get("partner.yaml")?);
    let source = Source::read("partner.yaml", &text).ok();
    let name = source.as_ref().and_then(|source| source.value().get("partner")?.as_str());
    Some(name.unwrap_or("partner").to_owned())
}

/// What came of files that could be compiled.
struct Checked {
    stubs: usize,
    used: HashSet<String>,
    /// What would be wrong beside the other partners.
    mistakes: Vec<Mistake>,
}

fn compiled(shared: &Shared, id: &str, files: Texts) -> Result<Checked, Vec<Mistake>> {
    let catalogue = shared.catalogue.load_full();
    let files = PartnerFiles::parse(id, files)?;
    let places = catalogue::places(&files);
    let partner = compile::partner(files, &shared.vault, &catalogue.tables, None)?;
    let stubs = partner.stubs.len();
    let used = partner.origin.names().map(str::to_owned).collect();
    Ok(Checked { stubs, used, mistakes: catalogue.mistakes_with(partner, places) })
}

fn view(mistake: &Mistake) -> Value {
    let mut view = json!(mistake);
    view["pointer"] = pointer(&mistake.path).into();
    view
}

/// The JSON pointer (RFC 6901) of a written path: `stubs[2].when["a.b"]` is `/stubs/2/when/a.b`.
fn pointer(path: &str) -> String {
    let mut pointer = String::new();
    let mut rest = path;
    while !rest.is_empty() {
        let (segment, after) = first_segment(rest);
        pointer.push('/');
        pointer.push_str(&segment.replace('~', "~0").replace('/', "~1"));
        rest = after.strip_prefix('.').unwrap_or(after);
    }
    pointer
}

fn first_segment(path: &str) -> (String, &str) {
    if let Some(inside) = path.strip_prefix('[') {
        let mut texts = serde_json::Deserializer::from_str(inside).into_iter::<Value>();
        if let Some(Ok(segment)) = texts.next() {
            let rest = inside.get(texts.byte_offset()..).unwrap_or_default();
            let segment = segment.as_str().map_or_else(|| segment.to_string(), str::to_owned);
            return (segment, rest.strip_prefix(']').unwrap_or_default());
        }
        return (inside.to_owned(), "");
    }
    let end = path.find(['.', '[']).unwrap_or(path.len());
    (path[..end].to_owned(), &path[end..])
}

#[cfg(test)]
mod tests {
    use super::pointer;

    #[test]
    fn written_paths_become_json_pointers() {
        assert_eq!(pointer(""), "");
        assert_eq!(pointer("stubs[2].when.all[0].json"), "/stubs/2/when/all/0/json");
        assert_eq!(pointer(r#"rows["city.cards"][0].a/b"#), "/rows/city.cards/0/a~1b");
    }
}
