//! `qiao keys reencrypt`: brings every kept body under the current key, so that older versions can be retired and destroyed.
use std::path::PathBuf;

use qiao_store::BodyRows;
use serde_json::json;

use super::{Failed, out::say};
use crate::{config::Config, keeper::Keeper, unseal};

/// Bodies in one step; a running node writes between two of them.
const BATCH: usize = 200;

#[derive(clap::Args)]
pub struct Arguments {
    /// Settings of the node, which may be running
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// For machines: one JSON object per step
    #[arg(long)]
    json: bool,
}

/// May be stopped and started again at any time: what is under the current key is passed over.
pub fn run(arguments: &Arguments) -> Result<(), Failed> {
    let config = Config::read(&arguments.config)?;
    let field = Keeper::field(&unseal::open(&config.vault)?);
    let rows = BodyRows::open(&config.data.join("calls.db"))?;
    let total = rows.count()?;
    let (mut seen, mut changed, mut after) = (0, 0, None);
    loop {
        let step = field.reencrypt_batch(&rows, after.as_deref(), BATCH)?;
        seen += step.seen;
        changed += step.changed;
        match arguments.json {
            true => say!("{}", json!({"seen": seen, "changed": changed, "of": total})),
            false => say!("{seen} of {total} bodies seen, {changed} re-encrypted"),
        }
        after = step.next;
        if after.is_none() {
            return Ok(());
        }
    }
}
