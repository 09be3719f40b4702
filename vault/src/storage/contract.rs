//! What every storage promises, as one check. For the tests of each implementation, here and in other crates.
use super::{
    Control, JournalEntry, KeyChange, KeyKind, KeyState, KeyStorage, Purpose, StorageError, StoredKey,
    VaultHeader,
};

/// Runs an empty storage through everything the vault relies on; the error says what it did instead. What it leaves behind:
/// a header and the versions 1 and 2 of a key `k`.
pub fn hold_contract(storage: &dyn KeyStorage) -> Result<(), String> {
    headers(storage)?;
    keys(storage)?;
    journal(storage)
}

fn headers(storage: &dyn KeyStorage) -> Result<(), String> {
    let put = |expected: Option<VaultHeader>, new| storage.apply(&[KeyChange::Header { expected, new }]);
    is("no header at first", fine(storage.header())?.is_none())?;
    fine(put(None, header("a")))?;
    conflict("a second first header", put(None, header("b")))?;
    conflict("a header that replaces another", put(Some(header("x")), header("b")))?;
    fine(put(Some(header("a")), header("b")))?;
    is("the header that was put", fine(storage.header())? == Some(header("b")))
}

fn keys(storage: &dyn KeyStorage) -> Result<(), String> {
    fine(storage.apply(&[KeyChange::Insert(record("k", 1)), KeyChange::Insert(record("k", 2))]))?;
    let retired = StoredKey { state: KeyState::Retired, mac: "second".into(), ..record("k", 1) };
    let replace = |new: &StoredKey, expected: &str| KeyChange::Replace {
        expected_mac: expected.to_owned(),
        new: new.clone(),
    };
    let half_good = [replace(&retired, "first"), KeyChange::Insert(record("k", 2))];
    conflict("a version twice", storage.apply(&half_good))?;
    is("all changes or none", sorted(storage)? == [record("k", 1), record("k", 2)])?;
    conflict("replacing what is not there", storage.apply(&[replace(&record("x", 1), "first")]))?;
    conflict("replacing what changed meanwhile", storage.apply(&[replace(&retired, "older")]))?;
    fine(storage.apply(&[replace(&retired, "first")]))?;
    is("the record that was put", sorted(storage)? == [retired, record("k", 2)])
}

fn journal(storage: &dyn KeyStorage) -> Result<(), String> {
    let entry = |number| JournalEntry {
        number,
        at: 1,
        operation: "test".into(),
        operators: vec!["anna".into(), "ben".into()],
        nonce: String::new(),
        mac: String::new(),
    };
    conflict("a journal that begins with 2", storage.apply(&[KeyChange::Journal(entry(2))]))?;
    fine(storage.apply(&[KeyChange::Journal(entry(1)), KeyChange::Journal(entry(2))]))?;
    conflict("an entry twice", storage.apply(&[KeyChange::Journal(entry(2))]))?;
    let header = KeyChange::Header { expected: Some(header("b")), new: header("c") };
    conflict("a header beside a wrong entry", storage.apply(&[header, KeyChange::Journal(entry(9))]))?;
    is("the header as it was", fine(storage.header())?.is_some_and(|header| header.kek == "b"))?;
    is("the entries in order", fine(storage.journal())? == [entry(1), entry(2)])
}

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
        sealed: Some("sealed".into()),
        external: None,
        rotation: None,
        mac: "first".into(),
    }
}

fn header(kek: &str) -> VaultHeader {
    VaultHeader { format: 1, control: Control::Dual, locks: Vec::new(), kek: kek.into() }
}

fn sorted(storage: &dyn KeyStorage) -> Result<Vec<StoredKey>, String> {
    let mut keys = fine(storage.keys())?;
    keys.sort_by(|a, b| (&a.name, a.version).cmp(&(&b.name, b.version)));
    Ok(keys)
}

fn fine<T>(result: Result<T, StorageError>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

fn conflict(what: &str, result: Result<(), StorageError>) -> Result<(), String> {
    is(&format!("a conflict for {what}"), matches!(result, Err(StorageError::Conflict)))
}

fn is(what: &str, holds: bool) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("not found: {what}")) }
}
