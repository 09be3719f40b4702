//! `qiao mocks --config FILE`: runs mock partners alone, with their admin API.
use std::path::PathBuf;

use crate::{
    cli::{self, Failed},
    config::MocksOnlyConfig,
    logging, mocks_only,
};

#[derive(clap::Args)]
pub struct Serve {
    /// Run mock partners alone, by these settings (YAML, docs/schema/mocks-config.schema.json)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub fn run(arguments: &Serve) -> Result<(), Failed> {
    let Some(file) = &arguments.config else {
        return Err(Failed(
            "`qiao mocks` needs --config FILE, or a command: see `qiao mocks --help`".to_owned(),
        ));
    };
    logging::start();
    let config = MocksOnlyConfig::read(file)?;
    cli::runtime(None)?.block_on(async { Ok(mocks_only::run(config).await?) })
}
