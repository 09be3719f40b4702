//! The key hierarchy: the root key seals the key-encryption key, that one every key; records carry its seal. For the vault.
use super::{
    loaded::{LoadedKey, Material, Secret, Sm2Pair},
    root::{RootSecret, lock, unlock},
};
use crate::{
    classic::ClassicKey,
    error::VaultError,
    external::{Devices, External},
    key::{KeyInfo, KeyKind, KeyState},
    provider::{Provider, Sm4Mode},
    storage::{Control, JournalEntry, StoredKey, VaultHeader},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

/// The unsealed hierarchy. No `Debug`, no `Clone`.
pub(super) struct Hierarchy {
    kek: Zeroizing<[u8; 16]>,
    /// Seals records against exchange.
    mac: Zeroizing<[u8; 32]>,
    /// As the seal of the key-encryption key says.
    pub(super) control: Control,
}

/// What the key-encryption key's seal is bound to, so that dual control cannot be switched off in the storage.
fn kek_aad(control: Control) -> &'static [u8] {
    match control {
        Control::Single => b"qiao vault kek",
        Control::Dual => b"qiao vault kek under dual control",
    }
}

impl Hierarchy {
    pub(super) fn create(
        provider: &dyn Provider,
        secret: &RootSecret,
        control: Control,
    ) -> Result<(VaultHeader, Self), VaultError> {
        let (mut root, mut kek) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 16]));
        provider.random(&mut *root)?;
        provider.random(&mut *kek)?;
        let lock = lock(provider, secret, &root)?;
        let (root_key, mac) = split_root(provider, &root)?;
        let kek_sealed = seal(provider, &root_key, kek_aad(control), &*kek)?;
        let header = VaultHeader { format: 1, control, locks: vec![lock], kek: kek_sealed };
        Ok((header, Self { kek, mac, control }))
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
        let control = header.control;
        let kek = unseal(provider, &root_key, kek_aad(control), &header.kek).ok_or(VaultError::WrongRoot)?;
        let kek = Zeroizing::new(kek.as_slice().try_into().map_err(|_| VaultError::WrongRoot)?);
        Ok(Self { kek, mac, control })
    }

    /// Fills `mac` of a journal entry, which follows on the one with the mac `before` (empty for none).
    pub(super) fn seal_entry(
        &self,
        provider: &dyn Provider,
        before: &str,
        entry: &mut JournalEntry,
    ) -> Result<(), VaultError> {
        entry.mac = String::new();
        let text = serde_json::to_vec(entry).map_err(|error| VaultError::invalid(error.to_string()))?;
        entry.mac =
            hex::encode(self.mac(provider, &[b"qiao vault journal", before.as_bytes(), b"\n", &text]));
        Ok(())
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

    /// The secret bytes of a record, which is verified first.
    pub(super) fn material(
        &self,
        provider: &dyn Provider,
        stored: &StoredKey,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        let altered = || VaultError::AlteredRecord { key: format!("{}#{}", stored.name, stored.version) };
        let mac = self.record_mac(provider, stored)?;
        let kept = hex::decode(&stored.mac).map_err(|_| altered())?;
        if !crate::vault::constant_time_eq(&mac, &kept) {
            return Err(altered());
        }
        let Some(sealed) = &stored.sealed else { return Ok(None) };
        unseal(provider, &self.kek, &record_aad(stored), sealed).map(Some).ok_or_else(altered)
    }

    /// Verifies a record and unseals its key.
    pub(super) fn load(
        &self,
        provider: &dyn Provider,
        devices: &Devices,
        stored: &StoredKey,
    ) -> Result<LoadedKey, VaultError> {
        let altered = || VaultError::AlteredRecord { key: format!("{}#{}", stored.name, stored.version) };
        let secret = self.material(provider, stored)?;
        let external = match &stored.external {
            Some(external) => Some(External::new(devices, external).ok_or_else(altered)?),
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
            public: stored.public.as_ref().map(|public| match stored.kind {
                KeyKind::Sm2 => format!("04{public}"),
                _ => public.clone(),
            }),
            secret: secret.is_some() || external.is_some(),
            external: stored.external.as_ref().map(|key| format!("{}/{}", key.device, key.id)),
            rotation: stored.rotation,
        };
        let material = match (stored.state, stored.kind, secret) {
            (KeyState::Destroyed, ..) => Material::Destroyed,
            (_, KeyKind::Sm2, secret) => {
                let point = hex::decode(stored.public.as_deref().unwrap_or_default())
                    .ok()
                    .and_then(|point| point.try_into().ok())
                    .ok_or_else(altered)?;
                let secret = match &secret {
                    // By reference throughout: moving the scalar would leave copies behind.
                    Some(bytes) => {
                        let scalar = bytes.as_slice().try_into().map_err(|_| altered())?;
                        Some(Secret::Here(provider.sm2_secret(scalar)?))
                    }
                    None => external.map(|external| Secret::External(Box::new(external))),
                };
                Material::Sm2(Box::new(Sm2Pair::new(provider, provider.sm2_public(&point)?, secret)?))
            }
            (_, kind @ (KeyKind::Rsa | KeyKind::P256), Some(bytes)) => {
                Material::Classic(ClassicKey::from_secret(kind, stored.purpose, &bytes)?)
            }
            (_, kind @ (KeyKind::Rsa | KeyKind::P256), None) => {
                let public =
                    hex::decode(stored.public.as_deref().unwrap_or_default()).map_err(|_| altered())?;
                Material::Classic(ClassicKey::from_public(kind, stored.purpose, &public)?)
            }
            (_, _, Some(bytes)) => Material::Bytes(bytes),
            (_, KeyKind::Sm4, None) => Material::External(Box::new(external.ok_or_else(altered)?)),
            (_, _, None) => return Err(altered()),
        };
        info.secret &= !matches!(material, Material::Destroyed);
        Ok(LoadedKey { info, material })
    }

    fn record_mac(&self, provider: &dyn Provider, record: &StoredKey) -> Result<[u8; 32], VaultError> {
        let bare = StoredKey { mac: String::new(), ..record.clone() };
        let text = serde_json::to_vec(&bare).map_err(|error| VaultError::invalid(error.to_string()))?;
        Ok(self.mac(provider, &[b"qiao vault record", &text]))
    }

    /// HMAC-SM3 under the hierarchy's own key; the first part says what for.
    pub(super) fn mac(&self, provider: &dyn Provider, parts: &[&[u8]]) -> [u8; 32] {
        provider.hmac_sm3(&*self.mac, parts)
    }
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

pub(super) fn seal(
    provider: &dyn Provider,
    key: &[u8; 16],
    aad: &[u8],
    plain: &[u8],
) -> Result<String, VaultError> {
    let mut nonce = [0; 12];
    provider.random(&mut nonce)?;
    let cipher = provider.sm4_encrypt(key, &Sm4Mode::Gcm { nonce: &nonce, aad }, plain);
    wipe_stack();
    let cipher = cipher?;
    Ok(STANDARD.encode([&nonce[..], &cipher].concat()))
}

pub(super) fn unseal(
    provider: &dyn Provider,
    key: &[u8; 16],
    aad: &[u8],
    text: &str,
) -> Option<Zeroizing<Vec<u8>>> {
    let bytes = STANDARD.decode(text).ok()?;
    let (nonce, cipher) = bytes.split_at_checked(12)?;
    let plain = provider.sm4_decrypt(key, &Sm4Mode::Gcm { nonce, aad }, cipher).ok();
    wipe_stack();
    plain
}

/// Writes over what the calls before left on this thread's stack: block ciphers pass blocks of key material by value.
#[inline(never)]
fn wipe_stack() {
    let mut area = [0_u8; 32 << 10];
    std::hint::black_box(&mut area);
}
