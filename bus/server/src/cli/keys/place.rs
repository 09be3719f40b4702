//! Where a command's keys are: in the running node, reached through its admin API, or in the storage of one that does not run.
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use http::Method;
use qiao_vault::{
    KeyInfo, KeyRef, LockKind, RootRequest, RootSecret, Vault, VaultError, VaultState, Zeroizing, join_shares,
};
use serde::de::DeserializeOwned;

use super::ask;
use crate::{
    admin::VaultStatus,
    cli::{Failed, client, out::say, show},
    config::{Config, VaultConfig},
    devices,
    key_actions::{KeyAction, KeyOutcome, perform},
    needed_keys::{NeededKey, needed_keys, node_keys},
    running::{self, RunFile},
    transport::{self, Transport},
    unseal,
};

#[derive(clap::Args, Clone)]
pub struct Place {
    /// Settings of the node whose vault is meant
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// For machines: JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub unlock: Unlock,
}

/// What unseals the vault, where the command opens it itself. Without these: the settings' key file, or standard input.
#[derive(clap::Args, Clone)]
pub struct Unlock {
    /// Passphrase of the vault: the file's first line
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// A custodian's share, one file each
    #[arg(long = "share-file", value_name = "FILE")]
    pub share_files: Vec<PathBuf>,
    /// The key file that unseals the vault
    #[arg(long, value_name = "FILE")]
    pub root_key_file: Option<PathBuf>,
    /// What to unseal with, where there are several ways
    #[arg(long, value_enum)]
    pub with: Option<With>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum With {
    KeyFile,
    Passphrase,
    Custodians,
    /// The device of the settings' `unsealDevice`
    Device,
}

impl From<With> for LockKind {
    fn from(with: With) -> Self {
        match with {
            With::KeyFile => Self::KeyFile,
            With::Passphrase => Self::Passphrase,
            With::Custodians => Self::Custodians,
            With::Device => Self::Device,
        }
    }
}

impl Unlock {
    /// Which of the vault's locks is meant.
    pub fn kind(&self, config: &VaultConfig, vault: &Vault) -> Result<LockKind, Failed> {
        let locks = vault.locks()?;
        let has = |kind| locks.iter().any(|lock| lock.kind == kind);
        let said = self
            .with
            .map(LockKind::from)
            .or(self.root_key_file.as_ref().map(|_| LockKind::KeyFile))
            .or((!self.share_files.is_empty()).then_some(LockKind::Custodians))
            .or(self.passphrase_file.as_ref().map(|_| LockKind::Passphrase));
        let kind = said.unwrap_or_else(|| {
            let order = [LockKind::KeyFile, LockKind::Device, LockKind::Passphrase, LockKind::Custodians];
            let there = |kind: &LockKind| match kind {
                LockKind::KeyFile => config.unseal_key_file.is_some(),
                LockKind::Device => config.unseal_device.is_some(),
                _ => true,
            };
            order.into_iter().filter(there).find(|kind| has(*kind)).unwrap_or(LockKind::Passphrase)
        });
        if has(kind) {
            Ok(kind)
        } else {
            Err(Failed(
                "the vault has no lock of this kind; `qiao keys status` shows which it has".to_owned(),
            ))
        }
    }

    /// What unseals the vault, from files or people.
    pub fn root(&self, config: &VaultConfig, vault: &Vault) -> Result<RootSecret, Failed> {
        match self.kind(config, vault)? {
            LockKind::KeyFile => Ok(RootSecret::from_key_file(self.key_file(config)?)?),
            LockKind::Passphrase => {
                let text = ask::secret(self.passphrase_file.as_deref(), "the vault's passphrase")?;
                Ok(RootSecret::passphrase(&**text))
            }
            LockKind::Device => device(config, vault),
            LockKind::Custodians => self.shares(vault),
        }
    }

    pub fn key_file<'a>(&'a self, config: &'a VaultConfig) -> Result<&'a Path, Failed> {
        let named = self.root_key_file.as_deref().or(config.unseal_key_file.as_deref());
        named.ok_or_else(|| Failed("name the key file with --root-key-file".to_owned()))
    }

    fn shares(&self, vault: &Vault) -> Result<RootSecret, Failed> {
        let set = vault.locks()?.into_iter().find_map(|lock| lock.shares);
        let needed = set.map_or(0, |(needed, _)| usize::from(needed));
        let mut shares: Vec<Zeroizing<String>> = Vec::new();
        for file in &self.share_files {
            shares.push(ask::secret(Some(file), "a share")?);
        }
        while shares.len() < needed {
            shares.push(ask::secret(None, &format!("share {} of {needed}", shares.len() + 1))?);
        }
        let texts: Vec<&str> = shares.iter().map(|share| share.as_str()).collect();
        // Not which share was wrong: several people stand here.
        join_shares(&texts).map_err(|_| Failed("these shares do not open the vault".to_owned()))
    }
}

/// The device that the settings name for unsealing.
pub fn device(config: &VaultConfig, vault: &Vault) -> Result<RootSecret, Failed> {
    let unseal = config.unseal_device.as_ref();
    let unseal = unseal.ok_or_else(|| Failed("the settings name no `vault.unsealDevice`".to_owned()))?;
    Ok(devices::root(unseal, vault)?)
}

/// Who runs the actions.
pub enum Keeper {
    Node(Box<RunFile>, VaultStatus),
    Here(Vault, Transport),
}

impl Place {
    pub fn config(&self) -> Result<Config, Failed> {
        Ok(Config::read(&self.config)?)
    }

    /// The running node where there is one, else the vault itself, unsealed.
    pub fn keeper(&self) -> Result<Keeper, Failed> {
        let config = self.config()?;
        if let Ok(node) = running::find(&config.data) {
            let status: VaultStatus = ask_node(&node, Method::GET, "/api/vault", Vec::new())?;
            if status.state != VaultState::Unsealed {
                return Err(Failed(format!(
                    "the vault of the running node is sealed: `qiao keys unseal --config {}` first",
                    self.config.display()
                )));
            }
            return Ok(Keeper::Node(Box::new(node), status));
        }
        let vault = unseal::at(&config.vault)?;
        if vault.state()? == VaultState::Uninitialised {
            return Err(Failed(format!(
                "{}: there is no vault yet: make one with `qiao keys init --config FILE`",
                config.vault.file.display()
            )));
        }
        vault.unseal(&self.unlock.root(&config.vault, &vault)?)?;
        Ok(Keeper::Here(vault, Transport::new()?))
    }

    /// Runs one action and tells what came of it.
    pub fn run(&self, action: &KeyAction) -> Result<KeyOutcome, Failed> {
        self.keeper()?.perform(action)
    }

    /// Every key that the definitions and settings name.
    pub fn needed(&self) -> Result<Vec<NeededKey>, Failed> {
        let config = self.config()?;
        let loaded = qiao_engine::load::load(&config.definitions.folder);
        if !loaded.mistakes.is_empty() {
            return Err(Failed(show::mistakes(&loaded.mistakes)));
        }
        let mut needed = needed_keys(&loaded.definitions);
        needed.extend(node_keys(&config));
        Ok(needed)
    }
}

impl Keeper {
    pub fn perform(&self, action: &KeyAction) -> Result<KeyOutcome, Failed> {
        match self {
            Self::Node(node, _) => ask_node(node, Method::POST, "/api/keys", serde_json::to_vec(action)?),
            Self::Here(vault, transport) => Ok(perform(vault, action, transport)?),
        }
    }

    pub fn list(&self) -> Result<Vec<KeyInfo>, Failed> {
        match self.perform(&KeyAction::List)? {
            KeyOutcome::Keys(keys) => Ok(keys),
            _ => Err(Failed("the node answered with something else than keys".to_owned())),
        }
    }

    /// A secret as an action carries it.
    pub fn seal(&self, secret: &[u8]) -> Result<String, Failed> {
        let public = match self {
            Self::Node(_, status) => &status.transport,
            Self::Here(_, transport) => transport.public(),
        };
        Ok(transport::seal(public, secret)?)
    }
}

/// One request to a running node; what it refuses is an error in its own words.
pub fn ask_node<T: DeserializeOwned>(
    node: &RunFile,
    method: Method,
    path: &str,
    body: Vec<u8>,
) -> Result<T, Failed> {
    let (status, body) = crate::cli::runtime(Some(1))?.block_on(client::send(node, method, path, body))?;
    if status == 200 {
        return Ok(serde_json::from_slice(&body)?);
    }
    let said = serde_json::from_slice::<serde_json::Value>(&body).ok();
    let said = said.and_then(|value| value["error"].as_str().map(str::to_owned));
    Err(Failed(said.unwrap_or_else(|| format!("the node answered {status}"))))
}

/// A usable version of that key, by name and, where given, version.
pub fn has(keys: &[KeyInfo], key: &KeyRef) -> bool {
    use qiao_vault::KeyState::{Active, Destroyed};
    keys.iter().any(|info| {
        info.name == key.name()
            && match key.version() {
                Some(version) => info.version == version && info.state != Destroyed,
                None => info.state == Active,
            }
    })
}

/// Reads a request for a root operation.
pub fn request(file: Option<&Path>) -> Result<Option<RootRequest>, Failed> {
    let Some(file) = file else { return Ok(None) };
    let failed = |error: &dyn std::fmt::Display| Failed(format!("{}: {error}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| failed(&error))?;
    serde_json::from_str(&text).map(Some).map_err(|error| failed(&error))
}

/// Prints versions that were made or changed.
pub fn told(place: &Place, outcome: &KeyOutcome) -> Result<(), Failed> {
    let KeyOutcome::Keys(keys) = outcome else { return Ok(()) };
    if place.json {
        say!("{}", serde_json::to_string_pretty(keys)?);
        return Ok(());
    }
    for info in keys {
        say!("vault:{}#{} {}", info.name, info.version, super::word(&info.state));
    }
    Ok(())
}

/// The vault of a node for what works on its storage and root alone, running or not.
pub fn storage(config: &Config) -> Result<Vault, Failed> {
    let vault = unseal::at(&config.vault)?;
    match vault.state()? {
        VaultState::Uninitialised => Err(Failed(VaultError::Uninitialised.to_string())),
        _ => Ok(vault),
    }
}
