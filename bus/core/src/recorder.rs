//! Where call records go. The first stop is a local, checksummed log; the store is shipped to behind it.
use crate::{BoxFuture, CallRecord, Fault};

/// What happens to a call whose record cannot be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordPolicy {
    /// The call goes on; a metric and an alarm tell of the loss.
    #[default]
    Standard,
    /// The call is refused with QIAO-7001 before its flow starts.
    Strict,
}

/// What came of handing in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// Written to the local log: a killed process does not lose it.
    Kept,
    /// Over the disk budget or the disk failed: counted and dropped.
    Lost,
}

/// Takes one record per call, refused calls included.
pub trait Recorder: Send + Sync {
    /// Refuses with QIAO-7001 where a call of this policy could not be recorded now. Cheap: called for every call.
    fn admit(&self, policy: RecordPolicy) -> Result<(), Fault>;

    /// Hands a record in and resolves once it is in the log (a group commit shared with concurrent calls).
    fn record(&self, record: CallRecord) -> BoxFuture<'_, Recorded>;

    /// Hands a record in without waiting, for calls whose caller has gone.
    fn record_detached(&self, record: CallRecord);
}
