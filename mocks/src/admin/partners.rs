//! The partners: listed, stopped, started.
use std::sync::{Arc, atomic::Ordering};

use axum::{
    Json,
    extract::{Path, State},
};
use serde_json::{Value, json};

use super::{Api, Refused};
use crate::{partner::Partner, server::Shared};

/// The partners with where they listen and how they fare.
pub async fn list(State(shared): Api) -> Json<Value> {
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
            "hash": format!("{:016x}", partner.origin.hash),
            "stubs": partner.stubs.len(),
            "keys": runtime.state.len(),
            "matched": runtime.matched.load(Ordering::Relaxed),
            "missed": runtime.missed.load(Ordering::Relaxed),
        })
    };
    let partners: Vec<Value> = catalogue.partners.iter().map(each).collect();
    Json(json!({"version": catalogue.version, "partners": partners}))
}

pub async fn stop(State(shared): Api, Path(id): Path<String>) -> Result<Json<Value>, Refused> {
    run(&shared, &id, false)
}

pub async fn start(State(shared): Api, Path(id): Path<String>) -> Result<Json<Value>, Refused> {
    run(&shared, &id, true)
}

fn run(shared: &Shared, id: &str, running: bool) -> Result<Json<Value>, Refused> {
    super::partner(shared, id)?.runtime.set_running(running);
    Ok(Json(json!({"partner": id, "running": running})))
}
