//! Keys on their way in and out, under another key: SM2-encrypted for a transport pair. For exchanges with partners and devices.
use super::{NewVersion, Vault, control::RootOperation, control::RootRequest, loaded::Material};
use crate::{
    error::VaultError,
    external::Devices,
    format::CipherFormat,
    key::{KeyInfo, KeyKind, KeyRef, Purpose},
};

/// A key as it came: SM2-encrypted (GB/T 32918.4) for a pair of this vault whose purpose is encryption. What is wrapped is the
/// material as for [`Vault::import`].
pub struct Wrapped<'a> {
    pub transport: &'a KeyRef,
    pub bytes: &'a [u8],
    pub format: CipherFormat,
}

impl Vault {
    /// Brings in a wrapped key. With `rotate` it becomes the new version of a key that is there.
    pub fn import_wrapped(
        &self,
        key: &KeyRef,
        kind: KeyKind,
        purpose: Purpose,
        wrapped: &Wrapped<'_>,
        rotate: bool,
    ) -> Result<KeyInfo, VaultError> {
        let material = self.key(wrapped.transport).decrypt(wrapped.bytes, wrapped.format)?;
        let public = self.public_of(kind, &material)?;
        if rotate {
            return self.rotate_unchecked(key, NewVersion::Material(&material));
        }
        self.add_first(key, kind, purpose, public, Some(&material), None)
    }

    /// The active version's material, SM2-encrypted for the pair `to`, of which the public half suffices. A root operation.
    /// RSA and P-256 keys stay here.
    pub fn export_wrapped(
        &self,
        key: &KeyRef,
        to: &KeyRef,
        format: CipherFormat,
        request: Option<&RootRequest>,
    ) -> Result<Vec<u8>, VaultError> {
        let inner = self.0.inner.lock();
        let hierarchy = inner.hierarchy.as_ref().ok_or(VaultError::Sealed)?;
        let operation = RootOperation::Export { key: key.clone(), to: to.clone() };
        let entry = self.authorise(hierarchy, &operation, request)?;
        let mut records = self.0.storage.keys()?;
        records.retain(|record| record.name == key.name());
        let wanted = |record: &&crate::storage::StoredKey| match key.version() {
            Some(version) => record.version == version,
            None => record.state == crate::key::KeyState::Active,
        };
        let unknown = || VaultError::UnknownKey { key: key.to_string() };
        let record = records.iter().find(wanted).ok_or_else(unknown)?;
        let material = hierarchy
            .material(&**self.provider(), record)?
            .ok_or_else(|| VaultError::PublicOnly { key: key.to_string() })?;
        if matches!(
            hierarchy.load(&**self.provider(), &Devices::new(), record)?.material,
            Material::Classic(_)
        ) {
            return Err(VaultError::invalid("RSA and P-256 keys are not handed out"));
        }
        drop(inner);
        let wrapped = self.key(to).encrypt(&material, format)?;
        self.0.storage.apply(&[entry])?;
        Ok(wrapped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> KeyRef {
        text.parse().unwrap()
    }

    #[test]
    fn a_key_travels_wrapped_from_one_vault_to_another_and_computes_the_same_there() {
        let (ours, theirs) = (Vault::in_memory().unwrap(), Vault::in_memory().unwrap());
        theirs.generate(&key("vault:transport"), KeyKind::Sm2, Purpose::Encrypt).unwrap();
        let public = theirs.export_public(&key("vault:transport")).unwrap();
        ours.import_public(&key("vault:bank/transport"), Purpose::Encrypt, &public).unwrap();
        ours.generate(&key("vault:bank/mac"), KeyKind::Hmac, Purpose::Mac).unwrap();
        let format = CipherFormat::Der;
        let wrapped =
            ours.export_wrapped(&key("vault:bank/mac"), &key("vault:bank/transport"), format, None).unwrap();
        let bring_in = |rotate| {
            let transport = key("vault:transport");
            let wrapped = Wrapped { transport: &transport, bytes: &wrapped, format };
            theirs.import_wrapped(&key("vault:mac"), KeyKind::Hmac, Purpose::Mac, &wrapped, rotate)
        };
        assert_eq!(bring_in(false).unwrap().version, 1);
        let there = theirs.key(&key("vault:mac")).hmac(&[b"m"]).unwrap();
        assert_eq!(there, ours.key(&key("vault:bank/mac")).hmac(&[b"m"]).unwrap());
        assert!(matches!(bring_in(false), Err(VaultError::KeyExists { .. })));
        assert_eq!(bring_in(true).unwrap().version, 2);
        let operations: Vec<_> = ours.journal().unwrap().into_iter().map(|entry| entry.operation).collect();
        assert_eq!(operations, ["make the vault", "export vault:bank/mac wrapped for vault:bank/transport"]);
    }

    #[test]
    fn what_is_wrapped_for_another_pair_or_altered_is_refused() {
        let vault = Vault::in_memory().unwrap();
        for name in ["vault:transport", "vault:other"] {
            vault.generate(&key(name), KeyKind::Sm2, Purpose::Encrypt).unwrap();
        }
        vault.generate(&key("vault:k"), KeyKind::Sm4, Purpose::Encrypt).unwrap();
        let format = CipherFormat::default();
        let mut wrapped = vault.export_wrapped(&key("vault:k"), &key("vault:other"), format, None).unwrap();
        let bring_in = |wrapped: &[u8], transport| {
            let wrapped = Wrapped { transport: &key(transport), bytes: wrapped, format };
            vault.import_wrapped(&key("vault:n"), KeyKind::Sm4, Purpose::Encrypt, &wrapped, false)
        };
        assert!(matches!(bring_in(&wrapped, "vault:transport"), Err(VaultError::Refused { .. })));
        *wrapped.last_mut().unwrap() ^= 1;
        assert!(matches!(bring_in(&wrapped, "vault:other"), Err(VaultError::Refused { .. })));
        assert!(!vault.exists(&key("vault:n")));
    }
}
