//! Runs a node: gateway, admin listener, mock partners, reloads, signals, and an end that cuts no call off.
use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    admin,
    config::{Config, GatewayConfig},
    gateway::{self, Drained, Gateway, GatewayLimits, Tls},
    handler::BusHandler,
    housekeeping, integrity,
    node::{Node, NodeError},
    observe::Observer,
    running::{self, RunFile},
    unseal,
    watch::Watch,
};

/// How long the end of a node may take after its last call: shipping records, closing listeners.
const CLOSING: Duration = Duration::from_secs(10);
const GRACE: Duration = Duration::from_secs(30);

/// The signals of a node. Caught from before it starts: a SIGHUP that comes early must not end it.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Inside a tokio runtime.
    pub fn new() -> Result<Self, NodeError> {
        let on = |kind| signal(kind).map_err(|error| NodeError::unusable("signals", error));
        let (terminate, interrupt) = (on(SignalKind::terminate())?, on(SignalKind::interrupt())?);
        Ok(Self { terminate, interrupt, hangup: on(SignalKind::hangup())? })
    }
}

/// A node whose listeners are open.
pub struct Running {
    pub node: Arc<Node>,
    /// Begun before the definitions were first read, so that no change falls between.
    watch: Option<Watch>,
    pub gateway: SocketAddr,
    pub admin: SocketAddr,
    pub mocks: Option<qiao_mocks::MockServer>,
    tls: Option<Tls>,
    gateway_task: JoinHandle<Drained>,
    admin_task: JoinHandle<()>,
    drain: CancellationToken,
    force: CancellationToken,
    admin_stop: CancellationToken,
}

impl Running {
    /// Opens everything. Fails, with every mistake, when the first plan cannot be made active; a node whose vault is sealed makes
    /// it once operators unsealed it.
    pub async fn start(config: Config, observer: Option<Arc<dyn Observer>>) -> Result<Self, NodeError> {
        integrity::at_start(&config)?;
        let (vault, waits) = unseal::start_or_wait(&config.vault)?;
        let mocks = start_mocks(&config, &vault)?;
        let mut config = config;
        if let Some(mocks) = &mocks
            && config.definitions.mock_base.is_none()
        {
            config.definitions.mock_base = Some(format!("http://{}", mocks.addr()));
        }
        let watch = watch(&config)?;
        let node = Arc::new(Node::open(config, vault)?);
        if waits {
            node.wait_for_device();
        }
        if node.vault.is_unsealed() {
            let compiling = Arc::clone(&node);
            let compiled = tokio::task::spawn_blocking(move || compiling.reload()).await;
            compiled
                .map_err(|error| NodeError::unusable("the definitions", error))?
                .map_err(NodeError::Definitions)?;
        }
        Self::listen(node, watch, mocks, observer).await
    }

    async fn listen(
        node: Arc<Node>,
        watch: Option<Watch>,
        mocks: Option<qiao_mocks::MockServer>,
        observer: Option<Arc<dyn Observer>>,
    ) -> Result<Self, NodeError> {
        let (drain, force, admin_stop) =
            (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
        let settings = &node.config.gateway;
        let tls = tls(settings)?;
        let listener = bind(settings.listen)?;
        let gateway_address =
            listener.local_addr().map_err(|error| NodeError::unusable(settings.listen, error))?;
        let handler = BusHandler {
            active: Arc::clone(&node.active),
            vault: node.vault.clone(),
            recorder: Arc::clone(&node.recorder),
            metrics: Arc::clone(&node.metrics),
            keeper: Arc::clone(&node.keeper),
            memory: Arc::clone(&node.memory),
            observer,
        };
        let mut gateway = Gateway::new(Arc::new(handler), Arc::new(limits(settings)));
        if let Some(tls) = &tls {
            gateway = gateway.with_tls(tls.clone());
        }
        *node.gateway.lock() = Some(gateway.stats());
        let gateway_task = tokio::spawn(gateway.serve(listener, drain.clone(), force.clone()));

        let listener = bind(node.config.admin.listen)?;
        let admin_address =
            listener.local_addr().map_err(|error| NodeError::unusable(node.config.admin.listen, error))?;
        let router = admin::router(Arc::clone(&node), mocks.as_ref().map(qiao_mocks::admin_router));
        let stop = admin_stop.clone().cancelled_owned();
        let admin_task = tokio::spawn(async move {
            if let Err(error) =
                axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>())
                    .with_graceful_shutdown(stop)
                    .await
            {
                tracing::error!(%error, "the admin listener ended");
            }
        });
        tokio::spawn(housekeeping::run(Arc::clone(&node), admin_stop.clone()));
        if node.waits_for_device() {
            tokio::spawn(unseal::when_the_device_is_back(Arc::clone(&node), admin_stop.clone()));
        }
        let running = Self {
            node,
            watch,
            gateway: gateway_address,
            admin: admin_address,
            mocks,
            tls,
            gateway_task,
            admin_task,
            drain,
            force,
            admin_stop,
        };
        running.write_run_file()?;
        Ok(running)
    }

    fn write_run_file(&self) -> Result<(), NodeError> {
        let config = &self.node.config;
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let file = RunFile {
            process: std::process::id(),
            gateway: format!("{scheme}://{}", self.gateway),
            admin: format!("http://{}", self.admin),
            token: self.node.token().to_owned(),
            definitions: config.definitions.folder.clone(),
            vault: config.vault.clone(),
            certificate: config.gateway.certificate.clone(),
            name: config.gateway.name.clone(),
        };
        running::write(&config.data, &file).map_err(|error| NodeError::unusable(config.data.display(), error))
    }

    /// Reloads definitions, certificates and mock partners. What cannot be used is logged and stays as it was.
    pub async fn reload(&self) {
        if !self.node.vault.is_unsealed() {
            tracing::warn!("the vault is sealed: nothing is read before it is unsealed");
            return;
        }
        let node = Arc::clone(&self.node);
        let reloaded = tokio::task::spawn_blocking(move || node.reload().is_ok()).await;
        if let Err(error) = reloaded {
            tracing::error!(%error, "the reload ended early, the old plan stays");
        }
        if let Some(tls) = &self.tls
            && let Err(error) = tls.reload()
        {
            tracing::error!(%error, "the certificate was not reloaded, the old one stays");
        }
        if let Some(mocks) = &self.mocks
            && let Err(mistakes) = mocks.reload()
        {
            for mistake in mistakes {
                tracing::error!(%mistake, "mock partners refused, the old ones stay");
            }
        }
    }

    /// Serves until SIGTERM or SIGINT, then drains.
    pub async fn run(mut self, signals: Signals) -> Result<(), NodeError> {
        let Signals { mut terminate, mut interrupt, mut hangup } = signals;
        let mut watch = self.watch.take();
        loop {
            let changed = async {
                match &mut watch {
                    Some(watch) => watch.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangup.recv() => self.reload().await,
                () = changed => self.reload().await,
            }
        }
        let again = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        self.stop(again).await;
        Ok(())
    }

    /// Stop accepting, drain, then force at the end of the grace period or when told again.
    pub async fn stop(self, force_now: impl Future<Output = ()>) {
        let grace = self.node.config.grace.map_or(GRACE, |grace| grace.0);
        self.node.start_draining();
        self.drain.cancel();
        tracing::info!(grace_ms = grace.as_millis(), "draining");
        let mut gateway = self.gateway_task;
        tokio::select! {
            _ = &mut gateway => {}
            () = tokio::time::sleep(grace) => force(&self.force, gateway).await,
            () = force_now => force(&self.force, gateway).await,
        }
        self.admin_stop.cancel();
        let closing = async {
            self.node.close(CLOSING).await;
            if let Some(mocks) = self.mocks {
                mocks.shutdown(Duration::from_secs(1)).await;
            }
            self.admin_task.abort();
            drop(self.admin_task.await);
        };
        if tokio::time::timeout(CLOSING * 2, closing).await.is_err() {
            tracing::error!("closing took too long");
        }
        running::remove(&self.node.config.data);
        tracing::info!("stopped");
    }
}

/// Cuts off the calls that outlast the grace period.
async fn force(token: &CancellationToken, gateway: JoinHandle<Drained>) {
    token.cancel();
    match tokio::time::timeout(CLOSING, gateway).await {
        Ok(Ok(drained)) => tracing::warn!(
            forced = drained.forced,
            finished = drained.finished,
            "connections were cut off at the end of the grace period"
        ),
        _ => tracing::error!("the gateway did not end after it was forced to"),
    }
}

fn bind(address: SocketAddr) -> Result<TcpListener, NodeError> {
    gateway::bind(address).map_err(|error| {
        NodeError::unusable(address, format!("cannot listen: {error}; is another node running there? Choose another address in the settings"))
    })
}

fn tls(settings: &GatewayConfig) -> Result<Option<Tls>, NodeError> {
    let (Some(certificate), Some(key)) = (&settings.certificate, &settings.key) else { return Ok(None) };
    Tls::from_files(certificate, key)
        .map(Some)
        .map_err(|error| NodeError::unusable("gateway certificate", error))
}

fn limits(settings: &GatewayConfig) -> GatewayLimits {
    let mut limits = GatewayLimits::default();
    if let Some(connections) = settings.connections {
        limits.connections = connections;
    }
    if let Some(bytes) = settings.header_bytes {
        limits.header_bytes = usize::try_from(bytes.0).unwrap_or(usize::MAX);
    }
    if let Some(time) = settings.header_read {
        limits.header_read = time.0;
    }
    if let Some(time) = settings.body_idle {
        limits.body_idle = time.0;
    }
    if let Some(time) = settings.keep_alive {
        limits.keep_alive_idle = time.0;
    }
    limits
}

/// Watches the definitions, where the settings ask for it.
fn watch(config: &Config) -> Result<Option<Watch>, NodeError> {
    let folder = &config.definitions.folder;
    let watched = config.definitions.watch.then(|| Watch::new(folder)).transpose();
    watched.map_err(|error| NodeError::unusable(folder.display(), error))
}

fn start_mocks(
    config: &Config,
    vault: &qiao_vault::Vault,
) -> Result<Option<qiao_mocks::MockServer>, NodeError> {
    let Some(mocks) = &config.mocks else { return Ok(None) };
    let scheme = if config.gateway.certificate.is_some() { "https" } else { "http" };
    let bus = format!("{scheme}://{}", config.gateway.listen);
    let settings =
        qiao_mocks::MockConfig { watch: config.definitions.watch, ..mocks.server(Some(bus), vault)? };
    let started = qiao_mocks::MockServer::start(settings, vault.clone());
    started.map(Some).map_err(|error| NodeError::unusable("mock partners", error))
}
