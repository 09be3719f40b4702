//! Sessions: what a test lays over the partners for itself, ended when the test ends.
use std::{ops::Deref, time::Duration};

use http::Method;
use serde_json::{Map, Value, json};

use crate::{ClientError, MocksClient, client::path};

/// Waits for the end of a session when its guard is dropped.
const ENDING: Duration = Duration::from_secs(5);

/// An open session; dropping it ends it. It is a [`MocksClient`] too, whose requests are about the session.
pub struct Session {
    mocks: MocksClient,
    open: bool,
}

/// A session in the making.
#[derive(Clone)]
pub struct SessionBuilder {
    mocks: MocksClient,
    spec: Map<String, Value>,
}

impl MocksClient {
    /// A session to be opened. Without a name, the server makes one up.
    pub fn session(&self) -> SessionBuilder {
        SessionBuilder { mocks: self.clone(), spec: Map::new() }
    }
}

impl SessionBuilder {
    fn set(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.spec.insert(name.to_owned(), value.into());
        self
    }

    fn push(mut self, within: &[&str], value: Value) -> Self {
        let mut place = &mut self.spec;
        let (last, above) = within.split_last().expect("a place has a name");
        for name in above {
            let below = place.entry(*name).or_insert_with(|| json!({}));
            place = below.as_object_mut().expect("only objects are put above a list");
        }
        let list = place.entry(*last).or_insert_with(|| json!([]));
        list.as_array_mut().expect("only lists are put here").push(value);
        self
    }

    /// 1 to 64 letters, digits, dots, hyphens and underscores.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        self.set("session", name)
    }

    /// Shown where sessions are listed.
    #[must_use]
    pub fn title(self, title: &str) -> Self {
        self.set("title", title)
    }

    /// How long after its last request it ends by itself: 2h unless said, 24h at most.
    #[must_use]
    pub fn ttl(self, ttl: &str) -> Self {
        self.set("ttl", ttl)
    }

    /// With a pack's stubs, dials, rows and standard messages.
    #[must_use]
    pub fn pack(self, pack: &str) -> Self {
        self.set("pack", pack)
    }

    /// With a clock that is ahead of the others'.
    #[must_use]
    pub fn ahead(self, by: &str) -> Self {
        self.set("ahead", by)
    }

    /// An account of a partner whose requests belong to it, for protocols without headers.
    #[must_use]
    pub fn account(self, partner: &str, account: &str) -> Self {
        self.push(&["accounts"], json!({"partner": partner, "account": account}))
    }

    /// A stub that is tried before the partner's own.
    #[must_use]
    pub fn stub(self, partner: &str, stub: Value) -> Self {
        self.push(&["partners", partner, "stubs"], stub)
    }

    /// A dial before the partner's own, on as long as the session is.
    #[must_use]
    pub fn dial(self, partner: &str, id: &str, dial: &crate::Dial) -> Self {
        let mut dial = dial.to_json();
        dial["id"] = id.into();
        self.push(&["partners", partner, "dials"], dial)
    }

    /// A row of a shared table as only this session sees it.
    #[must_use]
    pub fn row(self, table: &str, row: Value) -> Self {
        self.push(&["rows", table], row)
    }

    /// Opens it.
    ///
    /// # Errors
    /// A refusal with every mistake, a name that is taken, too many sessions.
    pub async fn open(self) -> Result<Session, ClientError> {
        let opened: Value = self.mocks.ask(Method::POST, &path(&["sessions"]), &self.spec.into()).await?;
        let name = opened["session"].as_str();
        let name = name.ok_or_else(|| ClientError::Strange("a session without a name".to_owned()))?;
        Ok(Session { mocks: self.mocks.in_session(name), open: true })
    }
}

impl Session {
    /// The value of `X-Mock-Session`.
    pub fn name(&self) -> &str {
        self.mocks.session_name()
    }

    /// The header that requests belong to it by.
    pub fn header(&self) -> (&'static str, &str) {
        ("x-mock-session", self.name())
    }

    /// Starts it anew: state, rows, counts and dials turned by hand.
    ///
    /// # Errors
    /// A refusal: the session is over.
    pub async fn reset(&self) -> Result<(), ClientError> {
        let path = path(&["sessions", self.name(), "reset"]);
        self.mocks.ask::<Value>(Method::POST, &path, &Value::Null).await.map(drop)
    }

    /// Ends it now.
    ///
    /// # Errors
    /// A refusal: the session is over already.
    pub async fn end(mut self) -> Result<(), ClientError> {
        self.open = false;
        end(&self.mocks).await
    }

    /// Leaves it open: it ends by itself, its `ttl` after its last request.
    pub fn leave(mut self) -> MocksClient {
        self.open = false;
        self.mocks.clone()
    }
}

async fn end(mocks: &MocksClient) -> Result<(), ClientError> {
    let path = path(&["sessions", mocks.session_name()]);
    mocks.ask::<Value>(Method::DELETE, &path, &Value::Null).await.map(drop)
}

impl Deref for Session {
    type Target = MocksClient;

    fn deref(&self) -> &MocksClient {
        &self.mocks
    }
}

impl Drop for Session {
    /// Waits at most 5 s. Where the session does not end so, it ends by itself.
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        let mocks = self.mocks.clone().with_patience(ENDING);
        // A thread of its own: a runtime that is running here cannot run another.
        let ending = std::thread::spawn(move || drop(crate::wait(end(&mocks))));
        drop(ending.join());
    }
}
