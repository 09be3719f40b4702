//! Verification of what was asked, and scores of what was submitted.
use axum::{
    Json,
    extract::{Query, State},
};
use qiao_mappings::strict::Source;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Api, Refused};
use crate::{
    compile::report::{Place, Report},
    journal::{Entry, Record},
    score,
    spec::ScoreTemplate,
    verify::{Verification, VerifySpec},
};

/// Entries that are looked at for scores at most, the newest.
const MAX_ENTRIES: usize = 10_000;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Shown {
    /// Without masks.
    #[serde(default)]
    pub raw: bool,
}

/// The answer is 200 whether it holds or not; `ok` tells.
pub async fn verify(
    State(shared): Api,
    Query(shown): Query<Shown>,
    body: String,
) -> Result<Json<Value>, Refused> {
    let (verification, found) = {
        let (source, spec) = read::<VerifySpec>("verify", &body)?;
        let mut report = Report::default();
        (Verification::compile(spec, &Place::root(&source), &mut report), report.found)
    };
    if !found.is_empty() {
        return Err(Refused::mistakes("the verification holds mistakes", &found));
    }
    let Ok(_place) = shared.waiting.try_acquire() else {
        return Err(Refused::busy("too many verifications wait already: try again later"));
    };
    let catalogue = || shared.catalogue.load_full();
    Ok(Json(json!(verification.run(&shared.journal, &catalogue, shown.raw).await)))
}

/// Which messages are scored, and against what.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Scoring {
    /// Only messages of this session; its pack's standard messages are taken where none are given.
    #[serde(default)]
    session: Option<String>,
    /// Only messages to this partner.
    #[serde(default)]
    partner: Option<String>,
    /// Only entries from this id on.
    #[serde(default)]
    since: Option<u64>,
    /// The pack whose standard messages are taken.
    #[serde(default)]
    pack: Option<String>,
    /// Standard messages.
    #[serde(default)]
    score: Vec<ScoreTemplate>,
}

pub async fn score(
    State(shared): Api,
    Query(shown): Query<Shown>,
    body: String,
) -> Result<Json<Value>, Refused> {
    // Comparing thousands of messages takes long: not on a thread that serves.
    let done = tokio::task::spawn_blocking(move || scored(&shared, &body, shown.raw)).await;
    done.unwrap_or_else(|_| Err(Refused::broken("scoring broke off")))
}

fn scored(shared: &crate::server::Shared, body: &str, raw: bool) -> Result<Json<Value>, Refused> {
    let (source, scoring) = read::<Scoring>("score", body)?;
    let catalogue = shared.catalogue.load_full();
    let of_session = scoring.session.as_ref().and_then(|name| shared.sessions.get(name)?.spec.pack.clone());
    let mut templates = scoring.score.clone();
    if let Some(id) = scoring.pack.clone().or(of_session.filter(|_| templates.is_empty())) {
        let pack =
            catalogue.pack(&id).ok_or_else(|| Refused::not_found(format!("there is no pack `{id}`")))?;
        templates.extend(pack.spec.score.iter().cloned());
    }
    if templates.is_empty() {
        return Err(Refused::unfit("there is no standard message: give `score`, or a `pack` that has some"));
    }
    let mut report = Report::default();
    let standards = score::compile(&templates, &Place::root(&source).at("score"), &mut report);
    if !report.found.is_empty() {
        return Err(Refused::mistakes("the standard messages hold mistakes", &report.found));
    }
    let newest = shared.journal.next_id().saturating_sub(MAX_ENTRIES as u64);
    let span = shared.journal.span(scoring.since.unwrap_or(0).max(newest), MAX_ENTRIES);
    let same = |wanted: &Option<String>, seen: &str| wanted.as_deref().is_none_or(|wanted| wanted == seen);
    let wanted =
        |entry: &Entry<'_>| same(&scoring.session, entry.session) && same(&scoring.partner, entry.partner);
    let entries: Vec<_> = span.entries.iter().map(Record::entry).filter(wanted).collect();
    let scored: Vec<_> = standards.iter().map(|standard| standard.score(&entries, &catalogue, raw)).collect();
    Ok(Json(json!({"total": score::total(&scored), "messages": scored, "looked": entries.len()})))
}

/// A body in YAML or JSON, read strictly.
pub fn read<T: serde::de::DeserializeOwned + JsonSchema + 'static>(
    name: &str,
    body: &str,
) -> Result<(Source, T), Refused> {
    let refused = |found: Vec<_>| Refused::mistakes("the request holds mistakes", &found);
    let source = Source::read(name, body).map_err(refused)?;
    let spec = source.decode::<T>().map_err(refused)?;
    Ok((source, spec))
}
