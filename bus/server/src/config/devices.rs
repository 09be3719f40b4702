//! Settings of the devices and services that hold keys: `vault.devices`. For `config::vault`.
use std::path::PathBuf;

use qiao_engine::definitions::Duration;
use qiao_vault::RemoteSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A device or a service.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DeviceConfig {
    /// A cryptographic device behind the C interface of GM/T 0018.
    Sdf(Box<SdfConfig>),
    /// A signature and cipher service over HTTPS.
    Remote(Box<RemoteConfig>),
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SdfConfig {
    /// The vendor's shared library.
    pub library: PathBuf,
    /// The keys of the device whose passwords are given.
    #[serde(default)]
    pub keys: Vec<DeviceKeyConfig>,
    /// Sessions open at once, 8 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub sessions: Option<usize>,
    /// How long a call waits for a free session, 2s when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Duration>,
    /// How long the device may take for one call, 5s when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Duration>,
    /// How the vendor declares SDF_InternalDecrypt_ECC.
    #[serde(default)]
    pub decrypt: DecryptName,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DecryptName {
    /// With the algorithm's identifier, as most do.
    #[default]
    WithAlgorithm,
    WithoutAlgorithm,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DeviceKeyConfig {
    /// `3` for the pairs at an index, `kek:3` for a key-encryption key.
    pub key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// Name of the environment variable that holds the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_environment: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RemoteConfig {
    /// How the service is spoken to.
    pub service: RemoteSpec,
    /// PEM file of the authorities that the service's certificate must come from; no others are trusted.
    pub authorities: PathBuf,
    /// What `${credential}` stands for: a `vault:` reference of a secret. Not where the service unseals the vault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// Or the file it stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_file: Option<PathBuf>,
    /// Requests under way at once, 8 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub connections: Option<usize>,
    /// How long a call waits for its turn, 2s when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Duration>,
    /// How long connecting may take, 2s when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect: Option<Duration>,
    /// How long the service may take for one answer, 5s when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Duration>,
}

/// The key of a device that unseals the vault.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct UnsealDevice {
    /// A name of `vault.devices`.
    pub device: String,
    /// The key there: an index such as `1`, or `kek:4`; at a service, its identifier.
    pub key: String,
}

impl DeviceConfig {
    pub(super) fn paths(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Self::Sdf(sdf) => {
                let files = sdf.keys.iter_mut().filter_map(|key| key.password_file.as_mut());
                std::iter::once(&mut sdf.library).chain(files).collect()
            }
            Self::Remote(remote) => {
                std::iter::once(&mut remote.authorities).chain(remote.credential_file.as_mut()).collect()
            }
        }
    }
}
