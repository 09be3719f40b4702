//! Mock partners without a bus: for testers who share them between nodes.
use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use qiao_mocks::{MockConfig, MockServer, admin_router};
use tokio::signal::unix::{SignalKind, signal};

use crate::{config::MocksOnlyConfig, gateway, node::NodeError, secrets, unseal};

/// Serves until SIGTERM or SIGINT; SIGHUP reloads.
pub async fn run(config: MocksOnlyConfig) -> Result<(), NodeError> {
    std::fs::create_dir_all(&config.data)
        .map_err(|error| NodeError::unusable(config.data.display(), error))?;
    let token = Arc::new(secrets::admin_token(&config.data)?);
    let vault = unseal::open(&config.vault)?;
    let settings = MockConfig { watch: true, ..config.mocks.server(None, &vault)? };
    let mocks =
        MockServer::start(settings, vault).map_err(|error| NodeError::unusable("mock partners", error))?;
    let admin = gateway::bind(config.admin.listen)
        .map_err(|error| NodeError::unusable(config.admin.listen, error))?;
    let router = admin_router(&mocks).layer(middleware::from_fn_with_state(token, token_needed));
    let serving = tokio::spawn(async move { axum::serve(admin, router).await });
    tracing::info!(mocks = %mocks.addr(), admin = %config.admin.listen, "mock partners are serving");
    let on = |kind| signal(kind).map_err(|error| NodeError::unusable("signals", error));
    let (mut terminate, mut interrupt, mut hangup) =
        (on(SignalKind::terminate())?, on(SignalKind::interrupt())?, on(SignalKind::hangup())?);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {
                for mistake in mocks.reload().err().unwrap_or_default() {
                    tracing::error!(%mistake, "mock partners refused, the old ones stay");
                }
            }
        }
    }
    serving.abort();
    mocks.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

/// Lets in who knows the token.
pub async fn token_needed(State(token): State<Arc<String>>, request: Request, next: Next) -> Response {
    let given = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    if given.is_some_and(|given| secrets::same(token.as_bytes(), given)) {
        return next.run(request).await;
    }
    let text = "the admin API needs `Authorization: Bearer <token>`; the token stands in admin-token in the data folder";
    (StatusCode::UNAUTHORIZED, Json(serde_json::json!({"error": text}))).into_response()
}
