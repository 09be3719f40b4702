//! What happened to the bodies of a forwarded call on their way: bytes counted, and why one broke off. For its record.
use std::{
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use qiao_core::{
    Fault,
    connector::{StreamBody, StreamError},
    fault_codes,
};

use crate::gateway::GatewayBody;

/// Shared by a call's record and its two bodies.
#[derive(Default)]
pub struct Passage {
    received: AtomicU64,
    request_broke: OnceLock<Fault>,
    answer_broke: OnceLock<Fault>,
}

impl Passage {
    /// Bytes of the request that came in so far.
    pub fn received(&self) -> u64 {
        self.received.load(Relaxed)
    }

    /// Why the caller's body did not arrive whole.
    pub fn request_fault(&self) -> Option<&Fault> {
        self.request_broke.get()
    }

    /// Why the partner's body did not arrive whole.
    pub fn answer_fault(&self) -> Option<&Fault> {
        self.answer_broke.get()
    }

    /// The request's body, watched.
    pub fn request(self: &Arc<Self>, body: GatewayBody) -> StreamBody {
        let passage = Arc::clone(self);
        let told = move |event: Event<'_, crate::gateway::BodyError>| match event {
            Event::Data(bytes) => {
                passage.received.fetch_add(bytes, Relaxed);
            }
            // The first cause is the one to tell.
            Event::Broke(error) => passage.request_broke.set(error.clone().into()).unwrap_or_default(),
        };
        Watched { inner: body, told }.map_err(Into::into).boxed_unsync()
    }

    /// The answer's body, watched.
    pub fn answer(self: &Arc<Self>, body: StreamBody) -> StreamBody {
        let passage = Arc::clone(self);
        let told = move |event: Event<'_, StreamError>| {
            if let Event::Broke(error) = event {
                let fault = Fault::new(&fault_codes::PARTNER_PROTOCOL, error.to_string());
                passage.answer_broke.set(fault).unwrap_or_default();
            }
        };
        Watched { inner: body, told }.boxed_unsync()
    }
}

enum Event<'a, E> {
    Data(u64),
    Broke(&'a E),
}

/// A body that tells of its pieces and of its breaking off.
struct Watched<B, F> {
    inner: B,
    told: F,
}

impl<B, F> Body for Watched<B, F>
where
    B: Body<Data = Bytes> + Unpin,
    F: FnMut(Event<'_, B::Error>) + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                (this.told)(Event::Data(frame.data_ref().map_or(0, |data| data.len() as u64)));
            }
            Poll::Ready(Some(Err(error))) => (this.told)(Event::Broke(error)),
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
