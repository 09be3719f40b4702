//! The mock server: one HTTP/1.1 listener for all partners and sockets for other protocols, on threads of its own, so that a
//! mock fault cannot starve the bus.
pub(crate) mod accept;
mod authority;
mod beforehand;
mod body;
pub(crate) mod carrier;
mod cmpp;
mod connection;
pub(crate) mod diagnosis;
mod own;
mod patience;
pub(crate) mod protocols;
mod queue;
mod serve;
mod sftp;
mod sgip;
mod smgp;
mod sockets;
mod tcp;
pub(crate) mod tls;
mod watch;
mod wire;

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use qiao_mappings::strict::Mistake;
use qiao_vault::{Vault, Zeroizing};
use serde_json::{Map, Value};
use tokio::{
    runtime::Runtime,
    sync::{Semaphore, watch::Sender},
};

use crate::{
    admin::recording::Recordings,
    catalogue::Catalogue,
    clock::Clock,
    journal::{self, Journal},
    partner::Partner,
    pushes::{runs::Runs, send::Sender as PushSender},
    sessions::Sessions,
    timers::Timers,
};
use authority::Authority;
use diagnosis::Diagnosis;
use queue::Queues;
use sockets::Sockets;

/// Verifications that wait at once.
const MAX_VERIFICATIONS: usize = 64;
/// Those who look on at the journal at once.
const MAX_WATCHING: usize = 32;
/// Partners compiled only to be checked, at once.
const MAX_CHECKING: usize = 2;

/// How the mock server runs.
#[derive(Clone, Debug)]
pub struct MockConfig {
    /// Folder with a subfolder per partner.
    pub folder: PathBuf,
    /// Where it listens; port 0 takes a free one.
    pub address: SocketAddr,
    /// Where the protocols beside HTTP listen, on the host of `address`.
    pub ports: Ports,
    /// Threads of its own, 1 to 64.
    pub threads: usize,
    /// Bound of the journal in bytes, 64 MiB unless given, at most 4 GiB.
    pub journal_bytes: usize,
    /// Connections at once, of HTTP and of each other listener; more wait to be accepted.
    pub connections: usize,
    /// Where the admin API is served, when it is not mounted elsewhere.
    pub admin: Option<SocketAddr>,
    /// Folder where the development authority of TLS listeners is kept, made when missing; in memory only without one.
    pub authority: Option<PathBuf>,
    /// Whether a change of the folder reloads the partners.
    pub watch: bool,
    /// Hosts, with or without port, that pushes may go to beside loopback.
    pub push_to: Vec<String>,
    /// The broker that pushes are published to: `amqp://user:password@host:port/vhost`.
    pub broker: Option<BrokerUrl>,
    /// Constants that every partner sees as `partner.<name>`, before its own of that name: `bus`, where pushes find the bus.
    pub parameters: Map<String, Value>,
}

/// A broker's URL with its password, which no message shows.
#[derive(Clone)]
pub struct BrokerUrl(Zeroizing<String>);

impl BrokerUrl {
    pub fn new(url: impl Into<String>) -> Self {
        Self(Zeroizing::new(url.into()))
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("BrokerUrl")
    }
}

/// Which ports the listeners beside HTTP take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ports {
    /// Those that the partners name, else their protocols' own; free ones where [`MockConfig::address`] takes a free one itself.
    #[default]
    Declared,
    /// Free ones, whatever the partners name; [`MockServer::listener_addr`] tells which.
    Free,
}

impl MockConfig {
    /// The folder on loopback at a free port, two threads, 64 MiB of journal, no admin API, not watched.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            ports: Ports::Declared,
            threads: 2,
            journal_bytes: journal::DEFAULT_BYTES,
            connections: 4096,
            admin: None,
            authority: None,
            watch: false,
            push_to: Vec::new(),
            broker: None,
            parameters: Map::new(),
        }
    }
}

/// Why the mock server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The partners' files hold mistakes.
    #[error("{}", Listed(.0))]
    Partners(Vec<Mistake>),
    #[error("the mock server cannot listen on {address}: {source}; free the port or give another")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("the mock server's threads cannot be started: {0}")]
    Threads(io::Error),
    #[error(
        "the development authority cannot be kept in its folder: {0}; make the folder writable or give another"
    )]
    Authority(io::Error),
    #[error("the folder of mock partners cannot be watched: {0}; switch watching off and reload by hand")]
    Watch(notify::Error),
}

struct Listed<'m>(&'m [Mistake]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} mistakes in the mock partners", self.0.len())?;
        self.0.iter().try_for_each(|mistake| write!(out, "\n{mistake}"))
    }
}

/// What a reload did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reloaded {
    pub version: u64,
    pub partners: usize,
    pub stubs: usize,
}

/// Reads and compiles a folder of mock partners without serving them; for `qiao check`.
///
/// # Errors
/// Every mistake with file, line and column.
pub fn check(folder: &std::path::Path, vault: &Vault) -> Result<Reloaded, Vec<Mistake>> {
    Catalogue::load(folder, vault, &Map::new(), &Catalogue::default()).map(|catalogue| summary(&catalogue))
}

fn summary(catalogue: &Catalogue) -> Reloaded {
    let stubs = catalogue.partners.iter().map(|partner| partner.stubs.len()).sum();
    Reloaded { version: catalogue.version, partners: catalogue.partners.len(), stubs }
}

/// What all connections share.
pub(crate) struct Shared {
    pub catalogue: ArcSwap<Catalogue>,
    pub journal: Arc<Journal>,
    pub diagnosis: Diagnosis,
    pub clock: Arc<Clock>,
    pub timers: Arc<Timers>,
    pub sockets: Sockets,
    pub queues: Queues,
    pub authority: Authority,
    pub carriers: carrier::hub::Carriers,
    pub runs: Runs,
    pub sender: PushSender,
    pub sessions: Sessions,
    pub recordings: Recordings,
    /// Verifications that may wait.
    pub waiting: Semaphore,
    /// Those who may look on at the journal.
    pub watching: Arc<Semaphore>,
    /// Partners that are compiled only to be checked.
    pub checking: Arc<Semaphore>,
    folder: PathBuf,
    /// Constants that the settings give every partner.
    parameters: Map<String, Value>,
    pub vault: Vault,
    reloading: Mutex<()>,
    /// False asks connections to end after the answer at hand.
    pub open: Sender<bool>,
    /// Counts connections by its receivers.
    alive: Sender<()>,
}

/// The mock server. The handle is cheap to clone; the server runs until [`MockServer::shutdown`] or the last handle is dropped.
#[derive(Clone)]
pub struct MockServer {
    running: Arc<Running>,
}

struct Running {
    shared: Arc<Shared>,
    addr: SocketAddr,
    admin: Option<SocketAddr>,
    runtime: Mutex<Option<Runtime>>,
    /// Watches while it lives.
    _watcher: Option<notify::RecommendedWatcher>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.lock().take() {
            runtime.shutdown_background();
        }
    }
}

impl MockServer {
    /// Loads the partners and serves them.
    ///
    /// # Errors
    /// Mistakes in the partners' files, an address that cannot be listened on.
    pub fn start(config: MockConfig, vault: Vault) -> Result<Self, StartError> {
        let catalogue = Catalogue::load(&config.folder, &vault, &config.parameters, &Catalogue::default())
            .map_err(StartError::Partners)?;
        let (listener, addr) = bind(config.address)?;
        let authority = Authority::open(config.authority.as_deref(), config.address.ip());
        let authority = authority.map_err(StartError::Authority)?;
        let admin = config.admin.map(bind).transpose()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(config.threads.clamp(1, 64))
            .thread_name("qiao-mock")
            .enable_all()
            .build()
            .map_err(StartError::Threads)?;
        let journal = Arc::new(Journal::new(config.journal_bytes));
        let connections = config.connections.max(1);
        let ports = if config.address.port() == 0 { Ports::Free } else { config.ports };
        let sockets = Sockets::new(config.address, ports, connections, runtime.handle().clone());
        let bound = sockets.prepare(&catalogue).map_err(StartError::Partners)?;
        let clock = Arc::<Clock>::default();
        let shared = Arc::new(Shared {
            catalogue: ArcSwap::default(),
            diagnosis: Diagnosis::start(Arc::clone(&journal)).map_err(StartError::Threads)?,
            journal,
            timers: Arc::new(Timers::new(Arc::clone(&clock))),
            clock,
            sockets,
            queues: Queues::new(config.broker.clone(), runtime.handle().clone()),
            authority,
            carriers: carrier::hub::Carriers::default(),
            runs: Runs::default(),
            sender: PushSender::new(config.push_to, config.broker),
            parameters: config.parameters,
            sessions: Sessions::default(),
            recordings: Recordings::default(),
            waiting: Semaphore::new(MAX_VERIFICATIONS),
            watching: Arc::new(Semaphore::new(MAX_WATCHING)),
            checking: Arc::new(Semaphore::new(MAX_CHECKING)),
            folder: config.folder,
            vault,
            reloading: Mutex::new(()),
            open: Sender::new(true),
            alive: Sender::new(()),
        });
        let watcher = if config.watch {
            Some(watch::watch(&shared.folder, &shared).map_err(StartError::Watch)?)
        } else {
            None
        };
        let admin_addr = admin.as_ref().map(|(_, addr)| *addr);
        shared.sockets.adopt(&catalogue, bound, &shared);
        shared.catalogue.store(Arc::new(catalogue));
        shared.queues.adopt(&shared.catalogue(), &shared);
        runtime.spawn(Arc::clone(&shared.timers).keep());
        runtime.spawn(connection::accept(listener, Arc::clone(&shared), connections));
        let running = Running {
            shared,
            addr,
            admin: admin_addr,
            runtime: Mutex::new(Some(runtime)),
            _watcher: watcher,
        };
        let server = Self { running: Arc::new(running) };
        if let Some((listener, _)) = admin {
            server.serve_admin(listener);
        }
        Ok(server)
    }

    /// The admin task holds the shared state but not the handle: it must not keep the server alive.
    fn serve_admin(&self, listener: TcpListener) {
        let router = crate::admin::router_over(Arc::clone(&self.running.shared));
        let mut open = self.running.shared.open.subscribe();
        // Counts as one connection, so that what it streams is ended in good order before the threads stop.
        let alive = self.running.shared.alive.subscribe();
        let task = async move {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
            let closed = async move {
                // An error means that the server is gone, which is the same to us.
                drop(open.wait_for(|open| !open).await);
            };
            if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(closed).await {
                tracing::error!(%error, "the admin API of the mock partners ended");
            }
            drop(alive);
        };
        if let Some(runtime) = &*self.running.runtime.lock() {
            runtime.spawn(task);
        }
    }

    /// Where partners are served.
    pub fn addr(&self) -> SocketAddr {
        self.running.addr
    }

    /// Where a listener beside HTTP is reached; none where there is no such listener.
    pub fn listener_addr(&self, partner: &str, listener: &str) -> Option<SocketAddr> {
        self.running.shared.sockets.addr(partner, listener)
    }

    /// The certificate, as PEM, of the authority that issues TLS listeners' development certificates.
    pub fn authority_pem(&self) -> &str {
        self.running.shared.authority.pem()
    }

    /// Where the admin API is served, when it is.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.running.admin
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.running.shared
    }

    /// Ids of all partners with whether they run.
    pub fn partners(&self) -> Vec<(Arc<str>, bool)> {
        let catalogue = self.running.shared.catalogue();
        catalogue
            .partners
            .iter()
            .map(|partner| (Arc::clone(&partner.id), partner.runtime.is_running()))
            .collect()
    }

    /// Stops one partner: from now on its connections are reset without an answer. False where there is no such partner.
    pub fn stop(&self, partner: &str) -> bool {
        self.running.shared.set_running(partner, false)
    }

    /// Starts a stopped partner again. False where there is no such partner.
    pub fn start_partner(&self, partner: &str) -> bool {
        self.running.shared.set_running(partner, true)
    }

    /// Reads the folder again and replaces all partners at once; requests at hand are answered by the old ones.
    ///
    /// # Errors
    /// Every mistake; the old partners stay.
    pub fn reload(&self) -> Result<Reloaded, Vec<Mistake>> {
        self.running.shared.reload()
    }

    /// Stops accepting, lets requests at hand finish within `deadline`, then ends the rest. Returns the connections that had to be ended.
    pub async fn shutdown(&self, deadline: Duration) -> usize {
        let shared = &self.running.shared;
        shared.open.send_replace(false);
        shared.sockets.close();
        shared.queues.close();
        let drained = tokio::time::timeout(deadline, shared.alive.closed()).await;
        let forced = if drained.is_ok() { 0 } else { shared.alive.receiver_count() };
        if let Some(runtime) = self.running.runtime.lock().take() {
            runtime.shutdown_background();
        }
        forced
    }
}

fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let listen = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        Ok((listener, addr))
    };
    listen().map_err(|source| StartError::Listen { address, source })
}

impl Shared {
    pub fn catalogue(&self) -> Guard<Arc<Catalogue>> {
        self.catalogue.load()
    }

    /// The session that a request belongs to: the one its header names, else the one its account belongs to. A name of
    /// another form than 1 to 64 letters, digits, dots, hyphens and underscores counts as none.
    pub fn session_of(&self, partner: &str, header: Option<&str>, account: Option<&str>) -> Box<str> {
        if let Some(name) = header
            && (1..=64).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        {
            return name.into();
        }
        account.map(|account| self.sessions.of_account(partner, account)).unwrap_or_default()
    }

    pub fn partner(&self, id: &str) -> Option<Arc<Partner>> {
        self.catalogue().partner(id).cloned()
    }

    /// Forgets what is remembered of a partner's session, or of all its sessions but for state.
    pub fn forget(&self, partner: &Partner, session: Option<&str>) {
        if let Some(session) = session {
            partner.runtime.state.clear(&crate::state::full_key(session, ""));
        }
        self.timers.clear(&partner.id, session);
        self.runs.clear(&partner.id, session);
        for listener in &partner.listeners {
            let accounts = listener.carrier.iter().flat_map(|carrier| &carrier.accounts);
            accounts
                .filter(|account| session.is_none_or(|session| *account.session == *session))
                .for_each(|account| self.carriers.account(&partner.id, &listener.id, &account.id).forget());
        }
    }

    /// Forgets what all partners remember of a session.
    pub fn forget_session(&self, session: &str) {
        self.catalogue().partners.iter().for_each(|partner| self.forget(partner, Some(session)));
    }

    /// Starts a session anew, or forgets what is remembered of one that was never opened.
    pub fn reset_session(&self, session: &str) {
        self.forget_session(session);
        self.sessions.reset(session, &self.catalogue());
    }

    pub fn set_running(&self, partner: &str, running: bool) -> bool {
        let found = self.partner(partner);
        if let Some(partner) = &found {
            partner.runtime.set_running(running);
        }
        found.is_some()
    }

    pub fn reload(self: &Arc<Self>) -> Result<Reloaded, Vec<Mistake>> {
        let _one_at_a_time = self.reloading.lock();
        let before = self.catalogue.load_full();
        let catalogue = Catalogue::load(&self.folder, &self.vault, &self.parameters, &before)?;
        let bound = self.sockets.prepare(&catalogue)?;
        // Only now that nothing can fail any more.
        for partner in &catalogue.partners {
            let (max, ttl) = partner.bounds;
            partner.runtime.state.resize(max, ttl);
        }
        let done = summary(&catalogue);
        self.sockets.adopt(&catalogue, bound, self);
        let fresh = !Arc::ptr_eq(&catalogue.tables, &before.tables);
        let catalogue = Arc::new(catalogue);
        self.catalogue.store(Arc::clone(&catalogue));
        self.queues.adopt(&catalogue, self);
        self.sessions.refit(&catalogue, fresh);
        Ok(done)
    }
}
