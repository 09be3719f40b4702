//! `qiao keys rotate`, `announce`, `activate`, `retire`, `destroy`, `expiry`: the life of a key's versions.
use std::path::PathBuf;

use qiao_engine::definitions::Duration;
use qiao_vault::{KeyKind, KeyRef, KeyState};
use time::{Date, macros::format_description};

use super::{
    list::now,
    make::One,
    place::{self, told},
};
use crate::{
    cli::{Failed, out::say},
    key_actions::{KeyAction, KeyOutcome},
};

pub fn rotate(one: &One) -> Result<(), Failed> {
    new_version(one, &KeyAction::Rotate { key: one.key.clone() })
}

pub fn announce(one: &One) -> Result<(), Failed> {
    new_version(one, &KeyAction::Announce { key: one.key.clone() })
}

fn new_version(one: &One, action: &KeyAction) -> Result<(), Failed> {
    let outcome = one.place.run(action)?;
    told(&one.place, &outcome)?;
    let KeyOutcome::Keys(keys) = &outcome else { return Ok(()) };
    if let Some(info) = keys.first().filter(|info| info.kind == KeyKind::Sm2 && !one.place.json) {
        say!("give partners its public half: qiao keys export-public vault:{}#{}", info.name, info.version);
    }
    Ok(())
}

pub fn activate(one: &One) -> Result<(), Failed> {
    told(&one.place, &one.place.run(&KeyAction::Activate { key: one.key.clone() })?)
}

pub fn retire(one: &One) -> Result<(), Failed> {
    told(&one.place, &one.place.run(&KeyAction::Retire { key: one.key.clone() })?)
}

#[derive(clap::Args)]
pub struct Destroy {
    #[command(flatten)]
    one: One,
    /// The request that two operators signed
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
}

pub fn destroy(arguments: &Destroy) -> Result<(), Failed> {
    let request = place::request(arguments.request.as_deref())?;
    let action = KeyAction::Destroy { key: arguments.one.key.clone(), request };
    told(&arguments.one.place, &arguments.one.place.run(&action)?)
}

#[derive(clap::Args)]
#[group(id = "until", required = true, multiple = false)]
pub struct When {
    /// A day (UTC), for instance 2027-01-31
    #[arg(long, value_name = "DAY")]
    on: Option<String>,
    /// From now on, for instance 365d
    #[arg(long = "in", value_name = "TIME")]
    within: Option<Duration>,
    /// It does not expire
    #[arg(long)]
    never: bool,
}

#[derive(clap::Args)]
pub struct Expiry {
    #[command(flatten)]
    one: One,
    #[command(flatten)]
    when: When,
}

pub fn expiry(arguments: &Expiry) -> Result<(), Failed> {
    let expires = match (&arguments.when.on, arguments.when.within) {
        (Some(day), _) => Some(end_of(day)?),
        (None, Some(within)) => {
            Some(now().saturating_add(i64::try_from(within.0.as_secs()).unwrap_or(i64::MAX)))
        }
        (None, None) => None,
    };
    let place = &arguments.one.place;
    let keeper = place.keeper()?;
    let key = match arguments.one.key.version() {
        Some(_) => arguments.one.key.clone(),
        None => active(&keeper.list()?, &arguments.one.key)?,
    };
    told(place, &keeper.perform(&KeyAction::Expiry { key, expires })?)
}

fn active(keys: &[qiao_vault::KeyInfo], key: &KeyRef) -> Result<KeyRef, Failed> {
    let found = keys.iter().find(|info| info.name == key.name() && info.state == KeyState::Active);
    found
        .map(|info| key.at(info.version))
        .ok_or_else(|| Failed(format!("{key} has no active version; `qiao keys list` shows the keys")))
}

/// The last second of a day.
fn end_of(day: &str) -> Result<i64, Failed> {
    let date = Date::parse(day, format_description!("[year]-[month]-[day]"))
        .map_err(|_| Failed(format!("`{day}` is no day: write it as 2027-01-31")))?;
    Ok(date.midnight().assume_utc().unix_timestamp() + 86_399)
}
