//! One bus node: vault, store, connectors, the active plan, and the reload that replaces it. Listeners are in `serve`.
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use qiao_core::{Recorder, Store};
use qiao_engine::{
    check, load,
    partner::BreakerState,
    plan::{self, CompileContext},
};
use qiao_mappings::strict::Mistake;
use qiao_store::{CheckpointKey, Embedded, EmbeddedConfig, SyncPolicy};
use qiao_vault::{Unsealing, Vault};

use crate::{
    active::{Active, ActiveSlot},
    config::{Config, ConfigError, RecordConfig, SyncName},
    factory::Connectors,
    gateway::GatewayStats,
    housekeeping,
    integrity::{self, IntegrityProblem},
    keeper::Keeper,
    login::Logins,
    metrics::Metrics,
    needed_keys,
    no_record::NoRecorder,
    once::CallerMemory,
    secrets::{self, SecretsError},
    transport::Transport,
};

/// A node that could not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("refusing to start: {0}")]
    Integrity(#[from] IntegrityProblem),
    #[error("{place}: {reason}")]
    Unusable { place: String, reason: String },
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    #[error("{}", mistakes(.0))]
    Definitions(Vec<Mistake>),
}

impl NodeError {
    pub fn unusable(place: impl ToString, reason: impl ToString) -> Self {
        Self::Unusable { place: place.to_string(), reason: reason.to_string() }
    }
}

fn mistakes(list: &[Mistake]) -> String {
    let lines: Vec<_> = list.iter().map(ToString::to_string).collect();
    format!("{}\n{} mistake(s); nothing was changed", lines.join("\n"), list.len())
}

/// The parts of a node that outlive a plan.
pub struct Node {
    pub config: Config,
    pub vault: Vault,
    /// Shares given so far and failed tries, while the vault is sealed.
    pub unsealing: Unsealing,
    /// What commands seal secrets for.
    pub transport: Transport,
    pub metrics: Arc<Metrics>,
    pub active: Arc<ActiveSlot>,
    pub connectors: Arc<Connectors>,
    pub recorder: Arc<dyn Recorder>,
    pub keeper: Arc<Keeper>,
    /// Nonces and answers of callers; outlives plans.
    pub memory: Arc<CallerMemory>,
    /// Operators at the admin API.
    pub logins: Logins,
    embedded: Embedded,
    token: String,
    draining: AtomicBool,
    /// Sealed only because the device that opens the vault did not answer at the start.
    device_awaited: AtomicBool,
    /// Held for the length of a reload: one at a time, numbers in order.
    last_number: Mutex<u64>,
    scraping: Mutex<()>,
    pub gateway: Mutex<Option<Arc<GatewayStats>>>,
}

impl Node {
    /// Opens the store; no plan is active yet, and the vault may be sealed.
    pub fn open(config: Config, vault: Vault) -> Result<Self, NodeError> {
        std::fs::create_dir_all(&config.data)
            .map_err(|error| NodeError::unusable(config.data.display(), error))?;
        let token = secrets::admin_token(&config.data)?;
        let embedded = qiao_store::open_embedded(record_config(&config.data, &config.record, &vault))
            .map_err(|error| NodeError::unusable("the call store", error))?;
        let recorder: Arc<dyn Recorder> =
            if config.record.enabled { embedded.recorder.clone() } else { Arc::new(NoRecorder) };
        let definitions = &config.definitions;
        let connectors = Connectors::new(
            definitions.endpoints,
            definitions.mock_base.clone(),
            definitions.folder.clone(),
            vault.clone(),
        );
        let metrics = Metrics::new().map_err(|error| NodeError::unusable("the metrics", error))?;
        let transport = Transport::new().map_err(|error| NodeError::unusable("the vault", error))?;
        let keeper = Arc::new(Keeper::new(&vault));
        let logins = Logins::new(&vault);
        Ok(Self {
            vault,
            unsealing: Unsealing::default(),
            transport,
            metrics: Arc::new(metrics),
            active: Arc::default(),
            connectors: Arc::new(connectors),
            recorder,
            keeper,
            memory: Arc::default(),
            logins,
            embedded,
            token,
            draining: AtomicBool::new(false),
            device_awaited: AtomicBool::new(false),
            last_number: Mutex::new(0),
            scraping: Mutex::new(()),
            gateway: Mutex::new(None),
            config,
        })
    }

    pub fn active(&self) -> Option<Arc<Active>> {
        self.active.load()
    }

    pub fn store(&self) -> &dyn Store {
        &*self.embedded.store
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the vault is to be opened once its device is back.
    pub fn waits_for_device(&self) -> bool {
        self.device_awaited.load(Ordering::Relaxed)
    }

    pub fn wait_for_device(&self) {
        self.device_awaited.store(true, Ordering::Relaxed);
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    /// Compares in constant time.
    pub fn token_matches(&self, given: &[u8]) -> bool {
        secrets::same(self.token.as_bytes(), given)
    }

    /// Reads keys and definitions again, checks and compiles, and swaps the whole plan. With a mistake, the old plan stays.
    pub fn reload(&self) -> Result<u64, Vec<Mistake>> {
        let mut last_number = self.last_number.lock();
        if let Err(error) = self.vault.reload() {
            tracing::error!(%error, "the keys were not read again, the known ones stay");
        }
        self.connectors.discard();
        let result = self.compile(*last_number + 1);
        match result {
            Ok(active) => {
                *last_number += 1;
                self.connectors.adopt(|id| active.plan.systems().any(|system| &*system.id == id));
                self.metrics.plan.set(i64::try_from(*last_number).unwrap_or(i64::MAX));
                self.metrics.reloads.with_label_values(&["active"]).inc();
                self.active.store(Arc::new(active));
                tracing::info!(plan = *last_number, "plan is active");
                Ok(*last_number)
            }
            Err(mistakes) => {
                self.connectors.discard();
                self.metrics.reloads.with_label_values(&["refused"]).inc();
                for mistake in &mistakes {
                    tracing::error!(%mistake, "definitions refused, the old plan stays");
                }
                Err(mistakes)
            }
        }
    }

    fn compile(&self, number: u64) -> Result<Active, Vec<Mistake>> {
        let loaded = load::load_with(&self.config.definitions.folder, |files| {
            let mut mistakes = integrity::missing_keys(&self.config, &self.vault);
            mistakes.extend(integrity::of_definitions(&self.config, &self.vault, files));
            mistakes
        });
        let previous = self.active();
        let context = CompileContext {
            vault: &self.vault,
            connectors: &*self.connectors,
            previous: previous.as_ref().map(|active| &*active.plan),
            number,
        };
        let review = check::review(&loaded, |definitions| plan::compile(definitions, &context));
        match review.plan {
            Some(plan) => Ok(Active::new(plan, &self.metrics, previous.as_deref())),
            None => Err(review.mistakes),
        }
    }

    /// The metrics for Prometheus and their content type, with gauges brought up to date first. One scrape at a time.
    pub fn render_metrics(&self) -> Result<(Vec<u8>, String), prometheus::Error> {
        let _alone = self.scraping.lock();
        self.refresh_gauges();
        self.metrics.render()
    }

    /// Forgets every key; calls are refused from here on, until operators unseal the vault again.
    pub fn seal(&self) {
        self.device_awaited.store(false, Ordering::Relaxed);
        self.vault.seal();
        self.unsealing.forget();
        tracing::warn!("the vault was sealed: calls are refused until it is unsealed");
    }

    /// Brings the gauges up to date; called before they are scraped.
    fn refresh_gauges(&self) {
        let metrics = &self.metrics;
        housekeeping::refresh_gauges(self);
        // Systems that the plan no longer has must not be shown for ever.
        for gauges in
            [&metrics.breaker, &metrics.partner_active, &metrics.partner_waiting, &metrics.endpoint_up]
        {
            gauges.reset();
        }
        let gauge = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        if let Some(active) = self.active() {
            for state in active.plan.partner_states() {
                let breaker = match state.breaker {
                    BreakerState::Closed => 0,
                    BreakerState::HalfOpen => 1,
                    BreakerState::Open => 2,
                };
                self.metrics.breaker.with_label_values(&[&*state.system]).set(breaker);
                self.metrics
                    .partner_active
                    .with_label_values(&[&*state.system])
                    .set(i64::from(state.concurrent));
                self.metrics
                    .partner_waiting
                    .with_label_values(&[&*state.system])
                    .set(i64::from(state.waiting));
            }
        }
        for (system, endpoint) in self.connectors.health() {
            let up = i64::from(endpoint.healthy);
            self.metrics.endpoint_up.with_label_values(&[system.as_str(), &*endpoint.endpoint]).set(up);
        }
        let counters = self.embedded.recorder.counters();
        self.metrics.record_appended.set(gauge(counters.appended));
        self.metrics.record_lost.set(gauge(counters.lost));
        self.metrics.record_unshipped.set(gauge(counters.unshipped_records));
        self.metrics.record_disk_bytes.set(gauge(counters.disk_bytes));
        self.metrics.record_ship_errors.set(gauge(counters.ship_errors));
        self.metrics.record_checkpoints.set(gauge(counters.checkpoints));
        self.metrics.record_checkpoint_errors.set(gauge(counters.checkpoint_errors));
        if let Some(stats) = &*self.gateway.lock() {
            self.metrics.connections.set(gauge(stats.connections()));
        }
    }

    /// Ships and syncs what is recorded; the last thing a node does.
    pub async fn close(&self, within: Duration) {
        self.connectors.drain();
        let report = self.embedded.close(within).await;
        if !report.shipped_all {
            tracing::warn!(
                bytes = report.unshipped_bytes,
                "records are in the local log, the store takes them at the next start"
            );
        }
    }
}

fn record_config(data: &Path, record: &RecordConfig, vault: &Vault) -> EmbeddedConfig {
    let mut config = EmbeddedConfig::new(PathBuf::from(data));
    let key = needed_keys::own_key(needed_keys::AUDIT_SIGN);
    config.recorder.checkpoints = record.enabled.then(|| CheckpointKey::new(vault.key(&key)));
    if let Some(bytes) = record.segment_bytes {
        config.recorder.segment_bytes = bytes.0;
    }
    if let Some(bytes) = record.budget {
        config.recorder.budget_bytes = bytes.0;
    }
    if record.sync == Some(SyncName::Each) {
        config.recorder.sync = SyncPolicy::Each;
    }
    config
}
