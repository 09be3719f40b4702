//! What a connector must know of a system, as plain values: the server fills them from definitions, so that this crate knows no YAML.
use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderName, Method};

use crate::{credentials::Credential, tls::TlsConfig};

/// Which messages travel over HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpProtocol {
    #[default]
    Http,
    Soap11,
    Soap12,
}

/// Which HTTP a system speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpVersion {
    #[default]
    Http1,
    /// HTTP/2 where TLS negotiates it (ALPN), else HTTP/1.1.
    Negotiate,
    /// HTTP/2 always; over plain TCP by prior knowledge (RFC 9113 §3.3).
    Http2,
}

/// One address of a system. A path in `url` is put before every request's path.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub url: String,
    /// Share of the calls, 1 to 1000.
    pub weight: u32,
}

impl Endpoint {
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), weight: 1 }
    }
}

/// One operation, in the order `Outbound::operation` counts.
#[derive(Clone, Debug)]
pub struct HttpOperation {
    /// For messages only.
    pub name: String,
    /// Fixes the method; `None` takes the one of each `Outbound`. SOAP is always POST.
    pub method: Option<Method>,
    /// Set where the request has a body and names no content type. SOAP has its own.
    pub content_type: Option<String>,
    pub soap_action: Option<String>,
    /// The partner's header for `Outbound::idempotency_key`.
    pub idempotency_header: Option<HeaderName>,
}

impl HttpOperation {
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            method: None,
            content_type: None,
            soap_action: None,
            idempotency_header: None,
        }
    }
}

/// Bounds of a system's connections.
#[derive(Clone, Debug)]
pub struct PoolLimits {
    /// Unused HTTP/1 connections kept per endpoint.
    pub max_idle_per_endpoint: usize,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// Connections to the system altogether, and so calls under way; further calls wait, at most until their deadline.
    /// HTTP/2 shares connections: there it bounds the calls under way.
    pub max_connections: usize,
}

/// Bounds of what a partner may answer.
#[derive(Clone, Debug)]
pub struct AnswerLimits {
    /// Body bytes of an answer read whole.
    pub answer_bytes: usize,
    /// Bytes of the status line and headers, 1 KiB to 1 MiB.
    pub header_bytes: usize,
    /// Body bytes of a streamed answer; `None` leaves them unbounded.
    pub stream_bytes: Option<u64>,
}

/// Regular checks of each endpoint by a GET on a connection of its own; 2xx and 3xx pass.
#[derive(Clone, Debug)]
pub struct HealthConfig {
    /// From the root of the host, beginning with `/`.
    pub path: String,
    pub every: Duration,
    pub timeout: Duration,
    /// Failures in a row that take an endpoint out.
    pub fall: u32,
    /// Passes in a row that bring it back.
    pub rise: u32,
}

/// What calls themselves tell of an endpoint: `fall` failed connects in a row take it out for `hold`.
#[derive(Clone, Debug)]
pub struct PassiveHealth {
    pub fall: u32,
    pub hold: Duration,
}

/// Everything about one system reached over HTTP.
pub struct HttpConfig {
    pub system: Arc<str>,
    /// 1 to 64.
    pub endpoints: Vec<Endpoint>,
    pub protocol: HttpProtocol,
    /// Named in SOAP content types.
    pub charset: String,
    pub version: HttpVersion,
    pub operations: Vec<HttpOperation>,
    pub credential: Credential,
    /// For name lookup, TCP and TLS together.
    pub connect_timeout: Duration,
    /// How long looked-up addresses are believed.
    pub dns_ttl: Duration,
    /// Longest silence within a streamed answer's body.
    pub stream_idle: Duration,
    pub pool: PoolLimits,
    pub limits: AnswerLimits,
    /// For `https` endpoints; `None` is the system's roots and no client certificate.
    pub tls: Option<TlsConfig>,
    pub health: Option<HealthConfig>,
    pub passive: PassiveHealth,
}

impl HttpConfig {
    /// Defaults for everything but endpoints and operations.
    pub fn new(system: impl Into<Arc<str>>) -> Self {
        Self {
            system: system.into(),
            endpoints: Vec::new(),
            protocol: HttpProtocol::Http,
            charset: "utf-8".to_owned(),
            version: HttpVersion::Http1,
            operations: Vec::new(),
            credential: Credential::None,
            connect_timeout: Duration::from_secs(3),
            dns_ttl: Duration::from_secs(30),
            stream_idle: Duration::from_secs(30),
            pool: PoolLimits {
                max_idle_per_endpoint: 32,
                idle_timeout: Duration::from_secs(60),
                max_connections: 256,
            },
            limits: AnswerLimits { answer_bytes: 4 << 20, header_bytes: 32 << 10, stream_bytes: None },
            tls: None,
            health: None,
            passive: PassiveHealth { fall: 3, hold: Duration::from_secs(10) },
        }
    }

    /// Every mistake that can be seen without a connection.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let seconds = [
            ("connectTimeout", self.connect_timeout),
            ("streamIdle", self.stream_idle),
            ("pool.idleTimeout", self.pool.idle_timeout),
        ];
        let zero = seconds.iter().find(|(_, duration)| duration.is_zero()).map(|(place, _)| *place);
        let wrong = if self.endpoints.is_empty() || self.endpoints.len() > 64 {
            Some(("endpoints", "there must be 1 to 64 of them"))
        } else if self.endpoints.iter().any(|endpoint| !(1..=1000).contains(&endpoint.weight)) {
            Some(("endpoints.weight", "must be 1 to 1000; leave out an endpoint that is to get no calls"))
        } else if let Some(place) = zero {
            Some((place, "must be longer than nothing"))
        } else if self.pool.max_connections == 0 || self.pool.max_connections > 100_000 {
            Some(("pool.maxConnections", "must be 1 to 100000"))
        } else if !(1 << 10..=1 << 20).contains(&self.limits.header_bytes) {
            Some(("limits.headerBytes", "must be 1024 to 1048576"))
        } else if self.passive.fall == 0 {
            Some(("passive.fall", "must be at least 1"))
        } else {
            self.health.as_ref().and_then(wrong_health)
        };
        match wrong {
            Some((place, reason)) => Err(self.mistake(place, reason)),
            None => Ok(()),
        }
    }

    pub(crate) fn mistake(&self, place: impl Into<String>, reason: impl fmt::Display) -> ConfigError {
        ConfigError { system: self.system.clone(), place: place.into(), reason: reason.to_string() }
    }
}

fn wrong_health(health: &HealthConfig) -> Option<(&'static str, &'static str)> {
    if health.every.is_zero() || health.timeout.is_zero() {
        Some(("health", "`every` and `timeout` must be longer than nothing"))
    } else if health.fall == 0 || health.rise == 0 {
        Some(("health", "`fall` and `rise` must be at least 1"))
    } else if !health.path.starts_with('/') {
        Some(("health.path", "must begin with `/`"))
    } else {
        None
    }
}

/// A system that cannot be connected to as it is described.
#[derive(Debug, thiserror::Error)]
#[error("system `{system}`: {place}: {reason}")]
pub struct ConfigError {
    pub system: Arc<str>,
    /// The setting, as the definition names it.
    pub place: String,
    /// What is wrong and what to write instead.
    pub reason: String,
}
