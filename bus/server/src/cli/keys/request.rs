//! `qiao keys request`, `approve`: the file that two operators sign before a root operation is run.
use std::path::{Path, PathBuf};

use clap::Subcommand;
use qiao_engine::definitions::Duration;
use qiao_vault::{Approval, KeyRef, LockForm, LockKind, RootOperation, RootRequest};

use super::{
    init::Split,
    operators,
    place::{self, Place, With, storage},
};
use crate::{
    cli::{Failed, out::say},
    unseal,
};

#[derive(clap::Args)]
pub struct Request {
    #[command(flatten)]
    place: Place,
    /// File to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How long it may be used, a day at most
    #[arg(long, value_name = "TIME", default_value = "1h")]
    life: Duration,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Destroy a version: vault:name#1
    Destroy { key: KeyRef },
    /// Export a key wrapped for another
    Export {
        key: KeyRef,
        #[arg(long)]
        to: KeyRef,
    },
    /// Write a backup
    Backup,
    /// Restore this backup
    Restore { file: PathBuf },
    /// Add what unseals the vault: passphrase, key-file, device, or 3/5 for custodians
    AddLock { new: NewLock },
    /// Replace what unseals the vault
    ReplaceLock { old: With, new: NewLock },
    /// Remove what unseals the vault
    RemoveLock { old: With },
    /// Register an operator: NAME=FILE with the public key
    RegisterOperator { operator: String },
    /// Remove an operator
    RemoveOperator { name: String },
}

/// A lock in one word.
#[derive(Clone, Copy)]
struct NewLock(LockForm);

impl std::str::FromStr for NewLock {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |kind| Self(LockForm { kind, shares: None });
        match text {
            "passphrase" => Ok(plain(LockKind::Passphrase)),
            "key-file" => Ok(plain(LockKind::KeyFile)),
            "device" => Ok(plain(LockKind::Device)),
            _ => {
                let split: Split = text
                    .parse()
                    .map_err(|_| "say passphrase, key-file, device, or 3/5 for custodians".to_owned())?;
                let shares = Some((split.needed, split.total));
                Ok(Self(LockForm { kind: LockKind::Custodians, shares }))
            }
        }
    }
}

pub fn request(arguments: &Request) -> Result<(), Failed> {
    let config = arguments.place.config()?;
    let life = i64::try_from(arguments.life.0.as_secs()).unwrap_or(i64::MAX);
    let request = match &arguments.what {
        What::Restore { file } => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| Failed(format!("{}: {error}", file.display())))?;
            unseal::at(&config.vault)?.request_restore(&text, life)?
        }
        other => storage(&config)?.request(&operation(other)?, life)?,
    };
    write(&arguments.out, &request)?;
    if arguments.place.json {
        say!("{}", serde_json::to_string_pretty(&request)?);
    } else {
        say!("{}", request.statement);
        say!("two operators sign it: qiao keys approve {} --as NAME --key FILE", arguments.out.display());
    }
    Ok(())
}

fn operation(what: &What) -> Result<RootOperation, Failed> {
    Ok(match what {
        What::Destroy { key } => RootOperation::Destroy(key.clone()),
        What::Export { key, to } => RootOperation::Export { key: key.clone(), to: to.clone() },
        What::Backup => RootOperation::Backup,
        What::Restore { .. } => RootOperation::Restore,
        What::AddLock { new } => RootOperation::AddLock(new.0),
        What::ReplaceLock { old, new } => RootOperation::ReplaceLock { old: (*old).into(), new: new.0 },
        What::RemoveLock { old } => RootOperation::RemoveLock((*old).into()),
        What::RegisterOperator { operator } => {
            let operator = operators::read(operator)?;
            let point = &operator.public[operator.public.len().saturating_sub(64)..];
            let public =
                point.try_into().map_err(|_| Failed("an SM2 public key has 64 or 65 bytes".to_owned()))?;
            RootOperation::RegisterOperator { name: operator.name, public }
        }
        What::RemoveOperator { name } => RootOperation::RemoveOperator { name: name.clone() },
    })
}

#[derive(clap::Args)]
pub struct Approve {
    /// The request; the signature is added to it
    file: PathBuf,
    /// The operator's name in the vault
    #[arg(long = "as", value_name = "NAME")]
    name: String,
    /// The operator's own key, as `qiao keys operator new` made it
    #[arg(long, value_name = "FILE", required_unless_present = "signature")]
    key: Option<PathBuf>,
    /// The passphrase of that file: the first line; else standard input
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// A signature made elsewhere (a UKey) over the statement: r and s in hex, SM2 with SM3 under the default identifier
    #[arg(long, value_name = "HEX", conflicts_with = "key")]
    signature: Option<String>,
}

pub fn approve(arguments: &Approve) -> Result<(), Failed> {
    let Some(mut request) = place::request(Some(&arguments.file))? else { return Ok(()) };
    say!("{}", request.statement);
    match (&arguments.key, &arguments.signature) {
        (Some(key), _) => {
            let own = operators::own_key(key, arguments.passphrase_file.as_deref())?;
            request.sign(&arguments.name, &own)?;
        }
        (None, Some(signature)) => {
            request.approvals.retain(|approval| approval.operator != arguments.name);
            let (operator, signature) = (arguments.name.clone(), signature.clone());
            request.approvals.push(Approval { operator, signature });
        }
        (None, None) => {}
    }
    write(&arguments.file, &request)?;
    let names: Vec<_> = request.approvals.iter().map(|approval| approval.operator.as_str()).collect();
    say!("signed by {}", names.join(", "));
    Ok(())
}

/// In one step: the next operator sees the request with a signature or without, never half of it.
fn write(file: &Path, request: &RootRequest) -> Result<(), Failed> {
    let beside = file.with_extension("new~");
    let written = std::fs::write(&beside, serde_json::to_string_pretty(request)? + "\n");
    written
        .and_then(|()| std::fs::rename(&beside, file))
        .map_err(|error| Failed(format!("{}: {error}", file.display())))
}
