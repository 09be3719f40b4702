//! `qiao keys generate`, `export-public`, `csr`: keys of the bus's own, and what others get of them.
use clap::ValueEnum;
use qiao_vault::{KeyKind, KeyRef, Purpose};

use super::place::{Place, has, told};
use crate::{
    cli::{Failed, out::say},
    key_actions::{KeyAction, KeyOutcome, SubjectNames},
    needed_keys::Whose,
};

/// A command about one key.
#[derive(clap::Args)]
pub struct One {
    #[command(flatten)]
    pub place: Place,
    /// Key, for instance vault:bus/sign, or one version of it: vault:bus/sign#2
    pub key: KeyRef,
}

#[derive(clap::Args)]
pub struct Generate {
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
pub enum Kind {
    Sm2Sign,
    Sm2Encrypt,
    Sm4,
    Hmac,
    Aes,
    Secret,
}

impl Kind {
    pub fn both(self) -> (KeyKind, Purpose) {
        match self {
            Self::Sm2Sign => (KeyKind::Sm2, Purpose::Sign),
            Self::Sm2Encrypt => (KeyKind::Sm2, Purpose::Encrypt),
            Self::Sm4 => (KeyKind::Sm4, Purpose::Encrypt),
            Self::Aes => (KeyKind::Aes, Purpose::Encrypt),
            Self::Hmac => (KeyKind::Hmac, Purpose::Mac),
            Self::Secret => (KeyKind::Secret, Purpose::Secret),
        }
    }
}

pub fn generate(arguments: &Generate) -> Result<(), Failed> {
    if let (Some(key), Some(kind)) = (&arguments.key, arguments.kind) {
        let (kind, purpose) = kind.both();
        let action = KeyAction::Generate { key: key.clone(), kind, purpose };
        return told(&arguments.place, &arguments.place.run(&action)?);
    }
    let (needed, keeper) = (arguments.place.needed()?, arguments.place.keeper()?);
    let there = keeper.list()?;
    let mut made = Vec::new();
    for key in needed.iter().filter(|key| !has(&there, &key.key)) {
        if arguments.stand_ins || key.whose == Whose::Ours {
            let (name, kind, purpose) = (key.key.clone(), key.kind, key.purpose);
            if let KeyOutcome::Keys(keys) =
                keeper.perform(&KeyAction::Generate { key: name, kind, purpose })?
            {
                made.extend(keys);
            }
        }
    }
    let count = made.len();
    told(&arguments.place, &KeyOutcome::Keys(made))?;
    if !arguments.place.json {
        say!("{count} key(s) new");
    }
    Ok(())
}

#[derive(clap::Args)]
pub struct Adopt {
    #[command(flatten)]
    one: One,
    /// What it is: sm2-sign, sm2-encrypt, or sm4 for a key that the device makes and gives out wrapped
    #[arg(long, value_enum)]
    kind: Kind,
    /// A name of the settings' `vault.devices`
    #[arg(long, value_name = "NAME")]
    device: String,
    /// The key there: an index such as 1, or kek:4; at a service, its identifier
    #[arg(long, value_name = "ID")]
    id: String,
    /// As the new active version of a key that is there: the one so far goes on accepting
    #[arg(long)]
    rotate: bool,
}

pub fn adopt(arguments: &Adopt) -> Result<(), Failed> {
    let (kind, purpose) = arguments.kind.both();
    let Adopt { one, device, id, rotate, .. } = arguments;
    let (key, device, id, rotate) = (one.key.clone(), device.clone(), id.clone(), *rotate);
    told(&one.place, &one.place.run(&KeyAction::Adopt { key, kind, purpose, device, id, rotate })?)
}

pub fn export_public(one: &One) -> Result<(), Failed> {
    print(one.place.run(&KeyAction::ExportPublic { key: one.key.clone() })?);
    Ok(())
}

/// Prints what an action gave as text.
pub fn print(outcome: KeyOutcome) {
    if let KeyOutcome::Text(text) = outcome {
        say!("{}", text.trim_end());
    }
}

#[derive(clap::Args)]
pub struct Csr {
    #[command(flatten)]
    one: One,
    /// Common name (CN)
    #[arg(long, value_name = "NAME")]
    common_name: String,
    /// Country (C): two letters
    #[arg(long, value_name = "C", default_value = "CN")]
    country: String,
    /// Province (ST)
    #[arg(long, value_name = "NAME", default_value = "")]
    province: String,
    /// City (L)
    #[arg(long, value_name = "NAME", default_value = "")]
    locality: String,
    /// Organization (O)
    #[arg(long, value_name = "NAME", default_value = "")]
    organization: String,
    /// Unit (OU)
    #[arg(long, value_name = "NAME", default_value = "")]
    unit: String,
}

pub fn csr(arguments: &Csr) -> Result<(), Failed> {
    let subject = SubjectNames {
        common_name: arguments.common_name.clone(),
        country: arguments.country.clone(),
        province: arguments.province.clone(),
        locality: arguments.locality.clone(),
        organization: arguments.organization.clone(),
        unit: arguments.unit.clone(),
    };
    print(arguments.one.place.run(&KeyAction::Csr { key: arguments.one.key.clone(), subject })?);
    Ok(())
}
