//! `node.json` in a node's data folder: how the command line finds a running node on this machine. Only its owner may read it.
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{config::VaultConfig, secrets};

const NAME: &str = "node.json";

/// Where a running node is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunFile {
    pub process: u32,
    /// Base URL of the gateway.
    pub gateway: String,
    /// Base URL of the admin API.
    pub admin: String,
    pub token: String,
    pub definitions: PathBuf,
    pub vault: VaultConfig,
}

pub fn write(data: &Path, file: &RunFile) -> std::io::Result<()> {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut file = file.clone();
    file.definitions = absolute(&file.definitions);
    file.vault.file = absolute(&file.vault.file);
    file.vault.unseal_key_file = absolute(&file.vault.unseal_key_file);
    let text = serde_json::to_string_pretty(&file)?;
    secrets::write_private(&data.join(NAME), &text)
}

pub fn remove(data: &Path) {
    if let Err(error) = std::fs::remove_file(data.join(NAME)) {
        tracing::debug!(%error, "node.json was not removed");
    }
}

/// The node that runs on this data folder, or what to do.
pub fn find(data: &Path) -> Result<RunFile, String> {
    let path = data.join(NAME);
    let text = std::fs::read_to_string(&path).map_err(|_| {
        format!(
            "no node runs on {}: start one with `qiao demo`, or name its data folder with --node DIR",
            data.display()
        )
    })?;
    let file: RunFile = serde_json::from_str(&text)
        .map_err(|error| format!("{}: {error}; restart the node", path.display()))?;
    if Path::new("/proc").join(file.process.to_string()).exists() {
        return Ok(file);
    }
    Err(format!(
        "the node on {} ended without a word (process {}): start it again",
        data.display(),
        file.process
    ))
}
