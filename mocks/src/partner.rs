//! A mock partner compiled: immutable but for its runtime, which outlives reloads.
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use qiao_mappings::{Selector, Template};
use serde_json::Value;

use crate::{
    answer::Answer,
    faults::{Fault, LiveDial, Wait},
    forms::{AnswerPath, RequestPath},
    matching::{Conditions, Index, Sources},
    origin::Origin,
    overlay::{put_dial, remove_dial},
    pushes::{
        Then,
        compile::{Plans, Targets},
    },
    rows::{RowLook, Write},
    server::tls::TlsForm,
    sftp::{SftpForm, tree::Tree},
    spec::{Proto, listen::QueueSpec},
    state::StateTable,
    table::DataTable,
    tables::SharedTables,
    tcp::TcpForm,
    wsdl::Contract,
};

/// A compiled mock partner.
pub struct Partner {
    pub id: Arc<str>,
    pub title: String,
    pub seed: u64,
    /// An object: `parameters`.
    pub parameters: Value,
    pub listeners: Vec<Listener>,
    /// In the order in which they are tried.
    pub stubs: Vec<Stub>,
    pub sources: Sources,
    /// Who calls.
    pub caller: Option<Selector>,
    /// The business key.
    pub instance: Option<Selector>,
    /// Those of the file, behind those of the admin API.
    pub dials: Vec<LiveDial>,
    pub fault_header: bool,
    pub fallback: Option<FallbackAnswer>,
    pub tables: Arc<HashMap<String, DataTable>>,
    /// What can be started by hand.
    pub plans: Plans,
    /// Where they are sent; for stubs that sessions add.
    pub targets: Targets,
    pub shared: Arc<SharedTables>,
    /// Whether a stub looks at or writes shared tables before its answer is made.
    pub uses_tables: bool,
    pub runtime: Arc<Runtime>,
    /// The files that it was made of.
    pub origin: Origin,
    /// Whether a dial of the file needs the business key's count.
    pub dials_need_instance: bool,
    /// Keys remembered at most, and for how long.
    pub bounds: (usize, Duration),
}

/// One place where a partner listens.
pub struct Listener {
    pub id: Arc<str>,
    pub proto: Proto,
    /// Of HTTP and SOAP only; empty otherwise, and on a port of its own without a path.
    pub path: Arc<str>,
    /// Where it names one: of HTTP and SOAP beside the mock port.
    pub port: Option<u16>,
    /// Of the carriers' gateways only.
    pub carrier: Option<Arc<crate::server::carrier::Settings>>,
    pub soap: bool,
    /// The service's description, where it has one.
    pub contract: Option<Arc<Contract>>,
    pub select: Option<Selector>,
    pub request: RequestPath,
    pub answer: AnswerPath,
    pub body_bytes: usize,
    pub tls: Option<Arc<TlsForm>>,
    pub sftp: Option<Arc<SftpForm>>,
    /// With `proto: tcp` only.
    pub tcp: Option<Arc<TcpForm>>,
    /// With `proto: amqp` only.
    pub queue: Option<Arc<QueueSpec>>,
    pub index: Index,
}

/// A compiled stub.
pub struct Stub {
    pub id: Arc<str>,
    /// `partner/stub@hash`: the hash is of what is written.
    pub label: Box<str>,
    pub title: Option<String>,
    pub listener: Option<usize>,
    pub item: Option<String>,
    pub conditions: Conditions,
    pub state: Option<State>,
    pub rows: Vec<RowLook>,
    pub writes: Vec<Write>,
    /// Whether shared tables are looked at or written before the answer is made.
    pub uses_tables: bool,
    pub delay: Option<Wait>,
    pub fault: Option<Arc<Fault>>,
    pub answer: Answer,
    /// Whether the business key's instance is needed: for state, counts or random values.
    pub needs_instance: bool,
    /// What is sent afterwards.
    pub then: Option<Then>,
}

/// A compiled state rule.
pub struct State {
    pub machine: Box<str>,
    pub within: Vec<Box<str>>,
    pub to: Option<Box<str>>,
    pub set: Vec<(String, Template)>,
    pub key: Option<Selector>,
    pub alias: Option<Template>,
}

pub struct FallbackAnswer {
    pub answer: Answer,
    pub delay: Option<Wait>,
}

/// By listener and user.
type Trees = HashMap<(Arc<str>, Box<str>), Arc<Mutex<Tree>>>;

/// What a partner remembers, kept over reloads.
pub struct Runtime {
    pub state: StateTable,
    /// Dials of the admin API, newest first.
    pub dials: ArcSwap<Vec<Arc<LiveDial>>>,
    running: AtomicBool,
    pub matched: AtomicU64,
    pub missed: AtomicU64,
    /// Connections and the like that dials were asked about.
    pub connected: AtomicU64,
    /// Files of the SFTP listeners' users.
    files: Mutex<Trees>,
}

impl Runtime {
    pub fn new(state: StateTable) -> Self {
        Self {
            state,
            dials: ArcSwap::default(),
            running: AtomicBool::new(true),
            matched: AtomicU64::new(0),
            missed: AtomicU64::new(0),
            connected: AtomicU64::new(0),
            files: Mutex::default(),
        }
    }

    /// Whether it answers; a stopped partner resets connections.
    pub fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }

    /// Starts or stops it.
    pub fn set_running(&self, running: bool) {
        self.running.store(running, Ordering::Release);
    }

    /// The files of a listener's user.
    pub fn files(&self, listener: &Arc<str>, user: &str) -> Arc<Mutex<Tree>> {
        Arc::clone(self.files.lock().entry((Arc::clone(listener), user.into())).or_default())
    }

    /// Forgets state, files, dials and counts.
    pub fn reset(&self) {
        self.state.clear("");
        self.files.lock().clear();
        self.dials.store(Arc::default());
        self.matched.store(0, Ordering::Relaxed);
        self.missed.store(0, Ordering::Relaxed);
    }

    /// Puts a dial before the others, in place of the one with its id; ended ones go.
    ///
    /// # Errors
    /// More than 100 dials.
    pub fn put_dial(&self, dial: LiveDial, now: Instant) -> Result<(), String> {
        put_dial(&self.dials, dial, now)
    }

    /// Takes a dial away; whether it was there.
    pub fn remove_dial(&self, id: &str) -> bool {
        remove_dial(&self.dials, id)
    }
}

impl Partner {
    /// Takes over counts of unchanged faults from the version before.
    pub fn inherit(&self, before: &Self) {
        let known: HashMap<&str, &Arc<Fault>> =
            before.stubs.iter().filter_map(|stub| Some((&*stub.label, stub.fault.as_ref()?))).collect();
        for stub in &self.stubs {
            if let (Some(fault), Some(old)) = (&stub.fault, known.get(&*stub.label)) {
                fault.inherit(old);
            }
        }
        for dial in &self.dials {
            let old = before.dials.iter().find(|old| old.spec.id == dial.spec.id);
            if let (Some(fault), Some(old)) = (&dial.fault, old.and_then(|old| old.fault.as_ref())) {
                fault.inherit(old);
            }
        }
    }

    /// Starts every fault's count anew.
    pub fn reset_faults(&self) {
        let of_dials = self.dials.iter().filter_map(|dial| dial.fault.as_ref());
        self.stubs
            .iter()
            .filter_map(|stub| stub.fault.as_ref())
            .chain(of_dials)
            .for_each(|fault| fault.reset());
    }
}
