//! The pool's bound and its waiting.
use crate::setup::{eventually, key, keys, secrets, settings, vault};
use qiao_softdevice::rig::Rig;
use qiao_vault::{
    DEFAULT_SM2_ID, KeyKind, Purpose, SdfDevice, SdfSettings, SignatureFormat, VaultError,
    external::KeyDevice,
};
use std::{sync::Arc, time::Duration};

#[test]
fn no_more_sessions_are_open_than_the_settings_say() {
    let rig = Rig::new(&keys(&secrets())).unwrap();
    let device = Arc::new(SdfDevice::new("hsm", SdfSettings { sessions: 3, ..settings(&rig) }).unwrap());
    let vault = vault(&device);
    vault.adopt(&key("k"), KeyKind::Sm2, Purpose::Sign, "hsm", "1").unwrap();
    let handle = vault.key(&key("k"));
    rig.hold(true);
    std::thread::scope(|scope| {
        let calls: Vec<_> =
            (0..9).map(|_| scope.spawn(|| handle.sign(b"m", DEFAULT_SM2_ID, SignatureFormat::Raw))).collect();
        eventually("three stand in the device", || rig.standing() == 3);
        eventually("the others wait", || device.status().waiting == 6);
        let status = device.status();
        assert_eq!((status.open, status.in_use, status.failures), (3, 3, 0));
        rig.hold(false);
        for call in calls {
            call.join().unwrap().unwrap();
        }
    });
    assert_eq!((rig.most_sessions(), rig.open_sessions()), (3, 3));
    eventually("all are idle", || (device.status().in_use, device.status().waiting) == (0, 0));
    drop((handle, vault, device));
    eventually("a dropped pool closes its sessions", || rig.open_sessions() == 0);
}

#[test]
fn a_call_that_finds_every_session_taken_is_busy_after_its_wait() {
    let rig = Rig::new(&keys(&secrets())).unwrap();
    let given = SdfSettings { sessions: 1, wait: Duration::from_millis(20), ..settings(&rig) };
    let device = Arc::new(SdfDevice::new("hsm", given).unwrap());
    let vault = vault(&device);
    vault.adopt(&key("k"), KeyKind::Sm2, Purpose::Sign, "hsm", "1").unwrap();
    let handle = vault.key(&key("k"));
    let sign = || handle.sign(b"m", DEFAULT_SM2_ID, SignatureFormat::Raw);
    rig.hold(true);
    std::thread::scope(|scope| {
        let first = scope.spawn(sign);
        eventually("the one session is taken", || rig.standing() == 1);
        let error = sign().unwrap_err();
        assert!(matches!(&error, VaultError::Device { busy: true, .. }), "{error:?}");
        rig.hold(false);
        first.join().unwrap().unwrap();
    });
    sign().unwrap();
}
