//! A device that fails: wrong passwords, no sessions left, unplugged under load and back, hanging.
use crate::setup::{device, eventually, key, keys, ready, secrets, settings, vault};
use qiao_sdf::code::codes;
use qiao_softdevice::rig::Rig;
use qiao_vault::{
    DEFAULT_SM2_ID, KeyHandle, KeyKind, Purpose, SdfDevice, SdfSettings, SignatureFormat, VaultError,
    Zeroizing, external::KeyDevice,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

const RAW: SignatureFormat = SignatureFormat::Raw;

fn signer(device: &Arc<SdfDevice>) -> KeyHandle {
    let vault = vault(device);
    vault.adopt(&key("bus/sign"), KeyKind::Sm2, Purpose::Sign, "hsm", "1").unwrap();
    vault.key(&key("bus/sign"))
}

fn sign(handle: &KeyHandle) -> Result<(), VaultError> {
    let signature = handle.sign(b"message", DEFAULT_SM2_ID, RAW)?;
    handle.verify(b"message", DEFAULT_SM2_ID, &signature, RAW).expect("a result that came is right");
    Ok(())
}

fn problem(error: &VaultError) -> (&'static str, bool) {
    match error {
        VaultError::Device { device, problem, busy } if device == "hsm" => (*problem, *busy),
        other => panic!("not the device's failure: {other:?}"),
    }
}

#[test]
fn a_wrong_password_is_said_once_and_never_shown() {
    let rig = Rig::new(&keys(&secrets())).unwrap();
    let wrong = b"not-the-password".to_vec();
    let given = SdfSettings { passwords: [(1, Zeroizing::new(wrong))].into(), ..settings(&rig) };
    let device = Arc::new(SdfDevice::new("hsm", given).unwrap());
    let vault = vault(&device);
    for _ in 0..5 {
        let error = vault.adopt(&key("k"), KeyKind::Sm2, Purpose::Sign, "hsm", "1").unwrap_err();
        assert!(problem(&error).0.contains("refused the password"), "{error}");
        let all = format!("{error} {error:?} {:?}", device.status());
        assert!(!all.contains("not-the-password"), "{all}");
    }
    assert_eq!(rig.wrong_passwords(), 1, "devices lock after a few");
    let status = device.status();
    assert!(status.answering && status.last_failure.unwrap().contains("SDR_PRKRERR"));
}

#[test]
fn a_device_with_fewer_sessions_than_the_pool_serves_everybody_all_the_same() {
    let rig = Rig::new(&keys(&secrets()).sessions(2)).unwrap();
    let device = Arc::new(SdfDevice::new("hsm", SdfSettings { sessions: 16, ..settings(&rig) }).unwrap());
    let handle = signer(&device);
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| (0..20).for_each(|_| sign(&handle).unwrap()));
        }
    });
    assert_eq!(rig.most_sessions(), 2);
}

#[test]
fn a_device_without_any_session_left_is_busy_not_gone() {
    let rig = Rig::new(&keys(&secrets()).sessions(1)).unwrap();
    let (first, second) = (device(&rig), device(&rig));
    let handle = signer(&first);
    sign(&handle).unwrap();
    let vault = vault(&second);
    let error = vault.adopt(&key("k"), KeyKind::Sm2, Purpose::Sign, "hsm", "1").unwrap_err();
    let (text, busy) = problem(&error);
    assert!(busy && text.contains("SDR_OPENSESSION"), "{text}");
    drop((handle, first));
    eventually("the session the other gave up is had", || {
        vault.adopt(&key("k"), KeyKind::Sm2, Purpose::Sign, "hsm", "1").is_ok()
    });
}

#[test]
fn an_unplugged_device_fails_clearly_and_works_again_when_it_returns() {
    let (rig, device, _) = ready();
    let handle = signer(&device);
    sign(&handle).unwrap();
    rig.unplug(true);
    for _ in 0..50 {
        let error = sign(&handle).unwrap_err();
        let (text, busy) = problem(&error);
        assert!(!busy && (text.contains("SDR_COMMFAIL") || text.contains("is gone")), "{text}");
    }
    let status = device.status();
    assert!(!status.answering && status.last_failure.unwrap().contains("SDR_COMMFAIL"));
    assert!(status.failures >= 50 && status.last_failure_at.is_some_and(|at| at > 1_700_000_000));
    rig.unplug(false);
    eventually("it signs again", || sign(&handle).is_ok());
    assert!(device.status().answering);
}

#[test]
fn a_device_that_restarted_between_calls_costs_no_call() {
    let (rig, device, _) = ready();
    let handle = signer(&device);
    for _ in 0..20 {
        sign(&handle).unwrap();
        rig.unplug(true);
        rig.unplug(false);
        sign(&handle).unwrap();
    }
}

#[test]
fn a_device_that_goes_and_comes_under_load_never_gives_a_wrong_result() {
    let (rig, device, _) = ready();
    let handle = signer(&device);
    let vault = vault(&device);
    vault.adopt(&key("data"), KeyKind::Sm4, Purpose::Encrypt, "hsm", "1").unwrap();
    let data = vault.key(&key("data"));
    let (stop, good, bad) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let sealed = data.seal_value(b"value", b"aad");
                    let results = [
                        sign(&handle),
                        sealed.and_then(|sealed| {
                            data.open_value(&sealed, b"aad").map(|plain| assert_eq!(*plain, b"value"))
                        }),
                    ];
                    for result in results {
                        match result {
                            Ok(()) => good.fetch_add(1, Ordering::Relaxed),
                            Err(error) => {
                                problem(&error);
                                bad.fetch_add(1, Ordering::Relaxed)
                            }
                        };
                    }
                }
            });
        }
        for round in 1..=5 {
            let before = good.load(Ordering::Relaxed);
            eventually("calls succeed", || good.load(Ordering::Relaxed) > before + 20);
            rig.unplug(true);
            let before = bad.load(Ordering::Relaxed);
            eventually("calls fail", || bad.load(Ordering::Relaxed) > before + 20);
            rig.unplug(false);
            let before = good.load(Ordering::Relaxed);
            eventually("calls succeed again", || good.load(Ordering::Relaxed) > before + 20);
            assert!(round <= 5);
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(rig.most_sessions() <= 8);
    sign(&handle).unwrap();
}

#[test]
fn a_device_that_hangs_holds_nobody_beyond_the_deadline() {
    let rig = Rig::new(&keys(&secrets())).unwrap();
    let given = SdfSettings {
        answer: Duration::from_millis(50),
        wait: Duration::from_millis(50),
        sessions: 2,
        ..settings(&rig)
    };
    let device = Arc::new(SdfDevice::new("hsm", given).unwrap());
    let vault = vault(&device);
    // Debug builds may take longer than the deadline when the machine is busy.
    eventually("it is adopted", || {
        vault.adopt(&key("k"), KeyKind::Sm2, Purpose::Sign, "hsm", "1").is_ok() || vault.exists(&key("k"))
    });
    let handle = vault.key(&key("k"));
    rig.hold(true);
    for _ in 0..20 {
        let error = sign(&handle).unwrap_err();
        let (text, _) = problem(&error);
        assert!(
            ["did not answer", "is gone", "all sessions"].iter().any(|part| text.contains(part)),
            "{text}"
        );
    }
    assert!(rig.standing() <= 2, "no more threads than sessions stand in the device");
    rig.hold(false);
    eventually("it signs again", || sign(&handle).is_ok());
}

#[test]
fn a_vendors_own_code_costs_the_session_and_no_more() {
    let (rig, device, _) = ready();
    let handle = signer(&device);
    sign(&handle).unwrap();
    let opened = rig.sessions_opened();
    rig.fail(0x0200_0001, 1);
    sign(&handle).unwrap();
    assert_eq!(rig.sessions_opened(), opened + 1);
    rig.fail(codes::UNKNOWN, 10);
    let error = sign(&handle).unwrap_err();
    assert!(problem(&error).0.contains("SDR_UNKNOWERR"), "{error}");
    rig.fail(0, 0);
    sign(&handle).unwrap();
}

#[test]
fn what_the_device_says_against_foreign_data_is_one_refusal() {
    let (rig, device, _) = ready();
    let vault = vault(&device);
    vault.adopt(&key("open"), KeyKind::Sm2, Purpose::Encrypt, "hsm", "1").unwrap();
    let handle = vault.key(&key("open"));
    let format = qiao_vault::CipherFormat::Der;
    let cipher = handle.encrypt(b"plain", format).unwrap();
    assert_eq!(*handle.decrypt(&cipher, format).unwrap(), b"plain");
    let mut seen = Vec::new();
    for at in 10..cipher.len() {
        let mut tampered = cipher.clone();
        tampered[at] ^= 1;
        seen.push(handle.decrypt(&tampered, format).unwrap_err().to_string());
    }
    seen.dedup();
    assert_eq!(seen, ["the message was refused"]);
    assert!(rig.sessions_opened() <= 2, "tampering costs no session");
}
