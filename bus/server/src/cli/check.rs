//! `qiao check [PATH]`: what publishing checks - every mistake at once, then every example against the mock partners.
use std::path::{Path, PathBuf};

use qiao_engine::{check, load, plan};
use serde_json::json;

use super::{Failed, client, demo, out::say, selftest};
use crate::{
    config::EndpointSet,
    demo_keys,
    examples::{self, InterfaceResult},
    factory::Connectors,
    running,
    serve::Running,
};

#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of the definitions
    #[arg(default_value = "routes")]
    path: PathBuf,
    /// Mock partners the examples run against; `mocks` beside PATH when left out
    #[arg(long, value_name = "DIR")]
    mocks: Option<PathBuf>,
    /// Check the definitions only
    #[arg(long)]
    no_examples: bool,
    /// For machines: one JSON object with mistakes, warnings and the examples' results
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: Arguments) -> Result<(), Failed> {
    if !arguments.path.is_dir() {
        return Err(Failed(format!("{} is not a folder of definitions", arguments.path.display())));
    }
    let report = review(&arguments.path)?;
    if !arguments.json {
        report.warnings.iter().for_each(|warning| say!("warning: {warning}"));
        report.mistakes.iter().for_each(|mistake| say!("{mistake}"));
    }
    let examples = match arguments.no_examples || !report.mistakes.is_empty() {
        true => None,
        false => {
            let mocks = arguments.mocks.clone().unwrap_or_else(|| beside(&arguments.path));
            Some(run_examples(&arguments, &mocks)?)
        }
    };
    if arguments.json {
        let row = json!({"mistakes": report.mistakes, "warnings": report.warnings, "examples": examples});
        say!("{}", serde_json::to_string_pretty(&row)?);
    } else {
        examples.iter().for_each(|results| selftest::report(results));
    }
    if !report.mistakes.is_empty() {
        return Err(Failed(format!("{} mistake(s)", report.mistakes.len())));
    }
    examples.map_or(Ok(()), |results| selftest::verdict(&results))
}

fn beside(path: &Path) -> PathBuf {
    path.canonicalize()
        .ok()
        .and_then(|path| path.parent().map(Path::to_owned))
        .unwrap_or_default()
        .join("mocks")
}

/// Reads, checks and compiles as activation does, with keys made for the occasion.
fn review(path: &Path) -> Result<check::Review<plan::Plan>, Failed> {
    let loaded = load::load(path);
    let vault = qiao_vault::Vault::in_memory()?;
    demo_keys::generate_missing(&vault, &loaded.definitions)?;
    let connectors = Connectors::new(EndpointSet::Mock, None, path.to_owned(), vault.clone());
    // Connectors keep their pools in a runtime.
    let runtime = super::runtime(Some(1))?;
    let _inside = runtime.enter();
    let context = plan::CompileContext { vault: &vault, connectors: &connectors, previous: None, number: 1 };
    Ok(check::review(&loaded, |definitions| plan::compile(definitions, &context)))
}

/// Starts the whole product on free ports and a folder of its own, and runs every example through it.
fn run_examples(arguments: &Arguments, mocks: &Path) -> Result<Vec<InterfaceResult>, Failed> {
    if !mocks.is_dir() {
        return Err(Failed(format!(
            "{} is not a folder: name the mock partners with --mocks, or use --no-examples",
            mocks.display()
        )));
    }
    let data = Scratch::new()?;
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = demo::Arguments {
        data: data.0.clone(),
        definitions: arguments.path.clone(),
        mocks: mocks.to_owned(),
        gateway: any,
        admin: any,
        mock_address: any,
        no_trickle: true,
    };
    super::runtime(None)?.block_on(async {
        demo::prepare(&settings)?;
        let mut config = demo::config(&settings);
        config.definitions.watch = false;
        let bus = Running::start(config, None).await?;
        let node = running::find(&data.0).map_err(Failed)?;
        let results = examples::run(&client::callers(&node)?, None).await;
        bus.stop(std::future::pending()).await;
        Ok(results)
    })
}

/// A folder that is removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, Failed> {
        let folder = std::env::temp_dir().join(format!("qiao-check-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir(&folder).map_err(|error| Failed(format!("{}: {error}", folder.display())))?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::debug!(%error, "the scratch folder was not removed");
        }
    }
}
