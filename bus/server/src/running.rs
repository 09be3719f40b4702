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
    /// The gateway's certificate chain, where it serves TLS: what commands on this machine trust.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// The host name in that certificate.
    #[serde(default)]
    pub name: Option<String>,
}

pub fn write(data: &Path, file: &RunFile) -> std::io::Result<()> {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut file = file.clone();
    file.definitions = absolute(&file.definitions);
    file.vault.paths().for_each(|path| *path = absolute(path));
    file.certificate = file.certificate.as_deref().map(absolute);
    let text = serde_json::to_string_pretty(&file)?;
    // In one step: a command that looks meanwhile sees the old file or the new one, never half of it.
    let beside = data.join(format!("{NAME}.new"));
    secrets::write_private(&beside, &text)?;
    std::fs::rename(beside, data.join(NAME))
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
