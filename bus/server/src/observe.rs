//! Who else is told of a finished call: the live lines of the demo.
use qiao_core::CallRecord;

/// Told of every call once it is recorded. Must not block.
pub trait Observer: Send + Sync {
    fn recorded(&self, record: &CallRecord);
}
