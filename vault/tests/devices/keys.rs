//! Keys of the vault whose material is in the device: adopted, used, rotated, retired, refused when altered.
use crate::setup::{KEK_PASSWORD, PASSWORD, device, eventually, key, keys, ready, secrets, settings, vault};
use qiao_softdevice::rig::{Keys, Rig};
use qiao_vault::{
    CipherFormat, DEFAULT_SM2_ID, Envelope, EnvelopeSpec, KeyChange, KeyKind, KeyRef, KeyState, KeyStorage,
    MemoryStorage, NewVersion, Params, Provider, PureProvider, Purpose, RootSecret, SdfDevice, Side,
    SignatureFormat, Vault, VaultError, Zeroizing, external::KeyDevice, required_keys,
};
use std::sync::Arc;

const RAW: SignatureFormat = SignatureFormat::Raw;

fn cipher_format() -> CipherFormat {
    CipherFormat::Der
}

fn adopt(vault: &Vault, name: &str, kind: KeyKind, purpose: Purpose, id: &str) -> KeyRef {
    let key = key(name);
    let info = vault.adopt(&key, kind, purpose, "hsm", id).unwrap();
    assert_eq!((info.secret, info.external.as_deref()), (true, Some(format!("hsm/{id}").as_str())));
    key
}

#[test]
fn a_key_in_the_device_signs_and_decrypts_like_any_other() {
    let (_rig, device, secrets) = ready();
    let vault = vault(&device);
    let sign = vault.key(&adopt(&vault, "bus/sign", KeyKind::Sm2, Purpose::Sign, "1"));
    let open = vault.key(&adopt(&vault, "bus/open", KeyKind::Sm2, Purpose::Encrypt, "1"));
    let twin = key("twin/sign");
    vault.import(&twin, KeyKind::Sm2, Purpose::Sign, &secrets.sign).unwrap();
    let twin = vault.key(&twin);
    assert_eq!(sign.public().unwrap(), twin.public().unwrap());
    let signature = sign.sign(b"message", DEFAULT_SM2_ID, RAW).unwrap();
    twin.verify(b"message", DEFAULT_SM2_ID, &signature, RAW).unwrap();
    let signature = twin.sign(b"message", b"other id", RAW).unwrap();
    sign.verify(b"message", b"other id", &signature, RAW).unwrap();
    assert!(matches!(sign.verify(b"massage", b"other id", &signature, RAW), Err(VaultError::Refused { .. })));
    let cipher = open.encrypt(b"plain", cipher_format()).unwrap();
    assert_eq!(*open.decrypt(&cipher, cipher_format()).unwrap(), b"plain");
    let mut tampered = cipher.clone();
    *tampered.last_mut().unwrap() ^= 1;
    assert!(matches!(open.decrypt(&tampered, cipher_format()), Err(VaultError::Refused { .. })));
    assert!(matches!(sign.decrypt(&cipher, cipher_format()), Err(VaultError::WrongPurpose { .. })));
    assert!(sign.blocks() && open.blocks() && !twin.blocks());
}

#[test]
fn a_session_key_seals_inside_the_device_and_survives_its_restart() {
    let (rig, device, _) = ready();
    let vault = vault(&device);
    for (name, id) in [("data/pair", "1"), ("data/kek", "kek:4")] {
        let handle = vault.key(&adopt(&vault, name, KeyKind::Sm4, Purpose::Encrypt, id));
        let sealed: Vec<_> =
            (0..100usize).map(|n| handle.seal_value(&vec![n as u8; n * 7], b"place").unwrap()).collect();
        rig.unplug(true);
        rig.unplug(false);
        for (n, sealed) in sealed.iter().enumerate() {
            assert_eq!(*handle.open_value(sealed, b"place").unwrap(), vec![n as u8; n * 7]);
        }
        assert!(matches!(handle.open_value(&sealed[3], b"elsewhere"), Err(VaultError::Refused { .. })));
    }
}

#[test]
fn data_larger_than_the_devices_buffer_is_cut_for_it() {
    let secrets = secrets();
    let rig = Rig::new(&keys(&secrets).buffer(1000)).unwrap();
    let device = device(&rig);
    let vault = vault(&device);
    let handle = vault.key(&adopt(&vault, "data", KeyKind::Sm4, Purpose::Encrypt, "1"));
    let large: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
    let sealed = handle.seal_value(&large, b"").unwrap();
    assert_eq!(*handle.open_value(&sealed, b"").unwrap(), large);
    // CBC goes on over the cuts.
    let wrapped = device.new_sm4("1").unwrap().unwrap();
    let bare = PureProvider.sm2_secret(&secrets.encrypt).unwrap().decrypt(&wrapped).unwrap();
    let bare: [u8; 16] = bare[..].try_into().unwrap();
    let key = qiao_vault::external::DeviceCipher { id: "1", wrapped: Some(&wrapped) };
    let run = |encrypt, data: &[u8]| {
        device.sm4(&key, &qiao_vault::external::Blocks { encrypt, iv: Some(&[6; 16]), data }).unwrap()
    };
    let mode = qiao_vault::Sm4Mode::Cbc { iv: &[6; 16], padding: qiao_vault::Padding::None };
    let cipher = run(true, &large);
    assert_eq!(*cipher, PureProvider.sm4_encrypt(&bare, &mode, &large).unwrap());
    assert_eq!(*run(false, &cipher), large);
}

#[test]
fn rotates_to_another_index_with_overlap_and_destroys_the_old_version() {
    let (first, second) = (secrets(), secrets());
    let all = keys(&first).pair(2, "second", &second.sign, &second.encrypt);
    let rig = Rig::new(&all).unwrap();
    let mut given = settings(&rig);
    given.passwords.insert(2, Zeroizing::new(b"second".to_vec()));
    let vault = vault(&Arc::new(SdfDevice::new("hsm", given).unwrap()));
    let name = adopt(&vault, "bus/open", KeyKind::Sm2, Purpose::Encrypt, "1");
    let handle = vault.key(&name);
    let old = handle.encrypt(b"old", cipher_format()).unwrap();
    assert!(matches!(vault.rotate(&name, NewVersion::Generated), Err(VaultError::Invalid { .. })));
    let info = vault.rotate(&name, NewVersion::Device { device: "hsm", id: "2" }).unwrap();
    assert_eq!((info.version, info.external.as_deref()), (2, Some("hsm/2")));
    let new = handle.encrypt(b"new", cipher_format()).unwrap();
    assert_eq!(*handle.decrypt(&old, cipher_format()).unwrap(), b"old");
    assert_eq!(*handle.decrypt(&new, cipher_format()).unwrap(), b"new");
    // And back to a key that is here: the two kinds mix under one name.
    let third = PureProvider.sm2_generate().unwrap();
    vault.rotate(&name, NewVersion::Material(&*third)).unwrap();
    assert_eq!(*handle.decrypt(&old, cipher_format()).unwrap(), b"old");
    vault.retire(&name.at(1)).unwrap();
    assert!(matches!(handle.decrypt(&old, cipher_format()), Err(VaultError::Refused { .. })));
    vault.destroy(&name.at(1), None).unwrap();
    let destroyed = vault.list().unwrap().remove(0);
    assert_eq!((destroyed.state, destroyed.external, destroyed.secret), (KeyState::Destroyed, None, false));
}

fn stored() -> (Arc<MemoryStorage>, RootSecret) {
    (Arc::default(), RootSecret::KeyFile(Zeroizing::new(vec![7; 32])))
}

#[test]
fn comes_back_after_unsealing_and_needs_its_device_only_to_be_used() {
    let (rig, device, _) = ready();
    let (storage, root) = stored();
    let first = Vault::open(storage.clone());
    first.init(&root).unwrap();
    first.attach(device.clone()).unwrap();
    let name = adopt(&first, "bus/sign", KeyKind::Sm2, Purpose::Sign, "1");
    let second = Vault::open(storage);
    second.unseal(&root).unwrap();
    let handle = second.key(&name);
    let error = handle.sign(b"m", DEFAULT_SM2_ID, RAW).unwrap_err();
    assert_eq!(error.to_string(), "key device hsm: it is not among this node's devices");
    let signature = first.key(&name).sign(b"m", DEFAULT_SM2_ID, RAW).unwrap();
    handle.verify(b"m", DEFAULT_SM2_ID, &signature, RAW).unwrap();
    second.attach(device.clone()).unwrap();
    handle.sign(b"m", DEFAULT_SM2_ID, RAW).unwrap();
    assert!(second.attach(device).unwrap_err().to_string().contains("two key devices named hsm"));
    drop(rig);
}

#[test]
fn a_record_that_points_to_another_key_of_the_device_is_refused() {
    let (_rig, device, _) = ready();
    let (storage, root) = stored();
    let vault = Vault::open(storage.clone());
    vault.init(&root).unwrap();
    vault.attach(device).unwrap();
    adopt(&vault, "bus/sign", KeyKind::Sm2, Purpose::Sign, "1");
    let mut record = storage.keys().unwrap().remove(0);
    record.external.as_mut().unwrap().id = "2".to_owned();
    let altered = MemoryStorage::default();
    let header = KeyChange::Header { expected: None, new: storage.header().unwrap().unwrap() };
    altered.apply(&[header, KeyChange::Insert(record)]).unwrap();
    let refused = Vault::open(Arc::new(altered)).unseal(&root);
    assert!(matches!(refused, Err(VaultError::AlteredRecord { .. })), "{refused:?}");
}

#[test]
fn a_device_that_was_filled_anew_does_not_sign_in_the_old_ones_name() {
    let (rig, device, old) = ready();
    let vault = vault(&device);
    let handle = vault.key(&adopt(&vault, "bus/sign", KeyKind::Sm2, Purpose::Sign, "1"));
    handle.sign(b"m", DEFAULT_SM2_ID, RAW).unwrap();
    rig.unplug(true);
    rig.fill(&keys(&secrets())).unwrap();
    rig.unplug(false);
    let error = handle.sign(b"m", DEFAULT_SM2_ID, RAW).unwrap_err().to_string();
    assert!(error.contains("another key"), "{error}");
    rig.unplug(true);
    rig.fill(&keys(&old)).unwrap();
    rig.unplug(false);
    eventually("the right device signs again", || handle.sign(b"m", DEFAULT_SM2_ID, RAW).is_ok());
}

#[test]
fn adopting_refuses_what_the_device_does_not_have_or_cannot_do() {
    let (_rig, device, _) = ready();
    let vault = vault(&device);
    let adopt = |kind, purpose, device, id| {
        vault.adopt(&key("k"), kind, purpose, device, id).unwrap_err().to_string()
    };
    let (sm2, sign) = (KeyKind::Sm2, Purpose::Sign);
    assert!(adopt(sm2, sign, "other", "1").contains("other is not among"));
    assert!(adopt(sm2, sign, "hsm", "9").contains("SDR_KEYNOTEXIST"));
    assert!(adopt(sm2, sign, "hsm", "kek:4").contains("index of a pair"));
    assert!(adopt(sm2, sign, "hsm", "one").contains("is an index"));
    assert!(adopt(sm2, sign, "hsm", "").contains("1 to 128"));
    assert!(adopt(KeyKind::Hmac, Purpose::Mac, "hsm", "1").contains("cannot live in a device"));
    assert!(adopt(KeyKind::Sm4, Purpose::Encrypt, "hsm", "kek:5").contains("SDR_KEYNOTEXIST"));
    assert!(vault.list().unwrap().is_empty());
}

#[test]
fn a_pair_whose_password_is_not_in_the_settings_is_not_adopted() {
    let two = secrets();
    let rig =
        Rig::new(&Keys::new().pair(2, PASSWORD, &two.sign, &two.encrypt).kek(5, KEK_PASSWORD, &[1; 16]))
            .unwrap();
    let vault = vault(&device(&rig));
    let error = vault.adopt(&key("k"), KeyKind::Sm2, Purpose::Sign, "hsm", "2").unwrap_err().to_string();
    assert!(error.contains("settings give no password"), "{error}");
    assert_eq!(rig.wrong_passwords(), 0);
}

#[test]
fn envelopes_use_a_device_key_as_any_other_and_say_that_they_block() {
    let (_rig, device, _) = ready();
    let vault = vault(&device);
    let text = include_str!("../../examples/light.json");
    let spec: EnvelopeSpec = serde_json::from_str(text).unwrap();
    for required in required_keys(&spec) {
        vault.adopt(&required.key, required.kind, required.purpose, "hsm", "1").unwrap();
    }
    assert_eq!(vault.list().unwrap().len(), 4);
    let compile = |side| Envelope::compile(&spec, &vault, side).map_err(|mistakes| mistakes.len()).unwrap();
    let (bus, partner) = (compile(Side::Bus), compile(Side::Partner));
    let params = bus.params().iter().fold(Params::new(), |params, name| params.with(name, "20260101"));
    let wire = bus.seal(b"{\"a\":1}", &params).unwrap();
    assert_eq!(*partner.open(&wire, &params).unwrap(), b"{\"a\":1}");
    assert!(bus.blocks() && partner.blocks());
}
