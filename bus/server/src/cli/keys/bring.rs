//! `qiao keys import…`, `export`: keys that others made or get. Key material only wrapped; shared secrets as they were agreed.
use std::path::PathBuf;

use clap::ValueEnum;
use qiao_vault::{KeyKind, KeyRef, Purpose};

use super::{
    ask,
    make::{self, Kind, One},
    place::{self, Keeper, has, told},
};
use crate::{cli::Failed, key_actions::KeyAction};

#[derive(clap::Args)]
pub struct ImportSecret {
    #[command(flatten)]
    one: One,
    /// Replace a secret that is there: the one so far stays valid until it is retired
    #[arg(long)]
    rotate: bool,
}

#[derive(clap::Args)]
pub struct ImportPublic {
    #[command(flatten)]
    import: ImportSecret,
    /// What the partner uses it for
    #[arg(long = "for", value_enum)]
    purpose: Half,
}

#[derive(Clone, Copy, ValueEnum)]
enum Half {
    Sign,
    Encrypt,
}

#[derive(clap::Args)]
pub struct ImportWrapped {
    #[command(flatten)]
    import: ImportSecret,
    /// What it is
    #[arg(long, value_enum)]
    kind: Kind,
    /// The pair of this vault that it was encrypted for
    #[arg(long, value_name = "KEY")]
    transport: KeyRef,
}

#[derive(clap::Args)]
pub struct Export {
    #[command(flatten)]
    one: One,
    /// The key to encrypt for; its public half suffices
    #[arg(long, value_name = "KEY")]
    to: KeyRef,
    /// The request that two operators signed
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
}

impl ImportSecret {
    /// The keeper, after making sure that nothing is replaced unasked; and whether this is a rotation.
    fn keeper(&self) -> Result<(Keeper, bool), Failed> {
        let keeper = self.one.place.keeper()?;
        let there = has(&keeper.list()?, &self.one.key);
        if there && !self.rotate {
            return Err(Failed(format!("{} is there already; replace it with --rotate", self.one.key)));
        }
        Ok((keeper, there))
    }
}

pub fn secret(arguments: &ImportSecret) -> Result<(), Failed> {
    // What unseals the vault may stand on standard input before the secret.
    let (keeper, rotate) = arguments.keeper()?;
    let secret = ask::input("the secret", ask::MOST)?;
    let (kind, purpose) = wanted(arguments)?;
    let (key, secret) = (arguments.one.key.clone(), keeper.seal(&secret)?);
    let action = KeyAction::ImportSecret { key, kind, purpose, secret, rotate };
    told(&arguments.one.place, &keeper.perform(&action)?)
}

/// A shared key is a secret, unless the definitions say that it is an SM4 or HMAC key.
fn wanted(arguments: &ImportSecret) -> Result<(KeyKind, Purpose), Failed> {
    let needed = arguments.one.place.needed()?;
    let found = needed.into_iter().find(|key| key.key == arguments.one.key && key.kind != KeyKind::Sm2);
    Ok(found.map_or((KeyKind::Secret, Purpose::Secret), |key| (key.kind, key.purpose)))
}

pub fn public(arguments: &ImportPublic) -> Result<(), Failed> {
    let import = &arguments.import;
    let (keeper, rotate) = import.keeper()?;
    let public = ask::text("the public key")?;
    let purpose = match arguments.purpose {
        Half::Sign => Purpose::Sign,
        Half::Encrypt => Purpose::Encrypt,
    };
    let key = import.one.key.clone();
    told(&import.one.place, &keeper.perform(&KeyAction::ImportPublic { key, purpose, public, rotate })?)
}

pub fn wrapped(arguments: &ImportWrapped) -> Result<(), Failed> {
    let import = &arguments.import;
    let (keeper, rotate) = import.keeper()?;
    let wrapped = ask::text("the wrapped key")?;
    let ((kind, purpose), key) = (arguments.kind.both(), import.one.key.clone());
    let transport = arguments.transport.clone();
    let action = KeyAction::ImportWrapped { key, kind, purpose, transport, wrapped, rotate };
    told(&import.one.place, &keeper.perform(&action)?)
}

pub fn export(arguments: &Export) -> Result<(), Failed> {
    let request = place::request(arguments.request.as_deref())?;
    let action =
        KeyAction::ExportWrapped { key: arguments.one.key.clone(), to: arguments.to.clone(), request };
    make::print(arguments.one.place.run(&action)?);
    Ok(())
}
