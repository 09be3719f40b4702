//! Builds a connector from a system's definition. A system that did not change keeps its connector, and with it pools and endpoint health.
use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};

use parking_lot::Mutex;
use qiao_connectors::{
    Credential, Endpoint, HealthConfig, HttpConfig, HttpConnector, HttpOperation, HttpProtocol, Roots,
    SecretSource, SecretString, TlsConfig,
};
use qiao_core::{Connector, EndpointHealth, Fault, fault_codes};
use qiao_engine::{
    definitions::{
        SystemDefinition,
        partner::{self, Tls},
        system::{self, Protocol},
    },
    plan::ConnectorFactory,
};
use qiao_vault::{KeyRef, Vault};

use crate::config::EndpointSet;

/// Makes and keeps the connectors of a node.
pub struct Connectors {
    endpoints: EndpointSet,
    mock_base: Option<String>,
    folder: PathBuf,
    vault: Vault,
    kept: Mutex<Kept>,
}

/// The connectors of the active plan, and those made for a plan that is being compiled.
#[derive(Default)]
struct Kept {
    active: HashMap<String, Built>,
    fresh: HashMap<String, Built>,
}

struct Built {
    /// The definition, and a digest of the files it names.
    made_of: String,
    connector: Arc<HttpConnector>,
}

impl Connectors {
    pub fn new(endpoints: EndpointSet, mock_base: Option<String>, folder: PathBuf, vault: Vault) -> Self {
        Self { endpoints, mock_base, folder, vault, kept: Mutex::default() }
    }

    /// The plan being compiled is active now: its connectors take the place of those before. A replaced connector keeps no
    /// connection from now on and ends with the last call that uses it.
    pub fn adopt(&self, systems: impl Fn(&str) -> bool) {
        let mut replaced = Vec::new();
        let mut kept = self.kept.lock();
        for (id, built) in std::mem::take(&mut kept.fresh) {
            replaced.extend(kept.active.insert(id, built));
        }
        let gone: Vec<_> = kept.active.keys().filter(|id| !systems(id)).cloned().collect();
        replaced.extend(gone.iter().filter_map(|id| kept.active.remove(id)));
        drop(kept);
        replaced.iter().for_each(|built| built.connector.drain());
    }

    /// The plan being compiled was refused: its connectors go, those of the active plan stay.
    pub fn discard(&self) {
        let fresh = std::mem::take(&mut self.kept.lock().fresh);
        drop(fresh);
    }

    /// Every endpoint of every system with its state.
    pub fn health(&self) -> Vec<(String, EndpointHealth)> {
        let kept = self.kept.lock();
        kept.active
            .iter()
            .flat_map(|(id, kept)| kept.connector.health().into_iter().map(|state| (id.clone(), state)))
            .collect()
    }

    /// Stops health checks and closes idle connections.
    pub fn drain(&self) {
        for built in self.kept.lock().active.values() {
            built.connector.drain();
        }
    }

    fn build(&self, id: &str, definition: &SystemDefinition) -> Result<HttpConnector, String> {
        let mut config = HttpConfig::new(id);
        config.protocol = match definition.protocol {
            None | Some(Protocol::Http) => HttpProtocol::Http,
            Some(Protocol::Soap11) => HttpProtocol::Soap11,
            Some(Protocol::Soap12) => HttpProtocol::Soap12,
        };
        config.endpoints = self.endpoints(definition)?;
        for (name, operation) in &definition.operations {
            config.operations.push(http_operation(name, operation)?);
        }
        if let Some(timeout) = definition.connect_timeout {
            config.connect_timeout = timeout.0;
        }
        apply_limits(&mut config, definition);
        config.tls = definition.tls.as_ref().map(|tls| self.tls(tls)).transpose()?;
        config.health = definition.health.as_ref().map(health);
        config.credential = self.credential(definition.credential.as_ref())?;
        HttpConnector::new(config).map_err(|error| error.to_string())
    }

    fn endpoints(&self, definition: &SystemDefinition) -> Result<Vec<Endpoint>, String> {
        let (set, name) = match self.endpoints {
            EndpointSet::Live => (&definition.endpoints.live, "live"),
            EndpointSet::Mock => (&definition.endpoints.mock, "mock"),
        };
        if set.is_empty() {
            return Err(format!(
                "has operations but no `{name}` endpoint, and this node calls `{name}` endpoints"
            ));
        }
        Ok(set.iter().map(|endpoint| self.endpoint(endpoint)).collect())
    }

    fn endpoint(&self, endpoint: &system::Endpoint) -> Endpoint {
        let url = match (self.endpoints, &self.mock_base) {
            (EndpointSet::Mock, Some(base)) => rebase(&endpoint.url, base),
            _ => endpoint.url.clone(),
        };
        let mut built = Endpoint::new(&url);
        built.weight = endpoint.weight.unwrap_or(1);
        built
    }

    fn tls(&self, tls: &Tls) -> Result<TlsConfig, String> {
        let read = |name: &String| {
            std::fs::read(self.folder.join(name))
                .map_err(|error| format!("tls: {name} cannot be read: {error}"))
        };
        let roots = tls.roots.as_ref().map_or(Roots::System, |roots| Roots::File(self.folder.join(roots)));
        let identity = match (&tls.certificate, &tls.key) {
            (Some(certificate), Some(key)) => Some(qiao_connectors::ClientIdentity {
                chain_pem: read(certificate)?,
                key_pem: SecretString::new(
                    String::from_utf8(read(key)?).map_err(|_| format!("tls: {key} is not a PEM file"))?,
                ),
            }),
            (None, None) => None,
            _ => return Err("tls: `certificate` and `key` go together: give both, or none".to_owned()),
        };
        Ok(TlsConfig { roots, identity, server_name: tls.server_name.clone() })
    }

    fn credential(&self, credential: Option<&partner::Credential>) -> Result<Credential, String> {
        let Some(credential) = credential else { return Ok(Credential::None) };
        if let Some(basic) = &credential.basic {
            let password = self.secret(&basic.password, String::new())?;
            return Ok(Credential::Basic { user: basic.user.clone(), password });
        }
        let Some(header) = &credential.header else { return Ok(Credential::None) };
        let name = header
            .name
            .parse()
            .map_err(|_| format!("credential.header.name: `{}` is no header name", header.name))?;
        Ok(Credential::Header { name, value: self.secret(&header.value, header.prefix.clone())? })
    }

    /// What a connector depends on: its definition and the content of its TLS files, which change without it.
    fn made_of(&self, definition: &SystemDefinition) -> Result<String, String> {
        let mut text = serde_json::to_string(definition).map_err(|error| error.to_string())?;
        let files = definition.tls.iter().flat_map(|tls| [&tls.roots, &tls.certificate, &tls.key]).flatten();
        for name in files {
            // A file that cannot be read is told when the connector is built.
            let content = std::fs::read(self.folder.join(name)).unwrap_or_default();
            text.push_str(&hex::encode(self.vault.provider().sm3(&[&content])));
        }
        Ok(text)
    }

    /// Reads the secret at each use, so that a rotated one counts at once.
    fn secret(&self, reference: &str, prefix: String) -> Result<SecretSource, String> {
        let reference: KeyRef = reference.parse().map_err(|error| format!("{error}"))?;
        let vault = self.vault.clone();
        Ok(Arc::new(move || {
            let text = vault
                .key(&reference)
                .reveal_secret()
                .map_err(|error| Fault::new(&fault_codes::VAULT_SEALED, format!("{reference}: {error}")))?;
            let text = std::str::from_utf8(&text).map_err(|_| {
                Fault::new(&fault_codes::FLOW_FAULT, format!("{reference}: a credential must be UTF-8 text"))
            })?;
            Ok(SecretString::new(format!("{prefix}{text}")))
        }))
    }
}

impl ConnectorFactory for Connectors {
    fn connector(&self, id: &str, definition: &SystemDefinition) -> Result<Arc<dyn Connector>, String> {
        let made_of = self.made_of(definition)?;
        let known = {
            let kept = self.kept.lock();
            let same = |built: &&Built| built.made_of == made_of;
            let found = kept.active.get(id).filter(same).or_else(|| kept.fresh.get(id).filter(same));
            found.map(|built| Arc::clone(&built.connector))
        };
        if let Some(connector) = known {
            return Ok(connector);
        }
        let connector = Arc::new(self.build(id, definition)?);
        let built = Built { made_of, connector: Arc::clone(&connector) };
        self.kept.lock().fresh.insert(id.to_owned(), built);
        Ok(connector)
    }
}

fn http_operation(name: &str, operation: &system::OperationDefinition) -> Result<HttpOperation, String> {
    let mut built = HttpOperation::new(name);
    built.soap_action.clone_from(&operation.soap_action);
    if let Some(header) = &operation.idempotency_header {
        let parsed = header
            .parse()
            .map_err(|_| format!("operations.{name}.idempotencyHeader: `{header}` is no header name"))?;
        built.idempotency_header = Some(parsed);
    }
    Ok(built)
}

fn apply_limits(config: &mut HttpConfig, definition: &SystemDefinition) {
    let as_size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    if let Some(pool) = &definition.pool {
        if let Some(idle) = pool.idle {
            config.pool.max_idle_per_endpoint = idle as usize;
        }
        if let Some(idle_for) = pool.idle_for {
            config.pool.idle_timeout = idle_for.0;
        }
        if let Some(connections) = pool.connections {
            config.pool.max_connections = connections as usize;
        }
    }
    if let Some(bytes) = definition.limits.as_ref().and_then(|limits| limits.answer_bytes) {
        config.limits.answer_bytes = as_size(bytes.0);
    }
}

fn health(health: &partner::Health) -> HealthConfig {
    HealthConfig {
        path: health.path.clone(),
        every: health.every.map_or(Duration::from_secs(10), |every| every.0),
        timeout: health.timeout.map_or(Duration::from_secs(2), |timeout| timeout.0),
        fall: health.fall.unwrap_or(3),
        rise: health.rise.unwrap_or(2),
    }
}

/// The endpoint's path at another scheme, host and port.
fn rebase(url: &str, base: &str) -> String {
    let path = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    format!("{}/{path}", base.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::rebase;

    #[test]
    fn a_mock_endpoint_keeps_its_path_at_another_port() {
        assert_eq!(
            rebase("http://127.0.0.1:8090/hrss", "http://127.0.0.1:18090"),
            "http://127.0.0.1:18090/hrss"
        );
        assert_eq!(rebase("http://127.0.0.1:8090", "http://127.0.0.1:18090/"), "http://127.0.0.1:18090/");
    }
}
