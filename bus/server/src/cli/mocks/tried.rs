//! `qiao mocks try`: which stub would answer a request, and why the nearest others would not. Nothing moves.
use http::Method;
use serde_json::{Map, Value, json};

use super::place::Place;
use crate::cli::{Failed, show};

#[derive(clap::Args)]
pub struct Try {
    /// The partner that is asked
    partner: String,
    /// Its listener; the first when left out
    #[arg(long, value_name = "ID")]
    listener: Option<String>,
    #[arg(long, default_value = "POST")]
    method: String,
    /// Below the listener's path, with the query
    #[arg(long, default_value = "/")]
    path: String,
    /// A header; may be given several times
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// The business document as JSON, in a file or - for standard input: encoded as the listener's requests are
    #[arg(long, value_name = "FILE|-", conflicts_with = "body")]
    data: Option<String>,
    /// The body as it is, in a file or - for standard input
    #[arg(long, value_name = "FILE|-")]
    body: Option<String>,
    /// As a request of this session
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    #[command(flatten)]
    place: Place,
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write it as `name: value`")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

pub async fn run(arguments: &Try) -> Result<(), Failed> {
    let mut trial = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        value.into_iter().for_each(|value| drop(trial.insert(name.to_owned(), value)));
    };
    put("partner", Some(arguments.partner.as_str().into()));
    put("listener", arguments.listener.clone().map(Value::from));
    put("method", Some(arguments.method.as_str().into()));
    put("path", Some(arguments.path.as_str().into()));
    put("session", arguments.session.clone().map(Value::from));
    let headers: Map<String, Value> =
        arguments.headers.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    put("headers", Some(headers.into()));
    put("document", arguments.data.as_deref().map(super::document).transpose()?);
    put("body", arguments.body.as_deref().map(super::input).transpose()?.map(Value::from));
    let tried = arguments.place.ask(Method::POST, "/api/mocks/try", &trial.into()).await?;
    arguments.place.show(&tried, people)?;
    // Nothing more is to be said: what was shown says why.
    if tried["stub"].is_null() { Err(Failed(String::new())) } else { Ok(()) }
}

fn people(tried: &Value) -> String {
    let field = |name: &str| super::text(&tried[name]);
    let stub = if tried["stub"].is_null() { "- miss -".to_owned() } else { field("stub") };
    let mut lines = vec![format!("stub    {stub}")];
    let told =
        [("item", "item"), ("key", "key"), ("stateBefore", "state before"), ("stateAfter", "state after")];
    lines.extend(Some(super::known(tried, &told)).filter(|told| !told.is_empty()));
    for name in ["fault", "problem"] {
        lines.extend((!tried[name].is_null()).then(|| format!("{name:<8}{}", field(name))));
    }
    if tried["delayMs"] != json!(0) {
        lines.push(format!("delay   {} ms", field("delayMs")));
    }
    if let Some(answer) = tried["answer"].as_object() {
        lines.push(format!("status  {}", answer["status"]));
        let headers = answer["headers"].as_object().into_iter().flatten();
        let headers: Vec<_> = headers.map(|(name, value)| vec![name.clone(), super::text(value)]).collect();
        if !headers.is_empty() {
            lines.push(show::table(&["HEADER", ""], headers));
        }
        lines.push(super::text(&answer["body"]));
    }
    if tried["stub"].is_null() {
        lines.extend(super::nearest(&tried["nearest"]));
    }
    lines.join("\n")
}
