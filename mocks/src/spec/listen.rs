//! What listeners of their own sockets declare: framing and TLS.
use qiao_mappings::{
    SpecError,
    units::{Bytes, Duration},
};
use qiao_wire::frame::{DelimiterSpec, FixedSpec, FrameSpec, LengthSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How messages travel on a TCP connection.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TcpSpec {
    /// Where one message ends and the next begins; left out: eight ASCII digits that count the bytes behind them, at most `bodyBytes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub framing: Option<FramingSpec>,
    /// The connection is closed after one answer; left out: it takes one message after the other.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub one_shot: bool,
    /// A connection that brings no whole message for this long is closed; 1m when left out, 10m at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Duration>,
}

/// A queue of the broker that the settings name (AMQP 0-9-1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "MockQueue")]
pub struct QueueSpec {
    /// Its name. It must be there: mock partners declare no queues.
    #[schemars(length(min = 1, max = 255))]
    pub queue: String,
    /// Where the answer to a message without `reply-to` goes; left out: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<QueueAnswer>,
    /// Messages taken at once; 1 when left out, which keeps their order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 256))]
    pub prefetch: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "MockQueueAnswer")]
pub struct QueueAnswer {
    /// The default exchange, whose routing key is the queue's name, when left out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub exchange: String,
    pub routing_key: String,
}

/// How messages follow one another on a stream.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "camelCase")]
#[schemars(rename = "MockFraming")]
pub enum FramingSpec {
    /// A length in front, or within the head.
    Length(LengthSpec),
    /// A delimiter behind each message.
    Delimiter(DelimiterSpec),
    /// All messages have the same size.
    Fixed(FixedSpec),
    /// A message ends where nothing comes for a while, or the sender closes its side.
    IdleGap(IdleGapSpec),
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "MockIdleGap")]
pub struct IdleGapSpec {
    /// Nothing comes for this long; 10s at most.
    pub gap: Duration,
    /// The most bytes of a message.
    pub max: Bytes,
}

impl FramingSpec {
    /// The same in the words of the wire; none for the idle gap, which only a clock can see.
    pub fn frame(&self) -> Option<FrameSpec> {
        match self {
            Self::Length(spec) => Some(FrameSpec::Length(spec.clone())),
            Self::Delimiter(spec) => Some(FrameSpec::Delimiter(spec.clone())),
            Self::Fixed(spec) => Some(FrameSpec::Fixed(spec.clone())),
            Self::IdleGap(_) => None,
        }
    }
}

/// TLS on a listener's own port: TLS 1.2 and 1.3. Left empty, the certificate is one of the mock server's development authority.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "MockTls")]
pub struct TlsSpec {
    /// A PEM file of the partner's folder: the certificate and its intermediates, leaf first. Goes with `key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// A PEM file of the partner's folder, or the `vault:` reference of a secret that holds the PEM text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Names and addresses that a development certificate is for, beside localhost and the address listened on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// A PEM file of the partner's folder: whose client certificates are believed. Left out: clients need none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<String>,
    /// With `clients`: a client without a certificate is served too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clients_optional: bool,
}

/// A mistake with its path.
pub fn told(errors: Vec<SpecError>) -> impl Iterator<Item = (String, String)> {
    errors.into_iter().map(|error| (error.path, error.message))
}
