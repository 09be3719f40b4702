//! The carriers' gateways: who is logged in, what waits for them; messages from users, sent on command.
use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use serde_json::{Value, json};

use super::{Api, Refused};
use crate::server::{
    Shared,
    carrier::{Site, Uplink, send_uplink},
};

/// Every gateway of a partner with its accounts.
fn gateways(
    shared: &Arc<Shared>,
    id: &str,
) -> Result<Vec<(Site, Arc<crate::server::carrier::Settings>)>, Refused> {
    let partner = super::partner(shared, id)?;
    let each = partner.listeners.iter().filter_map(|listener| {
        let site = Site {
            shared: Arc::clone(shared),
            partner: Arc::clone(&partner.id),
            listener: Arc::clone(&listener.id),
        };
        Some((site, Arc::clone(listener.carrier.as_ref()?)))
    });
    Ok(each.collect())
}

pub async fn look(State(shared): Api, Path(id): Path<String>) -> Result<Json<Value>, Refused> {
    let mut shown = Vec::new();
    for (site, settings) in gateways(&shared, &id)? {
        let accounts = settings.accounts.iter().map(|account| {
            let mut view = site.account(&account.id).view();
            view["account"] = json!(&*account.id);
            view["session"] = json!(&*account.session);
            view
        });
        shown.push(json!({
            "listener": &*site.listener,
            "proto": settings.dialect.proto().name(),
            "accounts": accounts.collect::<Vec<_>>(),
        }));
    }
    Ok(Json(json!({"gateways": shown})))
}

/// Sends a message from a user to a service provider.
pub async fn uplink(
    State(shared): Api,
    Path(id): Path<String>,
    Json(uplink): Json<Uplink>,
) -> Result<Json<Value>, Refused> {
    super::partner(&shared, &id)?;
    let queued = send_uplink(&shared, &id, &uplink).map_err(Refused::unfit)?;
    Ok(Json(json!(queued)))
}

/// Ends the connections of a partner's accounts, as a gateway that is restarted does.
pub async fn disconnect(State(shared): Api, Path(id): Path<String>) -> Result<Json<Value>, Refused> {
    let mut ended = 0;
    for (site, settings) in gateways(&shared, &id)? {
        ended +=
            settings.accounts.iter().map(|account| site.account(&account.id).disconnect()).sum::<usize>();
    }
    Ok(Json(json!({"disconnected": ended})))
}
