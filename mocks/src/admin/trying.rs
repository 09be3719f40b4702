//! A dry run: which stub would answer, what with, and why the nearest others would not. Nothing moves, nothing is journaled.
use std::time::Instant;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, Method},
};
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, Refused};
use crate::{
    decide::{Decision, Setting, decide},
    facts::Incoming,
    matching::explain,
    partner::Listener,
};

/// The request tried.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Trial {
    partner: String,
    /// The first listener when left out.
    #[serde(default)]
    listener: Option<String>,
    /// POST when left out.
    #[serde(default)]
    method: Option<String>,
    /// Below the listener's path, with the query; `/` when left out.
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    headers: IndexMap<String, String>,
    /// A document, encoded by the listener's codec for requests, unsealed.
    #[serde(default)]
    document: Option<Value>,
    /// The body as text, in place of a document.
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    session: Option<String>,
}

pub async fn dry_run(State(shared): Api, Json(trial): Json<Trial>) -> Result<Json<Value>, Refused> {
    let partner = super::partner(&shared, &trial.partner)?;
    let number = match &trial.listener {
        None => 0,
        Some(id) => partner
            .listeners
            .iter()
            .position(|listener| *listener.id == **id)
            .ok_or_else(|| Refused::not_found(format!("there is no listener `{id}`")))?,
    };
    let listener = partner.listeners.get(number);
    let listener = listener.ok_or_else(|| Refused::unfit("the partner has no listener to ask"))?;
    let incoming = incoming(listener, trial)?;
    let session = shared.sessions.get(&incoming.session);
    let overlay = session.as_ref().and_then(|session| session.overlay(&partner.id));
    let ahead_ms = session.as_ref().map_or(0, |session| session.ahead_ms());
    let (now, at_us) = (Instant::now(), shared.clock.now_us());
    let setting = Setting { now, at_us, overlay: overlay.as_deref(), ahead_ms, dry: true };
    let mut shown = view(decide(&partner, number, &incoming, &setting));
    shown["nearest"] = json!(explain::nearest(&partner, overlay.as_deref(), number, &incoming));
    Ok(Json(shown))
}

/// The request as the listener would receive it.
fn incoming(listener: &Listener, trial: Trial) -> Result<Incoming, Refused> {
    let body = match (&trial.document, trial.body) {
        (Some(_), Some(_)) => return Err(Refused::unfit("`document` or `body`, not both")),
        (Some(document), None) => encoded(listener, document)?,
        (None, body) => body.unwrap_or_default().into_bytes(),
    };
    let mut headers = HeaderMap::new();
    for (name, value) in &trial.headers {
        let header = HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes()).ok();
        let (name, value) = header
            .zip(HeaderValue::from_str(value).ok())
            .ok_or_else(|| Refused::unfit(format!("headers: `{name}` is not a header")))?;
        headers.append(name, value);
    }
    let path = trial.path.as_deref().unwrap_or("/");
    let (path, query) =
        path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query.to_owned())));
    let method = Method::from_bytes(trial.method.as_deref().unwrap_or("POST").as_bytes());
    Ok(Incoming {
        method: method.map_err(|_| Refused::unfit("method: not an HTTP method"))?,
        path: path.to_owned(),
        query,
        headers,
        body: body.into(),
        session: trial.session.unwrap_or_default().into(),
    })
}

/// A document as the listener's requests bring it.
fn encoded(listener: &Listener, document: &Value) -> Result<Vec<u8>, Refused> {
    let encoded = match &listener.request.contract {
        None => listener.request.wire.encode(document).map_err(|error| error.to_string()),
        Some(contract) => contract.write_request(document),
    };
    encoded.map_err(|error| Refused::unfit(format!("document: {error}")))
}

fn view(decision: Decision) -> Value {
    let fault = decision
        .applied
        .fault
        .as_ref()
        .map(|fault| format!("{} ({})", fault.kind.name(), decision.applied.origin));
    let answer = decision.answer.map(|answer| {
        let headers: IndexMap<String, String> = answer
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        json!({"status": answer.status, "headers": headers, "body": String::from_utf8_lossy(&answer.body)})
    });
    json!({
        "stub": decision.stub.map(|stub| &*stub.label),
        "item": decision.item,
        "key": decision.key,
        "stateBefore": decision.state_before,
        "stateAfter": decision.state_after,
        "fault": fault,
        "delayMs": u64::try_from(decision.applied.delay.as_millis()).unwrap_or(u64::MAX),
        "answer": answer,
        "problem": decision.problem,
        "writes": decision.writes.and_then(|writes| serde_json::from_str::<Value>(&writes).ok()),
    })
}
