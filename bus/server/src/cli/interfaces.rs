//! `qiao interfaces`: the catalogue with status, from the running node, or from files where none runs.
use std::path::PathBuf;

use qiao_engine::load;

use super::{Failed, NodeArguments, client, out::say, show};
use crate::{
    catalogue::{self, Row},
    running,
};

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    node: NodeArguments,
    /// Definitions to list when no node runs
    #[arg(long, value_name = "DIR", default_value = "routes")]
    definitions: PathBuf,
    /// For machines: one JSON array
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: Arguments) -> Result<(), Failed> {
    let (rows, from) = match running::find(&arguments.node.node) {
        Ok(node) => {
            let (status, body) =
                super::runtime(Some(1))?.block_on(client::admin(&node, "/api/interfaces"))?;
            if status != 200 {
                return Err(Failed(format!(
                    "the node answered {status}: {}",
                    String::from_utf8_lossy(&body)
                )));
            }
            (serde_json::from_slice::<Vec<Row>>(&body)?, format!("active at {}", node.gateway))
        }
        Err(_) => {
            let loaded = load::load(&arguments.definitions);
            if !loaded.mistakes.is_empty() {
                return Err(Failed(show::mistakes(&loaded.mistakes)));
            }
            let rows = catalogue::rows(loaded.definitions.interfaces.values().map(|interface| &**interface));
            (rows, format!("in {}, no node runs", arguments.definitions.display()))
        }
    };
    if arguments.json {
        say!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(());
    }
    let lines = rows.iter().map(|row| {
        let title = if row.assumed { format!("{}（待确认）", row.title) } else { row.title.clone() };
        vec![
            row.interface.clone(),
            row.status.clone(),
            row.pattern.clone(),
            row.path.clone(),
            row.examples.to_string(),
            title,
        ]
    });
    say!(
        "{}",
        show::table(&["INTERFACE", "STATUS", "PATTERN", "PATH", "EXAMPLES", "TITLE"], lines.collect())
    );
    say!("{} interface(s) {from}", rows.len());
    Ok(())
}
