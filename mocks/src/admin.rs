//! The admin API of the mock partners, under `/api/mocks`: JSON, for the console, the command line and tests.
//! `docs/openapi/mocks.yaml` describes it.
mod carriers;
mod clock;
mod dials;
mod document;
mod exporting;
mod importing;
mod journal;
mod partners;
mod plans;
pub(crate) mod recording;
mod routes;
mod sessions;
mod state;
mod stubs;
mod tables;
mod trying;
mod validating;
mod verify;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use qiao_mappings::strict::Mistake;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    partner::Partner,
    server::{MockServer, Shared},
};
pub use routes::AdminOperation;
use routes::Routes;

type Api = State<Arc<Shared>>;

/// The API over a running server. Whoever mounts it decides who may use it; requests larger than 1 MiB are refused, those
/// that bring a partner's files larger than 16 MiB.
pub fn admin_router(server: &MockServer) -> Router {
    router_over(Arc::clone(server.shared()))
}

pub(crate) fn router_over(shared: Arc<Shared>) -> Router {
    routes().router(shared)
}

/// Every operation of the API.
pub fn admin_operations() -> Vec<AdminOperation> {
    routes().operations
}

const GET: Method = Method::GET;
const PUT: Method = Method::PUT;
const POST: Method = Method::POST;
const DELETE: Method = Method::DELETE;

fn routes() -> Routes {
    let routes = partner_routes(Routes::default());
    let routes = evidence_routes(routes);
    let routes = moving_routes(routes);
    let routes = memory_routes(routes);
    let routes = recording::routes(routes);
    routes
        .on(GET, "/api/mocks/openapi.json", document::openapi)
        .on(POST, "/api/mocks/reset", reset)
        .on(POST, "/api/mocks/reload", reload)
        .on(POST, "/api/mocks/try", trying::dry_run)
        .large(POST, "/api/mocks/import", importing::import)
        .large_asking(POST, "/api/mocks/validate", validating::validate)
}

/// The partners, and what lies over them.
fn partner_routes(routes: Routes) -> Routes {
    routes
        .on(GET, "/api/mocks/partners", partners::list)
        .on(POST, "/api/mocks/partners/{partner}/stop", partners::stop)
        .on(POST, "/api/mocks/partners/{partner}/start", partners::start)
        .asking(GET, "/api/mocks/partners/{partner}/stubs", stubs::list)
        .on(GET, "/api/mocks/partners/{partner}/export", exporting::partner)
        .asking(GET, "/api/mocks/dials/{partner}", dials::list)
        .asking(PUT, "/api/mocks/dials/{partner}/{dial}", dials::put)
        .asking(DELETE, "/api/mocks/dials/{partner}/{dial}", dials::remove)
        .on(GET, "/api/mocks/sessions", sessions::list)
        .on(POST, "/api/mocks/sessions", sessions::open)
        .on(GET, "/api/mocks/sessions/{session}", sessions::one)
        .on(DELETE, "/api/mocks/sessions/{session}", sessions::end)
        .on(POST, "/api/mocks/sessions/{session}/reset", sessions::reset)
        .on(GET, "/api/mocks/sessions/{session}/export", exporting::session)
}

/// What was asked and answered.
fn evidence_routes(routes: Routes) -> Routes {
    routes
        .asking(GET, "/api/mocks/journal", journal::page)
        .on(DELETE, "/api/mocks/journal", journal::clear)
        .asking(GET, "/api/mocks/journal/tail", journal::tail)
        .asking(GET, "/api/mocks/journal/{id}", journal::one)
        .asking(POST, "/api/mocks/verify", verify::verify)
        .asking(POST, "/api/mocks/score", verify::score)
}

/// What moves by itself, and what makes it move.
fn moving_routes(routes: Routes) -> Routes {
    routes
        .on(GET, "/api/mocks/carriers/{partner}", carriers::look)
        .on(POST, "/api/mocks/carriers/{partner}/uplink", carriers::uplink)
        .on(POST, "/api/mocks/carriers/{partner}/disconnect", carriers::disconnect)
        .on(GET, "/api/mocks/clock", clock::look)
        .on(PUT, "/api/mocks/clock", clock::change)
        .on(POST, "/api/mocks/clock/advance", clock::advance)
        .asking(GET, "/api/mocks/plans/{partner}", plans::list)
        .on(POST, "/api/mocks/plans/{partner}/{plan}/start", plans::start)
        .on(POST, "/api/mocks/runs/{run}/steps/{step}", plans::act)
        .asking(GET, "/api/mocks/timers", clock::timers)
        .on(DELETE, "/api/mocks/timers/{id}", clock::cancel)
        .on(POST, "/api/mocks/timers/{id}/fire", clock::fire)
}

/// What is remembered.
fn memory_routes(routes: Routes) -> Routes {
    routes
        .asking(GET, "/api/mocks/state/{partner}", state::list)
        .asking(GET, "/api/mocks/state/{partner}/{key}", state::one)
        .asking(PUT, "/api/mocks/state/{partner}/{key}", state::put)
        .asking(DELETE, "/api/mocks/state/{partner}/{key}", state::remove)
        .on(GET, "/api/mocks/tables", tables::list)
        .asking(GET, "/api/mocks/tables/{table}", tables::rows)
        .asking(GET, "/api/mocks/tables/{table}/{key}", tables::one)
        .asking(PUT, "/api/mocks/tables/{table}/{key}", tables::put)
        .asking(DELETE, "/api/mocks/tables/{table}/{key}", tables::remove)
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

    fn bad(what: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, json!({"error": what.into()}))
    }

    fn stale(what: impl Into<String>) -> Self {
        Self(StatusCode::CONFLICT, json!({"error": what.into()}))
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
