//! `qiao keys list`, `needed`, `status`, `journal`: what there is, what is missing, what is due.
use std::time::{SystemTime, UNIX_EPOCH};

use http::Method;
use qiao_engine::definitions::Duration;
use qiao_vault::{Control, DeviceStatus, KeyInfo, KeyKind, KeyState, LockForm, Purpose};
use serde_json::json;
use time::OffsetDateTime;

use super::{
    place::{Place, ask_node, has, storage},
    word,
};
use crate::{
    admin::VaultStatus,
    cli::{Failed, out::say, show},
    key_actions::{KeyAction, KeyOutcome},
    needed_keys::{NeededKey, Whose},
    running,
};

#[derive(clap::Args)]
pub struct List {
    #[command(flatten)]
    place: Place,
    /// Only versions in use that expire within this time; fails where there are any
    #[arg(long, value_name = "TIME")]
    expiring: Option<Duration>,
}

pub fn list(arguments: &List) -> Result<(), Failed> {
    let place = &arguments.place;
    let before = place.config()?.vault.warned_before();
    let mut keys = place.keeper()?.list()?;
    if let Some(within) = arguments.expiring {
        let within = i64::try_from(within.0.as_secs()).unwrap_or(i64::MAX);
        keys.retain(|info| expires_within(info, within));
    }
    let warned: Vec<_> = keys.iter().filter(|info| expires_within(info, before)).map(name).collect();
    if place.json {
        say!("{}", serde_json::to_string_pretty(&keys)?);
    } else {
        let head = ["KEY", "KIND", "FOR", "STATE", "HERE", "EXPIRES", "ROTATES"];
        say!("{}", show::table(&head, keys.iter().map(row).collect()));
        say!("{} key version(s)", keys.len());
        if !warned.is_empty() {
            say!("soon expired, to be rotated: {}", warned.join(", "));
        }
    }
    match arguments.expiring {
        Some(_) if !keys.is_empty() => Err(Failed(format!("{} version(s) expire: rotate them", keys.len()))),
        _ => Ok(()),
    }
}

fn name(info: &KeyInfo) -> String {
    format!("vault:{}#{}", info.name, info.version)
}

fn row(info: &KeyInfo) -> Vec<String> {
    let days = |seconds: i64| match seconds % 86_400 {
        0 => format!("{}d", seconds / 86_400),
        _ => format!("{}h", seconds / 3600),
    };
    vec![
        name(info),
        word(&info.kind),
        word(&info.purpose),
        word(&info.state),
        match (&info.external, info.secret) {
            (Some(place), _) => format!("in {place}"),
            (None, true) => "whole".to_owned(),
            (None, false) => "public half".to_owned(),
        },
        info.expires.map_or(String::new(), day),
        info.rotation.map_or(String::new(), |rotation| {
            format!("every {}, overlap {}", days(rotation.every), days(rotation.overlap))
        }),
    ]
}

/// The day (UTC) of a Unix second.
pub fn day(at: i64) -> String {
    OffsetDateTime::from_unix_timestamp(at).map_or_else(|_| at.to_string(), |time| time.date().to_string())
}

fn expires_within(info: &KeyInfo, seconds: i64) -> bool {
    let in_use = matches!(info.state, KeyState::Pending | KeyState::Active | KeyState::Retiring);
    in_use && info.expires.is_some_and(|expires| expires < now().saturating_add(seconds))
}

/// Unix seconds.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

pub fn needed(place: &Place) -> Result<(), Failed> {
    let (needed, keys) = (place.needed()?, place.keeper()?.list()?);
    let is_missing = |key: &NeededKey| !has(&keys, &key.key);
    let missing = needed.iter().filter(|key| is_missing(key)).count();
    if place.json {
        let rows: Vec<_> = needed
            .iter()
            .map(|key| {
                json!({"key": key.key, "kind": key.kind, "purpose": key.purpose, "whose": key.whose,
                    "by": key.by, "missing": is_missing(key)})
            })
            .collect();
        say!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        let row = |key: &NeededKey| {
            let todo = if is_missing(key) { format!("missing: {}", remedy(key)) } else { "here".to_owned() };
            let (kind, purpose, whose) = (word(&key.kind), word(&key.purpose), word(&key.whose));
            vec![key.key.to_string(), kind, purpose, whose, key.by.clone(), todo]
        };
        let head = ["KEY", "KIND", "FOR", "WHOSE", "NAMED BY", "STATE"];
        say!("{}", show::table(&head, needed.iter().map(row).collect()));
    }
    match missing {
        0 => Ok(()),
        missing => Err(Failed(format!("{missing} of {} key(s) are missing", needed.len()))),
    }
}

fn remedy(key: &NeededKey) -> String {
    let use_for = if key.purpose == Purpose::Sign { "sign" } else { "encrypt" };
    match (key.whose, key.kind) {
        (Whose::Ours, _) => "qiao keys generate --missing".to_owned(),
        (Whose::Theirs, KeyKind::Sm2) => format!("qiao keys import-public {} --for {use_for}", key.key),
        _ => format!("qiao keys import-secret {}", key.key),
    }
}

pub fn status(place: &Place) -> Result<(), Failed> {
    let config = place.config()?;
    let running = running::find(&config.data).ok();
    let (state, control, locks, given, devices) = match &running {
        Some(node) => {
            let status: VaultStatus = ask_node(node, Method::GET, "/api/vault", Vec::new())?;
            (word(&status.state), status.control, status.locks, Some(status.progress), status.devices)
        }
        None => {
            let vault = storage(&config)?;
            ("no node runs".to_owned(), vault.control()?, vault.locks()?, None, Vec::new())
        }
    };
    if place.json {
        let node = running.map(|node| node.admin);
        say!(
            "{}",
            json!({"state": state, "control": control, "locks": locks, "progress": given, "node": node,
                "devices": devices, "vault": config.vault.file, "storage": config.vault.storage})
        );
        return Ok(());
    }
    say!("vault         {} ({})", config.vault.file.display(), word(&config.vault.storage));
    say!("state         {state}");
    let said = match control {
        Control::Single => "single: one person suffices for root operations",
        Control::Dual => "dual: two operators approve root operations",
    };
    say!("control       {said}");
    let locks: Vec<_> = locks.iter().map(LockForm::to_string).collect();
    say!("unsealed by   {}", locks.join(", or "));
    if let Some(progress) = given {
        if progress.given > 0 {
            say!("shares        {} of {} given", progress.given, progress.needed);
        }
        say!("failed tries  {}", progress.failed_tries);
    }
    if !devices.is_empty() {
        let head = ["DEVICE", "KIND", "ANSWERS", "SESSIONS", "IN USE", "WAITING", "FAILURES", "LAST FAILURE"];
        say!("{}", show::table(&head, devices.iter().map(device_row).collect()));
    }
    Ok(())
}

/// Day and time of day, UTC.
fn moment(at: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(at).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    format!("{} {:02}:{:02}:{:02} UTC", time.date(), time.hour(), time.minute(), time.second())
}

fn device_row(device: &DeviceStatus) -> Vec<String> {
    let last = match (device.last_failure_at, &device.last_failure) {
        (Some(at), Some(what)) => format!("{}, {what}", moment(at)),
        _ => "-".to_owned(),
    };
    vec![
        device.name.clone(),
        word(&device.kind),
        if device.answering { "yes" } else { "no" }.to_owned(),
        format!("{} of {}", device.open, device.most),
        device.in_use.to_string(),
        device.waiting.to_string(),
        device.failures.to_string(),
        last,
    ]
}

pub fn journal(place: &Place) -> Result<(), Failed> {
    let KeyOutcome::Journal(entries) = place.run(&KeyAction::Journal)? else {
        return Err(Failed("the node answered with something else than the journal".to_owned()));
    };
    if place.json {
        say!("{}", serde_json::to_string_pretty(&entries)?);
        return Ok(());
    }
    let rows = entries.iter().map(|entry| {
        let who =
            if entry.operators.is_empty() { "single control".to_owned() } else { entry.operators.join(", ") };
        vec![entry.number.to_string(), day(entry.at), entry.operation.clone(), who]
    });
    say!("{}", show::table(&["NUMBER", "DAY", "OPERATION", "APPROVED BY"], rows.collect()));
    Ok(())
}
