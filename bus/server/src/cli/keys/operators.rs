//! `qiao keys operator`: who approves root operations. Each has a key of their own, in a UKey or in a file under a passphrase.
use std::{
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Subcommand;
use qiao_vault::{
    DEFAULT_SM2_ID, FileStorage, KeyHandle, KeyKind, KeyRef, Operator, Purpose, RootSecret, SignatureFormat,
    Vault,
};

use super::{
    ask,
    place::{self, Place, told},
};
use crate::{
    cli::{Failed, out::say},
    key_actions::KeyAction,
};

#[derive(clap::Args)]
pub struct Operators {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make an operator's own key in a file under a passphrase, and print its public half. For who has no UKey
    New(New),
    /// Sign a login's challenge from standard input with an operator's own key: r and s in hex. For who has no UKey
    Sign(New),
    /// Let an operator approve from now on; one of that name is replaced. A root operation
    Register(Change),
    /// Take an operator's right to approve away. A root operation
    Remove(Change),
}

#[derive(clap::Args)]
struct New {
    /// The operator's key file
    file: PathBuf,
    /// Its passphrase: the file's first line; else standard input
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

#[derive(clap::Args)]
struct Change {
    #[command(flatten)]
    place: Place,
    /// The operator; to register, with the file of their public key: NAME=FILE
    operator: String,
    /// The request that two operators signed
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
}

/// A challenge is at most this long.
const MOST_CHALLENGE: u64 = 1024;

/// The one key in an operator's file.
const OWN: &str = "own";

pub fn run(arguments: &Operators) -> Result<(), Failed> {
    match &arguments.action {
        Action::New(new) => make(new),
        Action::Sign(own) => sign(own),
        Action::Register(change) => {
            let (operator, request) = (read(&change.operator)?, place::request(change.request.as_deref())?);
            let (name, public) = (operator.name, hex::encode(operator.public));
            told(&change.place, &change.place.run(&KeyAction::RegisterOperator { name, public, request })?)
        }
        Action::Remove(change) => {
            let (name, request) = (change.operator.clone(), place::request(change.request.as_deref())?);
            told(&change.place, &change.place.run(&KeyAction::RemoveOperator { name, request })?)
        }
    }
}

fn make(new: &New) -> Result<(), Failed> {
    if new.file.exists() {
        return Err(Failed(format!("{} is there already: name a new file", new.file.display())));
    }
    let passphrase = ask::new_passphrase(new.passphrase_file.as_deref(), "the operator's new passphrase")?;
    let vault = Vault::open(Arc::new(FileStorage::new(&new.file)));
    vault.init(&RootSecret::passphrase(&**passphrase))?;
    let key = KeyRef::from_name(OWN)?;
    vault.generate(&key, KeyKind::Sm2, Purpose::Sign)?;
    say!("{}", hex::encode(vault.export_public(&key)?));
    Ok(())
}

/// The passphrase stands in a file here: standard input holds the challenge.
fn sign(own: &New) -> Result<(), Failed> {
    let key = own_key(&own.file, own.passphrase_file.as_deref())?;
    let challenge = std::io::read_to_string(std::io::stdin().take(MOST_CHALLENGE))?;
    let challenge = challenge.trim_end();
    if !challenge.starts_with("qiao-login-") {
        return Err(Failed(
            "what is on standard input is no login challenge: nothing else is signed here".to_owned(),
        ));
    }
    let signature = key.sign(challenge.as_bytes(), DEFAULT_SM2_ID, SignatureFormat::Raw)?;
    say!("{}", hex::encode(signature));
    Ok(())
}

/// The operator's own key, for signing.
pub fn own_key(file: &Path, passphrase_file: Option<&Path>) -> Result<KeyHandle, Failed> {
    let vault = Vault::open(Arc::new(FileStorage::new(file)));
    let passphrase = ask::secret(passphrase_file, "the operator's passphrase")?;
    vault
        .unseal(&RootSecret::passphrase(&**passphrase))
        .map_err(|error| Failed(format!("{}: {error}", file.display())))?;
    Ok(vault.key(&KeyRef::from_name(OWN)?))
}

/// An operator from `NAME=FILE`; the file holds the public key in hex.
pub fn read(text: &str) -> Result<Operator, Failed> {
    let wrong =
        || Failed(format!("`{text}`: name an operator as NAME=FILE, the file with the public key in hex"));
    let (name, file) = text.split_once('=').ok_or_else(wrong)?;
    let content = std::fs::read_to_string(file).map_err(|error| Failed(format!("{file}: {error}")))?;
    let public = hex::decode(content.trim()).map_err(|_| Failed(format!("{file} is not in hexadecimal")))?;
    Ok(Operator { name: name.to_owned(), public })
}
