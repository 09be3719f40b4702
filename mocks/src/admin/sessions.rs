//! Sessions: opened, looked at, started anew, ended.
use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde_json::{Value, json};

use super::{Api, Refused};
use crate::{
    server::Shared,
    sessions::{NotOpened, Session},
};

pub async fn list(State(shared): Api) -> Json<Value> {
    let sessions = shared.sessions.list();
    Json(json!({"sessions": sessions.iter().map(|session| view(&shared, session)).collect::<Vec<_>>()}))
}

/// Opens a session; the body is YAML or JSON.
pub async fn open(State(shared): Api, body: String) -> Result<Json<Value>, Refused> {
    let text = if body.trim().is_empty() { "{}".to_owned() } else { body };
    // Stubs are compiled: not on a thread that serves.
    let opening = Arc::clone(&shared);
    let opened =
        tokio::task::spawn_blocking(move || opening.sessions.open(&text, &opening.catalogue())).await;
    match opened {
        Ok(Ok(session)) => Ok(Json(view(&shared, &session))),
        Ok(Err(NotOpened::Taken(why))) => Err(Refused(StatusCode::CONFLICT, json!({"error": why}))),
        Ok(Err(NotOpened::Mistakes(mistakes))) => {
            Err(Refused::mistakes("the session holds mistakes", &mistakes))
        }
        Err(_) => Err(Refused::broken("opening the session broke off")),
    }
}

pub fn session(shared: &Shared, name: &str) -> Result<Arc<Session>, Refused> {
    shared.sessions.get(name).ok_or_else(|| Refused::not_found(format!("there is no session `{name}`")))
}

pub async fn one(State(shared): Api, Path(name): Path<String>) -> Result<Json<Value>, Refused> {
    Ok(Json(view(&shared, &*session(&shared, &name)?)))
}

pub async fn reset(State(shared): Api, Path(name): Path<String>) -> Result<Json<Value>, Refused> {
    let session = session(&shared, &name)?;
    shared.reset_session(&name);
    Ok(Json(view(&shared, &session)))
}

pub async fn end(State(shared): Api, Path(name): Path<String>) -> Result<Json<Value>, Refused> {
    session(&shared, &name)?;
    shared.forget_session(&name);
    shared.sessions.end(&name, &shared.catalogue());
    Ok(Json(json!({"ended": name})))
}

fn view(shared: &Shared, session: &Session) -> Value {
    let spec = &session.spec;
    json!({
        "session": &*session.name,
        "title": spec.title,
        "pack": spec.pack,
        "accounts": spec.accounts,
        "stubs": session.stubs(),
        "rows": shared.catalogue().tables.view().written(&session.name),
        "aheadMs": session.ahead_ms(),
        "endsInMs": u64::try_from(session.left().as_millis()).unwrap_or(u64::MAX),
        "problems": session.problems(),
    })
}
