//! What is recorded of one call: who, what, when, how it ended, and one span per phase, step and attempt. A body only encrypted.
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::CallId;

/// How a call, step or attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Ok,
    /// Answered from a declared fallback (static, last good, alternative system).
    Degraded,
    /// The partner, or the flow, said no for business reasons.
    Refused,
    /// The bus turned the caller away before the flow ran.
    Denied,
    /// Technical failure.
    Failed,
    /// A changing operation whose effect is not known.
    Unknown,
    /// Not run: its condition was false, or a parallel winner made it needless.
    Skipped,
    /// The caller hung up.
    Abandoned,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Degraded => "degraded",
            Outcome::Refused => "refused",
            Outcome::Denied => "denied",
            Outcome::Failed => "failed",
            Outcome::Unknown => "unknown",
            Outcome::Skipped => "skipped",
            Outcome::Abandoned => "abandoned",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpanKind {
    Phase,
    Step,
    Attempt,
}

/// One line of the waterfall. `parent` is the index of another span of the same call, below its own index.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Span {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parent: Option<u16>,
    pub kind: SpanKind,
    /// Phase name, step path (`parties[2].query`), or endpoint of an attempt.
    pub name: Arc<str>,
    /// Microseconds since the call was accepted.
    pub start_us: u64,
    pub duration_us: u64,
    pub outcome: Outcome,
    /// Fault code number, where it failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fault: Option<u16>,
    /// Bytes sent and received, where something was.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub bytes_out: u64,
    #[serde(skip_serializing_if = "is_zero", default)]
    pub bytes_in: u64,
    /// Masked, bounded summary (at most 256 bytes): status, judgement, reason. No personal data.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<Box<str>>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Which of a call's two bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BodyPart {
    Request,
    Answer,
}

/// A body that is kept encrypted, beside the record: the record itself holds only what ties the two together.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeptBody {
    pub part: BodyPart,
    /// Size of the whole body.
    pub bytes: u64,
    /// Whether only its beginning was kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// SM3 in hex over the salt and the kept text; it outlives re-encryption and tells nothing without the salt.
    pub digest: Box<str>,
    /// SM4-GCM with the key's version inside, over the salt and the text. Empty where the record was read back.
    #[serde(skip)]
    pub sealed: Vec<u8>,
}

/// A business key of a call, such as an identity number: found by its keyed hash, shown masked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BusinessKey {
    pub name: Arc<str>,
    /// HMAC-SM3 in hex over name and value.
    pub hash: Box<str>,
    pub masked: Box<str>,
}

/// The whole record of one call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CallRecord {
    pub id: CallId,
    /// Interface id, empty when none was recognised.
    pub interface: Arc<str>,
    /// Caller id, empty when none was recognised.
    pub caller: Arc<str>,
    /// Number of the plan the call ran on.
    pub plan: u64,
    /// Unix time of acceptance, microseconds.
    pub started_us: i64,
    pub duration_us: u64,
    pub outcome: Outcome,
    /// Fault code number of a call that failed or was denied.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fault: Option<u16>,
    /// The status the caller saw.
    pub status: u16,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// The caller's `X-Request-Id`, at most 128 visible ASCII characters.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request_id: Option<Box<str>>,
    /// The W3C trace id the call belongs to, 32 hex digits.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub trace_id: Option<Box<str>>,
    /// Whether a mock partner took part.
    #[serde(default)]
    pub mocked: bool,
    pub spans: Vec<Span>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<BusinessKey>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bodies: Vec<KeptBody>,
}
