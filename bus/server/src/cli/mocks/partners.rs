//! `qiao mocks partners` and `reload`: who stands in for whom, and reading their files again.
use http::Method;
use serde_json::Value;

use super::place::Place;
use crate::cli::{Failed, show};

#[derive(clap::Args)]
pub struct Partners {
    #[command(flatten)]
    place: Place,
    /// Start a stopped partner
    #[arg(long, value_name = "ID", conflicts_with = "stop")]
    start: Option<String>,
    /// Stop a partner: its connections are reset without an answer
    #[arg(long, value_name = "ID")]
    stop: Option<String>,
}

pub async fn list(arguments: &Partners) -> Result<(), Failed> {
    let place = &arguments.place;
    for (id, what) in [(&arguments.start, "start"), (&arguments.stop, "stop")] {
        if let Some(id) = id {
            let path = super::path(&["partners", id, what]);
            place.ask(Method::POST, &path, &Value::Null).await?;
        }
    }
    let found = place.ask(Method::GET, "/api/mocks/partners", &Value::Null).await?;
    place.show(&found, |found| {
        let head = ["PARTNER", "TITLE", "RUNS", "LISTENS", "STUBS", "KEYS", "MATCHED", "MISSED"];
        show::table(&head, super::rows(&found["partners"], row))
    })
}

fn row(partner: &Value) -> Vec<String> {
    let listeners = super::rows(&partner["listeners"], |listener| {
        let place = listener.get("path").or(listener.get("address")).unwrap_or(&Value::Null);
        vec![format!("{} {}", super::text(&listener["proto"]), super::text(place)).trim_end().to_owned()]
    });
    let runs = if partner["running"] == true { "yes" } else { "no" };
    let text = |name: &str| super::text(&partner[name]);
    vec![
        text("partner"),
        text("title"),
        runs.to_owned(),
        listeners.concat().join(", "),
        text("stubs"),
        text("keys"),
        text("matched"),
        text("missed"),
    ]
}

#[derive(clap::Args)]
pub struct Reload {
    #[command(flatten)]
    place: Place,
}

pub async fn reload(arguments: &Reload) -> Result<(), Failed> {
    let done = arguments.place.ask(Method::POST, "/api/mocks/reload", &Value::Null).await?;
    arguments.place.show(&done, |done| {
        let text = |name: &str| super::text(&done[name]);
        format!("version {}: {} partners, {} stubs", text("version"), text("partners"), text("stubs"))
    })
}
