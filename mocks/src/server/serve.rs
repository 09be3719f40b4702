//! One request served: routed, read, decided, journaled, delayed, answered or deliberately not.
use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming as BodyIn;
use serde_json::json;

use super::{Shared, body::AnswerBody, diagnosis::Miss};
use crate::{
    answer::Rendered,
    catalogue::Routed,
    decide::{Decision, decide},
    facts::Incoming,
    faults::Fault,
    journal::{Body, Entry},
    partner::Partner,
    spec::FaultKind,
};

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

pub async fn serve(request: Request<BodyIn>, shared: &Arc<Shared>) -> Served {
    let started = Instant::now();
    let (partner, number, path, limit) = {
        let catalogue = shared.catalogue();
        let Some(Routed { partner, number, listener, rest }) = catalogue.route(request.uri().path()) else {
            return Ok(refusal(StatusCode::NOT_FOUND, "no mock partner listens at this path"));
        };
        if !partner.runtime.is_running() {
            return Err(Unanswered);
        }
        if rest == "/health" && request.method() == Method::GET {
            return Ok(json_answer(StatusCode::OK, &json!({"partner": *partner.id, "status": "up"})));
        }
        (Arc::clone(partner), number, rest.to_owned(), listener.body_bytes)
    };
    let (head, body) = request.into_parts();
    let body = match tokio::time::timeout(BODY, Limited::new(body, limit).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return Ok(refusal(StatusCode::PAYLOAD_TOO_LARGE, "the body exceeds the listener's bodyBytes"));
        }
        // The caller left in the middle of its body.
        Ok(Err(_)) => return Err(Unanswered),
        Err(_) => return Ok(refusal(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time")),
    };
    let incoming = Incoming {
        method: head.method,
        path,
        query: head.uri.query().map(str::to_owned),
        session: session(&head.headers),
        headers: head.headers,
        body,
    };
    let decision = decide(&partner, number, &incoming, false);
    answer(decision, partner, number, incoming, shared, started).await
}

async fn answer(
    mut decision: Decision,
    partner: Arc<Partner>,
    number: usize,
    incoming: Incoming,
    shared: &Arc<Shared>,
    started: Instant,
) -> Served {
    let missed = decision.stub.is_none();
    let fault = decision.applied.fault.take();
    let mut response = basis(&mut decision, &partner);
    if let Some(fault) = &fault {
        twist(fault, &mut response);
    }
    let counter = if missed { &partner.runtime.missed } else { &partner.runtime.matched };
    counter.fetch_add(1, Ordering::Relaxed);
    let delay = decision.applied.delay;
    let entry = entry(decision, fault.as_deref(), &partner, number, &incoming, &response, started);
    let entry = shared.journal.push(entry);
    if missed {
        response.headers.insert("x-mock-miss", HeaderValue::from(entry.id));
        shared.diagnosis.explain(Miss { partner, number, incoming, entry });
    }
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    send(response, fault.as_deref()).await
}

/// The answer before its fault: the stub's, the fallback's, a miss, or why there is none.
fn basis(decision: &mut Decision, partner: &Partner) -> Rendered {
    let mut rendered = match (decision.answer.take(), &decision.problem, &decision.stub) {
        (Some(rendered), ..) => rendered,
        (None, Some(problem), Some(_)) => short(500, &format!("the mock could not answer: {problem}")),
        (None, problem, _) => {
            let why = problem.as_deref().map(|problem| format!("; {problem}")).unwrap_or_default();
            short(
                404,
                &format!(
                    "no stub of `{}` matches; X-Mock-Miss names the journal entry that says why{why}",
                    partner.id
                ),
            )
        }
    };
    let label = decision.stub.as_deref().map(HeaderValue::from_str);
    let label = label.and_then(Result::ok).unwrap_or_else(|| {
        HeaderValue::from_str(&format!("{}/-", partner.id)).unwrap_or(HeaderValue::from_static("-"))
    });
    rendered.headers.insert("x-mocked", label);
    rendered
}

fn short(status: u16, text: &str) -> Rendered {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Rendered { status, headers, body: json!({"mock": text}).to_string().into() }
}

/// What a fault does to the answer before it is sent; the rest is done while sending.
fn twist(fault: &Fault, answer: &mut Rendered) {
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
            answer.headers.insert(RETRY_AFTER, HeaderValue::from(fault.retry_after));
        }
        // Half of any JSON, XML or SOAP body is not well-formed.
        FaultKind::BadBody => answer.body = answer.body.slice(..answer.body.len() / 2),
        FaultKind::WrongCharset => {
            let text = String::from_utf8_lossy(&answer.body);
            let (gbk, ..) = encoding_rs::GBK.encode(&text);
            answer.body = gbk.into_owned().into();
            let kind = answer
                .headers
                .get(CONTENT_TYPE)
                .and_then(|value| value.to_str().ok())
                .unwrap_or("text/plain");
            let kind = kind.split(';').next().unwrap_or_default();
            if let Ok(labelled) = HeaderValue::from_str(&format!("{kind}; charset=utf-8")) {
                answer.headers.insert(CONTENT_TYPE, labelled);
            }
        }
        FaultKind::NoAnswer
        | FaultKind::Reset
        | FaultKind::Business
        | FaultKind::Cut
        | FaultKind::BadSignature
        | FaultKind::Drip => {}
    }
}

async fn send(answer: Rendered, fault: Option<&Fault>) -> Served {
    let Rendered { status, headers, body } = answer;
    let length = body.len();
    let body = match fault.map(|fault| (fault.kind, fault.after)) {
        Some((FaultKind::NoAnswer | FaultKind::Reset, after)) => {
            // When the caller leaves before, this future is dropped and the connection closed.
            tokio::time::sleep(after).await;
            return Err(Unanswered);
        }
        Some((FaultKind::Cut, _)) => AnswerBody::cut(&body),
        Some((FaultKind::Drip, after)) if !body.is_empty() => AnswerBody::drip(body, after),
        _ => AnswerBody::whole(body),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = headers;
    if fault.is_some_and(|fault| fault.kind == FaultKind::Cut) {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(response)
}

fn entry(
    decision: Decision,
    fault: Option<&Fault>,
    partner: &Partner,
    number: usize,
    incoming: &Incoming,
    response: &Rendered,
    started: Instant,
) -> Entry {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let silent = fault.is_some_and(|fault| matches!(fault.kind, FaultKind::NoAnswer | FaultKind::Reset));
    let header = |name| incoming.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    Entry {
        at_us: i64::try_from(now.as_micros()).unwrap_or(i64::MAX),
        partner: Arc::clone(&partner.id),
        listener: Arc::clone(&partner.listeners[number].id),
        session: incoming.session.clone(),
        traceparent: header("traceparent").filter(|text| text.len() <= 64).map(Into::into),
        method: incoming.method.as_str().into(),
        path: incoming.path.as_str().into(),
        item: decision.item,
        key: decision.key,
        stub: decision.stub,
        state_before: decision.state_before,
        state_after: decision.state_after,
        fault: fault.map(|fault| format!("{} ({})", fault.kind.name(), decision.applied.origin).into()),
        delay_ms: u64::try_from(decision.applied.delay.as_millis()).unwrap_or(u64::MAX),
        took_us: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        status: if silent { 0 } else { response.status },
        request: Body::cut(&incoming.body),
        plain: decision.plain.map(|plain| Body::cut(plain.as_bytes())),
        answer: if silent { Body::default() } else { Body::cut(&response.body) },
        problem: decision.problem.map(String::into_boxed_str),
        ..Entry::default()
    }
}

/// The header `X-Mock-Session`; one of another form than 1 to 64 letters, digits, dots, hyphens and underscores counts as none.
fn session(headers: &HeaderMap) -> Box<str> {
    let text = headers.get("x-mock-session").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let fits = text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if fits { text.into() } else { "".into() }
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
