//! Sessions: what one tester lays over the partners for a while, and packs of it (`mocks/packs/<pack>/pack.yaml`).
use indexmap::IndexMap;
use qiao_mappings::units::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Dial, FormVersion, StubSpec};

/// A session. Requests belong to it by the header `X-Mock-Session`, or by the account that they log in with.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SessionSpec {
    /// Its name; made up when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9._-]{1,64}$"))]
    pub session: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// It ends this long after its last request; 2h when left out, 24h at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Duration>,
    /// A pack whose stubs, dials and rows come behind the session's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pack: Option<String>,
    /// How far the session's clock is ahead of the mock partners'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead: Option<Duration>,
    /// Accounts whose requests belong to the session, for protocols without headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<AccountSpec>,
    /// Stubs and dials by partner.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub partners: IndexMap<String, PartnerOverlay>,
    /// Rows of shared tables as only this session sees them; columns left out are as everybody sees them.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub rows: IndexMap<String, Vec<Map<String, Value>>>,
}

/// An account of a partner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AccountSpec {
    pub partner: String,
    /// As the protocol has it: user name, SP number.
    pub account: String,
}

/// What is laid over one partner.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PartnerOverlay {
    /// Tried before the partner's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stubs: Vec<StubSpec>,
    /// Applied before the partner's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dials: Vec<Dial>,
}

/// A pack for training or an exam: laid over the partners by the sessions that name it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PackSpec {
    /// The version of this form.
    pub pack: FormVersion,
    /// Chinese title, shown in the console.
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub partners: IndexMap<String, PartnerOverlay>,
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub rows: IndexMap<String, Vec<Map<String, Value>>>,
    /// The messages that are expected, with their weights.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub score: Vec<super::ScoreTemplate>,
}
