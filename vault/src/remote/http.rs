//! HTTPS to one service: trusted authorities given, requests bounded in number, time and size. For the remote driver.
use super::{
    Credential, MethodName, RemoteSettings,
    answer::Judge,
    template::{Compiled, Input, Template},
};
use crate::{
    external::{DeviceKind, DeviceStatus, Failures},
    provider::CryptoError,
};
use parking_lot::{Condvar, Mutex};
use serde_json::{Map, Value};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use ureq::{
    Agent,
    http::{Request, Uri},
    tls::{PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem},
};
use zeroize::Zeroizing;

/// The largest answer read.
const LARGEST: u64 = 16 << 20;
/// Idle connections are closed sooner than services usually do it, so that none is used as it closes.
const IDLE: Duration = Duration::from_secs(4);

const ALL_TAKEN: CryptoError = CryptoError::Busy("as many requests as may be are under way to the service");
const UNREACHABLE: CryptoError = CryptoError::Failed("the service cannot be reached");
const UNTRUSTED: CryptoError =
    CryptoError::Failed("the service's certificate does not come from the authorities of the settings");
const SILENT: CryptoError = CryptoError::Failed("the service did not answer within its deadline");
const BROKEN: CryptoError = CryptoError::Failed("the connection to the service broke");
const TOO_LARGE: CryptoError = CryptoError::Failed("the service's answer is too large");
const NOT_SENDABLE: CryptoError =
    CryptoError::Invalid("the request cannot be written as its description says");
const NO_CREDENTIAL: CryptoError = CryptoError::Failed("the credential for the service is not in the vault");

pub(super) struct Client {
    agent: Agent,
    endpoint: String,
    headers: Vec<(String, Template)>,
    judge: Judge,
    credential: Credential,
    most: usize,
    wait: Duration,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    under_way: usize,
    /// Requests that wait for their turn.
    waiting: usize,
    failures: Failures,
    failed: bool,
}

impl Client {
    /// Errors say what in the description or the settings is wrong.
    pub(super) fn new(
        endpoint: &str,
        headers: &Map<String, Value>,
        judge: Judge,
        settings: RemoteSettings,
    ) -> Result<Self, String> {
        let fine = endpoint.parse::<Uri>().is_ok_and(|uri| {
            uri.scheme_str() == Some("https") && uri.host().is_some() && uri.query().is_none()
        });
        if !fine {
            return Err(format!("endpoint: `{endpoint}` is no https://host:port/path"));
        }
        if !(1..=1024).contains(&settings.connections) {
            return Err("connections are 1 to 1024".to_owned());
        }
        let mut compiled = Vec::new();
        for (name, value) in headers {
            let text = value.as_str().ok_or_else(|| format!("headers.{name}: a text"))?;
            let template = Template::new(text, &["key", "usage", "credential"]);
            compiled.push((name.clone(), template.map_err(|what| format!("headers.{name}: {what}"))?));
        }
        Ok(Self {
            agent: agent(&settings)?,
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            headers: compiled,
            judge,
            credential: settings.credential,
            most: settings.connections,
            wait: settings.wait,
            state: Mutex::default(),
            freed: Condvar::new(),
        })
    }

    /// Asks the service; one more time only where nothing was sent the first time.
    pub(super) fn call(
        &self,
        operation: &Compiled,
        input: &Input<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let credential = match &self.credential {
            Credential::None => Zeroizing::default(),
            Credential::Fixed(text) => text.clone(),
            Credential::Vault(key) => {
                let bytes = key.reveal_secret().map_err(|_| NO_CREDENTIAL)?;
                Zeroizing::new(std::str::from_utf8(&bytes).map_err(|_| NO_CREDENTIAL)?.to_owned())
            }
        };
        let input = Input { credential: &credential, ..*input };
        let _turn = self.turn()?;
        let result = match self.once(operation, &input) {
            Err(UNREACHABLE) => self.once(operation, &input),
            result => result,
        };
        let mut state = self.state.lock();
        state.failed = matches!(result, Err(CryptoError::Failed(_)));
        if let Err(CryptoError::Failed(what) | CryptoError::Busy(what)) = result {
            state.failures.add(Some(what.to_owned()));
        }
        result
    }

    fn once(&self, operation: &Compiled, input: &Input<'_>) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let path = operation.path(input).ok_or(NOT_SENDABLE)?;
        let mut request = Request::builder().uri(format!("{}{path}", self.endpoint));
        for (name, template) in &self.headers {
            request = request.header(name, template.fill(input).ok_or(NOT_SENDABLE)?.as_str());
        }
        let sent = match operation.method {
            MethodName::Get => {
                let request = request.method("GET").body(()).map_err(|_| NOT_SENDABLE)?;
                self.agent.run(request)
            }
            MethodName::Post => {
                let body = operation.body(input).ok_or(NOT_SENDABLE)?;
                let request = request.method("POST").header("content-type", "application/json");
                self.agent.run(request.body(&body[..]).map_err(|_| NOT_SENDABLE)?)
            }
        };
        let mut response = sent.map_err(|error| failure(&error))?;
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(LARGEST).read_to_vec();
        let body = Zeroizing::new(body.map_err(|error| failure(&error))?);
        self.judge.read(operation, status, &body)
    }

    fn turn(&self) -> Result<Turn<'_>, CryptoError> {
        let deadline = Instant::now() + self.wait;
        let mut state = self.state.lock();
        while state.under_way >= self.most {
            state.waiting += 1;
            let late = self.freed.wait_until(&mut state, deadline).timed_out();
            state.waiting -= 1;
            if late {
                state.failures.add(Some(ALL_TAKEN.to_string()));
                return Err(ALL_TAKEN);
            }
        }
        state.under_way += 1;
        Ok(Turn(self))
    }

    pub(super) fn status(&self, name: &str) -> DeviceStatus {
        let state = self.state.lock();
        let mut status = DeviceStatus {
            name: name.to_owned(),
            kind: DeviceKind::Remote,
            answering: !state.failed,
            open: state.under_way,
            most: self.most,
            in_use: state.under_way,
            waiting: state.waiting,
            failures: 0,
            last_failure: None,
            last_failure_at: None,
        };
        state.failures.tell(&mut status);
        status
    }
}

/// One of the requests that may be under way.
struct Turn<'a>(&'a Client);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.state.lock().under_way -= 1;
        self.0.freed.notify_one();
    }
}

fn agent(settings: &RemoteSettings) -> Result<Agent, String> {
    let mut roots = Vec::new();
    for item in parse_pem(&settings.authorities) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| format!("authorities: {error}"))? {
            roots.push(certificate);
        }
    }
    if roots.is_empty() {
        return Err("authorities: there is no certificate in it (PEM)".to_owned());
    }
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(RootCerts::new_with_certs(&roots))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .https_only(true)
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .user_agent("qiao")
        .timeout_connect(Some(settings.connect))
        .timeout_global(Some(settings.connect + settings.answer))
        .max_idle_connections(settings.connections)
        .max_idle_connections_per_host(settings.connections)
        .max_idle_age(IDLE)
        .build();
    Ok(config.into())
}

fn failure(error: &ureq::Error) -> CryptoError {
    use ureq::{Error, Timeout};
    match error {
        Error::Timeout(Timeout::Resolve | Timeout::Connect) => UNREACHABLE,
        Error::Timeout(_) => SILENT,
        Error::HostNotFound | Error::ConnectionFailed => UNREACHABLE,
        Error::Tls(_) | Error::Rustls(_) => UNTRUSTED,
        Error::BodyExceedsLimit(_) => TOO_LARGE,
        Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => UNREACHABLE,
        Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => SILENT,
        Error::Io(error) if of_tls(error) => UNTRUSTED,
        Error::BadUri(_) | Error::Http(_) => NOT_SENDABLE,
        _ => BROKEN,
    }
}

/// A handshake's failure comes wrapped in an I/O error.
fn of_tls(error: &std::io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}
