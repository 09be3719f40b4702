//! `qiao mocks --config FILE` runs mock partners alone; `qiao mocks …` looks at and moves those that run.
use clap::Subcommand;

use serde_json::Value;

use super::Failed;

mod partners;
pub mod place;
mod serve;

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub struct Arguments {
    #[command(flatten)]
    serve: serve::Serve,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// List the mock partners: what they listen on, stubs, requests answered and missed; start or stop one
    Partners(partners::Partners),
    /// Read the partners' folder again: all of it, or with a mistake anywhere nothing
    Reload(partners::Reload),
}

pub fn run(arguments: Arguments) -> Result<(), Failed> {
    let Some(action) = arguments.action else { return serve::run(&arguments.serve) };
    super::runtime(Some(1))?.block_on(async {
        match action {
            Action::Partners(arguments) => partners::list(&arguments).await,
            Action::Reload(arguments) => partners::reload(&arguments).await,
        }
    })
}

/// A path below `/api/mocks` of these segments, encoded.
fn path(segments: &[&str]) -> String {
    qiao_mocks_client::path(segments)
}

/// The members of a list as rows of a table.
fn rows(list: &Value, row: impl Fn(&Value) -> Vec<String>) -> Vec<Vec<String>> {
    list.as_array().into_iter().flatten().map(row).collect()
}

/// A scalar for people: nothing for null.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
