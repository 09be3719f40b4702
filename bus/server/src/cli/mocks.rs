//! `qiao mocks --config FILE` runs mock partners alone; `qiao mocks …` looks at and moves those that run.
//! Exit code 1 where the answer is no: a verification that does not hold, a file with mistakes, a trial that misses.
use std::io::Read;

use clap::Subcommand;
use serde_json::Value;

use super::Failed;

mod dial;
mod files;
mod journal;
mod memory;
mod moving;
mod partners;
pub mod place;
mod record;
mod serve;
mod sessions;
mod tried;
mod verify;

/// Bytes of a file or of standard input at most.
const MOST: u64 = 16 << 20;

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
    /// Search a partner's stubs
    Stubs(files::Stubs),
    /// Tell which stub would answer a request, and why others would not; nothing moves. Exit code 1 for a miss
    Try(tried::Try),
    /// Show what the partners were asked and answered, a page, one entry whole, or as it comes
    Journal(journal::Journal),
    /// Verify how often something was asked, in which order, and nothing else. Exit code 1 where it does not hold
    Verify(verify::Verify),
    /// Compare submitted messages with standard ones, for training and exams
    Score(verify::Score),
    /// List, turn on or turn off faults and delays
    Dial(dial::Dial),
    /// List, open, start anew, end or export testers' sessions
    Sessions(sessions::Sessions),
    /// Show or set what a partner remembers of business keys
    State(memory::State),
    /// Show or set rows of the shared tables
    Tables(memory::Tables),
    /// Show, move or stop the partners' clock; list what waits for it
    Clock(moving::Clock),
    /// List a partner's push plans with how they stand, or start one
    Plans(moving::Plans),
    /// Send a step of a plan now, skip it, send it again, or hold it behind the next
    Step(moving::Step),
    /// Check a partner's files as a reload would; nothing changes. Exit code 1 where there are mistakes
    Validate(files::Validate),
    /// Write out the files of a partner as they are in effect
    Export(files::Export),
    /// Make a draft partner of WireMock mappings, an OpenAPI description or a WSDL, as `qiao import` does
    Import(super::import::Arguments),
    /// Read the partners' folder again: all of it, or with a mistake anywhere nothing
    Reload(partners::Reload),
    /// Forget state, dials, counts and what waits
    Reset(memory::Reset),
    /// Record a live partner by passing on to it, and draft a mock partner with pseudonyms for people
    Record(record::Record),
}

pub fn run(arguments: Arguments) -> Result<(), Failed> {
    let Some(action) = arguments.action else { return serve::run(&arguments.serve) };
    super::runtime(Some(1))?.block_on(async {
        match action {
            Action::Partners(arguments) => partners::list(&arguments).await,
            Action::Stubs(arguments) => files::stubs(&arguments).await,
            Action::Try(arguments) => tried::run(&arguments).await,
            Action::Journal(arguments) => journal::run(&arguments).await,
            Action::Verify(arguments) => verify::run(&arguments).await,
            Action::Score(arguments) => verify::score(&arguments).await,
            Action::Dial(arguments) => dial::run(&arguments).await,
            Action::Sessions(arguments) => sessions::run(&arguments).await,
            Action::State(arguments) => memory::state(&arguments).await,
            Action::Tables(arguments) => memory::tables(&arguments).await,
            Action::Clock(arguments) => moving::clock(&arguments).await,
            Action::Plans(arguments) => moving::plans(&arguments).await,
            Action::Step(arguments) => moving::step(&arguments).await,
            Action::Validate(arguments) => files::validate(&arguments).await,
            Action::Export(arguments) => files::export(&arguments).await,
            Action::Import(arguments) => super::import::run(arguments),
            Action::Reload(arguments) => partners::reload(&arguments).await,
            Action::Reset(arguments) => memory::reset(&arguments).await,
            Action::Record(arguments) => record::run(arguments).await,
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

/// What is known of these, each behind its name: `item LOSS   key B1`.
fn known(document: &Value, names: &[(&str, &str)]) -> String {
    let known = names.iter().map(|(name, title)| (title, text(&document[*name])));
    let known = known.filter(|(_, value)| !value.is_empty());
    known.map(|(title, value)| format!("{title} {value}")).collect::<Vec<_>>().join("   ")
}

/// A mistake on its line.
fn mistake(value: &Value) -> String {
    serde_json::from_value::<qiao_mocks_client::Mistake>(value.clone())
        .map_or_else(|_| value.to_string(), |mistake| mistake.to_string())
}

/// The nearest stubs of a miss, criterion by criterion.
fn nearest(stubs: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for near in stubs.as_array().into_iter().flatten() {
        lines.push(format!("near miss: {}", text(&near["stub"])));
        for verdict in near["criteria"].as_array().into_iter().flatten() {
            let line = serde_json::from_value::<qiao_mocks_client::Verdict>(verdict.clone());
            lines.extend(line.map(|line| format!("  {line}")));
        }
    }
    lines
}

/// The time of day, UTC, of a Unix time in microseconds.
fn clock_time(at_us: i64) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(at_us) * 1000);
    at.map_or_else(
        |_| at_us.to_string(),
        |at| format!("{:02}:{:02}:{:02}.{:03}", at.hour(), at.minute(), at.second(), at.millisecond()),
    )
}

/// The text of a file, or of standard input for `-`; at most 16 MiB.
fn input(file: &str) -> Result<String, Failed> {
    let failed = |error: std::io::Error| Failed(format!("{file}: {error}"));
    let source: Box<dyn Read> = match file {
        "-" => Box::new(std::io::stdin()),
        file => Box::new(std::fs::File::open(file).map_err(failed)?),
    };
    let mut text = String::new();
    source.take(MOST + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MOST {
        return Err(Failed(format!("{file}: at most 16 MiB")));
    }
    Ok(text)
}

/// The JSON document in a file, or in standard input for `-`.
fn document(file: &str) -> Result<Value, Failed> {
    serde_json::from_str(&input(file)?).map_err(|error| Failed(format!("{file}: not JSON: {error}")))
}
