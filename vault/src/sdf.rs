//! The driver for devices behind the C interface of GM/T 0018: keys by index and password, sessions pooled, a lost device
//! found again. For vaults whose keys live in hardware.
use crate::{
    error::VaultError,
    external::{Blocks, DeviceCipher, DeviceKey, DeviceStatus, KeyDevice, SignInput},
    key::Purpose,
    provider::CryptoError,
};
pub use qiao_sdf::DecryptForm;
use qiao_sdf::Library;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};
use zeroize::Zeroizing;

mod opened;
mod pool;

use opened::Place;
use pool::{Pool, Problem};

/// How a device is reached and used. No `Debug`: it holds passwords.
pub struct SdfSettings {
    /// The vendor's shared library.
    pub library: PathBuf,
    pub decrypt: DecryptForm,
    /// Sessions open at once: 1 to 1024.
    pub sessions: usize,
    /// How long a call waits for a free session.
    pub wait: Duration,
    /// How long the device may take for one call; a session that takes longer is given up.
    pub answer: Duration,
    /// After a failure the device is left alone this long, doubling up to the second.
    pub pause: (Duration, Duration),
    /// The passwords of pairs, by index.
    pub passwords: BTreeMap<u32, Zeroizing<Vec<u8>>>,
    /// The passwords of key-encryption keys, by index, for devices of the interface's 2023 edition.
    pub kek_passwords: BTreeMap<u32, Zeroizing<Vec<u8>>>,
}

impl SdfSettings {
    /// 8 sessions, waits of 2 s, answers within 5 s, pauses of 100 ms to 5 s, no passwords.
    pub fn new(library: impl Into<PathBuf>) -> Self {
        Self {
            library: library.into(),
            decrypt: DecryptForm::default(),
            sessions: 8,
            wait: Duration::from_secs(2),
            answer: Duration::from_secs(5),
            pause: (Duration::from_millis(100), Duration::from_secs(5)),
            passwords: BTreeMap::new(),
            kek_passwords: BTreeMap::new(),
        }
    }
}

/// A device, reached through a bounded pool of sessions. The device itself is first contacted when a key is used.
pub struct SdfDevice {
    name: String,
    pool: Pool,
}

impl SdfDevice {
    /// Loads the library. Errors: [`VaultError::Invalid`] for settings out of bounds and for a library that cannot be loaded.
    pub fn new(name: impl Into<String>, settings: SdfSettings) -> Result<Self, VaultError> {
        let name = name.into();
        if !(1..=1024).contains(&settings.sessions) {
            return Err(VaultError::invalid(format!("key device {name}: sessions are 1 to 1024")));
        }
        let library = Library::load(&settings.library, settings.decrypt).map_err(|error| {
            let place = settings.library.display();
            VaultError::invalid(format!("key device {name}: the library {place} cannot be used: {error}"))
        })?;
        Ok(Self { pool: Pool::new(&name, library, settings), name })
    }
}

const NOT_AN_INDEX: CryptoError =
    CryptoError::Invalid("a key in an SDF device is an index such as 3, or kek:3 for a key-encryption key");
const NOT_A_PAIR: CryptoError =
    CryptoError::Invalid("this needs the index of a pair, not of a key-encryption key");

fn place(id: &str) -> Result<Place, CryptoError> {
    let (kek, digits) = match id.strip_prefix("kek:") {
        Some(digits) => (true, digits),
        None => (false, id),
    };
    let fine = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let index = digits.parse().ok().filter(|_| fine).ok_or(NOT_AN_INDEX)?;
    Ok(if kek { Place::Kek(index) } else { Place::Pair(index) })
}

fn pair(id: &str) -> Result<u32, CryptoError> {
    match place(id)? {
        Place::Pair(index) => Ok(index),
        Place::Kek(_) => Err(NOT_A_PAIR),
    }
}

impl KeyDevice for SdfDevice {
    fn name(&self) -> &str {
        &self.name
    }

    fn public(&self, id: &str, purpose: Purpose) -> Result<[u8; 64], CryptoError> {
        let index = pair(id)?;
        self.pool.call(move |opened| Ok(opened.public(index, purpose)?)).map_err(Problem::plain)
    }

    fn sign(&self, key: &DeviceKey<'_>, input: &SignInput<'_>) -> Result<[u8; 64], CryptoError> {
        let (index, point, digest) = (pair(key.id)?, *key.point, *input.digest);
        let made = self.pool.call(move |opened| {
            opened.right(index)?;
            opened.check(index, Purpose::Sign, &point)?;
            Ok(opened.session.sign(index, &digest)?)
        });
        made.map_err(Problem::plain)
    }

    fn decrypt(&self, key: &DeviceKey<'_>, cipher: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let (index, point) = (pair(key.id)?, *key.point);
        if cipher.len() <= 96 {
            return Err(CryptoError::Refused);
        }
        let cipher = cipher.to_vec();
        let plain = self.pool.call(move |opened| {
            opened.right(index)?;
            opened.check(index, Purpose::Encrypt, &point)?;
            opened.session.decrypt(index, &cipher).map_err(Problem::of_data)
        });
        plain.map_err(Problem::data)
    }

    fn new_sm4(&self, id: &str) -> Result<Option<Vec<u8>>, CryptoError> {
        let place = place(id)?;
        self.pool.call(move |opened| opened.new_sm4(place)).map(Some).map_err(Problem::plain)
    }

    fn sm4(&self, key: &DeviceCipher<'_>, blocks: &Blocks<'_>) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let place = place(key.id)?;
        let wrapped =
            key.wrapped.ok_or(CryptoError::Invalid("an SDF device keeps SM4 keys wrapped"))?.to_vec();
        let (encrypt, iv, data) = (blocks.encrypt, blocks.iv.copied(), Zeroizing::new(blocks.data.to_vec()));
        let done = self.pool.call(move |opened| opened.sm4(place, &wrapped, encrypt, iv, &data));
        done.map_err(Problem::plain)
    }

    fn status(&self) -> DeviceStatus {
        self.pool.status(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_names_a_key_of_a_device() {
        assert!(matches!(place("3"), Ok(Place::Pair(3))));
        assert!(matches!(place("kek:12"), Ok(Place::Kek(12))));
        for wrong in ["", "kek:", "+3", "3 ", "0x3", "kek:kek:1", "99999999999"] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
        assert!(matches!(pair("kek:1"), Err(CryptoError::Invalid(_))));
    }

    #[test]
    fn a_library_that_is_none_is_named() {
        let missing = SdfDevice::new("hsm", SdfSettings::new("/nonexistent/libsdf.so"));
        let text = missing.err().unwrap().to_string();
        assert!(text.contains("hsm") && text.contains("/nonexistent/libsdf.so"), "{text}");
        let zero = SdfDevice::new("hsm", SdfSettings { sessions: 0, ..SdfSettings::new("x") });
        assert!(zero.err().unwrap().to_string().contains("1 to 1024"));
    }
}
