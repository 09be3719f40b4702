//! `qiao mocks state`, `tables` and `reset`: what the partners remember, looked at, set, forgotten.
use http::Method;
use serde_json::{Map, Value, json};

use super::place::Place;
use crate::cli::{Failed, show};

/// `name=value`.
fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as name=value")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn object(pairs: &[(String, String)]) -> Map<String, Value> {
    pairs.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect()
}

#[derive(clap::Args)]
pub struct State {
    partner: String,
    /// A business key; without one, the keys are listed
    key: Option<String>,
    /// Put a machine into a state; may be given several times. What is not given is forgotten
    #[arg(long = "set", value_name = "MACHINE=STATE", value_parser = pair, requires = "key")]
    states: Vec<(String, String)>,
    /// A stored value; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair, requires = "key")]
    data: Vec<(String, String)>,
    /// Forget the key
    #[arg(long, requires = "key", conflicts_with_all = ["states", "data"])]
    forget: bool,
    /// Of this session; the common one when left out
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    /// Keys after this one
    #[arg(long, value_name = "KEY", conflicts_with = "key")]
    after: Option<String>,
    #[command(flatten)]
    place: Place,
}

pub async fn state(arguments: &State) -> Result<(), Failed> {
    let place = &arguments.place;
    let asked = [("session", arguments.session.clone()), ("after", arguments.after.clone())];
    let path = |segments: &[&str]| qiao_mocks_client::asking(super::path(segments), &asked);
    let Some(key) = &arguments.key else {
        let found = place.ask(Method::GET, &path(&["state", &arguments.partner]), &Value::Null).await?;
        return place.show(&found, |found| {
            let table = show::table(&STATE, super::rows(&found["keys"], state_row));
            found["next"].as_str().map_or(table.clone(), |next| format!("{table}\nmore: --after {next}"))
        });
    };
    let path = path(&["state", &arguments.partner, key]);
    if arguments.forget {
        let done = place.ask(Method::DELETE, &path, &Value::Null).await?;
        return place.show(&done, |_| format!("{key} is forgotten"));
    }
    let found = if arguments.states.is_empty() && arguments.data.is_empty() {
        place.ask(Method::GET, &path, &Value::Null).await?
    } else {
        let put = json!({"states": object(&arguments.states), "data": object(&arguments.data)});
        place.ask(Method::PUT, &path, &put).await?
    };
    place.show(&found, |found| show::table(&STATE, vec![state_row(found)]))
}

const STATE: [&str; 4] = ["KEY", "STATE", "DATA", "REQUESTS"];

fn state_row(found: &Value) -> Vec<String> {
    let members = |value: &Value| {
        let each = value.as_object().into_iter().flatten();
        each.map(|(name, value)| format!("{name}={}", super::text(value))).collect::<Vec<_>>().join(" ")
    };
    vec![
        super::text(&found["key"]),
        members(&found["states"]),
        members(&found["data"]),
        super::text(&found["count"]),
    ]
}

#[derive(clap::Args)]
pub struct Tables {
    /// Such as city.cards; without one, the tables are listed
    table: Option<String>,
    /// A row's key; without one, rows are listed
    key: Option<String>,
    /// Set a column; may be given several times. The row is made where there is none
    #[arg(long = "set", value_name = "COLUMN=VALUE", value_parser = pair, requires = "key")]
    columns: Vec<(String, String)>,
    /// Remove the row
    #[arg(long, requires = "key", conflicts_with = "columns")]
    remove: bool,
    /// Rows with this value: the key's column or an indexed one
    #[arg(long = "where", value_name = "COLUMN=VALUE", value_parser = pair, requires = "table", conflicts_with = "key")]
    column: Option<(String, String)>,
    /// Rows after this key
    #[arg(long, value_name = "KEY", conflicts_with = "key")]
    after: Option<String>,
    /// As this session sees them; the common one when left out
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    /// Show personal data, which is masked otherwise
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    place: Place,
}

pub async fn tables(arguments: &Tables) -> Result<(), Failed> {
    let place = &arguments.place;
    let Some(table) = &arguments.table else {
        let found = place.ask(Method::GET, "/api/mocks/tables", &Value::Null).await?;
        return place.show(&found, |found| {
            let row = |table: &Value| {
                ["table", "title", "key", "rows"].map(|name| super::text(&table[name])).into()
            };
            show::table(&["TABLE", "TITLE", "KEY", "ROWS"], super::rows(&found["tables"], row))
        });
    };
    let raw = arguments.raw.then(|| "true".to_owned());
    let mut asked = vec![("session", arguments.session.clone()), ("raw", raw)];
    let Some(key) = &arguments.key else {
        asked.push(("after", arguments.after.clone()));
        if let Some((column, value)) = &arguments.column {
            asked.extend([("column", Some(column.clone())), ("value", Some(value.clone()))]);
        }
        let path = qiao_mocks_client::asking(super::path(&["tables", table]), &asked);
        let found = place.ask(Method::GET, &path, &Value::Null).await?;
        return place.show(&found, rows_table);
    };
    let path = qiao_mocks_client::asking(super::path(&["tables", table, key]), &asked);
    if arguments.remove {
        let done = place.ask(Method::DELETE, &path, &Value::Null).await?;
        return place.show(&done, |_| format!("{key} is removed"));
    }
    let row = match arguments.columns.is_empty() {
        true => place.ask(Method::GET, &path, &Value::Null).await?,
        false => place.ask(Method::PUT, &path, &object(&arguments.columns).into()).await?,
    };
    place.show(&row, |row| rows_table(&json!({"rows": [row]})))
}

/// Rows with the columns of the first.
fn rows_table(found: &Value) -> String {
    let columns: Vec<&str> =
        found["rows"][0].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let row = |row: &Value| columns.iter().map(|column| super::text(&row[*column])).collect();
    let table = show::table(&columns, super::rows(&found["rows"], row));
    found["next"].as_str().map_or(table.clone(), |next| format!("{table}\nmore: --after {next}"))
}

#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("whose").required(true).multiple(true).args(["partner", "session", "all"])))]
pub struct Reset {
    /// Only what this partner remembers
    #[arg(long, value_name = "ID")]
    partner: Option<String>,
    /// Only what is remembered of this session
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    /// Everything of everybody: state, rows, dials, counts, what waits, clock, journal
    #[arg(long, conflicts_with_all = ["partner", "session"])]
    all: bool,
    #[command(flatten)]
    place: Place,
}

pub async fn reset(arguments: &Reset) -> Result<(), Failed> {
    let mut what = Map::new();
    what.extend(arguments.partner.clone().map(|id| ("partner".to_owned(), Value::from(id))));
    what.extend(arguments.session.clone().map(|name| ("session".to_owned(), Value::from(name))));
    let done = arguments.place.ask(Method::POST, "/api/mocks/reset", &what.into()).await?;
    arguments.place.show(&done, |done| {
        let partners: Vec<_> = done["reset"].as_array().into_iter().flatten().map(super::text).collect();
        format!("reset: {}", partners.join(", "))
    })
}
