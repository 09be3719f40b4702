//! Keys that rotate by themselves: the schedule, and doing what is due. For the node's housekeeping and `qiao keys schedule`.
use super::{NewVersion, Vault};
use crate::{
    error::VaultError,
    key::{KeyInfo, KeyKind, KeyRef, KeyState, Rotation},
};
use std::collections::BTreeMap;

/// Seconds between announcing a version and using it: by then every node has read the storage again.
pub const ROTATION_LEAD: i64 = 600;

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
        if !newest.secret || newest.kind == KeyKind::Secret {
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

    /// Announces the versions that are due within [`ROTATION_LEAD`], so that every node on the storage accepts them before one
    /// uses them; activates those announced long enough; ends the overlaps that are over. Gives what changed. What another
    /// node did first is a [`crate::StorageError::Conflict`], after which the next call sees it. An RSA pair takes a second or more
    /// to make: not for async threads.
    pub fn rotate_due(&self, now: i64) -> Result<Vec<KeyInfo>, VaultError> {
        let mut keys: BTreeMap<String, Vec<KeyInfo>> = BTreeMap::new();
        for info in self.list()? {
            keys.entry(info.name.clone()).or_default().push(info);
        }
        let mut changed = Vec::new();
        for (name, versions) in keys {
            let Some(newest) = versions.last() else { continue };
            let active = versions.iter().find(|info| info.state == KeyState::Active && info.secret);
            let (Some(rotation), Some(active)) = (newest.rotation, active) else { continue };
            let key = KeyRef::from_name(&name).map_err(|error| VaultError::invalid(error.to_string()))?;
            let due = active.created.saturating_add(rotation.every);
            if newest.state == KeyState::Pending {
                if now >= due.max(newest.created.saturating_add(ROTATION_LEAD)) {
                    changed.push(self.activate(&key.at(newest.version))?);
                }
            } else if now >= due - ROTATION_LEAD {
                changed.push(self.announce(&key, NewVersion::Generated)?);
            }
            if now >= active.created.saturating_add(ROTATION_LEAD + rotation.overlap) {
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
        let due = first.created + 90 * DAY;
        let step = |now| -> Vec<_> {
            vault
                .rotate_due(now)
                .unwrap()
                .into_iter()
                .map(|info| (info.version, info.state, info.created))
                .collect()
        };
        assert!(step(due - ROTATION_LEAD - 1).is_empty());
        let [(2, KeyState::Pending, made)] = step(due - ROTATION_LEAD)[..] else { panic!("announced") };
        assert!(step(due - 1).is_empty(), "announced once, and not yet used");
        assert_eq!(vault.key(&name).hmac(&[b"m"]).unwrap(), old);
        assert_eq!(step(due), [(2, KeyState::Active, made)]);
        assert_ne!(vault.key(&name).hmac(&[b"m"]).unwrap(), old);
        vault.key(&name).hmac_verify(&[b"m"], &old).unwrap();
        // The new version was made now, by this machine's clock.
        let end = made + ROTATION_LEAD + 7 * DAY;
        assert!(step(end - 1).is_empty());
        assert_eq!(step(end), [(1, KeyState::Retired, first.created)]);
        assert!(vault.key(&name).hmac_verify(&[b"m"], &old).is_err());
        vault.set_rotation(&name, None).unwrap();
        assert!(vault.rotate_due(i64::MAX).unwrap().is_empty());
    }

    #[test]
    fn an_rsa_pair_rotates_by_itself_to_one_as_long() {
        let vault = Vault::in_memory().unwrap();
        let name: KeyRef = "vault:old/sign".parse().unwrap();
        let first = vault.generate(&name, KeyKind::Rsa, Purpose::Sign).unwrap();
        vault.set_rotation(&name, Some(Rotation { every: DAY, overlap: 3600 })).unwrap();
        let algorithm = crate::ClassicSignature::RsaPkcs1;
        let old = vault.key(&name).sign_classic(b"m", algorithm).unwrap();
        let due = first.created + DAY;
        let announced = vault.rotate_due(due - ROTATION_LEAD).unwrap();
        assert_eq!((announced[0].version, announced[0].state), (2, KeyState::Pending));
        vault.rotate_due(due.max(announced[0].created + ROTATION_LEAD)).unwrap();
        let key = vault.key(&name);
        assert_eq!(key.info().unwrap().version, 2);
        key.verify_classic(b"m", algorithm, &old).unwrap();
        assert_eq!(key.sign_classic(b"m", algorithm).unwrap().len(), old.len());
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
