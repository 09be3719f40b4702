//! Keys that live elsewhere: in a device or at a service, which computes with them. For the vault, and for whoever drives
//! such a device.
//!
//! The vault keeps where the key is and its public half, under the same seal, states and rotation as any key; the
//! material never comes here.
use crate::{
    error::VaultError,
    key::Purpose,
    provider::{CryptoError, Sm4Mode},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};
use zeroize::Zeroizing;

pub(crate) mod modes;

/// Where a key's material is when it is not in the vault's storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ExternalKey {
    /// The device or service, by the name settings give it.
    pub device: String,
    /// The key there: for an SDF device the index of a pair (`3`) or of a key-encryption key (`kek:2`), for a service its
    /// key identifier. 1 to 128 characters.
    pub id: String,
    /// Base64 of a session key wrapped under that key; only for symmetric keys, and only where the device wraps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrapped: Option<String>,
}

/// A pair in a device, as the vault knows it.
#[derive(Clone, Copy)]
pub struct DeviceKey<'a> {
    pub id: &'a str,
    /// x ‖ y as recorded when the key was adopted; a device that holds another key there must be refused.
    pub point: &'a [u8; 64],
}

/// What is signed, in every form a device may want: most sign the digest, some services the message.
#[derive(Clone, Copy)]
pub struct SignInput<'a> {
    /// e = SM3(Z ‖ message).
    pub digest: &'a [u8; 32],
    pub message: &'a [u8],
    /// The distinguishing identifier that entered Z.
    pub id: &'a [u8],
}

/// A symmetric key in a device.
#[derive(Clone, Copy)]
pub struct DeviceCipher<'a> {
    pub id: &'a str,
    /// Present where the device gave the key out wrapped.
    pub wrapped: Option<&'a [u8]>,
}

/// SM4 over whole blocks without padding: CBC with an IV, ECB without.
#[derive(Clone, Copy)]
pub struct Blocks<'a> {
    pub encrypt: bool,
    pub iv: Option<&'a [u8; 16]>,
    pub data: &'a [u8],
}

/// How a device is doing, for health and operators. Says nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceStatus {
    pub name: String,
    pub kind: DeviceKind,
    /// Whether the last contact succeeded; true before the first.
    pub answering: bool,
    /// Sessions or connections open, and the most there may be.
    pub open: usize,
    pub most: usize,
    /// Of those open, the ones that compute now.
    pub in_use: usize,
    /// Calls that wait for a free one.
    pub waiting: usize,
    /// Calls since the start that the device did not do; data that it refused is none.
    pub failures: u64,
    /// What went wrong last, with the device's own code, and when, in Unix seconds.
    pub last_failure: Option<String>,
    pub last_failure_at: Option<i64>,
}

/// How a device is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    Sdf,
    Remote,
}

/// The failures of a device.
#[derive(Default)]
pub(crate) struct Failures {
    count: u64,
    last: Option<String>,
    at: Option<i64>,
}

impl Failures {
    /// Counts one; `words` replaces what went wrong last, where the device said something.
    pub(crate) fn add(&mut self, words: Option<String>) {
        self.count += 1;
        self.at = Some(crate::vault::now());
        self.last = words.or_else(|| self.last.take());
    }

    /// Fills what a status says of failures.
    pub(crate) fn tell(&self, status: &mut DeviceStatus) {
        status.failures = self.count;
        status.last_failure.clone_from(&self.last);
        status.last_failure_at = self.at;
    }
}

/// A device or service that computes with keys it keeps. Every call blocks, within the implementation's own deadline,
/// so callers on async threads step aside first (see [`crate::KeyHandle::blocks`]). Errors:
/// [`CryptoError::Refused`] for data that does not hold, [`CryptoError::Busy`] where nothing was done and a repeat may
/// succeed, [`CryptoError::Failed`] for a device that is gone or cannot; none of them holds a password or data.
pub trait KeyDevice: Send + Sync {
    /// The name settings give it.
    fn name(&self) -> &str;

    /// The public half, x ‖ y, of the pair that serves this purpose.
    fn public(&self, id: &str, purpose: Purpose) -> Result<[u8; 64], CryptoError>;

    /// An SM2 signature, r ‖ s.
    fn sign(&self, key: &DeviceKey<'_>, input: &SignInput<'_>) -> Result<[u8; 64], CryptoError>;

    /// Decrypts x1 ‖ y1 ‖ C3 ‖ C2.
    fn decrypt(&self, key: &DeviceKey<'_>, cipher: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError>;

    /// Makes an SM4 key, wrapped under the key of this id; `None` where the id itself is the SM4 key.
    fn new_sm4(&self, id: &str) -> Result<Option<Vec<u8>>, CryptoError>;

    /// SM4 over whole blocks.
    fn sm4(&self, key: &DeviceCipher<'_>, blocks: &Blocks<'_>) -> Result<Zeroizing<Vec<u8>>, CryptoError>;

    fn status(&self) -> DeviceStatus;
}

/// The devices of a node, by name.
pub(crate) type Devices = BTreeMap<String, Arc<dyn KeyDevice>>;

/// A stored external key with its device, if this node has it.
pub(crate) struct External {
    device: Option<Arc<dyn KeyDevice>>,
    key: ExternalKey,
    wrapped: Option<Vec<u8>>,
}

impl External {
    /// `None` where the wrapped key is no base64.
    pub(crate) fn new(devices: &Devices, key: &ExternalKey) -> Option<Self> {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let wrapped = match &key.wrapped {
            Some(text) => Some(STANDARD.decode(text).ok()?),
            None => None,
        };
        Some(Self { device: devices.get(&key.device).cloned(), key: key.clone(), wrapped })
    }

    fn device(&self) -> Result<&dyn KeyDevice, VaultError> {
        self.device.as_deref().ok_or_else(|| VaultError::Device {
            device: self.key.device.clone(),
            problem: "it is not among this node's devices",
            busy: false,
        })
    }

    pub(crate) fn sign(&self, point: &[u8; 64], input: &SignInput<'_>) -> Result<[u8; 64], VaultError> {
        let key = DeviceKey { id: &self.key.id, point };
        self.device()?.sign(&key, input).map_err(|error| failure(&self.key.device, error))
    }

    pub(crate) fn decrypt(&self, point: &[u8; 64], cipher: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let key = DeviceKey { id: &self.key.id, point };
        self.device()?.decrypt(&key, cipher).map_err(|error| failure(&self.key.device, error))
    }

    /// SM4 in a mode that the device need not have: what it lacks is composed from its blocks.
    pub(crate) fn sm4(
        &self,
        encrypt: bool,
        mode: &Sm4Mode<'_>,
        data: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let device = self.device()?;
        let key = DeviceCipher { id: &self.key.id, wrapped: self.wrapped.as_deref() };
        let run = |blocks: &Blocks<'_>| device.sm4(&key, blocks);
        let done = match encrypt {
            true => modes::encrypt(&run, mode, data).map(Zeroizing::new),
            false => modes::decrypt(&run, mode, data),
        };
        done.map_err(|error| failure(&self.key.device, error))
    }
}

/// A device's error with the device's name.
pub(crate) fn failure(device: &str, error: CryptoError) -> VaultError {
    let (problem, busy) = match error {
        CryptoError::Failed(problem) => (problem, false),
        CryptoError::Busy(problem) => (problem, true),
        other => return other.into(),
    };
    VaultError::Device { device: device.to_owned(), problem, busy }
}
