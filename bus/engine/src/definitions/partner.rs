//! How much a partner may be asked and what happens when it does not answer: pool, limits, breaker, retry, health, TLS, credentials.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units::{Bytes, Duration};

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Pool {
    /// Idle connections kept per endpoint, 64 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<u32>,
    /// How long an idle connection is kept, 55s when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_for: Option<Duration>,
    /// Connections per endpoint at most, 256 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<u32>,
}

/// The bulkhead: how many calls a slow partner may hold.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Limits {
    /// Calls under way at most, 256 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<u32>,
    /// Calls waiting for a place at most, 512 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<u32>,
    /// How long a call waits for a place, 1s when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Duration>,
    /// Bytes of an answer that is read whole, 10MiB when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_bytes: Option<Bytes>,
}

/// Stops asking a partner that keeps failing.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Breaker {
    /// Over which time failures are counted, 10s when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Duration>,
    /// Attempts within the window before it may open, 20 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<u32>,
    /// Share of failures that opens it, 0.5 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.01, max = 1.0))]
    pub failure_rate: Option<f64>,
    /// How long it stays open before one trial call, 10s when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<Duration>,
}

/// Repeats, only where a repeat is safe: nothing was sent, the operation changes nothing, or the partner said "later".
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Retry {
    /// Attempts at most, the first included.
    #[schemars(range(min = 1, max = 10))]
    pub attempts: u32,
    /// Wait before the second attempt, 50ms when left out; doubles each time, plus or minus a fifth at random.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Duration>,
    /// The longest wait, 2s when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<Duration>,
}

/// Active health check of every endpoint.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Health {
    /// Path asked with GET below the endpoint's base; a status below 500 is healthy.
    pub path: String,
    /// 10s when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Duration>,
    /// 2s when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Failures in a row that take an endpoint out, 3 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fall: Option<u32>,
    /// Successes in a row that bring it back, 2 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rise: Option<u32>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Tls {
    /// PEM file of the roots trusted, relative to the definitions' folder; the machine's when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roots: Option<String>,
    /// PEM files of our certificate and its key, for partners that ask for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The name the partner's certificate must have, when it is not the endpoint's host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

/// How the bus shows a partner who it is. Exactly one of the fields.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Credential {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<BasicCredential>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<HeaderCredential>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BasicCredential {
    pub user: String,
    /// Reference of the password: `vault:…`.
    #[schemars(regex(pattern = r"^vault:"))]
    pub password: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HeaderCredential {
    pub name: String,
    /// Put before the secret, for instance `Bearer `.
    #[serde(default)]
    pub prefix: String,
    /// Reference of the value: `vault:…`.
    #[schemars(regex(pattern = r"^vault:"))]
    pub value: String,
}
