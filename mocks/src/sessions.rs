//! Sessions of testers: each with stubs, dials and rows of its own laid over the partners, for a while, bounded.
use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use indexmap::IndexMap;
use parking_lot::Mutex;
use qiao_mappings::strict::{Mistake, Source};

use crate::{
    catalogue::Catalogue,
    compile,
    entropy::Fnv,
    overlay::Overlay,
    spec::{Dial, PackSpec, PartnerOverlay, SessionSpec},
    tables::{Change, Row, SharedTables, text_of},
};

/// Sessions at once.
pub const MAX_SESSIONS: usize = 200;
const DEFAULT_TTL: Duration = Duration::from_secs(2 * 3600);
const MAX_TTL: Duration = Duration::from_secs(24 * 3600);

/// A pack as read.
pub struct Pack {
    pub id: String,
    pub folder: PathBuf,
    pub source: Source,
    pub spec: PackSpec,
}

/// Overlays by partner.
pub type Overlays = HashMap<Arc<str>, Arc<Overlay>>;

/// A session.
pub struct Session {
    pub name: Box<str>,
    pub spec: SessionSpec,
    source: Source,
    pub ttl: Duration,
    overlays: ArcSwap<Overlays>,
    /// What of it no longer fits since the partners were reloaded.
    problems: Mutex<Vec<Mistake>>,
    begun: Instant,
    /// Milliseconds from its beginning to its last use.
    used: AtomicU64,
}

impl Session {
    /// What it lays over a partner.
    pub fn overlay(&self, partner: &str) -> Option<Arc<Overlay>> {
        self.overlays.load().get(partner).cloned()
    }

    /// What it lays over a partner, to add to.
    pub fn overlay_to_change(&self, partner: &Arc<str>) -> Arc<Overlay> {
        self.overlays.rcu(|overlays| {
            let mut next = Overlays::clone(overlays);
            next.entry(Arc::clone(partner)).or_default();
            next
        });
        self.overlay(partner).unwrap_or_default()
    }

    /// How far its clock is ahead, in milliseconds.
    pub fn ahead_ms(&self) -> i64 {
        self.spec.ahead.map_or(0, |ahead| i64::try_from(ahead.0.as_millis()).unwrap_or(0))
    }

    /// Time until it ends, unless it is used again.
    pub fn left(&self) -> Duration {
        let used = Duration::from_millis(self.used.load(Ordering::Relaxed));
        self.ttl.saturating_sub(self.begun.elapsed().saturating_sub(used))
    }

    pub fn problems(&self) -> Vec<Mistake> {
        self.problems.lock().clone()
    }

    /// Stubs laid over each partner.
    pub fn stubs(&self) -> BTreeMap<String, usize> {
        let overlays = self.overlays.load();
        overlays.iter().map(|(partner, overlay)| (partner.to_string(), overlay.stubs.len())).collect()
    }

    /// The dials turned by hand that are still on, by partner.
    pub fn dials_by_hand(&self) -> Vec<(String, Vec<Dial>)> {
        let (overlays, now) = (self.overlays.load(), Instant::now());
        let on = |overlay: &Overlay| -> Vec<Dial> {
            let dials = overlay.dials.load();
            let on = dials.iter().filter(|dial| dial.ends.is_none_or(|ends| now < ends));
            on.map(|dial| dial.spec.clone()).collect()
        };
        let all = overlays.iter().map(|(partner, overlay)| (partner.to_string(), on(overlay)));
        all.filter(|(_, dials)| !dials.is_empty()).collect()
    }

    fn touch(&self) {
        let used = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.used.store(used, Ordering::Relaxed);
    }

    /// Its own rows and those of its pack, its own last so that they hold.
    fn rows<'s>(&'s self, pack: Option<&'s Pack>) -> impl Iterator<Item = (&'s String, &'s Row)> {
        let packs = pack.map(|pack| &pack.spec.rows).into_iter().flatten();
        packs.chain(&self.spec.rows).flat_map(|(table, rows)| rows.iter().map(move |row| (table, row)))
    }

    /// Starts anew: counts, dials turned by hand, rows. What partners remember of it is theirs to forget.
    fn reset(&self, catalogue: &Catalogue) -> Result<(), String> {
        self.overlays.load().values().for_each(|overlay| overlay.reset());
        let view = catalogue.tables.view();
        view.clear(Some(&self.name));
        let pack = self.spec.pack.as_ref().and_then(|pack| catalogue.pack(pack));
        put_rows(&catalogue.tables, &self.name, self.rows(pack))
    }
}

/// Writes rows as a session sees them.
fn put_rows<'r>(
    tables: &SharedTables,
    session: &str,
    rows: impl Iterator<Item = (&'r String, &'r Row)>,
) -> Result<(), String> {
    let changes = rows.map(|(table, row)| {
        let form = tables.form(table)?;
        Ok((form, text_of(row.get(form.key())), Change::Put(row.clone())))
    });
    let changes = changes.collect::<Result<Vec<_>, String>>()?;
    if changes.is_empty() { Ok(()) } else { tables.view().apply(session, changes, false) }
}

/// Why there is no such session.
#[derive(Debug)]
pub enum NotOpened {
    /// What was asked for holds mistakes.
    Mistakes(Vec<Mistake>),
    /// There is one of that name, or there are too many.
    Taken(String),
}

/// The sessions that were opened. One that was not, but is named by a request, has state of its own and nothing else.
#[derive(Default)]
pub struct Sessions {
    open: ArcSwap<HashMap<Box<str>, Arc<Session>>>,
    changing: Mutex<()>,
}

impl Sessions {
    /// The session of that name, now used.
    pub fn get(&self, name: &str) -> Option<Arc<Session>> {
        if name.is_empty() {
            return None;
        }
        let open = self.open.load();
        let session = open.get(name).filter(|session| !session.left().is_zero())?;
        session.touch();
        Some(Arc::clone(session))
    }

    /// The name of the session that an account of a partner belongs to; empty where it belongs to none. For protocols
    /// without headers.
    pub fn of_account(&self, partner: &str, account: &str) -> Box<str> {
        let open = self.open.load();
        let is_theirs = |session: &&Arc<Session>| {
            let accounts = &session.spec.accounts;
            accounts.iter().any(|known| known.partner == partner && known.account == account)
                && !session.left().is_zero()
        };
        open.values().find(is_theirs).map(|session| session.name.clone()).unwrap_or_default()
    }

    /// All of them, by name.
    pub fn list(&self) -> Vec<Arc<Session>> {
        let mut all: Vec<_> =
            self.open.load().values().filter(|session| !session.left().is_zero()).cloned().collect();
        all.sort_by(|left, right| left.name.cmp(&right.name));
        all
    }

    /// Opens a session declared in YAML or JSON.
    ///
    /// # Errors
    /// [`NotOpened`].
    pub fn open(&self, text: &str, catalogue: &Catalogue) -> Result<Arc<Session>, NotOpened> {
        let source = Source::read("session", text).map_err(NotOpened::Mistakes)?;
        let spec = source.decode::<SessionSpec>().map_err(NotOpened::Mistakes)?;
        let ttl = spec.ttl.map_or(DEFAULT_TTL, |ttl| ttl.0);
        let (overlays, mut mistakes) = overlays(&spec, &source, catalogue);
        if ttl > MAX_TTL || ttl.is_zero() {
            mistakes.push(source.mistake("ttl", "at most 24h, and not nothing"));
        }
        if !mistakes.is_empty() {
            return Err(NotOpened::Mistakes(mistakes));
        }
        let _one_at_a_time = self.changing.lock();
        self.sweep(catalogue);
        let open = self.open.load_full();
        if open.len() >= MAX_SESSIONS {
            return Err(NotOpened::Taken(format!("there are {MAX_SESSIONS} sessions already: end one")));
        }
        let name: Box<str> = match &spec.session {
            Some(name) => name.as_str().into(),
            None => made_up(&open),
        };
        if open.contains_key(&name) {
            return Err(NotOpened::Taken(format!("there is a session `{name}` already: end it or reset it")));
        }
        let session = Arc::new(Session {
            name: name.clone(),
            spec,
            source,
            ttl,
            overlays: ArcSwap::from_pointee(overlays),
            problems: Mutex::default(),
            begun: Instant::now(),
            used: AtomicU64::new(0),
        });
        forget(&name, catalogue);
        session
            .reset(catalogue)
            .map_err(|problem| NotOpened::Mistakes(vec![session.source.mistake("rows", problem)]))?;
        let mut next = (*open).clone();
        next.insert(name, Arc::clone(&session));
        self.open.store(Arc::new(next));
        Ok(session)
    }

    /// Starts a session anew; false where there is none.
    pub fn reset(&self, name: &str, catalogue: &Catalogue) -> bool {
        let _one_at_a_time = self.changing.lock();
        forget(name, catalogue);
        let Some(session) = self.get(name) else { return false };
        if let Err(problem) = session.reset(catalogue) {
            session.problems.lock().push(session.source.mistake("rows", problem));
        }
        true
    }

    /// Ends a session and forgets what was remembered of it; false where there is none.
    pub fn end(&self, name: &str, catalogue: &Catalogue) -> bool {
        let _one_at_a_time = self.changing.lock();
        let mut next = (*self.open.load_full()).clone();
        let was = next.remove(name).is_some();
        if was {
            self.open.store(Arc::new(next));
            forget(name, catalogue);
        }
        was
    }

    /// Ends those whose time is over.
    fn sweep(&self, catalogue: &Catalogue) {
        let open = self.open.load_full();
        let (living, over): (HashMap<_, _>, HashMap<_, _>) = open
            .iter()
            .map(|(name, session)| (name.clone(), Arc::clone(session)))
            .partition(|(_, session)| !session.left().is_zero());
        if over.is_empty() {
            return;
        }
        self.open.store(Arc::new(living));
        over.keys().for_each(|name| forget(name, catalogue));
    }

    /// Fits the sessions to reloaded partners. What no longer fits is left out and told by [`Session::problems`].
    /// `fresh`: the tables are others than before.
    pub fn refit(&self, catalogue: &Catalogue, fresh: bool) {
        let _one_at_a_time = self.changing.lock();
        for session in self.open.load().values() {
            let (overlays, problems) = overlays(&session.spec, &session.source, catalogue);
            let before = session.overlays.load();
            for (partner, overlay) in &overlays {
                if let Some(before) = before.get(partner) {
                    overlay.dials.store(before.dials.load_full());
                }
            }
            session.overlays.store(Arc::new(overlays));
            *session.problems.lock() = problems;
            if fresh {
                let pack = session.spec.pack.as_ref().and_then(|pack| catalogue.pack(pack));
                if let Err(problem) = put_rows(&catalogue.tables, &session.name, session.rows(pack)) {
                    session.problems.lock().push(session.source.mistake("rows", problem));
                }
            }
        }
    }
}

/// What every partner and the tables remember of a session.
fn forget(name: &str, catalogue: &Catalogue) {
    for partner in &catalogue.partners {
        partner.runtime.state.clear(&crate::state::full_key(name, ""));
    }
    catalogue.tables.view().clear(Some(name));
}

fn made_up(open: &HashMap<Box<str>, Arc<Session>>) -> Box<str> {
    static MADE: AtomicU64 = AtomicU64::new(0);
    loop {
        let count = MADE.fetch_add(1, Ordering::Relaxed);
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let name = format!("s-{:012x}", Fnv::hash(format!("{count} {since:?}").as_bytes()) >> 16);
        if !open.contains_key(&*name) {
            return name.into();
        }
    }
}

/// What a session lays over each partner, and all mistakes in it.
fn overlays(spec: &SessionSpec, source: &Source, catalogue: &Catalogue) -> (Overlays, Vec<Mistake>) {
    let mut mistakes = Vec::new();
    let pack = spec.pack.as_ref().and_then(|id| {
        let found = catalogue.pack(id);
        if found.is_none() {
            mistakes.push(source.mistake("pack", format!("there is no pack `{id}` below `packs/`")));
        }
        found
    });
    let mut parts: Vec<Part<'_>> = vec![Part { source, folder: None, partners: &spec.partners }];
    parts.extend(pack.map(Pack::part));
    mistakes.extend(compile::rows::mistakes(&spec.rows, &|name| catalogue.tables.form(name), source));
    for (number, account) in spec.accounts.iter().enumerate() {
        if catalogue.partner(&account.partner).is_none() {
            let text = format!("there is no mock partner `{}`", account.partner);
            mistakes.push(source.mistake(&format!("accounts[{number}].partner"), text));
        }
    }
    let (overlays, found) = compile::overlay::all(&parts, catalogue);
    mistakes.extend(found);
    (overlays, mistakes)
}

/// Overlays written in one file.
pub struct Part<'p> {
    pub source: &'p Source,
    /// Where `bodyFile` is looked for.
    pub folder: Option<&'p PathBuf>,
    pub partners: &'p IndexMap<String, PartnerOverlay>,
}

impl Pack {
    fn part(&self) -> Part<'_> {
        Part { source: &self.source, folder: Some(&self.folder), partners: &self.spec.partners }
    }

    /// What is wrong with it over these partners.
    pub fn mistakes(&self, catalogue: &Catalogue) -> Vec<Mistake> {
        let mut mistakes =
            compile::rows::mistakes(&self.spec.rows, &|name| catalogue.tables.form(name), &self.source);
        mistakes.extend(compile::overlay::all(&[self.part()], catalogue).1);
        mistakes.extend(crate::score::mistakes(&self.spec.score, &self.source));
        mistakes
    }
}
