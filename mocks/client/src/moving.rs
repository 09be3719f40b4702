//! What moves the partners: the clock, plans and their steps, reload and reset.
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{ClientError, MocksClient, client::path};

/// A clock that was moved.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Advanced {
    /// RFC 3339.
    pub now: String,
    /// What fell due on the way and was done: pushes, reports, results.
    pub done: u64,
}

/// What is done to a step of a plan's run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepAction {
    /// Sent at once, whatever dials say.
    Now,
    /// Not sent.
    Skip,
    /// Sent at once, once more where it was sent already.
    Again,
    /// Sent after the next step.
    Hold,
}

impl MocksClient {
    /// Makes the clock stand still at a time, RFC 3339. The clock is one for all sessions of the server.
    ///
    /// # Errors
    /// A refusal: no such time.
    pub async fn stop_clock_at(&self, at: &str) -> Result<(), ClientError> {
        self.change_clock(json!({"stopAt": at})).await
    }

    /// Lets the clock go on from where it stands.
    ///
    /// # Errors
    /// No answer.
    pub async fn run_clock(&self) -> Result<(), ClientError> {
        self.change_clock(json!({"run": true})).await
    }

    /// Puts the clock back to real time.
    ///
    /// # Errors
    /// No answer.
    pub async fn reset_clock(&self) -> Result<(), ClientError> {
        self.change_clock(json!({"reset": true})).await
    }

    async fn change_clock(&self, change: Value) -> Result<(), ClientError> {
        self.ask::<Value>(Method::PUT, &path(&["clock"]), &change).await.map(drop)
    }

    /// Moves the clock on (`72h`, `5d`; 400 days at most); what falls due is done, in order, before this returns.
    ///
    /// # Errors
    /// A refusal: not such a time.
    pub async fn advance(&self, by: &str) -> Result<Advanced, ClientError> {
        self.ask(Method::POST, &path(&["clock", "advance"]), &json!({"by": by})).await
    }

    /// Starts a plan of a partner by hand for a business key; `request` is what its templates see. The number of the run.
    ///
    /// # Errors
    /// A refusal: no such partner or plan, too many pushes wait.
    pub async fn start_plan(
        &self,
        partner: &str,
        plan: &str,
        key: &str,
        request: Value,
    ) -> Result<u64, ClientError> {
        #[derive(Deserialize)]
        struct Started {
            run: u64,
        }
        let start = json!({"key": key, "session": self.session_name(), "request": request});
        let started: Started =
            self.ask(Method::POST, &path(&["plans", partner, plan, "start"]), &start).await?;
        Ok(started.run)
    }

    /// The runs of a partner's plans, the newest first, with how each step stands; of one business key where given.
    ///
    /// # Errors
    /// A refusal: no such partner.
    pub async fn runs(&self, partner: &str, key: Option<&str>) -> Result<Vec<Value>, ClientError> {
        let [session] = self.whose();
        let asked =
            crate::client::asking(path(&["plans", partner]), &[session, ("key", key.map(str::to_owned))]);
        let mut found: Map<String, Value> = self.get(&asked).await?;
        match found.remove("runs") {
            Some(Value::Array(runs)) => Ok(runs),
            _ => Err(ClientError::Strange("plans without runs".to_owned())),
        }
    }

    /// Sends a step now, skips it, repeats it or holds it behind the next. The run as it then stands.
    ///
    /// # Errors
    /// A refusal: no such run or step, or the step is over.
    pub async fn step(&self, run: u64, step: &str, action: StepAction) -> Result<Value, ClientError> {
        let path = path(&["runs", &run.to_string(), "steps", step]);
        self.ask(Method::POST, &path, &json!({"action": action})).await
    }

    /// Reads the partners' folder again; the new version's number.
    ///
    /// # Errors
    /// A refusal with every mistake: the old partners stay.
    pub async fn reload(&self) -> Result<u64, ClientError> {
        #[derive(Deserialize)]
        struct Reloaded {
            version: u64,
        }
        let reloaded: Reloaded = self.ask(Method::POST, &path(&["reload"]), &Value::Null).await?;
        Ok(reloaded.version)
    }

    /// Forgets state, dials, counts and what waits, of one partner or of all; of all with rows, clock and journal. A session's
    /// client forgets only what is the session's.
    ///
    /// # Errors
    /// A refusal: no such partner.
    pub async fn reset(&self, partner: Option<&str>) -> Result<(), ClientError> {
        let mut what = Map::new();
        let session = self.session_name();
        what.extend(partner.map(|partner| ("partner".to_owned(), Value::from(partner))));
        what.extend((!session.is_empty()).then(|| ("session".to_owned(), Value::from(session))));
        self.ask::<Value>(Method::POST, &path(&["reset"]), &what.into()).await.map(drop)
    }
}
