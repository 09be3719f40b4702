//! The journal as it grows: server-sent events.
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Deserialize;
use tokio::time::timeout;

use crate::{ClientError, Entry, JournalQuery};

/// The server says every 15 s that it lives.
const SILENCE: Duration = Duration::from_secs(45);
/// Bytes of one event at most: entries come without their bodies.
const MAX_EVENT: usize = 1 << 20;

/// What a tail tells.
#[derive(Clone, Debug)]
pub enum TailEvent {
    Entry(Box<Entry>),
    /// The reader was too slow: so many entries were missed, and the tail ends.
    Dropped(u64),
}

/// Entries as they come.
pub struct Tail {
    body: Incoming,
    buffer: Vec<u8>,
    url: String,
}

#[derive(Deserialize)]
struct Dropped {
    missed: u64,
}

impl JournalQuery {
    /// Entries from now on that these filters let pass; `before` and `limit` say nothing here.
    ///
    /// # Errors
    /// No answer, or too many who look on already.
    pub async fn tail(&self) -> Result<Tail, ClientError> {
        let mocks = &self.mocks;
        let request = mocks.get_request(&self.path(&["journal", "tail"]))?;
        let begun = timeout(mocks.patience(), mocks.begin(request)).await;
        let late = |_| ClientError::Late { url: mocks.url().to_owned(), patience: mocks.patience() };
        let response = begun.map_err(late)??;
        let status = response.status().as_u16();
        if status == 200 {
            return Ok(Tail { body: response.into_body(), buffer: Vec::new(), url: mocks.url().to_owned() });
        }
        let body = http_body_util::Limited::new(response.into_body(), MAX_EVENT).collect();
        let body = timeout(mocks.patience(), body).await.map_err(late)?;
        let body = body.map_err(|error| mocks.broken(&error))?.to_bytes();
        let refused = crate::Answer { status, etag: None, body }.read::<serde_json::Value>();
        Err(refused.err().unwrap_or_else(|| ClientError::Strange(format!("status {status}"))))
    }
}

impl Tail {
    /// The next event; none at the end. A server that says nothing for 45 s is gone.
    ///
    /// # Errors
    /// A broken connection, or something else than events.
    pub async fn next(&mut self) -> Result<Option<TailEvent>, ClientError> {
        loop {
            while let Some(end) = self.buffer.windows(2).position(|window| window == b"\n\n") {
                let event: Vec<u8> = self.buffer.drain(..end + 2).collect();
                if let Some(event) = read(&String::from_utf8_lossy(&event))? {
                    return Ok(Some(event));
                }
            }
            if self.buffer.len() > MAX_EVENT {
                return Err(ClientError::Strange("an event of more than 1 MiB".to_owned()));
            }
            let late = |_| ClientError::Late { url: self.url.clone(), patience: SILENCE };
            let frame = match timeout(SILENCE, self.body.frame()).await.map_err(late)? {
                None => return Ok(None),
                Some(frame) => frame.map_err(|error| ClientError::Broken {
                    url: self.url.clone(),
                    reason: error.to_string(),
                })?,
            };
            if let Ok(data) = frame.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
    }
}

/// One event; none for comments, which only say that the server lives.
fn read(text: &str) -> Result<Option<TailEvent>, ClientError> {
    let field = |name: &str| {
        let lines = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
    };
    let strange = |error: serde_json::Error| ClientError::Strange(error.to_string());
    let data = field("data");
    match field("event").as_str() {
        "entry" => Ok(Some(TailEvent::Entry(Box::new(serde_json::from_str(&data).map_err(strange)?)))),
        "dropped" => {
            let dropped: Dropped = serde_json::from_str(&data).map_err(strange)?;
            Ok(Some(TailEvent::Dropped(dropped.missed)))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_told_from_signs_of_life() {
        assert!(matches!(read(":\n\n"), Ok(None)));
        let dropped = read("event: dropped\ndata: {\"missed\":7}\n\n");
        assert!(matches!(dropped, Ok(Some(TailEvent::Dropped(7)))), "{dropped:?}");
        assert!(matches!(read("event: entry\ndata: {}\n\n"), Err(ClientError::Strange(_))));
    }
}
