//! The body of a request as the handler gets it: bounded in size, bounded in waiting, with errors that say whose side failed.
use std::{
    error::Error as _,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use qiao_core::{Fault, connector::StreamBody, fault_codes};
use tokio::time::{Instant, Sleep};

use super::guard::GuardError;

/// Why a request body did not arrive whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("the request body is larger than the {limit} bytes this interface accepts")]
    TooLarge { limit: u64 },
    #[error("no byte of the request body arrived for {} s", idle.as_secs_f32())]
    TimedOut { idle: Duration },
    #[error("the request body broke off: {reason}")]
    Broken { reason: &'static str },
}

impl From<BodyError> for Fault {
    fn from(error: BodyError) -> Self {
        let code = match error {
            BodyError::TooLarge { .. } => &fault_codes::BODY_TOO_LARGE,
            BodyError::TimedOut { .. } => &fault_codes::BODY_TIMEOUT,
            BodyError::Broken { .. } => &fault_codes::BAD_REQUEST,
        };
        Fault::new(code, error.to_string())
    }
}

/// A request body. Trailers are dropped: nothing behind the bus reads them, and they could smuggle reserved fields.
pub struct GatewayBody {
    source: Source,
    limit: u64,
    seen: u64,
    idle: Duration,
}

enum Source {
    Whole(Bytes),
    /// HTTP/1: the guard of the connection watches for silence.
    Guarded(Incoming),
    /// HTTP/2: silence is watched here, per stream.
    Watched(Incoming, Option<Pin<Box<Sleep>>>),
    Failed(BodyError),
}

impl GatewayBody {
    pub(crate) fn guarded(incoming: Incoming, limit: u64, idle: Duration) -> Self {
        Self { source: Source::Guarded(incoming), limit, seen: 0, idle }
    }

    pub(crate) fn watched(incoming: Incoming, limit: u64, idle: Duration) -> Self {
        Self { source: Source::Watched(incoming, None), limit, seen: 0, idle }
    }

    /// A body that is already here, for callers inside the process.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self { source: Source::Whole(bytes.into()), limit: u64::MAX, seen: 0, idle: Duration::ZERO }
    }

    /// Replaces the listener's limit on body bytes; holds for what has already been read, too.
    pub fn set_limit(&mut self, bytes: u64) {
        self.limit = bytes;
    }

    /// The announced length, where the caller gave one.
    pub fn declared(&self) -> Option<u64> {
        match &self.source {
            Source::Whole(bytes) => Some(bytes.len() as u64),
            Source::Guarded(incoming) | Source::Watched(incoming, _) => incoming.size_hint().exact(),
            Source::Failed(_) => None,
        }
    }

    /// The whole body. A body that announces more than the limit is refused before any of it is read.
    pub async fn collect(mut self) -> Result<Bytes, BodyError> {
        let declared = self.declared();
        if declared.is_some_and(|length| length > self.limit) {
            return Err(BodyError::TooLarge { limit: self.limit });
        }
        let Some(first) = self.next().await? else { return Ok(Bytes::new()) };
        let Some(second) = self.next().await? else { return Ok(first) };
        // What is announced but has not arrived is not allocated for: an idle caller must not hold memory.
        let mut whole = BytesMut::with_capacity((first.len() + second.len()) * 2);
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&second);
        while let Some(more) = self.next().await? {
            whole.extend_from_slice(&more);
        }
        Ok(whole.freeze())
    }

    /// The body as a stream to be passed on unread, under the same limits.
    pub fn into_stream(self) -> StreamBody {
        self.map_err(Into::into).boxed_unsync()
    }

    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        match self.frame().await {
            None => Ok(None),
            Some(Err(error)) => Err(error),
            // Only data frames leave `poll_frame`.
            Some(Ok(frame)) => Ok(frame.into_data().ok()),
        }
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.source = Source::Failed(error.clone());
        Poll::Ready(Some(Err(error)))
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            let polled = match &mut self.source {
                Source::Whole(bytes) if bytes.is_empty() => return Poll::Ready(None),
                Source::Whole(bytes) => return Poll::Ready(Some(Ok(std::mem::take(bytes)))),
                Source::Failed(error) => return Poll::Ready(Some(Err(error.clone()))),
                Source::Guarded(incoming) => ready!(Pin::new(incoming).poll_frame(cx)),
                Source::Watched(incoming, silence) => match Pin::new(incoming).poll_frame(cx) {
                    Poll::Ready(polled) => {
                        *silence = None;
                        polled
                    }
                    Poll::Pending => {
                        let idle = self.idle;
                        let silence = silence
                            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + idle)));
                        ready!(silence.as_mut().poll(cx));
                        return Poll::Ready(Some(Err(BodyError::TimedOut { idle })));
                    }
                },
            };
            match polled {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(self.explain(&error)))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
            }
        }
    }

    /// Finds the guard's reason inside hyper's error.
    fn explain(&self, error: &hyper::Error) -> BodyError {
        let mut cause = error.source();
        while let Some(inner) = cause {
            let guard = inner.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            match guard.and_then(|found| found.downcast_ref::<GuardError>()) {
                Some(GuardError::BodyIdle) => return BodyError::TimedOut { idle: self.idle },
                Some(GuardError::Flaw(refusal)) => return BodyError::Broken { reason: refusal.reason() },
                None => cause = inner.source(),
            }
        }
        BodyError::Broken { reason: "the connection ended before the body did" }
    }
}

impl Body for GatewayBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match ready!(self.poll_data(cx)) {
            None => Poll::Ready(None),
            Some(Err(error)) => self.fail(error),
            Some(Ok(data)) => {
                self.seen += data.len() as u64;
                if self.seen > self.limit {
                    let limit = self.limit;
                    return self.fail(BodyError::TooLarge { limit });
                }
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Whole(bytes) => bytes.is_empty(),
            Source::Guarded(incoming) | Source::Watched(incoming, _) => incoming.is_end_stream(),
            Source::Failed(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Guarded(incoming) | Source::Watched(incoming, _) => incoming.size_hint(),
            Source::Failed(_) => SizeHint::default(),
        }
    }
}
