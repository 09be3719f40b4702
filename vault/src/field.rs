//! Protecting one personal field at rest: a keyed hash to search by, an encrypted value to reveal, a mask to show. For stores.
use crate::{
    error::VaultError,
    key::{KeyRef, KeyState},
    vault::{KeyHandle, Vault},
};
use zeroize::Zeroizing;

/// How a value is shown: so many characters kept at the start and at the end, the others as `*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mask {
    pub start: usize,
    pub end: usize,
}

impl Mask {
    /// A value not longer than what would be kept is masked wholly.
    pub fn apply(self, value: &str) -> String {
        let count = value.chars().count();
        let hidden =
            |at: usize| count <= self.start + self.end || (self.start..count - self.end).contains(&at);
        value.chars().enumerate().map(|(at, c)| if hidden(at) { '*' } else { c }).collect()
    }
}

/// One field of one kind of record, for example the identity number of a call. Its name enters the hash and binds the
/// ciphertext, so equal values in different fields cannot be matched or exchanged.
pub struct ProtectedField {
    name: String,
    index: KeyHandle,
    data: KeyHandle,
    mask: Mask,
}

/// What is stored instead of the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protected {
    /// HMAC-SM3 in hex: equal values of this field have equal hashes. GB/T 39786 level 3, important data at rest.
    pub index: String,
    /// SM4-GCM with the key's version inside.
    pub sealed: Vec<u8>,
    pub masked: String,
}

impl ProtectedField {
    /// `index` is a key of kind `hmac`, `data` one of kind `sm4`; both may come later.
    pub fn new(vault: &Vault, name: &str, index: &KeyRef, data: &KeyRef, mask: Mask) -> Self {
        Self { name: name.to_owned(), index: vault.key(index), data: vault.key(data), mask }
    }

    pub fn protect(&self, value: &str) -> Result<Protected, VaultError> {
        Ok(Protected {
            index: self.index(value)?,
            sealed: self.data.seal_value(value.as_bytes(), self.name.as_bytes())?,
            masked: self.mask.apply(value),
        })
    }

    /// The hash to store and to search by.
    pub fn index(&self, value: &str) -> Result<String, VaultError> {
        Ok(hex::encode(self.index.hmac(&[self.name.as_bytes(), &[0], value.as_bytes()])?))
    }

    /// The value itself; whoever asks needs a permission and leaves a record, which is the caller's to see to.
    pub fn reveal(&self, sealed: &[u8]) -> Result<Zeroizing<String>, VaultError> {
        let bytes = self.data.open_value(sealed, self.name.as_bytes())?;
        let text =
            std::str::from_utf8(&bytes).map_err(|_| VaultError::Refused { part: self.name.clone() })?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    /// The value under the current key, or `None` where it is already.
    pub fn reencrypt(&self, sealed: &[u8]) -> Result<Option<Vec<u8>>, VaultError> {
        let current = self.data.info()?;
        if current.state == KeyState::Active && KeyHandle::sealed_version(sealed) == Some(current.version) {
            return Ok(None);
        }
        let bytes = self.data.open_value(sealed, self.name.as_bytes())?;
        self.data.seal_value(&bytes, self.name.as_bytes()).map(Some)
    }

    /// One bounded piece of the re-encryption after a rotation: at most `limit` rows following `after`. Call it again with
    /// the returned `next` until that is `None`; stopping and resuming anywhere loses nothing.
    pub fn reencrypt_batch(
        &self,
        store: &dyn FieldStore,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Reencrypted, VaultError> {
        let rows = store.rows(after, limit)?;
        let mut progress = Reencrypted { seen: rows.len(), ..Reencrypted::default() };
        progress.next = rows.last().filter(|_| rows.len() >= limit).map(|(id, _)| id.clone());
        for (id, sealed) in rows {
            if let Some(new) = self.reencrypt(&sealed)? {
                // A row somebody changed meanwhile was written under the current key.
                progress.changed += usize::from(store.replace(&id, &sealed, &new)?);
            }
        }
        Ok(progress)
    }
}

/// What one batch did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reencrypted {
    pub seen: usize,
    pub changed: usize,
    /// Where the next batch starts; `None` at the end.
    pub next: Option<String>,
}

/// The rows of one protected field, as a store offers them for re-encryption.
pub trait FieldStore {
    /// Up to `limit` rows (id, sealed value) in ascending order of id, after the given id.
    fn rows(&self, after: Option<&str>, limit: usize) -> Result<Vec<(String, Vec<u8>)>, VaultError>;

    /// Puts `new` where the row still holds `old`; says whether it did.
    fn replace(&self, id: &str, old: &[u8], new: &[u8]) -> Result<bool, VaultError>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        key::{KeyKind, Purpose},
        vault::NewVersion,
    };
    use parking_lot::Mutex;
    use std::collections::BTreeMap;

    const MASK: Mask = Mask { start: 3, end: 4 };

    fn setup() -> (Vault, ProtectedField, ProtectedField) {
        let vault = Vault::in_memory().unwrap();
        let (index, data) = ("vault:index".parse().unwrap(), "vault:data".parse().unwrap());
        vault.generate(&index, KeyKind::Hmac, Purpose::Mac).unwrap();
        vault.generate(&data, KeyKind::Sm4, Purpose::Encrypt).unwrap();
        let field = |name| ProtectedField::new(&vault, name, &index, &data, MASK);
        let (id, phone) = (field("call.idNo"), field("call.phone"));
        (vault, id, phone)
    }

    #[test]
    fn a_field_is_found_by_its_hash_shown_masked_and_revealed() {
        let (_vault, id, phone) = setup();
        let stored = id.protect("310101199003074511").unwrap();
        assert_eq!(stored.masked, "310***********4511");
        assert_eq!(stored.index, id.index("310101199003074511").unwrap());
        assert_eq!(&**id.reveal(&stored.sealed).unwrap(), "310101199003074511");
        let other = phone.protect("310101199003074511").unwrap();
        assert_ne!(other.index, stored.index, "equal values of different fields do not match");
        assert!(matches!(phone.reveal(&stored.sealed), Err(VaultError::Refused { .. })));
        assert_ne!(id.protect("310101199003074511").unwrap().sealed, stored.sealed);
    }

    #[test]
    fn a_mask_counts_characters_and_hides_short_values_wholly() {
        assert_eq!(MASK.apply("13800001234"), "138****1234");
        assert_eq!(MASK.apply("张三"), "**");
        assert_eq!(Mask { start: 1, end: 0 }.apply("欧阳三"), "欧**");
    }

    struct Rows(Mutex<BTreeMap<String, Vec<u8>>>);

    impl FieldStore for Rows {
        fn rows(&self, after: Option<&str>, limit: usize) -> Result<Vec<(String, Vec<u8>)>, VaultError> {
            let rows = self.0.lock();
            let later = rows.iter().filter(|(id, _)| after.is_none_or(|after| id.as_str() > after));
            Ok(later.take(limit).map(|(id, sealed)| (id.clone(), sealed.clone())).collect())
        }

        fn replace(&self, id: &str, old: &[u8], new: &[u8]) -> Result<bool, VaultError> {
            let mut rows = self.0.lock();
            let same = rows.get(id).is_some_and(|row| row == old);
            if same {
                rows.insert(id.to_owned(), new.to_vec());
            }
            Ok(same)
        }
    }

    #[test]
    fn re_encryption_resumes_where_it_stopped_and_then_the_old_key_can_go() {
        let (vault, id, _) = setup();
        let rows: BTreeMap<_, _> =
            (0..25).map(|n| (format!("{n:03}"), id.protect(&format!("value {n}")).unwrap().sealed)).collect();
        let store = Rows(Mutex::new(rows));
        let key: KeyRef = "vault:data".parse().unwrap();
        vault.rotate(&key, NewVersion::Generated).unwrap();
        let first = id.reencrypt_batch(&store, None, 10).unwrap();
        assert_eq!(first, Reencrypted { seen: 10, changed: 10, next: Some("009".into()) });
        let again = id.reencrypt_batch(&store, None, 10).unwrap();
        assert_eq!(again.changed, 0, "what is done is not done again");
        let mut next = first.next;
        while let Some(after) = next {
            next = id.reencrypt_batch(&store, Some(&after), 10).unwrap().next;
        }
        vault.retire(&key.at(1)).unwrap();
        vault.destroy(&key.at(1), None).unwrap();
        for (row, sealed) in store.0.lock().iter() {
            let n: usize = row.parse().unwrap();
            assert_eq!(&**id.reveal(sealed).unwrap(), &format!("value {n}"));
        }
    }
}
