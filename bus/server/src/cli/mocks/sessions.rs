//! `qiao mocks sessions`: what testers lay over the partners, opened, looked at, started anew, ended.
use clap::Subcommand;
use http::Method;
use serde_json::Value;

use super::place::{Place, failed};
use crate::cli::{Failed, out::say, show};

#[derive(clap::Args)]
pub struct Sessions {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    place: Place,
}

#[derive(Subcommand)]
enum Action {
    /// Open a session; prints its name, which requests bring as X-Mock-Session
    Open {
        /// What it lays over the partners, in YAML or JSON, - for standard input (docs/mocks-testing.md)
        #[arg(value_name = "FILE|-")]
        file: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Show one
    Show(Named),
    /// Start it anew: without its state, rows, counts and dials turned by hand
    Reset(Named),
    /// End it
    End(Named),
    /// Print the file that opens one like it
    Export(Named),
}

#[derive(clap::Args)]
struct Named {
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    place: Place,
}

pub async fn run(arguments: &Sessions) -> Result<(), Failed> {
    match &arguments.action {
        None => list(&arguments.place).await,
        Some(Action::Open { file, place }) => open(file.as_deref(), place).await,
        Some(Action::Show(named)) => one(named, Method::GET, &[]).await,
        Some(Action::Reset(named)) => one(named, Method::POST, &["reset"]).await,
        Some(Action::End(named)) => end(named).await,
        Some(Action::Export(named)) => export(named).await,
    }
}

async fn list(place: &Place) -> Result<(), Failed> {
    let found = place.ask(Method::GET, "/api/mocks/sessions", &Value::Null).await?;
    place.show(&found, |found| show::table(&HEAD, super::rows(&found["sessions"], row)))
}

const HEAD: [&str; 6] = ["SESSION", "TITLE", "PACK", "STUBS", "ROWS", "ENDS IN"];

fn row(session: &Value) -> Vec<String> {
    let field = |name: &str| super::text(&session[name]);
    let stubs = session["stubs"].as_object().into_iter().flatten();
    let stubs: Vec<_> = stubs.map(|(partner, count)| format!("{partner} {count}")).collect();
    let minutes = session["endsInMs"].as_u64().map_or(0, |left| left.div_ceil(60_000));
    vec![
        field("session"),
        field("title"),
        field("pack"),
        stubs.join(", "),
        field("rows"),
        format!("{minutes} min"),
    ]
}

async fn open(file: Option<&str>, place: &Place) -> Result<(), Failed> {
    let spec = file.map(super::input).transpose()?.unwrap_or_default();
    let client = place.client()?;
    let answer = client.send(Method::POST, "/api/mocks/sessions", "application/yaml", spec).await;
    let opened: Value = answer.and_then(|answer| answer.read()).map_err(failed)?;
    place.show(&opened, |opened| super::text(&opened["session"]))
}

async fn one(named: &Named, method: Method, more: &[&str]) -> Result<(), Failed> {
    let path = super::path(&[&["sessions", named.name.as_str()], more].concat());
    let session = named.place.ask(method, &path, &Value::Null).await?;
    named.place.show(&session, |session| {
        let mut text = show::table(&HEAD, vec![row(session)]);
        for problem in session["problems"].as_array().into_iter().flatten() {
            text.push_str(&format!("\nno longer fits: {}", super::mistake(problem)));
        }
        text
    })
}

async fn end(named: &Named) -> Result<(), Failed> {
    let path = super::path(&["sessions", &named.name]);
    let done = named.place.ask(Method::DELETE, &path, &Value::Null).await?;
    named.place.show(&done, |_| format!("{} is over", named.name))
}

async fn export(named: &Named) -> Result<(), Failed> {
    let path = super::path(&["sessions", &named.name, "export"]);
    let found = named.place.ask(Method::GET, &path, &Value::Null).await?;
    if named.place.json {
        return named.place.show(&found, |_| String::new());
    }
    say!("{}", super::text(&found["files"]["session.yaml"]).trim_end());
    Ok(())
}
