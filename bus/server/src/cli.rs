//! The command line: a stable contract. Exit codes: 0 done, 1 refused or failed, 2 wrong usage.
use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

pub mod audit;
pub mod call;
pub mod check;
mod client;
pub mod demo;
pub mod functions;
pub mod grants;
pub mod import;
pub mod interfaces;
pub mod keys;
pub mod manifest;
pub mod mocks;
pub mod out;
pub mod reencrypt;
pub mod selftest;
pub mod serve;
mod show;
pub mod trace;

/// Qiao 桥, the integration bus.
#[derive(Parser)]
#[command(name = "qiao", version, about, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the whole product on this machine: bus, mock partners, sample data, a trickle of calls
    Demo(demo::Arguments),
    /// Run a bus node
    Serve(serve::Arguments),
    /// Run mock partners alone, or look at and move those that run: journal, dials, clock, verification …
    Mocks(mocks::Arguments),
    /// Check definitions: every mistake at once, then every example against the mock partners
    Check(check::Arguments),
    /// Make a draft mock partner of WireMock mappings, an OpenAPI description or a WSDL
    Import(import::Arguments),
    /// List the interfaces with their status
    Interfaces(interfaces::Arguments),
    /// List the functions of mappings and templates
    Functions(functions::Arguments),
    /// Call an interface, signed and sealed as a caller would
    Call(call::Arguments),
    /// Run every example of every interface through the running bus
    Selftest(selftest::Arguments),
    /// The vault of a node: list, generate and bring in keys
    Keys(keys::Arguments),
    /// Sign what a node runs, and check it against the signature
    Manifest(manifest::Arguments),
    /// Seal who may call what, and check the seals
    Grants(grants::Arguments),
    /// Is every record as it was written? And the evidence of one call
    Audit(audit::Arguments),
    /// Show what happened to a call, step by step
    Trace(trace::Arguments),
}

/// Which settings a command is about.
#[derive(clap::Args)]
pub struct SettingsArguments {
    /// Settings of the node
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// For machines: JSON
    #[arg(long)]
    pub json: bool,
}

/// Where the running node is.
#[derive(clap::Args, Clone, Debug)]
pub struct NodeArguments {
    /// Data folder of the running node
    #[arg(long, value_name = "DIR", default_value = demo::DATA)]
    pub node: PathBuf,
}

/// A command that did not do what was asked; its text says what to do next.
#[derive(Debug)]
pub struct Failed(pub String);

impl<E: std::error::Error> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Runs the command given on the command line.
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let usage = error.use_stderr();
            // Nothing can be done where even the usage cannot be printed.
            drop(error.print());
            return ExitCode::from(if usage { 2 } else { 0 });
        }
    };
    let result = match arguments.command {
        Command::Demo(arguments) => demo::run(arguments),
        Command::Serve(arguments) => serve::run(arguments),
        Command::Mocks(arguments) => mocks::run(arguments),
        Command::Check(arguments) => check::run(arguments),
        Command::Import(arguments) => import::run(arguments),
        Command::Interfaces(arguments) => interfaces::run(arguments),
        Command::Functions(arguments) => functions::run(arguments),
        Command::Call(arguments) => call::run(arguments),
        Command::Selftest(arguments) => selftest::run(arguments),
        Command::Keys(arguments) => keys::run(arguments),
        Command::Manifest(arguments) => manifest::run(arguments),
        Command::Grants(arguments) => grants::run(arguments),
        Command::Audit(arguments) => audit::run(arguments),
        Command::Trace(arguments) => trace::run(arguments),
    };
    match result {
        Ok(()) if out::is_written() => ExitCode::SUCCESS,
        Ok(()) => {
            complain("qiao: the output could not be written: is the disk full?");
            ExitCode::from(1)
        }
        Err(Failed(text)) => {
            if !text.is_empty() {
                complain(&format!("qiao: {text}"));
            }
            ExitCode::from(1)
        }
    }
}

/// Prints a line on standard error; where nobody reads that, nobody is told.
fn complain(text: &str) {
    use std::io::Write;
    drop(writeln!(std::io::stderr(), "{text}"));
}

/// A runtime for a node, or for one command.
fn runtime(workers: Option<usize>) -> Result<tokio::runtime::Runtime, Failed> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(workers) = workers {
        builder.worker_threads(workers);
    }
    Ok(builder.enable_all().build()?)
}
