//! The key hierarchy: an operator's secret seals the root key, the root key the key-encryption key, that one every key.
use super::loaded::{LoadedKey, Material, Sm2Pair};
use crate::{
    error::VaultError,
    key::{KeyInfo, KeyKind, KeyState},
    provider::{Provider, Sm4Mode},
    storage::{LockKind, RootLock, StoredKey, VaultHeader},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};
use zeroize::Zeroizing;

/// What an operator brings to unseal the vault.
pub enum RootSecret {
    /// The content of a key file: 16 to 4096 bytes.
    KeyFile(Zeroizing<Vec<u8>>),
}

impl RootSecret {
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

    fn kind(&self) -> LockKind {
        match self {
            Self::KeyFile(_) => LockKind::KeyFile,
        }
    }

    /// The SM4 key that seals the root key for this secret.
    fn lock_key(&self, provider: &dyn Provider, salt: &[u8]) -> Result<Zeroizing<[u8; 16]>, VaultError> {
        let mut key = Zeroizing::new([0; 16]);
        match self {
            Self::KeyFile(bytes) if (16..=4096).contains(&bytes.len()) => {
                provider.sm3_kdf(&[b"qiao vault key file", salt, bytes], &mut *key)?;
            }
            Self::KeyFile(_) => return Err(VaultError::invalid("a key file has 16 to 4096 bytes")),
        }
        Ok(key)
    }
}

/// The unsealed hierarchy. No `Debug`, no `Clone`.
pub(super) struct Hierarchy {
    kek: Zeroizing<[u8; 16]>,
    /// Seals records against exchange.
    mac: Zeroizing<[u8; 32]>,
}

const ROOT_AAD: &[u8] = b"qiao vault root";
const KEK_AAD: &[u8] = b"qiao vault kek";

impl Hierarchy {
    pub(super) fn create(
        provider: &dyn Provider,
        secret: &RootSecret,
    ) -> Result<(VaultHeader, Self), VaultError> {
        let (mut root, mut kek) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 16]));
        provider.random(&mut *root)?;
        provider.random(&mut *kek)?;
        let lock = lock(provider, secret, &root)?;
        let (root_key, mac) = split_root(provider, &root)?;
        let kek_sealed = seal(provider, &root_key, KEK_AAD, &*kek)?;
        Ok((VaultHeader { format: 1, locks: vec![lock], kek: kek_sealed }, Self { kek, mac }))
    }

    pub(super) fn open(
        provider: &dyn Provider,
        header: &VaultHeader,
        secret: &RootSecret,
    ) -> Result<Self, VaultError> {
        if header.format != 1 {
            return Err(VaultError::invalid(format!(
                "vault format {} is newer than this program",
                header.format
            )));
        }
        let root = unlock(provider, header, secret)?;
        let (root_key, mac) = split_root(provider, &root)?;
        let kek = unseal(provider, &root_key, KEK_AAD, &header.kek).ok_or(VaultError::WrongRoot)?;
        let kek = Zeroizing::new(kek.as_slice().try_into().map_err(|_| VaultError::WrongRoot)?);
        Ok(Self { kek, mac })
    }

    /// Fills `sealed` and `mac` of a record.
    pub(super) fn seal_record(
        &self,
        provider: &dyn Provider,
        record: &mut StoredKey,
        material: Option<&[u8]>,
    ) -> Result<(), VaultError> {
        if let Some(material) = material {
            record.sealed = Some(seal(provider, &self.kek, &record_aad(record), material)?);
        }
        record.mac = hex::encode(self.record_mac(provider, record)?);
        Ok(())
    }

    /// Verifies a record and unseals its key.
    pub(super) fn load(&self, provider: &dyn Provider, stored: &StoredKey) -> Result<LoadedKey, VaultError> {
        let altered = || VaultError::AlteredRecord { key: format!("{}#{}", stored.name, stored.version) };
        let mac = self.record_mac(provider, stored)?;
        let kept = hex::decode(&stored.mac).map_err(|_| altered())?;
        if !crate::vault::constant_time_eq(&mac, &kept) {
            return Err(altered());
        }
        let secret = match &stored.sealed {
            Some(sealed) => {
                Some(unseal(provider, &self.kek, &record_aad(stored), sealed).ok_or_else(altered)?)
            }
            None => None,
        };
        let mut info = KeyInfo {
            name: stored.name.clone(),
            version: stored.version,
            kind: stored.kind,
            purpose: stored.purpose,
            state: stored.state,
            created: stored.created,
            expires: stored.expires,
            public: stored.public.as_ref().map(|point| format!("04{point}")),
            secret: secret.is_some(),
        };
        let material = match (stored.state, stored.kind, secret) {
            (KeyState::Destroyed, ..) => Material::Destroyed,
            (_, KeyKind::Sm2, secret) => {
                let scalar = match secret.as_deref() {
                    Some(bytes) => Some(Zeroizing::new(bytes.as_slice().try_into().map_err(|_| altered())?)),
                    None => None,
                };
                let point = hex::decode(stored.public.as_deref().unwrap_or_default())
                    .ok()
                    .and_then(|point| point.try_into().ok())
                    .ok_or_else(altered)?;
                let secret = scalar.map(|scalar| provider.sm2_secret(&scalar)).transpose()?;
                Material::Sm2(Box::new(Sm2Pair::new(provider, provider.sm2_public(&point)?, secret)?))
            }
            (_, _, Some(bytes)) => Material::Bytes(bytes),
            (_, _, None) => return Err(altered()),
        };
        info.secret &= !matches!(material, Material::Destroyed);
        Ok(LoadedKey { info, material })
    }

    fn record_mac(&self, provider: &dyn Provider, record: &StoredKey) -> Result<[u8; 32], VaultError> {
        let bare = StoredKey { mac: String::new(), ..record.clone() };
        let text = serde_json::to_vec(&bare).map_err(|error| VaultError::invalid(error.to_string()))?;
        Ok(provider.hmac_sm3(&*self.mac, &[&text]))
    }
}

fn lock(provider: &dyn Provider, secret: &RootSecret, root: &[u8; 32]) -> Result<RootLock, VaultError> {
    let mut salt = [0; 16];
    provider.random(&mut salt)?;
    let key = secret.lock_key(provider, &salt)?;
    let sealed = seal(provider, &key, ROOT_AAD, root)?;
    Ok(RootLock { kind: secret.kind(), salt: hex::encode(salt), sealed })
}

fn unlock(
    provider: &dyn Provider,
    header: &VaultHeader,
    secret: &RootSecret,
) -> Result<Zeroizing<[u8; 32]>, VaultError> {
    for lock in header.locks.iter().filter(|lock| lock.kind == secret.kind()) {
        let salt = hex::decode(&lock.salt).map_err(|_| VaultError::WrongRoot)?;
        let key = secret.lock_key(provider, &salt)?;
        if let Some(root) = unseal(provider, &key, ROOT_AAD, &lock.sealed) {
            return Ok(Zeroizing::new(root.as_slice().try_into().map_err(|_| VaultError::WrongRoot)?));
        }
    }
    Err(VaultError::WrongRoot)
}

type RootKeys = (Zeroizing<[u8; 16]>, Zeroizing<[u8; 32]>);

fn split_root(provider: &dyn Provider, root: &[u8; 32]) -> Result<RootKeys, VaultError> {
    let (mut key, mut mac) = (Zeroizing::new([0; 16]), Zeroizing::new([0; 32]));
    provider.sm3_kdf(&[b"qiao vault root key", root], &mut *key)?;
    provider.sm3_kdf(&[b"qiao vault record mac", root], &mut *mac)?;
    Ok((key, mac))
}

/// What a sealed material belongs to; it opens nowhere else.
fn record_aad(record: &StoredKey) -> Vec<u8> {
    format!("{}\n{}\n{:?}\n{:?}", record.name, record.version, record.kind, record.purpose).into_bytes()
}

fn seal(provider: &dyn Provider, key: &[u8; 16], aad: &[u8], plain: &[u8]) -> Result<String, VaultError> {
    let mut nonce = [0; 12];
    provider.random(&mut nonce)?;
    let cipher = provider.sm4_encrypt(key, &Sm4Mode::Gcm { nonce: &nonce, aad }, plain)?;
    Ok(STANDARD.encode([&nonce[..], &cipher].concat()))
}

fn unseal(provider: &dyn Provider, key: &[u8; 16], aad: &[u8], text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let bytes = STANDARD.decode(text).ok()?;
    let (nonce, cipher) = bytes.split_at_checked(12)?;
    provider.sm4_decrypt(key, &Sm4Mode::Gcm { nonce, aad }, cipher).ok()
}
