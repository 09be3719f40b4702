//! Settings of the vault: where its sealed keys are kept, and what unseals it. For `config`.
use std::path::{Path, PathBuf};

use qiao_engine::definitions::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ConfigError;

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct VaultConfig {
    /// What keeps the sealed keys, `file` when left out.
    #[serde(default)]
    pub storage: VaultStorage,
    /// The sealed keys: a JSON file, or with `storage: database` an SQLite database of its own.
    pub file: PathBuf,
    /// What unseals the vault at start. Left out: `key-file` where `unsealKeyFile` is given, else `manual`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseal: Option<UnsealBy>,
    /// File with the root secret that unseals the vault, readable by its owner only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseal_key_file: Option<PathBuf>,
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
    /// The node starts sealed and waits for operators: `qiao keys unseal`.
    Manual,
}

impl VaultConfig {
    /// In a file, opened by a key file.
    pub fn with_key_file(file: PathBuf, key_file: PathBuf) -> Self {
        let storage = VaultStorage::File;
        Self { storage, file, unseal: None, unseal_key_file: Some(key_file), expiry_warning: None }
    }

    /// The key file, where the vault is to be opened with it at start.
    pub fn own_key_file(&self) -> Option<&Path> {
        match self.unseal {
            Some(UnsealBy::Manual) => None,
            Some(UnsealBy::KeyFile) | None => self.unseal_key_file.as_deref(),
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
        Ok(())
    }

    pub(crate) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        std::iter::once(&mut self.file).chain(self.unseal_key_file.as_mut())
    }
}
