//! One session with what was done in it: rights obtained, public keys compared, session keys brought back. For the pool.
use super::pool::Problem;
use crate::{key::Purpose, provider::CryptoError};
use parking_lot::Mutex;
use qiao_sdf::{Class, SdfError, Session, SessionKey};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use zeroize::Zeroizing;

/// Where a key is in the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// The pairs of an index.
    Pair(u32),
    /// A key-encryption key.
    Kek(u32),
}

/// The passwords of a device, and those it refused: a wrong one is said once, for devices lock after a few.
pub(super) struct Passwords {
    pub(super) given: BTreeMap<Place, Zeroizing<Vec<u8>>>,
    pub(super) refused: Mutex<BTreeSet<Place>>,
}

/// Session keys kept ready per session; the oldest makes room.
const KEYS: usize = 32;
/// What a device takes at once where it does not say, or says more than it means.
const CHUNK: (usize, usize) = (4096, 32768);

const NO_PASSWORD: CryptoError = CryptoError::Failed("settings give no password for this key of the device");
const WRONG_PASSWORD: CryptoError = CryptoError::Failed(
    "the device refused the password of this key; it is not tried again before a restart, for devices lock",
);
const OTHER_KEY: CryptoError =
    CryptoError::Failed("the device holds another key there than the one that was taken up");

pub(super) struct Opened {
    pub(super) session: Session,
    passwords: Arc<Passwords>,
    rights: BTreeSet<Place>,
    compared: BTreeSet<(u32, bool)>,
    keys: Vec<(Place, Vec<u8>, SessionKey)>,
    chunk: usize,
    /// Whether anything has succeeded in it; what fails in a session never used is not the session's age.
    pub(super) used: bool,
}

impl Opened {
    pub(super) fn new(mut session: Session, passwords: Arc<Passwords>) -> Result<Self, SdfError> {
        let buffer = match session.facts() {
            Ok(facts) => facts.buffer,
            Err(error) if error.class() == Class::Unfit => 0,
            Err(error) => return Err(error),
        };
        let chunk = if buffer < 16 { CHUNK.0 } else { buffer.min(CHUNK.1) / 16 * 16 };
        let (rights, compared, keys) = Default::default();
        Ok(Self { session, passwords, rights, compared, keys, chunk, used: false })
    }

    /// Obtains the right to a pair's secret halves, once per session.
    pub(super) fn right(&mut self, index: u32) -> Result<(), Problem> {
        self.obtain(Place::Pair(index))
    }

    fn obtain(&mut self, place: Place) -> Result<(), Problem> {
        if self.rights.contains(&place) {
            return Ok(());
        }
        let passwords = self.passwords.clone();
        if passwords.refused.lock().contains(&place) {
            return Err(WRONG_PASSWORD.into());
        }
        let given = match (place, passwords.given.get(&place)) {
            (_, Some(password)) => {
                let result = match place {
                    Place::Pair(index) => self.session.get_access(index, password),
                    Place::Kek(index) => self.session.get_kek_access(index, password),
                };
                Some(result)
            }
            // Devices of the 2012 edition have no passwords for key-encryption keys.
            (Place::Kek(_), None) => None,
            (Place::Pair(_), None) => return Err(NO_PASSWORD.into()),
        };
        match given {
            None | Some(Ok(())) => {}
            Some(Err(error)) => {
                let why = match error.class() {
                    Class::Device | Class::Exhausted | Class::Unfit => return Err(error.into()),
                    // Vendors have codes of their own for a wrong password, and for a session that is lost.
                    Class::Other | Class::Data if self.used => return Err(error.into()),
                    _ => WRONG_PASSWORD,
                };
                passwords.refused.lock().insert(place);
                return Err(Problem::Told(why, Some(error)));
            }
        }
        self.rights.insert(place);
        Ok(())
    }

    pub(super) fn public(&mut self, index: u32, purpose: Purpose) -> Result<[u8; 64], SdfError> {
        match purpose {
            Purpose::Sign => self.session.sign_public(index),
            _ => self.session.encrypt_public(index),
        }
    }

    /// Compares the device's public half with the recorded one, once per session: a device that was exchanged or filled
    /// anew must not sign in the old one's name.
    pub(super) fn check(&mut self, index: u32, purpose: Purpose, point: &[u8; 64]) -> Result<(), Problem> {
        let half = (index, purpose == Purpose::Sign);
        if self.compared.contains(&half) {
            return Ok(());
        }
        if self.public(index, purpose)? != *point {
            return Err(OTHER_KEY.into());
        }
        self.compared.insert(half);
        Ok(())
    }

    pub(super) fn new_sm4(&mut self, place: Place) -> Result<Vec<u8>, Problem> {
        let (wrapped, key) = match place {
            Place::Pair(index) => self.session.generate_with_pair(index)?,
            Place::Kek(index) => {
                self.obtain(place)?;
                self.session.generate_with_kek(index)?
            }
        };
        self.session.destroy(key)?;
        Ok(wrapped)
    }

    pub(super) fn sm4(
        &mut self,
        place: Place,
        wrapped: &[u8],
        encrypt: bool,
        mut iv: Option<[u8; 16]>,
        data: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Problem> {
        let at = self.session_key(place, wrapped)?;
        let mut out = Zeroizing::new(Vec::with_capacity(data.len()));
        for chunk in data.chunks(self.chunk) {
            let done = self.session.cipher(&self.keys[at].2, encrypt, iv.as_ref(), chunk)?;
            // CBC goes on from the last block of the ciphertext.
            let cipher = if encrypt { &done[..] } else { chunk };
            iv = iv.and_then(|_| cipher.last_chunk().copied());
            out.extend_from_slice(&done);
        }
        Ok(out)
    }

    fn session_key(&mut self, place: Place, wrapped: &[u8]) -> Result<usize, Problem> {
        if let Some(at) = self.keys.iter().position(|(at, known, _)| *at == place && known == wrapped) {
            return Ok(at);
        }
        self.obtain(place)?;
        if self.keys.len() >= KEYS {
            let (.., oldest) = self.keys.remove(0);
            self.session.destroy(oldest)?;
        }
        let key = match place {
            Place::Pair(index) => self.session.import_with_pair(index, wrapped)?,
            Place::Kek(index) => self.session.import_with_kek(index, wrapped)?,
        };
        self.keys.push((place, wrapped.to_vec(), key));
        Ok(self.keys.len() - 1)
    }
}
