//! `qiao keys passphrase`, `custodians`, `key-file`, `device`: what unseals the vault. Root operations on its storage; a node that runs goes on.
use std::path::PathBuf;

use clap::Subcommand;
use qiao_vault::{LockChange, LockForm, LockKind, RootSecret, split_shares};

use super::{
    ask,
    init::{Split, write_shares},
    place::{self, Place, storage},
};
use crate::cli::{Failed, out::say};

/// A change of the locks: what opens the vault now, and the request that two operators signed.
#[derive(clap::Args)]
struct Change {
    #[command(flatten)]
    place: Place,
    /// The request that two operators signed
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
}

#[derive(clap::Args)]
struct NewPassphrase {
    #[command(flatten)]
    change: Change,
    /// The new passphrase: the file's first line; else standard input, after what opens the vault now
    #[arg(long, value_name = "FILE")]
    new_file: Option<PathBuf>,
}

#[derive(clap::Args)]
struct NewCustodians {
    #[command(flatten)]
    change: Change,
    /// How many unseal together, of how many: 3/5
    split: Split,
    /// New folder for the shares, one file each
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(clap::Args)]
struct NewKeyFile {
    #[command(flatten)]
    change: Change,
    /// The file; made with random bytes where there is none
    file: PathBuf,
}

#[derive(clap::Args)]
pub struct Passphrase {
    #[command(subcommand)]
    action: PassphraseAction,
}

#[derive(Subcommand)]
enum PassphraseAction {
    /// Let a passphrase unseal the vault too
    Add(NewPassphrase),
    /// Put a new passphrase in the place of all there are
    Change(NewPassphrase),
    /// No passphrase unseals the vault any more
    Remove(Change),
}

#[derive(clap::Args)]
pub struct Custodians {
    #[command(subcommand)]
    action: CustodiansAction,
}

#[derive(Subcommand)]
enum CustodiansAction {
    /// Let custodians unseal the vault too
    Split(NewCustodians),
    /// Put new shares in the place of all there are
    Replace(NewCustodians),
    /// No custodians unseal the vault any more
    Remove(Change),
}

#[derive(clap::Args)]
pub struct KeyFile {
    #[command(subcommand)]
    action: KeyFileAction,
}

#[derive(Subcommand)]
enum KeyFileAction {
    /// Let a file unseal the vault too
    Add(NewKeyFile),
    /// No file unseals the vault any more
    Remove(Change),
}

#[derive(clap::Args)]
pub struct DeviceLock {
    #[command(subcommand)]
    action: DeviceAction,
}

#[derive(Subcommand)]
enum DeviceAction {
    /// Let the device of the settings' `unsealDevice` unseal the vault too
    Add(Change),
    /// No device unseals the vault any more
    Remove(Change),
}

pub fn device(arguments: &DeviceLock) -> Result<(), Failed> {
    match &arguments.action {
        DeviceAction::Add(change) => {
            let config = change.place.config()?;
            let root = place::device(&config.vault, &storage(&config)?)?;
            change.run(LockChange::Add(&root), None)
        }
        DeviceAction::Remove(change) => change.run(LockChange::Remove(LockKind::Device), None),
    }
}

pub fn passphrase(arguments: &Passphrase) -> Result<(), Failed> {
    match &arguments.action {
        PassphraseAction::Add(new) => with_passphrase(new, |root| LockChange::Add(root)),
        PassphraseAction::Change(new) => {
            with_passphrase(new, |root| LockChange::Replace(LockKind::Passphrase, root))
        }
        PassphraseAction::Remove(change) => change.run(LockChange::Remove(LockKind::Passphrase), None),
    }
}

fn with_passphrase(
    new: &NewPassphrase,
    change: impl Fn(&RootSecret) -> LockChange<'_>,
) -> Result<(), Failed> {
    // In the order they stand on standard input: what opens the vault now, then the new one.
    let current = new.change.current()?;
    let root = RootSecret::passphrase(&**ask::new_passphrase(new.new_file.as_deref(), "the new passphrase")?);
    new.change.run(change(&root), Some(current))
}

pub fn custodians(arguments: &Custodians) -> Result<(), Failed> {
    match &arguments.action {
        CustodiansAction::Split(new) => with_shares(new, |root| LockChange::Add(root)),
        CustodiansAction::Replace(new) => {
            with_shares(new, |root| LockChange::Replace(LockKind::Custodians, root))
        }
        CustodiansAction::Remove(change) => change.run(LockChange::Remove(LockKind::Custodians), None),
    }
}

fn with_shares(new: &NewCustodians, change: impl Fn(&RootSecret) -> LockChange<'_>) -> Result<(), Failed> {
    let current = new.change.current()?;
    let (root, shares) = split_shares(&qiao_vault::PureProvider, new.split.needed, new.split.total)?;
    // Before the lock: shares that could not be written must not be the only ones that open the vault.
    let lines = write_shares(&new.out, new.split, &shares)?;
    if let Err(error) = new.change.run(change(&root), Some(current)) {
        std::fs::remove_dir_all(&new.out).map_err(|left| Failed(format!("{}: {left}", new.out.display())))?;
        return Err(error);
    }
    if !new.change.place.json {
        lines.iter().for_each(|line| say!("{line}"));
    }
    Ok(())
}

pub fn key_file(arguments: &KeyFile) -> Result<(), Failed> {
    match &arguments.action {
        KeyFileAction::Add(new) => {
            let (root, _) = RootSecret::from_key_file_or_new(&qiao_vault::PureProvider, &new.file)?;
            new.change.run(LockChange::Add(&root), None)
        }
        KeyFileAction::Remove(change) => change.run(LockChange::Remove(LockKind::KeyFile), None),
    }
}

impl Change {
    fn current(&self) -> Result<RootSecret, Failed> {
        let config = self.place.config()?;
        self.place.unlock.root(&config.vault, &storage(&config)?)
    }

    fn run(&self, change: LockChange<'_>, current: Option<RootSecret>) -> Result<(), Failed> {
        let config = self.place.config()?;
        let vault = storage(&config)?;
        let current = current.map_or_else(|| self.current(), Ok)?;
        let request = place::request(self.request.as_deref())?;
        vault.change_locks(&current, change, request.as_ref())?;
        let locks = vault.locks()?;
        if self.place.json {
            say!("{}", serde_json::to_string_pretty(&locks)?);
        } else {
            let locks: Vec<_> = locks.iter().map(LockForm::to_string).collect();
            say!("unsealed by   {}", locks.join(", or "));
        }
        Ok(())
    }
}
