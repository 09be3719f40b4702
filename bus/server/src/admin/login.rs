//! Logging in at the admin API. Every try is recorded: who, when, from where, whether it succeeded.
use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::{ConnectInfo, DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use qiao_core::{Clock, Outcome, SystemClock};
use serde::Deserialize;
use serde_json::json;

use crate::{
    acts,
    login::{ABSOLUTE, IDLE, Refused},
    node::Node,
};

/// Names of operators are at most this long.
const MOST_NAME: usize = 64;

/// Needs no token: it is how one gets one.
pub fn router(node: Arc<Node>) -> Router {
    Router::new()
        .route("/api/login/challenge", post(challenge))
        .route("/api/login", post(login))
        .route("/api/logout", post(logout))
        .layer(DefaultBodyLimit::max(4 << 10))
        .with_state(node)
}

/// Unix seconds.
pub fn now() -> i64 {
    SystemClock.now_us() / 1_000_000
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    operator: String,
}

async fn challenge(State(node): State<Arc<Node>>, Json(asked): Json<Asked>) -> Response {
    if asked.operator.len() > MOST_NAME {
        return refused(&Refused::No);
    }
    match node.logins.challenge(&asked.operator, now()) {
        Ok(challenge) => Json(json!({
            "challenge": challenge,
            "sign": "SM2 with SM3 over the challenge as it stands, id 1234567812345678, r and s in hex",
            "seconds": qiao_vault::challenge::CHALLENGE_LIFE,
        }))
        .into_response(),
        Err(why) => refused(&why),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    operator: String,
    challenge: String,
    signature: String,
}

async fn login(
    State(node): State<Arc<Node>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Json(signed): Json<Signed>,
) -> Response {
    if signed.operator.len() > MOST_NAME {
        return refused(&Refused::No);
    }
    let result = node.logins.login(&signed.operator, &signed.challenge, &signed.signature, now());
    if result == Err(Refused::Busy) {
        // A flood of tries must not fill the log.
        return refused(&Refused::Busy);
    }
    let (outcome, status) = match &result {
        Ok(_) => (Outcome::Ok, StatusCode::OK),
        Err(why) => (Outcome::Denied, status(why)),
    };
    let record =
        acts::record("login", &signed.operator, outcome, status.as_u16(), &format!("from {}", from.ip()));
    // A try that cannot be recorded is counted by the recorder; nobody is locked out of a node whose disk is full.
    let _kept: qiao_core::Recorded = node.recorder.record(record).await;
    match result {
        Ok(token) => {
            Json(json!({"token": token, "idleSeconds": IDLE, "mostSeconds": ABSOLUTE})).into_response()
        }
        Err(why) => refused(&why),
    }
}

async fn logout(State(node): State<Arc<Node>>, headers: HeaderMap) -> StatusCode {
    if let Some(token) = super::bearer(&headers) {
        node.logins.logout(token);
    }
    StatusCode::NO_CONTENT
}

fn status(why: &Refused) -> StatusCode {
    match why {
        Refused::No => StatusCode::UNAUTHORIZED,
        Refused::Busy => StatusCode::TOO_MANY_REQUESTS,
        Refused::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn refused(why: &Refused) -> Response {
    (status(why), Json(json!({"error": why.to_string()}))).into_response()
}
