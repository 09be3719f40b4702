//! Calls at the admin API: found by a business key, and shown in the clear to who gives a reason, which is recorded.
use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use qiao_core::{BodyPart, CallFilter, CallId, CallRecord, Outcome, Recorded};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    acts::{self, Who},
    admin::within,
    node::Node,
};

/// A reason has so many characters.
const REASON: std::ops::RangeInclusive<usize> = 4..=160;

pub fn router(node: Arc<Node>) -> Router {
    Router::new()
        .route("/api/calls/search", post(search))
        .route("/api/calls/{id}/reveal", post(reveal))
        .with_state(node)
}

/// A business key by its name and value. The value stands in the body, so that no log of requests holds it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    key: String,
    value: String,
    limit: Option<usize>,
    before: Option<CallId>,
}

async fn search(State(node): State<Arc<Node>>, Json(search): Json<Search>) -> Response {
    let hash = match node.keeper.hash(&search.key, &search.value) {
        Ok(hash) => hash,
        Err(error) => return refused(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    };
    let filter = CallFilter {
        key: Some((search.key, hash)),
        before: search.before,
        limit: search.limit.unwrap_or(50).min(1000),
        ..CallFilter::default()
    };
    within(node.store().calls(&filter))
        .await
        .map_or_else(|failed| failed, |calls| Json(calls).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reveal {
    reason: String,
}

async fn reveal(
    State(node): State<Arc<Node>>,
    Extension(who): Extension<Who>,
    Path(id): Path<String>,
    Json(reveal): Json<Reveal>,
) -> Response {
    let Ok(id) = id.parse::<CallId>() else {
        return refused(StatusCode::BAD_REQUEST, "a call id is 32 hex digits");
    };
    let reason = reveal.reason.trim();
    if !REASON.contains(&reason.chars().count()) {
        return refused(
            StatusCode::BAD_REQUEST,
            "a reason has 4 to 160 characters: it is recorded with the reveal",
        );
    }
    let shown = shown(&node, id).await;
    let (outcome, status) = match &shown {
        Ok(_) => (Outcome::Ok, StatusCode::OK),
        Err((status, _)) => (Outcome::Denied, *status),
    };
    // Recorded first: what cannot be recorded is not shown.
    let note = format!("call {id}: {reason}");
    let record = acts::record("reveal", &who.0, outcome, status.as_u16(), &note);
    if node.recorder.record(record).await == Recorded::Lost {
        return refused(
            StatusCode::SERVICE_UNAVAILABLE,
            "the reveal cannot be recorded, so nothing is shown",
        );
    }
    match shown {
        Ok(bodies) => Json(bodies).into_response(),
        Err((status, text)) => refused(status, &text),
    }
}

type Shown = Result<Value, (StatusCode, String)>;

async fn shown(node: &Node, id: CallId) -> Shown {
    let unavailable = |_| (StatusCode::SERVICE_UNAVAILABLE, "the store did not answer".to_owned());
    let record = within(node.store().call(id)).await.map_err(unavailable)?;
    let Some(record) = record else {
        return Err((StatusCode::NOT_FOUND, format!("no call {id} is recorded here")));
    };
    if record.bodies.is_empty() {
        let text =
            format!("no body of call {id} was kept: `{}` does not say `bodies: sealed`", record.interface);
        return Err((StatusCode::NOT_FOUND, text));
    }
    let sealed = within(node.store().bodies(id)).await.map_err(unavailable)?;
    open(node, &record, &sealed)
}

fn open(node: &Node, record: &CallRecord, sealed: &[(BodyPart, Vec<u8>)]) -> Shown {
    let mut shown = Map::new();
    for body in &record.bodies {
        let found = sealed.iter().find(|(part, _)| *part == body.part).map(|(_, sealed)| sealed.as_slice());
        let plain =
            node.keeper.open(body, found).map_err(|error| (StatusCode::CONFLICT, error.to_string()))?;
        let name = match body.part {
            BodyPart::Request => "request",
            BodyPart::Answer => "answer",
        };
        let text = String::from_utf8_lossy(&plain).into_owned();
        shown.insert(name.to_owned(), json!({"text": text, "bytes": body.bytes, "cut": body.cut}));
    }
    Ok(Value::Object(shown))
}

fn refused(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({"error": text}))).into_response()
}
