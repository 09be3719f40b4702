//! What can go wrong in the vault. For callers, who turn it into the bus's `Fault`.
use crate::{key::Purpose, provider::CryptoError, storage::StorageError};

/// A failure of the vault.
///
/// `Display` is safe to hand to an operator's log and, for [`VaultError::Refused`], to a partner: it never says which
/// check failed. [`VaultError::operator_detail`] does, and must never reach the sender of the message.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error("the vault is sealed; unseal it before using keys")]
    Sealed,
    #[error("the vault is not initialised; run `qiao keys init`")]
    Uninitialised,
    #[error("the vault is already initialised")]
    AlreadyInitialised,
    /// The root secret is wrong, or the sealed root was altered: the two cannot be told apart.
    #[error("this root secret does not open the vault")]
    WrongRoot,
    /// The key's stored record does not carry this vault's seal.
    #[error("the stored record of key {key} was altered or belongs to another vault")]
    AlteredRecord { key: String },
    #[error("there is no usable key {key} in the vault")]
    UnknownKey { key: String },
    #[error("key {key} already exists")]
    KeyExists { key: String },
    #[error("key {key} is for {purpose}, not for {needed}")]
    WrongPurpose { key: String, purpose: Purpose, needed: Purpose },
    #[error("of key {key} only the public half is here")]
    PublicOnly { key: String },
    /// The caller of this crate passed something unusable.
    #[error("{what}")]
    Invalid { what: String },
    #[error("parameter {name} is missing")]
    MissingParam { name: String },
    /// The message's outer form is wrong; found before any key was used, so saying so is no oracle.
    #[error("field {field} {problem}")]
    Malformed { field: String, problem: &'static str },
    /// A signature, tag, padding or decrypted content did not hold. `part` is for the operator only.
    #[error("the message was refused")]
    Refused { part: String },
    /// The vault is under dual control.
    #[error(
        "this vault is under dual control: to {operation}, two operators sign a request first (`qiao keys request`)"
    )]
    NeedsApproval { operation: String },
    /// A request that does not allow what was asked.
    #[error("the request was not accepted: {why}")]
    NotApproved { why: String },
    #[error("key storage: {0}")]
    Storage(#[from] StorageError),
    #[error("cryptographic provider: {0}")]
    Provider(&'static str),
    /// The device or service that holds the key did not do it. `busy`: nothing was done and a repeat may succeed.
    #[error("key device {device}: {problem}")]
    Device { device: String, problem: &'static str, busy: bool },
    /// Nothing may be encrypted or signed with this provider.
    #[error("the self-test of the cryptographic provider {provider} failed: {check}")]
    SelfTest { provider: &'static str, check: &'static str },
}

impl VaultError {
    pub(crate) fn invalid(what: impl Into<String>) -> Self {
        Self::Invalid { what: what.into() }
    }

    /// The text for an operator's eyes: names the envelope part that refused. Never send it to the message's sender.
    pub fn operator_detail(&self) -> String {
        match self {
            Self::Refused { part } => format!("the message was refused at `{part}`"),
            other => other.to_string(),
        }
    }
}

impl From<CryptoError> for VaultError {
    fn from(error: CryptoError) -> Self {
        match error {
            CryptoError::Refused => Self::Refused { part: String::new() },
            CryptoError::Invalid(what) => Self::invalid(what),
            CryptoError::Failed(what) | CryptoError::Busy(what) => Self::Provider(what),
        }
    }
}
