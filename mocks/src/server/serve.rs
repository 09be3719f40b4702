//! One HTTP request served: routed, read, decided, delayed, answered or deliberately not.
use std::{
    fmt,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, RETRY_AFTER, WWW_AUTHENTICATE},
    request::Parts,
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming as BodyIn;
use serde_json::json;

use super::{
    Shared,
    body::AnswerBody,
    patience::{Busy, Progress},
    sockets::Place,
};
use crate::{
    answer::Rendered,
    catalogue::Routed,
    exchange::{Exchange, exchange},
    facts::Incoming,
    faults::{Fault, alter},
    partner::{Listener, Partner},
    spec::FaultKind,
};

/// Which session a request belongs to.
const SESSION: HeaderName = HeaderName::from_static("x-mock-session");
/// A body must arrive within this time.
const BODY: Duration = Duration::from_secs(30);

/// No answer is given: the connection is reset.
#[derive(Debug)]
pub struct Unanswered;

impl fmt::Display for Unanswered {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the connection is reset, as a stopped partner or a fault asks")
    }
}

impl std::error::Error for Unanswered {}

type Served = Result<Response<AnswerBody>, Unanswered>;

/// Serves a request of the common port, or of the one listener that `only` names.
pub fn serve<'s>(
    request: Request<BodyIn>,
    shared: &'s Arc<Shared>,
    only: Option<&Place>,
    progress: &'s Arc<Progress>,
) -> impl Future<Output = Served> + use<'s> {
    let busy = Busy::with(&**progress);
    let aimed = aim(&request, shared, only);
    let (head, body) = request.into_parts();
    // What the arguments were is taken apart before, not held twice: the future's size is what is moved for each request.
    async move {
        let (partner, number, path) = match aimed {
            Aimed::At(partner, number, path) => (partner, number, path),
            Aimed::Done(served) => return served,
        };
        let limit = partner.listeners[number].body_bytes;
        let body = match read(body, limit).await {
            Ok(body) => body,
            Err(served) => return served,
        };
        let Exchange { answer, fault, delay } = decided(partner, number, path, head, body, shared);
        if !delay.is_zero() {
            Box::pin(tokio::time::sleep(delay)).await;
        }
        let silent = |fault: &&Fault| matches!(fault.kind, FaultKind::NoAnswer | FaultKind::Reset);
        if let Some(fault) = fault.as_deref().filter(silent) {
            // When the caller leaves before, this future is dropped and the connection closed.
            Box::pin(tokio::time::sleep(fault.after)).await;
            return Err(Unanswered);
        }
        drop(busy);
        Ok(response(answer, fault.as_deref(), progress))
    }
}

/// The whole body, or what to say of one that does not come whole.
async fn read(body: BodyIn, limit: usize) -> Result<Bytes, Served> {
    let mut collected = pin!(Limited::new(body, limit).collect());
    // Most bodies come with their heads: those need no timer.
    let collected = match futures_util::poll!(&mut collected) {
        Poll::Ready(collected) => Ok(collected),
        Poll::Pending => Box::pin(tokio::time::timeout(BODY, collected)).await,
    };
    match collected {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Ok(refusal(StatusCode::PAYLOAD_TOO_LARGE, "the body exceeds the listener's bodyBytes")))
        }
        // The caller left in the middle of its body.
        Ok(Err(_)) => Err(Err(Unanswered)),
        Err(_) => Err(Ok(refusal(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time"))),
    }
}

/// Asks the stubs. Apart from what waits, so that the place of a request in its connection stays small: it is moved with each.
fn decided(
    partner: Arc<Partner>,
    number: usize,
    path: String,
    head: Parts,
    body: Bytes,
    shared: &Arc<Shared>,
) -> Exchange {
    let started = Instant::now();
    let named = head.headers.get(SESSION).and_then(|value| value.to_str().ok());
    let session = shared.session_of(&partner.id, named, None);
    let query = head.uri.query().map(str::to_owned);
    let incoming = Incoming { method: head.method, path, query, session, headers: head.headers, body };
    let twist = |fault: &Fault, answer: &mut Rendered| twist(fault, answer, shared.clock.now_ms());
    exchange(shared, partner, number, incoming, started, twist)
}

/// `GET path?wsdl` and `?xsd=…`: the service's description with the address that the caller has reached it by.
fn description(request: &Request<BodyIn>, listener: &Listener, rest: &str) -> Option<Response<AnswerBody>> {
    let contract = listener.contract.as_ref()?;
    if rest != "/" || request.method() != Method::GET {
        return None;
    }
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let fits = |host: &&str| host.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-:[]".contains(&b));
    let scheme = if listener.tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}{}", host.filter(fits).unwrap_or("localhost"), listener.path);
    let text = contract.published(request.uri().query().unwrap_or_default(), &url)?;
    let mut response = Response::new(AnswerBody::whole(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/xml; charset=utf-8"));
    Some(response)
}

/// Where a request belongs, or what there is to say without asking any stub.
enum Aimed {
    At(Arc<Partner>, usize, String),
    Done(Served),
}

fn aim(request: &Request<BodyIn>, shared: &Shared, only: Option<&Place>) -> Aimed {
    let nowhere = || Ok(refusal(StatusCode::NOT_FOUND, "no mock partner listens at this path"));
    let found = match only {
        Some(place) => match place.current() {
            Some((partner, number)) => below(request.uri().path(), &partner.listeners[number].path)
                .map(|rest| (Arc::clone(&partner), number, rest.to_owned())),
            None => return Aimed::Done(Err(Unanswered)),
        },
        None => shared.catalogue().route(request.uri().path()).map(|routed| {
            let Routed { partner, number, rest, .. } = routed;
            (Arc::clone(partner), number, rest.to_owned())
        }),
    };
    let Some((partner, number, rest)) = found else { return Aimed::Done(nowhere()) };
    if !partner.runtime.is_running() {
        return Aimed::Done(Err(Unanswered));
    }
    if rest == "/health" && request.method() == Method::GET {
        let up = json_answer(StatusCode::OK, &json!({"partner": *partner.id, "status": "up"}));
        return Aimed::Done(Ok(up));
    }
    match description(request, &partner.listeners[number], &rest) {
        Some(description) => Aimed::Done(Ok(description)),
        None => Aimed::At(partner, number, rest),
    }
}

/// The rest of a path that lies at or below another.
fn below<'p>(path: &'p str, prefix: &str) -> Option<&'p str> {
    match path.strip_prefix(prefix)? {
        "" => Some("/"),
        rest if rest.starts_with('/') => Some(rest),
        _ => None,
    }
}

/// What a fault does to the answer before it is sent; the rest is done while sending.
fn twist(fault: &Fault, answer: &mut Rendered, now_ms: i64) {
    if fault.business.is_some() {
        return;
    }
    let html = "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>";
    let mut page = |status, content_type: &'static str, text: &'static str| {
        answer.status = status;
        answer.body = Bytes::from_static(text.as_bytes());
        answer.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    };
    match fault.kind {
        FaultKind::Status => {
            page(fault.status, "text/plain; charset=utf-8", "a fault dial asks for this status")
        }
        FaultKind::Html => page(200, "text/html; charset=utf-8", html),
        FaultKind::Throttle => {
            page(429, "text/plain; charset=utf-8", "too many requests");
            answer.headers.insert(RETRY_AFTER, HeaderValue::from(fault.retry_after(now_ms)));
        }
        FaultKind::Maintenance => {
            page(503, "text/plain; charset=utf-8", "closed for maintenance");
            answer.headers.insert(RETRY_AFTER, HeaderValue::from(fault.retry_after(now_ms)));
        }
        // RFC 6750 §3.1
        FaultKind::TokenExpired => {
            page(401, "text/plain; charset=utf-8", "the token has expired");
            let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
            answer.headers.insert(WWW_AUTHENTICATE, challenge);
        }
        // Half of any JSON, XML or SOAP body is not well-formed.
        FaultKind::BadBody => answer.body = answer.body.slice(..answer.body.len() / 2),
        FaultKind::WrongCharset => {
            let was_utf8 = std::str::from_utf8(&answer.body).is_ok();
            answer.body = alter::other_charset(&answer.body).into();
            let kind = answer
                .headers
                .get(CONTENT_TYPE)
                .and_then(|value| value.to_str().ok())
                .unwrap_or("text/plain");
            let kind = kind.split(';').next().unwrap_or_default();
            if was_utf8 && let Ok(labelled) = HeaderValue::from_str(&format!("{kind}; charset=utf-8")) {
                answer.headers.insert(CONTENT_TYPE, labelled);
            }
        }
        // The rest was done to the document, or is done while sending.
        _ => {}
    }
}

fn response(answer: Rendered, fault: Option<&Fault>, progress: &Arc<Progress>) -> Response<AnswerBody> {
    let Rendered { status, headers, body } = answer;
    let length = body.len();
    let body = match fault.map(|fault| (fault.kind, fault.after)) {
        Some((FaultKind::Cut, _)) => AnswerBody::cut(&body, body.len() / 2),
        Some((FaultKind::WrongLength, _)) => AnswerBody::cut(&body, body.len()),
        Some((FaultKind::Drip, after)) if !body.is_empty() => {
            AnswerBody::drip(body, after, Busy::with(Arc::clone(progress)))
        }
        _ => AnswerBody::whole(body),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = headers;
    match fault.map(|fault| fault.kind) {
        Some(FaultKind::Cut) => {
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        // One more than there is: less is what an HTTP library would not send.
        Some(FaultKind::WrongLength) => {
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length + 1));
        }
        _ => {}
    }
    response
}

fn refusal(status: StatusCode, text: &str) -> Response<AnswerBody> {
    json_answer(status, &json!({"mock": text}))
}

fn json_answer(status: StatusCode, value: &serde_json::Value) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::whole(value.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
