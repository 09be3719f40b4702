//! What an SFTP listener knows, compiled: users, batch files, keys.
pub mod batch;
pub mod tree;

use std::{str::FromStr, time::Duration};

use qiao_vault::{KeyHandle, KeyRef, Vault};
use qiao_wire::bankfile::{FileFormat, FileSpec};
use russh::keys::PublicKey;

use crate::{
    faults::Wrong,
    spec::{
        listen::told,
        sftp::{BatchSpec, SftpSpec, SftpUser},
    },
};

const DEFAULT_BYTES: u64 = 64 << 20;
const MAX_BYTES: u64 = 256 << 20;
/// A result appears within this time.
const MAX_AFTER: Duration = Duration::from_secs(366 * 24 * 3600);

/// A listener's compiled `sftp`.
pub struct SftpForm {
    pub users: Vec<User>,
    pub batches: Vec<Batch>,
    /// Verifies what the bus signed, signs for the partner.
    pub keys: Option<(KeyHandle, KeyHandle)>,
    /// Bound on all files of a user.
    pub max_bytes: usize,
}

pub struct User {
    pub name: String,
    pub password: Option<KeyHandle>,
    pub keys: Vec<PublicKey>,
}

/// A kind of batch file.
pub struct Batch {
    pub business: String,
    pub inbox: String,
    pub without_ok: bool,
    pub rows: FileFormat,
    pub result: Option<Answering>,
}

/// The file that answers a batch.
pub struct Answering {
    pub business: String,
    pub outbox: String,
    pub rows: FileFormat,
    pub after: Duration,
}

impl SftpForm {
    /// Compiles a listener's settings.
    ///
    /// # Errors
    /// References and keys that are none, wrong columns, users who could not log in.
    pub fn compile(spec: &SftpSpec, vault: &Vault) -> Result<Self, Vec<Wrong>> {
        let mut wrong = Vec::new();
        let users = spec.users.iter().enumerate();
        let users = users.filter_map(|(at, user)| self::user(user, at, vault, &mut wrong)).collect();
        let batches = spec.batches.iter().enumerate();
        let batches = batches.filter_map(|(at, batch)| self::batch(batch, at, &mut wrong)).collect();
        let keys = spec.sign.as_ref().and_then(|keys| {
            let ours = handle(&keys.ours, vault).map_err(|told| wrong.push(("sign.ours".into(), told)));
            let theirs = handle(&keys.theirs, vault).map_err(|told| wrong.push(("sign.theirs".into(), told)));
            ours.ok().zip(theirs.ok())
        });
        let max = spec.max_bytes.map_or(DEFAULT_BYTES, |bytes| bytes.0);
        if max > MAX_BYTES {
            wrong.push(("maxBytes".into(), "at most 256MiB".into()));
        }
        let max_bytes = usize::try_from(max).unwrap_or(usize::MAX);
        if wrong.is_empty() { Ok(Self { users, batches, keys, max_bytes }) } else { Err(wrong) }
    }

    /// All folders there are.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        let inboxes = self.batches.iter().map(|batch| batch.inbox.as_str());
        let outboxes = self.batches.iter().filter_map(|batch| Some(batch.result.as_ref()?.outbox.as_str()));
        ["/in", "/out"].into_iter().chain(inboxes).chain(outboxes)
    }

    /// Whether users may put files there.
    pub fn takes(&self, folder: &str) -> bool {
        folder == "/in" || self.batches.iter().any(|batch| batch.inbox == folder)
    }
}

fn handle(reference: &str, vault: &Vault) -> Result<KeyHandle, String> {
    KeyRef::from_str(reference).map(|key| vault.key(&key)).map_err(|error| error.to_string())
}

fn user(spec: &SftpUser, at: usize, vault: &Vault, wrong: &mut Vec<Wrong>) -> Option<User> {
    let place = format!("users[{at}]");
    let password = spec.password.as_ref().map(|password| handle(password, vault));
    let password = password.transpose().map_err(|told| wrong.push((format!("{place}.password"), told)));
    let mut keys = Vec::with_capacity(spec.keys.len());
    for (number, text) in spec.keys.iter().enumerate() {
        match PublicKey::from_openssh(text) {
            Ok(key) => keys.push(key),
            Err(error) => {
                wrong.push((format!("{place}.keys[{number}]"), format!("no OpenSSH public key: {error}")))
            }
        }
    }
    if spec.password.is_none() && spec.keys.is_empty() {
        wrong.push((place, "a user needs `password` or `keys`".into()));
    }
    Some(User { name: spec.name.clone(), password: password.ok()?, keys })
}

fn batch(spec: &BatchSpec, at: usize, wrong: &mut Vec<Wrong>) -> Option<Batch> {
    let place = format!("batches[{at}]");
    let inbox = folder(spec.inbox.as_deref(), "/in", &format!("{place}.in"), wrong);
    let rows = format(&spec.rows, &format!("{place}.rows"), wrong);
    let result = match &spec.result {
        None => None,
        Some(result) => {
            let outbox = folder(result.outbox.as_deref(), "/out", &format!("{place}.result.out"), wrong);
            let rows = format(&result.rows, &format!("{place}.result.rows"), wrong);
            let after = result.after.map_or(Duration::ZERO, |after| after.0);
            if after > MAX_AFTER {
                wrong.push((format!("{place}.result.after"), "at most 366d".into()));
            }
            if outbox == inbox {
                wrong.push((format!("{place}.result.out"), "is the folder of the batches themselves".into()));
            }
            Some(Answering { business: result.business.clone(), outbox, rows: rows?, after })
        }
    };
    Some(Batch { business: spec.business.clone(), inbox, without_ok: spec.without_ok, rows: rows?, result })
}

fn folder(given: Option<&str>, default: &str, place: &str, wrong: &mut Vec<Wrong>) -> String {
    let folder = given.unwrap_or(default);
    if tree::normal(folder).as_deref() != Some(folder) || folder == "/" || folder[1..].contains('/') {
        wrong.push((place.to_owned(), "a folder at the top such as /in".into()));
    }
    folder.to_owned()
}

fn format(spec: &FileSpec, place: &str, wrong: &mut Vec<Wrong>) -> Option<FileFormat> {
    let below = |path: String| if path.is_empty() { place.to_owned() } else { format!("{place}.{path}") };
    spec.compile().map_err(|errors| wrong.extend(told(errors).map(|(path, text)| (below(path), text)))).ok()
}
