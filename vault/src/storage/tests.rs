//! One suite over every storage of this crate.
use super::*;
use std::os::unix::fs::PermissionsExt;

fn record(name: &str, version: u32) -> StoredKey {
    StoredKey {
        name: name.into(),
        version,
        kind: KeyKind::Sm4,
        purpose: Purpose::Encrypt,
        state: KeyState::Active,
        created: 0,
        expires: None,
        public: None,
        sealed: None,
        mac: String::new(),
    }
}

fn header(kek: &str) -> VaultHeader {
    VaultHeader { format: 1, locks: vec![], kek: kek.into() }
}

fn holds_its_contract(storage: &dyn KeyStorage) {
    assert!(storage.header().unwrap().is_none());
    storage.put_header(None, &header("a")).unwrap();
    assert!(matches!(storage.put_header(None, &header("b")), Err(StorageError::Conflict)));
    storage.put_header(Some(&header("a")), &header("b")).unwrap();
    assert_eq!(storage.header().unwrap(), Some(header("b")));

    storage.apply(&[KeyChange::Insert(record("k", 1)), KeyChange::Insert(record("k", 2))]).unwrap();
    let retired = StoredKey { state: KeyState::Retired, ..record("k", 1) };
    let replace = |new: &StoredKey| KeyChange::Replace { expected_mac: String::new(), new: new.clone() };
    let half_good = [replace(&retired), KeyChange::Insert(record("k", 2))];
    assert!(matches!(storage.apply(&half_good), Err(StorageError::Conflict)));
    assert_eq!(storage.keys().unwrap(), [record("k", 1), record("k", 2)]);
    assert!(matches!(storage.apply(&[replace(&record("x", 1))]), Err(StorageError::Conflict)));
    let stale = KeyChange::Replace { expected_mac: "older".into(), new: retired.clone() };
    assert!(matches!(storage.apply(&[stale]), Err(StorageError::Conflict)));
    storage.apply(&[replace(&retired)]).unwrap();
    assert_eq!(storage.keys().unwrap(), [retired, record("k", 2)]);
}

#[test]
fn memory_applies_all_changes_or_none() {
    holds_its_contract(&MemoryStorage::default());
}

#[test]
fn a_file_applies_all_changes_or_none_and_only_its_owner_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vault.json");
    holds_its_contract(&FileStorage::new(&path));
    assert_eq!(FileStorage::new(&path).keys().unwrap().len(), 2, "another handle sees the same keys");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_damaged_file_is_named_and_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vault.json");
    std::fs::write(&path, "{\"header\":null").unwrap();
    let storage = FileStorage::new(&path);
    let error = storage.keys().unwrap_err().to_string();
    assert!(error.contains("vault.json"), "{error}");
    assert!(storage.put_header(None, &header("a")).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"header\":null");
}
