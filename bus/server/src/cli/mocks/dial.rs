//! `qiao mocks dial`: faults and delays turned on for a while.
use http::Method;
use serde_json::{Map, Value, json};

use super::place::Place;
use crate::cli::{Failed, show};

#[derive(clap::Args)]
#[command(after_help = "qiao mocks dial card flaky --fault 'status;status=502;first=2' --ttl 5m
qiao mocks dial card slow --delay 200ms..2s --item ITEM
qiao mocks dial card slow --off
The kinds of faults: docs/mocks.md")]
pub struct Dial {
    /// The partner; alone, its dials are listed
    partner: String,
    /// Id of the dial
    #[arg(requires = "what")]
    id: Option<String>,
    #[command(flatten)]
    what: What,
    /// For how long: 10m unless given, 24h at most
    #[arg(long, value_name = "TIME", requires = "id")]
    ttl: Option<String>,
    /// Only on this listener
    #[arg(long, value_name = "ID", requires = "id")]
    listener: Option<String>,
    /// Only for this item
    #[arg(long, requires = "id")]
    item: Option<String>,
    /// Only on this stub
    #[arg(long, value_name = "ID", requires = "id")]
    stub: Option<String>,
    /// Only for this push: a step's id, or *
    #[arg(long, value_name = "STEP", requires = "id")]
    push: Option<String>,
    /// Only for requests of this open session
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    #[command(flatten)]
    place: Place,
}

#[derive(clap::Args)]
#[group(id = "what", multiple = true)]
struct What {
    /// A kind and its settings: reset, 'status;status=502;first=2', 'drip;after=5s;p=0.1'
    #[arg(long, value_name = "KIND;SETTING=VALUE…", value_parser = fault, requires = "id")]
    fault: Option<Value>,
    /// 50ms, or 20ms..80ms
    #[arg(long, value_name = "TIME", value_parser = delay, requires = "id")]
    delay: Option<Value>,
    /// Turn it off
    #[arg(long, conflicts_with_all = ["fault", "delay"], requires = "id")]
    off: bool,
}

/// As the header `X-Mock-Fault` is written; numbers are numbers where the setting is one.
fn fault(text: &str) -> Result<Value, String> {
    let mut parts = text.split(';').map(str::trim);
    let kind = parts.next().filter(|kind| !kind.is_empty()).ok_or("a fault has a kind")?;
    let mut fault = Map::from_iter([("kind".to_owned(), kind.into())]);
    for part in parts {
        let (name, value) = part.split_once('=').ok_or_else(|| format!("`{part}`: write setting=value"))?;
        let number = matches!(name, "status" | "first" | "every" | "p") || name == "json";
        let value = match number {
            true => {
                serde_json::from_str(value).map_err(|_| format!("`{part}`: not a number or a document"))?
            }
            false => Value::from(value),
        };
        fault.insert(name.to_owned(), value);
    }
    Ok(fault.into())
}

fn delay(text: &str) -> Result<Value, String> {
    match text.split_once("..") {
        Some((from, to)) if !from.is_empty() && !to.is_empty() => Ok(json!({"from": from, "to": to})),
        None if !text.is_empty() => Ok(json!({"fixed": text})),
        _ => Err("write 50ms, or 20ms..80ms".to_owned()),
    }
}

pub async fn run(arguments: &Dial) -> Result<(), Failed> {
    let place = &arguments.place;
    let session = [("session", arguments.session.clone())];
    let path = |segments: &[&str]| qiao_mocks_client::asking(super::path(segments), &session);
    let Some(id) = &arguments.id else {
        let dials = place.ask(Method::GET, &path(&["dials", &arguments.partner]), &Value::Null).await?;
        return place.show(&dials, |dials| {
            let head = ["DIAL", "WHAT", "FOR", "FROM", "ENDS IN"];
            show::table(&head, super::rows(&dials["dials"], row))
        });
    };
    let path = path(&["dials", &arguments.partner, id]);
    if arguments.what.off {
        let done = place.ask(Method::DELETE, &path, &Value::Null).await?;
        return place.show(&done, |_| format!("{id} is off"));
    }
    let done = place.ask(Method::PUT, &path, &given(arguments)).await?;
    place.show(&done, |dial| show::table(&["DIAL", "WHAT", "FOR", "FROM", "ENDS IN"], vec![row(dial)]))
}

fn given(arguments: &Dial) -> Value {
    let mut target = Map::new();
    let parts = [
        ("listener", &arguments.listener),
        ("item", &arguments.item),
        ("stub", &arguments.stub),
        ("push", &arguments.push),
    ];
    for (name, value) in parts {
        target.extend(value.clone().map(|value| (name.to_owned(), Value::from(value))));
    }
    let mut dial = Map::new();
    let target = (!target.is_empty()).then(|| Value::from(target));
    let ttl = arguments.ttl.clone().map(Value::from);
    let members = [
        ("for", target),
        ("fault", arguments.what.fault.clone()),
        ("delay", arguments.what.delay.clone()),
        ("ttl", ttl),
    ];
    for (name, value) in members {
        dial.extend(value.map(|value| (name.to_owned(), value)));
    }
    dial.into()
}

fn row(dial: &Value) -> Vec<String> {
    let settings = |value: &Value| {
        let members = value.as_object().into_iter().flatten().filter(|(name, _)| *name != "kind");
        members.map(|(name, value)| format!(" {name}={}", super::text(value))).collect::<String>()
    };
    let fault = dial.get("fault").map(|fault| format!("{}{}", super::text(&fault["kind"]), settings(fault)));
    let delay = dial.get("delay").map(|delay| format!("delay{}", settings(delay)));
    let what: Vec<String> = fault.into_iter().chain(delay).collect();
    let ends = dial["endsInMs"].as_u64().map(|left| format!("{} s", left.div_ceil(1000)));
    vec![
        super::text(&dial["id"]),
        what.join(", "),
        settings(&dial["for"]).trim_start().to_owned(),
        super::text(&dial["origin"]),
        ends.unwrap_or_default(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_written_as_the_header_is() {
        let wanted = json!({"kind": "status", "status": 502, "after": "2s", "p": 0.5});
        assert_eq!(fault("status; status=502;after=2s;p=0.5"), Ok(wanted));
        for wrong in ["", ";status=1", "status;502", "status;status=many"] {
            assert!(fault(wrong).is_err(), "{wrong}");
        }
        assert_eq!(delay("20ms..80ms"), Ok(json!({"from": "20ms", "to": "80ms"})));
        assert!(delay("20ms..").is_err());
    }
}
