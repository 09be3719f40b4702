//! Settings of the vault: where its sealed keys are kept, and what unseals it. For `config`.
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use qiao_engine::definitions::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConfigError, DeviceConfig, UnsealDevice};

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct VaultConfig {
    /// What keeps the sealed keys, `file` when left out.
    #[serde(default)]
    pub storage: VaultStorage,
    /// The sealed keys: a JSON file, or with `storage: database` an SQLite database of its own.
    pub file: PathBuf,
    /// What unseals the vault at start. Left out: `key-file` where `unsealKeyFile` is given, `device` where `unsealDevice` is,
    /// else `manual`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseal: Option<UnsealBy>,
    /// File with the root secret that unseals the vault, readable by its owner only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseal_key_file: Option<PathBuf>,
    /// The key of a device that unseals the vault at start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseal_device: Option<UnsealDevice>,
    /// Devices and services that hold keys, by the names that keys refer to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub devices: BTreeMap<String, DeviceConfig>,
    /// Keys that expire within this time are warned of, 30d when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry_warning: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VaultStorage {
    #[default]
    File,
    Database,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UnsealBy {
    /// By itself, with `unsealKeyFile`.
    KeyFile,
    /// By itself, with `unsealDevice`.
    Device,
    /// The node starts sealed and waits for operators: `qiao keys unseal`.
    Manual,
}

impl VaultConfig {
    /// In a file, opened by a key file.
    pub fn with_key_file(file: PathBuf, key_file: PathBuf) -> Self {
        let storage = VaultStorage::File;
        Self {
            storage,
            file,
            unseal: None,
            unseal_key_file: Some(key_file),
            unseal_device: None,
            devices: BTreeMap::new(),
            expiry_warning: None,
        }
    }

    /// The key file, where the vault is to be opened with it at start.
    pub fn own_key_file(&self) -> Option<&Path> {
        match self.unseal {
            Some(UnsealBy::Manual | UnsealBy::Device) => None,
            Some(UnsealBy::KeyFile) | None => self.unseal_key_file.as_deref(),
        }
    }

    /// The device, where the vault is to be opened with it at start.
    pub fn own_device(&self) -> Option<&UnsealDevice> {
        match self.unseal {
            Some(UnsealBy::Device) => self.unseal_device.as_ref(),
            None if self.unseal_key_file.is_none() => self.unseal_device.as_ref(),
            _ => None,
        }
    }

    /// How long before their expiry keys are warned of, in seconds.
    pub fn warned_before(&self) -> i64 {
        let seconds = self.expiry_warning.map_or(30 * 86_400, |time| time.0.as_secs());
        i64::try_from(seconds).unwrap_or(i64::MAX)
    }

    pub(super) fn check(&self, settings: &Path) -> Result<(), ConfigError> {
        if self.unseal == Some(UnsealBy::KeyFile) && self.unseal_key_file.is_none() {
            let message = "vault: `unseal: key-file` needs `unsealKeyFile`".to_owned();
            return Err(ConfigError::Unusable { file: settings.into(), message });
        }
        let wrong = match &self.unseal_device {
            None if self.unseal == Some(UnsealBy::Device) => {
                "`unseal: device` needs `unsealDevice`".to_owned()
            }
            Some(unseal) if !self.devices.contains_key(&unseal.device) => {
                format!("`unsealDevice` names `{}`, which is not among `devices`", unseal.device)
            }
            _ => return Ok(()),
        };
        Err(ConfigError::Unusable { file: settings.into(), message: format!("vault: {wrong}") })
    }

    pub(crate) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        std::iter::once(&mut self.file)
            .chain(self.unseal_key_file.as_mut())
            .chain(self.devices.values_mut().flat_map(DeviceConfig::paths))
    }
}
