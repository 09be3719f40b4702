//! Recording: a proxy in front of a live partner, and a draft mock partner made of what it has heard.
//!
//! What is heard stays in memory. Before anything is written or shown, people get pseudonyms and secrets are dropped; the
//! draft is checked as serving checks it, and asked everything once more for a report. `docs/mocks-recording.md` explains it.
mod draft;
mod exchange;
mod generalise;
mod generate;
mod group;
mod keying;
mod leaves;
mod people;
mod place;
mod proxy;
mod replay;
mod seen;
mod target;
mod tee;
mod wire;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use qiao_mappings::Selector;
use qiao_vault::{Provider, PureProvider, classic::hmac_sha256};
use tokio::{sync::watch, time::timeout};

use crate::import::{draft::Files, well_named};
pub use exchange::Counts;
pub use people::Kind;
pub use replay::{Difference, LeftOut, Reason, ReplayReport, Replayed};

/// Exchanges of one recording at most.
pub const MAX_EXCHANGES: usize = 10_000;
/// Bytes of one recording at most.
const MAX_BYTES: usize = 32 << 20;

/// What is recorded, and what the draft is called.
#[derive(Clone, Debug)]
pub struct RecordSettings {
    /// Origin of the live partner: `http://host:port` or `https://host:port`. Nothing else is ever called.
    pub target: String,
    /// With `https`: a PEM file with the authorities to believe; the machine's bundle when left out.
    pub roots: Option<PathBuf>,
    /// Where callers reach the recording; on loopback, port 0 takes a free one.
    pub listen: SocketAddr,
    /// Id of the draft.
    pub partner: String,
    /// Title of the draft; its id when left out.
    pub title: Option<String>,
    /// JSONPath of the dispatch key; found in the messages when left out.
    pub select: Option<String>,
    /// Start of the pseudonyms: the same seed gives the same ones. Whoever knows it can test guesses; drawn and forgotten when
    /// left out.
    pub seed: Option<u64>,
    /// Exchanges kept, 1 to 10 000; more are passed on and counted.
    pub max: usize,
    /// An answer must begin within this time.
    pub patience: Duration,
}

impl RecordSettings {
    /// A recording on a free port of loopback, with a minute's patience and all bounds at their most.
    pub fn new(target: impl Into<String>, partner: impl Into<String>) -> Self {
        Self {
            target: target.into(),
            roots: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            partner: partner.into(),
            title: None,
            select: None,
            seed: None,
            max: MAX_EXCHANGES,
            patience: Duration::from_secs(60),
        }
    }
}

/// A recording at work. It stops when it is dropped.
pub struct Recorder {
    settings: RecordSettings,
    address: SocketAddr,
    proxy: Arc<proxy::Proxy>,
    open: watch::Sender<bool>,
}

impl Recorder {
    /// Listens and passes on.
    ///
    /// # Errors
    /// A setting that cannot be, with its name; an address that cannot be listened on.
    pub async fn start(settings: RecordSettings) -> Result<Self, String> {
        well_named(&settings.partner)?;
        if let Some(select) = &settings.select {
            Selector::parse(select).map_err(|error| format!("select: {error}"))?;
        }
        if !(1..=MAX_EXCHANGES).contains(&settings.max) {
            return Err(format!("max: 1 to {MAX_EXCHANGES} exchanges"));
        }
        let target = target::Target::parse(&settings.target, settings.roots.as_deref())?;
        let (listener, address) = proxy::bind(settings.listen).await?;
        let kept = exchange::Kept::new(settings.max, MAX_BYTES);
        let proxy = Arc::new(proxy::Proxy { target, kept, patience: settings.patience });
        let (open, closing) = watch::channel(true);
        tokio::spawn(proxy::serve(listener, Arc::clone(&proxy), closing));
        Ok(Self { settings, address, proxy, open })
    }

    /// Where callers reach it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn settings(&self) -> &RecordSettings {
        &self.settings
    }

    pub fn counts(&self) -> Counts {
        self.proxy.kept.counts()
    }

    /// Stops listening and waits for answers at hand.
    pub async fn stop(&self, deadline: Duration) {
        self.open.send_replace(false);
        // What is not at its end by then is not kept.
        drop(timeout(deadline, self.open.closed()).await);
    }

    /// Makes the draft of all that was kept, and forgets it. Takes seconds for thousands of exchanges: not on a thread that
    /// serves.
    ///
    /// # Errors
    /// Nothing that could be read; a draft that would not load or would hold an original, both mistakes of this program.
    pub fn finish(&self) -> Result<Recorded, String> {
        let exchanges = self.proxy.kept.take();
        let mut originals = people::Originals::default();
        exchanges.iter().for_each(|exchange| seen::secrets(exchange, &mut originals));
        let seen::Read { seen, left_out } = seen::read(exchanges);
        if seen.is_empty() {
            return Err(
                "nothing was recorded that a draft could be made of: send requests to the recording first"
                    .into(),
            );
        }
        seen.iter().for_each(|one| one.collect(&mut originals));
        let pseudonyms = people::Pseudonyms::of(originals, self.key()?);
        let seen: Vec<seen::Seen> = seen.into_iter().map(|one| one.made_safe(&pseudonyms)).collect();
        let named = draft::Named {
            partner: &self.settings.partner,
            title: self.settings.title.as_deref().unwrap_or(&self.settings.partner),
            select: self.settings.select.as_deref(),
        };
        let draft = draft::draft(&seen, &named, &pseudonyms)?;
        let mut replay = replay::replay(&draft, &seen);
        let left = |(exchange, why): (usize, &str)| LeftOut { exchange, reason: why.to_owned() };
        replay.left_out = left_out.into_iter().map(left).collect();
        replay.replaced = pseudonyms.counts();
        let mut files = draft.files;
        let json = serde_json::to_vec_pretty(&replay).map_err(|error| format!("the report: {error}"))?;
        files.insert("replay.json".into(), json);
        files.insert("replay.txt".into(), replay.text().into_bytes());
        for (name, bytes) in &files {
            if let Some(kind) = pseudonyms.leaks(&String::from_utf8_lossy(bytes)) {
                return Err(format!(
                    "{name} would hold an original ({}), which is a mistake of Qiao: nothing was written",
                    kind.name()
                ));
            }
        }
        Ok(Recorded { partner: self.settings.partner.clone(), files, replay })
    }

    fn key(&self) -> Result<[u8; 32], String> {
        let mut key = [0; 32];
        match self.settings.seed {
            Some(seed) => key = hmac_sha256(b"qiao recording pseudonyms", &seed.to_le_bytes()),
            None => PureProvider.random(&mut key).map_err(|error| format!("no random key: {error}"))?,
        }
        Ok(key)
    }
}

/// A draft partner made of a recording.
#[derive(Debug)]
pub struct Recorded {
    pub partner: String,
    /// By their paths below the partner's folder, the report as `replay.json` and `replay.txt` among them.
    pub files: Files,
    pub replay: ReplayReport,
}

impl Recorded {
    /// Writes the files below a folder, into a subfolder named like the partner.
    ///
    /// # Errors
    /// A subfolder that is not empty, a file that cannot be written.
    pub fn write(&self, folder: &Path) -> Result<PathBuf, String> {
        let home = vacant(folder, &self.partner)?;
        let failed = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
        for (name, bytes) in &self.files {
            let path = home.join(name);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
            }
            std::fs::write(&path, bytes).map_err(|error| failed(&path, error))?;
        }
        Ok(home)
    }
}

/// The subfolder that a draft would be written into, where it is not there or empty.
///
/// # Errors
/// One that holds something already.
pub fn vacant(folder: &Path, partner: &str) -> Result<PathBuf, String> {
    let home = folder.join(partner);
    match std::fs::read_dir(&home).map(|mut entries| entries.next().is_some()) {
        Ok(true) => {
            Err(format!("{} is not empty: name another folder or partner, or move it away", home.display()))
        }
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{}: {error}", home.display()))
        }
        _ => Ok(home),
    }
}
