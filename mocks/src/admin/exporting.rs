//! Partners and sessions as files: what is in effect, to be kept, compared, or changed and validated.
use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::{Api, Refused};
use crate::{import::yaml, sessions::Session};

/// Files by name: those that are text as texts, the others as `{base64}`.
pub fn shown(files: BTreeMap<String, Vec<u8>>) -> Map<String, Value> {
    let shown = files.into_iter().map(|(name, bytes)| {
        let file = String::from_utf8(bytes)
            .map_or_else(|wrong| json!({"base64": STANDARD.encode(wrong.as_bytes())}), Value::from);
        (name, file)
    });
    shown.collect()
}

/// The files that a partner was made of; private keys are named, not given.
pub async fn partner(State(shared): Api, Path(id): Path<String>) -> Result<Json<Value>, Refused> {
    let partner = super::partner(&shared, &id)?;
    let version = shared.catalogue().version;
    // Files are read: not on a thread that serves.
    let reading = Arc::clone(&partner);
    let read = tokio::task::spawn_blocking(move || reading.origin.read()).await;
    let files = read.map_err(|_| Refused::broken("reading the files broke off"))?.map_err(Refused::stale)?;
    let (withheld, files): (BTreeMap<_, _>, BTreeMap<_, _>) =
        files.into_iter().partition(|(name, _)| partner.origin.is_secret(name));
    Ok(Json(json!({
        "partner": id,
        "version": version,
        "hash": format!("{:016x}", partner.origin.hash),
        "files": shown(files),
        "withheld": withheld.keys().collect::<Vec<_>>(),
    })))
}

/// What a session lays over the partners, as the file that opens one like it; dials turned by hand are in it.
pub async fn session(State(shared): Api, Path(name): Path<String>) -> Result<Json<Value>, Refused> {
    let session = super::sessions::session(&shared, &name)?;
    let written = written(&session).map_err(|error| Refused::broken(&error.to_string()))?;
    Ok(Json(json!({"session": name, "files": {"session.yaml": yaml::write(&written)}})))
}

fn written(session: &Session) -> serde_json::Result<Value> {
    let mut spec = session.spec.clone();
    spec.session = Some(session.name.to_string());
    for (partner, dials) in session.dials_by_hand() {
        let over = spec.partners.entry(partner).or_default();
        over.dials.retain(|dial| dials.iter().all(|by_hand| by_hand.id != dial.id));
        over.dials.splice(0..0, dials);
    }
    serde_json::to_value(&spec)
}
