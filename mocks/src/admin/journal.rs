//! The journal in pages, and one entry whole.
use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, Refused};
use crate::journal::{Body, Entry, Filter};

/// Filters and the cursor.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Wanted {
    partner: Option<String>,
    session: Option<String>,
    item: Option<String>,
    stub: Option<String>,
    traceparent: Option<String>,
    miss: Option<bool>,
    /// From `next` of the page before.
    before: Option<u64>,
    /// 50 when left out, 500 at most.
    limit: Option<usize>,
}

pub async fn page(State(shared): Api, Query(wanted): Query<Wanted>) -> Json<Value> {
    let filter = Filter {
        partner: wanted.partner,
        session: wanted.session,
        item: wanted.item,
        stub: wanted.stub,
        traceparent: wanted.traceparent,
        miss: wanted.miss,
    };
    let page = shared.journal.page(&filter, wanted.before, wanted.limit.unwrap_or(50));
    let entries: Vec<Value> = page.entries.iter().map(short).collect();
    Json(json!({"entries": entries, "next": page.next, "bytes": shared.journal.bytes()}))
}

pub async fn one(State(shared): Api, Path(id): Path<u64>) -> Result<Json<Value>, Refused> {
    let entry =
        shared.journal.get(id).ok_or_else(|| Refused::not_found("this entry is forgotten, or never was"))?;
    Ok(Json(whole(&entry)))
}

pub async fn clear(State(shared): Api) -> Json<Value> {
    shared.journal.clear();
    Json(json!({"cleared": true}))
}

fn short(entry: &Arc<Entry>) -> Value {
    json!({
        "id": entry.id,
        "atUs": entry.at_us,
        "partner": &*entry.partner,
        "listener": &*entry.listener,
        "session": &*entry.session,
        "traceparent": entry.traceparent,
        "method": &*entry.method,
        "path": &*entry.path,
        "item": entry.item,
        "key": entry.key,
        "stub": entry.stub.as_deref(),
        "miss": entry.stub.is_none(),
        "stateBefore": entry.state_before,
        "stateAfter": entry.state_after,
        "fault": entry.fault,
        "delayMs": entry.delay_ms,
        "tookUs": entry.took_us,
        "status": entry.status,
        "problem": entry.problem,
    })
}

fn whole(entry: &Arc<Entry>) -> Value {
    let mut whole = short(entry);
    whole["request"] = body(&entry.request);
    whole["plain"] = entry.plain.as_ref().map_or(Value::Null, body);
    whole["answer"] = body(&entry.answer);
    // Null while the diagnosis is not done.
    whole["nearest"] = json!(entry.nearest.get());
    whole
}

/// A body as text, with its whole size where it was cut.
fn body(body: &Body) -> Value {
    json!({"text": String::from_utf8_lossy(&body.bytes), "size": body.size})
}
