//! `qiao grants …`: seals who may call what, and checks the seals. For whoever answers for access (the security administrator).
use std::path::PathBuf;

use clap::Subcommand;
use qiao_engine::load::{self, DefinitionFile};
use qiao_mappings::strict::Mistake;
use serde_json::json;

use super::{Failed, SettingsArguments, out::say, show};
use crate::{
    config::{Config, IntegrityConfig},
    integrity, unseal,
};

#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Seal every grant and caller as it stands; writes the seals file that the settings name
    Seal(SettingsArguments),
    /// Compare every grant and caller with its seal; names each that differs
    Verify(SettingsArguments),
}

pub fn run(arguments: Arguments) -> Result<(), Failed> {
    match arguments.action {
        Action::Seal(place) => seal(&place),
        Action::Verify(place) => verify(&place),
    }
}

fn settings(place: &SettingsArguments) -> Result<(Config, PathBuf), Failed> {
    let config = Config::read(&place.config)?;
    match &config.integrity {
        Some(IntegrityConfig::On(signed)) => {
            let seals = signed.seals.clone();
            Ok((config, seals))
        }
        _ => Err(Failed(format!(
            "{} names no seals: write `integrity: {{manifest: FILE, publicKey: 04…, seals: FILE}}` there",
            place.config.display()
        ))),
    }
}

/// The definitions, read; with mistakes in them nothing is sealed.
fn files(config: &Config) -> Result<Vec<DefinitionFile>, Failed> {
    let mut read = Vec::new();
    let loaded = load::load_with(&config.definitions.folder, |files| {
        read = files.to_vec();
        Vec::new()
    });
    if loaded.mistakes.is_empty() { Ok(read) } else { Err(Failed(show::mistakes(&loaded.mistakes))) }
}

fn seal(place: &SettingsArguments) -> Result<(), Failed> {
    let (config, seals) = settings(place)?;
    let files = files(&config)?;
    let text = integrity::seal(&unseal::open(&config.vault)?, &files)?;
    let beside = seals.with_extension("new~");
    std::fs::write(&beside, text)
        .and_then(|()| std::fs::rename(&beside, &seals))
        .map_err(|error| Failed(format!("{}: {error}", seals.display())))?;
    told(place, &seals.display().to_string(), integrity::access_information(&files).count(), "sealed")
}

fn verify(place: &SettingsArguments) -> Result<(), Failed> {
    let (config, seals) = settings(place)?;
    let files = files(&config)?;
    let text = std::fs::read_to_string(&seals)
        .map_err(|error| Failed(format!("{}: {error}; `qiao grants seal` writes it", seals.display())))?;
    let mistakes: Vec<Mistake> =
        integrity::not_as_sealed(&config, &unseal::open(&config.vault)?, &text, &files);
    if !mistakes.is_empty() {
        return Err(Failed(show::mistakes(&mistakes)));
    }
    let number = integrity::access_information(&files).count();
    told(place, &seals.display().to_string(), number, "as they were sealed")
}

fn told(place: &SettingsArguments, seals: &str, number: usize, what: &str) -> Result<(), Failed> {
    if place.json {
        say!("{}", json!({"seals": seals, "sealed": number}));
    } else {
        say!("{seals}: {number} grant(s) and caller(s) {what}");
    }
    Ok(())
}
