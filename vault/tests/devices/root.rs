//! A vault whose root is opened by a device: no device or no password, no vault.
use crate::setup::{device, key, keys, ready, secrets, settings};
use qiao_softdevice::rig::Rig;
use qiao_vault::{
    KeyKind, KeyStorage, LockChange, LockKind, MemoryStorage, Purpose, RootSecret, SdfDevice, SdfSettings,
    Vault, VaultError, VaultState, Zeroizing,
};
use std::sync::Arc;

fn root(device: &Arc<SdfDevice>, id: &str) -> RootSecret {
    RootSecret::Device { device: device.clone(), id: id.to_owned() }
}

#[test]
fn the_device_unseals_what_it_sealed_under_a_pair_and_under_a_key_encryption_key() {
    for id in ["1", "kek:4"] {
        let (rig, first, _) = ready();
        let storage = Arc::<MemoryStorage>::default();
        let vault = Vault::open(storage.clone());
        vault.init(&root(&first, id)).unwrap();
        let data = key("data");
        vault.generate(&data, KeyKind::Sm4, Purpose::Encrypt).unwrap();
        let sealed = vault.key(&data).seal_value(b"value", b"").unwrap();
        drop((vault, first));
        // Another process: its own connection, its own session.
        let vault = Vault::open(storage);
        vault.unseal(&root(&device(&rig), id)).unwrap();
        assert_eq!(*vault.key(&data).open_value(&sealed, b"").unwrap(), b"value");
    }
}

#[test]
fn without_the_device_or_its_password_the_vault_stays_sealed() {
    let (rig, first, _) = ready();
    let storage = Arc::<MemoryStorage>::default();
    Vault::open(storage.clone()).init(&root(&first, "1")).unwrap();
    let vault = Vault::open(storage);
    let wrong = SdfSettings { passwords: [(1, Zeroizing::new(b"x".to_vec()))].into(), ..settings(&rig) };
    let wrong = Arc::new(SdfDevice::new("hsm", wrong).unwrap());
    let error = vault.unseal(&root(&wrong, "1")).unwrap_err();
    assert!(error.to_string().contains("refused the password"), "{error}");
    rig.unplug(true);
    let error = vault.unseal(&root(&device(&rig), "1")).unwrap_err();
    assert!(matches!(error, VaultError::Device { .. }), "{error:?}");
    rig.unplug(false);
    // Another device of the same name has other keys.
    let other = Rig::new(&keys(&secrets())).unwrap();
    assert!(vault.unseal(&root(&device(&other), "1")).is_err());
    let key_file = RootSecret::KeyFile(Zeroizing::new(vec![1; 32]));
    assert!(matches!(vault.unseal(&key_file), Err(VaultError::WrongRoot)));
    assert_eq!(vault.state().unwrap(), VaultState::Sealed);
    vault.unseal(&root(&device(&rig), "1")).unwrap();
}

#[test]
fn a_device_and_custodians_open_the_same_vault_until_one_is_made_the_only_way() {
    let (rig, first, _) = ready();
    let storage = Arc::<MemoryStorage>::default();
    let vault = Vault::open(storage.clone());
    let key_file = RootSecret::KeyFile(Zeroizing::new(vec![1; 32]));
    vault.init(&key_file).unwrap();
    vault.change_locks(&key_file, LockChange::Add(&root(&first, "1")), None).unwrap();
    for secret in [&key_file, &root(&device(&rig), "1")] {
        Vault::open(storage.clone()).unseal(secret).unwrap();
    }
    let (old, new) = (root(&first, "1"), root(&first, "kek:4"));
    vault.change_locks(&old, LockChange::Remove(LockKind::KeyFile), None).unwrap();
    vault.change_locks(&old, LockChange::Replace(LockKind::Device, &new), None).unwrap();
    assert!(matches!(Vault::open(storage.clone()).unseal(&key_file), Err(VaultError::WrongRoot)));
    Vault::open(storage.clone()).unseal(&root(&device(&rig), "kek:4")).unwrap();
    let lock = storage.header().unwrap().unwrap().locks.remove(0);
    let text = serde_json::to_string(&lock).unwrap();
    assert!(text.contains(r#""device":{"device":"hsm","id":"kek:4","wrapped":"#), "{text}");
}
