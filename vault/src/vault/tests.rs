//! Tests of the vault's states, purposes and record integrity.
use super::*;
use crate::{
    format::{CipherFormat, SignatureFormat},
    key::{KeyKind, Purpose},
    provider::DEFAULT_SM2_ID,
    storage::{FileStorage, KeyChange, MemoryStorage, StoredKey},
};
use zeroize::Zeroizing;

fn key(text: &str) -> KeyRef {
    text.parse().unwrap()
}

fn root(byte: u8) -> RootSecret {
    RootSecret::KeyFile(Zeroizing::new(vec![byte; 32]))
}

#[test]
fn keys_work_only_while_unsealed_and_handles_survive_sealing() {
    let storage = Arc::new(MemoryStorage::default());
    let vault = Vault::open(storage.clone());
    assert_eq!(vault.state().unwrap(), VaultState::Uninitialised);
    assert!(matches!(vault.unseal(&root(1)), Err(VaultError::Uninitialised)));
    vault.init(&root(1)).unwrap();
    assert!(matches!(vault.init(&root(1)), Err(VaultError::AlreadyInitialised)));
    let early = vault.key(&key("vault:bus/index"));
    assert!(matches!(early.hmac(&[b"x"]), Err(VaultError::UnknownKey { .. })));
    vault.generate(&key("vault:bus/index"), KeyKind::Hmac, Purpose::Mac).unwrap();
    let before = early.hmac(&[b"x"]).unwrap();

    vault.seal();
    assert_eq!(vault.state().unwrap(), VaultState::Sealed);
    assert!(matches!(early.hmac(&[b"x"]), Err(VaultError::Sealed)));
    assert!(matches!(vault.list(), Err(VaultError::Sealed)));
    assert!(matches!(
        vault.generate(&key("vault:a"), KeyKind::Sm4, Purpose::Encrypt),
        Err(VaultError::Sealed)
    ));
    assert!(matches!(vault.unseal(&root(2)), Err(VaultError::WrongRoot)));
    vault.unseal(&root(1)).unwrap();
    assert_eq!(early.hmac(&[b"x"]).unwrap(), before);

    let second = Vault::open(storage);
    second.unseal(&root(1)).unwrap();
    assert_eq!(second.key(&key("vault:bus/index")).hmac(&[b"x"]).unwrap(), before);
}

#[test]
fn what_another_process_changed_is_read_again_and_only_then() {
    let storage = Arc::new(MemoryStorage::default());
    let (vault, other) = (Vault::open(storage.clone()), Vault::open(storage));
    assert!(matches!(vault.refresh(), Err(VaultError::Sealed)));
    vault.init(&root(1)).unwrap();
    other.unseal(&root(1)).unwrap();
    assert!(!other.refresh().unwrap());
    vault.generate(&key("vault:m"), KeyKind::Hmac, Purpose::Mac).unwrap();
    assert!(other.refresh().unwrap());
    assert!(!other.refresh().unwrap());
    vault.rotate(&key("vault:m"), NewVersion::Generated).unwrap();
    assert!(other.refresh().unwrap());
    let code = vault.key(&key("vault:m")).hmac(&[b"x"]).unwrap();
    assert_eq!(other.key(&key("vault:m")).hmac(&[b"x"]).unwrap(), code);
}

#[test]
fn a_key_serves_its_purpose_and_no_other() {
    let vault = Vault::in_memory().unwrap();
    vault.generate(&key("vault:s"), KeyKind::Sm2, Purpose::Sign).unwrap();
    vault.generate(&key("vault:e"), KeyKind::Sm2, Purpose::Encrypt).unwrap();
    vault.generate(&key("vault:m"), KeyKind::Hmac, Purpose::Mac).unwrap();
    let handle = |name| vault.key(&key(name));
    let raw = SignatureFormat::Raw;
    let wrong =
        |result: Result<(), VaultError>| assert!(matches!(result, Err(VaultError::WrongPurpose { .. })));
    wrong(handle("vault:s").encrypt(b"x", CipherFormat::Der).map(drop));
    wrong(handle("vault:s").decrypt(&[0; 200], CipherFormat::Der).map(drop));
    wrong(handle("vault:e").sign(b"x", DEFAULT_SM2_ID, raw).map(drop));
    wrong(handle("vault:e").verify(b"x", DEFAULT_SM2_ID, &[1; 64], raw));
    wrong(handle("vault:m").seal_value(b"x", b"").map(drop));
    wrong(handle("vault:m").with_bytes(KeyKind::Secret, 0, |_| ()));
    assert!(vault.generate(&key("vault:x"), KeyKind::Sm4, Purpose::Sign).is_err());
    assert!(matches!(
        vault.generate(&key("vault:s"), KeyKind::Sm2, Purpose::Sign),
        Err(VaultError::KeyExists { .. })
    ));
}

#[test]
fn a_partners_public_key_verifies_and_encrypts_but_cannot_sign_or_decrypt() {
    let partner = Vault::in_memory().unwrap();
    let vault = Vault::in_memory().unwrap();
    for (name, purpose) in [("vault:civil/sign", Purpose::Sign), ("vault:civil/encrypt", Purpose::Encrypt)] {
        partner.generate(&key(name), KeyKind::Sm2, purpose).unwrap();
        let public = partner.export_public(&key(name)).unwrap();
        let info = vault.import_public(&key(name), purpose, &public).unwrap();
        assert!(!info.secret);
    }
    let (sign, encrypt) = (key("vault:civil/sign"), key("vault:civil/encrypt"));
    for format in [SignatureFormat::Raw, SignatureFormat::Der] {
        let signature = partner.key(&sign).sign(b"m", b"other id", format).unwrap();
        vault.key(&sign).verify(b"m", b"other id", &signature, format).unwrap();
        for (message, id) in [(&b"n"[..], &b"other id"[..]), (b"m", DEFAULT_SM2_ID)] {
            assert!(matches!(
                vault.key(&sign).verify(message, id, &signature, format),
                Err(VaultError::Refused { .. })
            ));
        }
    }
    let cipher = vault.key(&encrypt).encrypt(b"m", CipherFormat::default()).unwrap();
    assert_eq!(&**partner.key(&encrypt).decrypt(&cipher, CipherFormat::default()).unwrap(), b"m");
    assert!(matches!(
        vault.key(&sign).sign(b"m", DEFAULT_SM2_ID, SignatureFormat::Raw),
        Err(VaultError::PublicOnly { .. })
    ));
    assert!(matches!(
        vault.key(&encrypt).decrypt(&cipher, CipherFormat::default()),
        Err(VaultError::PublicOnly { .. })
    ));
}

#[test]
fn a_value_opens_only_in_its_place_and_unaltered() {
    let vault = Vault::in_memory().unwrap();
    vault.generate(&key("vault:data"), KeyKind::Sm4, Purpose::Encrypt).unwrap();
    let handle = vault.key(&key("vault:data"));
    let sealed = handle.seal_value(b"payload", b"call-1").unwrap();
    assert_eq!(&**handle.open_value(&sealed, b"call-1").unwrap(), b"payload");
    assert_eq!(KeyHandle::sealed_version(&sealed), Some(1));
    assert!(matches!(handle.open_value(&sealed, b"call-2"), Err(VaultError::Refused { .. })));
    for at in [0, 6, 20, sealed.len() - 1] {
        let mut bad = sealed.clone();
        bad[at] ^= 1;
        assert!(handle.open_value(&bad, b"call-1").is_err(), "byte {at}");
    }
    assert!(handle.open_value(&sealed[..16], b"call-1").is_err());
}

#[test]
fn an_exchanged_public_key_or_purpose_stops_the_unsealing() {
    let storage = Arc::new(MemoryStorage::default());
    let vault = Vault::open(storage.clone());
    vault.init(&root(1)).unwrap();
    let other = Vault::in_memory().unwrap();
    other.generate(&key("vault:x"), KeyKind::Sm2, Purpose::Sign).unwrap();
    let info = vault.generate(&key("vault:civil/sign"), KeyKind::Sm2, Purpose::Sign).unwrap();
    assert!(info.public.is_some_and(|point| point.starts_with("04") && point.len() == 130));
    let good = storage.keys().unwrap().remove(0);
    let mut exchanged = good.clone();
    exchanged.public = Some(hex::encode(&other.export_public(&key("vault:x")).unwrap()[1..]));
    let mut repurposed = good.clone();
    repurposed.purpose = Purpose::Encrypt;
    let put = |new: &StoredKey| {
        let expected_mac = good.mac.clone();
        storage.apply(&[KeyChange::Replace { expected_mac, new: new.clone() }]).unwrap();
    };
    for bad in [&exchanged, &repurposed] {
        put(bad);
        assert!(matches!(vault.reload(), Err(VaultError::AlteredRecord { .. })));
        let fresh = Vault::open(storage.clone());
        assert!(matches!(fresh.unseal(&root(1)), Err(VaultError::AlteredRecord { .. })));
        assert_eq!(fresh.state().unwrap(), VaultState::Sealed);
    }
    put(&good);
    vault.reload().unwrap();
}

#[test]
fn the_file_holds_no_key_byte_in_the_clear() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vault.json");
    let vault = Vault::open(Arc::new(FileStorage::new(&path)));
    let (root, created) =
        RootSecret::from_key_file_or_new(&PureProvider, &folder.path().join("vault.key")).unwrap();
    assert!(created);
    vault.init(&root).unwrap();
    let secret = b"TvaBgrhE46sft3nZ";
    vault.import(&key("vault:ems/sign-key"), KeyKind::Secret, Purpose::Secret, secret).unwrap();
    let text = std::fs::read(&path).unwrap();
    let hides = |needle: &[u8]| !text.windows(needle.len()).any(|window| window == needle);
    assert!(hides(secret) && hides(hex::encode(secret).as_bytes()));
    let (again, created) =
        RootSecret::from_key_file_or_new(&PureProvider, &folder.path().join("vault.key")).unwrap();
    assert!(!created);
    let reopened = Vault::open(Arc::new(FileStorage::new(&path)));
    reopened.unseal(&again).unwrap();
    assert_eq!(reopened.list().unwrap(), vault.list().unwrap());
}

#[test]
fn two_vaults_agree_on_a_key_through_their_handles() {
    use crate::provider::agreement::{Exchange, Initiative, Peer};
    let (ours, theirs) = (Vault::in_memory().unwrap(), Vault::in_memory().unwrap());
    let name = key("vault:pair");
    for vault in [&ours, &theirs] {
        vault.generate(&name, KeyKind::Sm2, Purpose::Encrypt).unwrap();
    }
    let point = |vault: &Vault| -> [u8; 64] { vault.export_public(&name).unwrap()[1..].try_into().unwrap() };
    let (a, b) = (Exchange::start(&PureProvider).unwrap(), Exchange::start(&PureProvider).unwrap());
    let (ra, rb) = (a.point(), b.point());
    let to_b = Peer { public: &point(&theirs), ephemeral: &rb, id: b"bank" };
    let to_a = Peer { public: &point(&ours), ephemeral: &ra, id: b"bus" };
    let first = ours.key(&name).agree(a, b"bus", &to_b, Initiative::Initiator, 16).unwrap();
    let second = theirs.key(&name).agree(b, b"bank", &to_a, Initiative::Responder, 16).unwrap();
    assert_eq!(first.key, second.key);
    assert_eq!(first.peer_confirmation, second.own_confirmation);
}
