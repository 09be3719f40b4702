//! A body on its way through, copied as far as it is small enough to keep.
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use parking_lot::Mutex;
use tokio::time::{Sleep, sleep};

/// What of a body could be kept.
#[derive(Debug, Default)]
pub enum Copied {
    /// It is not at its end yet, or broke off.
    #[default]
    Unfinished,
    Whole(Bytes),
    TooLarge,
}

/// Told once, when the body has ended or is given up.
type Ended = Box<dyn FnOnce(Copied) + Send>;

/// Passes a body on and tells at its end what could be kept of it.
pub struct Tee {
    body: Incoming,
    copy: Option<BytesMut>,
    limit: usize,
    deadline: Pin<Box<Sleep>>,
    ended: Option<Ended>,
}

/// The body did not arrive in time, or its sender broke it off.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error("the body did not arrive in time")]
    Late,
    #[error("the body broke off")]
    Off(#[from] hyper::Error),
}

impl Tee {
    /// Copies up to `limit` bytes; the whole body must pass within `deadline`.
    pub fn new(body: Incoming, limit: usize, deadline: Duration, ended: Ended) -> Self {
        let deadline = Box::pin(sleep(deadline));
        let mut tee = Self { body, copy: Some(BytesMut::new()), limit, deadline, ended: Some(ended) };
        // An empty body is never asked for its frames.
        if tee.body.is_end_stream() {
            tee.tell_whole();
        }
        tee
    }

    /// One whose copy stands in a cell.
    pub fn into_cell(body: Incoming, limit: usize, deadline: Duration) -> (Self, Arc<Mutex<Copied>>) {
        let cell = Arc::<Mutex<Copied>>::default();
        let place = Arc::clone(&cell);
        (Self::new(body, limit, deadline, Box::new(move |copied| *place.lock() = copied)), cell)
    }

    fn tell_whole(&mut self) {
        let copied = self.copy.take().map_or(Copied::TooLarge, |copy| Copied::Whole(copy.freeze()));
        if let Some(ended) = self.ended.take() {
            ended(copied);
        }
    }
}

impl Body for Tee {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let tee = self.get_mut();
        if tee.deadline.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(Broken::Late)));
        }
        match std::task::ready!(Pin::new(&mut tee.body).poll_frame(context)) {
            None => {
                tee.tell_whole();
                Poll::Ready(None)
            }
            Some(Err(error)) => Poll::Ready(Some(Err(error.into()))),
            Some(Ok(frame)) => {
                if let (Some(data), Some(copy)) = (frame.data_ref(), &mut tee.copy) {
                    if copy.len() + data.len() <= tee.limit {
                        copy.extend_from_slice(data);
                    } else {
                        tee.copy = None;
                    }
                }
                if tee.body.is_end_stream() {
                    tee.tell_whole();
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

impl Drop for Tee {
    fn drop(&mut self) {
        if let Some(ended) = self.ended.take() {
            ended(Copied::Unfinished);
        }
    }
}
