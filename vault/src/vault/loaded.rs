//! Keys in use: unsealed material in memory, wiped when dropped, reached through slots that can be swapped. For the vault.
use crate::{
    classic::ClassicKey,
    error::VaultError,
    external::{External, SignInput},
    key::{KeyInfo, KeyState},
    provider::{DEFAULT_SM2_ID, Provider, Sm2Public, Sm2Secret, sm2_z},
};
use arc_swap::ArcSwapOption;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What one key name currently stands for; empty while sealed or unknown.
#[derive(Default)]
pub(super) struct KeySlot(ArcSwapOption<KeySet>);

impl KeySlot {
    pub(super) fn load(&self) -> Option<Arc<KeySet>> {
        self.0.load_full()
    }

    pub(super) fn replace(&self, set: Option<Arc<KeySet>>) {
        self.0.store(set);
    }
}

/// All versions of one key, the ones in use first: active, then retiring and pending, newest first.
pub(super) struct KeySet(Vec<Arc<LoadedKey>>);

impl KeySet {
    pub(super) fn new(mut versions: Vec<Arc<LoadedKey>>) -> Self {
        let rank = |state| match state {
            KeyState::Active => 0,
            KeyState::Retiring => 1,
            KeyState::Pending => 2,
            KeyState::Retired => 3,
            KeyState::Destroyed => 4,
        };
        versions.sort_by_key(|key| (rank(key.info.state), std::cmp::Reverse(key.info.version)));
        Self(versions)
    }

    pub(super) fn infos(&self) -> Vec<KeyInfo> {
        let mut infos: Vec<_> = self.0.iter().map(|key| key.info.clone()).collect();
        infos.sort_by_key(|info| info.version);
        infos
    }

    pub(super) fn versions(&self) -> &[Arc<LoadedKey>] {
        &self.0
    }

    pub(super) fn version(&self, version: u32) -> Option<&Arc<LoadedKey>> {
        self.0.iter().find(|key| key.info.version == version && key.info.state != KeyState::Destroyed)
    }

    /// The version that produces.
    pub(super) fn active(&self) -> Option<&Arc<LoadedKey>> {
        self.0.first().filter(|key| key.info.state == KeyState::Active)
    }

    /// The versions that accept, most likely first.
    pub(super) fn accepting(&self) -> impl Iterator<Item = &Arc<LoadedKey>> {
        self.0
            .iter()
            .filter(|key| matches!(key.info.state, KeyState::Active | KeyState::Retiring | KeyState::Pending))
    }
}

impl LoadedKey {
    /// Whether using the secret part waits for a device.
    pub(super) fn blocks(&self) -> bool {
        match &self.material {
            Material::Sm2(pair) => matches!(pair.secret, Some(Secret::External(_))),
            Material::External(_) => true,
            _ => false,
        }
    }
}

/// One version of one key, ready for use. No `Debug`, no `Clone`.
pub(super) struct LoadedKey {
    pub(super) info: KeyInfo,
    pub(super) material: Material,
}

pub(super) enum Material {
    Sm2(Box<Sm2Pair>),
    Classic(ClassicKey),
    Bytes(Zeroizing<Vec<u8>>),
    /// An SM4 key in a device.
    External(Box<External>),
    Destroyed,
}

/// The secret half of a pair, here or in a device.
pub(super) enum Secret {
    Here(Arc<dyn Sm2Secret>),
    External(Box<External>),
}

pub(super) struct Sm2Pair {
    pub(super) public: Arc<dyn Sm2Public>,
    pub(super) secret: Option<Secret>,
    default_z: [u8; 32],
    /// The last other identifier and its Z; a partner has one.
    other_z: ArcSwapOption<(Zeroizing<Vec<u8>>, [u8; 32])>,
}

impl Sm2Pair {
    pub(super) fn new(
        provider: &dyn Provider,
        public: Arc<dyn Sm2Public>,
        secret: Option<Secret>,
    ) -> Result<Self, VaultError> {
        let default_z = sm2_z(provider, &public.point(), DEFAULT_SM2_ID)?;
        Ok(Self { public, secret, default_z, other_z: ArcSwapOption::empty() })
    }

    /// The digest e = SM3(Z ‖ message) of GB/T 32918.2.
    pub(super) fn digest(
        &self,
        provider: &dyn Provider,
        id: &[u8],
        message: &[u8],
    ) -> Result<[u8; 32], VaultError> {
        Ok(provider.sm3(&[&self.z(provider, id)?, message]))
    }

    /// r ‖ s over the message; `None` where only the public half is here.
    pub(super) fn sign(
        &self,
        provider: &dyn Provider,
        id: &[u8],
        message: &[u8],
    ) -> Result<Option<[u8; 64]>, VaultError> {
        let Some(secret) = &self.secret else { return Ok(None) };
        let digest = self.digest(provider, id, message)?;
        Ok(Some(match secret {
            Secret::Here(secret) => secret.sign_digest(&digest)?,
            Secret::External(external) => {
                external.sign(&self.public.point(), &SignInput { digest: &digest, message, id })?
            }
        }))
    }

    /// Decrypts x1 ‖ y1 ‖ C3 ‖ C2; `None` where only the public half is here.
    pub(super) fn decrypt(&self, cipher: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        Ok(match &self.secret {
            None => None,
            Some(Secret::Here(secret)) => Some(secret.decrypt(cipher)?),
            Some(Secret::External(external)) => Some(external.decrypt(&self.public.point(), cipher)?),
        })
    }

    fn z(&self, provider: &dyn Provider, id: &[u8]) -> Result<[u8; 32], VaultError> {
        if id == DEFAULT_SM2_ID {
            return Ok(self.default_z);
        }
        if let Some(cached) = self.other_z.load().as_ref().filter(|cached| *cached.0 == id) {
            return Ok(cached.1);
        }
        let z = sm2_z(provider, &self.public.point(), id)?;
        self.other_z.store(Some(Arc::new((Zeroizing::new(id.to_vec()), z))));
        Ok(z)
    }
}
