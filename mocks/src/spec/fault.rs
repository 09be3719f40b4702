//! Delays, faults and the dials that turn them on.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use qiao_mappings::units::Duration;

use super::Proto;

/// Wait before the answer: `fixed`, or spread evenly between `from` and `to`, or log-normally around `median`. At most 10m.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Delay {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Duration>,
    /// With `sigma`: half of the waits are shorter, half longer, spread log-normally as real latencies are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub median: Option<Duration>,
    /// Standard deviation of the waits' natural logarithm: 0.1 is steady, 1 wild.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 3.0))]
    pub sigma: Option<f64>,
}

/// A fault and when it strikes: always, or at most one of `first`, `every` and `p`; with `window`, only then.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FaultSpec {
    pub kind: FaultKind,
    /// With `status`: 503 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 400, max = 599))]
    pub status: Option<u16>,
    /// With `no-answer`: how long the connection is held (5m when left out); `reset`: how long it is held before (0ms); `drip`: how long
    /// the body takes (2s); `glued-frames`: how long an answer waits for the next (1s).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Duration>,
    /// With `throttle` and `maintenance`: the answer's `Retry-After`, rounded up to whole seconds; when left out 1s, with `maintenance` the end of its window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Duration>,
    /// Template of the business document answered in place of the stub's: with `business`; with `maintenance` and `token-expired` in place of their HTTP status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<serde_json::Value>,
    /// With the `field-…` kinds, `rare-char` and `pua-char`: the member of the answer's document, such as `data.cards.0.cardNo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// With `clock-skew`: how far the partner's clock is off, `10m` ahead when left out; with a minus sign behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^-?[0-9]+(ms|s|m|h|d)$"))]
    pub skew: Option<String>,
    /// With `wrong-length`: what the length says; `longer` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<WrongLength>,
    /// Only at these times of day by the mock partners' clock, Beijing time: `22:00-06:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-2][0-9]:[0-5][0-9]-[0-2][0-9]:[0-5][0-9]$"))]
    pub window: Option<String>,
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

impl FaultSpec {
    /// A fault that always strikes, with the defaults of its kind.
    pub fn of(kind: FaultKind) -> Self {
        Self {
            kind,
            status: None,
            after: None,
            retry_after: None,
            json: None,
            field: None,
            skew: None,
            length: None,
            window: None,
            first: None,
            every: None,
            p: None,
            per: None,
        }
    }
}

/// How a length is wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WrongLength {
    /// One more than there is.
    #[default]
    Longer,
    /// One less than there is.
    Shorter,
    /// 0.
    Zero,
    /// No length at all: letters for digits, the largest number in binary.
    Garbage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    All,
    Key,
}

/// What goes wrong; F-numbers are those of the fault vocabulary in `docs/mocks-faults.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// F02: the request is taken, no answer comes.
    NoAnswer,
    /// F03: the connection is reset.
    Reset,
    /// F03: the connection is reset in the middle of the TLS handshake.
    HandshakeAbort,
    /// F05: an HTTP error status with a short text.
    Status,
    /// F05: files cannot be opened, listed or written: permission denied. A queue's message is refused for good.
    Refused,
    /// F06, F14, F15: the stub's status, another business document.
    Business,
    /// F07: half of the body under the whole body's length, then the connection ends; of a file the first half.
    Cut,
    /// F07: a whole body of broken syntax.
    BadBody,
    /// F07: a GBK body labelled UTF-8, or UTF-8 where GBK is due.
    WrongCharset,
    /// F07: a file whose trailer states another digest.
    WrongDigest,
    /// F08: status 200 with an HTML page.
    Html,
    /// F09: a sealed answer, or a file, whose signature does not fit.
    BadSignature,
    /// F09: a file without its signature.
    MissingSignature,
    /// F10: the first answer it strikes is given to all later requests too, byte for byte.
    Replay,
    /// F11: a result file appears once more under the next batch number.
    DuplicateFile,
    /// F16: 429 with `Retry-After`. A queue's message goes back after that time and comes again.
    Throttle,
    /// F17: closed for maintenance: 503 with `Retry-After`, `json`, or beside HTTP the connection closed. A push waits for the end of `window`.
    Maintenance,
    /// F18: 401 with an invalid token, or `json`.
    TokenExpired,
    /// F19: `field` is missing.
    FieldMissing,
    /// F19: the object `field` has one member more, `unannounced`.
    FieldExtra,
    /// F19: the text `field` is repeated up to 4000 characters.
    FieldLonger,
    /// F19: `field` has another type: a text for a number, a list for a text, a text for the rest.
    FieldType,
    /// F20: the text `field` ends in 𬱖 (U+2CC56), four bytes in GB 18030, none in GBK.
    RareChar,
    /// F20: the text `field` ends in U+E816, a private-use code of older fonts.
    PuaChar,
    /// F21: the body in small pieces.
    Drip,
    /// F11, pushes and reports: sent twice.
    Duplicate,
    /// F12, pushes and reports: sent after the one that follows.
    OutOfOrder,
    /// F13, pushes and reports: not sent.
    Never,
    /// F22: a frame in several segments, cut within its length and within characters.
    SplitFrames,
    /// F22: a frame waits for the next one and leaves in one segment with it.
    GluedFrames,
    /// F23: the length before the message is wrong.
    WrongLength,
    /// F24: the answer is sealed with keys of another generation.
    StaleKey,
    /// F24: a server certificate that has expired.
    ExpiredCertificate,
    /// F25: the partner's clock is off by `skew`.
    ClockSkew,
    /// F26: a repeated request is answered as if it were new, with other numbers.
    OtherReply,
}

/// Every kind with its name in YAML and its number.
pub const FAULT_KINDS: &[(FaultKind, &str, &str)] = &[
    (FaultKind::NoAnswer, "no-answer", "F02"),
    (FaultKind::Reset, "reset", "F03"),
    (FaultKind::HandshakeAbort, "handshake-abort", "F03"),
    (FaultKind::Status, "status", "F05"),
    (FaultKind::Refused, "refused", "F05"),
    (FaultKind::Business, "business", "F06"),
    (FaultKind::Cut, "cut", "F07"),
    (FaultKind::BadBody, "bad-body", "F07"),
    (FaultKind::WrongCharset, "wrong-charset", "F07"),
    (FaultKind::WrongDigest, "wrong-digest", "F07"),
    (FaultKind::Html, "html", "F08"),
    (FaultKind::BadSignature, "bad-signature", "F09"),
    (FaultKind::MissingSignature, "missing-signature", "F09"),
    (FaultKind::Replay, "replay", "F10"),
    (FaultKind::DuplicateFile, "duplicate-file", "F11"),
    (FaultKind::Throttle, "throttle", "F16"),
    (FaultKind::Maintenance, "maintenance", "F17"),
    (FaultKind::TokenExpired, "token-expired", "F18"),
    (FaultKind::FieldMissing, "field-missing", "F19"),
    (FaultKind::FieldExtra, "field-extra", "F19"),
    (FaultKind::FieldLonger, "field-longer", "F19"),
    (FaultKind::FieldType, "field-type", "F19"),
    (FaultKind::RareChar, "rare-char", "F20"),
    (FaultKind::PuaChar, "pua-char", "F20"),
    (FaultKind::Drip, "drip", "F21"),
    (FaultKind::Duplicate, "duplicate", "F11"),
    (FaultKind::OutOfOrder, "out-of-order", "F12"),
    (FaultKind::Never, "never", "F13"),
    (FaultKind::SplitFrames, "split-frames", "F22"),
    (FaultKind::GluedFrames, "glued-frames", "F22"),
    (FaultKind::WrongLength, "wrong-length", "F23"),
    (FaultKind::StaleKey, "stale-key", "F24"),
    (FaultKind::ExpiredCertificate, "expired-certificate", "F24"),
    (FaultKind::ClockSkew, "clock-skew", "F25"),
    (FaultKind::OtherReply, "other-reply", "F26"),
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

    /// Whether it strikes before there is a request: in the handshake, at the login, when a file is opened.
    pub fn is_beforehand(self, proto: Proto) -> bool {
        match self {
            Self::HandshakeAbort | Self::ExpiredCertificate => true,
            Self::Refused => proto != Proto::Amqp,
            Self::Maintenance => proto == Proto::Sftp,
            _ => false,
        }
    }

    /// Whether it changes a member of the answer's document, named by `field`.
    pub fn is_of_field(self) -> bool {
        use FaultKind::{FieldExtra, FieldLonger, FieldMissing, FieldType, PuaChar, RareChar};
        matches!(self, FieldMissing | FieldExtra | FieldLonger | FieldType | RareChar | PuaChar)
    }

    /// Whether a protocol can have it at all; elsewhere it does not strike.
    pub fn is_of(self, proto: Proto) -> bool {
        use FaultKind::{
            DuplicateFile, ExpiredCertificate, GluedFrames, HandshakeAbort, Html, MissingSignature, Refused,
            SplitFrames, Status, Throttle, TokenExpired, WrongDigest, WrongLength,
        };
        let files = proto == Proto::Sftp;
        if proto.is_carrier() {
            return self.is_of_carriers();
        }
        if proto == Proto::Amqp {
            return self.is_of_queues();
        }
        match self {
            Status | Throttle | TokenExpired => proto.is_http(),
            Html | HandshakeAbort | ExpiredCertificate => proto.is_http() || proto == Proto::Tcp,
            SplitFrames | GluedFrames => !proto.is_http() && !files,
            Self::Drip | WrongLength => !files,
            Refused | WrongDigest | MissingSignature | DuplicateFile => files,
            _ => true,
        }
    }

    /// Whether a push can have it: the partner is the caller, its document, its seal and its time can be wrong.
    pub fn is_of_push(self) -> bool {
        use FaultKind::{
            BadSignature, Business, ClockSkew, Duplicate, Maintenance, Never, OutOfOrder, StaleKey,
        };
        let kinds = [BadSignature, Business, ClockSkew, Duplicate, Maintenance, Never, OutOfOrder, StaleKey];
        self.is_of_field() || kinds.contains(&self)
    }

    /// Whether a queue's listener can have it: messages are framed by the broker, answers have no status.
    fn is_of_queues(self) -> bool {
        use FaultKind::{
            BadBody, BadSignature, Business, ClockSkew, Duplicate, Html, Never, NoAnswer, OtherReply,
            Refused, Replay, Reset, StaleKey, Throttle, WrongCharset,
        };
        let messages = [NoAnswer, Reset, Refused, Throttle, Duplicate, Never];
        let answers =
            [Business, BadBody, WrongCharset, Html, BadSignature, StaleKey, Replay, ClockSkew, OtherReply];
        self.is_of_field() || messages.contains(&self) || answers.contains(&self)
    }

    /// Whether a carrier's gateway can have it: its answers are results in frames, not documents.
    fn is_of_carriers(self) -> bool {
        use FaultKind::{
            BadBody, BadSignature, Business, Cut, Drip, Duplicate, GluedFrames, Html, Maintenance, Never,
            NoAnswer, OutOfOrder, Reset, SplitFrames, Throttle, WrongCharset, WrongLength,
        };
        let answers = [NoAnswer, Reset, Business, Cut, BadBody, WrongCharset, Html, BadSignature];
        let reports = [Duplicate, OutOfOrder, Never, Throttle, Maintenance];
        let frames = [Drip, SplitFrames, GluedFrames, WrongLength];
        [&answers[..], &reports, &frames].concat().contains(&self)
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
