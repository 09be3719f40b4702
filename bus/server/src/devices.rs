//! Opens the devices and services that hold keys, as settings describe them, and attaches them to the vault. For `unseal`.
use std::{collections::BTreeMap, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use qiao_vault::{
    Credential, DecryptForm, KeyDevice, RemoteDevice, RemoteSettings, RootSecret, SdfDevice, SdfSettings,
    Vault, Zeroizing,
};

use crate::{
    config::{
        DecryptName, DeviceConfig, DeviceKeyConfig, RemoteConfig, SdfConfig, UnsealDevice, VaultConfig,
    },
    node::NodeError,
};

/// A password or token has at most this many bytes.
const LONGEST: u64 = 4096;

/// Attaches every device of the settings. None is contacted before one of its keys is used.
pub fn attach(config: &VaultConfig, vault: &Vault) -> Result<(), NodeError> {
    for (name, device) in &config.devices {
        let failed = |reason: String| NodeError::unusable(format!("vault.devices.{name}"), reason);
        let device: Arc<dyn KeyDevice> = match device {
            DeviceConfig::Sdf(sdf) => Arc::new(sdf_device(name, sdf).map_err(failed)?),
            DeviceConfig::Remote(remote) => Arc::new(remote_device(name, remote, vault).map_err(failed)?),
        };
        vault.attach(device).map_err(|error| failed(error.to_string()))?;
    }
    Ok(())
}

/// What unseals the vault by a device.
pub fn root(unseal: &UnsealDevice, vault: &Vault) -> Result<RootSecret, NodeError> {
    let device =
        vault.device(&unseal.device).map_err(|error| NodeError::unusable("vault.unsealDevice", error))?;
    Ok(RootSecret::Device { device, id: unseal.key.clone() })
}

fn sdf_device(name: &str, config: &SdfConfig) -> Result<SdfDevice, String> {
    let mut settings = SdfSettings::new(&config.library);
    settings.sessions = config.sessions.unwrap_or(settings.sessions);
    settings.wait = config.wait.map_or(settings.wait, |time| time.0);
    settings.answer = config.answer.map_or(settings.answer, |time| time.0);
    settings.decrypt = match config.decrypt {
        DecryptName::WithAlgorithm => DecryptForm::WithAlgorithm,
        DecryptName::WithoutAlgorithm => DecryptForm::WithoutAlgorithm,
    };
    let (mut pairs, mut keks) = (BTreeMap::new(), BTreeMap::new());
    for key in &config.keys {
        let (into, digits) = match key.key.strip_prefix("kek:") {
            Some(digits) => (&mut keks, digits),
            None => (&mut pairs, key.key.as_str()),
        };
        let index =
            digits.parse().map_err(|_| format!("key `{}` is no index such as 3 or kek:3", key.key))?;
        if into.insert(index, password(key)?).is_some() {
            return Err(format!("key `{}` stands there twice", key.key));
        }
    }
    (settings.passwords, settings.kek_passwords) = (pairs, keks);
    SdfDevice::new(name, settings).map_err(|error| error.to_string())
}

fn password(key: &DeviceKeyConfig) -> Result<Zeroizing<Vec<u8>>, String> {
    let text = match (&key.password_file, &key.password_environment) {
        (Some(file), None) => private(file)?,
        (None, Some(name)) => {
            Zeroizing::new(std::env::var(name).map_err(|_| format!("the environment has no text {name}"))?)
        }
        _ => return Err(format!("key `{}`: give passwordFile, or passwordEnvironment", key.key)),
    };
    Ok(Zeroizing::new(text.as_bytes().to_vec()))
}

/// The first line of a file that only its owner may read.
fn private(file: &Path) -> Result<Zeroizing<String>, String> {
    use std::io::Read;
    let failed = |error: std::io::Error| format!("{}: {error}", file.display());
    let opened = std::fs::File::open(file).map_err(failed)?;
    let mode = opened.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        let mode = mode & 0o777;
        return Err(format!("{} may be read by others (mode {mode:o}): chmod 600 it", file.display()));
    }
    let mut text = Zeroizing::new(String::with_capacity(LONGEST as usize + 1));
    opened.take(LONGEST + 1).read_to_string(&mut text).map_err(failed)?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() || line.len() as u64 > LONGEST {
        return Err(format!("{}: a password has 1 to {LONGEST} bytes", file.display()));
    }
    Ok(Zeroizing::new(line.to_owned()))
}

fn remote_device(name: &str, config: &RemoteConfig, vault: &Vault) -> Result<RemoteDevice, String> {
    let authorities = std::fs::read(&config.authorities)
        .map_err(|error| format!("{}: {error}", config.authorities.display()))?;
    let credential = match (&config.credential, &config.credential_file) {
        (None, None) => Credential::None,
        (None, Some(file)) => Credential::Fixed(private(file)?),
        (Some(key), None) => {
            let key = key.parse().map_err(|error| format!("credential: {error}"))?;
            Credential::Vault(vault.key(&key))
        }
        (Some(_), Some(_)) => return Err("give credential, or credentialFile, not both".to_owned()),
    };
    let usual = RemoteSettings::new(authorities);
    let settings = RemoteSettings {
        credential,
        connections: config.connections.unwrap_or(usual.connections),
        wait: config.wait.map_or(usual.wait, |time| time.0),
        connect: config.connect.map_or(usual.connect, |time| time.0),
        answer: config.answer.map_or(usual.answer, |time| time.0),
        ..usual
    };
    RemoteDevice::new(name, &config.service, settings).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use qiao_softdevice::rig::{Keys, Rig};
    use qiao_vault::{KeyKind, Purpose, VaultState};

    use super::*;
    use crate::unseal;

    /// Settings with a device that holds index 1, and the device.
    fn node() -> (Rig, VaultConfig) {
        let rig = Rig::new(&Keys::new().pair(1, "secret-word", &[3; 32], &[4; 32])).expect("a device");
        let word = rig.folder().join("hsm-1.password");
        crate::secrets::write_private(&word, "secret-word").expect("written");
        let config = serde_json::json!({
            "file": rig.folder().join("vault.json"),
            "unsealDevice": {"device": "hsm", "key": "1"},
            "devices": {"hsm": {"sdf": {
                "library": rig.path(), "sessions": 2, "keys": [{"key": "1", "passwordFile": word}],
            }}},
        });
        (rig, serde_json::from_value(config).expect("settings"))
    }

    #[test]
    fn a_node_opens_its_vault_with_the_device_its_settings_name() {
        let (rig, config) = node();
        let vault = unseal::at(&config).expect("a vault");
        vault
            .init(&root(config.unseal_device.as_ref().expect("one"), &vault).expect("a root"))
            .expect("made");
        let key = "vault:bus/sign".parse().expect("a reference");
        vault.adopt(&key, KeyKind::Sm2, Purpose::Sign, "hsm", "1").expect("adopted");
        drop(vault);
        let vault = unseal::start(&config).expect("started");
        assert!(vault.is_unsealed() && vault.key(&key).blocks());
        drop(vault);
        rig.unplug(true);
        let error = unseal::start(&config).err().expect("no device, no vault").to_string();
        assert!(error.contains("key device hsm"), "{error}");
        rig.unplug(false);
        let manual = VaultConfig { unseal: Some(crate::config::UnsealBy::Manual), ..config };
        assert_eq!(unseal::start(&manual).expect("sealed").state().expect("known"), VaultState::Sealed);
    }

    /// The answer of the admin listener, head and body.
    fn asked(admin: std::net::SocketAddr, path: &str) -> String {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(admin).expect("open");
        stream.set_read_timeout(Some(PATIENCE)).expect("a bound");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: bus\r\nConnection: close\r\n\r\n").expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        text
    }

    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

    /// Settings of a whole node whose vault the device opens; every key it needs is there.
    fn whole_node(rig: &Rig, vault: VaultConfig) -> crate::config::Config {
        let folder = rig.folder();
        for name in ["systems", "interfaces", "callers", "grants"] {
            std::fs::create_dir_all(folder.join("routes").join(name)).expect("a folder");
        }
        let settings = serde_json::json!({
            "data": folder.join("data"), "integrity": "off", "record": {"enabled": false},
            "definitions": {"from": "files", "folder": folder.join("routes"), "endpoints": "mock", "watch": false},
            "gateway": {"listen": "127.0.0.1:0"}, "admin": {"listen": "127.0.0.1:0"}, "vault": vault,
        });
        let config: crate::config::Config = serde_json::from_value(settings).expect("settings");
        let vault = unseal::at(&config.vault).expect("a vault");
        let unseal = config.vault.unseal_device.as_ref().expect("one");
        vault.init(&root(unseal, &vault).expect("a root")).expect("made");
        for key in crate::needed_keys::node_keys(&config) {
            crate::demo_keys::generate(&vault, &key).expect("a key");
        }
        config
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_node_whose_device_is_away_starts_sealed_and_serves_once_it_is_back() {
        let (rig, vault) = node();
        let config = whole_node(&rig, vault);
        rig.unplug(true);
        let running = crate::serve::Running::start(config, None).await.expect("started");
        let admin = running.admin;
        let said = asked(admin, "/healthz");
        assert!(
            said.contains("200 OK") && said.contains("sealed\nkey device hsm does not answer\n"),
            "{said}"
        );
        assert!(asked(admin, "/readyz").contains("503"));
        let metrics = asked(admin, "/metrics");
        for line in ["qiao_vault_sealed 1", "qiao_key_device_up{device=\"hsm\"} 0"] {
            assert!(metrics.contains(line), "{line} is not in\n{metrics}");
        }
        assert!(!metrics.contains("secret-word") && !said.contains("secret-word"));
        rig.unplug(false);
        let end = std::time::Instant::now() + PATIENCE;
        while !asked(admin, "/readyz").contains("200 OK") {
            assert!(std::time::Instant::now() < end, "not ready: {}", asked(admin, "/healthz"));
            tokio::task::yield_now().await;
        }
        assert!(asked(admin, "/healthz").ends_with("\r\n\r\nok\n"), "{}", asked(admin, "/healthz"));
        let metrics = asked(admin, "/metrics");
        assert!(metrics.contains("qiao_key_device_up{device=\"hsm\"} 1"), "{metrics}");
        running.stop(std::future::pending()).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_device_that_refuses_the_password_is_not_waited_for() {
        let (rig, vault) = node();
        let config = whole_node(&rig, vault);
        std::fs::write(rig.folder().join("hsm-1.password"), "another-word").expect("written");
        let error = crate::serve::Running::start(config, None).await.err().expect("refused").to_string();
        assert!(error.contains("password") && !error.contains("another-word"), "{error}");
        assert_eq!(rig.wrong_passwords(), 1, "said once");
    }

    #[test]
    fn a_password_that_others_may_read_is_not_used() {
        let (rig, config) = node();
        let file = rig.folder().join("hsm-1.password");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).expect("changed");
        let error = unseal::at(&config).err().expect("refused").to_string();
        assert!(error.contains("vault.devices.hsm") && error.contains("chmod 600"), "{error}");
        assert!(!error.contains("secret-word"), "{error}");
    }

    #[test]
    fn what_is_wrong_with_a_device_is_named() {
        let (_rig, config) = node();
        let wrong = |path: &str, value: serde_json::Value| {
            let mut text = serde_json::to_value(&config).expect("JSON");
            *text.pointer_mut(path).expect("there") = value;
            let config = serde_json::from_value(text).expect("settings");
            unseal::at(&config).err().expect("refused").to_string()
        };
        let key = "/devices/hsm/sdf/keys/0";
        let library = wrong("/devices/hsm/sdf/library", "/nonexistent.so".into());
        assert!(library.contains("/nonexistent.so"), "{library}");
        let both = wrong(key, serde_json::json!({"key": "1"}));
        assert!(both.contains("passwordFile, or passwordEnvironment"), "{both}");
        let unset = wrong(key, serde_json::json!({"key": "1", "passwordEnvironment": "QIAO_TEST_UNSET"}));
        assert!(unset.contains("QIAO_TEST_UNSET"), "{unset}");
        let index = wrong(key, serde_json::json!({"key": "one", "passwordEnvironment": "HOME"}));
        assert!(index.contains("no index"), "{index}");
        assert!(wrong("/devices/hsm/sdf/sessions", 0.into()).contains("1 to 1024"));
    }
}
