//! `qiao keys …`: the vault of a node, for operators: what is there, what definitions need, making and bringing in keys.
use std::{
    io::Read,
    path::{Path, PathBuf},
};

use clap::{Subcommand, ValueEnum};
use qiao_vault::{KeyInfo, KeyKind, KeyRef, NewVersion, Purpose, SelfTest, Vault, Zeroizing};
use serde_json::json;

use super::{Failed, out::say, show};
use crate::{
    config::{Config, VaultConfig},
    demo_keys,
    needed_keys::{NeededKey, Whose, needed_keys, node_keys},
    unseal,
};

#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make an empty vault, and its unseal key file where there is none
    Init(Place),
    /// List every version of every key; key bytes are never shown
    List(Place),
    /// List the keys that the definitions name; fails while one is missing
    Needed(Place),
    /// Generate one key, or with --missing the bus's own missing ones
    Generate(Generate),
    /// Bring in a shared secret from standard input: a caller's key, a partner's password or signKey
    ImportSecret(Import),
    /// Bring in a partner's public SM2 key from standard input: hex, 64 bytes or 65 with a leading 04
    ImportPublic(ImportPublic),
    /// Print the public half of an SM2 key, for a partner: 04, x, y in hex
    ExportPublic(Export),
    /// Run the cryptographic self-test: published vectors of every algorithm
    SelfTest(Test),
}

#[derive(clap::Args)]
struct Place {
    /// Settings of the node whose vault is meant
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// For machines: JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Generate {
    #[command(flatten)]
    place: Place,
    /// Key to generate, for instance vault:bus/sign
    #[arg(required_unless_present = "missing", conflicts_with = "missing", requires = "kind")]
    key: Option<KeyRef>,
    /// What it is
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// Every key of the bus's own that definitions name and the vault lacks
    #[arg(long)]
    missing: bool,
    /// With --missing: stand-ins for partners' and callers' keys too, for a node with mock partners
    #[arg(long, requires = "missing")]
    stand_ins: bool,
}

/// Kind and purpose in one word: each kind but SM2 has one purpose.
#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Sm2Sign,
    Sm2Encrypt,
    Sm4,
    Hmac,
    Secret,
}

#[derive(clap::Args)]
struct Import {
    #[command(flatten)]
    place: Place,
    /// Key to bring in, for instance vault:caller/portal
    key: KeyRef,
    /// Replace a secret that is there: the one so far stays valid until it is retired
    #[arg(long)]
    rotate: bool,
}

#[derive(clap::Args)]
struct ImportPublic {
    #[command(flatten)]
    import: Import,
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
struct Export {
    #[command(flatten)]
    place: Place,
    key: KeyRef,
}

#[derive(clap::Args)]
struct Test {
    /// For machines: one JSON array
    #[arg(long)]
    json: bool,
}

/// A secret has at most this many bytes, and a public key in hex fewer.
const MOST: u64 = 1024;

pub fn run(arguments: Arguments) -> Result<(), Failed> {
    match arguments.action {
        Action::Init(place) => init(&place),
        Action::List(place) => list(&place),
        Action::Needed(place) => needed(&place),
        Action::Generate(arguments) => generate(&arguments),
        Action::ImportSecret(arguments) => import_secret(&arguments),
        Action::ImportPublic(arguments) => import_public(&arguments),
        Action::ExportPublic(arguments) => {
            let public = arguments.place.open()?.export_public(&arguments.key)?;
            say!("{}", hex::encode(public));
            Ok(())
        }
        Action::SelfTest(arguments) => self_test(&arguments),
    }
}

impl Place {
    fn open(&self) -> Result<Vault, Failed> {
        Ok(unseal::open(&Config::read(&self.config)?.vault)?)
    }

    fn needed(&self) -> Result<(Vault, Vec<NeededKey>), Failed> {
        let config = Config::read(&self.config)?;
        let loaded = qiao_engine::load::load(&config.definitions.folder);
        if !loaded.mistakes.is_empty() {
            return Err(Failed(show::mistakes(&loaded.mistakes)));
        }
        let mut needed = needed_keys(&loaded.definitions);
        needed.extend(node_keys(&config));
        Ok((unseal::open(&config.vault)?, needed))
    }
}

fn init(place: &Place) -> Result<(), Failed> {
    let config = Config::read(&place.config)?.vault;
    for file in [&config.file, &config.unseal_key_file] {
        let folder = file.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(|error| Failed(format!("{}: {error}", folder.display())))?;
    }
    let made_key_file = !config.unseal_key_file.exists();
    let (_, made) = unseal::open_or_make(&config)?;
    if !made {
        return Err(Failed(format!(
            "{} is a vault already; `qiao keys list` shows its keys",
            config.file.display()
        )));
    }
    if place.json {
        say!(
            "{}",
            json!({"vault": config.file, "unsealKeyFile": config.unseal_key_file, "keyFileMade": made_key_file})
        );
        return Ok(());
    }
    greet(&config, made_key_file);
    Ok(())
}

fn greet(config: &VaultConfig, made_key_file: bool) {
    let made = if made_key_file { "generated" } else { "there already" };
    say!("vault         {}", config.file.display());
    say!(
        "unseal key    {} ({made}); keep it apart from the vault and back it up: without it every key is lost",
        config.unseal_key_file.display()
    );
    say!("next          qiao keys needed --config FILE");
}

fn list(place: &Place) -> Result<(), Failed> {
    let keys = place.open()?.list()?;
    if place.json {
        say!("{}", serde_json::to_string_pretty(&keys)?);
        return Ok(());
    }
    let row = |info: &KeyInfo| {
        vec![
            format!("vault:{}#{}", info.name, info.version),
            word(&info.kind),
            word(&info.purpose),
            word(&info.state),
            if info.secret { "whole" } else { "public half" }.to_owned(),
        ]
    };
    say!("{}", show::table(&["KEY", "KIND", "FOR", "STATE", "HERE"], keys.iter().map(row).collect()));
    say!("{} key version(s)", keys.len());
    Ok(())
}

fn needed(place: &Place) -> Result<(), Failed> {
    let (vault, needed) = place.needed()?;
    let missing = needed.iter().filter(|key| !vault.exists(&key.key)).count();
    if place.json {
        let rows: Vec<_> = needed
            .iter()
            .map(|key| {
                json!({"key": key.key.to_string(), "kind": key.kind, "purpose": key.purpose, "whose": key.whose,
                    "by": key.by, "missing": !vault.exists(&key.key)})
            })
            .collect();
        say!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        let row = |key: &NeededKey| {
            let there = vault.exists(&key.key);
            let todo = if there { "here".to_owned() } else { format!("missing: {}", remedy(key)) };
            vec![
                key.key.to_string(),
                word(&key.kind),
                word(&key.purpose),
                word(&key.whose),
                key.by.clone(),
                todo,
            ]
        };
        let head = ["KEY", "KIND", "FOR", "WHOSE", "NAMED BY", "STATE"];
        say!("{}", show::table(&head, needed.iter().map(row).collect()));
    }
    match missing {
        0 => Ok(()),
        missing => Err(Failed(format!("{missing} of {} key(s) missing", needed.len()))),
    }
}

/// The command that brings a missing key.
fn remedy(key: &NeededKey) -> String {
    match (key.whose, key.kind, key.purpose) {
        (Whose::Ours, ..) => "qiao keys generate --missing".to_owned(),
        (Whose::Theirs, _, Purpose::Sign) => format!("qiao keys import-public {} --for sign", key.key),
        (Whose::Theirs, ..) => format!("qiao keys import-public {} --for encrypt", key.key),
        (Whose::Shared, ..) => format!("qiao keys import-secret {}", key.key),
    }
}

fn generate(arguments: &Generate) -> Result<(), Failed> {
    if let (Some(key), Some(kind)) = (&arguments.key, arguments.kind) {
        let (kind, purpose) = match kind {
            Kind::Sm2Sign => (KeyKind::Sm2, Purpose::Sign),
            Kind::Sm2Encrypt => (KeyKind::Sm2, Purpose::Encrypt),
            Kind::Sm4 => (KeyKind::Sm4, Purpose::Encrypt),
            Kind::Hmac => (KeyKind::Hmac, Purpose::Mac),
            Kind::Secret => (KeyKind::Secret, Purpose::Secret),
        };
        return told(&arguments.place, &[arguments.place.open()?.generate(key, kind, purpose)?]);
    }
    let (vault, needed) = arguments.place.needed()?;
    let mut made = Vec::new();
    for key in needed.iter().filter(|key| !vault.exists(&key.key)) {
        if arguments.stand_ins || key.whose == Whose::Ours {
            demo_keys::generate(&vault, key)?;
            made.push(vault.key(&key.key).info()?);
        }
    }
    told(&arguments.place, &made)
}

fn import_secret(arguments: &Import) -> Result<(), Failed> {
    let vault = arguments.place.open()?;
    let secret = read("the secret")?;
    let info = match (arguments.rotate, vault.exists(&arguments.key)) {
        (true, true) => vault.rotate(&arguments.key, NewVersion::Material(&secret))?,
        (false, true) => return Err(exists(&arguments.key)),
        (_, false) => {
            vault.import(&arguments.key, wanted_kind(arguments)?, wanted_purpose(arguments)?, &secret)?
        }
    };
    told(&arguments.place, &[info])
}

/// A shared key is a secret, unless the definitions say that it is an SM4 or HMAC key.
fn wanted(arguments: &Import) -> Result<Option<NeededKey>, Failed> {
    let (_, needed) = arguments.place.needed()?;
    Ok(needed.into_iter().find(|key| key.key == arguments.key && key.kind != KeyKind::Sm2))
}

fn wanted_kind(arguments: &Import) -> Result<KeyKind, Failed> {
    Ok(wanted(arguments)?.map_or(KeyKind::Secret, |key| key.kind))
}

fn wanted_purpose(arguments: &Import) -> Result<Purpose, Failed> {
    Ok(wanted(arguments)?.map_or(Purpose::Secret, |key| key.purpose))
}

fn import_public(arguments: &ImportPublic) -> Result<(), Failed> {
    let import = &arguments.import;
    let vault = import.place.open()?;
    let text = read("the public key")?;
    let public = hex::decode(text.trim_ascii())
        .map_err(|_| Failed("the public key on standard input is not hexadecimal".to_owned()))?;
    let purpose = match arguments.purpose {
        Half::Sign => Purpose::Sign,
        Half::Encrypt => Purpose::Encrypt,
    };
    let info = match (import.rotate, vault.exists(&import.key)) {
        (true, true) => vault.rotate(&import.key, NewVersion::Public(&public))?,
        (false, true) => return Err(exists(&import.key)),
        (_, false) => vault.import_public(&import.key, purpose, &public)?,
    };
    told(&import.place, &[info])
}

fn exists(key: &KeyRef) -> Failed {
    Failed(format!("{key} is there already; replace it with --rotate"))
}

/// Standard input up to one line end, which is no part of a secret.
fn read(what: &str) -> Result<Zeroizing<Vec<u8>>, Failed> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(MOST as usize + 3));
    std::io::stdin().take(MOST + 3).read_to_end(&mut bytes)?;
    for end in [b'\n', b'\r'] {
        if bytes.last() == Some(&end) {
            bytes.pop();
        }
    }
    if bytes.is_empty() || bytes.len() as u64 > MOST {
        return Err(Failed(format!("{what} is read from standard input: 1 to {MOST} bytes")));
    }
    Ok(bytes)
}

fn told(place: &Place, made: &[KeyInfo]) -> Result<(), Failed> {
    if place.json {
        say!("{}", serde_json::to_string_pretty(made)?);
        return Ok(());
    }
    for info in made {
        say!("vault:{}#{} {}", info.name, info.version, word(&info.state));
    }
    say!("{} key(s) new; a running node reads them at its next reload (SIGHUP)", made.len());
    Ok(())
}

fn self_test(arguments: &Test) -> Result<(), Failed> {
    let results = qiao_vault::self_test(&qiao_vault::PureProvider);
    if arguments.json {
        say!("{}", serde_json::to_string_pretty(&results)?);
    } else {
        let verdict = |test: &SelfTest| if test.passed { "pass" } else { "FAIL" }.to_owned();
        let rows = results.iter().map(|test| vec![verdict(test), test.name.to_owned()]);
        say!("{}", show::table(&["RESULT", "CHECK"], rows.collect()));
    }
    match results.iter().filter(|test| !test.passed).count() {
        0 => Ok(()),
        failed => Err(Failed(format!("{failed} check(s) failed: no key may be used on this machine"))),
    }
}

/// The word an enum has in JSON.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
