//! The shared words of the bus: faults, ids, call records and the traits that separate crates. No I/O.
pub mod call;
pub mod clock;
pub mod connector;
pub mod fault;
pub mod fault_codes;
pub mod ids;
pub mod once;
pub mod recorder;
pub mod store;

pub use call::{BodyPart, BusinessKey, CallRecord, KeptBody, Outcome, Span, SpanKind};
pub use clock::{Clock, SystemClock};
pub use connector::{Answer, AnswerBody, Connector, EndpointHealth, Outbound, OutboundBody};
pub use fault::{Blame, Fault, FaultCode, Repeat};
pub use ids::CallId;
pub use once::{AnswerStore, NoMemory, NonceStore};
pub use recorder::{RecordPolicy, Recorded, Recorder};
pub use store::{CallFilter, CallSummary, SealedBody, Store, StoreError};

/// A boxed future, used only where a trait object needs one.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
