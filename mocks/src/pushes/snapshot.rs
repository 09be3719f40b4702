//! What a push remembers of the request that it follows, and the scope its templates read.
use std::sync::Arc;

use qiao_mappings::{Scope, ScopeFunctions};
use serde_json::{Map, Value};

use crate::{compile::report::KEYING, facts::Facts, functions::Draws};

/// A request with a larger body starts no plan.
pub const MAX_BODY: usize = 64 << 10;

/// What templates of pushes see of the request.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// `request`, `wire`, `headers` and so on; those of a plan started by hand are null.
    pub documents: Map<String, Value>,
    pub session: Box<str>,
    /// The business key.
    pub key: Box<str>,
    /// Requests that this key had had: keeps the random values of two plans of one key apart.
    pub count: u64,
    /// The machine that `inst.state` tells.
    pub machine: Box<str>,
}

/// The names kept: all that a stub sees of its request. `partner` is looked up when a push is due, `params` belong to the stub.
fn kept() -> impl Iterator<Item = &'static str> {
    KEYING.iter().copied().filter(|name| !matches!(*name, "partner" | "params"))
}

impl Snapshot {
    /// Keeps what a request held.
    ///
    /// # Errors
    /// A body over [`MAX_BODY`].
    pub fn of(
        facts: &Facts<'_>,
        params: &Value,
        key: &str,
        count: u64,
        machine: &str,
    ) -> Result<Self, String> {
        let incoming = facts.incoming();
        if incoming.body.len() > MAX_BODY {
            return Err("then: a request with a body over 64 KiB starts no pushes".into());
        }
        let kept = kept().map(|name| (name.to_owned(), facts.get(name).cloned().unwrap_or_default()));
        let mut documents: Map<String, Value> = kept.collect();
        documents.insert("params".into(), params.clone());
        Ok(Self {
            documents,
            session: incoming.session.clone(),
            key: key.into(),
            count,
            machine: machine.into(),
        })
    }

    /// Of a plan started by hand.
    pub fn by_hand(request: Value, session: &str, key: &str) -> Self {
        let mut documents: Map<String, Value> = kept().map(|name| (name.to_owned(), Value::Null)).collect();
        documents.insert("request".into(), request);
        documents.insert("params".into(), Value::Object(Map::new()));
        Self { documents, session: session.into(), key: key.into(), count: 0, machine: "main".into() }
    }
}

/// What templates of one push read.
pub struct PushScope<'a> {
    pub snapshot: &'a Snapshot,
    /// The object `partner`.
    pub partner: &'a Value,
    /// The object `inst`.
    pub inst: Value,
    pub draws: Arc<Draws>,
    pub now_ms: i64,
}

impl Scope for PushScope<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        match name {
            "inst" => Some(&self.inst),
            "partner" => Some(self.partner),
            other => self.snapshot.documents.get(other),
        }
    }

    fn functions(&self) -> Option<Arc<dyn ScopeFunctions>> {
        Some(Arc::clone(&self.draws) as Arc<dyn ScopeFunctions>)
    }

    fn now_millis(&self) -> i64 {
        self.now_ms
    }
}
