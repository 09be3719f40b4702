//! Recordings over the admin API: started, looked at, finished into a draft, forgotten.
mod registry;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use qiao_mappings::units;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Api, DELETE, GET, POST, Refused, routes::Routes};
use crate::{
    record::{MAX_EXCHANGES, RecordSettings, Recorder},
    server::Shared,
};
pub use registry::Recordings;
use registry::Running;

/// How long a recording listens unless it says.
const DEFAULT_FOR: Duration = Duration::from_secs(30 * 60);
/// How long it may listen, and how long what it heard is kept in memory at most.
const MAX_FOR: Duration = Duration::from_secs(24 * 3600);
/// Answers at hand when a recording is finished have this long to end.
const DRAIN: Duration = Duration::from_secs(5);

/// The operations below `/api/mocks/recordings`.
pub fn routes(routes: Routes) -> Routes {
    routes
        .on(GET, "/api/mocks/recordings", list)
        .on(POST, "/api/mocks/recordings", start)
        .on(GET, "/api/mocks/recordings/{recording}", one)
        .on(DELETE, "/api/mocks/recordings/{recording}", forget)
        .on(POST, "/api/mocks/recordings/{recording}/finish", finish)
}

/// What is recorded.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Wanted {
    /// Origin: loopback, or among the hosts that pushes may go to.
    target: String,
    /// Address on loopback; a free port when left out.
    #[serde(default)]
    listen: Option<SocketAddr>,
    /// Id of the draft.
    partner: String,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    select: Option<String>,
    #[serde(default)]
    seed: Option<u64>,
    #[serde(default)]
    max: Option<usize>,
    /// How long it listens; 30m when left out, 24h at most.
    #[serde(default, rename = "for")]
    lasting: Option<units::Duration>,
}

async fn start(State(shared): Api, Json(wanted): Json<Wanted>) -> Result<(StatusCode, Json<Value>), Refused> {
    let lasting = wanted.lasting.map_or(DEFAULT_FOR, |lasting| lasting.0);
    if lasting.is_zero() || lasting > MAX_FOR {
        return Err(Refused::unfit("for: 1s to 24h"));
    }
    shared.sender.allows(&wanted.target).map_err(|why| Refused::unfit(format!("target: {why}")))?;
    let mut settings = RecordSettings::new(wanted.target, wanted.partner);
    settings.title = wanted.title;
    settings.select = wanted.select;
    settings.seed = wanted.seed;
    settings.max = wanted.max.unwrap_or(MAX_EXCHANGES);
    settings.listen = wanted.listen.unwrap_or(settings.listen);
    let place = shared
        .recordings
        .reserve()
        .ok_or_else(|| Refused::busy("four recordings are known already: finish or delete one"))?;
    let recorder = Recorder::start(settings).await.map_err(Refused::unfit)?;
    let running = place.fill(recorder);
    let weak = Arc::downgrade(&shared);
    let id = running.id;
    tokio::spawn(async move {
        tokio::time::sleep(lasting).await;
        if let Some(shared) = weak.upgrade()
            && let Some(running) = shared.recordings.get(id)
        {
            running.recorder.stop(DRAIN).await;
        }
        tokio::time::sleep(MAX_FOR.saturating_sub(lasting)).await;
        if let Some(shared) = weak.upgrade() {
            shared.recordings.remove(id);
        }
    });
    Ok((StatusCode::CREATED, Json(shown(&running))))
}

fn shown(running: &Running) -> Value {
    let settings = running.recorder.settings();
    json!({
        "id": running.id,
        "address": running.recorder.address(),
        "target": settings.target,
        "partner": settings.partner,
        "counts": running.recorder.counts(),
    })
}

async fn list(State(shared): Api) -> Json<Value> {
    Json(json!({"recordings": shared.recordings.list().iter().map(|one| shown(one)).collect::<Vec<_>>()}))
}

fn known(shared: &Shared, id: u64) -> Result<Arc<Running>, Refused> {
    shared.recordings.get(id).ok_or_else(|| Refused::not_found(format!("there is no recording {id}")))
}

async fn one(State(shared): Api, Path(id): Path<u64>) -> Result<Json<Value>, Refused> {
    Ok(Json(shown(&*known(&shared, id)?)))
}

/// Stops it, and gives the draft's files as texts with the replay report. What was heard is forgotten then; where nothing was
/// heard, the recording is gone as well.
async fn finish(State(shared): Api, Path(id): Path<u64>) -> Result<Json<Value>, Refused> {
    let running = known(&shared, id)?;
    shared.recordings.remove(id);
    running.recorder.stop(DRAIN).await;
    // Compiling and replaying may take seconds: not on a thread that serves.
    let made = tokio::task::spawn_blocking(move || running.recorder.finish()).await;
    let recorded = match made {
        Ok(Ok(recorded)) => recorded,
        Ok(Err(why)) => return Err(Refused::unfit(why)),
        Err(_) => return Err(Refused::broken("the draft broke off")),
    };
    let text = |bytes: &Vec<u8>| Value::from(String::from_utf8_lossy(bytes).into_owned());
    let files: Map<String, Value> =
        recorded.files.iter().map(|(name, bytes)| (name.clone(), text(bytes))).collect();
    Ok(Json(json!({"partner": recorded.partner, "files": files, "replay": recorded.replay})))
}

/// Stops it and forgets what was heard.
async fn forget(State(shared): Api, Path(id): Path<u64>) -> Result<Json<Value>, Refused> {
    let running = known(&shared, id)?;
    shared.recordings.remove(id);
    running.recorder.stop(Duration::ZERO).await;
    Ok(Json(json!({"forgotten": id, "counts": running.recorder.counts()})))
}
