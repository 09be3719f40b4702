//! `qiao mocks clock`, `plans` and `step`: what moves by itself, and what makes it move.
use http::Method;
use serde_json::{Map, Value, json};

use super::place::Place;
use crate::cli::{Failed, show};

#[derive(clap::Args)]
pub struct Clock {
    /// Move it on, at most 400d; what falls due on the way is done in order
    #[arg(long, value_name = "TIME", group = "change")]
    advance: Option<String>,
    /// Make it stand still at this time, such as 2026-11-21T09:30:00+08:00
    #[arg(long, value_name = "TIME", group = "change")]
    stop_at: Option<String>,
    /// Let it go on from where it stands
    #[arg(long, group = "change")]
    run: bool,
    /// Back to real time
    #[arg(long, group = "change")]
    reset: bool,
    /// List what waits for it
    #[arg(long, group = "change")]
    timers: bool,
    #[command(flatten)]
    place: Place,
}

pub async fn clock(arguments: &Clock) -> Result<(), Failed> {
    let place = &arguments.place;
    if arguments.timers {
        let found = place.ask(Method::GET, "/api/mocks/timers?limit=1000", &Value::Null).await?;
        return place.show(&found, |found| {
            let row = |timer: &Value| {
                ["id", "due", "partner", "session", "key", "what"]
                    .map(|name| super::text(&timer[name]))
                    .into()
            };
            let head = ["ID", "DUE", "PARTNER", "SESSION", "KEY", "WHAT"];
            show::table(&head, super::rows(&found["timers"], row))
        });
    }
    let (method, path, change) = match (&arguments.advance, &arguments.stop_at) {
        (Some(by), _) => (Method::POST, "/api/mocks/clock/advance", json!({"by": by})),
        (None, Some(at)) => (Method::PUT, "/api/mocks/clock", json!({"stopAt": at})),
        _ if arguments.run => (Method::PUT, "/api/mocks/clock", json!({"run": true})),
        _ if arguments.reset => (Method::PUT, "/api/mocks/clock", json!({"reset": true})),
        _ => (Method::GET, "/api/mocks/clock", Value::Null),
    };
    let clock = place.ask(method, path, &change).await?;
    place.show(&clock, |clock| {
        let stands = if clock["running"] == true { "runs" } else { "stands" };
        let done = clock["done"].as_u64().map(|done| format!(", {done} done on the way")).unwrap_or_default();
        format!("{} ({stands}{done})", super::text(&clock["now"]))
    })
}

#[derive(clap::Args)]
pub struct Plans {
    partner: String,
    /// Start this plan by hand
    #[arg(long, value_name = "PLAN", requires = "key")]
    start: Option<String>,
    /// A business key: whose runs are listed, or for which the plan starts
    #[arg(long)]
    key: Option<String>,
    /// What the plan's templates see as the request: JSON in a file, - for standard input
    #[arg(long, value_name = "FILE|-", requires = "start")]
    data: Option<String>,
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    #[command(flatten)]
    place: Place,
}

pub async fn plans(arguments: &Plans) -> Result<(), Failed> {
    let place = &arguments.place;
    if let Some(plan) = &arguments.start {
        let mut start = Map::from_iter([("key".to_owned(), json!(arguments.key))]);
        start.extend(arguments.session.clone().map(|name| ("session".to_owned(), Value::from(name))));
        let request = arguments.data.as_deref().map(super::document).transpose()?;
        start.extend(request.map(|request| ("request".to_owned(), request)));
        let path = super::path(&["plans", &arguments.partner, plan, "start"]);
        let started = place.ask(Method::POST, &path, &start.into()).await?;
        return place.show(&started, |started| format!("run {}", started["run"]));
    }
    let asked = [("session", arguments.session.clone()), ("key", arguments.key.clone())];
    let path = qiao_mocks_client::asking(super::path(&["plans", &arguments.partner]), &asked);
    let found = place.ask(Method::GET, &path, &Value::Null).await?;
    place.show(&found, |found| {
        let plans = super::rows(&found["plans"], |plan| {
            let steps = super::rows(&plan["steps"], |step| vec![super::text(&step["id"])]).concat();
            vec![super::text(&plan["plan"]), super::text(&plan["title"]), steps.join(" ")]
        });
        let plans = show::table(&["PLAN", "TITLE", "STEPS"], plans);
        let runs: Vec<_> = found["runs"].as_array().into_iter().flatten().flat_map(run_rows).collect();
        format!("{plans}\n\n{}", show::table(&RUN, runs))
    })
}

const RUN: [&str; 6] = ["RUN", "PLAN", "KEY", "STEP", "STANDS", "WHY"];

fn run_rows(run: &Value) -> Vec<Vec<String>> {
    super::rows(&run["steps"], |step| {
        vec![
            super::text(&run["run"]),
            super::text(&run["plan"]),
            super::text(&run["key"]),
            super::text(&step["id"]),
            super::text(&step["standing"]),
            super::text(&step["why"]),
        ]
    })
}

#[derive(clap::Args)]
pub struct Step {
    /// The run's number
    run: u64,
    /// The step's id
    step: String,
    action: Action,
    #[command(flatten)]
    place: Place,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Action {
    /// Send it at once, whatever dials say
    Now,
    /// Do not send it
    Skip,
    /// Send it at once, once more where it was sent already
    Again,
    /// Send it after the next step
    Hold,
}

pub async fn step(arguments: &Step) -> Result<(), Failed> {
    let action = match arguments.action {
        Action::Now => "now",
        Action::Skip => "skip",
        Action::Again => "again",
        Action::Hold => "hold",
    };
    let path = super::path(&["runs", &arguments.run.to_string(), "steps", &arguments.step]);
    let run = arguments.place.ask(Method::POST, &path, &json!({"action": action})).await?;
    arguments.place.show(&run, |run| show::table(&RUN, run_rows(run)))
}
