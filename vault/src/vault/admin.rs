//! Making, bringing in and showing keys. For the command line, the admin API and the demo.
use super::{
    Inner, Vault,
    loaded::{KeySet, LoadedKey},
};
use crate::{
    classic::{self, ClassicKey},
    error::VaultError,
    external::{DeviceKey, External, ExternalKey, KeyDevice, SignInput, failure},
    key::{KeyInfo, KeyKind, KeyRef, KeyState, Purpose},
    provider::{DEFAULT_SM2_ID, Padding, Provider, Sm4Mode, sm2_z},
    storage::{Control, KeyChange, StorageError, StoredKey},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use zeroize::Zeroizing;

/// What NIST SP 800-57 asks of RSA beyond 2030.
const RSA_BITS: u32 = 3072;

impl Vault {
    /// Generates the first version of a key: an SM2 or P-256 pair, 16 bytes (SM4, secret) or 32 bytes
    /// (HMAC, AES); RSA pairs get 3072 bits, see [`Vault::generate_rsa`].
    pub fn generate(&self, key: &KeyRef, kind: KeyKind, purpose: Purpose) -> Result<KeyInfo, VaultError> {
        let material = self.fresh_material(kind)?;
        let public = self.public_of(kind, &material)?;
        self.add_first(key, kind, purpose, public, Some(&material), None)
    }

    /// Generates the first version of an RSA pair of 2048, 3072 or 4096 bits. Takes a tenth of a second to some seconds.
    pub fn generate_rsa(&self, key: &KeyRef, purpose: Purpose, bits: u32) -> Result<KeyInfo, VaultError> {
        let material = classic::rsa::generate(bits)?;
        let public = self.public_of(KeyKind::Rsa, &material)?;
        self.add_first(key, KeyKind::Rsa, purpose, public, Some(&material), None)
    }

    /// Brings in the first version of a key: a 32-byte SM2 scalar, PKCS#8 for RSA and P-256, 16 bytes for SM4, 16, 24
    /// or 32 for AES, 1 to 1024 for the others. Under dual control only shared secrets come in plain, keys wrapped
    /// ([`Vault::import_wrapped`]).
    pub fn import(
        &self,
        key: &KeyRef,
        kind: KeyKind,
        purpose: Purpose,
        material: &[u8],
    ) -> Result<KeyInfo, VaultError> {
        self.may_come_plain(kind)?;
        let public = self.public_of(kind, material)?;
        self.add_first(key, kind, purpose, public, Some(material), None)
    }

    pub(super) fn may_come_plain(&self, kind: KeyKind) -> Result<(), VaultError> {
        if kind == KeyKind::Secret || self.control()? == Control::Single {
            return Ok(());
        }
        Err(VaultError::invalid("under dual control a key comes in wrapped: `qiao keys import`"))
    }

    /// Brings in a partner's public SM2 key, x ‖ y with or without a leading 04.
    pub fn import_public(
        &self,
        key: &KeyRef,
        purpose: Purpose,
        public: &[u8],
    ) -> Result<KeyInfo, VaultError> {
        let point = public_point(&**self.provider(), public)?;
        self.add_first(key, KeyKind::Sm2, purpose, Some(point.to_vec()), None, None)
    }

    /// Brings in a partner's public RSA or P-256 key: SubjectPublicKeyInfo, or what is inside it. Only RSA keys encrypt.
    pub fn import_classic_public(
        &self,
        key: &KeyRef,
        kind: KeyKind,
        purpose: Purpose,
        public: &[u8],
    ) -> Result<KeyInfo, VaultError> {
        let public = ClassicKey::from_public(kind, purpose, public)?.public().to_vec();
        self.add_first(key, kind, purpose, Some(public), None, None)
    }

    /// Takes up a key of an attached device as the first version of a key of ours: an SM2 pair, whose public half is
    /// recorded after the device has proved that it has the secret one, or an SM4 key, which the device makes under the key
    /// named by `id` and gives out wrapped.
    pub fn adopt(
        &self,
        key: &KeyRef,
        kind: KeyKind,
        purpose: Purpose,
        device: &str,
        id: &str,
    ) -> Result<KeyInfo, VaultError> {
        let (external, public) = self.in_device(kind, purpose, device, id)?;
        self.add_first(key, kind, purpose, public, None, Some(external))
    }

    /// Where a key of a device is and its public half, after the device has used it once.
    pub(super) fn in_device(
        &self,
        kind: KeyKind,
        purpose: Purpose,
        device: &str,
        id: &str,
    ) -> Result<(ExternalKey, Option<Vec<u8>>), VaultError> {
        if !(1..=128).contains(&id.len()) {
            return Err(VaultError::invalid("a key in a device is named by 1 to 128 characters"));
        }
        let found = self.device(device)?;
        let failed = |error| failure(device, error);
        let mut key = ExternalKey { device: device.to_owned(), id: id.to_owned(), wrapped: None };
        match kind {
            KeyKind::Sm2 => {
                let point = found.public(id, purpose).map_err(failed)?;
                self.prove(&*found, purpose, id, &point)?;
                Ok((key, Some(point.to_vec())))
            }
            KeyKind::Sm4 => {
                key.wrapped = found.new_sm4(id).map_err(failed)?.map(|wrapped| STANDARD.encode(wrapped));
                let external = External::new(&self.0.devices.load(), &key);
                let external = external.ok_or_else(|| VaultError::invalid("the device wrapped no key"))?;
                let mode = Sm4Mode::Ecb { padding: Padding::None };
                let cipher = external.sm4(true, &mode, &[7; 32])?;
                if external.sm4(false, &mode, &cipher)?[..] != [7; 32] {
                    return Err(VaultError::invalid(format!(
                        "device {device} does not decrypt what it encrypts"
                    )));
                }
                Ok((key, None))
            }
            other => Err(VaultError::invalid(format!("a key of kind {other:?} cannot live in a device"))),
        }
    }

    /// Lets the device use a pair once: a public half without its secret one would make a key that never works.
    fn prove(
        &self,
        device: &dyn KeyDevice,
        purpose: Purpose,
        id: &str,
        point: &[u8; 64],
    ) -> Result<(), VaultError> {
        let provider = &**self.provider();
        let public = provider.sm2_public(point)?;
        let key = DeviceKey { id, point };
        let failed = |error| failure(device.name(), error);
        let mut message = [0; 32];
        provider.random(&mut message)?;
        let proved = match purpose {
            Purpose::Sign => {
                let z = sm2_z(provider, point, DEFAULT_SM2_ID)?;
                let digest = provider.sm3(&[&z, &message]);
                let input = SignInput { digest: &digest, message: &message, id: DEFAULT_SM2_ID };
                let signature = device.sign(&key, &input).map_err(failed)?;
                public.verify_digest(&digest, &signature).is_ok()
            }
            _ => *device.decrypt(&key, &public.encrypt(&message)?).map_err(failed)? == message,
        };
        let problem = "what it computes does not fit the public key it shows";
        let device = device.name().to_owned();
        if proved { Ok(()) } else { Err(VaultError::Device { device, problem, busy: false }) }
    }

    /// The public half of an SM2 key, 04 ‖ x ‖ y.
    pub fn export_public(&self, key: &KeyRef) -> Result<[u8; 65], VaultError> {
        self.key(key).public()
    }

    pub(super) fn fresh_material(&self, kind: KeyKind) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let mut bytes = match kind {
            KeyKind::Sm2 => return Ok(Zeroizing::new(self.provider().sm2_generate()?.to_vec())),
            KeyKind::P256 => return ClassicKey::p256_generate(),
            KeyKind::Rsa => return classic::rsa::generate(RSA_BITS),
            KeyKind::Sm4 | KeyKind::Secret => Zeroizing::new(vec![0; 16]),
            KeyKind::Hmac | KeyKind::Aes => Zeroizing::new(vec![0; 32]),
        };
        self.provider().random(&mut bytes)?;
        Ok(bytes)
    }

    /// Checks the material and gives a pair's public half as it is stored.
    pub(super) fn public_of(&self, kind: KeyKind, material: &[u8]) -> Result<Option<Vec<u8>>, VaultError> {
        match kind {
            KeyKind::Sm2 => {
                let scalar = Zeroizing::new(
                    material.try_into().map_err(|_| VaultError::invalid("an SM2 secret key has 32 bytes"))?,
                );
                Ok(Some(self.provider().sm2_secret(&scalar)?.point().to_vec()))
            }
            KeyKind::Rsa | KeyKind::P256 => {
                Ok(Some(ClassicKey::from_secret(kind, Purpose::Sign, material)?.public().to_vec()))
            }
            KeyKind::Aes if [16, 24, 32].contains(&material.len()) => Ok(None),
            KeyKind::Aes => Err(VaultError::invalid("an AES key has 16, 24 or 32 bytes")),
            KeyKind::Sm4 if material.len() == 16 => Ok(None),
            KeyKind::Sm4 => Err(VaultError::invalid("an SM4 key has 16 bytes")),
            KeyKind::Hmac | KeyKind::Secret if (1..=1024).contains(&material.len()) => Ok(None),
            KeyKind::Hmac | KeyKind::Secret => {
                Err(VaultError::invalid("an HMAC key or secret has 1 to 1024 bytes"))
            }
        }
    }

    pub(super) fn add_first(
        &self,
        key: &KeyRef,
        kind: KeyKind,
        purpose: Purpose,
        public: Option<Vec<u8>>,
        material: Option<&[u8]>,
        external: Option<ExternalKey>,
    ) -> Result<KeyInfo, VaultError> {
        if !kind.allows(purpose) {
            return Err(VaultError::invalid(format!("a key of kind {kind:?} cannot be for {purpose}")));
        }
        if key.version().is_some() {
            return Err(VaultError::invalid("a new key is named without a version"));
        }
        super::control::not_an_operator(key)?;
        let mut inner = self.0.inner.lock();
        let exists = || VaultError::KeyExists { key: key.to_string() };
        if inner.slot(key.name()).load().is_some() {
            return Err(exists());
        }
        let mut record = StoredKey {
            name: key.name().to_owned(),
            version: 1,
            kind,
            purpose,
            state: KeyState::Active,
            created: now(),
            expires: None,
            public: public.map(hex::encode),
            sealed: None,
            rotation: None,
            external,
            mac: String::new(),
        };
        let loaded = self.seal_and_load(&inner, &mut record, material)?;
        match self.0.storage.apply(&[KeyChange::Insert(record)]) {
            Err(StorageError::Conflict) => return Err(exists()),
            other => other?,
        }
        let info = loaded.info.clone();
        inner.slot(key.name()).replace(Some(Arc::new(KeySet::new(vec![Arc::new(loaded)]))));
        Ok(info)
    }

    pub(super) fn seal_and_load(
        &self,
        inner: &Inner,
        record: &mut StoredKey,
        material: Option<&[u8]>,
    ) -> Result<LoadedKey, VaultError> {
        let hierarchy = inner.hierarchy.as_ref().ok_or(VaultError::Sealed)?;
        hierarchy.seal_record(&**self.provider(), record, material)?;
        hierarchy.load(&**self.provider(), &self.0.devices.load(), record)
    }
}

/// x ‖ y of a public key given with or without a leading 04, checked to be on the curve.
pub(super) fn public_point(provider: &dyn Provider, public: &[u8]) -> Result<[u8; 64], VaultError> {
    let point = match public {
        [4, rest @ ..] if rest.len() == 64 => rest,
        other => other,
    };
    let point = point
        .try_into()
        .map_err(|_| VaultError::invalid("an SM2 public key is x ‖ y: 64 bytes, or 65 with a leading 04"))?;
    provider.sm2_public(&point)?;
    Ok(point)
}

/// Unix seconds.
pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}
