//! Bodies of answers: whole, cut short under the whole length, or in small pieces.
use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use super::patience::{Busy, Progress};

/// Pieces of a dripped body at most.
const DRIPS: usize = 50;

pub enum AnswerBody {
    Whole(Option<Bytes>),
    /// What is sent of it; then the body breaks off.
    Cut(Option<Bytes>, bool),
    Drip(Box<Drip>),
}

pub struct Drip {
    left: Bytes,
    piece: usize,
    pause: Duration,
    sleep: Pin<Box<Sleep>>,
    _busy: Busy<Arc<Progress>>,
}

/// The body breaks off on purpose.
#[derive(Debug)]
pub struct BrokenOff;

impl fmt::Display for BrokenOff {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the body breaks off, as a fault dial asks")
    }
}

impl std::error::Error for BrokenOff {}

impl From<Infallible> for BrokenOff {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl AnswerBody {
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Some(bytes.into()))
    }

    /// The first `length` bytes of a body.
    pub fn cut(bytes: &Bytes, length: usize) -> Self {
        Self::Cut(Some(bytes.slice(..length)), false)
    }

    /// A body in pieces spread over `after`.
    pub fn drip(bytes: Bytes, after: Duration, busy: Busy<Arc<Progress>>) -> Self {
        let piece = bytes.len().div_ceil(DRIPS).max(1);
        let pieces = u32::try_from(bytes.len().div_ceil(piece)).unwrap_or(1).max(1);
        let pause = after / pieces;
        Self::Drip(Box::new(Drip { left: bytes, piece, pause, sleep: Box::pin(sleep(pause)), _busy: busy }))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Cut(bytes, flushed) => match bytes.take() {
                Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                // Once pending, so that hyper writes out what it holds before it learns of the break.
                None if !std::mem::replace(flushed, true) => {
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
                None => Poll::Ready(Some(Err(BrokenOff))),
            },
            Self::Drip(drip) => {
                if drip.left.is_empty() {
                    return Poll::Ready(None);
                }
                if drip.sleep.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                let piece = drip.left.split_to(drip.piece.min(drip.left.len()));
                drip.sleep.set(sleep(drip.pause));
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            // The length is written by hand: the header tells the whole, the body does not.
            Self::Cut(..) => SizeHint::default(),
            Self::Drip(drip) => SizeHint::with_exact(drip.left.len() as u64),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }
}
