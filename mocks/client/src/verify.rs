//! Verification of what the partners were asked: how often, in which order, and nothing else.
use std::{fmt, time::Duration};

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{ClientError, MocksClient, client::path};

/// A verification in the making. What is counted is narrowed by [`partner`](Self::partner) to [`not`](Self::not).
#[derive(Clone)]
#[must_use = "nothing is verified before `holds` or `check`"]
pub struct Verification {
    mocks: MocksClient,
    spec: Map<String, Value>,
    when: Map<String, Value>,
    raw: bool,
}

/// What came of a verification.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    pub ok: bool,
    /// How many were counted.
    pub matched: u64,
    /// Their ids, the first hundred.
    pub entries: Vec<u64>,
    /// What does not hold.
    pub failed: Vec<String>,
    /// The entries that came nearest to what is missing, the nearest first.
    pub nearest: Vec<Near>,
    pub waited_ms: u64,
}

/// A journaled request that was not meant, and why.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Near {
    pub id: u64,
    pub stub: Option<String>,
    pub criteria: Vec<Verdict>,
}

/// One criterion against one request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Verdict {
    pub criterion: String,
    pub wanted: String,
    pub seen: Option<String>,
    pub ok: bool,
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.ok { "✓" } else { "✗" };
        write!(out, "{mark} {} {}", self.criterion, self.wanted)?;
        match &self.seen {
            _ if self.ok => Ok(()),
            Some(seen) => write!(out, ", seen {seen}"),
            None => out.write_str(", there is none"),
        }
    }
}

impl fmt::Display for Verified {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ok {
            return write!(out, "holds: {} matched", self.matched);
        }
        write!(out, "does not hold: {}", self.failed.join("; "))?;
        for near in &self.nearest {
            write!(out, "\n  near miss: entry {} ({})", near.id, near.stub.as_deref().unwrap_or("no stub"))?;
            near.criteria.iter().try_for_each(|verdict| write!(out, "\n    {verdict}"))?;
        }
        Ok(())
    }
}

impl MocksClient {
    /// Verifies what the journal holds, of this session where the client is a session's.
    pub fn verify(&self) -> Verification {
        let mut spec = Map::new();
        if !self.session_name().is_empty() {
            spec.insert("session".to_owned(), self.session_name().into());
        }
        Verification { mocks: self.clone(), spec, when: Map::new(), raw: false }
    }
}

impl Verification {
    fn set(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.spec.insert(name.to_owned(), value.into());
        self
    }

    fn when(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.when.insert(name.to_owned(), value.into());
        self
    }

    fn that(mut self, list: &str, test: Value) -> Self {
        let list = self.when.entry(list).or_insert_with(|| json!([]));
        list.as_array_mut().expect("only lists of tests are put here").push(test);
        self
    }

    /// Only entries from this id on, such as a journal's next id before the test.
    pub fn since(self, id: u64) -> Self {
        self.set("since", id)
    }

    /// To this partner; others do not disturb [`nothing_else`](Self::nothing_else).
    pub fn partner(self, id: &str) -> Self {
        self.set("partner", id)
    }

    pub fn listener(self, id: &str) -> Self {
        self.when("listener", id)
    }

    /// Answered by this stub.
    pub fn stub(self, id: &str) -> Self {
        self.when("stub", id)
    }

    /// With this value of the partner's `select`.
    pub fn item(self, item: &str) -> Self {
        self.when("item", item)
    }

    /// With this business key.
    pub fn key(self, key: &str) -> Self {
        self.when("key", key)
    }

    /// Answered with this status; 0 where no answer was given.
    pub fn status(self, status: u16) -> Self {
        self.when("status", status)
    }

    /// Of this trace: 32 hex digits.
    pub fn trace(self, id: &str) -> Self {
        self.when("trace", id)
    }

    pub fn method(self, method: &str) -> Self {
        self.when("method", method)
    }

    /// Below the listener's path, as in stubs.
    pub fn path(self, path: &str) -> Self {
        self.when("path", path)
    }

    /// That no stub answered.
    pub fn missed(self) -> Self {
        self.when("miss", true)
    }

    /// A condition as in stubs: `json!({"json": "$.request.age", "gte": 65})`.
    pub fn that_is(self, condition: Value) -> Self {
        self.that("all", condition)
    }

    /// That a place of the request has this value: `$.request.idNo`.
    pub fn json(self, selector: &str, equals: impl Into<Value>) -> Self {
        let equals: Value = equals.into();
        self.that("all", json!({"json": selector, "equals": equals}))
    }

    /// A condition that must not hold.
    pub fn not(self, condition: Value) -> Self {
        self.that("not", condition)
    }

    /// Exactly as many.
    pub fn count(self, count: u64) -> Self {
        self.set("count", count)
    }

    /// None.
    pub fn never(self) -> Self {
        self.set("count", 0)
    }

    /// At least as many; one unless said.
    pub fn at_least(self, count: u64) -> Self {
        self.set("min", count)
    }

    pub fn at_most(self, count: u64) -> Self {
        self.set("max", count)
    }

    /// That these come one after the other, others between them or not: `json!([{"stub": "order"}, {"stub": "track"}])`.
    pub fn in_order(self, meant: Value) -> Self {
        self.set("order", meant)
    }

    /// That nothing else came.
    pub fn nothing_else(self) -> Self {
        self.set("nothingElse", true)
    }

    /// Waits for it to hold, 60 s at most; not at all unless said.
    pub fn within(self, time: Duration) -> Self {
        self.set("within", format!("{}ms", time.as_millis()))
    }

    /// And then for nothing to come that breaks it for this long.
    pub fn quiet(self, time: Duration) -> Self {
        self.set("quiet", format!("{}ms", time.as_millis()))
    }

    /// With personal data in the clear in what is told.
    pub fn raw(self) -> Self {
        Self { raw: true, ..self }
    }

    /// As the admin API takes it.
    pub fn to_json(&self) -> Value {
        let mut spec = self.spec.clone();
        let counted = ["count", "min", "max"].iter().any(|name| spec.contains_key(*name));
        if !self.when.is_empty() || counted || !spec.contains_key("order") {
            spec.insert("when".to_owned(), self.when.clone().into());
        }
        spec.into()
    }

    /// Verifies, and tells what came of it.
    ///
    /// # Errors
    /// A verification that cannot be meant, or no answer; not one that does not hold.
    pub async fn check(&self) -> Result<Verified, ClientError> {
        let path = format!("{}?raw={}", path(&["verify"]), self.raw);
        self.mocks.ask(Method::POST, &path, &self.to_json()).await
    }

    /// Verifies for a test.
    ///
    /// # Panics
    /// Where it does not hold, with the nearest misses criterion by criterion; and where it cannot be asked.
    #[track_caller]
    pub fn holds(self) -> impl Future<Output = Verified> {
        let caller = std::panic::Location::caller();
        async move {
            match self.check().await {
                Ok(verified) if verified.ok => verified,
                Ok(verified) => panic!("the verification at {caller} {verified}"),
                Err(error) => panic!("the verification at {caller} was not made: {error}"),
            }
        }
    }
}
