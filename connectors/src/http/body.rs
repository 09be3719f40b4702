//! Bodies on their way: what goes out to a partner, and an answer streamed back while its connection is driven by whoever reads it.
use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use qiao_core::{
    OutboundBody,
    connector::{StreamBody, StreamError},
};
use tokio::time::{Instant, Sleep};

use super::pool::Lease;

/// A request's body.
pub(super) enum OutBody {
    Whole(Bytes),
    Stream(StreamBody),
}

impl From<OutboundBody> for OutBody {
    fn from(body: OutboundBody) -> Self {
        match body {
            OutboundBody::Whole(bytes) => OutBody::Whole(bytes),
            OutboundBody::Stream(stream) => OutBody::Stream(stream),
        }
    }
}

impl Body for OutBody {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        match self.get_mut() {
            OutBody::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            OutBody::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            OutBody::Stream(stream) => Pin::new(stream).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            OutBody::Whole(bytes) => bytes.is_empty(),
            OutBody::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            OutBody::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            OutBody::Stream(stream) => stream.size_hint(),
        }
    }
}

/// Why a streamed answer broke off.
#[derive(Debug, thiserror::Error)]
pub enum AnswerBroken {
    #[error("the partner's answer broke off: {0}")]
    Lost(#[from] hyper::Error),
    #[error("the partner sent nothing for {0:?}")]
    Silent(Duration),
    #[error("the partner's answer is over limits.streamBytes = {0}")]
    TooLong(u64),
}

/// An answer's body that holds its connection: dropped half-read it closes it, read to the end it gives it back.
pub(super) struct AnswerStream {
    incoming: Incoming,
    lease: Option<Lease>,
    /// What was read while looking whether the whole body is there already.
    first: Option<Bytes>,
    left: Option<u64>,
    bound: u64,
    idle: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    armed: bool,
}

impl AnswerStream {
    pub(super) fn new(
        incoming: Incoming,
        lease: Lease,
        first: Option<Bytes>,
        bound: Option<u64>,
        idle: Duration,
    ) -> Self {
        let left =
            bound.map(|bound| bound.saturating_sub(first.as_ref().map_or(0, |bytes| bytes.len() as u64)));
        let bound = bound.unwrap_or_default();
        Self { incoming, lease: Some(lease), first, left, bound, idle, timer: None, armed: false }
    }

    fn release(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.release();
        }
    }

    /// Counts a frame against the bound and gives the connection back after the last.
    fn received(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, AnswerBroken> {
        self.armed = false;
        if let (Some(left), Some(data)) = (&mut self.left, frame.data_ref()) {
            *left = left.checked_sub(data.len() as u64).ok_or(AnswerBroken::TooLong(self.bound))?;
        }
        if self.incoming.is_end_stream() {
            self.release();
        }
        Ok(frame)
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<AnswerBroken> {
        let idle = self.idle;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(idle)));
        if !self.armed {
            timer.as_mut().reset(Instant::now() + idle);
            self.armed = true;
        }
        timer.as_mut().poll(cx).map(|()| AnswerBroken::Silent(idle))
    }
}

impl Body for AnswerStream {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        let this = &mut *self;
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let Some(lease) = &mut this.lease else { return Poll::Ready(None) };
        let broken = match lease.poll_frame(&mut this.incoming, cx) {
            Poll::Ready(Some(Ok(frame))) => match this.received(frame) {
                Ok(frame) => return Poll::Ready(Some(Ok(frame))),
                Err(broken) => broken,
            },
            Poll::Ready(Some(Err(error))) => AnswerBroken::Lost(error),
            Poll::Ready(None) => {
                this.release();
                return Poll::Ready(None);
            }
            Poll::Pending => std::task::ready!(this.poll_silence(cx)),
        };
        this.lease = None;
        Poll::Ready(Some(Err(broken.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && (self.lease.is_none() || self.incoming.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let extra = self.first.as_ref().map_or(0, |bytes| bytes.len() as u64);
        let rest = self.incoming.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + extra);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(extra));
        }
        hint
    }
}
