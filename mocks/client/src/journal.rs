//! The journal: what the partners were asked and what they answered, newest first.
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    ClientError, MocksClient,
    client::{asking, path},
};

/// One request to a partner. Personal data is masked unless asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Ascending from 1.
    pub id: u64,
    /// Unix time in microseconds.
    pub at_us: i64,
    pub partner: String,
    pub listener: String,
    /// Empty in the common session.
    pub session: String,
    pub method: String,
    pub path: String,
    pub item: Option<String>,
    pub key: Option<String>,
    /// `partner/stub@hash`; none for a miss.
    pub stub: Option<String>,
    pub fault: Option<String>,
    /// 0 where no answer was given.
    pub status: u16,
    pub state_before: Option<String>,
    pub state_after: Option<String>,
    pub problem: Option<String>,
    /// Wait before the answer, in milliseconds.
    pub delay_ms: u64,
    /// Time to the answer without the wait, in microseconds.
    pub took_us: u64,
    /// The rest: caller, trace, and of a whole entry the bodies, writes and nearest stubs.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// Entries, newest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Page {
    pub entries: Vec<Entry>,
    /// [`JournalQuery::before`] for the next page; none at the end.
    pub next: Option<u64>,
}

/// Which entries are wanted.
#[derive(Clone)]
#[must_use = "nothing is read before `page` or `tail`"]
pub struct JournalQuery {
    pub(crate) mocks: MocksClient,
    parameters: Vec<(&'static str, Option<String>)>,
}

impl MocksClient {
    /// The journal, of this session where the client is a session's.
    pub fn journal(&self) -> JournalQuery {
        JournalQuery { mocks: self.clone(), parameters: self.whose().into() }
    }

    /// One entry whole, with bodies, writes and, of a miss, the nearest stubs.
    ///
    /// # Errors
    /// A refusal: the entry is forgotten.
    pub async fn entry(&self, id: u64, raw: bool) -> Result<Entry, ClientError> {
        self.get(&format!("{}?raw={raw}", path(&["journal", &id.to_string()]))).await
    }

    /// The id that the next entry will have: `since` for a verification of what is still to come.
    ///
    /// # Errors
    /// No answer.
    pub async fn next_entry(&self) -> Result<u64, ClientError> {
        let page: Page = self.get(&asking(path(&["journal"]), &[("limit", Some("1".to_owned()))])).await?;
        Ok(page.entries.first().map_or(1, |entry| entry.id + 1))
    }

    /// Forgets all entries.
    ///
    /// # Errors
    /// No answer.
    pub async fn clear_journal(&self) -> Result<(), ClientError> {
        self.ask::<Value>(Method::DELETE, &path(&["journal"]), &Value::Null).await.map(drop)
    }
}

impl JournalQuery {
    /// A filter by its name in the API: `partner`, `session`, `item`, `stub`, `caller`, `trace`, `key`, `miss`.
    pub fn only(mut self, name: &'static str, value: impl ToString) -> Self {
        self.parameters.retain(|(known, _)| *known != name);
        self.parameters.push((name, Some(value.to_string())));
        self
    }

    pub fn partner(self, id: &str) -> Self {
        self.only("partner", id)
    }

    pub fn item(self, item: &str) -> Self {
        self.only("item", item)
    }

    /// The stub that answered, without partner and hash.
    pub fn stub(self, id: &str) -> Self {
        self.only("stub", id)
    }

    /// Only those that no stub answered.
    pub fn misses(self) -> Self {
        self.only("miss", true)
    }

    /// Entries older than this one: [`Page::next`].
    pub fn before(self, id: u64) -> Self {
        self.only("before", id)
    }

    /// Entries in a page: 50 unless said, 500 at most.
    pub fn limit(self, limit: usize) -> Self {
        self.only("limit", limit)
    }

    /// Without masks.
    pub fn raw(self) -> Self {
        self.only("raw", true)
    }

    pub(crate) fn path(&self, segments: &[&str]) -> String {
        asking(path(segments), &self.parameters)
    }

    /// A page.
    ///
    /// # Errors
    /// No answer, or a filter that the server does not know.
    pub async fn page(&self) -> Result<Page, ClientError> {
        self.mocks.get(&self.path(&["journal"])).await
    }
}
