//! Dials: faults and delays turned on for a while.
use http::Method;
use serde_json::{Map, Value, json};

use crate::{
    ClientError, MocksClient,
    client::{asking, path},
};

/// A fault or a delay, whom it strikes and for how long. Durations are written as in partners' files: `50ms`, `2s`, `10m`.
#[derive(Clone, Debug, Default)]
pub struct Dial {
    target: Map<String, Value>,
    fault: Map<String, Value>,
    delay: Option<Value>,
    ttl: Option<String>,
}

impl Dial {
    /// A fault of this kind (`status`, `reset`, `no-answer` …), which always strikes.
    pub fn fault(kind: &str) -> Self {
        Self { fault: Map::from_iter([("kind".to_owned(), kind.into())]), ..Self::default() }
    }

    /// A wait before each answer.
    pub fn delay(fixed: &str) -> Self {
        Self { delay: Some(json!({"fixed": fixed})), ..Self::default() }
    }

    /// A wait spread evenly between two times.
    pub fn delay_between(from: &str, to: &str) -> Self {
        Self { delay: Some(json!({"from": from, "to": to})), ..Self::default() }
    }

    /// A setting of the fault: `status`, `after`, `json`, `field` …
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fault.insert(name.to_owned(), value.into());
        self
    }

    /// Only the first n.
    #[must_use]
    pub fn first(self, n: u64) -> Self {
        self.with("first", n)
    }

    /// Every nth.
    #[must_use]
    pub fn every(self, n: u64) -> Self {
        self.with("every", n)
    }

    /// With this probability, 0 to 1, drawn from the partner's seed.
    #[must_use]
    pub fn probability(self, p: f64) -> Self {
        self.with("p", p)
    }

    /// For how long: 10m unless said, 24h at most.
    #[must_use]
    pub fn ttl(mut self, ttl: &str) -> Self {
        self.ttl = Some(ttl.to_owned());
        self
    }

    /// Only on this `listener`, `item` or `stub`, or for this `push` (a step's id, or `*`).
    #[must_use]
    pub fn only(mut self, what: &str, id: &str) -> Self {
        self.target.insert(what.to_owned(), id.into());
        self
    }

    /// As the admin API takes it.
    pub fn to_json(&self) -> Value {
        let mut given = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            value.into_iter().for_each(|value| drop(given.insert(name.to_owned(), value)));
        };
        put("for", (!self.target.is_empty()).then(|| self.target.clone().into()));
        put("delay", self.delay.clone());
        put("fault", (!self.fault.is_empty()).then(|| self.fault.clone().into()));
        put("ttl", self.ttl.clone().map(Value::from));
        given.into()
    }
}

impl MocksClient {
    /// Turns a dial on, in place of the one with its id. Of a session's client: only that session, which must be open, feels it.
    ///
    /// # Errors
    /// A refusal: no such partner, session or fault.
    pub async fn turn(&self, partner: &str, id: &str, dial: &Dial) -> Result<(), ClientError> {
        let path = asking(path(&["dials", partner, id]), &self.whose());
        self.ask::<Value>(Method::PUT, &path, &dial.to_json()).await.map(drop)
    }

    /// Turns a dial off.
    ///
    /// # Errors
    /// A refusal: no such dial.
    pub async fn turn_off(&self, partner: &str, id: &str) -> Result<(), ClientError> {
        let path = asking(path(&["dials", partner, id]), &self.whose());
        self.ask::<Value>(Method::DELETE, &path, &Value::Null).await.map(drop)
    }

    /// `session=…` where requests are about one.
    pub(crate) fn whose(&self) -> [(&'static str, Option<String>); 1] {
        let session = self.session_name();
        [("session", (!session.is_empty()).then(|| session.to_owned()))]
    }
}
