//! The admin API of the mock partners, under `/api/mocks`: JSON, for the console, the command line and tests.
mod carriers;
mod clock;
mod dials;
mod importing;
mod journal;
mod plans;
mod sessions;
mod state;
mod tables;
mod trying;
mod verify;

use std::sync::{Arc, atomic::Ordering};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{delete, get, post, put},
};
use qiao_mappings::strict::Mistake;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    partner::Partner,
    server::{MockServer, Shared},
};

type Api = State<Arc<Shared>>;

/// The API over a running server. Whoever mounts it decides who may use it; requests larger than 1 MiB are refused.
pub fn admin_router(server: &MockServer) -> Router {
    router_over(Arc::clone(server.shared()))
}

pub(crate) fn router_over(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/api/mocks/partners", get(partners))
        .route("/api/mocks/partners/{partner}/stop", post(stop))
        .route("/api/mocks/partners/{partner}/start", post(start))
        .route("/api/mocks/partners/{partner}/stubs", get(stubs))
        .route("/api/mocks/journal", get(journal::page).delete(journal::clear))
        .route("/api/mocks/journal/tail", get(journal::tail))
        .route("/api/mocks/journal/{id}", get(journal::one))
        .route("/api/mocks/verify", post(verify::verify))
        .route("/api/mocks/score", post(verify::score))
        .route("/api/mocks/state/{partner}", get(state::list))
        .route("/api/mocks/state/{partner}/{key}", get(state::one).put(state::put).delete(state::remove))
        .route("/api/mocks/dials/{partner}", get(dials::list))
        .route("/api/mocks/dials/{partner}/{dial}", put(dials::put))
        .route("/api/mocks/dials/{partner}/{dial}", delete(dials::remove))
        .route("/api/mocks/carriers/{partner}", get(carriers::look))
        .route("/api/mocks/carriers/{partner}/uplink", post(carriers::uplink))
        .route("/api/mocks/carriers/{partner}/disconnect", post(carriers::disconnect))
        .route("/api/mocks/clock", get(clock::look).put(clock::change))
        .route("/api/mocks/clock/advance", post(clock::advance))
        .route("/api/mocks/plans/{partner}", get(plans::list))
        .route("/api/mocks/plans/{partner}/{plan}/start", post(plans::start))
        .route("/api/mocks/runs/{run}/steps/{step}", post(plans::act))
        .route("/api/mocks/timers", get(clock::timers))
        .route("/api/mocks/timers/{id}", delete(clock::cancel))
        .route("/api/mocks/timers/{id}/fire", post(clock::fire))
        .route("/api/mocks/sessions", get(sessions::list).post(sessions::open))
        .route("/api/mocks/sessions/{session}", get(sessions::one).delete(sessions::end))
        .route("/api/mocks/sessions/{session}/reset", post(sessions::reset))
        .route("/api/mocks/tables", get(tables::list))
        .route("/api/mocks/tables/{table}", get(tables::rows))
        .route("/api/mocks/tables/{table}/{key}", get(tables::one).put(tables::put).delete(tables::remove))
        .route("/api/mocks/reset", post(reset))
        .route("/api/mocks/reload", post(reload))
        .route("/api/mocks/try", post(trying::dry_run))
        .route("/api/mocks/import", post(importing::import))
        .layer(DefaultBodyLimit::max(1 << 20))
        .with_state(shared)
}

/// A refusal: status and what to do about it.
pub(crate) struct Refused(StatusCode, Value);

impl Refused {
    fn not_found(what: impl Into<String>) -> Self {
        Self(StatusCode::NOT_FOUND, json!({"error": what.into()}))
    }

    fn mistakes(what: &str, mistakes: &[Mistake]) -> Self {
        let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        let error = format!("{what}: {}", lines.join("; "));
        Self(StatusCode::UNPROCESSABLE_ENTITY, json!({"error": error, "mistakes": mistakes}))
    }

    fn busy(what: &str) -> Self {
        Self(StatusCode::TOO_MANY_REQUESTS, json!({"error": what}))
    }

    fn broken(what: &str) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR, json!({"error": what}))
    }

    fn unfit(what: impl Into<String>) -> Self {
        Self(StatusCode::UNPROCESSABLE_ENTITY, json!({"error": what.into()}))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

fn partner(shared: &Shared, id: &str) -> Result<Arc<Partner>, Refused> {
    shared.partner(id).ok_or_else(|| Refused::not_found(format!("there is no mock partner `{id}`")))
}

async fn partners(State(shared): Api) -> Json<Value> {
    let catalogue = shared.catalogue();
    let each = |partner: &Arc<Partner>| {
        let runtime = &partner.runtime;
        let listeners: Vec<Value> = partner
            .listeners
            .iter()
            .map(|listener| {
                let name = listener.proto.name();
                if listener.proto.is_http() {
                    return json!({"id": &*listener.id, "proto": name, "path": &*listener.path});
                }
                let addr = shared.sockets.addr(&partner.id, &listener.id);
                json!({"id": &*listener.id, "proto": name, "address": addr})
            })
            .collect();
        json!({
            "partner": &*partner.id,
            "title": partner.title,
            "running": runtime.is_running(),
            "listeners": listeners,
            "stubs": partner.stubs.len(),
            "keys": runtime.state.len(),
            "matched": runtime.matched.load(Ordering::Relaxed),
            "missed": runtime.missed.load(Ordering::Relaxed),
        })
    };
    Json(
        json!({"version": catalogue.version, "partners": catalogue.partners.iter().map(each).collect::<Vec<_>>()}),
    )
}

async fn stop(State(shared): Api, Path(id): Path<String>) -> Result<Json<Value>, Refused> {
    run(&shared, &id, false)
}

async fn start(State(shared): Api, Path(id): Path<String>) -> Result<Json<Value>, Refused> {
    run(&shared, &id, true)
}

fn run(shared: &Shared, id: &str, running: bool) -> Result<Json<Value>, Refused> {
    partner(shared, id)?.runtime.set_running(running);
    Ok(Json(json!({"partner": id, "running": running})))
}

async fn stubs(State(shared): Api, Path(id): Path<String>) -> Result<Json<Value>, Refused> {
    let partner = partner(&shared, &id)?;
    let each = partner.stubs.iter().map(|stub| {
        let listener = stub.listener.map(|number| &*partner.listeners[number].id);
        json!({"id": &*stub.id, "label": &*stub.label, "title": stub.title, "listener": listener, "item": stub.item})
    });
    Ok(Json(json!({"stubs": each.collect::<Vec<_>>()})))
}

/// What is reset; without a partner, all of them.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Reset {
    #[serde(default)]
    partner: Option<String>,
    /// Only this session's state.
    #[serde(default)]
    session: Option<String>,
}

async fn reset(State(shared): Api, body: Option<Json<Reset>>) -> Result<Json<Value>, Refused> {
    let wanted = body.map(|Json(wanted)| wanted).unwrap_or_default();
    let all: Vec<Arc<Partner>> = match &wanted.partner {
        Some(id) => vec![partner(&shared, id)?],
        None => shared.catalogue().partners.clone(),
    };
    match &wanted.session {
        Some(session) if wanted.partner.is_none() => shared.reset_session(session),
        Some(session) => all.iter().for_each(|partner| shared.forget(partner, Some(session))),
        None => all.iter().for_each(|partner| {
            partner.runtime.reset();
            shared.forget(partner, None);
            partner.reset_faults();
        }),
    }
    if wanted.partner.is_none() && wanted.session.is_none() {
        shared.catalogue().tables.view().clear(None);
        shared.sessions.list().iter().for_each(|session| shared.reset_session(&session.name));
        shared.clock.reset();
        shared.timers.clock_changed();
        shared.journal.clear();
    }
    Ok(Json(json!({"reset": all.iter().map(|partner| &*partner.id).collect::<Vec<_>>()})))
}

async fn reload(State(shared): Api) -> Result<Json<Value>, Refused> {
    // Reading and compiling may take seconds: not on a thread that serves.
    let done = tokio::task::spawn_blocking(move || shared.reload()).await;
    match done {
        Ok(Ok(done)) => Ok(Json(json!(done))),
        Ok(Err(mistakes)) => Err(Refused(
            StatusCode::UNPROCESSABLE_ENTITY,
            json!({"error": "the partners hold mistakes; the old ones stay", "mistakes": mistakes}),
        )),
        Err(_) => Err(Refused(StatusCode::INTERNAL_SERVER_ERROR, json!({"error": "the reload broke off"}))),
    }
}
