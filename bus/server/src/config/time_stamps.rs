//! Who stamps the time on evidence: part of a node's settings.
use std::path::PathBuf;

use qiao_engine::definitions::Duration;
use qiao_vault::timestamp::StampHash;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A time-stamp authority (RFC 3161, GM/T 0033). `qiao audit export --time-stamp` asks it, `qiao audit verify` trusts it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TimeStampConfig {
    /// Where it answers (RFC 3161 §3.4). Left out: the development authority, whose pair is in the vault and whose certificate in the
    /// data folder. Its time is this machine's and proves nothing to others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^https?://[^\s?#]+$"))]
    pub url: Option<String>,
    /// Its root certificates, PEM; needed with `url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorities: Option<PathBuf>,
    /// `sm3` when left out.
    #[serde(default)]
    pub hash: StampHash,
    /// The policy asked for and accepted, as a dotted identifier; any when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// How far its clock may be from this machine's, 60s when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<Duration>,
}

impl TimeStampConfig {
    /// What is wrong with it, and what to do.
    pub fn check(&self) -> Result<(), String> {
        match (&self.url, &self.authorities) {
            (Some(_), None) => {
                Err("timeStamps.authorities: name the file with the authority's root certificates".to_owned())
            }
            (None, Some(_)) => {
                Err("timeStamps.url: name the authority, or leave out its certificates".to_owned())
            }
            _ => Ok(()),
        }
    }
}
