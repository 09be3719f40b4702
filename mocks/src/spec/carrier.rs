//! The SMS gateway of a carrier, on listeners of `cmpp`, `smgp` and `sgip`.
use indexmap::IndexMap;
use qiao_mappings::units::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Delay;

/// A gateway: who may log in, how long it waits, what becomes of messages.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CarrierSpec {
    /// The gateway's number, part of every message id: `cmpp` below 4194304, `smgp` at most six digits, `sgip` its node number.
    pub gateway: u32,
    /// Versions spoken: `cmpp` `2.0` and `3.0`, `smgp` `1.3` and `3.0`, `sgip` `1.2`; all of them when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<String>,
    #[schemars(length(min = 1, max = 1000))]
    pub accounts: Vec<AccountSpec>,
    /// C: a connection silent for this long is tested, with `sgip` closed; 3m when left out, with `sgip` 60s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Duration>,
    /// T: how long an answer is waited for before the request is sent again; 60s when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Duration>,
    /// N: how often a request is sent before the connection is given up; 3 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10))]
    pub tries: Option<u32>,
    /// How far a login's timestamp may be from the mock partners' clock (UTC+8); not checked when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_skew: Option<Duration>,
    /// What a message beyond the window meets; `refuse` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrun: Option<Overrun>,
    /// Reports and uplink messages kept for an account that is away, the oldest go first; 10000 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub kept: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reports: Option<ReportsSpec>,
}

/// What a message beyond the window meets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Overrun {
    /// The result for flow control.
    #[default]
    Refuse,
    /// The connection is closed.
    Drop,
}

/// A service provider that may log in.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AccountSpec {
    /// SP_Id, ClientID or LoginName: at most 6, 8 and 16 characters. Unique on the listener.
    #[schemars(regex(pattern = r"^[A-Za-z0-9]{1,16}$"))]
    pub id: String,
    /// The shared secret: `vault:<name>`.
    pub secret: String,
    /// What source numbers must start with; any when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<String>,
    /// W: requests that may be unanswered, in each direction; 16 when left out, with `sgip` 32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub window: Option<u32>,
    /// Connections at once; 4 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub connections: Option<u32>,
    /// The testers' session that its requests belong to; the common one when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9._-]{1,64}$"))]
    pub session: Option<String>,
    /// `sgip`: where reports and uplink messages are sent, on a connection that the gateway opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<CallbackSpec>,
}

/// The service provider's own listener.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CallbackSpec {
    /// Host and port; `127.0.0.1:8101` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// LoginName of the gateway's Bind; the account's id when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9]{1,16}$"))]
    pub name: Option<String>,
    /// The password of the gateway's Bind: `vault:<name>`; the account's secret when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// What becomes of accepted messages. Drawn from the seed, the session and the message: the same message has the same fate.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ReportsSpec {
    /// From the answer to the report, by the mock partners' clock, at most 30d; 1s when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Delay>,
    /// Final states by their share: `{DELIVRD: 95, UNDELIV: 3, "MB:0066": 2}`; all `DELIVRD` when left out.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub mix: IndexMap<String, u32>,
    /// Share of reports sent twice, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub duplicate: Option<f64>,
    /// Share of reports sent before the answer to the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub early: Option<f64>,
    /// Share of reports never sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub never: Option<f64>,
}
