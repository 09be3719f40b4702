//! The call index behind the local log: what `qiao trace`, the console and auditors read.
use crate::{BodyPart, BoxFuture, CallId, CallRecord, Outcome};

/// One line of a call listing.
#[derive(Clone, Debug, serde::Serialize)]
pub struct CallSummary {
    pub id: CallId,
    pub interface: String,
    pub caller: String,
    pub started_us: i64,
    pub duration_us: u64,
    pub outcome: Outcome,
    pub status: u16,
    pub fault: Option<u16>,
}

/// Which calls to list, newest first. At most `limit` (bounded to 1000) older than `before`.
#[derive(Clone, Debug, Default)]
pub struct CallFilter {
    pub interface: Option<String>,
    pub caller: Option<String>,
    pub outcome: Option<Outcome>,
    /// Name and keyed hash (hex) of a business key.
    pub key: Option<(String, String)>,
    pub before: Option<CallId>,
    pub limit: usize,
}

/// An encrypted body and which of the call's two it is.
pub type SealedBody = (BodyPart, Vec<u8>);

/// Why the store did not answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the store at {place} cannot be used: {reason}")]
    Unavailable { place: String, reason: String },
    #[error("the store at {place} holds what this version cannot read: {reason}")]
    Corrupt { place: String, reason: String },
}

/// Persistent storage behind the call log: SQLite or PostgreSQL.
pub trait Store: Send + Sync {
    /// Inserts records; one that is already there is left as it is.
    fn insert_calls<'a>(&'a self, records: &'a [CallRecord]) -> BoxFuture<'a, Result<(), StoreError>>;

    fn call(&self, id: CallId) -> BoxFuture<'_, Result<Option<CallRecord>, StoreError>>;

    fn calls<'a>(&'a self, filter: &'a CallFilter) -> BoxFuture<'a, Result<Vec<CallSummary>, StoreError>>;

    /// The encrypted bodies kept of a call, in the order of their parts; a store that keeps none says so by its error.
    fn bodies(&self, id: CallId) -> BoxFuture<'_, Result<Vec<SealedBody>, StoreError>> {
        let reason = format!("it keeps no bodies, so none of call {id}");
        Box::pin(async { Err(StoreError::Unavailable { place: "this store".to_owned(), reason }) })
    }

    /// How many calls are stored.
    fn count_calls(&self) -> BoxFuture<'_, Result<u64, StoreError>>;
}
