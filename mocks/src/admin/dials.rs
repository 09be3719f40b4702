//! Dials: faults and delays turned on for a while.
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json,
    extract::{Path, Query, State},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, Refused};
use crate::{
    faults::LiveDial,
    overlay::{put_dial, remove_dial},
    server::Shared,
    sessions::Session,
    spec::{Delay, Dial, FaultSpec, Target},
};

const DEFAULT_TTL: Duration = Duration::from_secs(600);
const MAX_TTL: Duration = Duration::from_secs(24 * 3600);

/// A dial without its id, which stands in the path.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Given {
    #[serde(default, rename = "for")]
    target: Option<Target>,
    #[serde(default)]
    delay: Option<Delay>,
    #[serde(default)]
    fault: Option<FaultSpec>,
    #[serde(default)]
    ttl: Option<qiao_mappings::units::Duration>,
}

/// Whose dials.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Whose {
    /// Dials that only this session's requests feel; left out: those of all.
    #[serde(default)]
    session: Option<String>,
}

impl Whose {
    /// The session, where one is named.
    fn session(&self, shared: &Shared) -> Result<Option<Arc<Session>>, Refused> {
        let Some(name) = &self.session else { return Ok(None) };
        let found = shared.sessions.get(name);
        found
            .map(Some)
            .ok_or_else(|| Refused::not_found(format!("there is no session `{name}`: open it first")))
    }
}

pub async fn list(
    State(shared): Api,
    Path(id): Path<String>,
    Query(whose): Query<Whose>,
) -> Result<Json<Value>, Refused> {
    let partner = super::partner(&shared, &id)?;
    let now = Instant::now();
    let live = partner.runtime.dials.load();
    let lives = |dial: &&LiveDial| dial.ends.is_none_or(|ends| now < ends);
    if let Some(session) = whose.session(&shared)? {
        let dials = session.overlay(&partner.id).map(|overlay| overlay.all_dials()).unwrap_or_default();
        let lives = dials.iter().map(|dial| &**dial).filter(lives).map(|dial| view(dial, "session", now));
        return Ok(Json(json!({"dials": lives.collect::<Vec<_>>()})));
    }
    let ours = live.iter().map(|dial| &**dial).filter(lives).map(|dial| view(dial, "api", now));
    let of_file = partner.dials.iter().filter(lives).map(|dial| view(dial, "file", now));
    Ok(Json(json!({"dials": ours.chain(of_file).collect::<Vec<_>>()})))
}

pub async fn put(
    State(shared): Api,
    Path((id, dial)): Path<(String, String)>,
    Query(whose): Query<Whose>,
    Json(given): Json<Given>,
) -> Result<Json<Value>, Refused> {
    let partner = super::partner(&shared, &id)?;
    let ttl = given.ttl.map_or(DEFAULT_TTL, |ttl| ttl.0);
    if ttl > MAX_TTL {
        return Err(Refused::unfit("ttl: a dial lasts at most 24h"));
    }
    if dial.len() > 80 {
        return Err(Refused::unfit("a dial's id has at most 80 characters"));
    }
    let spec =
        Dial { id: dial, target: given.target, delay: given.delay, fault: given.fault, ttl: given.ttl };
    let now = Instant::now();
    let compiled = LiveDial::compile(&spec, &id, Some(ttl), now).map_err(|wrong| {
        let each = wrong.iter().map(|(path, message)| format!("{path}: {message}"));
        Refused::unfit(each.collect::<Vec<_>>().join("; "))
    })?;
    let shown = view(&compiled, "api", now);
    match whose.session(&shared)? {
        Some(session) => {
            let overlay = session.overlay_to_change(&partner.id);
            put_dial(&overlay.dials, compiled, now).map_err(Refused::unfit)?;
        }
        None => partner.runtime.put_dial(compiled, now).map_err(Refused::unfit)?,
    }
    Ok(Json(shown))
}

pub async fn remove(
    State(shared): Api,
    Path((id, dial)): Path<(String, String)>,
    Query(whose): Query<Whose>,
) -> Result<Json<Value>, Refused> {
    let partner = super::partner(&shared, &id)?;
    let removed = match whose.session(&shared)? {
        Some(session) => {
            session.overlay(&partner.id).is_some_and(|overlay| remove_dial(&overlay.dials, &dial))
        }
        None => partner.runtime.remove_dial(&dial),
    };
    if removed {
        Ok(Json(json!({"removed": dial})))
    } else {
        Err(Refused::not_found(format!("there is no dial `{dial}`, or it stands in the partner's file")))
    }
}

fn view(dial: &LiveDial, origin: &str, now: Instant) -> Value {
    let mut view = json!(dial.spec);
    view["origin"] = origin.into();
    let left = dial.ends.map(|ends| ends.saturating_duration_since(now).as_millis());
    view["endsInMs"] = left.map(|left| u64::try_from(left).unwrap_or(u64::MAX)).into();
    view
}
