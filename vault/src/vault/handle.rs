//! Using one key without seeing it. For envelopes, evidence, sealed grants, encrypted payloads and keyed hashes.
use super::{
    Shared,
    loaded::{KeySet, KeySlot, LoadedKey, Material, Secret, Sm2Pair},
};
use crate::{
    classic::{ClassicKey, ClassicSignature, RsaEncryption},
    error::VaultError,
    format::{CipherFormat, SignatureFormat},
    key::{KeyInfo, KeyKind, KeyRef, Purpose},
    provider::{
        CryptoError, Provider, Sm4Mode,
        agreement::{Agreed, Exchange, Initiative, Peer},
    },
};
use std::sync::{Arc, atomic::Ordering};
use zeroize::Zeroizing;

/// A key to be used. Follows rotation, sealing and unsealing; cheap to clone, its lookups take no lock.
///
/// Without a fixed version the active version signs and encrypts, and the overlapping ones (retiring, pending) are also
/// tried when verifying and decrypting.
#[derive(Clone)]
pub struct KeyHandle {
    shared: Arc<Shared>,
    slot: Arc<KeySlot>,
    key: KeyRef,
}

/// First byte of a sealed value: SM4-GCM, key version in 4 bytes, nonce of 12 bytes, ciphertext, tag.
const SEALED_VALUE: u8 = 1;

impl KeyHandle {
    pub(super) fn new(shared: Arc<Shared>, slot: Arc<KeySlot>, key: KeyRef) -> Self {
        Self { shared, slot, key }
    }

    pub fn key(&self) -> &KeyRef {
        &self.key
    }

    /// The provider of the key's vault.
    pub(crate) fn provider(&self) -> &dyn Provider {
        &*self.shared.provider
    }

    /// Of the version that would be used.
    pub fn info(&self) -> Result<KeyInfo, VaultError> {
        Ok(self.producing(None)?.info.clone())
    }

    /// The public half of an SM2 key, 04 ‖ x ‖ y.
    pub fn public(&self) -> Result<[u8; 65], VaultError> {
        let key = self.producing(None)?;
        let mut point = [4; 65];
        point[1..].copy_from_slice(&self.pair(&key)?.public.point());
        Ok(point)
    }

    /// SM2 signature over the message under the distinguishing identifier. GB/T 32918.2.
    pub fn sign(&self, message: &[u8], id: &[u8], format: SignatureFormat) -> Result<Vec<u8>, VaultError> {
        let key = self.producing(Some(Purpose::Sign))?;
        let made = self.pair(&key)?.sign(&*self.shared.provider, id, message)?;
        Ok(format.write(&made.ok_or_else(|| self.public_only())?))
    }

    /// Verifies an SM2 signature; anything wrong with it is [`VaultError::Refused`].
    pub fn verify(
        &self,
        message: &[u8],
        id: &[u8],
        signature: &[u8],
        format: SignatureFormat,
    ) -> Result<(), VaultError> {
        let signature = format.read(signature).ok_or(CryptoError::Refused);
        self.accepting(Purpose::Sign, |key| {
            let pair = self.pair(key)?;
            let digest = pair.digest(&*self.shared.provider, id, message)?;
            Ok(pair.public.verify_digest(&digest, signature.as_ref().map_err(|error| *error)?)?)
        })
    }

    /// SM2 encryption to this key. GB/T 32918.4; the plaintext is not empty.
    pub fn encrypt(&self, plain: &[u8], format: CipherFormat) -> Result<Vec<u8>, VaultError> {
        let key = self.producing(Some(Purpose::Encrypt))?;
        Ok(format.write(&self.pair(&key)?.public.encrypt(plain)?))
    }

    /// SM2 decryption with this key; anything wrong with the ciphertext is [`VaultError::Refused`].
    pub fn decrypt(&self, cipher: &[u8], format: CipherFormat) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let cipher = format.read(cipher).ok_or(CryptoError::Refused);
        self.accepting(Purpose::Encrypt, |key| {
            let pair = self.pair(key)?;
            let cipher = cipher.as_ref().map_err(|error| *error)?;
            pair.decrypt(cipher)?.ok_or_else(|| self.public_only())
        })
    }

    /// Finishes an SM2 key exchange with this encryption pair; see [`Exchange`]. GB/T 32918.3.
    pub fn agree(
        &self,
        exchange: Exchange,
        own_id: &[u8],
        peer: &Peer<'_>,
        initiative: Initiative,
        length: usize,
    ) -> Result<Agreed, VaultError> {
        let key = self.producing(Some(Purpose::Encrypt))?;
        let secret = match self.pair(&key)?.secret.as_ref().ok_or_else(|| self.public_only())? {
            Secret::Here(secret) => secret,
            Secret::External(_) => {
                return Err(VaultError::invalid("an SM2 key exchange needs a key that is not in a device"));
            }
        };
        Ok(exchange.finish(&*self.shared.provider, &**secret, own_id, peer, initiative, length)?)
    }

    /// RSA or ECDSA signature over the message with SHA-256.
    pub fn sign_classic(&self, message: &[u8], algorithm: ClassicSignature) -> Result<Vec<u8>, VaultError> {
        let key = self.producing(Some(Purpose::Sign))?;
        let made = self.classic(&key)?.sign(algorithm, message).ok_or_else(|| self.public_only())?;
        Ok(made?)
    }

    /// Verifies what [`KeyHandle::sign_classic`] makes; anything wrong with it is [`VaultError::Refused`].
    pub fn verify_classic(
        &self,
        message: &[u8],
        algorithm: ClassicSignature,
        signature: &[u8],
    ) -> Result<(), VaultError> {
        self.accepting(Purpose::Sign, |key| Ok(self.classic(key)?.verify(algorithm, message, signature)?))
    }

    /// RSA encryption to this key.
    pub fn encrypt_rsa(&self, plain: &[u8], scheme: RsaEncryption) -> Result<Vec<u8>, VaultError> {
        let key = self.producing(Some(Purpose::Encrypt))?;
        Ok(self.classic(&key)?.cipher()?.encrypt(scheme, plain)?)
    }

    /// RSA-OAEP decryption with this key; anything wrong with the ciphertext is [`VaultError::Refused`].
    pub fn decrypt_rsa(
        &self,
        cipher: &[u8],
        scheme: RsaEncryption,
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        if scheme == RsaEncryption::Pkcs1 {
            return Err(VaultError::invalid("PKCS#1 v1.5 only carries keys of a known length"));
        }
        self.accepting(Purpose::Encrypt, |key| {
            let plain = self.classic(key)?.cipher()?.decrypt(scheme, cipher, &[]);
            Ok(plain.ok_or_else(|| self.public_only())??)
        })
    }

    /// Decrypts a key of `length` bytes under RSA PKCS#1 v1.5. A wrong padding or length is not refused but gives random bytes,
    /// so that nobody learns of it before what the key opens is refused. Uses the active version, or the one named.
    pub fn decrypt_rsa_key(&self, cipher: &[u8], length: usize) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        self.decrypt_rsa_key_with(cipher, length, 0)
    }

    /// As [`KeyHandle::decrypt_rsa_key`], with the `rank`-th accepting version.
    pub(crate) fn decrypt_rsa_key_with(
        &self,
        cipher: &[u8],
        length: usize,
        rank: usize,
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let key = match rank {
            0 => self.producing(None)?,
            _ => self.set()?.accepting().nth(rank).cloned().ok_or_else(|| self.unknown(None))?,
        };
        self.check_purpose(&key, Purpose::Encrypt)?;
        let mut fallback = Zeroizing::new(vec![0; length]);
        self.shared.provider.random(&mut fallback)?;
        let plain = self.classic(&key)?.cipher()?.decrypt(RsaEncryption::Pkcs1, cipher, &fallback);
        Ok(plain.ok_or_else(|| self.public_only())??)
    }

    /// HMAC-SM3 over the concatenation of the parts.
    pub fn hmac(&self, parts: &[&[u8]]) -> Result<[u8; 32], VaultError> {
        let key = self.producing(Some(Purpose::Mac))?;
        Ok(self.shared.provider.hmac_sm3(self.bytes(&key)?, parts))
    }

    /// Whether the HMAC-SM3 over the parts is this one, under any overlapping version; compared in constant time.
    pub fn hmac_verify(&self, parts: &[&[u8]], mac: &[u8]) -> Result<(), VaultError> {
        self.accepting(Purpose::Mac, |key| {
            let expected = self.shared.provider.hmac_sm3(self.bytes(key)?, parts);
            let same = super::constant_time_eq(&expected, mac);
            if same { Ok(()) } else { Err(CryptoError::Refused.into()) }
        })
    }

    /// Whether these bytes are this shared secret, under any overlapping version; compared in constant time.
    pub fn secret_matches(&self, candidate: &[u8]) -> Result<(), VaultError> {
        self.accepting(Purpose::Secret, |key| {
            let same = super::constant_time_eq(self.bytes(key)?, candidate);
            if same { Ok(()) } else { Err(CryptoError::Refused.into()) }
        })
    }

    /// The bytes of a key of kind `Secret`, which is a password meant for a partner and not a cryptographic key. Keys of any
    /// other kind are refused.
    pub fn reveal_secret(&self) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let key = self.producing(Some(Purpose::Secret))?;
        Ok(Zeroizing::new(self.bytes(&key)?.to_vec()))
    }

    /// Seals a value for storage with SM4-GCM under a random nonce; the result carries the key's version, so it opens
    /// after rotations too. `aad` binds it to its place (a call id, a column).
    pub fn seal_value(&self, plain: &[u8], aad: &[u8]) -> Result<Vec<u8>, VaultError> {
        let key = self.producing(Some(Purpose::Encrypt))?;
        let mut nonce = [0; 12];
        self.shared.provider.random(&mut nonce)?;
        let mode = Sm4Mode::Gcm { nonce: &nonce, aad };
        let cipher = self.sm4(&key, true, &mode, plain)?;
        let mut out = Vec::with_capacity(17 + cipher.len());
        out.push(SEALED_VALUE);
        out.extend_from_slice(&key.info.version.to_be_bytes());
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&cipher);
        Ok(out)
    }

    /// Opens what [`KeyHandle::seal_value`] sealed, with whatever version sealed it unless that one was destroyed.
    pub fn open_value(&self, sealed: &[u8], aad: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (version, nonce, cipher) = split_sealed(sealed).ok_or(CryptoError::Refused)?;
        let set = self.set()?;
        let key = set.version(version).ok_or_else(|| self.unknown(Some(version)))?;
        self.check_purpose(key, Purpose::Encrypt)?;
        self.sm4(key, false, &Sm4Mode::Gcm { nonce, aad }, cipher)
    }

    /// The version a sealed value was sealed under; for re-encryption after a rotation.
    pub fn sealed_version(sealed: &[u8]) -> Option<u32> {
        split_sealed(sealed).map(|(version, ..)| version)
    }

    /// Whether using this key waits for a device or service, so that an async caller must step aside. Follows rotation.
    pub fn blocks(&self) -> bool {
        let Some(set) = self.slot.load() else { return false };
        match self.key.version() {
            Some(version) => set.version(version).is_some_and(|key| key.blocks()),
            None => set.versions().iter().any(|key| key.blocks()),
        }
    }

    /// SM4 with the `rank`-th accepting version (0 is the active one), wherever its bytes are.
    pub(crate) fn sm4_at(
        &self,
        rank: usize,
        encrypt: bool,
        mode: &Sm4Mode<'_>,
        data: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let key = self.at(rank, KeyKind::Sm4)?;
        self.sm4(&key, encrypt, mode, data)
    }

    /// Gives the bytes of the `rank`-th accepting version (0 is the active one) of a symmetric key of this kind to the
    /// crate's own computations.
    pub(crate) fn with_bytes<T>(
        &self,
        kind: KeyKind,
        rank: usize,
        run: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, VaultError> {
        Ok(run(self.bytes(&*self.at(rank, kind)?)?))
    }

    fn at(&self, rank: usize, kind: KeyKind) -> Result<Arc<LoadedKey>, VaultError> {
        let key = match rank {
            0 => self.producing(None)?,
            _ => self.set()?.accepting().nth(rank).cloned().ok_or_else(|| self.unknown(None))?,
        };
        self.check_purpose(&key, kind.symmetric_purpose())?;
        if key.info.kind != kind {
            return Err(VaultError::invalid(format!(
                "key {} is of kind {:?}, not {kind:?}",
                self.key, key.info.kind
            )));
        }
        Ok(key)
    }

    /// How many versions accept at present; 1 outside of a rotation's overlap.
    pub(crate) fn accepting_versions(&self) -> usize {
        match self.key.version() {
            Some(_) => 1,
            None => self.slot.load().map_or(0, |set| set.accepting().count()),
        }
    }

    fn set(&self) -> Result<Arc<KeySet>, VaultError> {
        self.slot.load().ok_or_else(|| match self.shared.unsealed.load(Ordering::Acquire) {
            true => self.unknown(None),
            false => VaultError::Sealed,
        })
    }

    fn producing(&self, purpose: Option<Purpose>) -> Result<Arc<LoadedKey>, VaultError> {
        let set = self.set()?;
        let key = match self.key.version() {
            Some(version) => set.version(version),
            None => set.active(),
        };
        let key = key.ok_or_else(|| self.unknown(None))?;
        if let Some(purpose) = purpose {
            self.check_purpose(key, purpose)?;
        }
        Ok(key.clone())
    }

    /// Tries the accepting versions in turn until one does not refuse.
    fn accepting<T>(
        &self,
        purpose: Purpose,
        attempt: impl Fn(&LoadedKey) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        let set = self.set()?;
        let mut last = None;
        let fixed = self.key.version();
        let candidates = set.versions().iter().filter(|key| match fixed {
            Some(version) => key.info.version == version,
            None => set.accepting().any(|accepting| Arc::ptr_eq(accepting, key)),
        });
        for key in candidates {
            self.check_purpose(key, purpose)?;
            match attempt(key) {
                Err(VaultError::Refused { part }) => last = Some(VaultError::Refused { part }),
                other => return other,
            }
        }
        Err(last.unwrap_or_else(|| self.unknown(None)))
    }

    fn check_purpose(&self, key: &LoadedKey, needed: Purpose) -> Result<(), VaultError> {
        let purpose = key.info.purpose;
        if purpose == needed {
            return Ok(());
        }
        Err(VaultError::WrongPurpose { key: self.key.to_string(), purpose, needed })
    }

    fn pair<'a>(&self, key: &'a LoadedKey) -> Result<&'a Sm2Pair, VaultError> {
        match &key.material {
            Material::Sm2(pair) => Ok(pair),
            Material::Bytes(_) | Material::External(_) | Material::Classic(_) => {
                Err(VaultError::invalid(format!("key {} is no SM2 key", self.key)))
            }
            Material::Destroyed => Err(self.unknown(Some(key.info.version))),
        }
    }

    fn classic<'a>(&self, key: &'a LoadedKey) -> Result<&'a ClassicKey, VaultError> {
        match &key.material {
            Material::Classic(classic) => Ok(classic),
            Material::Destroyed => Err(self.unknown(Some(key.info.version))),
            _ => Err(VaultError::invalid(format!("key {} is neither RSA nor P-256", self.key))),
        }
    }

    fn bytes<'a>(&self, key: &'a LoadedKey) -> Result<&'a [u8], VaultError> {
        match &key.material {
            Material::Bytes(bytes) => Ok(bytes),
            Material::Sm2(_) | Material::Classic(_) => {
                Err(VaultError::invalid(format!("key {} is a pair", self.key)))
            }
            Material::External(_) => {
                Err(VaultError::invalid(format!("the bytes of key {} are in a device", self.key)))
            }
            Material::Destroyed => Err(self.unknown(Some(key.info.version))),
        }
    }

    fn sm4(
        &self,
        key: &LoadedKey,
        encrypt: bool,
        mode: &Sm4Mode<'_>,
        data: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        if let Material::External(external) = &key.material {
            return external.sm4(encrypt, mode, data);
        }
        let bytes = self.bytes(key)?.try_into();
        let bytes = bytes.map_err(|_| VaultError::invalid(format!("key {} is no SM4 key", self.key)))?;
        Ok(match encrypt {
            true => self.shared.provider.sm4_encrypt(bytes, mode, data).map(Zeroizing::new),
            false => self.shared.provider.sm4_decrypt(bytes, mode, data),
        }?)
    }

    fn unknown(&self, version: Option<u32>) -> VaultError {
        let key = version.map_or_else(|| self.key.clone(), |version| self.key.at(version));
        VaultError::UnknownKey { key: key.to_string() }
    }

    fn public_only(&self) -> VaultError {
        VaultError::PublicOnly { key: self.key.to_string() }
    }
}

fn split_sealed(sealed: &[u8]) -> Option<(u32, &[u8], &[u8])> {
    let rest = sealed.strip_prefix(&[SEALED_VALUE])?;
    let (version, rest) = rest.split_first_chunk::<4>()?;
    let (nonce, cipher) = rest.split_at_checked(12)?;
    Some((u32::from_be_bytes(*version), nonce, cipher))
}
