//! Keys of the demo: every key that definitions name is generated, the partners' halves too, because mock partners stand in for them.
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use qiao_engine::definitions::Definitions;
use qiao_vault::{KeyInfo, KeyKind, KeyRef, NewVersion, Purpose, Vault, VaultError, Zeroizing};

use crate::needed_keys::{NeededKey, needed_keys};

/// Generates what is missing; says how many keys were made.
pub fn generate_missing(vault: &Vault, definitions: &Definitions) -> Result<usize, VaultError> {
    let missing: Vec<_> =
        needed_keys(definitions).into_iter().filter(|key| !vault.exists(&key.key)).collect();
    for key in &missing {
        generate(vault, key)?;
    }
    Ok(missing.len())
}

/// Generates one key, both halves.
pub fn generate(vault: &Vault, needed: &NeededKey) -> Result<(), VaultError> {
    make(vault, &needed.key, needed.kind, needed.purpose).map(drop)
}

/// Generates a key; a secret as text that any header and form field can hold.
pub fn make(vault: &Vault, key: &KeyRef, kind: KeyKind, purpose: Purpose) -> Result<KeyInfo, VaultError> {
    if kind != KeyKind::Secret {
        return vault.generate(key, kind, purpose);
    }
    vault.import(key, kind, purpose, secret_text(vault)?.as_bytes())
}

/// Makes a new version of a key that is there; a secret as text, as [`make`] does.
pub fn anew(
    vault: &Vault,
    key: &KeyRef,
    add: impl FnOnce(NewVersion<'_>) -> Result<KeyInfo, VaultError>,
) -> Result<KeyInfo, VaultError> {
    match vault.key(key).info()?.kind {
        KeyKind::Secret => add(NewVersion::Material(secret_text(vault)?.as_bytes())),
        _ => add(NewVersion::Generated),
    }
}

/// Sixteen characters, so that an SM4 key can be made of them too: 96 random bits in URL-safe Base64.
fn secret_text(vault: &Vault) -> Result<Zeroizing<String>, VaultError> {
    let mut random = Zeroizing::new([0; 12]);
    vault.provider().random(&mut *random)?;
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(*random)))
}
