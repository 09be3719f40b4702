//! Who may call what, when, and how much.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A grant (授权): `routes/grants/<id>.yaml`. Everything not granted is refused.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct GrantDefinition {
    #[schemars(regex(pattern = r"^[a-z][a-z0-9-]{0,59}$"))]
    pub grant: String,
    pub caller: String,
    /// Interface ids; `permit.*` stands for all of a provider.
    #[schemars(length(min = 1))]
    pub interfaces: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// Per interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
}

/// When calls are let in, Asia/Shanghai time.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Window {
    /// First day, `yyyy-MM-dd`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^\d{4}-\d{2}-\d{2}$"))]
    pub from: Option<String>,
    /// Last day, included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^\d{4}-\d{2}-\d{2}$"))]
    pub until: Option<String>,
    /// Daily hours such as `08:00-20:00`; `22:00-06:00` spans midnight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hours: Vec<String>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Rate {
    /// Calls per second.
    #[schemars(range(min = 1))]
    pub per_second: u32,
    /// Calls at once before the rate binds; `perSecond` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub burst: Option<u32>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Quota {
    /// Calls per calendar day, Asia/Shanghai, per interface.
    #[schemars(range(min = 1))]
    pub per_day: u64,
}
