//! What SFTP listeners declare: users, and the bank files that they exchange.
use qiao_mappings::units::{Bytes, Duration};
use qiao_wire::bankfile::FileSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Files over SSH. Each user has a folder tree of its own, in memory.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SftpSpec {
    #[schemars(length(min = 1, max = 100))]
    pub users: Vec<SftpUser>,
    /// The batch files that are understood and answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub batches: Vec<BatchSpec>,
    /// Keys of the detached SM2 signatures; without it there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign: Option<FileKeys>,
    /// Bound on all files of a user, 64MiB when left out, 256MiB at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<Bytes>,
}

/// Who may log in: by password, by key, or by either.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SftpUser {
    #[schemars(regex(pattern = r"^[A-Za-z0-9._-]{1,64}$"))]
    pub name: String,
    /// The `vault:` reference of a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Public keys as OpenSSH writes them: `ssh-ed25519 AAAA…`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
}

/// `vault:` references of SM2 signing keys, named as the bus sees them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FileKeys {
    /// Signs the files that the bus puts.
    pub ours: String,
    /// Signs the files that the partner puts.
    pub theirs: String,
}

/// One kind of batch file: `BIZ_SENDER_RECVER_yyyyMMdd_batch.txt`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BatchSpec {
    /// The first part of the files' names.
    pub business: String,
    /// The folder in which they are put; `/in` when left out.
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub inbox: Option<String>,
    /// Taken as soon as the data file is closed, not when its `.ok` appears.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub without_ok: bool,
    /// The columns of a row.
    pub rows: FileSpec,
    /// The file that answers; left out: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<ResultSpec>,
}

/// The file that answers a batch: its stub's `rows`, with the stub's delay later than `after`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ResultSpec {
    /// The first part of its name; sender and receiver change places, day and batch stay.
    pub business: String,
    /// The folder in which it appears; `/out` when left out.
    #[serde(default, rename = "out", skip_serializing_if = "Option::is_none")]
    pub outbox: Option<String>,
    /// The columns of a row.
    pub rows: FileSpec,
    /// How long after the batch, by the mock partners' clock; at once when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Duration>,
}
