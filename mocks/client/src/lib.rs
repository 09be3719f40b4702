//! Mock partners from Rust tests and from the command line: a client of their admin API.
//!
//! ```no_run
//! # async fn example() -> Result<(), qiao_mocks_client::ClientError> {
//! use qiao_mocks_client::{Dial, MocksClient};
//! let mocks = MocksClient::new("http://127.0.0.1:8081")?.with_token(std::env::var("QIAO_ADMIN_TOKEN").unwrap_or_default());
//! // Ends when the guard is dropped; requests belong to it by the header `X-Mock-Session`.
//! let session = mocks.session().pack("midterm").open().await?;
//! session.turn("card", "twice", &Dial::fault("status").with("status", 503).first(2)).await?;
//! // … the code under test calls the partner …
//! session.verify().partner("card").item("loss").count(1).holds().await; // panics with the nearest misses
//! # Ok(())
//! # }
//! ```
//! It depends on no other crate of the project. Everything is async; [`wait`] runs one call where there is no runtime.
mod client;
mod dial;
mod error;
mod journal;
mod moving;
mod remembered;
mod session;
mod tail;
mod verify;

pub use client::{Answer, MocksClient, asking, path};
pub use dial::Dial;
pub use error::{ClientError, Mistake};
pub use journal::{Entry, JournalQuery, Page};
pub use moving::{Advanced, StepAction};
pub use session::{Session, SessionBuilder};
pub use tail::{Tail, TailEvent};
pub use verify::{Near, Verdict, Verification, Verified};

/// Runs one call to its end on this thread, for code without a runtime. Not inside of one: that panics.
pub fn wait<F: Future>(call: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a thread of its own needs nothing that can lack").block_on(call)
}
