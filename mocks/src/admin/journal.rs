//! The journal in pages, as it grows, and one entry whole. Personal data is masked unless asked for.
use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, Query, State},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, broadcast, watch};

use super::{Api, Refused, verify::Shown};
use crate::{
    journal::{Body, Entry, Filter, Nearest, Record},
    mask,
};

/// Filters and the cursor.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Wanted {
    partner: Option<String>,
    session: Option<String>,
    item: Option<String>,
    /// The business key.
    key: Option<String>,
    stub: Option<String>,
    caller: Option<String>,
    /// 32 hex digits, or the whole `traceparent`.
    trace: Option<String>,
    traceparent: Option<String>,
    miss: Option<bool>,
    /// From `next` of the page before.
    before: Option<u64>,
    /// 50 when left out, 500 at most.
    limit: Option<usize>,
    /// Without masks.
    #[serde(default)]
    raw: bool,
}

impl Wanted {
    fn filter(&self) -> Filter {
        Filter {
            partner: self.partner.clone(),
            session: self.session.clone(),
            item: self.item.clone(),
            key: self.key.clone(),
            stub: self.stub.clone(),
            caller: self.caller.clone(),
            trace: self.trace.clone().or_else(|| self.traceparent.clone()),
            miss: self.miss,
        }
    }
}

pub async fn page(State(shared): Api, Query(wanted): Query<Wanted>) -> Json<Value> {
    let page = shared.journal.page(&wanted.filter(), wanted.before, wanted.limit.unwrap_or(50));
    let entries: Vec<Value> = page.entries.iter().map(|record| short(&record.entry(), wanted.raw)).collect();
    Json(json!({"entries": entries, "next": page.next, "read": page.read, "bytes": shared.journal.bytes()}))
}

pub async fn one(
    State(shared): Api,
    Path(id): Path<u64>,
    Query(shown): Query<Shown>,
) -> Result<Json<Value>, Refused> {
    let record =
        shared.journal.get(id).ok_or_else(|| Refused::not_found("this entry is forgotten, or never was"))?;
    let nearest = shared.journal.nearest(id);
    Ok(Json(whole(&record.entry(), nearest.as_deref(), shown.raw)))
}

pub async fn clear(State(shared): Api) -> Json<Value> {
    shared.journal.clear();
    Json(json!({"cleared": true}))
}

/// One who looks on.
struct Tail {
    entries: broadcast::Receiver<Arc<Record>>,
    filter: Filter,
    raw: bool,
    /// False once the server ends.
    open: watch::Receiver<bool>,
    over: bool,
    _place: OwnedSemaphorePermit,
}

impl Tail {
    /// The next event; none at the end: when the server ends, or when entries were missed.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            if self.over {
                return None;
            }
            let record = tokio::select! {
                record = self.entries.recv() => record,
                _ = self.open.wait_for(|open| !open) => return None,
            };
            let event = match record {
                Ok(record) if self.filter.fits(&record.entry()) => Event::default()
                    .event("entry")
                    .id(record.id.to_string())
                    .data(short(&record.entry(), self.raw).to_string()),
                Ok(_) => continue,
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    self.over = true;
                    Event::default().event("dropped").data(json!({"missed": missed}).to_string())
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            };
            return Some((Ok(event), self));
        }
    }
}

/// Entries as they come, as server-sent events. Who does not keep up gets `dropped` and the end.
pub async fn tail(State(shared): Api, Query(wanted): Query<Wanted>) -> Result<Response, Refused> {
    let Ok(place) = Arc::clone(&shared.watching).try_acquire_owned() else {
        return Err(Refused::busy("too many look on already: close one, or read pages"));
    };
    let tail = Tail {
        entries: shared.journal.tail(),
        filter: wanted.filter(),
        raw: wanted.raw,
        open: shared.open.subscribe(),
        over: false,
        _place: place,
    };
    let events = stream::unfold(tail, Tail::next);
    let alive = KeepAlive::new().interval(Duration::from_secs(15));
    Ok(Sse::new(events).keep_alive(alive).into_response())
}

fn short(entry: &Entry<'_>, raw: bool) -> Value {
    let shown = |text: &str| if raw { text.to_owned() } else { mask::text(text) };
    let some = |text: Option<&str>| text.map(shown);
    json!({
        "id": entry.id,
        "atUs": entry.at_us,
        "partner": entry.partner,
        "listener": entry.listener,
        "session": entry.session,
        "caller": some(entry.caller),
        "traceparent": entry.traceparent,
        "method": entry.method,
        "path": shown(entry.path),
        "item": some(entry.item),
        "key": some(entry.key),
        "stub": entry.stub,
        "miss": entry.stub.is_none(),
        "stateBefore": entry.state_before,
        "stateAfter": entry.state_after,
        "fault": entry.fault,
        "delayMs": entry.delay_ms,
        "tookUs": entry.took_us,
        "status": entry.status,
        "problem": some(entry.problem),
    })
}

fn whole(entry: &Entry<'_>, nearest: Option<&[Nearest]>, raw: bool) -> Value {
    let mut whole = short(entry, raw);
    whole["request"] = body(entry.request, raw);
    whole["plain"] = entry.plain.map_or(Value::Null, |plain| body(plain, raw));
    whole["answer"] = body(entry.answer, raw);
    let writes = entry.writes.and_then(|writes| serde_json::from_str(writes).ok());
    let writes = writes.map(|writes| if raw { writes } else { mask::document(&writes) });
    whole["writes"] = writes.unwrap_or_default();
    // Null while the diagnosis is not done.
    whole["nearest"] = match nearest {
        Some(nearest) if !raw => json!(nearest.iter().map(mask::nearest).collect::<Vec<_>>()),
        nearest => json!(nearest),
    };
    whole
}

/// A body as text, with its whole size where it was cut.
fn body(body: Body<'_>, raw: bool) -> Value {
    let text = String::from_utf8_lossy(body.bytes);
    let text = if raw { text.into_owned() } else { mask::text(&text) };
    json!({"text": text, "size": body.size})
}
