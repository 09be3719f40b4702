//! Specifications made by programs: imports and recordings begin with these.
use indexmap::IndexMap;

use super::{Criterion, ListenSpec, Proto, Respond, StubSpec};

impl StubSpec {
    /// A stub that matches everything and answers nothing.
    pub fn named(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            title: None,
            listener: None,
            item: None,
            priority: None,
            when: None,
            state: None,
            rows: IndexMap::new(),
            write: Vec::new(),
            delay: None,
            fault: None,
            respond: Respond::default(),
            then: None,
        }
    }
}

impl ListenSpec {
    /// A listener on the common mock port.
    pub fn on_path(id: &str, proto: Proto, path: String) -> Self {
        Self {
            id: id.into(),
            proto,
            path: Some(path),
            port: None,
            wsdl: None,
            tls: None,
            tcp: None,
            sftp: None,
            carrier: None,
            amqp: None,
            strict: false,
            select: None,
            request: None,
            answer: None,
            body_bytes: None,
        }
    }
}

impl Criterion {
    /// A place in a document, without its test.
    pub fn at(json: impl Into<String>) -> Self {
        Self { json: Some(json.into()), ..Self::default() }
    }
}
