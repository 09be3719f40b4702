//! Everything operators do with keys, as one list: what `qiao keys` asks, run by a node through its admin API or by the command
//! itself on the storage.
use qiao_vault::{
    CipherFormat, JournalEntry, KeyInfo, KeyKind, KeyRef, NewVersion, Operator, Purpose, RootRequest,
    Rotation, Vault, VaultError, Wrapped,
    certificate::{Subject, certificate_request},
};
use serde::{Deserialize, Serialize};

use crate::{demo_keys, transport::Transport};

/// One action. Secrets stand in it only sealed for the transport pair of whoever runs it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum KeyAction {
    List,
    Journal,
    Generate {
        key: KeyRef,
        kind: KeyKind,
        purpose: Purpose,
    },
    /// A key of a device.
    Adopt {
        key: KeyRef,
        kind: KeyKind,
        purpose: Purpose,
        device: String,
        id: String,
        rotate: bool,
    },
    /// A new version, active at once; the one so far goes on accepting.
    Rotate {
        key: KeyRef,
    },
    /// A new version that accepts and does not yet produce.
    Announce {
        key: KeyRef,
    },
    Activate {
        key: KeyRef,
    },
    Retire {
        key: KeyRef,
    },
    Destroy {
        key: KeyRef,
        request: Option<RootRequest>,
    },
    /// Unix seconds, or never.
    Expiry {
        key: KeyRef,
        expires: Option<i64>,
    },
    Schedule {
        key: KeyRef,
        rotation: Option<Rotation>,
    },
    ImportSecret {
        key: KeyRef,
        kind: KeyKind,
        purpose: Purpose,
        secret: String,
        rotate: bool,
    },
    /// Hex.
    ImportPublic {
        key: KeyRef,
        purpose: Purpose,
        public: String,
        rotate: bool,
    },
    /// DER of an SM2 ciphertext in hex.
    ImportWrapped {
        key: KeyRef,
        kind: KeyKind,
        purpose: Purpose,
        transport: KeyRef,
        wrapped: String,
        rotate: bool,
    },
    /// Gives hex.
    ExportPublic {
        key: KeyRef,
    },
    /// Gives the DER of an SM2 ciphertext in hex.
    ExportWrapped {
        key: KeyRef,
        to: KeyRef,
        request: Option<RootRequest>,
    },
    /// Gives PEM.
    Csr {
        key: KeyRef,
        subject: SubjectNames,
    },
    RegisterOperator {
        name: String,
        public: String,
        request: Option<RootRequest>,
    },
    RemoveOperator {
        name: String,
        request: Option<RootRequest>,
    },
}

/// The parts of a certificate's subject; empty ones are left out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SubjectNames {
    pub common_name: String,
    pub country: String,
    pub province: String,
    pub locality: String,
    pub organization: String,
    pub unit: String,
}

/// What an action gave.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeyOutcome {
    /// The versions that were made or changed, or all of them.
    Keys(Vec<KeyInfo>),
    Journal(Vec<JournalEntry>),
    Text(String),
}

impl KeyAction {
    /// Whether keys may be other ones afterwards.
    pub fn changes(&self) -> bool {
        !matches!(self, Self::List | Self::Journal | Self::ExportPublic { .. } | Self::Csr { .. })
    }

    /// For the log: what, and which key.
    pub fn describe(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        format!("{} {}{}", text("action"), text("key"), text("name")).trim_end().to_owned()
    }
}

/// Runs an action on an unsealed vault. `transport` opens the secrets in it.
pub fn perform(vault: &Vault, action: &KeyAction, transport: &Transport) -> Result<KeyOutcome, VaultError> {
    let one = |info: KeyInfo| KeyOutcome::Keys(vec![info]);
    let result = match action {
        KeyAction::List => KeyOutcome::Keys(vault.list()?),
        KeyAction::Journal => KeyOutcome::Journal(vault.journal()?),
        KeyAction::Generate { key, kind, purpose } => one(demo_keys::make(vault, key, *kind, *purpose)?),
        KeyAction::Adopt { key, device, id, rotate: true, .. } => {
            one(vault.rotate(key, NewVersion::Device { device, id })?)
        }
        KeyAction::Adopt { key, kind, purpose, device, id, rotate: false } => {
            one(vault.adopt(key, *kind, *purpose, device, id)?)
        }
        KeyAction::Rotate { key } => one(demo_keys::anew(vault, key, |new| vault.rotate(key, new))?),
        KeyAction::Announce { key } => one(demo_keys::anew(vault, key, |new| vault.announce(key, new))?),
        KeyAction::Activate { key } => one(vault.activate(key)?),
        KeyAction::Retire { key } => one(vault.retire(key)?),
        KeyAction::Destroy { key, request } => one(vault.destroy(key, request.as_ref())?),
        KeyAction::Expiry { key, expires } => one(vault.set_expiry(key, *expires)?),
        KeyAction::Schedule { key, rotation } => one(vault.set_rotation(key, *rotation)?),
        KeyAction::ImportSecret { key, kind, purpose, secret, rotate } => {
            let secret = transport.open(secret)?;
            one(match rotate {
                true => vault.rotate(key, NewVersion::Material(&secret))?,
                false => vault.import(key, *kind, *purpose, &secret)?,
            })
        }
        KeyAction::ImportPublic { key, purpose, public, rotate } => {
            let public = from_hex(public)?;
            one(match rotate {
                true => vault.rotate(key, NewVersion::Public(&public))?,
                false => vault.import_public(key, *purpose, &public)?,
            })
        }
        KeyAction::ImportWrapped { key, kind, purpose, transport, wrapped, rotate } => {
            let bytes = from_hex(wrapped)?;
            let wrapped = Wrapped { transport, bytes: &bytes, format: CipherFormat::Der };
            one(vault.import_wrapped(key, *kind, *purpose, &wrapped, *rotate)?)
        }
        KeyAction::ExportPublic { key } => KeyOutcome::Text(hex::encode(vault.export_public(key)?)),
        KeyAction::ExportWrapped { key, to, request } => {
            let wrapped = vault.export_wrapped(key, to, CipherFormat::Der, request.as_ref())?;
            KeyOutcome::Text(hex::encode(wrapped))
        }
        KeyAction::Csr { key, subject } => {
            KeyOutcome::Text(certificate_request(&vault.key(key), &subject.clone().into())?)
        }
        KeyAction::RegisterOperator { name, public, request } => {
            let operator = Operator { name: name.clone(), public: from_hex(public)? };
            vault.register_operator(&operator, request.as_ref())?;
            KeyOutcome::Keys(operators(vault)?)
        }
        KeyAction::RemoveOperator { name, request } => {
            vault.remove_operator(name, request.as_ref())?;
            KeyOutcome::Keys(operators(vault)?)
        }
    };
    Ok(result)
}

fn operators(vault: &Vault) -> Result<Vec<KeyInfo>, VaultError> {
    let mut infos = vault.list()?;
    infos.retain(|info| info.name.starts_with("operator/"));
    Ok(infos)
}

fn from_hex(text: &str) -> Result<Vec<u8>, VaultError> {
    hex::decode(text.trim()).map_err(|_| VaultError::Invalid { what: "this is not in hexadecimal".into() })
}

impl From<SubjectNames> for Subject {
    fn from(names: SubjectNames) -> Self {
        Self {
            country: names.country,
            province: names.province,
            locality: names.locality,
            organization: names.organization,
            unit: names.unit,
            common_name: names.common_name,
        }
    }
}
