//! How the bus speaks to partners: one file per protocol behind `qiao_core::Connector`. For who adds a protocol or wires one up.
//!
//! A new protocol is one file with a type that implements `Connector`, and one row in [`PROTOCOLS`].
pub mod config;
pub mod credentials;
pub mod http;
pub mod soap;
pub mod tls;

pub use config::{
    AnswerLimits, ConfigError, Endpoint, HealthConfig, HttpConfig, HttpOperation, HttpProtocol, HttpVersion,
    PassiveHealth, PoolLimits,
};
pub use credentials::{Credential, SecretSource, SecretString};
pub use http::HttpConnector;
pub use tls::{ClientIdentity, Roots, TlsConfig};

/// One protocol a system's definition can name.
#[derive(Debug)]
pub struct Protocol {
    /// The word in the definition.
    pub name: &'static str,
    /// What the console shows.
    pub title: &'static str,
    /// One sentence for who chooses.
    pub about: &'static str,
    /// What an endpoint's address may begin with.
    pub url_schemes: &'static [&'static str],
}

/// Every protocol, in the order the documentation lists them.
pub static PROTOCOLS: &[Protocol] = &[
    Protocol {
        name: "http",
        title: "HTTP 接口",
        about: "HTTP/1.1 or HTTP/2, plain or TLS, with pooled connections, balancing and health checks",
        url_schemes: &["http", "https"],
    },
    Protocol {
        name: "soap",
        title: "SOAP 服务",
        about: "SOAP 1.1 or 1.2 over HTTP: the same connections, with the content type and action SOAP wants",
        url_schemes: &["http", "https"],
    },
];

/// The protocol with this name, or none.
pub fn protocol(name: &str) -> Option<&'static Protocol> {
    PROTOCOLS.iter().find(|protocol| protocol.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_have_one_name_each_and_are_found_by_it() {
        for listed in PROTOCOLS {
            let found = protocol(listed.name).expect("listed");
            assert!(std::ptr::eq(found, listed), "`{}` is listed twice", listed.name);
        }
        assert!(protocol("gopher").is_none());
    }
}
