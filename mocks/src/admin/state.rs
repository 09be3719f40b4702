//! What a partner remembers of business keys: looked at, set, forgotten.
use std::time::Instant;

use axum::{
    Json,
    extract::{Path, Query, State},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Api, Refused};
use crate::state::{Instance, full_key};

/// The session; empty for the common one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Wanted {
    #[serde(default)]
    session: String,
    /// Keys after this one.
    #[serde(default)]
    after: String,
    /// 100 when left out, 1000 at most.
    limit: Option<usize>,
}

/// What a key is set to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Given {
    /// State by machine.
    #[serde(default)]
    states: Map<String, Value>,
    #[serde(default)]
    data: Map<String, Value>,
}

pub async fn list(
    State(shared): Api,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, Refused> {
    let partner = super::partner(&shared, &id)?;
    let prefix = full_key(&wanted.session, "");
    let after = full_key(&wanted.session, &wanted.after);
    let limit = wanted.limit.unwrap_or(100).clamp(1, 1000);
    let found = partner.runtime.state.list(&prefix, &after, limit, Instant::now());
    let next =
        (found.len() == limit).then(|| found.last().map(|(key, _)| key[prefix.len()..].to_owned())).flatten();
    let keys: Vec<Value> = found.iter().map(|(key, instance)| view(&key[prefix.len()..], instance)).collect();
    Ok(Json(json!({"keys": keys, "next": next})))
}

pub async fn one(
    State(shared): Api,
    Path((id, key)): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, Refused> {
    let partner = super::partner(&shared, &id)?;
    let full = full_key(&wanted.session, &key);
    let lock = partner.runtime.state.lock(&full);
    let found = lock.peek(&full, Instant::now()).map(|instance| Json(view(&key, instance)));
    found.ok_or_else(|| Refused::not_found("nothing is remembered of this key"))
}

pub async fn put(
    State(shared): Api,
    Path((id, key)): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
    Json(given): Json<Given>,
) -> Result<Json<Value>, Refused> {
    let partner = super::partner(&shared, &id)?;
    let mut next = Instance::default();
    next.data = given.data;
    for (machine, state) in &given.states {
        let state = state.as_str().ok_or_else(|| Refused::unfit("a state is text"))?;
        next.go(machine, state);
    }
    if !next.fits() {
        return Err(Refused::unfit("a key holds at most 16 KiB"));
    }
    let full = full_key(&wanted.session, &key);
    let mut lock = partner.runtime.state.lock(&full);
    let instance = lock.instance(&full, Instant::now());
    next.count = instance.count;
    *instance = next;
    Ok(Json(view(&key, instance)))
}

pub async fn remove(
    State(shared): Api,
    Path((id, key)): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, Refused> {
    let partner = super::partner(&shared, &id)?;
    if partner.runtime.state.remove(&full_key(&wanted.session, &key)) {
        Ok(Json(json!({"removed": key})))
    } else {
        Err(Refused::not_found("nothing is remembered of this key"))
    }
}

fn view(key: &str, instance: &Instance) -> Value {
    let states: Map<String, Value> =
        instance.states().map(|(machine, state)| (machine.to_owned(), Value::from(state))).collect();
    json!({"key": key, "states": states, "data": instance.data, "count": instance.count})
}
