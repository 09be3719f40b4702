//! `qiao keys init`: the ceremony that makes a vault. Two operators and what unseals it, or plainly single control.
use std::path::{Path, PathBuf};

use qiao_vault::{RootSecret, Vault, VaultState, Zeroizing, split_shares};
use serde_json::json;

use super::{
    ask, operators,
    place::{self, Place, With},
};
use crate::{
    cli::{Failed, out::say},
    config::VaultConfig,
    secrets, unseal,
};

#[derive(clap::Args)]
pub struct Init {
    #[command(flatten)]
    place: Place,
    /// An operator and the file with their public key (hex): two at least, who approve root operations together
    #[arg(long = "operator", value_name = "NAME=FILE", conflicts_with = "single_control")]
    operators: Vec<String>,
    /// One person suffices for everything, root operations too
    #[arg(long)]
    single_control: bool,
    /// Custodians who unseal together, for instance 3/5, with --with custodians
    #[arg(long, value_name = "M/N")]
    custodians: Option<Split>,
    /// New folder for the custodians' shares, one file each
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// How many shares of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    pub needed: u8,
    pub total: u8,
}

impl std::str::FromStr for Split {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(m, n)| Some((m.parse().ok()?, n.parse().ok()?)));
        let (needed, total) = parts.ok_or("this is written as 3/5: three of five shares unseal")?;
        Ok(Self { needed, total })
    }
}

pub fn run(arguments: &Init) -> Result<(), Failed> {
    let config = arguments.place.config()?.vault;
    if arguments.operators.is_empty() && !arguments.single_control {
        return Err(Failed(
            "name two operators who approve root operations together (--operator NAME=FILE, twice; `qiao keys operator new` \
             makes their keys), or say --single-control"
                .to_owned(),
        ));
    }
    let operators: Result<Vec<_>, Failed> =
        arguments.operators.iter().map(|text| operators::read(text)).collect();
    let operators = operators?;
    let folder = config.file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|error| Failed(format!("{}: {error}", folder.display())))?;
    let vault = unseal::at(&config)?;
    if vault.state()? != VaultState::Uninitialised {
        return Err(Failed(format!(
            "{} is a vault already; `qiao keys list` shows its keys",
            config.file.display()
        )));
    }
    let (root, made) = root(arguments, &config, &vault)?;
    if operators.is_empty() {
        vault.init(&root)?
    } else {
        vault.init_dual(&root, &operators)?
    }
    if arguments.place.json {
        let names: Vec<_> = operators.iter().map(|operator| &operator.name).collect();
        let file = &config.unseal_key_file;
        say!("{}", json!({"vault": config.file, "operators": names, "unsealKeyFile": file, "made": made}));
        return Ok(());
    }
    say!("vault         {}", config.file.display());
    match operators.len() {
        0 => say!("control       single: one person suffices for root operations"),
        count => say!("control       dual: two of {count} operators approve root operations"),
    }
    made.iter().for_each(|line| say!("{line}"));
    say!("next          qiao keys needed --config FILE");
    Ok(())
}

/// What will unseal the vault, and what to tell of it.
fn root(arguments: &Init, config: &VaultConfig, vault: &Vault) -> Result<(RootSecret, Vec<String>), Failed> {
    let unlock = &arguments.place.unlock;
    let provider = qiao_vault::PureProvider;
    if let Some(split) = arguments.custodians {
        let out = arguments.out.as_deref();
        let out = out.ok_or_else(|| Failed("name a new folder for the shares with --out".to_owned()))?;
        let (root, shares) = split_shares(&provider, split.needed, split.total)?;
        return Ok((root, write_shares(out, split, &shares)?));
    }
    if unlock.with == Some(With::Passphrase) || unlock.passphrase_file.is_some() {
        let text = ask::new_passphrase(unlock.passphrase_file.as_deref(), "the vault's new passphrase")?;
        return Ok((
            RootSecret::passphrase(&**text),
            vec!["unsealed by   a passphrase; without it every key is lost".to_owned()],
        ));
    }
    if unlock.with == Some(With::Device) || config.own_device().is_some() {
        let line = "unsealed by   the device of the settings; without it every key is lost".to_owned();
        return Ok((place::device(config, vault)?, vec![line]));
    }
    let no_lock =
        "say what unseals the vault: `unsealKeyFile` in the settings, --with passphrase, or --custodians M/N";
    let file = config.unseal_key_file.as_deref().ok_or_else(|| Failed(no_lock.to_owned()))?;
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|error| Failed(format!("{}: {error}", folder.display())))?;
    let (root, made) = RootSecret::from_key_file_or_new(&provider, file)?;
    let how = if made { "generated" } else { "there already" };
    let line = format!(
        "unseal key    {} ({how}); keep it apart from the vault and back it up: without it every key is lost",
        file.display()
    );
    Ok((root, vec![line]))
}

/// Each share to a file of its own, in a folder that must not be there yet: no share is overwritten.
pub fn write_shares(out: &Path, split: Split, shares: &[Zeroizing<String>]) -> Result<Vec<String>, Failed> {
    let failed = |error: std::io::Error| Failed(format!("{}: {error}", out.display()));
    std::fs::create_dir(out).map_err(failed)?;
    let mut lines = Vec::new();
    for (number, share) in (1..).zip(shares) {
        let file = out.join(format!("custodian-{number}.share"));
        secrets::write_private(&file, share).map_err(failed)?;
        lines.push(format!("share         {}", file.display()));
    }
    lines.push(format!(
        "unsealed by   {} of {} custodians: hand each file to one person and wipe it here",
        split.needed, split.total
    ));
    Ok(lines)
}
