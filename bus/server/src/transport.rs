//! Secrets on their way from a command to a running node: SM2-encrypted for a pair that the node makes at its start and keeps in
//! memory, so that none stands in a request, a buffer or a log. For `qiao keys` and the admin API.
use qiao_vault::{CipherFormat, KeyHandle, KeyKind, KeyRef, Purpose, Vault, VaultError, Zeroizing};

const PAIR: &str = "transport";

/// The receiving side.
pub struct Transport {
    pair: KeyHandle,
    public: String,
}

impl Transport {
    pub fn new() -> Result<Self, VaultError> {
        let (vault, key) = (Vault::in_memory()?, name()?);
        vault.generate(&key, KeyKind::Sm2, Purpose::Encrypt)?;
        let public = hex::encode(vault.export_public(&key)?);
        Ok(Self { pair: vault.key(&key), public })
    }

    /// What secrets are sealed for: 04, x, y in hex.
    pub fn public(&self) -> &str {
        &self.public
    }

    /// The secret in a text that [`seal`] made for this pair.
    pub fn open(&self, sealed: &str) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let wrong = || VaultError::Malformed { field: "sealed".into(), problem: "is not in hexadecimal" };
        self.pair.decrypt(&hex::decode(sealed).map_err(|_| wrong())?, CipherFormat::Der)
    }
}

/// The sending side: a secret of at least one byte for the pair with this public key, in hex.
pub fn seal(public: &str, secret: &[u8]) -> Result<String, VaultError> {
    let wrong =
        || VaultError::Malformed { field: "transport".into(), problem: "is no public key in hexadecimal" };
    let (vault, key) = (Vault::in_memory()?, name()?);
    vault.import_public(&key, Purpose::Encrypt, &hex::decode(public).map_err(|_| wrong())?)?;
    Ok(hex::encode(vault.key(&key).encrypt(secret, CipherFormat::Der)?))
}

fn name() -> Result<KeyRef, VaultError> {
    KeyRef::from_name(PAIR).map_err(|error| VaultError::Invalid { what: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_sealed_for_a_node_opens_there_and_nowhere_else() {
        let (node, other) = (Transport::new().unwrap(), Transport::new().unwrap());
        let sealed = seal(node.public(), b"a long passphrase").unwrap();
        assert_eq!(&**node.open(&sealed).unwrap(), b"a long passphrase");
        assert!(matches!(other.open(&sealed), Err(VaultError::Refused { .. })));
        assert!(matches!(node.open("no hex"), Err(VaultError::Malformed { .. })));
        assert!(seal("04ab", b"x").is_err());
    }
}
