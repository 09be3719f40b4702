//! The life of key versions: rotation with overlap, retirement, destruction, expiry. For operators and the scheduler.
//!
//! pending → active → retiring → retired → destroyed; a rotation may be taken back (retiring → active) during its overlap.
use super::{
    Inner, Vault,
    admin::{now, public_point},
    control::{RootOperation, RootRequest, not_an_operator},
    loaded::LoadedKey,
};
use crate::{
    classic::{self, ClassicKey},
    error::VaultError,
    key::{KeyInfo, KeyKind, KeyRef, KeyState},
    storage::{KeyChange, StoredKey},
};
use parking_lot::MutexGuard;

/// Where a new version's material comes from.
#[derive(Clone, Copy)]
pub enum NewVersion<'a> {
    /// Generated here.
    Generated,
    /// Given, as for [`Vault::import`].
    Material(&'a [u8]),
    /// A partner's public key, as for [`Vault::import_public`] and [`Vault::import_classic_public`].
    Public(&'a [u8]),
    /// A key of a device, as for [`Vault::adopt`].
    Device { device: &'a str, id: &'a str },
}

/// A key with more versions than this is not rotated but misused.
const MAX_VERSIONS: u32 = 1000;

impl Vault {
    /// Makes a new version active; the one so far keeps verifying and decrypting (retiring) until [`Vault::retire`].
    pub fn rotate(&self, key: &KeyRef, new: NewVersion<'_>) -> Result<KeyInfo, VaultError> {
        self.check_new(key, new)?;
        self.rotate_unchecked(key, new)
    }

    pub(super) fn rotate_unchecked(&self, key: &KeyRef, new: NewVersion<'_>) -> Result<KeyInfo, VaultError> {
        let mut edit = self.edit(key)?;
        edit.retire_active()?;
        edit.add(new, KeyState::Active)?;
        edit.commit()
    }

    /// Adds a version that already verifies and decrypts but does not produce before [`Vault::activate`]; for changes
    /// agreed with a partner for a later hour.
    pub fn announce(&self, key: &KeyRef, new: NewVersion<'_>) -> Result<KeyInfo, VaultError> {
        self.check_new(key, new)?;
        let mut edit = self.edit(key)?;
        edit.add(new, KeyState::Pending)?;
        edit.commit()
    }

    /// Makes a pending or retiring version (`vault:name#2`) the active one.
    pub fn activate(&self, key: &KeyRef) -> Result<KeyInfo, VaultError> {
        let mut edit = self.edit(key)?;
        edit.check(key, &[KeyState::Pending, KeyState::Retiring])?;
        edit.retire_active()?;
        edit.set(key, |record| record.state = KeyState::Active)?;
        edit.commit()
    }

    /// Ends the overlap: the version is reached only by its number from now on.
    pub fn retire(&self, key: &KeyRef) -> Result<KeyInfo, VaultError> {
        let mut edit = self.edit(key)?;
        edit.check(key, &[KeyState::Pending, KeyState::Retiring])?;
        edit.set(key, |record| record.state = KeyState::Retired)?;
        edit.commit()
    }

    /// Wipes a retired version's material for good; what only it could open is lost. A root operation.
    pub fn destroy(&self, key: &KeyRef, request: Option<&RootRequest>) -> Result<KeyInfo, VaultError> {
        let mut edit = self.edit(key)?;
        edit.check(key, &[KeyState::Retired])?;
        edit.set(key, |record| {
            record.state = KeyState::Destroyed;
            record.sealed = None;
            record.external = None;
        })?;
        let hierarchy = edit.inner.hierarchy.as_ref().ok_or(VaultError::Sealed)?;
        let entry = self.authorise(hierarchy, &RootOperation::Destroy(key.clone()), request)?;
        edit.changes.push(entry);
        edit.commit()
    }

    pub(super) fn edit_newest(
        &self,
        key: &KeyRef,
        change: impl FnOnce(&mut StoredKey),
    ) -> Result<KeyInfo, VaultError> {
        let mut edit = self.edit(key)?;
        let newest = edit.records.last().map_or(1, |record| record.version);
        edit.set(&key.at(newest), change)?;
        edit.commit()
    }

    /// Under dual control a key's material comes in wrapped.
    fn check_new(&self, key: &KeyRef, new: NewVersion<'_>) -> Result<(), VaultError> {
        match new {
            NewVersion::Material(_) => self.may_come_plain(self.key(key).info()?.kind),
            _ => Ok(()),
        }
    }

    /// Sets when a version should have been replaced (Unix seconds); a warning, never an end.
    pub fn set_expiry(&self, key: &KeyRef, expires: Option<i64>) -> Result<KeyInfo, VaultError> {
        let mut edit = self.edit(key)?;
        edit.check(key, &[KeyState::Pending, KeyState::Active, KeyState::Retiring])?;
        edit.set(key, |record| record.expires = expires)?;
        edit.commit()
    }

    /// Active and retiring versions that expire before the given Unix second.
    pub fn expiring(&self, before: i64) -> Result<Vec<KeyInfo>, VaultError> {
        let in_use =
            |info: &KeyInfo| matches!(info.state, KeyState::Pending | KeyState::Active | KeyState::Retiring);
        let mut infos = self.list()?;
        infos.retain(|info| in_use(info) && info.expires.is_some_and(|expires| expires < before));
        Ok(infos)
    }

    fn edit(&self, key: &KeyRef) -> Result<Edit<'_>, VaultError> {
        not_an_operator(key)?;
        let inner = self.0.inner.lock();
        let hierarchy = inner.hierarchy.as_ref().ok_or(VaultError::Sealed)?;
        let mut records = self.0.storage.keys()?;
        records.retain(|record| record.name == key.name());
        records.sort_by_key(|record| record.version);
        // Verified before anything is sealed anew: an altered record must not be given a good seal.
        for record in &records {
            hierarchy.load(&**self.provider(), &self.0.devices.load(), record)?;
        }
        if records.is_empty() {
            return Err(VaultError::UnknownKey { key: key.to_string() });
        }
        Ok(Edit { vault: self, inner, records, changes: Vec::new(), result: None })
    }
}

/// The versions of one key while they are changed, under the vault's lock.
struct Edit<'a> {
    vault: &'a Vault,
    inner: MutexGuard<'a, Inner>,
    records: Vec<StoredKey>,
    changes: Vec<KeyChange>,
    /// Of the version the caller asked about.
    result: Option<KeyInfo>,
}

impl Edit<'_> {
    fn position(&self, key: &KeyRef) -> Result<usize, VaultError> {
        let version = key
            .version()
            .ok_or_else(|| VaultError::invalid(format!("name the version, for example {key}#1")))?;
        self.records
            .iter()
            .position(|record| record.version == version)
            .ok_or_else(|| VaultError::UnknownKey { key: key.to_string() })
    }

    fn check(&self, key: &KeyRef, allowed: &[KeyState]) -> Result<(), VaultError> {
        let state = self.records[self.position(key)?].state;
        if allowed.contains(&state) {
            return Ok(());
        }
        let allowed: Vec<_> = allowed.iter().map(|state| format!("{state:?}").to_lowercase()).collect();
        let state = format!("{state:?}").to_lowercase();
        Err(VaultError::invalid(format!("{key} is {state}; this needs {}", allowed.join(" or "))))
    }

    fn set(&mut self, key: &KeyRef, edit: impl FnOnce(&mut StoredKey)) -> Result<(), VaultError> {
        let mut record = self.records[self.position(key)?].clone();
        let expected_mac = record.mac.clone();
        edit(&mut record);
        let loaded = self.seal(&mut record, None)?;
        self.changes.push(KeyChange::Replace { expected_mac, new: record });
        self.result = Some(loaded.info);
        Ok(())
    }

    fn retire_active(&mut self) -> Result<(), VaultError> {
        let active = self.records.iter().find(|record| record.state == KeyState::Active).cloned();
        let Some(mut record) = active else { return Ok(()) };
        let expected_mac = record.mac.clone();
        record.state = KeyState::Retiring;
        self.seal(&mut record, None)?;
        self.changes.push(KeyChange::Replace { expected_mac, new: record });
        Ok(())
    }

    fn add(&mut self, new: NewVersion<'_>, state: KeyState) -> Result<(), VaultError> {
        let last = self.records.last().expect("an edit has at least one record").clone();
        if last.version >= MAX_VERSIONS {
            return Err(VaultError::invalid(format!("a key has at most {MAX_VERSIONS} versions")));
        }
        let mut external = None;
        let (public, material) = match new {
            NewVersion::Device { device, id } => {
                let (found, public) = self.vault.in_device(last.kind, last.purpose, device, id)?;
                external = Some(found);
                (public, None)
            }
            NewVersion::Generated if last.external.is_some() => {
                return Err(VaultError::invalid(format!(
                    "key {} lives in a device: name the device and the key there",
                    last.name
                )));
            }
            NewVersion::Generated if last.kind.is_pair() && last.sealed.is_none() => {
                return Err(VaultError::PublicOnly { key: last.name });
            }
            NewVersion::Generated => {
                let public = hex::decode(last.public.as_deref().unwrap_or_default()).unwrap_or_default();
                let material = match last.kind {
                    // As long as the one it follows.
                    KeyKind::Rsa => classic::rsa::generate(ClassicKey::rsa_bits(&public).unwrap_or(0))?,
                    kind => self.vault.fresh_material(kind)?,
                };
                (self.vault.public_of(last.kind, &material)?, Some(material))
            }
            NewVersion::Material(bytes) => {
                (self.vault.public_of(last.kind, bytes)?, Some(bytes.to_vec().into()))
            }
            NewVersion::Public(bytes) if last.kind == KeyKind::Sm2 => {
                (Some(public_point(&**self.vault.provider(), bytes)?.to_vec()), None)
            }
            NewVersion::Public(bytes) => {
                (Some(ClassicKey::from_public(last.kind, last.purpose, bytes)?.public().to_vec()), None)
            }
        };
        let mut record = StoredKey {
            version: last.version + 1,
            state,
            created: now(),
            expires: None,
            public: public.map(hex::encode),
            sealed: None,
            external,
            mac: String::new(),
            ..last
        };
        let loaded = self.seal(&mut record, material.as_ref().map(|bytes| bytes.as_slice()))?;
        self.changes.push(KeyChange::Insert(record));
        self.result = Some(loaded.info);
        Ok(())
    }

    fn seal(&self, record: &mut StoredKey, material: Option<&[u8]>) -> Result<LoadedKey, VaultError> {
        self.vault.seal_and_load(&self.inner, record, material)
    }

    fn commit(mut self) -> Result<KeyInfo, VaultError> {
        self.vault.0.storage.apply(&self.changes)?;
        self.vault.reload_locked(&mut self.inner)?;
        Ok(self.result.expect("every edit adds or sets one version"))
    }
}

#[cfg(test)]
mod tests;
