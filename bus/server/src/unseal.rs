//! Opens a node's vault: by itself where its settings name a key file or a device, once that answers; else it stays sealed until
//! operators unseal it.
use std::{sync::Arc, time::Duration};

use qiao_store::SqliteKeyStorage;
use qiao_vault::{FileStorage, KeyStorage, LockKind, RootSecret, Vault, VaultError, VaultState};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{UnsealBy, VaultConfig, VaultStorage},
    devices,
    node::{Node, NodeError},
};

/// The vault of a node that starts: unsealed where it can be, else sealed. One that was never initialised is refused: only the
/// demo makes one by itself.
pub fn start(config: &VaultConfig) -> Result<Vault, NodeError> {
    let vault = at(config)?;
    let failed = |error| NodeError::unusable(config.file.display(), error);
    if vault.state().map_err(failed)? == VaultState::Uninitialised {
        let reason = "there is no vault yet: make one with `qiao keys init --config FILE`";
        return Err(NodeError::unusable(config.file.display(), reason));
    }
    if let Some(root) = own_root(config, &vault)? {
        vault.unseal(&root).map_err(failed)?;
    }
    Ok(vault)
}

/// As [`start`], but where the device that opens the vault does not answer the vault stays sealed, and true: it may be opened once
/// the device is back. What is wrong otherwise is still refused.
pub fn start_or_wait(config: &VaultConfig) -> Result<(Vault, bool), NodeError> {
    if config.own_device().is_none() {
        return Ok((start(config)?, false));
    }
    let manual = VaultConfig { unseal: Some(UnsealBy::Manual), ..config.clone() };
    let vault = start(&manual)?;
    let waits = match by_device(config, &vault) {
        Ok(()) => false,
        Err(Missing::Device(error)) => {
            tracing::error!(%error, "the device that opens the vault does not answer: the node starts sealed and tries again");
            true
        }
        Err(Missing::Other(error)) => return Err(error),
    };
    Ok((vault, waits))
}

/// Why the device did not open the vault.
enum Missing {
    Device(VaultError),
    Other(NodeError),
}

/// Opens the vault by the settings' device, where a lock of the vault takes it.
fn by_device(config: &VaultConfig, vault: &Vault) -> Result<(), Missing> {
    let Some(root) = own_root(config, vault).map_err(Missing::Other)? else { return Ok(()) };
    match vault.unseal(&root) {
        // A device that answers and refuses, for instance the password, is not one to wait for.
        Err(error @ VaultError::Device { busy, .. }) if busy || is_silent(config, vault) => {
            Err(Missing::Device(error))
        }
        Err(error) => Err(Missing::Other(NodeError::unusable(config.file.display(), error))),
        Ok(()) => Ok(()),
    }
}

fn is_silent(config: &VaultConfig, vault: &Vault) -> bool {
    let named = config.own_device().map(|unseal| unseal.device.as_str());
    vault.devices().iter().any(|device| Some(device.name.as_str()) == named && !device.answering)
}

/// The pauses between tries to open the vault by a device that did not answer at the start.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Opens the vault once its device is back, and makes the first plan. Ends then, or when operators opened or sealed the vault by
/// hand, or the node stops.
pub async fn when_the_device_is_back(node: Arc<Node>, stop: CancellationToken) {
    let mut pause = FIRST_PAUSE;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
        let trying = Arc::clone(&node);
        match tokio::task::spawn_blocking(move || try_again(&trying)).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                return tracing::error!(%error, "the vault is not tried any more: unseal it by hand");
            }
        }
    }
}

/// One try; whether to go on.
fn try_again(node: &Node) -> bool {
    if !node.waits_for_device() || node.vault.is_unsealed() {
        return false;
    }
    match by_device(&node.config.vault, &node.vault) {
        Err(Missing::Device(_)) => return true,
        Err(Missing::Other(error)) => {
            tracing::error!(%error, "the device is back and does not open the vault: unseal it by hand");
            return false;
        }
        Ok(()) => {}
    }
    tracing::warn!("the device is back: the vault was unsealed");
    // What is wrong with the definitions was logged; a reload mends it.
    drop(node.reload());
    false
}

/// The vault, unsealed, for what cannot wait for operators.
pub fn open(config: &VaultConfig) -> Result<Vault, NodeError> {
    let vault = start(config)?;
    if vault.is_unsealed() {
        return Ok(vault);
    }
    let reason =
        "this vault does not open by itself (no `unsealKeyFile`, or `unseal: manual`), which this needs";
    Err(NodeError::unusable(config.file.display(), reason))
}

/// The demo's vault: made at the first start, under a key file generated beside it and under single control.
pub fn open_or_make(config: &VaultConfig) -> Result<(Vault, bool), NodeError> {
    let vault = at(config)?;
    let Some(key_file) = &config.unseal_key_file else {
        return Err(NodeError::unusable(config.file.display(), "a demo's vault opens with a key file"));
    };
    let failed = |error| NodeError::unusable(key_file.display(), error);
    let (root, _) = RootSecret::from_key_file_or_new(&**vault.provider(), key_file).map_err(failed)?;
    let failed = |error| NodeError::unusable(config.file.display(), error);
    let made = vault.state().map_err(failed)? == VaultState::Uninitialised;
    if made { vault.init(&root) } else { vault.unseal(&root) }.map_err(failed)?;
    Ok((vault, made))
}

/// The device, or the root secret in the key file, where the settings have one for the start and a lock of the vault takes it.
pub fn own_root(config: &VaultConfig, vault: &Vault) -> Result<Option<RootSecret>, NodeError> {
    let failed = |error: VaultError| NodeError::unusable(config.file.display(), error);
    let locks = vault.locks().map_err(failed)?;
    let has = |kind| locks.iter().any(|lock| lock.kind == kind);
    if let Some(unseal) = config.own_device() {
        return if has(LockKind::Device) { devices::root(unseal, vault).map(Some) } else { Ok(None) };
    }
    let Some(key_file) = config.own_key_file().filter(|_| has(LockKind::KeyFile)) else { return Ok(None) };
    let root = RootSecret::from_key_file(key_file)
        .map_err(|error| NodeError::unusable(key_file.display(), error))?;
    Ok(Some(root))
}

/// The vault on its storage with its devices, sealed.
pub fn at(config: &VaultConfig) -> Result<Vault, NodeError> {
    let storage: Arc<dyn KeyStorage> = match config.storage {
        VaultStorage::File => Arc::new(FileStorage::new(&config.file)),
        VaultStorage::Database => Arc::new(SqliteKeyStorage::new(&config.file)),
    };
    let vault = Vault::open(storage);
    devices::attach(config, &vault)?;
    Ok(vault)
}
