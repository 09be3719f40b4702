//! Keys at a service over HTTPS: used like any other, and every way the service can fail.
use crate::{
    service::{Mood, Service},
    setup::{eventually, key},
};
use qiao_vault::{
    CipherFormat, Credential, DEFAULT_SM2_ID, KeyDevice, KeyKind, MemoryStorage, Purpose, RemoteDevice,
    RemoteSettings, RemoteSpec, RootSecret, SignatureFormat, Vault, VaultError, Zeroizing,
};
use serde_json::json;
use std::{sync::Arc, time::Duration};

const RAW: SignatureFormat = SignatureFormat::Raw;

fn spec(endpoint: &str) -> RemoteSpec {
    serde_json::from_value(json!({
        "endpoint": endpoint,
        "headers": {"Authorization": "Bearer ${credential}"},
        "public": {"method": "GET", "path": "/keys/${key}", "result": "/data/result", "as": "hex"},
        "sign": {"request": {
            "path": "/sign", "body": {"keyId": "${key}", "digest": "${digest.hex}"},
            "result": "/data/result", "as": "hex",
        }},
        "decrypt": {"format": "der", "request": {
            "path": "/decrypt", "body": {"keyId": "${key}", "cipher": "${data.hex}"},
            "result": "/data/result", "as": "hex",
        }},
        "sm4": {
            "path": "/sm4", "result": "/data/result", "as": "hex",
            "body": {"keyId": "${key}", "mode": "${mode}", "direction": "${direction}", "iv": "${iv.hex}",
                "data": "${data.hex}"},
        },
        "answers": {"code": "/code", "ok": ["0"], "busy": ["BUSY"], "refused": ["BAD-DATA"]},
    }))
    .unwrap()
}

fn settings(service: &Service) -> RemoteSettings {
    RemoteSettings {
        credential: Credential::Fixed(Zeroizing::new("opensesame".to_owned())),
        connect: Duration::from_secs(30),
        answer: Duration::from_secs(60),
        wait: Duration::from_secs(60),
        ..RemoteSettings::new(service.authority.as_bytes())
    }
}

fn attached(service: &Service, settings: RemoteSettings) -> Vault {
    let vault = Vault::in_memory().unwrap();
    vault.attach(Arc::new(RemoteDevice::new("city", &spec(&service.endpoint()), settings).unwrap())).unwrap();
    vault
}

fn adopt(vault: &Vault, kind: KeyKind, purpose: Purpose) -> Result<qiao_vault::KeyHandle, VaultError> {
    let (name, id) = if purpose == Purpose::Sign { ("sign", "city/sign") } else { ("open", "city/open") };
    let name = key(&format!("{name}-{kind:?}"));
    vault.adopt(&name, kind, purpose, "city", id)?;
    Ok(vault.key(&name))
}

fn signer(service: &Service, settings: RemoteSettings) -> qiao_vault::KeyHandle {
    adopt(&attached(service, settings), KeyKind::Sm2, Purpose::Sign).unwrap()
}

/// Signs, and verifies what came with the public half that is here.
fn sign(handle: &qiao_vault::KeyHandle) -> Result<(), (String, bool)> {
    match handle.sign(b"message", DEFAULT_SM2_ID, RAW) {
        Ok(signature) => {
            handle.verify(b"message", DEFAULT_SM2_ID, &signature, RAW).expect("what came is right");
            Ok(())
        }
        Err(VaultError::Device { problem, busy, .. }) => Err((problem.to_owned(), busy)),
        Err(other) => panic!("not the service's failure: {other:?}"),
    }
}

#[test]
fn a_key_at_the_service_signs_decrypts_and_seals_like_any_other() {
    let service = Service::start();
    let vault = attached(&service, settings(&service));
    let handle = adopt(&vault, KeyKind::Sm2, Purpose::Sign).unwrap();
    sign(&handle).unwrap();
    assert!(handle.blocks());
    let open = adopt(&vault, KeyKind::Sm2, Purpose::Encrypt).unwrap();
    let mut cipher = open.encrypt(b"plain", CipherFormat::Der).unwrap();
    assert_eq!(*open.decrypt(&cipher, CipherFormat::Der).unwrap(), b"plain");
    *cipher.last_mut().unwrap() ^= 1;
    let refused = open.decrypt(&cipher, CipherFormat::Der);
    assert!(matches!(refused, Err(VaultError::Refused { .. })), "{refused:?}");
    let data = adopt(&vault, KeyKind::Sm4, Purpose::Encrypt).unwrap();
    let before = service.asked();
    let sealed = data.seal_value(&[7; 5000], b"place").unwrap();
    assert_eq!(service.asked(), before + 1, "a message costs one round trip");
    assert_eq!(*data.open_value(&sealed, b"place").unwrap(), [7; 5000]);
    assert!(matches!(data.open_value(&sealed, b"other"), Err(VaultError::Refused { .. })));
}

#[test]
fn the_service_unseals_a_vault() {
    let service = Service::start();
    let device = || -> Arc<dyn KeyDevice> {
        Arc::new(RemoteDevice::new("city", &spec(&service.endpoint()), settings(&service)).unwrap())
    };
    let root = || RootSecret::Device { device: device(), id: "root".to_owned() };
    let storage = Arc::<MemoryStorage>::default();
    Vault::open(storage.clone()).init(&root()).unwrap();
    Vault::open(storage.clone()).unseal(&root()).unwrap();
    service.set(Mood::Says(500, "{}"));
    assert!(matches!(Vault::open(storage).unseal(&root()), Err(VaultError::Device { .. })));
}

#[test]
fn a_certificate_of_another_authority_is_not_trusted() {
    let (service, other) = (Service::start(), Service::start());
    let settings = RemoteSettings { authorities: other.authority.clone().into(), ..settings(&service) };
    let vault = attached(&service, settings);
    let error = adopt(&vault, KeyKind::Sm2, Purpose::Sign).err().unwrap().to_string();
    assert!(error.contains("does not come from the authorities"), "{error}");
    assert_eq!(service.asked(), 0, "nothing was sent");
}

#[test]
fn a_wrong_credential_fails_and_is_not_told() {
    let service = Service::start();
    let credential = Credential::Fixed(Zeroizing::new("not-opensesame-but-secret".to_owned()));
    let vault = attached(&service, RemoteSettings { credential, ..settings(&service) });
    let error = adopt(&vault, KeyKind::Sm2, Purpose::Sign).err().unwrap();
    let all = format!("{error} {error:?} {:?}", vault.devices());
    assert!(all.contains("answered that it failed") && !all.contains("but-secret"), "{all}");
}

#[test]
fn the_credential_may_be_a_secret_of_the_vault() {
    let service = Service::start();
    let vault = Vault::in_memory().unwrap();
    vault.import(&key("token"), KeyKind::Secret, Purpose::Secret, b"opensesame").unwrap();
    let settings =
        RemoteSettings { credential: Credential::Vault(vault.key(&key("token"))), ..settings(&service) };
    vault.attach(Arc::new(RemoteDevice::new("city", &spec(&service.endpoint()), settings).unwrap())).unwrap();
    sign(&adopt(&vault, KeyKind::Sm2, Purpose::Sign).unwrap()).unwrap();
}

#[test]
fn a_busy_service_may_be_asked_again() {
    let service = Service::start();
    let handle = signer(&service, settings(&service));
    for busy in [Mood::Says(429, "{}"), Mood::Says(503, "later"), Mood::Says(200, r#"{"code":"BUSY"}"#)] {
        service.set(busy);
        let before = service.asked();
        assert_eq!(sign(&handle), Err(("the service is busy".to_owned(), true)));
        assert_eq!(service.asked(), before + 1, "it is not asked again by itself");
    }
    service.set(Mood::Well);
    sign(&handle).unwrap();
}

#[test]
fn answers_that_are_not_as_described_are_no_results() {
    let service = Service::start();
    let handle = signer(&service, settings(&service));
    for (status, text) in [
        (200, ""),
        (200, "<html>"),
        (200, r#"{"code":0}"#),
        (200, r#"{"code":0,"data":{"result":"zz"}}"#),
        (200, r#"{"code":0,"data":{"result":"abcd"}}"#),
        (200, r#"{"code":0,"data":{"result":7}}"#),
        (200, r#"{"code":"77","data":{"result":"ab"}}"#),
        (200, r#"{"code":"BAD-DATA"}"#),
        (500, r#"{"code":0,"data":{"result":"ab"}}"#),
        (302, ""),
        (204, ""),
    ] {
        service.set(Mood::Says(status, text));
        let (_, busy) = sign(&handle).expect_err(text);
        assert!(!busy, "{status} {text}");
    }
    service.set(Mood::Well);
    sign(&handle).unwrap();
}

#[test]
fn a_service_that_does_not_answer_holds_nobody_beyond_the_deadline() {
    let service = Service::start();
    let patient = signer(&service, settings(&service));
    sign(&patient).unwrap();
    let given = RemoteSettings {
        connect: Duration::from_millis(300),
        answer: Duration::from_millis(100),
        ..settings(&service)
    };
    let device = RemoteDevice::new("city", &spec(&service.endpoint()), given).unwrap();
    service.set(Mood::Silent);
    let failed = device.public("city/sign", Purpose::Sign).unwrap_err().to_string();
    assert!(failed.contains("did not answer") || failed.contains("cannot be reached"), "{failed}");
    service.set(Mood::Well);
    sign(&patient).unwrap();
}

#[test]
fn a_connection_that_breaks_after_the_request_is_not_asked_again() {
    let service = Service::start();
    let handle = signer(&service, settings(&service));
    service.set(Mood::HangsUp);
    let before = service.asked();
    let (problem, busy) = sign(&handle).unwrap_err();
    assert!(!busy && problem.contains("broke"), "{problem}");
    assert_eq!(service.asked(), before + 1);
    service.set(Mood::Well);
    sign(&handle).unwrap();
}

#[test]
fn a_service_that_is_not_there_cannot_be_reached() {
    let service = Service::start();
    let handle = signer(&service, settings(&service));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let gone = spec(&format!("https://127.0.0.1:{free}/api"));
    let device = RemoteDevice::new("city", &gone, settings(&service)).unwrap();
    let error = device.public("city/sign", Purpose::Sign).unwrap_err().to_string();
    assert!(error.contains("cannot be reached"), "{error}");
    assert!(!device.status().answering);
    sign(&handle).unwrap();
}

#[test]
fn no_more_requests_are_under_way_than_the_settings_say() {
    let service = Service::start();
    let vault = attached(&service, RemoteSettings { connections: 3, ..settings(&service) });
    let handle = adopt(&vault, KeyKind::Sm2, Purpose::Sign).unwrap();
    service.set(Mood::Silent);
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..9).map(|_| scope.spawn(|| sign(&handle))).collect();
        eventually("three are under way", || service.under_way().0 == 3);
        service.set(Mood::Well);
        for call in calls {
            call.join().unwrap().unwrap();
        }
    });
    assert_eq!(service.under_way().1, 3);
    let given = RemoteSettings { connections: 1, wait: Duration::from_millis(10), ..settings(&service) };
    let handle = signer(&service, given);
    service.set(Mood::Silent);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| sign(&handle));
        eventually("the first is under way", || service.under_way().0 == 1);
        let (problem, busy) = sign(&handle).unwrap_err();
        assert!(busy && problem.contains("under way"), "{problem}");
        service.set(Mood::Well);
        first.join().unwrap().unwrap();
    });
}

#[test]
fn mistakes_of_a_description_are_named() {
    let service = Service::start();
    let wrong = |change: &dyn Fn(&mut RemoteSpec), settings: RemoteSettings| {
        let mut spec = spec(&service.endpoint());
        change(&mut spec);
        RemoteDevice::new("city", &spec, settings).err().unwrap().to_string()
    };
    let plain = wrong(&|spec| spec.endpoint = "http://127.0.0.1:1".to_owned(), settings(&service));
    assert!(plain.contains("endpoint:") && plain.contains("city"), "{plain}");
    let text = wrong(
        &|spec| spec.sign.as_mut().unwrap().request.body = json!({"x": "${data.hex}"}),
        settings(&service),
    );
    assert!(text.contains("sign.request.body: `${data.hex}`"), "{text}");
    let text = wrong(&|spec| spec.answers.ok.clear(), settings(&service));
    assert!(text.contains("answers.ok"), "{text}");
    let text = wrong(&|_| (), RemoteSettings { authorities: b"nothing".to_vec(), ..settings(&service) });
    assert!(text.contains("authorities: there is no certificate"), "{text}");
    let misspelt = json!({"endpoint": "https://x", "sgin": {}});
    assert!(serde_json::from_value::<RemoteSpec>(misspelt).unwrap_err().to_string().contains("sgin"));
}
