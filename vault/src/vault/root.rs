//! What operators bring to unseal the vault, and how the root key is locked under it. For `hierarchy` and the command line.
use super::hierarchy::{seal, unseal};
use crate::{
    error::VaultError,
    external::{Devices, External, ExternalKey, KeyDevice, failure},
    provider::{Padding, Provider, Sm4Mode},
    storage::{CustodianSet, LockKind, PassphraseCost, RootLock, VaultHeader},
};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
};
use zeroize::Zeroizing;

/// What operators bring to unseal the vault.
pub enum RootSecret {
    /// The content of a key file: 16 to 4096 bytes.
    KeyFile(Zeroizing<Vec<u8>>),
    /// 12 to 1024 bytes of UTF-8; the cost applies when a lock is made, unlocking takes the lock's own.
    Passphrase(Zeroizing<String>, PassphraseCost),
    /// What enough custodians' shares join to, and which shares; see [`crate::vault::join_shares`].
    Custodians(Zeroizing<[u8; 32]>, CustodianSet),
    /// A device, which is given its password when it is opened. `id` is the key there under which a new lock is made: an
    /// index of a pair or of a key-encryption key. Unlocking takes the lock's own.
    Device { device: Arc<dyn KeyDevice>, id: String },
}

impl RootSecret {
    /// A passphrase at the default cost.
    pub fn passphrase(text: impl Into<String>) -> Self {
        Self::Passphrase(Zeroizing::new(text.into()), PassphraseCost::default())
    }

    /// Reads a key file.
    pub fn from_key_file(path: &Path) -> Result<Self, VaultError> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(4097));
        fs::File::open(path)
            .and_then(|file| file.take(4097).read_to_end(&mut bytes))
            .map_err(|error| VaultError::invalid(format!("key file {}: {error}", path.display())))?;
        Ok(Self::KeyFile(bytes))
    }

    /// Reads a key file, or creates it with 32 random bytes, readable by its owner only. For the demo; says whether it
    /// was created.
    pub fn from_key_file_or_new(provider: &dyn Provider, path: &Path) -> Result<(Self, bool), VaultError> {
        let mut bytes = Zeroizing::new(vec![0; 32]);
        provider.random(&mut bytes)?;
        let created = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(path)
            .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()));
        match created {
            Ok(()) => Ok((Self::KeyFile(bytes), true)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok((Self::from_key_file(path)?, false)),
            Err(error) => Err(VaultError::invalid(format!("key file {}: {error}", path.display()))),
        }
    }

    /// Which kind of lock it opens.
    pub fn kind(&self) -> LockKind {
        match self {
            Self::KeyFile(_) => LockKind::KeyFile,
            Self::Passphrase(..) => LockKind::Passphrase,
            Self::Custodians(..) => LockKind::Custodians,
            Self::Device { .. } => LockKind::Device,
        }
    }

    /// The SM4 key that seals the root key for this secret.
    fn lock_key(
        &self,
        provider: &dyn Provider,
        salt: &[u8],
        cost: Option<PassphraseCost>,
        external: Option<&ExternalKey>,
    ) -> Result<Zeroizing<[u8; 16]>, VaultError> {
        let mut key = Zeroizing::new([0; 16]);
        match self {
            Self::KeyFile(bytes) if (16..=4096).contains(&bytes.len()) => {
                provider.sm3_kdf(&[b"qiao vault key file", salt, bytes], &mut *key)?;
            }
            Self::KeyFile(_) => return Err(VaultError::invalid("a key file has 16 to 4096 bytes")),
            Self::Passphrase(text, _) if (12..=1024).contains(&text.len()) => {
                let stretched = stretch(text, salt, cost.unwrap_or_default())?;
                provider.sm3_kdf(&[b"qiao vault passphrase", salt, &*stretched], &mut *key)?;
            }
            Self::Passphrase(..) => return Err(VaultError::invalid("a passphrase has 12 to 1024 bytes")),
            Self::Custodians(joined, _) => {
                provider.sm3_kdf(&[b"qiao vault custodians", salt, &**joined], &mut *key)?;
            }
            Self::Device { device, .. } => {
                let answer = challenge(provider, device, salt, external.ok_or(VaultError::WrongRoot)?)?;
                provider.sm3_kdf(&[b"qiao vault device", salt, &answer], &mut *key)?;
            }
        }
        Ok(key)
    }
}

/// What only the device's session key makes of the salt: its SM4 is the pseudo-random function that opens the lock, so the
/// key under which the root is sealed can be computed nowhere else.
fn challenge(
    provider: &dyn Provider,
    device: &Arc<dyn KeyDevice>,
    salt: &[u8],
    key: &ExternalKey,
) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let devices = Devices::from([(device.name().to_owned(), device.clone())]);
    let external = External::new(&devices, key).ok_or(VaultError::WrongRoot)?;
    let question = provider.sm3(&[b"qiao vault device challenge", salt]);
    external.sm4(true, &Sm4Mode::Ecb { padding: Padding::None }, &question)
}

fn stretch(text: &str, salt: &[u8], cost: PassphraseCost) -> Result<Zeroizing<[u8; 32]>, VaultError> {
    // A header comes from storage; a forged cost must not exhaust memory.
    if !(8..=1 << 20).contains(&cost.memory_kib) || !(1..=16).contains(&cost.passes) {
        return Err(VaultError::invalid("a passphrase's cost is 8 to 1048576 KiB and 1 to 16 passes"));
    }
    let refused = |_| VaultError::invalid("Argon2id refused its parameters");
    let params = Params::new(cost.memory_kib, cost.passes, 1, Some(32)).map_err(refused)?;
    let mut out = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(text.as_bytes(), salt, &mut *out)
        .map_err(refused)?;
    Ok(out)
}

const ROOT_AAD: &[u8] = b"qiao vault root";

pub(super) fn lock(
    provider: &dyn Provider,
    secret: &RootSecret,
    root: &[u8; 32],
) -> Result<RootLock, VaultError> {
    let mut salt = [0; 16];
    provider.random(&mut salt)?;
    let (cost, custodians) = match secret {
        RootSecret::Passphrase(_, cost) => (Some(*cost), None),
        RootSecret::Custodians(_, set) => (None, Some(set.clone())),
        _ => (None, None),
    };
    let device = match secret {
        RootSecret::Device { device, id } => {
            let name = device.name().to_owned();
            let wrapped = device.new_sm4(id).map_err(|error| failure(&name, error))?;
            let wrapped = wrapped.map(|wrapped| STANDARD.encode(wrapped));
            Some(ExternalKey { device: name, id: id.clone(), wrapped })
        }
        _ => None,
    };
    let key = secret.lock_key(provider, &salt, cost, device.as_ref())?;
    let sealed = seal(provider, &key, ROOT_AAD, root)?;
    Ok(RootLock { kind: secret.kind(), salt: hex::encode(salt), cost, custodians, device, sealed })
}

pub(super) fn unlock(
    provider: &dyn Provider,
    header: &VaultHeader,
    secret: &RootSecret,
) -> Result<Zeroizing<[u8; 32]>, VaultError> {
    let fits = |lock: &&RootLock| match (secret, &lock.device) {
        (RootSecret::Device { device, .. }, Some(key)) => key.device == device.name(),
        _ => lock.kind == secret.kind(),
    };
    for lock in header.locks.iter().filter(fits) {
        let salt = hex::decode(&lock.salt).map_err(|_| VaultError::WrongRoot)?;
        let key = secret.lock_key(provider, &salt, lock.cost, lock.device.as_ref())?;
        if let Some(root) = unseal(provider, &key, ROOT_AAD, &lock.sealed) {
            return Ok(Zeroizing::new(root.as_slice().try_into().map_err(|_| VaultError::WrongRoot)?));
        }
    }
    Err(VaultError::WrongRoot)
}
