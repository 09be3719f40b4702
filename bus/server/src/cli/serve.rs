//! `qiao serve --config FILE`: runs a bus node until SIGTERM.
use std::path::PathBuf;

use super::Failed;
use crate::{
    config::Config,
    logging,
    serve::{Running, Signals},
};

#[derive(clap::Args)]
pub struct Arguments {
    /// Settings of the node (YAML, docs/schema/config.schema.json)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub fn run(arguments: Arguments) -> Result<(), Failed> {
    logging::start();
    let config = Config::read(&arguments.config)?;
    let runtime = super::runtime(config.workers)?;
    runtime.block_on(async {
        let signals = Signals::new()?;
        let running = Running::start(config, None).await?;
        if !running.node.vault.is_unsealed() {
            tracing::warn!("the vault is sealed: calls are refused until `qiao keys unseal`");
        }
        tracing::info!(gateway = %running.gateway, admin = %running.admin, "serving");
        running.run(signals).await?;
        Ok(())
    })
}
