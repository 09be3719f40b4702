//! Which keys definitions name: of what kind, whose, and whether the vault has them. For the demo and `qiao keys`.
use qiao_engine::definitions::{Definitions, SystemDefinition};
use qiao_vault::{KeyKind, KeyRef, Purpose, Role, required_keys};
use serde::Serialize;

use crate::config::{Config, IntegrityConfig};

/// Seals grants and callers.
pub const GRANTS_SEAL: &str = "vault:grants/seal";

/// Signs the chain of call records.
pub const AUDIT_SIGN: &str = "vault:audit/sign";

/// Encrypts kept bodies.
pub const RECORD_DATA: &str = "vault:record/data";
/// Hashes business keys.
pub const RECORD_INDEX: &str = "vault:record/index";

/// Seals the challenges that operators sign to log in.
pub const LOGIN_SEAL: &str = "vault:login/seal";

/// Where a key comes from, seen from the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Whose {
    /// Generated here; a partner gets the public half.
    Ours,
    /// A partner's; the bus has the public half.
    Theirs,
    /// Agreed with a partner or a caller.
    Shared,
}

/// A key that definitions name.
#[derive(Clone, Debug)]
pub struct NeededKey {
    pub key: KeyRef,
    pub kind: KeyKind,
    pub purpose: Purpose,
    pub whose: Whose,
    /// The definition that names it first, for instance `system civil`.
    pub by: String,
}

/// Every key once, in the order of the definitions.
pub fn needed_keys(definitions: &Definitions) -> Vec<NeededKey> {
    let mut needed: Vec<NeededKey> = Vec::new();
    let mut add = |key: NeededKey| {
        if !needed.iter().any(|known| known.key == key.key) {
            needed.push(key);
        }
    };
    for system in definitions.systems.values() {
        let by = format!("system {}", system.system);
        for required in system.envelopes.values().flat_map(required_keys) {
            let whose = whose(required.role);
            let (key, kind, purpose) = (required.key, required.kind, required.purpose);
            add(NeededKey { key, kind, purpose, whose, by: by.clone() });
        }
        credential(system).and_then(|reference| secret(&reference, by)).into_iter().for_each(&mut add);
    }
    for caller in definitions.callers.values() {
        let reference = caller.credential.key.as_deref();
        let found = reference.and_then(|reference| secret(reference, format!("caller {}", caller.caller)));
        found.into_iter().for_each(&mut add);
    }
    needed
}

/// The keys a node needs by its settings, whatever its definitions say.
pub fn node_keys(config: &Config) -> Vec<NeededKey> {
    let mut needed = Vec::new();
    let mut add = |name: &str, kind, purpose, by: &str| {
        let key = own_key(name);
        needed.push(NeededKey { key, kind, purpose, whose: Whose::Ours, by: by.to_owned() });
    };
    add(LOGIN_SEAL, KeyKind::Hmac, Purpose::Mac, "settings admin");
    if let Some(IntegrityConfig::On(_)) = config.integrity {
        add(GRANTS_SEAL, KeyKind::Hmac, Purpose::Mac, "settings integrity");
    }
    if config.record.enabled {
        add(AUDIT_SIGN, KeyKind::Sm2, Purpose::Sign, "settings record");
        add(RECORD_DATA, KeyKind::Sm4, Purpose::Encrypt, "settings record");
        add(RECORD_INDEX, KeyKind::Hmac, Purpose::Mac, "settings record");
    }
    needed
}

/// The keys that mock partners name: of their envelopes and files, and the secrets that they ask of those who log in at them.
pub fn mock_keys(folder: &std::path::Path) -> Vec<NeededKey> {
    let named = qiao_mocks::partner_keys(folder).into_iter();
    named
        .map(|named| {
            let by = format!("mock partner {}", named.partner);
            NeededKey {
                key: named.key,
                kind: named.kind,
                purpose: named.purpose,
                whose: whose(named.role),
                by,
            }
        })
        .collect()
}

fn whose(role: Role) -> Whose {
    match role {
        Role::Ours => Whose::Ours,
        Role::Theirs => Whose::Theirs,
        Role::Shared => Whose::Shared,
    }
}

/// A constant above as a reference.
pub fn own_key(name: &str) -> KeyRef {
    name.parse().expect("a constant that is a reference")
}

/// References that do not parse are left out; checks report them.
fn secret(reference: &str, by: String) -> Option<NeededKey> {
    let key = reference.parse().ok()?;
    Some(NeededKey { key, kind: KeyKind::Secret, purpose: Purpose::Secret, whose: Whose::Shared, by })
}

fn credential(system: &SystemDefinition) -> Option<String> {
    let credential = system.credential.as_ref()?;
    let basic = credential.basic.as_ref().map(|basic| basic.password.clone());
    basic.or_else(|| credential.header.as_ref().map(|header| header.value.clone()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use qiao_vault::Vault;

    use super::*;
    use crate::demo_keys;

    #[test]
    fn every_partner_of_the_demo_has_its_keys() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../mocks");
        let vault = Vault::in_memory().expect("a vault");
        for needed in mock_keys(&folder) {
            demo_keys::generate(&vault, &needed).unwrap_or_else(|error| panic!("{}: {error}", needed.by));
        }
        let named =
            ["bank/mac", "bank/data", "bank/sign", "bank/sftp-password", "medical/secret", "medical/sign"];
        let others =
            ["bus/sign", "permit/encrypt", "ems/authorization", "mobile/sp-secret", "unicom/smg-secret"];
        for name in named.into_iter().chain(others) {
            assert!(vault.exists(&own_key(&format!("vault:{name}"))), "{name}");
        }
        qiao_mocks::check(&folder, &vault).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    }
}
