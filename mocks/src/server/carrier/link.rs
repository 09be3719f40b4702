//! One open connection: frames on their way out, and the answers that requests wait for.
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU32, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use qiao_wire::WireError;
use tokio::{
    io::AsyncWriteExt,
    net::tcp::OwnedWriteHalf,
    sync::{Semaphore, mpsc, oneshot, watch},
    time::timeout,
};

use super::{Dialect, Outbound, Sequence};

/// Frames that wait to be written at most; who sends more waits.
const QUEUE: usize = 64;
/// A peer that takes nothing for this long is given up.
const STALL: Duration = Duration::from_secs(60);
/// Between the pieces of a frame that is split.
const PAUSE: Duration = Duration::from_millis(20);

/// How a frame is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Whole,
    /// In pieces, cut within the length, the head and the body.
    Split,
    /// Together with the next frame, or alone after that time.
    Held(Duration),
    /// In up to fifty pieces over that time.
    Drip(Duration),
    /// The first half, then the connection ends.
    Cut,
    /// The connection ends behind it.
    Last,
    /// Not at all: the connection is reset after that time.
    Reset(Duration),
}

/// One open connection.
pub struct Link {
    pub dialect: &'static dyn Dialect,
    version: AtomicU8,
    queue: mpsc::Sender<(Vec<u8>, How)>,
    waiting: Mutex<HashMap<Sequence, oneshot::Sender<u32>>>,
    /// Counts the requests sent.
    pub counter: AtomicU32,
    /// Requests to the peer that may still be unanswered.
    pub room: Arc<Semaphore>,
    /// The peer's requests that are not answered yet.
    pub unanswered: AtomicU32,
    closed: watch::Sender<bool>,
}

impl Link {
    /// Writes to `half` until it is closed. `window`: requests that may be unanswered.
    pub fn open(
        dialect: &'static dyn Dialect,
        version: u8,
        half: OwnedWriteHalf,
        window: usize,
    ) -> Arc<Self> {
        let (queue, frames) = mpsc::channel(QUEUE);
        let closed = watch::Sender::new(false);
        tokio::spawn(write(half, frames, closed.clone()));
        Arc::new(Self {
            dialect,
            version: AtomicU8::new(version),
            queue,
            waiting: Mutex::default(),
            counter: AtomicU32::new(0),
            room: Arc::new(Semaphore::new(window)),
            unanswered: AtomicU32::new(0),
            closed,
        })
    }

    pub fn version(&self) -> u8 {
        self.version.load(Ordering::Relaxed)
    }

    /// The version agreed at the login.
    pub fn agree(&self, version: u8) {
        self.version.store(version, Ordering::Relaxed);
    }

    /// # Errors
    /// A value that has no room in its field.
    pub fn frame(&self, sequence: Sequence, message: &Outbound<'_>) -> Result<Vec<u8>, WireError> {
        self.dialect.write(sequence, message, self.version())
    }

    /// Hands a frame to the writer; false where the connection has ended.
    pub async fn send(&self, frame: Vec<u8>, how: How) -> bool {
        let mut closed = self.closed.subscribe();
        tokio::select! {
            sent = self.queue.send((frame, how)) => sent.is_ok(),
            _ = closed.wait_for(|closed| *closed) => false,
        }
    }

    /// Will receive the result that answers this sequence.
    pub fn expect(&self, sequence: Sequence) -> oneshot::Receiver<u32> {
        let (told, answer) = oneshot::channel();
        self.waiting.lock().insert(sequence, told);
        answer
    }

    /// No longer waits for this sequence.
    pub fn forget(&self, sequence: Sequence) {
        self.waiting.lock().remove(&sequence);
    }

    /// An answer came. One that nothing waits for is dropped.
    pub fn answered(&self, sequence: Sequence, result: u32) {
        let waiting = self.waiting.lock().remove(&sequence);
        if waiting.is_some_and(|told| told.send(result).is_err()) {
            tracing::trace!("whoever waited for the answer has given up");
        }
    }

    pub fn close(&self) {
        self.closed.send_replace(true);
    }

    pub fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Done when the connection has ended.
    pub async fn closed(&self) {
        // An error means that the writer is gone, which is the same.
        drop(self.closed.subscribe().wait_for(|closed| *closed).await);
    }
}

async fn write(
    mut half: OwnedWriteHalf,
    mut frames: mpsc::Receiver<(Vec<u8>, How)>,
    closed: watch::Sender<bool>,
) {
    let mut ended = closed.subscribe();
    let mut held: Vec<u8> = Vec::new();
    let mut until = tokio::time::Instant::now();
    loop {
        let next = tokio::select! {
            biased;
            next = frames.recv() => next,
            () = tokio::time::sleep_until(until), if !held.is_empty() => Some((Vec::new(), How::Whole)),
            _ = ended.wait_for(|ended| *ended) => None,
        };
        let Some((frame, how)) = next else { break };
        if let (How::Held(time), true) = (how, held.is_empty()) {
            until = tokio::time::Instant::now() + time;
            held = frame;
            continue;
        } else if let How::Reset(after) = how {
            tokio::time::sleep(after).await;
            reset(half);
            closed.send_replace(true);
            return;
        } else {
            held.extend(frame);
        }
        let bytes = std::mem::take(&mut held);
        let patience = if let How::Drip(over) = how { STALL + over } else { STALL };
        let written = timeout(patience, put(&mut half, &bytes, how)).await;
        if !matches!(written, Ok(Ok(()))) || matches!(how, How::Last | How::Cut) {
            break;
        }
    }
    closed.send_replace(true);
}

async fn put(half: &mut OwnedWriteHalf, bytes: &[u8], how: How) -> std::io::Result<()> {
    match how {
        How::Split => {
            let mut start = 0;
            for end in [2, 9, bytes.len() / 2, bytes.len()] {
                if end > start && end <= bytes.len() {
                    half.write_all(&bytes[start..end]).await?;
                    tokio::time::sleep(PAUSE).await;
                    start = end;
                }
            }
            Ok(())
        }
        How::Drip(over) => {
            let pieces = bytes.len().clamp(1, 50);
            let pause = over / u32::try_from(pieces).unwrap_or(50);
            for piece in bytes.chunks(bytes.len().div_ceil(pieces).max(1)) {
                half.write_all(piece).await?;
                tokio::time::sleep(pause).await;
            }
            Ok(())
        }
        How::Cut => half.write_all(&bytes[..bytes.len() / 2]).await,
        How::Whole | How::Last | How::Held(_) | How::Reset(_) => half.write_all(bytes).await,
    }
}

fn reset(half: OwnedWriteHalf) {
    if let Err(error) = socket2::SockRef::from(half.as_ref()).set_linger(Some(Duration::ZERO)) {
        tracing::debug!(%error, "a connection could not be reset and is closed instead");
    }
    // Dropping it would end the connection in order.
    half.forget();
}
