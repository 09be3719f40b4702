//! Keys of the demo: every key that definitions name is generated, the partners' halves too, because mock partners stand in for them.
use qiao_engine::definitions::{Definitions, SystemDefinition};
use qiao_vault::{KeyKind, KeyRef, Purpose, Vault, VaultError};

/// Generates what is missing; says how many keys were made.
pub fn generate_missing(vault: &Vault, definitions: &Definitions) -> Result<usize, VaultError> {
    let mut made = 0;
    for (key, kind, purpose) in needed(definitions) {
        if !vault.exists(&key) {
            make(vault, &key, kind, purpose)?;
            made += 1;
        }
    }
    Ok(made)
}

fn needed(definitions: &Definitions) -> Vec<(KeyRef, KeyKind, Purpose)> {
    let envelopes = definitions.systems.values().flat_map(|system| system.envelopes.values());
    let sealing =
        envelopes.flat_map(qiao_vault::required_keys).map(|needed| (needed.key, needed.kind, needed.purpose));
    let callers = definitions.callers.values().filter_map(|caller| caller.credential.key.clone());
    let systems = definitions.systems.values().filter_map(|system| credential(system));
    let secrets = callers.chain(systems).filter_map(|reference| reference.parse().ok());
    sealing.chain(secrets.map(|key| (key, KeyKind::Secret, Purpose::Secret))).collect()
}

fn credential(system: &SystemDefinition) -> Option<String> {
    let credential = system.credential.as_ref()?;
    let basic = credential.basic.as_ref().map(|basic| basic.password.clone());
    basic.or_else(|| credential.header.as_ref().map(|header| header.value.clone()))
}

fn make(vault: &Vault, key: &KeyRef, kind: KeyKind, purpose: Purpose) -> Result<(), VaultError> {
    if kind != KeyKind::Secret {
        return vault.generate(key, kind, purpose).map(drop);
    }
    // Sixteen characters that any header, form field and SM4 key can hold: 96 random bits in URL-safe Base64.
    let mut random = [0; 12];
    vault.provider().random(&mut random)?;
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    vault.import(key, kind, purpose, URL_SAFE_NO_PAD.encode(random).as_bytes()).map(drop)
}
