//! Tests of rotation, custodians, passphrases and backups.
use crate::{
    envelope::{Envelope, EnvelopeSpec, Params, Side, required_keys},
    error::VaultError,
    format::SignatureFormat,
    key::{KeyKind, KeyRef, KeyState, Purpose},
    provider::{DEFAULT_SM2_ID, pure::PureProvider},
    storage::{KeyStorage, LockKind, MemoryStorage, PassphraseCost},
    vault::{LockChange, NewVersion, RootSecret, Vault, VaultState, join_shares, split_shares},
};
use serde_json::json;
use std::{
    sync::{Arc, Barrier, atomic::AtomicBool, atomic::Ordering},
    thread,
};
use zeroize::Zeroizing;

fn key(text: &str) -> KeyRef {
    text.parse().unwrap()
}

/// A passphrase cheap enough for tests.
fn phrase(text: &str) -> RootSecret {
    RootSecret::Passphrase(Zeroizing::new(text.into()), PassphraseCost { memory_kib: 8, passes: 1 })
}

fn file(byte: u8) -> RootSecret {
    RootSecret::KeyFile(Zeroizing::new(vec![byte; 32]))
}

#[test]
fn a_rotated_key_signs_anew_and_still_verifies_the_old_until_retired() {
    let vault = Vault::in_memory().unwrap();
    let name = key("vault:bus/sign");
    vault.generate(&name, KeyKind::Sm2, Purpose::Sign).unwrap();
    let handle = vault.key(&name);
    let sign = || handle.sign(b"m", DEFAULT_SM2_ID, SignatureFormat::Raw).unwrap();
    let verify = |signature: &[u8]| handle.verify(b"m", DEFAULT_SM2_ID, signature, SignatureFormat::Raw);
    let old = sign();
    let info = vault.rotate(&name, NewVersion::Generated).unwrap();
    assert_eq!((info.version, info.state), (2, KeyState::Active));
    let new = sign();
    verify(&old).unwrap();
    verify(&new).unwrap();
    let exact =
        |version| vault.key(&name.at(version)).verify(b"m", DEFAULT_SM2_ID, &new, SignatureFormat::Raw);
    assert!(exact(1).is_err() && exact(2).is_ok());

    vault.retire(&name.at(1)).unwrap();
    assert!(matches!(verify(&old), Err(VaultError::Refused { .. })));
    vault.key(&name.at(1)).verify(b"m", DEFAULT_SM2_ID, &old, SignatureFormat::Raw).unwrap();
    vault.destroy(&name.at(1), None).unwrap();
    assert!(matches!(
        vault.key(&name.at(1)).sign(b"m", DEFAULT_SM2_ID, SignatureFormat::Raw),
        Err(VaultError::UnknownKey { .. })
    ));
    let states: Vec<_> = vault.list().unwrap().into_iter().map(|info| (info.version, info.state)).collect();
    assert_eq!(states, [(1, KeyState::Destroyed), (2, KeyState::Active)]);
}

#[test]
fn an_announced_version_accepts_before_it_produces_and_a_rotation_can_be_taken_back() {
    let vault = Vault::in_memory().unwrap();
    let name = key("vault:mac");
    vault.import(&name, KeyKind::Hmac, Purpose::Mac, b"one").unwrap();
    vault.announce(&name, NewVersion::Material(b"two")).unwrap();
    let handle = vault.key(&name);
    let with = |secret: &[u8]| vault.provider().hmac_sm3(secret, &[b"m"]);
    assert_eq!(handle.hmac(&[b"m"]).unwrap(), with(b"one"));
    handle.hmac_verify(&[b"m"], &with(b"two")).unwrap();
    assert!(handle.hmac_verify(&[b"m"], &with(b"three")).is_err());
    vault.activate(&name.at(2)).unwrap();
    assert_eq!(handle.hmac(&[b"m"]).unwrap(), with(b"two"));
    vault.activate(&name.at(1)).unwrap();
    assert_eq!(handle.hmac(&[b"m"]).unwrap(), with(b"one"));
}

#[test]
fn refuses_steps_a_version_cannot_take_and_says_which_it_could() {
    let vault = Vault::in_memory().unwrap();
    let name = key("vault:data");
    vault.generate(&name, KeyKind::Sm4, Purpose::Encrypt).unwrap();
    let text = vault.destroy(&name.at(1), None).unwrap_err().to_string();
    assert_eq!(text, "vault:data#1 is active; this needs retired");
    assert!(vault.retire(&name).unwrap_err().to_string().contains("name the version"));
    assert!(matches!(vault.retire(&name.at(7)), Err(VaultError::UnknownKey { .. })));
    assert!(matches!(
        vault.rotate(&key("vault:none"), NewVersion::Generated),
        Err(VaultError::UnknownKey { .. })
    ));
    assert!(vault.rotate(&name, NewVersion::Public(&[4; 65])).is_err());
    let partner = key("vault:civil/sign");
    let point = some_point();
    vault.import_public(&partner, Purpose::Sign, &point).unwrap();
    assert!(matches!(vault.rotate(&partner, NewVersion::Generated), Err(VaultError::PublicOnly { .. })));
    vault.rotate(&partner, NewVersion::Public(&some_point())).unwrap();
}

fn some_point() -> [u8; 64] {
    use crate::provider::Provider;
    PureProvider.sm2_secret(&PureProvider.sm2_generate().unwrap()).unwrap().point()
}

#[test]
fn values_sealed_before_a_rotation_open_after_it() {
    let vault = Vault::in_memory().unwrap();
    let name = key("vault:data");
    vault.generate(&name, KeyKind::Sm4, Purpose::Encrypt).unwrap();
    let handle = vault.key(&name);
    let old = handle.seal_value(b"v", b"").unwrap();
    vault.rotate(&name, NewVersion::Generated).unwrap();
    vault.retire(&name.at(1)).unwrap();
    assert_eq!(&**handle.open_value(&old, b"").unwrap(), b"v");
    let new = handle.seal_value(b"v", b"").unwrap();
    assert_eq!(crate::vault::KeyHandle::sealed_version(&new), Some(2));
    vault.destroy(&name.at(1), None).unwrap();
    assert!(matches!(handle.open_value(&old, b""), Err(VaultError::UnknownKey { .. })));
}

fn light_spec() -> EnvelopeSpec {
    serde_json::from_value(json!({
        "keys": {"ours.sign": "vault:bus/sign", "theirs.sign": "vault:civil/sign", "shared.k": "vault:k"},
        "seal": [
            {"name": "iv", "random": 16},
            {"name": "key", "keyBytes": "shared.k"},
            {"name": "c", "sm4Encrypt": {"mode": "cbc", "key": "key", "iv": "iv", "data": "plain"}},
            {"name": "s", "sm2Sign": {"data": "c", "key": "ours.sign"}}
        ],
        "write": {"iv": {"part": "iv", "as": "hex"}, "c": {"part": "c", "as": "hex"}, "s": {"part": "s", "as": "hex"}},
        "open": [
            {"name": "iv", "read": {"field": "iv", "as": "hex"}},
            {"name": "c", "read": {"field": "c", "as": "hex"}},
            {"name": "s", "read": {"field": "s", "as": "hex"}},
            {"name": "check", "sm2Verify": {"data": "c", "signature": "s", "key": "theirs.sign"}},
            {"name": "key", "keyBytes": "shared.k"},
            {"name": "padded", "sm4Decrypt": {"mode": "cbc", "key": "key", "iv": "iv", "data": "c"}},
            {"name": "plain", "stripPrefix": {"data": "padded", "text": "msg:"}}
        ]
    }))
    .unwrap()
}

#[test]
fn no_message_fails_while_pairs_and_shared_secrets_rotate() {
    let spec = light_spec();
    let vault = Vault::in_memory().unwrap();
    for required in required_keys(&spec) {
        vault.generate(&required.key, required.kind, required.purpose).unwrap();
    }
    let bus = Envelope::compile(&spec, &vault, Side::Bus).unwrap_or_else(|m| panic!("{m:?}"));
    let partner = Envelope::compile(&spec, &vault, Side::Partner).unwrap_or_else(|m| panic!("{m:?}"));
    let (done, start) = (AtomicBool::new(false), Barrier::new(3));
    thread::scope(|scope| {
        let workers: Vec<_> = [(&bus, &partner), (&partner, &bus)]
            .into_iter()
            .map(|(sender, receiver)| {
                scope.spawn(|| {
                    start.wait();
                    let mut count = 0;
                    while !done.load(Ordering::Relaxed) || count == 0 {
                        let wire = sender.seal(b"msg:x", &Params::new()).unwrap();
                        assert_eq!(&**receiver.open(&wire, &Params::new()).unwrap(), b"x");
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        start.wait();
        for _ in 0..10 {
            for required in required_keys(&spec) {
                vault.rotate(&required.key, NewVersion::Generated).unwrap();
            }
        }
        done.store(true, Ordering::Relaxed);
        assert!(workers.into_iter().map(|worker| worker.join().unwrap()).all(|count| count > 0));
    });
}

#[test]
fn expiring_versions_are_told_until_they_are_retired() {
    let vault = Vault::in_memory().unwrap();
    let name = key("vault:bus/sign");
    vault.generate(&name, KeyKind::Sm2, Purpose::Sign).unwrap();
    vault.set_expiry(&name.at(1), Some(1000)).unwrap();
    assert!(vault.expiring(1000).unwrap().is_empty());
    assert_eq!(vault.expiring(1001).unwrap().len(), 1);
    vault.rotate(&name, NewVersion::Generated).unwrap();
    assert_eq!(vault.expiring(1001).unwrap().len(), 1, "the overlap must end too");
    vault.retire(&name.at(1)).unwrap();
    assert!(vault.expiring(1001).unwrap().is_empty());
}

#[test]
fn custodians_unseal_together_and_passphrases_alone() {
    let storage: Arc<dyn KeyStorage> = Arc::new(MemoryStorage::default());
    let vault = Vault::open(storage.clone());
    let (root, shares) = split_shares(&PureProvider, 2, 3).unwrap();
    vault.init(&root).unwrap();
    vault.generate(&key("vault:k"), KeyKind::Sm4, Purpose::Encrypt).unwrap();
    vault.seal();
    assert!(matches!(vault.unseal(&phrase("a long passphrase")), Err(VaultError::WrongRoot)));
    vault.unseal(&join_shares(&[&*shares[2], &*shares[0]]).unwrap()).unwrap();
    assert!(vault.exists(&key("vault:k")));

    let wrong = split_shares(&PureProvider, 2, 2).unwrap().0;
    assert!(matches!(
        vault.change_locks(&wrong, LockChange::Add(&phrase("a long passphrase")), None),
        Err(VaultError::WrongRoot)
    ));
    vault.change_locks(&root, LockChange::Add(&phrase("a long passphrase")), None).unwrap();
    let other = Vault::open(storage.clone());
    other.unseal(&phrase("a long passphrase")).unwrap();
    assert!(other.exists(&key("vault:k")));
    assert!(matches!(
        Vault::open(storage.clone()).unseal(&phrase("a wrong passphrase")),
        Err(VaultError::WrongRoot)
    ));

    let gone = vault.change_locks(&root, LockChange::Remove(LockKind::KeyFile), None).unwrap_err();
    assert_eq!(gone.to_string(), "a key file does not unseal this vault");
    vault.change_locks(&root, LockChange::Replace(LockKind::Custodians, &file(1)), None).unwrap();
    vault.change_locks(&file(1), LockChange::Remove(LockKind::Passphrase), None).unwrap();
    assert!(
        vault.change_locks(&file(1), LockChange::Remove(LockKind::KeyFile), None).is_err(),
        "the last one"
    );
    for gone in [&root, &phrase("a long passphrase")] {
        assert!(matches!(Vault::open(storage.clone()).unseal(gone), Err(VaultError::WrongRoot)));
    }
    Vault::open(storage).unseal(&file(1)).unwrap();
}

#[test]
fn refuses_short_passphrases_and_forged_costs() {
    let vault = Vault::open(Arc::new(MemoryStorage::default()));
    assert!(vault.init(&phrase("too short")).is_err());
    let huge = PassphraseCost { memory_kib: u32::MAX, passes: 1 };
    let secret = RootSecret::Passphrase(Zeroizing::new("a long passphrase".into()), huge);
    assert!(vault.init(&secret).unwrap_err().to_string().contains("cost"));
    assert_eq!(vault.state().unwrap(), VaultState::Uninitialised);
}

#[test]
fn a_backup_restores_every_version_under_a_new_root_and_shows_any_change() {
    let vault = Vault::open(Arc::new(MemoryStorage::default()));
    vault.init(&file(1)).unwrap();
    let name = key("vault:data");
    vault.generate(&name, KeyKind::Sm4, Purpose::Encrypt).unwrap();
    let sealed = vault.key(&name).seal_value(b"v", b"").unwrap();
    vault.rotate(&name, NewVersion::Generated).unwrap();
    assert!(matches!(vault.backup(&file(9), &phrase("the backup's own"), None), Err(VaultError::WrongRoot)));
    let text = vault.backup(&file(1), &phrase("the backup's own"), None).unwrap();

    let fresh = Vault::open(Arc::new(MemoryStorage::default()));
    let root = file(2);
    assert!(matches!(fresh.restore(&text, &file(1), &root, None), Err(VaultError::WrongRoot)));
    let mut altered: serde_json::Value = serde_json::from_str(&text).unwrap();
    altered["keys"].as_array_mut().unwrap().pop();
    let altered = fresh.restore(&altered.to_string(), &phrase("the backup's own"), &root, None);
    assert!(altered.unwrap_err().to_string().contains("altered"));
    assert_eq!(fresh.restore(&text, &phrase("the backup's own"), &root, None).unwrap(), 2);
    assert_eq!(fresh.state().unwrap(), VaultState::Sealed);
    fresh.unseal(&root).unwrap();
    assert_eq!(&**fresh.key(&name).open_value(&sealed, b"").unwrap(), b"v");
    assert!(matches!(
        fresh.restore(&text, &phrase("the backup's own"), &root, None),
        Err(VaultError::AlreadyInitialised)
    ));
}
