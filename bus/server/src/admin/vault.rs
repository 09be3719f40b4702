//! The vault in the admin API: its state, unsealing and sealing, and every action on keys. Secrets come sealed for the node's
//! transport pair.
use std::{sync::Arc, time::Instant};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use qiao_mappings::strict::Mistake;
use qiao_vault::{
    Control, DeviceStatus, LockForm, Progress, RootSecret, UnsealError, VaultError, VaultState, Zeroizing,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    key_actions::{KeyAction, perform},
    node::Node,
};

/// A request about keys is at most this long.
const MOST: usize = 64 << 10;

pub fn router(node: Arc<Node>) -> Router {
    Router::new()
        .route("/api/vault", get(status))
        .route("/api/vault/unseal", post(unseal))
        .route("/api/vault/start-over", post(start_over))
        .route("/api/vault/seal", post(seal))
        .route("/api/keys", post(keys))
        .layer(DefaultBodyLimit::max(MOST))
        .with_state(node)
}

/// What may be told about the vault, sealed or not.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VaultStatus {
    pub state: VaultState,
    pub control: Control,
    pub locks: Vec<LockForm>,
    pub progress: Progress,
    /// What secrets for this node are sealed for: 04, x, y in hex.
    pub transport: String,
    /// How the devices that hold keys are doing.
    #[serde(default)]
    pub devices: Vec<DeviceStatus>,
}

/// One try to unseal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct UnsealTry {
    pub with: UnsealWith,
    /// The secret, sealed for the node's transport pair.
    pub sealed: String,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UnsealWith {
    Passphrase,
    KeyFile,
    /// One custodian's.
    Share,
}

/// What a try led to.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unsealed {
    pub progress: Progress,
    /// The active plan's number, once unsealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<u64>,
    /// Why there is no plan, though the vault is unsealed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mistakes: Vec<String>,
}

async fn status(State(node): State<Arc<Node>>) -> Response {
    blocking(move || {
        let (vault, progress) = (&node.vault, node.unsealing.progress(&node.vault)?);
        let (state, control, locks) = (vault.state()?, vault.control()?, vault.locks()?);
        let transport = node.transport.public().to_owned();
        let devices = node.vault.devices();
        let status = VaultStatus { state, control, locks, progress, transport, devices };
        Ok::<_, UnsealError>(Json(status).into_response())
    })
    .await
}

async fn unseal(State(node): State<Arc<Node>>, Json(attempt): Json<UnsealTry>) -> Response {
    blocking(move || {
        if node.vault.is_unsealed() {
            let progress = node.unsealing.progress(&node.vault)?;
            return Ok(Json(Unsealed { progress, plan: None, mistakes: Vec::new() }).into_response());
        }
        let result = attempt_unsealing(&node, &attempt);
        match &result {
            Ok(progress) if progress.unsealed => {
                tracing::warn!(with = ?attempt.with, "the vault was unsealed")
            }
            Ok(progress) => {
                tracing::info!(given = progress.given, needed = progress.needed, "a share was given")
            }
            Err(error) => tracing::warn!(with = ?attempt.with, %error, "a try to unseal failed"),
        }
        let progress = result?;
        let (plan, mistakes) = match progress.unsealed.then(|| node.reload()) {
            None => (None, Vec::new()),
            Some(Ok(plan)) => (Some(plan), Vec::new()),
            Some(Err(mistakes)) => (None, mistakes.iter().map(Mistake::to_string).collect()),
        };
        Ok::<_, UnsealError>(Json(Unsealed { progress, plan, mistakes }).into_response())
    })
    .await
}

fn attempt_unsealing(node: &Node, attempt: &UnsealTry) -> Result<Progress, UnsealError> {
    let secret = node.transport.open(&attempt.sealed)?;
    let text = || {
        let text =
            std::str::from_utf8(&secret).map_err(|_| VaultError::Invalid { what: "this is no text".into() });
        text.map(|text| Zeroizing::new(text.to_owned()))
    };
    match attempt.with {
        UnsealWith::Share => node.unsealing.share(&node.vault, &text()?, Instant::now()),
        UnsealWith::Passphrase => {
            let root = RootSecret::passphrase(&*text()?);
            node.unsealing.secret(&node.vault, &root, Instant::now())
        }
        UnsealWith::KeyFile => {
            node.unsealing.secret(&node.vault, &RootSecret::KeyFile(secret), Instant::now())
        }
    }
}

/// Drops the shares given so far.
async fn start_over(State(node): State<Arc<Node>>) -> Json<serde_json::Value> {
    node.unsealing.forget();
    Json(json!({"given": 0}))
}

async fn seal(State(node): State<Arc<Node>>) -> Response {
    blocking(move || {
        node.seal();
        Ok::<_, UnsealError>(Json(json!({"state": VaultState::Sealed})).into_response())
    })
    .await
}

async fn keys(State(node): State<Arc<Node>>, Json(action): Json<KeyAction>) -> Response {
    blocking(move || {
        let outcome = perform(&node.vault, &action, &node.transport)?;
        if action.changes() {
            tracing::info!(action = action.describe(), "keys were changed through the admin API");
        }
        Ok::<_, UnsealError>(Json(outcome).into_response())
    })
    .await
}

/// The vault reads files and stretches passphrases: not on the threads that serve.
async fn blocking(run: impl FnOnce() -> Result<Response, UnsealError> + Send + 'static) -> Response {
    match tokio::task::spawn_blocking(run).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => refusal(&error),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({"error": error.to_string()}))).into_response()
        }
    }
}

fn refusal(error: &UnsealError) -> Response {
    let status = match error {
        UnsealError::TooSoon { .. } => StatusCode::TOO_MANY_REQUESTS,
        UnsealError::ShareRefused | UnsealError::SharesWrong | UnsealError::Vault(VaultError::WrongRoot) => {
            StatusCode::FORBIDDEN
        }
        UnsealError::Vault(VaultError::Sealed | VaultError::Storage(_)) => StatusCode::SERVICE_UNAVAILABLE,
        UnsealError::Vault(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let mut response = (status, Json(json!({"error": error.to_string()}))).into_response();
    if let UnsealError::TooSoon { wait } = error {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    }
    response
}
