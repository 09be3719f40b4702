//! `qiao audit …`: for auditors: is every record as it was written, and the evidence of one call for a third party.
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::Subcommand;
use qiao_core::CallId;
use qiao_store::{
    Checkpoint,
    audit::{self, Audit, Evidence, Trust, WalkedLog},
};
use qiao_vault::{KeyRef, Vault, timestamp::TimeStamp};
use serde_json::json;

mod stamp;

use super::{Failed, NodeArguments, out::say, show, trace};
use crate::{config::Config, integrity, unseal};

/// How long an export waits for a running node to ship and sign the call.
const PATIENCE: Duration = Duration::from_secs(5);
/// A checkpoint's time is the bus's, a stamp's the authority's: their clocks may differ so much.
const CLOCKS_APART_MS: i64 = 5 * 60_000;
/// An evidence file is at most this long.
const MOST: u64 = 32 << 20;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Walk every record in the order it was written; names the first that was altered, taken out, put in or moved
    Verify(Verify),
    /// The evidence of one call: its record, its place in the chain, and the signature over it
    Export(Export),
}

#[derive(clap::Args)]
struct Verify {
    /// Settings of the node: its data folder, and its vault with the keys to be trusted
    #[arg(long, value_name = "FILE", conflicts_with_all = ["public_key", "stamp_authorities"])]
    config: Option<PathBuf>,
    #[command(flatten)]
    node: NodeArguments,
    /// Check evidence that `qiao audit export` wrote, instead of a node's records; needs neither node nor vault. With --config
    /// the checkpoint's key and the time stamp's authority must be the settings'.
    #[arg(long, value_name = "FILE", conflicts_with = "contains")]
    file: Option<PathBuf>,
    /// The only key to be trusted, as `qiao keys export-public vault:audit/sign` prints it
    #[arg(long, value_name = "HEX")]
    public_key: Option<String>,
    /// Root certificates (PEM or DER) of the time-stamp authority that the evidence must be stamped by
    #[arg(long, value_name = "FILE", requires = "file")]
    stamp_authorities: Option<PathBuf>,
    /// A link that an earlier audit ended with: it must still be in the chain, or the end was cut off
    #[arg(long, value_name = "LINK")]
    contains: Option<String>,
    /// For machines: JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Export {
    /// The id in the answer's X-Qiao-Call-Id header
    call_id: CallId,
    #[command(flatten)]
    node: NodeArguments,
    /// File to write; standard output when left out
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Have the time stamped by the authority that the settings name under `timeStamps`
    #[arg(long, requires = "config")]
    time_stamp: bool,
    /// Settings of the node, whose data folder they name
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub fn run(arguments: Arguments) -> Result<(), Failed> {
    match arguments.action {
        Action::Verify(arguments) if arguments.file.is_some() => verify_file(&arguments),
        Action::Verify(arguments) => verify_node(&arguments),
        Action::Export(arguments) => export(&arguments),
    }
}

fn given_key(arguments: &Verify) -> Result<Option<[u8; 64]>, Failed> {
    let key = arguments.public_key.as_deref().map(integrity::public_key).transpose();
    key.map_err(|why| Failed(format!("--public-key: {why}")))
}

fn verify_node(arguments: &Verify) -> Result<(), Failed> {
    let given = given_key(arguments)?;
    let (data, vault) = match &arguments.config {
        Some(file) => {
            let config = Config::read(file)?;
            let vault = unseal::open(&config.vault)?;
            (config.data, Some(vault))
        }
        None => (arguments.node.node.clone(), None),
    };
    if !data.join("calls.db").exists() {
        return Err(Failed(format!(
            "nothing is recorded in {}: name the node's data folder with --node DIR, or its settings with --config FILE",
            data.display()
        )));
    }
    let trust = |checkpoint: &Checkpoint| match (&given, &vault) {
        (Some(key), _) => of_key(checkpoint, key),
        (None, Some(vault)) => of_vault(checkpoint, vault),
        (None, None) => Ok(()),
    };
    let audit = audit::verify(&data, arguments.contains.as_deref(), &trust as Trust<'_>)?;
    if arguments.json {
        say!("{}", serde_json::to_string_pretty(&audit)?);
    } else {
        told(&data, &audit, given.is_some() || vault.is_some());
    }
    match audit.finding {
        None => Ok(()),
        Some(finding) => Err(Failed(format!("{finding}"))),
    }
}

fn of_key(checkpoint: &Checkpoint, key: &[u8; 64]) -> Result<(), String> {
    if checkpoint.is_signed_by(key) {
        return Ok(());
    }
    Err(format!("its checkpoint is signed with {}, not with the key that was given", checkpoint.key))
}

/// The key must be the bus's own, at the version the checkpoint names; retired versions count as well.
fn of_vault(checkpoint: &Checkpoint, vault: &Vault) -> Result<(), String> {
    let stranger =
        || format!("its checkpoint is signed with {}, which is not a key of this vault", checkpoint.key);
    let key: KeyRef = checkpoint.key.parse().map_err(|_| stranger())?;
    let public = vault.export_public(&key).map_err(|_| stranger())?;
    if key.name() == "audit/sign" && hex::encode(public).eq_ignore_ascii_case(&checkpoint.public_key) {
        return Ok(());
    }
    Err(stranger())
}

fn told(data: &Path, audit: &Audit, trusted: bool) {
    let row = |log: &WalkedLog| {
        vec![
            log.log.clone(),
            log.records.to_string(),
            log.checkpoints.to_string(),
            log.unsigned.to_string(),
            log.head.clone(),
        ]
    };
    let head = ["LOG", "RECORDS", "CHECKPOINTS", "UNSIGNED", "ENDS WITH LINK"];
    say!("{}", show::table(&head, audit.logs.iter().map(row).collect()));
    for (key, public) in &audit.keys {
        let note = if trusted { "" } else { "   (compare: nothing vouches for this key here)" };
        say!("signed with {key} {public}{note}");
    }
    if audit.finding.is_none() {
        say!("{}: every record is as it was written", data.display());
    }
}

fn verify_file(arguments: &Verify) -> Result<(), Failed> {
    let given = given_key(arguments)?;
    let file = arguments.file.as_deref().unwrap_or(Path::new("-"));
    let failed = |why: String| Failed(format!("{}: {why}", file.display()));
    let length = std::fs::metadata(file).map_err(|error| failed(error.to_string()))?.len();
    if length > MOST {
        return Err(failed(format!("{length} bytes; evidence has at most {MOST}")));
    }
    let text = std::fs::read(file).map_err(|error| failed(error.to_string()))?;
    let evidence: Evidence = serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))?;
    let record = evidence.verify(given.as_ref()).map_err(|error| failed(error.to_string()))?;
    let config = arguments.config.as_deref().map(Config::read).transpose()?;
    if let Some(config) = &config {
        of_vault(&evidence.checkpoint, &unseal::open(&config.vault)?).map_err(failed)?;
    }
    let stamp = stamp_of(arguments, config.as_ref(), &evidence).map_err(|why| failed(why.0))?;
    let trusted = given.is_some() || config.is_some();
    let checkpoint = &evidence.checkpoint;
    if arguments.json {
        say!(
            "{}",
            json!({"call": record.id, "log": evidence.log, "record": evidence.number, "signedUs": checkpoint.time_us,
                "key": checkpoint.key, "publicKey": checkpoint.public_key, "trusted": trusted,
                "stampedMs": stamp.as_ref().map(|stamp| stamp.time)})
        );
        return Ok(());
    }
    say!("{}", trace::waterfall(&record));
    say!("");
    say!(
        "record {} of log {} holds: signed with {} at {} µs",
        evidence.number,
        evidence.log,
        checkpoint.key,
        checkpoint.time_us
    );
    match (&stamp, &evidence.time_stamp) {
        (Some(stamp), _) => say!("stamped at {} ms by an authority that is trusted", stamp.time),
        (None, Some(_)) => {
            say!(
                "It carries a time stamp, which was not checked: name its authority with --stamp-authorities"
            );
        }
        (None, None) => {}
    }
    if !trusted {
        say!("Nothing vouches for the key here. Compare it with the bus's, or name that with --public-key:");
        say!("  {}", checkpoint.public_key);
    }
    Ok(())
}

/// The evidence's time stamp, checked where somebody says whom to trust for it. Where they do, it must be there, and the checkpoint
/// must not claim to be later.
fn stamp_of(
    arguments: &Verify,
    config: Option<&Config>,
    evidence: &Evidence,
) -> Result<Option<TimeStamp>, Failed> {
    let roots = match (&arguments.stamp_authorities, config) {
        (Some(file), _) => stamp::certificates(file)?,
        (None, Some(config)) if config.time_stamps.is_some() && evidence.time_stamp.is_some() => {
            stamp::roots(config)?
        }
        _ => return Ok(None),
    };
    let stamp = stamp::check(evidence, &roots).map_err(Failed)?;
    let Some(stamp) = stamp else {
        return Err(Failed("it carries no time stamp".to_owned()));
    };
    if evidence.checkpoint.time_us / 1000 > stamp.time + CLOCKS_APART_MS {
        return Err(Failed("its checkpoint claims to be later than its time stamp".to_owned()));
    }
    Ok(Some(stamp))
}

fn export(arguments: &Export) -> Result<(), Failed> {
    let config = arguments.config.as_deref().map(Config::read).transpose()?;
    let data = config.as_ref().map_or(&arguments.node.node, |config| &config.data);
    let runtime = super::runtime(Some(1))?;
    let mut evidence = runtime.block_on(signed(data, arguments.call_id))?;
    let stamp = match &config {
        Some(config) if arguments.time_stamp => Some(runtime.block_on(stamp::add(&mut evidence, config))?),
        _ => None,
    };
    let text = serde_json::to_string_pretty(&evidence)?;
    let Some(file) = &arguments.out else {
        say!("{text}");
        return Ok(());
    };
    std::fs::write(file, text).map_err(|error| Failed(format!("{}: {error}", file.display())))?;
    let (number, log, key) = (evidence.number, &evidence.log, &evidence.checkpoint.key);
    say!(
        "{}: record {number} of log {log}, {} digests, signed with {key}",
        file.display(),
        evidence.following.len()
    );
    if let Some(stamp) = stamp {
        say!("stamped at {} ms", stamp.time);
    }
    Ok(())
}

/// A running node ships a call within a tenth of a second and signs it within one.
async fn signed(data: &Path, call: CallId) -> Result<Evidence, Failed> {
    let until = Instant::now() + PATIENCE;
    loop {
        match audit::export(data, call) {
            Ok(evidence) => return Ok(evidence),
            Err(error) if Instant::now() >= until || crate::running::find(data).is_err() => {
                return Err(error.into());
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}
