//! The vault itself: sealed or unsealed, handing out key handles whose bytes stay inside. For every crate of the bus.
use crate::{
    error::VaultError,
    external::{DeviceStatus, Devices, KeyDevice},
    key::{KeyInfo, KeyRef},
    provider::{Provider, pure::PureProvider},
    self_test::require_self_test,
    storage::{Control, KeyChange, KeyStorage, StorageError, StoredKey},
};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

mod admin;
mod backup;
mod control;
mod handle;
mod hierarchy;
mod lifecycle;
mod loaded;
mod locks;
mod root;
mod schedule;
mod shares;
mod unsealing;
mod wrapped;

pub(crate) use admin::now;
pub use control::{Approval, Operator, RootOperation, RootRequest};
pub use handle::KeyHandle;
pub use lifecycle::NewVersion;
pub use locks::{LockChange, LockForm};
pub use root::RootSecret;
pub use schedule::ROTATION_LEAD;
pub use shares::{join_shares, split_shares};
pub use unsealing::{Progress, UnsealError, Unsealing};
pub use wrapped::Wrapped;

use hierarchy::Hierarchy;
use loaded::{KeySet, KeySlot};

/// Whether keys can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VaultState {
    Uninitialised,
    Sealed,
    Unsealed,
}

/// The vault. A cheap handle: clones share one state.
#[derive(Clone)]
pub struct Vault(Arc<Shared>);

pub(crate) struct Shared {
    storage: Arc<dyn KeyStorage>,
    provider: Arc<dyn Provider>,
    devices: ArcSwap<Devices>,
    unsealed: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Present while unsealed.
    hierarchy: Option<Hierarchy>,
    /// One slot per name ever asked for, so that handles taken early find keys that come later. At most
    /// [`MAX_SLOTS`].
    slots: BTreeMap<String, Arc<KeySlot>>,
    /// Of the records that were read last.
    seen: [u8; 32],
}

/// More key names than any bus has; bounds what unchecked names could make the vault remember.
const MAX_SLOTS: usize = 100_000;

impl Vault {
    /// Opens the vault on its storage, with the default provider. It is sealed until [`Vault::unseal`].
    pub fn open(storage: Arc<dyn KeyStorage>) -> Self {
        Self::open_with(storage, Arc::new(PureProvider))
    }

    /// As [`Vault::open`], with a given cryptographic implementation.
    pub fn open_with(storage: Arc<dyn KeyStorage>, provider: Arc<dyn Provider>) -> Self {
        let (unsealed, inner) = (AtomicBool::new(false), Mutex::default());
        let devices = ArcSwap::default();
        Self(Arc::new(Shared { storage, provider, devices, unsealed, inner }))
    }

    /// A new, unsealed vault in memory under a random root. For tests and mock partners.
    pub fn in_memory() -> Result<Self, VaultError> {
        let vault = Self::open(Arc::<crate::storage::MemoryStorage>::default());
        let mut root = zeroize::Zeroizing::new(vec![0; 32]);
        vault.provider().random(&mut root)?;
        vault.init(&RootSecret::KeyFile(root))?;
        Ok(vault)
    }

    pub fn provider(&self) -> &Arc<dyn Provider> {
        &self.0.provider
    }

    /// Makes a device's or service's keys usable; before unsealing, or at any time. Errors: a second device of the same name.
    pub fn attach(&self, device: Arc<dyn KeyDevice>) -> Result<(), VaultError> {
        let mut inner = self.0.inner.lock();
        let mut devices = Devices::clone(&self.0.devices.load());
        let name = device.name().to_owned();
        if devices.insert(name.clone(), device).is_some() {
            return Err(VaultError::invalid(format!("there are two key devices named {name}")));
        }
        self.0.devices.store(Arc::new(devices));
        if inner.hierarchy.is_some() { self.reload_locked(&mut inner) } else { Ok(()) }
    }

    /// How the attached devices are doing, by name.
    pub fn devices(&self) -> Vec<DeviceStatus> {
        self.0.devices.load().values().map(|device| device.status()).collect()
    }

    /// An attached device.
    pub fn device(&self, name: &str) -> Result<Arc<dyn KeyDevice>, VaultError> {
        self.0.devices.load().get(name).cloned().ok_or_else(|| {
            VaultError::invalid(format!("{name} is not among this node's key devices; see `vault.devices`"))
        })
    }

    pub fn state(&self) -> Result<VaultState, VaultError> {
        if self.is_unsealed() {
            return Ok(VaultState::Unsealed);
        }
        Ok(if self.0.storage.header()?.is_some() { VaultState::Sealed } else { VaultState::Uninitialised })
    }

    /// Whether keys can be used now; costs one atomic read.
    pub fn is_unsealed(&self) -> bool {
        self.0.unsealed.load(Ordering::Acquire)
    }

    /// Creates the key hierarchy under a root secret and single control, and leaves the vault unsealed. Runs the provider's
    /// self-test first, as does unsealing.
    pub fn init(&self, root: &RootSecret) -> Result<(), VaultError> {
        self.create(root, Control::Single, &[])
    }

    /// As [`Vault::init`], under dual control: these operators, two at least with keys of their own, approve what touches the
    /// root of the vault from now on.
    pub fn init_dual(&self, root: &RootSecret, operators: &[Operator]) -> Result<(), VaultError> {
        control::check_operators(operators)?;
        self.create(root, Control::Dual, operators)
    }

    fn create(&self, root: &RootSecret, control: Control, operators: &[Operator]) -> Result<(), VaultError> {
        let mut inner = self.0.inner.lock();
        if self.0.storage.header()?.is_some() {
            return Err(VaultError::AlreadyInitialised);
        }
        require_self_test(&*self.0.provider)?;
        let (header, hierarchy) = Hierarchy::create(&*self.0.provider, root, control)?;
        let mut changes = control::first_records(&*self.0.provider, &hierarchy, operators)?;
        changes.push(KeyChange::Header { expected: None, new: header });
        self.0.storage.apply(&changes).map_err(|error| match error {
            StorageError::Conflict => VaultError::AlreadyInitialised,
            other => other.into(),
        })?;
        self.load(&mut inner, &hierarchy)?;
        inner.hierarchy = Some(hierarchy);
        self.0.unsealed.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether operations on the root need two operators. Verified while unsealed; before, what the storage says.
    pub fn control(&self) -> Result<Control, VaultError> {
        if let Some(hierarchy) = &self.0.inner.lock().hierarchy {
            return Ok(hierarchy.control);
        }
        Ok(self.0.storage.header()?.ok_or(VaultError::Uninitialised)?.control)
    }

    /// Opens the hierarchy and loads every key. A record that does not carry this vault's seal stops the whole unsealing.
    pub fn unseal(&self, root: &RootSecret) -> Result<(), VaultError> {
        let mut inner = self.0.inner.lock();
        let header = self.0.storage.header()?.ok_or(VaultError::Uninitialised)?;
        require_self_test(&*self.0.provider)?;
        let hierarchy = Hierarchy::open(&*self.0.provider, &header, root)?;
        self.load(&mut inner, &hierarchy)?;
        inner.hierarchy = Some(hierarchy);
        self.0.unsealed.store(true, Ordering::Release);
        Ok(())
    }

    /// Forgets every key and the hierarchy; handles stay valid and work again after the next unsealing.
    pub fn seal(&self) {
        let mut inner = self.0.inner.lock();
        self.0.unsealed.store(false, Ordering::Release);
        inner.hierarchy = None;
        inner.slots.values().for_each(|slot| slot.replace(None));
    }

    /// Reads all keys again, after another process or node changed them.
    pub fn reload(&self) -> Result<(), VaultError> {
        self.reload_locked(&mut self.0.inner.lock())
    }

    /// Reads the keys again where the storage holds others than those known; says whether it did.
    pub fn refresh(&self) -> Result<bool, VaultError> {
        let mut inner = self.0.inner.lock();
        if inner.hierarchy.is_none() {
            return Err(VaultError::Sealed);
        }
        if self.seal_of(&self.0.storage.keys()?) == inner.seen {
            return Ok(false);
        }
        self.reload_locked(&mut inner).map(|()| true)
    }

    fn seal_of(&self, keys: &[StoredKey]) -> [u8; 32] {
        let macs: Vec<&[u8]> = keys.iter().map(|key| key.mac.as_bytes()).collect();
        self.0.provider.sm3(&macs)
    }

    fn reload_locked(&self, inner: &mut Inner) -> Result<(), VaultError> {
        let hierarchy = inner.hierarchy.take().ok_or(VaultError::Sealed)?;
        let loaded = self.load(inner, &hierarchy);
        inner.hierarchy = Some(hierarchy);
        loaded
    }

    /// A handle to a key, which may be generated, imported or unsealed later; looking a key up costs no parsing and no lock.
    pub fn key(&self, key: &KeyRef) -> KeyHandle {
        let slot = self.0.inner.lock().slot(key.name());
        KeyHandle::new(self.0.clone(), slot, key.clone())
    }

    /// Whether a usable key of that name (and version, where given) is here. False while sealed.
    pub fn exists(&self, key: &KeyRef) -> bool {
        self.key(key).info().is_ok()
    }

    /// Every version of every key, by name and version. Refused while sealed, for the records are not yet verified.
    pub fn list(&self) -> Result<Vec<KeyInfo>, VaultError> {
        let inner = self.0.inner.lock();
        if inner.hierarchy.is_none() {
            return Err(VaultError::Sealed);
        }
        Ok(inner.slots.values().filter_map(|slot| slot.load()).flat_map(|set| set.infos()).collect())
    }

    fn load(&self, inner: &mut Inner, hierarchy: &Hierarchy) -> Result<(), VaultError> {
        let mut sets: BTreeMap<String, Vec<_>> = BTreeMap::new();
        let keys = self.0.storage.keys()?;
        inner.seen = self.seal_of(&keys);
        for stored in keys {
            let key = hierarchy.load(&*self.0.provider, &self.0.devices.load(), &stored)?;
            sets.entry(stored.name).or_default().push(Arc::new(key));
        }
        for (name, slot) in &inner.slots {
            if !sets.contains_key(name) {
                slot.replace(None);
            }
        }
        for (name, versions) in sets {
            inner.slot(&name).replace(Some(Arc::new(KeySet::new(versions))));
        }
        Ok(())
    }
}

impl Inner {
    fn slot(&mut self, name: &str) -> Arc<KeySlot> {
        if let Some(slot) = self.slots.get(name) {
            return slot.clone();
        }
        let slot = Arc::<KeySlot>::default();
        if self.slots.len() < MAX_SLOTS {
            self.slots.insert(name.to_owned(), slot.clone());
        }
        slot
    }
}

/// Compares secrets without telling by time where they differ; the lengths are not secret.
pub(crate) fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    use sm2::elliptic_curve::subtle::ConstantTimeEq;
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests;
