//! Encrypts what an interface keeps of its calls before it leaves the process' memory, and opens it again for a reveal
//! (GB/T 39786 level 3: confidentiality and integrity of important data at rest).
use std::sync::atomic::{AtomicU64, Ordering};

use qiao_core::{BodyPart, BusinessKey, CallRecord, KeptBody};
use qiao_engine::plan::Kept;
use qiao_vault::{KeyHandle, Mask, ProtectedField, Vault, VaultError, Zeroizing};

use crate::needed_keys::{RECORD_DATA, RECORD_INDEX, own_key};

/// Bytes of one body that are kept; what is longer is cut.
pub const MOST_KEPT: usize = 64 << 10;
/// Binds ciphertexts to this use of the key. What ties one to its call is the digest in the record.
const FIELD: &str = "call.body";
const SALT_BYTES: usize = 16;

/// The keys of kept bodies and business keys.
pub struct Keeper {
    vault: Vault,
    data: KeyHandle,
    index: KeyHandle,
    failures: AtomicU64,
}

/// A kept body that cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error("the {0:?} is not the one that was recorded: it was exchanged or altered")]
    Altered(BodyPart),
    #[error("the {0:?} is not there any more")]
    Gone(BodyPart),
}

impl Keeper {
    pub fn new(vault: &Vault) -> Self {
        let key = |name| vault.key(&own_key(name));
        Self {
            vault: vault.clone(),
            data: key(RECORD_DATA),
            index: key(RECORD_INDEX),
            failures: AtomicU64::new(0),
        }
    }

    /// The stored bodies as a field of the vault, for re-encryption.
    pub fn field(vault: &Vault) -> ProtectedField {
        ProtectedField::new(
            vault,
            FIELD,
            &own_key(RECORD_INDEX),
            &own_key(RECORD_DATA),
            Mask { start: 0, end: 0 },
        )
    }

    /// Puts what is kept into the record, encrypted and hashed. What cannot be (no key, a sealed vault) is not kept, and said so
    /// in the operator's log.
    pub fn keep(&self, record: &mut CallRecord, kept: &Kept) {
        if let Err(error) = self.try_keep(record, kept) {
            (record.keys, record.bodies) = (Vec::new(), Vec::new());
            let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
            // A lasting failure must not flood the operator's log.
            if failures.is_power_of_two() {
                tracing::error!(call = %record.id, %error, failures, "a call's bodies and keys are not kept");
            }
        }
    }

    fn try_keep(&self, record: &mut CallRecord, kept: &Kept) -> Result<(), VaultError> {
        for key in &kept.keys {
            let hash = self.hash(&key.name, &key.value)?.into();
            let masked = key.mask.apply(&key.value).into();
            record.keys.push(BusinessKey { name: key.name.clone(), hash, masked });
        }
        for (part, body) in [(BodyPart::Request, &kept.request), (BodyPart::Answer, &kept.answer)] {
            if let Some(body) = body {
                record.bodies.push(self.seal(part, body)?);
            }
        }
        Ok(())
    }

    fn seal(&self, part: BodyPart, body: &[u8]) -> Result<KeptBody, VaultError> {
        let text = &body[..body.len().min(MOST_KEPT)];
        let mut plain = Zeroizing::new(vec![0; SALT_BYTES]);
        self.vault.provider().random(&mut plain)?;
        plain.extend_from_slice(text);
        Ok(KeptBody {
            part,
            bytes: body.len() as u64,
            cut: text.len() < body.len(),
            digest: hex::encode(self.vault.provider().sm3(&[&plain])).into(),
            sealed: self.data.seal_value(&plain, FIELD.as_bytes())?,
        })
    }

    /// The keyed hash by which a business key is found. GB/T 15852.2.
    pub fn hash(&self, name: &str, value: &str) -> Result<String, VaultError> {
        Ok(hex::encode(self.index.hmac(&[name.as_bytes(), &[0], value.as_bytes()])?))
    }

    /// One body in the clear, compared with what its record says of it.
    pub fn open(&self, body: &KeptBody, sealed: Option<&[u8]>) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let sealed = sealed.ok_or(OpenError::Gone(body.part))?;
        let plain = self.data.open_value(sealed, FIELD.as_bytes()).map_err(|error| match error {
            VaultError::Refused { .. } => OpenError::Altered(body.part),
            error => error.into(),
        })?;
        if hex::encode(self.vault.provider().sm3(&[&plain])) != *body.digest || plain.len() < SALT_BYTES {
            return Err(OpenError::Altered(body.part));
        }
        Ok(Zeroizing::new(plain[SALT_BYTES..].to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use qiao_vault::{KeyKind, NewVersion, Purpose};

    use super::*;

    fn keeper() -> (Vault, Keeper) {
        let vault = Vault::in_memory().expect("a vault");
        vault.generate(&own_key(RECORD_DATA), KeyKind::Sm4, Purpose::Encrypt).expect("a key");
        vault.generate(&own_key(RECORD_INDEX), KeyKind::Hmac, Purpose::Mac).expect("a key");
        let keeper = Keeper::new(&vault);
        (vault, keeper)
    }

    #[test]
    fn a_kept_body_opens_again_also_after_a_rotation_and_a_long_one_is_cut() {
        let (vault, keeper) = keeper();
        let kept = keeper.seal(BodyPart::Request, b"{\"idNo\":\"310101199003074511\"}").expect("sealed");
        assert!(!kept.sealed.windows(6).any(|window| window == b"310101"));
        vault.rotate(&own_key(RECORD_DATA), NewVersion::Generated).expect("rotated");
        let open = keeper.open(&kept, Some(&kept.sealed)).expect("opens");
        assert_eq!(&**open, b"{\"idNo\":\"310101199003074511\"}");
        let long = keeper.seal(BodyPart::Answer, &vec![b'x'; MOST_KEPT + 1]).expect("sealed");
        assert_eq!((long.cut, long.bytes), (true, MOST_KEPT as u64 + 1));
        assert_eq!(keeper.open(&long, Some(&long.sealed)).expect("opens").len(), MOST_KEPT);
    }

    #[test]
    fn a_body_of_another_call_an_altered_and_a_missing_one_are_refused() {
        let (_vault, keeper) = keeper();
        let (one, other) = (
            keeper.seal(BodyPart::Request, b"same text").expect("sealed"),
            keeper.seal(BodyPart::Request, b"same text").expect("sealed"),
        );
        assert!(matches!(keeper.open(&one, Some(&other.sealed)), Err(OpenError::Altered(_))));
        let mut altered = one.sealed.clone();
        altered[20] ^= 1;
        assert!(matches!(keeper.open(&one, Some(&altered)), Err(OpenError::Altered(_))));
        assert!(matches!(keeper.open(&one, None), Err(OpenError::Gone(_))));
    }
}
