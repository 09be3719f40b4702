//! Opens a node's vault with the key file its settings name.
use std::sync::Arc;

use qiao_vault::{FileStorage, RootSecret, Vault};

use crate::{config::VaultConfig, node::NodeError};

/// The vault, unsealed. A vault that was never initialised is refused: only the demo makes one by itself.
pub fn open(config: &VaultConfig) -> Result<Vault, NodeError> {
    let vault = at(config);
    let failed = |error| NodeError::unusable(config.file.display(), error);
    if vault.state().map_err(failed)? == qiao_vault::VaultState::Uninitialised {
        let reason = "there is no vault yet: make one with `qiao keys init --config FILE`";
        return Err(NodeError::unusable(config.file.display(), reason));
    }
    let place = config.unseal_key_file.display();
    let root = RootSecret::from_key_file(&config.unseal_key_file)
        .map_err(|error| NodeError::unusable(&place, error))?;
    vault.unseal(&root).map_err(failed)?;
    Ok(vault)
}

/// The demo's vault: made at the first start, under a key file generated beside it.
pub fn open_or_make(config: &VaultConfig) -> Result<(Vault, bool), NodeError> {
    let vault = at(config);
    let failed = |error| NodeError::unusable(config.unseal_key_file.display(), error);
    let (root, _) =
        RootSecret::from_key_file_or_new(&**vault.provider(), &config.unseal_key_file).map_err(failed)?;
    let failed = |error| NodeError::unusable(config.file.display(), error);
    let made = vault.state().map_err(failed)? == qiao_vault::VaultState::Uninitialised;
    if made { vault.init(&root) } else { vault.unseal(&root) }.map_err(failed)?;
    Ok((vault, made))
}

fn at(config: &VaultConfig) -> Vault {
    Vault::open(Arc::new(FileStorage::new(&config.file)))
}
