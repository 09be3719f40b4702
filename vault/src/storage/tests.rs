//! The contract over the storages of this crate, and what is peculiar to files.
use super::*;
use std::os::unix::fs::PermissionsExt;

#[test]
fn memory_applies_all_changes_or_none() {
    hold_contract(&MemoryStorage::default()).unwrap();
}

#[test]
fn a_file_applies_all_changes_or_none_and_only_its_owner_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vault.json");
    hold_contract(&FileStorage::new(&path)).unwrap();
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
    assert!(storage.apply(&[]).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"header\":null");
}
