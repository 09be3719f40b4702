//! The body of an answer: whole or streamed, with a hook that runs before the caller can see the answer's end.
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use qiao_core::{
    BoxFuture,
    connector::{StreamBody, StreamError},
};

/// Told how an answer ended, exactly one of the two.
pub trait OnEnd: Send + 'static {
    /// The answer is whole: awaited before its last piece, or its end mark, is released. `sent` counts body bytes. The future
    /// may be dropped when the caller hangs up meanwhile, so what must happen anyway is started by the call itself.
    fn finish(&mut self, sent: u64) -> BoxFuture<'static, ()>;

    /// The caller hung up, or the stream broke, after `sent` body bytes.
    fn abandon(&mut self, sent: u64);
}

/// What a handler answers with.
#[must_use]
pub struct ResponseBody {
    source: Source,
    hook: Option<Box<dyn OnEnd>>,
    sent: u64,
    /// Bytes to come where the length is known.
    remaining: Option<u64>,
    ending: Ending,
}

enum Source {
    Full(Bytes),
    Stream(StreamBody),
}

enum Ending {
    NotYet,
    Committing { last: Option<Bytes>, commit: BoxFuture<'static, ()> },
    Over,
}

impl ResponseBody {
    fn new(source: Source, remaining: Option<u64>) -> Self {
        let ending = if remaining == Some(0) { Ending::Over } else { Ending::NotYet };
        Self { source, hook: None, sent: 0, remaining, ending }
    }

    /// A whole body.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let length = bytes.len() as u64;
        Self::new(Source::Full(bytes), Some(length))
    }

    /// A streamed body, passed on piece by piece; trailers are dropped.
    pub fn stream(stream: StreamBody) -> Self {
        let remaining = stream.size_hint().exact();
        Self::new(Source::Stream(stream), remaining)
    }

    /// No body.
    pub fn empty() -> Self {
        Self::full(Bytes::new())
    }

    /// Sets the hook. An answer without bytes to send runs it before its head is released.
    pub fn on_end(mut self, hook: impl OnEnd) -> Self {
        self.hook = Some(Box::new(hook));
        self
    }

    /// The length of a whole body, in bytes; 0 for a stream.
    pub fn whole_len(&self) -> u64 {
        match &self.source {
            Source::Full(bytes) => bytes.len() as u64,
            Source::Stream(_) => 0,
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        matches!(self.source, Source::Full(_))
    }

    /// The length announced in `Content-Length`, for a stream that does not know its own.
    pub(crate) fn expect_length(&mut self, length: u64) {
        if self.remaining.is_none() {
            self.remaining = Some(length);
        }
    }

    pub(crate) fn has_no_bytes(&self) -> bool {
        self.remaining == Some(0)
    }

    /// Runs the hook now, for an answer whose body is not sent (HEAD, 204, 304, no bytes).
    pub(crate) async fn finish_unsent(&mut self) {
        if let Some(mut hook) = self.hook.take() {
            hook.finish(0).await;
        }
    }

    /// Whether everything was released.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.ending, Ending::Over)
    }

    /// Turns to the hook; without one, gives `last` back to be released at once.
    fn end(&mut self, last: Option<Bytes>) -> Option<Bytes> {
        match self.hook.take() {
            Some(mut hook) => {
                self.ending = Ending::Committing { last, commit: hook.finish(self.sent) };
                None
            }
            None => {
                self.ending = Ending::Over;
                last
            }
        }
    }

    /// The next piece of the source, and whether it is the last; none at the end.
    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<(Bytes, bool), StreamError>>> {
        let stream = match &mut self.source {
            Source::Full(bytes) => return Poll::Ready(Some(Ok((std::mem::take(bytes), true)))),
            Source::Stream(stream) => stream,
        };
        loop {
            match ready!(Pin::new(&mut *stream).poll_frame(cx)) {
                None if self.remaining.is_some_and(|left| left > 0) => {
                    return Poll::Ready(Some(Err("the stream ended before its announced length".into())));
                }
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        let length = data.len() as u64;
                        self.remaining = self.remaining.map(|left| left.saturating_sub(length));
                        let last = self.remaining == Some(0) || stream.is_end_stream();
                        return Poll::Ready(Some(Ok((data, last))));
                    }
                }
            }
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        loop {
            match &mut self.ending {
                Ending::Over => return Poll::Ready(None),
                Ending::Committing { last, commit } => {
                    ready!(commit.as_mut().poll(cx));
                    let last = last.take();
                    self.ending = Ending::Over;
                    return Poll::Ready(last.map(|bytes| Ok(Frame::data(bytes))));
                }
                Ending::NotYet => {}
            }
            match ready!(self.poll_source(cx)) {
                Some(Ok((data, last))) => {
                    self.sent += data.len() as u64;
                    if !last {
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                    if let Some(data) = self.end(Some(data)) {
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                }
                None => {
                    self.end(None);
                }
                Some(Err(error)) => {
                    self.ending = Ending::Over;
                    if let Some(mut hook) = self.hook.take() {
                        hook.abandon(self.sent);
                    }
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.source, &self.ending) {
            (_, Ending::Committing { last, .. }) => {
                SizeHint::with_exact(last.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            (Source::Full(bytes), _) => SizeHint::with_exact(bytes.len() as u64),
            (Source::Stream(stream), _) => stream.size_hint(),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if let Some(mut hook) = self.hook.take() {
            hook.abandon(self.sent);
        }
    }
}
