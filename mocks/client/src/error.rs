//! What can go wrong with a request to the admin API, in words that say what to do.
use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// A mistake in a partner's files or in what was sent, where it stands and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mistake {
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// `stubs[2].when.all[0].json`; empty for the file as a whole.
    pub path: String,
    pub message: String,
    #[serde(default)]
    pub remedy: Option<String>,
}

impl fmt::Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.path.is_empty() {
            write!(out, "{}: ", self.path)?;
        }
        out.write_str(&self.message)?;
        self.remedy.iter().try_for_each(|remedy| write!(out, "; {remedy}"))
    }
}

/// A request that did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not a URL that can be asked.
    #[error("`{0}` is no URL of an admin API: write http://HOST:PORT")]
    Url(String),
    /// A token, a path or a body that cannot be sent.
    #[error("the request cannot be sent: {0}")]
    Request(String),
    /// Nobody listens there.
    #[error("no mock server answers at {url}: {source}; start one, or name another with its URL")]
    Unreachable { url: String, source: std::io::Error },
    /// The connection broke before the answer was whole.
    #[error("the answer of {url} broke off: {reason}")]
    Broken { url: String, reason: String },
    /// No whole answer within the client's patience.
    #[error("{url} gave no answer within {patience:?}")]
    Late { url: String, patience: Duration },
    /// The server said no.
    #[error("{}", refusal(.error, .mistakes))]
    Refused { status: u16, error: String, mistakes: Vec<Mistake> },
    /// The answer is not what this client understands: another version of the server.
    #[error("the answer was not understood: {0}; do client and server have the same version?")]
    Strange(String),
}

fn refusal(error: &str, mistakes: &[Mistake]) -> String {
    let lines = mistakes.iter().map(|mistake| format!("\n{mistake}"));
    std::iter::once(error.to_owned()).chain(lines).collect()
}

impl ClientError {
    /// The status of a refusal; none where there was no answer.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}
