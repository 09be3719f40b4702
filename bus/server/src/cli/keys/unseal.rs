//! `qiao keys unseal`, `seal`: a running node's vault. Custodians come one after the other, each with one share.
use std::io::Read;

use http::Method;
use qiao_vault::{LockKind, VaultState, Zeroizing};
use serde_json::{Value, json};

use super::{
    ask,
    place::{Place, ask_node, storage},
};
use crate::{
    admin::{UnsealTry, UnsealWith, Unsealed, VaultStatus},
    cli::{Failed, out::say},
    running::{self, RunFile},
    transport,
};

#[derive(clap::Args)]
pub struct Unseal {
    #[command(flatten)]
    place: Place,
    /// Drop the shares given so far
    #[arg(long)]
    start_over: bool,
}

pub fn unseal(arguments: &Unseal) -> Result<(), Failed> {
    let place = &arguments.place;
    let config = place.config()?;
    let node = running::find(&config.data).map_err(|_| {
        Failed("no node runs with these settings: start it with `qiao serve`, it waits sealed".to_owned())
    })?;
    let status: VaultStatus = ask_node(&node, Method::GET, "/api/vault", Vec::new())?;
    if status.state == VaultState::Unsealed {
        return finished(place, &json!({"unsealed": true}), "the vault is unsealed already");
    }
    if arguments.start_over {
        let _: Value = ask_node(&node, Method::POST, "/api/vault/start-over", Vec::new())?;
        return finished(place, &json!({"given": 0}), "the shares given so far were dropped");
    }
    let (with, secret) = secret(place, &config)?;
    let sealed = transport::seal(&status.transport, &secret)?;
    let body = serde_json::to_vec(&UnsealTry { with, sealed })?;
    let unsealed: Unsealed = ask_node(&node, Method::POST, "/api/vault/unseal", body)?;
    tell(place, &node, &unsealed)
}

/// What this person brings: one secret, or one share.
fn secret(place: &Place, config: &crate::config::Config) -> Result<(UnsealWith, Zeroizing<Vec<u8>>), Failed> {
    let unlock = &place.unlock;
    let bytes = |text: Zeroizing<String>| Zeroizing::new(text.as_bytes().to_vec());
    Ok(match unlock.kind(&config.vault, &storage(config)?)? {
        LockKind::KeyFile => {
            let file = unlock.key_file(&config.vault)?;
            let mut content = Zeroizing::new(Vec::with_capacity(4097));
            let read = std::fs::File::open(file).and_then(|file| file.take(4097).read_to_end(&mut content));
            read.map_err(|error| Failed(format!("{}: {error}", file.display())))?;
            (UnsealWith::KeyFile, content)
        }
        LockKind::Passphrase => {
            let text = ask::secret(unlock.passphrase_file.as_deref(), "the vault's passphrase")?;
            (UnsealWith::Passphrase, bytes(text))
        }
        _ if unlock.share_files.len() > 1 => {
            return Err(Failed("each custodian gives one share: run this command once for each".to_owned()));
        }
        _ => {
            let file = unlock.share_files.first().map(std::path::PathBuf::as_path);
            (UnsealWith::Share, bytes(ask::secret(file, "your share")?))
        }
    })
}

fn tell(place: &Place, node: &RunFile, unsealed: &Unsealed) -> Result<(), Failed> {
    let progress = unsealed.progress;
    if place.json {
        say!("{}", serde_json::to_string_pretty(unsealed)?);
    } else if progress.unsealed {
        say!(
            "the vault is unsealed{}",
            unsealed.plan.map_or(String::new(), |plan| format!(", plan {plan} is active"))
        );
    } else {
        say!(
            "{} of {} shares given; the next custodian runs the same command",
            progress.given,
            progress.needed
        );
    }
    match unsealed.mistakes.len() {
        0 => Ok(()),
        count => Err(Failed(format!(
            "{}\n{count} mistake(s): the node at {} has no plan; correct them, then `kill -HUP {}`",
            unsealed.mistakes.join("\n"),
            node.gateway,
            node.process
        ))),
    }
}

pub fn seal(place: &Place) -> Result<(), Failed> {
    let config = place.config()?;
    let node = running::find(&config.data).map_err(Failed)?;
    let sealed: Value = ask_node(&node, Method::POST, "/api/vault/seal", Vec::new())?;
    finished(place, &sealed, "the vault is sealed: calls are refused until it is unsealed")
}

fn finished(place: &Place, value: &Value, text: &str) -> Result<(), Failed> {
    if place.json {
        say!("{value}");
    } else {
        say!("{text}");
    }
    Ok(())
}
