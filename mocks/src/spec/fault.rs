//! Delays, faults and the dials that turn them on.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use qiao_mappings::units::Duration;

/// Wait before the answer: `fixed`, or spread evenly between `from` and `to`. At most 10m.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Delay {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Duration>,
}

/// A fault and when it strikes: always, or at most one of `first`, `every` and `p`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FaultSpec {
    pub kind: FaultKind,
    /// With `status`: 503 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 400, max = 599))]
    pub status: Option<u16>,
    /// With `no-answer`: how long the connection is held (5m when left out); `reset`: how long it is held before (0ms); `drip`: how long the body takes (2s).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Duration>,
    /// With `throttle`: the answer's `Retry-After`, rounded up to whole seconds; 1s when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Duration>,
    /// With `business`: template of the business document answered in place of the stub's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<serde_json::Value>,
    /// Only the first n.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub first: Option<u64>,
    /// Every nth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub every: Option<u64>,
    /// With this probability, drawn from the seed, the business key and its count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub p: Option<f64>,
    /// What `first` and `every` count: `all` requests when left out, or those of each business `key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per: Option<Per>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    All,
    Key,
}

/// What goes wrong; F-numbers are those of the fault vocabulary in `docs/mocks.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// F02: the request is taken, no answer comes.
    NoAnswer,
    /// F03: the connection is reset.
    Reset,
    /// F05: an HTTP error status with a short text.
    Status,
    /// F06, F14, F15: the stub's status, another business document.
    Business,
    /// F07: half of the body under the whole body's length, then the connection ends.
    Cut,
    /// F07: a whole body of broken syntax.
    BadBody,
    /// F07: a GBK body labelled UTF-8.
    WrongCharset,
    /// F08: status 200 with an HTML page.
    Html,
    /// F09: a sealed answer whose signature does not fit.
    BadSignature,
    /// F16: 429 with `Retry-After`.
    Throttle,
    /// F21: the body in small pieces.
    Drip,
    /// F11, pushes and reports: sent twice.
    Duplicate,
    /// F12, pushes and reports: sent after the one that follows.
    OutOfOrder,
    /// F13, pushes and reports: not sent.
    Never,
}

/// Every kind with its name in YAML and its number.
pub const FAULT_KINDS: &[(FaultKind, &str, &str)] = &[
    (FaultKind::NoAnswer, "no-answer", "F02"),
    (FaultKind::Reset, "reset", "F03"),
    (FaultKind::Status, "status", "F05"),
    (FaultKind::Business, "business", "F06"),
    (FaultKind::Cut, "cut", "F07"),
    (FaultKind::BadBody, "bad-body", "F07"),
    (FaultKind::WrongCharset, "wrong-charset", "F07"),
    (FaultKind::Html, "html", "F08"),
    (FaultKind::BadSignature, "bad-signature", "F09"),
    (FaultKind::Throttle, "throttle", "F16"),
    (FaultKind::Drip, "drip", "F21"),
    (FaultKind::Duplicate, "duplicate", "F11"),
    (FaultKind::OutOfOrder, "out-of-order", "F12"),
    (FaultKind::Never, "never", "F13"),
];

impl FaultKind {
    /// The name in YAML.
    pub fn name(self) -> &'static str {
        FAULT_KINDS.iter().find(|(kind, ..)| *kind == self).map_or("", |(_, name, _)| name)
    }

    /// The kind of that name or number; a number that several share gives the first.
    pub fn named(text: &str) -> Option<Self> {
        FAULT_KINDS.iter().find(|(_, name, number)| *name == text || *number == text).map(|(kind, ..)| *kind)
    }
}

/// A fault or delay laid over a partner. Those from the admin API end by themselves.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Dial {
    /// Unique within the partner.
    #[schemars(regex(pattern = r"^[a-z0-9][a-z0-9-]{0,79}$"))]
    pub id: String,
    /// What it is laid over; left out: everything of the partner.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Delay>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultSpec>,
    /// How long it lasts; in the admin API 10m when left out, 24h at most. A dial in a file without it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Duration>,
}

/// All parts given must fit.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Target {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stub: Option<String>,
    /// A step of a plan by its id, or `*` for all pushes; a dial without it is for requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<String>,
}
