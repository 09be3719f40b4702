//! From hyper's request to the handler's and back: refusals answered, reserved fields taken out, limits put on, ends tracked.
use std::{
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context as TaskContext, Poll},
    time::Instant,
};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use qiao_core::{connector::StreamError, fault_codes};

use super::{
    GatewayStats, Handler, Peer,
    body::GatewayBody,
    connection::Context,
    flow::{Flow, Ticket, Verdict},
    headers::{self, MockFault},
    limits::GatewayLimits,
    refusal::{self, Refusal},
    response::ResponseBody,
};

/// Answers one request of a connection.
pub(crate) async fn answer<H: Handler>(
    context: Arc<Context<H>>,
    flow: Arc<Flow>,
    mut peer: Peer,
    request: Request<Incoming>,
) -> Response<TrackedBody> {
    let ticket = flow.begin();
    peer.accepted_at = Instant::now();
    peer.http_version = request.version();
    context.stats.requests.fetch_add(1, Relaxed);
    let verdict = if request.version() == Version::HTTP_2 {
        flow.count_stream();
        judge_http2(&request, &context.limits)
    } else {
        flow.claim()
    };
    let head_only = request.method() == Method::HEAD;
    let (mut response, refused) = match verdict {
        Verdict::Refuse(refusal) => {
            context.stats.refused[refusal as usize].fetch_add(1, Relaxed);
            (context.handler.refuse(refusal, &peer), true)
        }
        Verdict::Handle => {
            let request = prepare(request, &context.limits);
            // Boxed, because hyper keeps the place of a call's state for as long as the connection lives, idle or not.
            let handling = Box::pin(context.handler.handle(request, peer.clone()));
            // A defect in one call must not take its connection's other calls with it.
            let handled = AssertUnwindSafe(handling).catch_unwind().await;
            (handled.unwrap_or_else(|_panic| after_panic(&context.stats)), false)
        }
    };
    headers::strip_hop_by_hop(response.headers_mut());
    let closing = peer.http_version != Version::HTTP_2 && (refused || context.stage.draining());
    if closing {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    settle_length(&mut response, head_only);
    if head_only || response.body().has_no_bytes() || is_bodiless(response.status()) {
        response.body_mut().finish_unsent().await;
    }
    response.map(|body| TrackedBody::new(body, ticket))
}

fn after_panic(stats: &GatewayStats) -> Response<ResponseBody> {
    stats.panics.fetch_add(1, Relaxed);
    refusal::fault_response(
        &fault_codes::INTERNAL,
        StatusCode::INTERNAL_SERVER_ERROR,
        "the handler ended unexpectedly",
    )
}

fn is_bodiless(status: StatusCode) -> bool {
    status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED
}

/// Makes the announced length and the body agree: a whole body's own length counts, a stream may announce one.
fn settle_length(response: &mut Response<ResponseBody>, head_only: bool) {
    if head_only || is_bodiless(response.status()) {
        return;
    }
    if response.body().is_full() {
        response.headers_mut().remove(header::CONTENT_LENGTH);
        return;
    }
    let announced =
        response.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    match (response.body().size_hint().exact(), announced) {
        (Some(_), _) => {
            response.headers_mut().remove(header::CONTENT_LENGTH);
        }
        (None, Some(length)) => response.body_mut().expect_length(length),
        (None, None) => {
            response.headers_mut().remove(header::CONTENT_LENGTH);
        }
    }
}

fn prepare(request: Request<Incoming>, limits: &GatewayLimits) -> Request<GatewayBody> {
    let (mut parts, incoming) = request.into_parts();
    if let Some(value) = parts.headers.get("x-mock-fault") {
        let fault = MockFault(value.clone());
        parts.extensions.insert(fault);
    }
    headers::strip_request(&mut parts.headers);
    let body = if parts.version == Version::HTTP_2 {
        GatewayBody::watched(incoming, limits.body_bytes, limits.body_idle)
    } else {
        GatewayBody::guarded(incoming, limits.body_bytes, limits.body_idle)
    };
    Request::from_parts(parts, body)
}

/// What the guard checks of HTTP/1 heads and hyper does not check of HTTP/2 ones (RFC 9113 §8.3.1).
fn judge_http2(request: &Request<Incoming>, limits: &GatewayLimits) -> Verdict {
    let uri = request.uri();
    let refusal = if request.method() == Method::CONNECT {
        Some(Refusal::MethodNotImplemented)
    } else if request.headers().len() > limits.header_count {
        Some(Refusal::TooManyHeaders)
    } else if uri.path_and_query().is_some_and(|target| target.as_str().len() > limits.target_bytes) {
        Some(Refusal::TargetTooLong)
    } else if !(uri.path().starts_with('/') || (request.method() == Method::OPTIONS && uri.path() == "*")) {
        Some(Refusal::InvalidTarget)
    } else {
        judge_http2_authority(request)
    };
    refusal.map_or(Verdict::Handle, Verdict::Refuse)
}

fn judge_http2_authority(request: &Request<Incoming>) -> Option<Refusal> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Some(Refusal::DuplicateHost);
    }
    match (request.uri().authority(), host) {
        (None, None) => Some(Refusal::MissingHost),
        (Some(authority), _) if !super::guard::valid_authority(authority.as_str().as_bytes()) => {
            Some(Refusal::InvalidHost)
        }
        (_, Some(host)) if !super::guard::valid_authority(host.as_bytes()) => Some(Refusal::InvalidHost),
        (Some(authority), Some(host))
            if !authority.as_str().as_bytes().eq_ignore_ascii_case(host.as_bytes()) =>
        {
            Some(Refusal::HostMismatch)
        }
        _ => None,
    }
}

/// An answer's body that counts its request as under way until it is dropped.
pub(crate) struct TrackedBody {
    body: ResponseBody,
    ticket: Ticket,
}

impl TrackedBody {
    fn new(body: ResponseBody, mut ticket: Ticket) -> Self {
        ticket.set_untaken(!body.is_over());
        Self { body, ticket }
    }
}

impl Body for TrackedBody {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        self.ticket.set_untaken(false);
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        // A piece was released: until the next poll, or the drop after the last piece, it waits for the caller to take it.
        self.ticket.set_untaken(matches!(polled, Poll::Ready(Some(Ok(_)))));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
