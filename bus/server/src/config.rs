//! A node's settings: `qiao serve --config FILE`. Strict: unknown keys are refused, every mistake is reported at once.
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use qiao_engine::definitions::{Bytes, Duration};
use qiao_mappings::strict::{Mistake, Source};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod devices;
mod time_stamps;
mod vault;

pub use devices::{DecryptName, DeviceConfig, DeviceKeyConfig, RemoteConfig, SdfConfig, UnsealDevice};
pub use time_stamps::TimeStampConfig;
pub use vault::{UnsealBy, VaultConfig, VaultStorage};

/// The settings of one bus node. Relative paths are relative to the file.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Config {
    /// Folder of everything this node keeps: call log, call index, vault, `node.json`.
    pub data: PathBuf,
    pub definitions: DefinitionsConfig,
    #[serde(default)]
    pub gateway: GatewayConfig,
    #[serde(default)]
    pub admin: AdminConfig,
    pub vault: VaultConfig,
    #[serde(default)]
    pub record: RecordConfig,
    /// Mock partners run inside this node; left out: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mocks: Option<MocksConfig>,
    /// Worker threads of the gateway; the number of cores when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 256))]
    pub workers: Option<usize>,
    /// How long calls under way may go on after SIGTERM, 30s when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<Duration>,
    /// What was signed is what runs: `qiao serve` needs it. `off` for a node that is not in production.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integrity: Option<IntegrityConfig>,
    /// Who stamps the time on evidence; nobody when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_stamps: Option<TimeStampConfig>,
    /// The file these settings were read from; none where a program made them.
    #[serde(skip)]
    pub file: Option<PathBuf>,
}

/// `off`, or what program, settings, definitions, grants and callers are checked against.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum IntegrityConfig {
    Off(Off),
    On(SignedConfig),
}

impl IntegrityConfig {
    /// Nothing is checked.
    pub const OFF: Self = Self::Off(Off::Off);

    fn paths(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Self::Off(_) => Vec::new(),
            Self::On(signed) => vec![&mut signed.manifest, &mut signed.seals],
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Off {
    Off,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SignedConfig {
    /// The signed manifest of program, settings and definitions; `qiao manifest sign` writes it.
    pub manifest: PathBuf,
    /// The signer's SM2 public key as `qiao keys export-public` prints it: 04, x, y in hex.
    #[schemars(regex(pattern = r"^04[0-9a-fA-F]{128}$"))]
    pub public_key: String,
    /// The seals of grants and callers; `qiao grants seal` writes them.
    pub seals: PathBuf,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DefinitionsConfig {
    /// Where definitions come from.
    pub from: DefinitionsFrom,
    /// The folder with `systems/`, `interfaces/`, `callers/`, `grants/`, `tables/`.
    pub folder: PathBuf,
    /// Which of a system's endpoints are called.
    pub endpoints: EndpointSet,
    /// Replaces scheme, host and port of every mock endpoint, for instance `http://127.0.0.1:18090`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mock_base: Option<String>,
    /// Reload when a file changes; true when left out. SIGHUP always reloads.
    #[serde(default = "yes")]
    pub watch: bool,
}

fn yes() -> bool {
    true
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DefinitionsFrom {
    Files,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EndpointSet {
    Live,
    Mock,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct GatewayConfig {
    pub listen: SocketAddr,
    /// Serve TLS with this certificate chain and key (PEM); both or none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// true: listen beyond this machine without TLS, behind something that encrypts. Refused when left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cleartext: bool,
    /// The host name in the certificate, by which commands on this machine call the gateway; its address when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Connections at most, 10000 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections: Option<usize>,
    /// Bound on a request's head, 32KiB when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header_bytes: Option<Bytes>,
    /// How long a request's head may take to arrive, 10s when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header_read: Option<Duration>,
    /// How long a request's body may stand still, 30s when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_idle: Option<Duration>,
    /// How long an idle connection is kept, 75s when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<Duration>,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            certificate: None,
            key: None,
            cleartext: false,
            name: None,
            connections: None,
            header_bytes: None,
            header_read: None,
            body_idle: None,
            keep_alive: None,
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct AdminConfig {
    pub listen: SocketAddr,
    /// true: listen beyond this machine, where tokens travel in the clear unless something in front encrypts. Refused when left
    /// out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cleartext: bool,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 8081)), cleartext: false }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct RecordConfig {
    /// false: calls are not recorded, for benchmarks only; interfaces with `record: strict` are then refused.
    pub enabled: bool,
    /// Size of one file of the call log, 64MiB when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment_bytes: Option<Bytes>,
    /// Disk budget of records not yet in the store, 4GiB when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Bytes>,
    /// `interval`: fsync once a second (a power cut may lose a second). `each`: before every answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<SyncName>,
}

impl Default for RecordConfig {
    fn default() -> Self {
        Self { enabled: true, segment_bytes: None, budget: None, sync: None }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SyncName {
    Interval,
    Each,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct MocksConfig {
    /// Folder with one folder per mock partner.
    pub folder: PathBuf,
    #[serde(default = "default_mock_address")]
    pub listen: SocketAddr,
    /// Hosts, with or without port, that mock partners may push to beside loopback.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub push_to: Vec<String>,
    /// Secret of the vault that holds the URL of the broker they publish to: `amqp://user:password@host:port/vhost`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub broker: Option<qiao_vault::KeyRef>,
    /// Where mock partners find the bus, as `partner.bus`; the gateway of this process when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bus: Option<String>,
    /// Bound of their journal: 64MiB when left out, 4GiB at most. An entry takes about 200 bytes and its bodies, of each the first 8 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<Bytes>,
}

impl MocksConfig {
    /// How the mock server runs; `bus` is where its pushes go unless the settings say otherwise.
    ///
    /// # Errors
    /// A secret of the broker that the vault does not have, a journal that is too large.
    pub fn server(
        &self,
        bus: Option<String>,
        vault: &qiao_vault::Vault,
    ) -> Result<qiao_mocks::MockConfig, crate::node::NodeError> {
        let bus = self.bus.clone().or(bus);
        let broker = self.broker.as_ref().map(|key| {
            let failed = |error: &dyn std::fmt::Display| {
                crate::node::NodeError::unusable(format!("mocks.broker: {key}"), error)
            };
            let url = vault.key(key).reveal_secret().map_err(|error| failed(&error))?;
            let text = std::str::from_utf8(&url).map_err(|error| failed(&error))?;
            Ok::<_, crate::node::NodeError>(qiao_mocks::BrokerUrl::new(text))
        });
        let standard = qiao_mocks::MockConfig::new(self.folder.clone());
        let journal = self.journal.map_or(standard.journal_bytes as u64, |bytes| bytes.0);
        let journal_bytes =
            usize::try_from(journal).ok().filter(|bytes| *bytes <= qiao_mocks::MAX_JOURNAL_BYTES);
        let journal_bytes =
            journal_bytes.ok_or_else(|| crate::node::NodeError::unusable("mocks.journal", "at most 4GiB"))?;
        Ok(qiao_mocks::MockConfig {
            address: self.listen,
            journal_bytes,
            // Whoever asks for a free port means all of them.
            ports: if self.listen.port() == 0 {
                qiao_mocks::Ports::Free
            } else {
                qiao_mocks::Ports::Declared
            },
            push_to: self.push_to.clone(),
            broker: broker.transpose()?,
            parameters: bus.map(|bus| ("bus".to_owned(), bus.into())).into_iter().collect(),
            ..standard
        })
    }
}

fn default_mock_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8090))
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{file}: cannot be read: {reason}")]
    Unreadable { file: PathBuf, reason: std::io::Error },
    #[error("{}", list(.0))]
    Mistakes(Vec<Mistake>),
    #[error("{file}: {message}")]
    Unusable { file: PathBuf, message: String },
}

fn list(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl Config {
    /// Reads a settings file; its relative paths become relative to its folder.
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = read(file)?;
        config.resolve(file.parent().unwrap_or(Path::new(".")));
        config.file = Some(file.into());
        if config.gateway.certificate.is_some() != config.gateway.key.is_some() {
            let message = "gateway: `certificate` and `key` go together: give both, or none".to_owned();
            return Err(ConfigError::Unusable { file: file.into(), message });
        }
        config.vault.check(file)?;
        let stamps = config.time_stamps.as_ref().map_or(Ok(()), TimeStampConfig::check);
        stamps.map_err(|message| ConfigError::Unusable { file: file.into(), message })?;
        config.no_cleartext().map_err(|message| ConfigError::Unusable { file: file.into(), message })?;
        Ok(config)
    }

    /// Credentials and personal data leave this machine encrypted, unless somebody says otherwise (GB/T 39786 level 3, in transit).
    fn no_cleartext(&self) -> Result<(), String> {
        let beyond = |listen: &SocketAddr| !listen.ip().is_loopback();
        if beyond(&self.gateway.listen) && self.gateway.certificate.is_none() && !self.gateway.cleartext {
            return Err(format!(
                "gateway.listen: {} is reached from elsewhere without TLS: give `certificate` and `key`, or write `cleartext: true` where something in front encrypts",
                self.gateway.listen
            ));
        }
        if beyond(&self.admin.listen) && !self.admin.cleartext {
            return Err(format!(
                "admin.listen: {} is reached from elsewhere without TLS: listen on 127.0.0.1, or write `cleartext: true` where something in front encrypts",
                self.admin.listen
            ));
        }
        Ok(())
    }

    fn resolve(&mut self, base: &Path) {
        let paths = [&mut self.data, &mut self.definitions.folder]
            .into_iter()
            .chain(self.vault.paths())
            .chain(self.gateway.certificate.as_mut())
            .chain(self.gateway.key.as_mut())
            .chain(self.mocks.as_mut().map(|mocks| &mut mocks.folder))
            .chain(self.time_stamps.as_mut().and_then(|stamps| stamps.authorities.as_mut()))
            .chain(self.integrity.as_mut().into_iter().flat_map(IntegrityConfig::paths));
        for path in paths {
            *path = base.join(&*path);
        }
    }
}

/// The settings of `qiao mocks`: mock partners alone. Relative paths are relative to the file.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct MocksOnlyConfig {
    pub mocks: MocksConfig,
    /// Where `/api/mocks` is served, behind the token in `data`.
    pub admin: AdminConfig,
    /// Folder of the admin token.
    pub data: PathBuf,
    /// The vault with the partners' halves of the keys.
    pub vault: VaultConfig,
}

impl MocksOnlyConfig {
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = read(file)?;
        let base = file.parent().unwrap_or(Path::new("."));
        for path in [&mut config.data, &mut config.mocks.folder].into_iter().chain(config.vault.paths()) {
            *path = base.join(&*path);
        }
        config.vault.check(file)?;
        Ok(config)
    }
}

fn read<T: serde::de::DeserializeOwned + JsonSchema + 'static>(file: &Path) -> Result<T, ConfigError> {
    let text = std::fs::read_to_string(file)
        .map_err(|reason| ConfigError::Unreadable { file: file.into(), reason })?;
    let source = Source::read(&file.display().to_string(), &text).map_err(ConfigError::Mistakes)?;
    source.decode().map_err(ConfigError::Mistakes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_settings_are_read_and_their_defaults_are_the_defaults() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples/qiao.yaml");
        let config = Config::read(&file).expect("the example");
        assert_eq!(config.gateway.listen, GatewayConfig::default().listen);
        assert_eq!(config.admin.listen, AdminConfig::default().listen);
        assert!(config.record.enabled && config.definitions.watch);
        let limits = crate::gateway::GatewayLimits::default();
        assert_eq!(config.gateway.connections, Some(limits.connections));
        assert_eq!(config.gateway.header_bytes.map(|bytes| bytes.0), Some(limits.header_bytes as u64));
        assert_eq!(config.gateway.header_read.map(|time| time.0), Some(limits.header_read));
        assert_eq!(config.gateway.body_idle.map(|time| time.0), Some(limits.body_idle));
        assert_eq!(config.gateway.keep_alive.map(|time| time.0), Some(limits.keep_alive_idle));
        let record = qiao_store::EmbeddedConfig::new(PathBuf::new()).recorder;
        assert_eq!(config.record.segment_bytes.map(|bytes| bytes.0), Some(record.segment_bytes));
        assert_eq!(config.record.budget.map(|bytes| bytes.0), Some(record.budget_bytes));
    }

    #[test]
    fn settings_tell_every_mistake_with_its_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("qiao.yaml");
        let text =
            "data: d\ndefinitions: {from: files, folder: r, endpoints: lvie}\ngatway: {}\nvault: {fil: v}\n";
        std::fs::write(&file, text).expect("written");
        let text = Config::read(&file).expect_err("mistakes").to_string();
        for part in ["qiao.yaml:2:", "lvie", "qiao.yaml:3:1", "gatway", "qiao.yaml:4:", "did you mean `file`"]
        {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }
}
