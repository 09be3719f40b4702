//! Dials: faults and delays turned on for a while.
use std::time::{Duration, Instant};

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, Refused};
use crate::{
    faults::LiveDial,
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

pub async fn list(State(shared): Api, Path(id): Path<String>) -> Result<Json<Value>, Refused> {
    let partner = super::partner(&shared, &id)?;
    let now = Instant::now();
    let live = partner.runtime.dials.load();
    let lives = |dial: &&LiveDial| dial.ends.is_none_or(|ends| now < ends);
    let ours = live.iter().map(|dial| &**dial).filter(lives).map(|dial| view(dial, "api", now));
    let of_file = partner.dials.iter().filter(lives).map(|dial| view(dial, "file", now));
    Ok(Json(json!({"dials": ours.chain(of_file).collect::<Vec<_>>()})))
}

pub async fn put(
    State(shared): Api,
    Path((id, dial)): Path<(String, String)>,
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
    partner.runtime.put_dial(compiled, now).map_err(Refused::unfit)?;
    Ok(Json(shown))
}

pub async fn remove(
    State(shared): Api,
    Path((id, dial)): Path<(String, String)>,
) -> Result<Json<Value>, Refused> {
    let partner = super::partner(&shared, &id)?;
    if partner.runtime.remove_dial(&dial) {
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
