//! Keys that rotate by themselves: the schedule, and doing what is due. For the node's housekeeping and `qiao keys schedule`.
use super::{NewVersion, Vault};
use crate::{
    error::VaultError,
    key::{KeyInfo, KeyKind, KeyRef, KeyState, Rotation},
};
use std::collections::BTreeMap;

impl Vault {
    /// Sets or ends a key's rotation by itself. Only keys generated here rotate so; a key that partners or callers hold a half
    /// of must not, which the caller of this function knows.
    pub fn set_rotation(&self, key: &KeyRef, rotation: Option<Rotation>) -> Result<KeyInfo, VaultError> {
        if let Some(rotation) = rotation {
            let fine = rotation.every >= 3600 && (0..rotation.every).contains(&rotation.overlap);
            if !fine {
                return Err(VaultError::invalid(
                    "a key rotates every hour at most, and its overlap is shorter than that",
                ));
            }
        }
        let newest = self.newest(key)?;
        if !newest.secret || matches!(newest.kind, KeyKind::Rsa | KeyKind::Secret) {
            return Err(VaultError::invalid(format!(
                "{key} is agreed with somebody else: it cannot rotate by itself"
            )));
        }
        if let (Some(_), Some(place)) = (rotation, &newest.external) {
            return Err(VaultError::invalid(format!(
                "{key} lives in {place}: rotate it to another key there by hand"
            )));
        }
        self.edit_newest(key, |record| record.rotation = rotation)
    }

    /// Makes the new versions that are due, and ends the overlaps that are over. What another node did first is left to it.
    pub fn rotate_due(&self, now: i64) -> Result<Vec<KeyInfo>, VaultError> {
        let mut keys: BTreeMap<String, Vec<KeyInfo>> = BTreeMap::new();
        for info in self.list()? {
            keys.entry(info.name.clone()).or_default().push(info);
        }
        let mut changed = Vec::new();
        for (name, versions) in keys {
            let Some((newest, rotation)) = versions.last().and_then(|info| Some((info, info.rotation?)))
            else {
                continue;
            };
            let key = KeyRef::from_name(&name).map_err(|error| VaultError::invalid(error.to_string()))?;
            let in_use = newest.state == KeyState::Active && newest.secret;
            if in_use && now >= newest.created.saturating_add(rotation.every) {
                changed.push(self.rotate(&key, NewVersion::Generated)?);
            } else if in_use && now >= newest.created.saturating_add(rotation.overlap) {
                for old in versions.iter().filter(|info| info.state == KeyState::Retiring) {
                    changed.push(self.retire(&key.at(old.version))?);
                }
            }
        }
        Ok(changed)
    }

    fn newest(&self, key: &KeyRef) -> Result<KeyInfo, VaultError> {
        let mut infos = self.list()?;
        infos.retain(|info| info.name == key.name());
        infos.pop().ok_or_else(|| VaultError::UnknownKey { key: key.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Purpose;

    const DAY: i64 = 86_400;

    #[test]
    fn a_scheduled_key_rotates_when_due_and_its_overlap_ends() {
        let vault = Vault::in_memory().unwrap();
        let name: KeyRef = "vault:bus/record".parse().unwrap();
        let first = vault.generate(&name, KeyKind::Hmac, Purpose::Mac).unwrap();
        vault.set_rotation(&name, Some(Rotation { every: 90 * DAY, overlap: 7 * DAY })).unwrap();
        let old = vault.key(&name).hmac(&[b"m"]).unwrap();
        assert!(vault.rotate_due(first.created + 90 * DAY - 1).unwrap().is_empty());
        let made = vault.rotate_due(first.created + 90 * DAY).unwrap();
        assert_eq!((made[0].version, made[0].state), (2, KeyState::Active));
        assert_eq!(made[0].rotation, Some(Rotation { every: 90 * DAY, overlap: 7 * DAY }));
        vault.key(&name).hmac_verify(&[b"m"], &old).unwrap();
        // The new version was made now, by this machine's clock.
        assert!(vault.rotate_due(made[0].created + 7 * DAY - 1).unwrap().is_empty());
        let ended = vault.rotate_due(made[0].created + 7 * DAY).unwrap();
        assert_eq!((ended[0].version, ended[0].state), (1, KeyState::Retired));
        assert!(vault.key(&name).hmac_verify(&[b"m"], &old).is_err());
        vault.set_rotation(&name, None).unwrap();
        assert!(vault.rotate_due(i64::MAX).unwrap().is_empty());
    }

    #[test]
    fn refuses_schedules_for_what_others_hold_and_overlaps_that_never_end() {
        let vault = Vault::in_memory().unwrap();
        let (secret, mac): (KeyRef, KeyRef) = ("vault:s".parse().unwrap(), "vault:m".parse().unwrap());
        vault.generate(&secret, KeyKind::Secret, Purpose::Secret).unwrap();
        vault.generate(&mac, KeyKind::Hmac, Purpose::Mac).unwrap();
        let good = Rotation { every: DAY, overlap: 3600 };
        assert!(vault.set_rotation(&secret, Some(good)).is_err());
        for wrong in [
            Rotation { every: 60, overlap: 0 },
            Rotation { every: DAY, overlap: DAY },
            Rotation { every: DAY, overlap: -1 },
        ] {
            assert!(vault.set_rotation(&mac, Some(wrong)).is_err());
        }
        assert!(vault.set_rotation(&"vault:none".parse().unwrap(), Some(good)).is_err());
    }
}
