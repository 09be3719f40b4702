//! Mock partners without a bus: for testers who share them between nodes.
use std::time::Duration;

use axum::middleware;
use qiao_mocks::{MockConfig, MockServer, admin_router};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    acts::{MACHINE, Who},
    admin::door::{Door, token_needed},
    config::MocksOnlyConfig,
    gateway,
    node::NodeError,
    secrets, unseal,
};

/// Serves until SIGTERM or SIGINT; SIGHUP reloads.
pub async fn run(config: MocksOnlyConfig) -> Result<(), NodeError> {
    std::fs::create_dir_all(&config.data)
        .map_err(|error| NodeError::unusable(config.data.display(), error))?;
    let token = secrets::admin_token(&config.data)?;
    let vault = unseal::open(&config.vault)?;
    let settings = MockConfig { watch: true, ..config.mocks.server(None, &vault)? };
    let mocks =
        MockServer::start(settings, vault).map_err(|error| NodeError::unusable("mock partners", error))?;
    let admin = gateway::bind(config.admin.listen)
        .map_err(|error| NodeError::unusable(config.admin.listen, error))?;
    let known = move |given: &[u8]| secrets::same(token.as_bytes(), given).then(|| Who(MACHINE.into()));
    let door = Door::new(known, "the one in admin-token in the data folder");
    let router = admin_router(&mocks).layer(middleware::from_fn_with_state(door, token_needed));
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
