//! Dual control: what touches the vault's root needs a request that two operators signed, each with a key of their own. The
//! vault itself verifies them, so no other code can leave that out. For `qiao keys`.
//!
//! A request is a text ([`Vault::request`]), passed from one operator to the next as a file, which collects signatures; it
//! names one operation, one vault and a time, and counts once. What was done is kept in the journal, a chain under the vault's
//! own seal.
use super::{
    Inner, Vault,
    admin::{now, public_point},
    hierarchy::Hierarchy,
};
use crate::{
    error::VaultError,
    external::Devices,
    format::SignatureFormat,
    key::{KeyKind, KeyRef, KeyState, Purpose},
    provider::{DEFAULT_SM2_ID, Provider, sm2_z},
    storage::{Control, JournalEntry, KeyChange, StoredKey, VaultHeader},
    vault::KeyHandle,
};
use serde::{Deserialize, Serialize};

mod operation;

pub use operation::RootOperation;

/// Key names of operators begin with this; they change through [`Vault::register_operator`] alone.
const OPERATORS: &str = "operator/";

/// The most seconds a request may be good for.
const MAX_LIFE: i64 = 24 * 3600;

/// How far a request's time may lie ahead of this machine's clock, in seconds.
const CLOCKS_APART: i64 = 300;

/// Root operations are rare; a journal with more is no journal.
const MAX_JOURNAL: usize = 10_000;

const MARK: &str = "qiao-root-request-1";

/// A person who may approve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// One segment of a key name.
    pub name: String,
    /// x ‖ y, with or without a leading 04.
    pub public: Vec<u8>,
}

/// A request with the signatures collected so far; JSON when it is passed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RootRequest {
    /// What is signed, as it stands: lines of `name: value`.
    pub statement: String,
    pub approvals: Vec<Approval>,
}

/// One operator's signature over the statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Approval {
    pub operator: String,
    /// r ‖ s in hex, SM2 with SM3 under the default identifier.
    pub signature: String,
}

impl RootRequest {
    /// Adds a signature made with the operator's own key, replacing an earlier one of theirs.
    pub fn sign(&mut self, operator: &str, key: &KeyHandle) -> Result<(), VaultError> {
        let signature = key.sign(self.statement.as_bytes(), DEFAULT_SM2_ID, SignatureFormat::Raw)?;
        self.approvals.retain(|approval| approval.operator != operator);
        self.approvals.push(Approval { operator: operator.to_owned(), signature: hex::encode(signature) });
        Ok(())
    }

    /// What it asks for, in words.
    pub fn operation(&self) -> Option<&str> {
        self.field("operation")
    }

    /// Unix seconds.
    pub fn expires(&self) -> Option<i64> {
        self.field("expires")?.parse().ok()
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.statement.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

impl Vault {
    /// A request for an operation on this vault, good for `life` seconds (at most a day), as yet unsigned. Needs no unsealing.
    pub fn request(&self, operation: &RootOperation, life: i64) -> Result<RootRequest, VaultError> {
        let header = self.0.storage.header()?.ok_or(VaultError::Uninitialised)?;
        request(&**self.provider(), &header, operation, life)
    }

    /// The operations on the root so far. Refused while sealed and where an entry was altered; a journal that lost its newest
    /// entries, with the rest of the storage set back to then, cannot be told from an older one.
    pub fn journal(&self) -> Result<Vec<JournalEntry>, VaultError> {
        let inner = self.0.inner.lock();
        let hierarchy = inner.hierarchy.as_ref().ok_or(VaultError::Sealed)?;
        let journal = self.0.storage.journal()?;
        verify_journal(&**self.provider(), hierarchy, &journal)?;
        Ok(journal)
    }

    /// Lets an operator approve from now on; one of that name is replaced. A root operation.
    pub fn register_operator(
        &self,
        operator: &Operator,
        request: Option<&RootRequest>,
    ) -> Result<(), VaultError> {
        check_name(&operator.name)?;
        let point = public_point(&**self.provider(), &operator.public)?;
        let mut inner = self.0.inner.lock();
        let operation = RootOperation::RegisterOperator { name: operator.name.clone(), public: point };
        let (mut changes, records) = self.operator_changes(&inner, &operation, &operator.name, request)?;
        let hierarchy = inner.hierarchy.as_ref().ok_or(VaultError::Sealed)?;
        let version = records.iter().map(|record| record.version).max().unwrap_or(0) + 1;
        let mut record = operator_record(&operator.name, version, &point);
        hierarchy.seal_record(&**self.provider(), &mut record, None)?;
        changes.push(KeyChange::Insert(record));
        self.0.storage.apply(&changes)?;
        self.reload_locked(&mut inner)
    }

    /// Takes an operator's right to approve away. A root operation; two must remain under dual control.
    pub fn remove_operator(&self, name: &str, request: Option<&RootRequest>) -> Result<(), VaultError> {
        check_name(name)?;
        let mut inner = self.0.inner.lock();
        let operation = RootOperation::RemoveOperator { name: name.to_owned() };
        let (changes, records) = self.operator_changes(&inner, &operation, name, request)?;
        if records.is_empty() {
            return Err(VaultError::UnknownKey { key: format!("vault:{OPERATORS}{name}") });
        }
        let hierarchy = inner.hierarchy.as_ref().ok_or(VaultError::Sealed)?;
        let others = |record: &&StoredKey| active_operator(record).is_some_and(|other| other != name);
        if hierarchy.control == Control::Dual && self.0.storage.keys()?.iter().filter(others).count() < 2 {
            return Err(VaultError::invalid("two operators must remain: register another one first"));
        }
        self.0.storage.apply(&changes)?;
        self.reload_locked(&mut inner)
    }

    /// The journal entry and the end of the versions so far, and all records of the operator.
    fn operator_changes(
        &self,
        inner: &Inner,
        operation: &RootOperation,
        name: &str,
        request: Option<&RootRequest>,
    ) -> Result<(Vec<KeyChange>, Vec<StoredKey>), VaultError> {
        let provider = &**self.provider();
        let hierarchy = inner.hierarchy.as_ref().ok_or(VaultError::Sealed)?;
        let mut changes = vec![self.authorise(hierarchy, operation, request)?];
        let mut records = self.0.storage.keys()?;
        records.retain(|record| record.name.strip_prefix(OPERATORS) == Some(name));
        for record in &records {
            hierarchy.load(provider, &Devices::new(), record)?;
            if record.state == KeyState::Active {
                let mut ended = StoredKey { state: KeyState::Retired, ..record.clone() };
                hierarchy.seal_record(provider, &mut ended, None)?;
                changes.push(KeyChange::Replace { expected_mac: record.mac.clone(), new: ended });
            }
        }
        Ok((changes, records))
    }

    /// The journal entry of an operation that is allowed, to be stored together with its effect.
    pub(super) fn authorise(
        &self,
        hierarchy: &Hierarchy,
        operation: &RootOperation,
        request: Option<&RootRequest>,
    ) -> Result<KeyChange, VaultError> {
        let header = self.0.storage.header()?.ok_or(VaultError::Uninitialised)?;
        let (keys, journal) = (self.0.storage.keys()?, self.0.storage.journal()?);
        let kept = Kept { header: &header, keys: &keys, journal: &journal };
        authorise(&**self.provider(), hierarchy, &kept, operation, request)
    }
}

/// What a request is judged by.
pub(super) struct Kept<'a> {
    pub(super) header: &'a VaultHeader,
    pub(super) keys: &'a [StoredKey],
    pub(super) journal: &'a [JournalEntry],
}

pub(super) fn authorise(
    provider: &dyn Provider,
    hierarchy: &Hierarchy,
    kept: &Kept<'_>,
    operation: &RootOperation,
    request: Option<&RootRequest>,
) -> Result<KeyChange, VaultError> {
    verify_journal(provider, hierarchy, kept.journal)?;
    let (operators, nonce) = match (hierarchy.control, request) {
        (Control::Single, _) => (Vec::new(), String::new()),
        (Control::Dual, None) => {
            return Err(VaultError::NeedsApproval { operation: operation.to_string() });
        }
        (Control::Dual, Some(request)) => {
            let nonce = check_statement(provider, kept, operation, request)?;
            (approvers(provider, hierarchy, kept.keys, request)?, nonce)
        }
    };
    let number = kept.journal.len() + 1;
    if number > MAX_JOURNAL {
        return Err(VaultError::invalid("the journal of root operations is full"));
    }
    let mut entry = JournalEntry {
        number: number as u32,
        at: now(),
        operation: operation.to_string(),
        operators,
        nonce,
        mac: String::new(),
    };
    let before = kept.journal.last().map_or("", |entry| entry.mac.as_str());
    hierarchy.seal_entry(provider, before, &mut entry)?;
    Ok(KeyChange::Journal(entry))
}

pub(super) fn request(
    provider: &dyn Provider,
    header: &VaultHeader,
    operation: &RootOperation,
    life: i64,
) -> Result<RootRequest, VaultError> {
    if !(60..=MAX_LIFE).contains(&life) {
        return Err(VaultError::invalid("a request is good for one minute to one day"));
    }
    let mut nonce = [0; 16];
    provider.random(&mut nonce)?;
    let (id, requested) = (vault_id(provider, header), now());
    let statement = format!(
        "{MARK}\nvault: {id}\noperation: {operation}\nrequested: {requested}\nexpires: {}\nnonce: {}",
        requested + life,
        hex::encode(nonce)
    );
    Ok(RootRequest { statement, approvals: Vec::new() })
}

/// The same for a vault and its backups, and for no other.
fn vault_id(provider: &dyn Provider, header: &VaultHeader) -> String {
    hex::encode(&provider.sm3(&[b"qiao vault id", header.kek.as_bytes()])[..16])
}

/// Whether the statement asks for this, here and now; gives its nonce.
fn check_statement(
    provider: &dyn Provider,
    kept: &Kept<'_>,
    operation: &RootOperation,
    request: &RootRequest,
) -> Result<String, VaultError> {
    let refused = |why: String| Err(VaultError::NotApproved { why });
    let lines: Vec<_> = request.statement.lines().collect();
    let number = |name: &str| request.field(name).and_then(|text| text.parse::<i64>().ok());
    let (Some(requested), Some(expires), Some(nonce), [MARK, _, _, _, _, _]) =
        (number("requested"), number("expires"), request.field("nonce"), &lines[..])
    else {
        return refused("it is no request, or was cut".into());
    };
    if request.field("vault") != Some(&vault_id(provider, kept.header)) {
        return refused("it is for another vault".into());
    }
    if request.operation() != Some(&operation.to_string()) {
        return refused(format!("it is to {}", request.operation().unwrap_or("do something else")));
    }
    if expires - requested > MAX_LIFE || requested > now() + CLOCKS_APART || now() >= expires {
        return refused("its time is over; make a new one".into());
    }
    if nonce.len() != 32 || kept.journal.iter().any(|entry| entry.nonce == nonce) {
        return refused("it was used already".into());
    }
    Ok(nonce.to_owned())
}

/// The names of the operators whose signatures hold, two at least with different keys.
fn approvers(
    provider: &dyn Provider,
    hierarchy: &Hierarchy,
    keys: &[StoredKey],
    request: &RootRequest,
) -> Result<Vec<String>, VaultError> {
    let refused = |why: String| Err(VaultError::NotApproved { why });
    let mut found: Vec<(String, [u8; 64])> = Vec::new();
    for approval in &request.approvals {
        let name = &approval.operator;
        let Some(record) = keys.iter().find(|key| active_operator(key) == Some(name)) else {
            return refused(format!("{name} is no operator of this vault"));
        };
        hierarchy.load(provider, &Devices::new(), record)?;
        let point = record.public.as_deref().and_then(|text| hex::decode(text).ok());
        let point: [u8; 64] = point
            .and_then(|point| point.try_into().ok())
            .ok_or_else(|| VaultError::AlteredRecord { key: record.name.clone() })?;
        let signature: Option<[u8; 64]> =
            hex::decode(&approval.signature).ok().and_then(|bytes| bytes.try_into().ok());
        let digest = provider.sm3(&[&sm2_z(provider, &point, DEFAULT_SM2_ID)?, request.statement.as_bytes()]);
        let holds = match signature {
            Some(signature) => provider.sm2_public(&point)?.verify_digest(&digest, &signature).is_ok(),
            None => false,
        };
        if !holds {
            return refused(format!("the signature of {name} does not hold"));
        }
        if found.iter().all(|(other, known)| other != name && *known != point) {
            found.push((name.clone(), point));
        }
    }
    match found.len() {
        0 => refused("nobody signed it; two operators must".into()),
        1 => refused(format!("only {} signed it; a second operator must", found[0].0)),
        _ => Ok(found.into_iter().map(|(name, _)| name).collect()),
    }
}

pub(super) fn verify_journal(
    provider: &dyn Provider,
    hierarchy: &Hierarchy,
    journal: &[JournalEntry],
) -> Result<(), VaultError> {
    let mut before = "";
    for (number, entry) in (1..).zip(journal) {
        let mut again = entry.clone();
        hierarchy.seal_entry(provider, before, &mut again)?;
        let same = super::constant_time_eq(again.mac.as_bytes(), entry.mac.as_bytes());
        if !same || entry.number != number {
            return Err(VaultError::AlteredRecord { key: format!("journal entry {number}") });
        }
        before = &entry.mac;
    }
    Ok(())
}

/// The name of an operator who may approve, where the record is one.
fn active_operator(record: &StoredKey) -> Option<&str> {
    record.name.strip_prefix(OPERATORS).filter(|_| record.state == KeyState::Active)
}

/// Refuses what would change operators by another way.
pub(super) fn not_an_operator(key: &KeyRef) -> Result<(), VaultError> {
    if key.name().starts_with(OPERATORS) {
        return Err(VaultError::invalid(format!("{key} is an operator: `qiao keys operator` changes those")));
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), VaultError> {
    let fine = !name.contains('/') && KeyRef::from_name(&format!("{OPERATORS}{name}")).is_ok();
    if fine {
        return Ok(());
    }
    Err(VaultError::invalid("an operator's name is letters, digits, `.`, `_` and `-`"))
}

/// Two at least, each with a name and a key of their own.
pub(super) fn check_operators(operators: &[Operator]) -> Result<(), VaultError> {
    for (at, operator) in operators.iter().enumerate() {
        check_name(&operator.name)?;
        let twice = |other: &Operator| {
            let (a, b) = (&operator.public, &other.public);
            let tail = |point: &[u8]| point[point.len().saturating_sub(64)..].to_vec();
            other.name == operator.name || tail(a) == tail(b)
        };
        if operators[..at].iter().any(twice) {
            return Err(VaultError::invalid("operators need names and keys of their own"));
        }
    }
    if operators.len() < 2 {
        return Err(VaultError::invalid("dual control needs two operators at least"));
    }
    Ok(())
}

/// What a new vault is born with: its operators, and the journal's first entry.
pub(super) fn first_records(
    provider: &dyn Provider,
    hierarchy: &Hierarchy,
    operators: &[Operator],
) -> Result<Vec<KeyChange>, VaultError> {
    let mut changes = Vec::new();
    for operator in operators {
        let point = public_point(provider, &operator.public)?;
        let mut record = operator_record(&operator.name, 1, &point);
        hierarchy.seal_record(provider, &mut record, None)?;
        changes.push(KeyChange::Insert(record));
    }
    let names: Vec<_> = operators.iter().map(|operator| operator.name.clone()).collect();
    let mut entry = JournalEntry {
        number: 1,
        at: now(),
        operation: "make the vault".into(),
        operators: names,
        nonce: String::new(),
        mac: String::new(),
    };
    hierarchy.seal_entry(provider, "", &mut entry)?;
    changes.push(KeyChange::Journal(entry));
    Ok(changes)
}

fn operator_record(name: &str, version: u32, point: &[u8; 64]) -> StoredKey {
    StoredKey {
        name: format!("{OPERATORS}{name}"),
        version,
        kind: KeyKind::Sm2,
        purpose: Purpose::Sign,
        state: KeyState::Active,
        created: now(),
        expires: None,
        public: Some(hex::encode(point)),
        sealed: None,
        rotation: None,
        external: None,
        mac: String::new(),
    }
}

#[cfg(test)]
mod tests;
