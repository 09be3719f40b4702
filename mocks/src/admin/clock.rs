//! The clock and what waits for it: looked at, moved, fired early, cancelled.
use axum::{
    Json,
    extract::{Path, Query, State},
};
use qiao_mappings::units::Duration;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, Refused};
use crate::server::Shared;

/// Timers in one answer at most.
const MAX_PAGE: usize = 1000;
/// The clock is moved by this at most in one request.
const MAX_MOVE: std::time::Duration = std::time::Duration::from_secs(400 * 24 * 3600);

fn view(shared: &Shared) -> Value {
    json!({"now": rfc3339(shared.clock.now_us()), "running": shared.clock.is_running()})
}

fn rfc3339(at_us: i64) -> Option<String> {
    let at = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(at_us) * 1000).ok()?;
    at.format(&time::format_description::well_known::Rfc3339).ok()
}

pub async fn look(State(shared): Api) -> Json<Value> {
    Json(view(&shared))
}

/// What is done to the clock: exactly one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Change {
    /// Stands still at this time, RFC 3339.
    #[serde(default)]
    stop_at: Option<String>,
    /// Goes on from where it stands.
    #[serde(default)]
    run: bool,
    /// Back to real time.
    #[serde(default)]
    reset: bool,
}

pub async fn change(State(shared): Api, Json(change): Json<Change>) -> Result<Json<Value>, Refused> {
    let clock = &shared.clock;
    match (&change.stop_at, change.run, change.reset) {
        (Some(at), false, false) => clock.stop_at(instant(at)?),
        (None, true, false) => clock.run(),
        (None, false, true) => clock.reset(),
        _ => return Err(Refused::unfit("exactly one of `stopAt`, `run` and `reset`")),
    }
    shared.timers.clock_changed();
    Ok(Json(view(&shared)))
}

fn instant(text: &str) -> Result<i64, Refused> {
    let at = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok();
    at.and_then(|at| i64::try_from(at.unix_timestamp_nanos() / 1000).ok())
        .ok_or_else(|| Refused::unfit(format!("`{text}` is not a time such as 2026-11-21T09:30:00+08:00")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Move {
    by: Duration,
}

/// Moves the clock; what falls due on the way is done before the answer.
pub async fn advance(State(shared): Api, Json(wanted): Json<Move>) -> Result<Json<Value>, Refused> {
    if wanted.by.0 > MAX_MOVE {
        return Err(Refused::unfit("by: at most 400 days at once"));
    }
    let done = shared.timers.advance(wanted.by.0).await;
    let mut view = view(&shared);
    view["done"] = json!(done);
    Ok(Json(view))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Which {
    #[serde(default)]
    limit: Option<usize>,
}

pub async fn timers(State(shared): Api, Query(which): Query<Which>) -> Json<Value> {
    let pending = shared.timers.pending(which.limit.unwrap_or(100).min(MAX_PAGE));
    let each = pending.iter().map(|timer| {
        let mut view = json!(timer);
        view["due"] = json!(rfc3339(timer.due_us));
        view
    });
    Json(json!({"timers": each.collect::<Vec<_>>()}))
}

pub async fn fire(State(shared): Api, Path(id): Path<u64>) -> Result<Json<Value>, Refused> {
    if shared.timers.fire(id).await {
        return Ok(Json(json!({"fired": id})));
    }
    Err(Refused::not_found(format!("no timer {id} waits")))
}

pub async fn cancel(State(shared): Api, Path(id): Path<u64>) -> Result<Json<Value>, Refused> {
    if shared.timers.cancel(id) {
        return Ok(Json(json!({"cancelled": id})));
    }
    Err(Refused::not_found(format!("no timer {id} waits")))
}
