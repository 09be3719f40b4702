//! Seals over named texts, kept beside them: one per text, and one over the whole set. For the bus's access-control information:
//! grants and callers (GB/T 39786 level 3: integrity of users' access-control information).
use crate::{error::VaultError, vault::KeyHandle};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Bounds a seals file.
const MAX_ENTRIES: usize = 100_000;

/// What is wrong with one text, or with the set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("its seal does not hold: it was changed after it was sealed")]
    Changed(String),
    #[error("it carries no seal: it was added after the others were sealed")]
    Unsealed(String),
    #[error("it is sealed but missing")]
    Missing(String),
    /// Entries were taken out of the seals, or put in from another set.
    #[error("the seal over the whole set does not hold: entries were added to the seals or taken out")]
    Set,
    #[error("the seals cannot be read: {0}")]
    Unreadable(String),
}

impl Broken {
    /// The name of the text it is about; none where it is about the set.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Changed(name) | Self::Unsealed(name) | Self::Missing(name) => Some(name),
            Self::Set | Self::Unreadable(_) => None,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seals {
    /// 1.
    qiao_seals: u32,
    /// Name → HMAC-SM3 in hex over the name and the text.
    seals: BTreeMap<String, String>,
    /// HMAC-SM3 in hex over every name and seal.
    set: String,
}

const ONE: &[u8] = b"qiao-seal-1";
const SET: &[u8] = b"qiao-seals-1";

/// Seals every text with a key of kind `hmac` and gives the seals' text, to be kept beside them.
pub fn seal<'a>(
    key: &KeyHandle,
    texts: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<String, VaultError> {
    let mut seals = BTreeMap::new();
    for (name, text) in texts {
        seals.insert(name.to_owned(), hex::encode(key.hmac(&[ONE, &[0], name.as_bytes(), &[0], text])?));
    }
    if seals.len() > MAX_ENTRIES {
        return Err(VaultError::invalid(format!("more than {MAX_ENTRIES} texts to seal")));
    }
    let set = hex::encode(key.hmac(&[SET, whole(&seals).as_bytes()])?);
    serde_json::to_string_pretty(&Seals { qiao_seals: 1, seals, set })
        .map_err(|error| VaultError::invalid(error.to_string()))
}

/// Everything that is wrong, in the order of names; nothing where the texts are those that were sealed. An error is a key that
/// cannot be used, not a broken seal.
pub fn check<'a>(
    key: &KeyHandle,
    sealed: &str,
    texts: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<Vec<Broken>, VaultError> {
    let seals: Seals = match serde_json::from_str(sealed) {
        Ok(seals) => seals,
        Err(error) => return Ok(vec![Broken::Unreadable(error.to_string())]),
    };
    if seals.qiao_seals != 1 {
        return Ok(vec![Broken::Unreadable("they are newer than this program".to_owned())]);
    }
    let mut broken = Vec::new();
    let mut missing: BTreeSet<&str> = seals.seals.keys().map(String::as_str).collect();
    for (name, text) in texts {
        missing.remove(name);
        match seals.seals.get(name) {
            None => broken.push(Broken::Unsealed(name.to_owned())),
            Some(seal) if !holds(key, &[ONE, &[0], name.as_bytes(), &[0], text], seal)? => {
                broken.push(Broken::Changed(name.to_owned()));
            }
            Some(_) => {}
        }
    }
    broken.extend(missing.into_iter().map(|name| Broken::Missing(name.to_owned())));
    broken.sort_by(|a, b| a.name().cmp(&b.name()));
    if !holds(key, &[SET, whole(&seals.seals).as_bytes()], &seals.set)? {
        broken.push(Broken::Set);
    }
    Ok(broken)
}

fn holds(key: &KeyHandle, parts: &[&[u8]], seal: &str) -> Result<bool, VaultError> {
    match key.hmac_verify(parts, &hex::decode(seal).unwrap_or_default()) {
        Ok(()) => Ok(true),
        Err(VaultError::Refused { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn whole(seals: &BTreeMap<String, String>) -> String {
    seals.iter().fold(String::new(), |mut all, (name, seal)| {
        all.push('\0');
        all.push_str(name);
        all.push('\0');
        all.push_str(seal);
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        key::{KeyKind, KeyRef, Purpose},
        vault::{NewVersion, Vault},
    };

    const TEXTS: [(&str, &[u8]); 3] =
        [("callers/a", b"caller: a"), ("grants/a", b"grant: a"), ("grants/b", b"grant: b")];

    fn key() -> (Vault, KeyHandle) {
        let vault = Vault::in_memory().unwrap();
        let key: KeyRef = "vault:grants/seal".parse().unwrap();
        vault.generate(&key, KeyKind::Hmac, Purpose::Mac).unwrap();
        let handle = vault.key(&key);
        (vault, handle)
    }

    #[test]
    fn sealed_texts_hold_also_after_the_key_was_rotated() {
        let (vault, key) = key();
        let sealed = seal(&key, TEXTS).unwrap();
        assert_eq!(check(&key, &sealed, TEXTS).unwrap(), []);
        vault.rotate(key.key(), NewVersion::Generated).unwrap();
        assert_eq!(check(&key, &sealed, TEXTS).unwrap(), []);
    }

    #[test]
    fn a_changed_an_added_and_a_removed_text_are_each_named() {
        let (_vault, key) = key();
        let sealed = seal(&key, TEXTS).unwrap();
        let now: [(&str, &[u8]); 3] = [TEXTS[0], ("grants/b", b"grant: B"), ("grants/c", b"grant: c")];
        let found = check(&key, &sealed, now).unwrap();
        let named = |name: &str| name.to_owned();
        assert_eq!(
            found,
            [
                Broken::Missing(named("grants/a")),
                Broken::Changed(named("grants/b")),
                Broken::Unsealed(named("grants/c"))
            ]
        );
    }

    #[test]
    fn texts_cannot_be_exchanged_and_a_seal_cannot_be_taken_out_with_its_text() {
        let (_vault, key) = key();
        let sealed = seal(&key, TEXTS).unwrap();
        let exchanged = [TEXTS[0], ("grants/a", TEXTS[2].1), ("grants/b", TEXTS[1].1)];
        assert_eq!(check(&key, &sealed, exchanged).unwrap().len(), 2);
        let mut without: Seals = serde_json::from_str(&sealed).unwrap();
        without.seals.remove("grants/b");
        let without = serde_json::to_string(&without).unwrap();
        assert_eq!(check(&key, &without, TEXTS[..2].iter().copied()).unwrap(), [Broken::Set]);
    }

    #[test]
    fn seals_of_another_key_and_garbage_hold_nothing() {
        let (_vault, one) = key();
        let (_other, another) = key();
        let sealed = seal(&another, TEXTS).unwrap();
        assert_eq!(check(&one, &sealed, TEXTS).unwrap().len(), 4);
        let found = check(&one, "{", TEXTS).unwrap();
        assert!(matches!(found[..], [Broken::Unreadable(_)]), "{found:?}");
    }
}
