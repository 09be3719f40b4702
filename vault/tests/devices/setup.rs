//! A device with known keys, and a driver on it.
use qiao_softdevice::rig::{Keys, Rig};
use qiao_vault::{
    KeyRef, Provider, PureProvider, SdfDevice, SdfSettings, Vault, Zeroizing, external::KeyDevice,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub const PASSWORD: &str = "index-1-password";
pub const KEK_PASSWORD: &str = "kek-4-password";

/// The scalars of the device's index 1.
pub struct Secrets {
    pub sign: [u8; 32],
    pub encrypt: [u8; 32],
}

pub fn secrets() -> Secrets {
    Secrets { sign: *PureProvider.sm2_generate().unwrap(), encrypt: *PureProvider.sm2_generate().unwrap() }
}

pub fn keys(secrets: &Secrets) -> Keys {
    Keys::new().pair(1, PASSWORD, &secrets.sign, &secrets.encrypt).kek(4, KEK_PASSWORD, &[9; 16])
}

/// Settings with the passwords, quick to find a lost device again.
pub fn settings(rig: &Rig) -> SdfSettings {
    let word = |text: &str| Zeroizing::new(text.as_bytes().to_vec());
    SdfSettings {
        passwords: [(1, word(PASSWORD))].into(),
        kek_passwords: [(4, word(KEK_PASSWORD))].into(),
        pause: (Duration::from_millis(1), Duration::from_millis(4)),
        answer: Duration::from_secs(60),
        wait: Duration::from_secs(60),
        ..SdfSettings::new(rig.path())
    }
}

pub fn device(rig: &Rig) -> Arc<SdfDevice> {
    Arc::new(SdfDevice::new("hsm", settings(rig)).unwrap())
}

/// A device and its driver.
pub fn ready() -> (Rig, Arc<SdfDevice>, Secrets) {
    let secrets = secrets();
    let rig = Rig::new(&keys(&secrets)).unwrap();
    let device = device(&rig);
    (rig, device, secrets)
}

/// A vault with that device attached.
pub fn vault(device: &Arc<SdfDevice>) -> Vault {
    let vault = Vault::in_memory().unwrap();
    vault.attach(device.clone() as Arc<dyn KeyDevice>).unwrap();
    vault
}

pub fn key(name: &str) -> KeyRef {
    format!("vault:{name}").parse().unwrap()
}

/// Asks until it is so; a minute at most.
pub fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < end, "not within a minute: {what}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}
