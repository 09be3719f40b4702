//! What partners remember: state of business keys and rows of the shared tables.
use http::Method;
use serde_json::{Map, Value, json};

use crate::{
    ClientError, MocksClient,
    client::{asking, path},
};

impl MocksClient {
    /// What a partner remembers of a business key: `states` by machine, `data`, `count`.
    ///
    /// # Errors
    /// A refusal: nothing is remembered.
    pub async fn state(&self, partner: &str, key: &str) -> Result<Value, ClientError> {
        self.get(&asking(path(&["state", partner, key]), &self.whose())).await
    }

    /// Sets what a partner remembers of a business key: the state of each machine (`main` unless a stub names another), and data.
    ///
    /// # Errors
    /// A refusal: no such partner, more than 16 KiB.
    pub async fn set_state(
        &self,
        partner: &str,
        key: &str,
        states: &[(&str, &str)],
        data: Map<String, Value>,
    ) -> Result<(), ClientError> {
        let states: Map<String, Value> =
            states.iter().map(|(machine, state)| ((*machine).to_owned(), Value::from(*state))).collect();
        let path = asking(path(&["state", partner, key]), &self.whose());
        self.ask::<Value>(Method::PUT, &path, &json!({"states": states, "data": data})).await.map(drop)
    }

    /// Makes a partner forget a business key.
    ///
    /// # Errors
    /// A refusal: nothing is remembered.
    pub async fn forget_state(&self, partner: &str, key: &str) -> Result<(), ClientError> {
        let path = asking(path(&["state", partner, key]), &self.whose());
        self.ask::<Value>(Method::DELETE, &path, &Value::Null).await.map(drop)
    }

    /// A row of a shared table, in the clear; none where there is none.
    ///
    /// # Errors
    /// A refusal: no such table.
    pub async fn row(&self, table: &str, key: &str) -> Result<Option<Map<String, Value>>, ClientError> {
        let [session] = self.whose();
        let raw = ("raw", Some("true".to_owned()));
        let found = self.get(&asking(path(&["tables", table, key]), &[session, raw])).await;
        match found {
            // A table that is not there is told from a row that is not.
            Err(ClientError::Refused { status: 404, error, .. }) if error.contains("no row") => Ok(None),
            found => found.map(Some),
        }
    }

    /// Sets columns of a row, which is made when it is not there. Of a session's client: only the session sees it.
    ///
    /// # Errors
    /// A refusal: no such table or column, too many rows written.
    pub async fn put_row(&self, table: &str, key: &str, columns: Value) -> Result<(), ClientError> {
        let path = asking(path(&["tables", table, key]), &self.whose());
        self.ask::<Value>(Method::PUT, &path, &columns).await.map(drop)
    }

    /// Removes a row.
    ///
    /// # Errors
    /// A refusal: no such table.
    pub async fn remove_row(&self, table: &str, key: &str) -> Result<(), ClientError> {
        let path = asking(path(&["tables", table, key]), &self.whose());
        self.ask::<Value>(Method::DELETE, &path, &Value::Null).await.map(drop)
    }
}
