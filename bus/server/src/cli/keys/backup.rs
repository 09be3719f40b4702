//! `qiao keys backup`, `restore`: the whole vault in one file, opened by a passphrase of its own.
use std::path::{Path, PathBuf};

use qiao_vault::{RootSecret, VaultState};
use serde_json::json;

use super::{
    ask,
    place::{self, Place, storage},
};
use crate::{
    cli::{Failed, out::say},
    secrets, unseal,
};

#[derive(clap::Args)]
pub struct Backup {
    #[command(flatten)]
    place: Place,
    /// File to write
    file: PathBuf,
    /// The backup's own passphrase: the file's first line; else standard input, after what opens the vault
    #[arg(long, value_name = "FILE")]
    backup_passphrase_file: Option<PathBuf>,
    /// The request that two operators signed
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
}

#[derive(clap::Args)]
pub struct Restore {
    #[command(flatten)]
    place: Place,
    /// The backup
    file: PathBuf,
    /// The backup's passphrase: the file's first line; else standard input, before the vault's new passphrase
    #[arg(long, value_name = "FILE")]
    backup_passphrase_file: Option<PathBuf>,
    /// The request that two operators signed
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
}

pub fn backup(arguments: &Backup) -> Result<(), Failed> {
    let (place, config) = (&arguments.place, arguments.place.config()?);
    if arguments.file.exists() {
        return Err(Failed(format!("{} is there already: name a new file", arguments.file.display())));
    }
    let vault = storage(&config)?;
    let current = place.unlock.root(&config.vault, &vault)?;
    let passphrase =
        ask::new_passphrase(arguments.backup_passphrase_file.as_deref(), "the backup's new passphrase")?;
    let request = place::request(arguments.request.as_deref())?;
    let text = vault.backup(&current, &RootSecret::passphrase(&**passphrase), request.as_ref())?;
    secrets::write_private(&arguments.file, &text)
        .map_err(|error| Failed(format!("{}: {error}", arguments.file.display())))?;
    tell(place, &json!({"backup": arguments.file}), &format!("backup        {}", arguments.file.display()));
    Ok(())
}

pub fn restore(arguments: &Restore) -> Result<(), Failed> {
    let (place, config) = (&arguments.place, arguments.place.config()?.vault);
    let text = std::fs::read_to_string(&arguments.file)
        .map_err(|error| Failed(format!("{}: {error}", arguments.file.display())))?;
    let folder = config.file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|error| Failed(format!("{}: {error}", folder.display())))?;
    let vault = unseal::at(&config)?;
    if vault.state()? != VaultState::Uninitialised {
        return Err(Failed(format!("{} is a vault already: restore to a new place", config.file.display())));
    }
    let under = ask::secret(arguments.backup_passphrase_file.as_deref(), "the backup's passphrase")?;
    let root = match &config.unseal_key_file {
        Some(file) if place.unlock.passphrase_file.is_none() => {
            RootSecret::from_key_file_or_new(&**vault.provider(), file)?.0
        }
        _ => {
            let file = place.unlock.passphrase_file.as_deref();
            RootSecret::passphrase(&**ask::new_passphrase(file, "the vault's new passphrase")?)
        }
    };
    let request = place::request(arguments.request.as_deref())?;
    let count = vault.restore(&text, &RootSecret::passphrase(&**under), &root, request.as_ref())?;
    let said = format!("{count} key version(s) restored to {}", config.file.display());
    tell(place, &json!({"vault": config.file, "versions": count}), &said);
    Ok(())
}

fn tell(place: &Place, value: &serde_json::Value, text: &str) {
    if place.json {
        say!("{value}");
    } else {
        say!("{text}");
    }
}
