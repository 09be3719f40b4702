//! `qiao mocks --config FILE`: runs mock partners alone, with their admin API.
use std::path::PathBuf;

use super::Failed;
use crate::{config::MocksOnlyConfig, logging, mocks_only};

#[derive(clap::Args)]
pub struct Arguments {
    /// Settings (YAML, docs/schema/mocks-config.schema.json)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub fn run(arguments: Arguments) -> Result<(), Failed> {
    logging::start();
    let config = MocksOnlyConfig::read(&arguments.config)?;
    let runtime = super::runtime(None)?;
    runtime.block_on(async { Ok(mocks_only::run(config).await?) })
}
