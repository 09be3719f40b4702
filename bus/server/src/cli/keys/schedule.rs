//! `qiao keys schedule`: keys that rotate by themselves. Only those that nobody but the bus holds.
use qiao_engine::definitions::Duration;
use qiao_vault::Rotation;

use super::{make::One, place::told};
use crate::{cli::Failed, key_actions::KeyAction, needed_keys::AUDIT_SIGN};

#[derive(clap::Args)]
pub struct Schedule {
    #[command(flatten)]
    one: One,
    /// How long a version is used, for instance 90d; an hour at least
    #[arg(long, value_name = "TIME", required_unless_present = "off", conflicts_with = "off")]
    every: Option<Duration>,
    /// How long the version before goes on accepting
    #[arg(long, value_name = "TIME", default_value = "7d")]
    overlap: Duration,
    /// Rotate by hand from now on
    #[arg(long)]
    off: bool,
}

pub fn run(arguments: &Schedule) -> Result<(), Failed> {
    let seconds = |time: Duration| i64::try_from(time.0.as_secs()).unwrap_or(i64::MAX);
    let rotation =
        arguments.every.map(|every| Rotation { every: seconds(every), overlap: seconds(arguments.overlap) });
    let (place, key) = (&arguments.one.place, &arguments.one.key);
    if rotation.is_some()
        && key.to_string() != AUDIT_SIGN
        && let Some(needed) = place.needed()?.iter().find(|needed| needed.key == *key)
    {
        return Err(Failed(format!(
            "{key} is exchanged with others or seals what is kept ({}): it rotates by hand, once that is done anew",
            needed.by
        )));
    }
    told(place, &place.run(&KeyAction::Schedule { key: key.clone(), rotation })?)
}
