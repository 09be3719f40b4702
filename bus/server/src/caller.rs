//! Calls the bus as a caller would: its headers, its key, its seal. For `qiao call`, `qiao selftest` and the demo's trickle.
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use qiao_connectors::{Endpoint, HttpConfig, HttpConnector, HttpOperation, Roots, TlsConfig};
use qiao_core::{
    Clock, Connector, Fault, Outbound, SystemClock,
    connector::{AnswerBody, OutboundBody},
};
use qiao_engine::definitions::{CallerDefinition, Definitions, InterfaceDefinition, caller::Over};
use qiao_vault::{Envelope, KeyRef, Params, Side, TimeForm, Vault};

use crate::{access, catalogue, running::RunFile};

/// How long a command waits for one answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request as a caller sends it: with its credentials, sealed where the caller seals.
pub struct CallerRequest {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// What the bus answered, opened where it was sealed.
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Whether the answer came sealed.
    pub sealed: bool,
    pub took: Duration,
}

impl Reply {
    /// The call's id, which `qiao trace` takes.
    pub fn call_id(&self) -> Option<&str> {
        self.headers.get("x-qiao-call-id").and_then(|value| value.to_str().ok())
    }
}

/// A call that got no answer, or could not be made; says what to do.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("there is no caller `{0}`: the callers are {1}")]
    NoCaller(String, String),
    #[error("there is no interface `{0}`; `qiao interfaces` lists them")]
    NoInterface(String),
    #[error("{0} has no grant that names a caller: name one with --as")]
    NobodyGranted(String),
    #[error("{place}: {reason}")]
    Unusable { place: String, reason: String },
    #[error("the bus did not answer: {0}")]
    NoAnswer(Fault),
}

fn unusable(place: impl ToString, reason: impl ToString) -> CallError {
    CallError::Unusable { place: place.to_string(), reason: reason.to_string() }
}

/// Knows every caller's credentials, as a test client does.
pub struct Callers {
    definitions: Definitions,
    vault: Vault,
    bus: HttpConnector,
}

impl Callers {
    /// For the gateway of this node. Inside a tokio runtime.
    pub fn new(definitions: Definitions, vault: Vault, node: &RunFile) -> Result<Self, CallError> {
        let gateway = &node.gateway;
        let mut config = HttpConfig::new("bus");
        config.endpoints.push(Endpoint::new(gateway));
        config.tls = node.certificate.as_ref().map(|certificate| TlsConfig {
            roots: Roots::File(certificate.clone()),
            identity: None,
            server_name: node.name.clone(),
        });
        config.operations.push(HttpOperation::new("call"));
        config.limits.answer_bytes = 64 << 20;
        let bus = HttpConnector::new(config).map_err(|error| unusable(gateway, error))?;
        Ok(Self { definitions, vault, bus })
    }

    pub fn definitions(&self) -> &Definitions {
        &self.definitions
    }

    pub fn interface(&self, id: &str) -> Result<&Arc<InterfaceDefinition>, CallError> {
        self.definitions.interfaces.get(id).ok_or_else(|| CallError::NoInterface(id.to_owned()))
    }

    /// The caller named, or the first that is granted the interface.
    pub fn caller(&self, named: Option<&str>, interface: &str) -> Result<&Arc<CallerDefinition>, CallError> {
        let granted = || {
            let provider = interface.split('.').next().unwrap_or_default();
            let covers = |pattern: &String| pattern == interface || *pattern == format!("{provider}.*");
            let grant = self.definitions.grants.values().find(|grant| grant.interfaces.iter().any(covers));
            grant
                .map(|grant| grant.caller.as_str())
                .ok_or_else(|| CallError::NobodyGranted(interface.to_owned()))
        };
        let id = named.map_or_else(granted, Ok)?;
        let known = || self.definitions.callers.keys().cloned().collect::<Vec<_>>().join(", ");
        self.definitions.callers.get(id).ok_or_else(|| CallError::NoCaller(id.to_owned(), known()))
    }

    /// The request that this caller would send.
    pub fn request(
        &self,
        interface: &InterfaceDefinition,
        caller: &CallerDefinition,
        body: Bytes,
    ) -> Result<CallerRequest, CallError> {
        let path = catalogue::exposed_path(interface).trim_end_matches("/*").to_owned();
        let mut request =
            CallerRequest { method: method(interface), path, headers: self.headers(caller)?, body };
        if let Some(envelope) = self.envelope(caller)? {
            let params = params(caller, &request);
            match over(caller) {
                Over::Body => request.body = seal(&envelope, &request.body, &params)?,
                Over::Request => sign(&envelope, &mut request, &params)?,
            }
        }
        Ok(request)
    }

    /// One call, signed and sealed as this caller would.
    pub async fn call(
        &self,
        interface: &InterfaceDefinition,
        caller: &CallerDefinition,
        body: Bytes,
    ) -> Result<Reply, CallError> {
        let request = self.request(interface, caller, body)?;
        let started = Instant::now();
        let outbound = Outbound {
            operation: 0,
            path: request.path,
            method: request.method,
            headers: request.headers,
            body: OutboundBody::Whole(request.body),
            deadline: started + PATIENCE,
            attempt: 0,
            changing: true,
            idempotency_key: None,
            traceparent: None,
            avoid: None,
        };
        let answer = self.bus.call(outbound).await.map_err(CallError::NoAnswer)?;
        let took = started.elapsed();
        let AnswerBody::Whole(body) = answer.body else {
            return Err(unusable("the answer", "came as a stream"));
        };
        let (body, sealed) = match self.envelope(caller)?.filter(|_| over(caller) == Over::Body) {
            Some(envelope) => open(&envelope, body)?,
            None => (body, false),
        };
        let status =
            StatusCode::from_u16(answer.status).map_err(|error| unusable("the answer's status", error))?;
        Ok(Reply { status, headers: answer.headers, body, sealed, took })
    }

    fn headers(&self, caller: &CallerDefinition) -> Result<HeaderMap, CallError> {
        let mut headers = HeaderMap::new();
        let id = HeaderValue::from_str(&caller.caller).map_err(|error| unusable(&caller.caller, error))?;
        headers.insert(access::APP_ID.clone(), id);
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(reference) = &caller.credential.key {
            let key: KeyRef = reference.parse().map_err(|error| unusable(reference, error))?;
            let secret = self.vault.key(&key).reveal_secret().map_err(|error| unusable(reference, error))?;
            let mut value = HeaderValue::from_bytes(&secret).map_err(|error| unusable(reference, error))?;
            value.set_sensitive(true);
            headers.insert(access::APP_KEY.clone(), value);
        }
        Ok(headers)
    }

    /// The caller's side of its envelope.
    fn envelope(&self, caller: &CallerDefinition) -> Result<Option<Envelope>, CallError> {
        let Some(named) = &caller.credential.envelope else { return Ok(None) };
        let place = format!("{}.{}", named.system, named.envelope);
        let system = self.definitions.systems.get(&named.system);
        let spec = system
            .and_then(|system| system.envelopes.get(&named.envelope))
            .ok_or_else(|| unusable(&place, "no such envelope"))?;
        let compiled = Envelope::compile(spec, &self.vault, Side::Partner);
        compiled.map(Some).map_err(|mistakes| unusable(&place, format!("{mistakes:?}")))
    }
}

/// POST where it is exposed, else the first method that is.
fn method(interface: &InterfaceDefinition) -> Method {
    let named = interface.expose.methods.iter().filter_map(|method| {
        let name = serde_json::to_value(method).ok()?;
        name.as_str().and_then(|name| name.parse::<Method>().ok())
    });
    let methods: Vec<_> = named.collect();
    match methods.first() {
        Some(first) if !methods.contains(&Method::POST) => first.clone(),
        _ => Method::POST,
    }
}

fn over(caller: &CallerDefinition) -> Over {
    caller.credential.envelope.as_ref().map_or(Over::Body, |envelope| envelope.over)
}

/// What a caller's side of an envelope may ask for: the same names as the bus's.
fn params(caller: &CallerDefinition, request: &CallerRequest) -> Params {
    let millis = SystemClock.now_us() / 1000;
    Params::new()
        .with("caller", &caller.caller)
        .with("timestamp", millis.to_string())
        .with("time", TimeForm::Compact.write(millis))
        .with("method", request.method.as_str())
        .with("path", &request.path)
}

/// Adds what the envelope writes as headers; a field `body` is the body.
fn sign(envelope: &Envelope, request: &mut CallerRequest, params: &Params) -> Result<(), CallError> {
    let failed = |error: &dyn std::fmt::Display| unusable("signing the request", error);
    let written = envelope.seal(&request.body, params).map_err(|error| failed(&error))?;
    for (name, value) in written.as_object().into_iter().flatten() {
        let text = value.as_str().ok_or_else(|| failed(&format!("`{name}` is no text")))?;
        if name == "body" {
            request.body = Bytes::copy_from_slice(text.as_bytes());
            continue;
        }
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| failed(&error))?;
        request.headers.insert(name, HeaderValue::from_str(text).map_err(|error| failed(&error))?);
    }
    Ok(())
}

fn seal(envelope: &Envelope, plain: &[u8], params: &Params) -> Result<Bytes, CallError> {
    let sealed = envelope.seal(plain, params).map_err(|error| unusable("sealing the request", error))?;
    serde_json::to_vec(&sealed).map(Bytes::from).map_err(|error| unusable("sealing the request", error))
}

/// Opens a sealed answer; one that came in the clear (a fault before the request was opened) is passed as it is.
fn open(envelope: &Envelope, body: Bytes) -> Result<(Bytes, bool), CallError> {
    let Ok(wire) = serde_json::from_slice::<serde_json::Value>(&body) else { return Ok((body, false)) };
    if wire.get("code").is_some() {
        return Ok((body, false));
    }
    let plain =
        envelope.open(&wire, &Params::new()).map_err(|error| unusable("opening the answer", error))?;
    Ok((Bytes::copy_from_slice(&plain), true))
}
