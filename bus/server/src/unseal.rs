//! Opens a node's vault: by itself where its settings name a key file, else it stays sealed until operators unseal it.
use std::sync::Arc;

use qiao_store::SqliteKeyStorage;
use qiao_vault::{FileStorage, KeyStorage, LockKind, RootSecret, Vault, VaultError, VaultState};

use crate::{
    config::{VaultConfig, VaultStorage},
    devices,
    node::NodeError,
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
