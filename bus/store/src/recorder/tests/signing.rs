//! A checkpoint key in a device that hangs: neither the disk nor the calls wait for it.
use parking_lot::Condvar;
use qiao_vault::{
    CryptoError, DEFAULT_SM2_ID, DeviceKind, DeviceStatus, KeyDevice, KeyHandle, KeyKind, KeyRef, Purpose,
    SignatureFormat, Vault, Zeroizing,
    external::{Blocks, DeviceCipher, DeviceKey, SignInput},
};

use super::*;
use crate::CheckpointKey;

/// Signs with a key of its own, once nobody holds it.
struct Slow {
    key: KeyHandle,
    held: Mutex<bool>,
    changed: Condvar,
}

impl Slow {
    fn hold(&self, hold: bool) {
        *self.held.lock() = hold;
        self.changed.notify_all();
    }
}

const NONE: CryptoError = CryptoError::Failed("it only signs");

impl KeyDevice for Slow {
    fn name(&self) -> &str {
        "hsm"
    }

    fn public(&self, _: &str, _: Purpose) -> Result<[u8; 64], CryptoError> {
        let point = self.key.public().map_err(|_| NONE)?;
        point[1..].try_into().map_err(|_| NONE)
    }

    fn sign(&self, _: &DeviceKey<'_>, input: &SignInput<'_>) -> Result<[u8; 64], CryptoError> {
        let mut held = self.held.lock();
        self.changed.wait_while_for(&mut held, |held| *held, LONG);
        let made = self.key.sign(input.message, input.id, SignatureFormat::Raw).map_err(|_| NONE)?;
        made.try_into().map_err(|_| NONE)
    }

    fn decrypt(&self, _: &DeviceKey<'_>, _: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        Err(NONE)
    }

    fn new_sm4(&self, _: &str) -> Result<Option<Vec<u8>>, CryptoError> {
        Err(NONE)
    }

    fn sm4(&self, _: &DeviceCipher<'_>, _: &Blocks<'_>) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        Err(NONE)
    }

    fn status(&self) -> DeviceStatus {
        DeviceStatus {
            name: "hsm".to_owned(),
            kind: DeviceKind::Sdf,
            answering: true,
            open: 0,
            most: 1,
            in_use: 0,
            waiting: 0,
            failures: 0,
            last_failure: None,
            last_failure_at: None,
        }
    }
}

/// A device, and a key in it.
fn device() -> (Arc<Slow>, Vault, KeyHandle) {
    let inside = Vault::in_memory().expect("a vault");
    let name: KeyRef = "vault:audit/sign".parse().expect("a reference");
    inside.generate(&name, KeyKind::Sm2, Purpose::Sign).expect("a key");
    let slow = Arc::new(Slow { key: inside.key(&name), held: Mutex::new(false), changed: Condvar::new() });
    let vault = Vault::in_memory().expect("a vault");
    vault.attach(Arc::clone(&slow) as Arc<dyn KeyDevice>).expect("attached");
    vault.adopt(&name, KeyKind::Sm2, Purpose::Sign, "hsm", "1").expect("adopted");
    let key = vault.key(&name);
    (slow, vault, key)
}

#[tokio::test]
async fn while_the_device_hangs_records_reach_the_disk_and_are_signed_once_it_answers() {
    let (slow, _vault, key) = device();
    assert!(key.blocks() && key.sign(b"m", DEFAULT_SM2_ID, SignatureFormat::Raw).is_ok());
    let folder = tempfile::tempdir().expect("folder");
    let node = open(folder.path(), true, |config| {
        config.sync = SyncPolicy::Each;
        config.checkpoints = Some(CheckpointKey::new(key));
    });
    slow.hold(true);
    let ids = tokio::time::timeout(LONG, keep(&node, 20)).await.expect("the disk does not wait");
    assert_eq!(node.recorder.counters().checkpoints, 0);
    slow.hold(false);
    node.recorder.close(LONG).await;
    let counters = node.recorder.counters();
    assert!(counters.checkpoints >= 1 && counters.checkpoint_errors == 0, "{counters:?}");
    assert!(!node.recorder.state.unsigned(), "the last record is signed too");
    assert_all_found(&node, &ids).await;
}
