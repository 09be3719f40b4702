//! `qiao manifest …`: signs what a node runs (program, settings, definitions, mock partners) and checks it against the signature.
use std::path::PathBuf;

use clap::Subcommand;
use qiao_vault::KeyRef;
use serde_json::json;

use super::{Failed, SettingsArguments, out::say};
use crate::{
    config::{Config, IntegrityConfig, SignedConfig},
    integrity, unseal,
};

#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Sign program, settings, definitions and mock partners; writes the manifest that the settings name
    Sign(Sign),
    /// Compare everything with the signed manifest; names the first file that differs
    Verify(SettingsArguments),
}

#[derive(clap::Args)]
struct Sign {
    #[command(flatten)]
    place: SettingsArguments,
    /// The key to sign with
    #[arg(long, value_name = "KEY", default_value = "vault:release/sign")]
    key: KeyRef,
    /// Settings whose vault holds that key; the node's own unless told. In production a vault that is kept elsewhere
    #[arg(long, value_name = "FILE")]
    signer: Option<PathBuf>,
}

pub fn run(arguments: Arguments) -> Result<(), Failed> {
    match arguments.action {
        Action::Sign(arguments) => sign(&arguments),
        Action::Verify(place) => verify(&place),
    }
}

fn settings(place: &SettingsArguments) -> Result<(Config, SignedConfig), Failed> {
    let config = Config::read(&place.config)?;
    match config.integrity.clone() {
        Some(IntegrityConfig::On(signed)) => Ok((config, signed)),
        _ => Err(Failed(format!(
            "{} names no manifest: write `integrity: {{manifest: FILE, publicKey: 04…, seals: FILE}}` there",
            place.config.display()
        ))),
    }
}

fn sign(arguments: &Sign) -> Result<(), Failed> {
    let (config, signed) = settings(&arguments.place)?;
    let vault = match &arguments.signer {
        Some(other) => unseal::open(&Config::read(other)?.vault)?,
        None => unseal::open(&config.vault)?,
    };
    let public = hex::encode(vault.export_public(&arguments.key)?);
    if !public.eq_ignore_ascii_case(&signed.public_key) {
        return Err(Failed(format!(
            "{} has another public key than `integrity.publicKey` says; it is {public}",
            arguments.key
        )));
    }
    let text = integrity::sign(&config, &vault.key(&arguments.key))?;
    // In one step: a node that starts meanwhile sees the old manifest or the new one.
    let beside = signed.manifest.with_extension("new~");
    std::fs::write(&beside, text)
        .and_then(|()| std::fs::rename(&beside, &signed.manifest))
        .map_err(|error| Failed(format!("{}: {error}", signed.manifest.display())))?;
    let files = integrity::verify(&config, &signed)?;
    if arguments.place.json {
        say!("{}", json!({"manifest": signed.manifest, "files": files, "publicKey": public}));
    } else {
        say!("{}: {files} file(s) signed with {}", signed.manifest.display(), arguments.key);
    }
    Ok(())
}

fn verify(place: &SettingsArguments) -> Result<(), Failed> {
    let (config, signed) = settings(place)?;
    let files = integrity::verify(&config, &signed)?;
    if place.json {
        say!("{}", json!({"manifest": signed.manifest, "files": files}));
    } else {
        say!("{}: {files} file(s) are as they were signed", signed.manifest.display());
    }
    Ok(())
}
