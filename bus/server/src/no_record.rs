//! The recorder of a node that records nothing: for benchmarks of what recording costs. Strict interfaces are refused.
use qiao_core::{BoxFuture, CallRecord, Fault, RecordPolicy, Recorded, Recorder, fault_codes};

/// Drops every record.
pub struct NoRecorder;

impl Recorder for NoRecorder {
    fn admit(&self, policy: RecordPolicy) -> Result<(), Fault> {
        match policy {
            RecordPolicy::Standard => Ok(()),
            RecordPolicy::Strict => {
                Err(Fault::new(&fault_codes::RECORD_UNAVAILABLE, "this node's settings switch recording off"))
            }
        }
    }

    fn record(&self, _record: CallRecord) -> BoxFuture<'_, Recorded> {
        Box::pin(async { Recorded::Lost })
    }

    fn record_detached(&self, _record: CallRecord) {}
}
