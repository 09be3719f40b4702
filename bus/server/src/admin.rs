//! The admin listener: health, readiness and metrics for everyone on the machine; the API behind the node's token.
use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, Query, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use qiao_core::{CallFilter, CallId, Outcome, StoreError};
use serde::Deserialize;
use serde_json::json;

use crate::{
    acts::{MACHINE, Who},
    admin_calls,
    node::Node,
};

pub mod door;
mod login;
mod vault;

use door::{Door, bearer, token_needed};

pub use vault::{UnsealTry, UnsealWith, Unsealed, VaultStatus};

/// Which tokens open a node's API.
const TOKENS: &str = "the one in node.json in the node's data folder, or an operator's from /api/login";

/// Everything the admin listener serves. `mocks` is the mock partners' own API, where they run inside this node.
pub fn router(node: Arc<Node>, mocks: Option<Router>) -> Router {
    let mut api = Router::new()
        .route("/api/calls", get(calls))
        .route("/api/calls/{id}", get(call))
        .route("/api/interfaces", get(interfaces))
        .route("/api/partners", get(partners))
        .route("/api/reload", post(reload))
        .with_state(Arc::clone(&node))
        .merge(admin_calls::router(Arc::clone(&node)));
    if let Some(mocks) = mocks {
        api = api.merge(mocks);
    }
    let api = api.layer(middleware::from_fn_with_state(Arc::clone(&node), unsealed_needed));
    let api = api.merge(vault::router(Arc::clone(&node)));
    let keeper = Arc::clone(&node);
    let door = Door::new(move |token| known_by(&keeper, token), TOKENS);
    let api = api.layer(middleware::from_fn_with_state(door, token_needed));
    Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Arc::clone(&node))
        .merge(login::router(node))
        .merge(api)
}

/// Who a token stands for: this machine by the one in the node's data folder, an operator by a login.
fn known_by(node: &Node, token: &[u8]) -> Option<Who> {
    let machine = node.token_matches(token).then(|| MACHINE.into());
    machine.or_else(|| node.logins.session(token, login::now())).map(Who)
}

/// A sealed node serves its vault's endpoints and no other.
async fn unsealed_needed(State(node): State<Arc<Node>>, request: Request, next: Next) -> Response {
    if node.vault.is_unsealed() {
        return next.run(request).await;
    }
    let text = "the vault is sealed: unseal it with `qiao keys unseal --config FILE`";
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"error": text, "state": "sealed"}))).into_response()
}

/// One line, and one more for every key device that does not answer: by name, and nothing else of it.
async fn alive(State(node): State<Arc<Node>>) -> String {
    let mut text = if node.vault.is_unsealed() { "ok\n" } else { "sealed\n" }.to_owned();
    for device in node.vault.devices().iter().filter(|device| !device.answering) {
        text.push_str(&format!("key device {} does not answer\n", device.name));
    }
    text
}

async fn ready(State(node): State<Arc<Node>>) -> Response {
    match node.active() {
        _ if !node.vault.is_unsealed() => (StatusCode::SERVICE_UNAVAILABLE, "sealed\n").into_response(),
        Some(active) if !node.is_draining() => {
            (StatusCode::OK, format!("ready, plan {}\n", active.plan.number)).into_response()
        }
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "no plan is active yet\n").into_response(),
    }
}

async fn metrics(State(node): State<Arc<Node>>) -> Response {
    match node.render_metrics() {
        Ok((text, kind)) => ([(header::CONTENT_TYPE, kind)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Which calls to list; `limit` is at most 1000, 50 when left out; `before` is the id to go on from.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallQuery {
    interface: Option<String>,
    caller: Option<String>,
    outcome: Option<Outcome>,
    before: Option<CallId>,
    limit: Option<usize>,
}

async fn calls(State(node): State<Arc<Node>>, Query(query): Query<CallQuery>) -> Response {
    let filter = CallFilter {
        interface: query.interface,
        caller: query.caller,
        outcome: query.outcome,
        key: None,
        before: query.before,
        limit: query.limit.unwrap_or(50).min(1000),
    };
    match within(node.store().calls(&filter)).await {
        Ok(calls) => Json(calls).into_response(),
        Err(response) => response,
    }
}

async fn call(State(node): State<Arc<Node>>, Path(id): Path<String>) -> Response {
    let Ok(id) = id.parse::<CallId>() else {
        let text = "a call id is 32 hex digits";
        return (StatusCode::BAD_REQUEST, Json(json!({"error": text}))).into_response();
    };
    match within(node.store().call(id)).await {
        Ok(Some(record)) => Json(record).into_response(),
        Ok(None) => (StatusCode::NOT_FOUND, Json(json!({"error": format!("no call {id} is recorded here")})))
            .into_response(),
        Err(response) => response,
    }
}

/// The store's answer within ten seconds, or the response that says why not.
pub(crate) async fn within<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, Response> {
    let failed =
        |text: String| (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"error": text}))).into_response();
    match tokio::time::timeout(Duration::from_secs(10), answer).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed("the store did not answer within ten seconds".to_owned())),
    }
}

async fn interfaces(State(node): State<Arc<Node>>) -> Response {
    let Some(active) = node.active() else { return Json(json!([])).into_response() };
    Json(crate::catalogue::rows(active.plan.interfaces().map(|interface| &*interface.definition)))
        .into_response()
}

async fn partners(State(node): State<Arc<Node>>) -> Response {
    let Some(active) = node.active() else { return Json(json!([])).into_response() };
    let rows: Vec<_> = active
        .plan
        .partner_states()
        .map(|state| json!({"system": state.system, "breaker": format!("{:?}", state.breaker), "active": state.concurrent, "waiting": state.waiting}))
        .collect();
    Json(rows).into_response()
}

/// Reloads the definitions: the new plan's number, or every mistake and the old plan stays.
async fn reload(State(node): State<Arc<Node>>) -> Response {
    let reloading = Arc::clone(&node);
    match tokio::task::spawn_blocking(move || reloading.reload()).await {
        Ok(Ok(plan)) => Json(json!({"plan": plan})).into_response(),
        Ok(Err(mistakes)) => {
            (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({"mistakes": mistakes}))).into_response()
        }
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({"error": error.to_string()}))).into_response()
        }
    }
}
