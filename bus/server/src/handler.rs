//! The life of a call at the gateway: accept, identify, admit, run or forward, respond, record. Every way out is recorded.
use std::{
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use qiao_core::{CallId, Fault, Outcome, Recorder, connector::AnswerBody, fault_codes};
use qiao_engine::{
    plan::{CallerPlan, InterfacePlan, Routed},
    run::{Arrival, CallInput, ForwardBody, ForwardInput, fault_response},
};
use qiao_vault::Vault;

use crate::{
    access::{self, Taken},
    active::{Active, ActiveSlot},
    call::Call,
    gateway::{GatewayBody, Handler, Peer, Refusal, ResponseBody, headers},
    keeper::Keeper,
    metrics::Metrics,
    observe::Observer,
    once::CallerMemory,
    passage::Passage,
};

static CALL_ID: HeaderName = HeaderName::from_static("x-qiao-call-id");
static PLAN: HeaderName = HeaderName::from_static("x-qiao-plan");
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static DEADLINE: HeaderName = HeaderName::from_static("x-deadline-ms");

static ACCEPT: LazyLock<Arc<str>> = LazyLock::new(|| "accept".into());
static IDENTIFY: LazyLock<Arc<str>> = LazyLock::new(|| "identify".into());
static ADMIT: LazyLock<Arc<str>> = LazyLock::new(|| "admit".into());

/// What the gateway calls for every request.
pub struct BusHandler {
    pub active: Arc<ActiveSlot>,
    pub vault: Vault,
    pub recorder: Arc<dyn Recorder>,
    pub metrics: Arc<Metrics>,
    pub keeper: Arc<Keeper>,
    /// Nonces and answers of callers.
    pub memory: Arc<CallerMemory>,
    /// Told of every recorded call: the demo's live lines.
    pub observer: Option<Arc<dyn Observer>>,
}

/// A call that was let in.
struct Admitted {
    interface: Arc<InterfacePlan>,
    caller: Arc<CallerPlan>,
    deadline: Instant,
    /// The path below a forwarded prefix.
    rest: String,
    /// What the call was counted as.
    taken: Taken,
}

impl Handler for BusHandler {
    async fn handle(&self, request: Request<GatewayBody>, _peer: Peer) -> Response<ResponseBody> {
        let Some(active) = self.active.load() else {
            let fault =
                self.sealed().unwrap_or_else(|| Fault::new(&fault_codes::BUS_BUSY, "no plan is active yet"));
            self.metrics.count_fault(fault.code());
            return plain_refusal(&fault, CallId::generate());
        };
        let mut call = Call::begin(self, active, request.headers());
        let active = Arc::clone(call.active());
        let (parts, body) = request.into_parts();
        match self.admit(&active, &mut call, &parts) {
            Err(fault) => {
                let mut response = self.refuse_call(call, &fault).await;
                add_allow(&active, &parts, &mut response);
                response
            }
            Ok(admitted) if admitted.interface.is_forward() => {
                self.forward(&active, call, admitted, parts, body).await
            }
            // Boxed, because a flow's state is large and a forwarded call should not carry the room for it.
            Ok(admitted) => Box::pin(self.run(&active, call, admitted, &parts, body)).await,
        }
    }

    fn refuse(&self, refusal: Refusal, _peer: &Peer) -> Response<ResponseBody> {
        let mut response = refusal.response();
        if let Some(active) = self.active.load() {
            let call = Call::begin(self, active, &HeaderMap::new());
            call.mark(response.headers_mut());
            call.record_refusal(refusal.fault(), refusal.status().as_u16());
        }
        response
    }
}

/// When callers of a sealed node may try again.
const SEALED_RETRY: Duration = Duration::from_secs(10);

impl BusHandler {
    /// Why nothing is done now, while the vault is sealed.
    fn sealed(&self) -> Option<Fault> {
        let fault =
            || Fault::new(&fault_codes::VAULT_SEALED, "the vault is sealed").with_retry_after(SEALED_RETRY);
        (!self.vault.is_unsealed()).then(fault)
    }

    fn admit(
        &self,
        active: &Arc<Active>,
        call: &mut Call,
        parts: &http::request::Parts,
    ) -> Result<Admitted, Fault> {
        let plan = &active.plan;
        let interface = call.phase(&ACCEPT, |call| {
            let interface = match plan.route(&parts.method, parts.uri.path()) {
                Routed::Found(interface) => interface,
                Routed::WrongMethod { .. } => {
                    return Err(Fault::new(
                        &fault_codes::METHOD_NOT_ALLOWED,
                        "another method is exposed here",
                    ));
                }
                Routed::Nothing => {
                    return Err(Fault::new(
                        &fault_codes::NO_SUCH_INTERFACE,
                        "no interface is exposed at this path",
                    ));
                }
            };
            call.on_interface(&interface);
            match self.sealed() {
                Some(fault) => Err(fault),
                None => Ok(interface),
            }
        })?;
        let caller = call.phase(&IDENTIFY, |call| {
            let caller = access::identify(plan, &parts.headers)?;
            call.by_caller(&caller);
            Ok(caller)
        })?;
        let (deadline, taken) = call.phase(&ADMIT, |call| {
            if interface.off {
                return Err(Fault::new(
                    &fault_codes::INTERFACE_OFF,
                    "the interface is switched off in its definition",
                ));
            }
            let granted = active.access.granted(&caller, &interface, call.started_us())?;
            let deadline = call.accepted() + deadline(&parts.headers, interface.deadline)?;
            let declared = parts
                .headers
                .get(header::CONTENT_LENGTH)
                .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
            if declared.is_some_and(|bytes| bytes > interface.body_bytes) {
                let detail = format!("Content-Length is over the interface's {} bytes", interface.body_bytes);
                return Err(Fault::new(&fault_codes::BODY_TOO_LARGE, detail));
            }
            self.recorder.admit(interface.record)?;
            // Counted last: what is refused for another reason uses up no rate and no quota.
            Ok((deadline, granted.take()?))
        })?;
        let rest = if interface.prefix {
            parts.uri.path()[interface.path.len()..].to_owned()
        } else {
            String::new()
        };
        Ok(Admitted { interface, caller, deadline, rest, taken })
    }

    async fn run(
        &self,
        active: &Active,
        mut call: Call,
        admitted: Admitted,
        parts: &http::request::Parts,
        mut body: GatewayBody,
    ) -> Response<ResponseBody> {
        body.set_limit(admitted.interface.body_bytes);
        let body = match whole(body, admitted.deadline).await {
            Ok(body) => body,
            Err(fault) => return self.refuse_call(call, &fault).await,
        };
        call.received(body.len() as u64);
        let input = self.input(&call, &admitted, parts, body);
        let output = qiao_engine::run::run(&active.plan, &admitted.interface, input, call.spans()).await;
        if let Some(fault) = &output.fault {
            self.metrics.count_fault(fault.code());
            if proves_nothing(fault) {
                admitted.taken.give_back();
            }
        }
        call.ended(output.outcome, output.fault.as_ref(), output.mocked);
        if let Some(kept) = &output.kept {
            call.keep(&self.keeper, kept);
        }
        let mut response = answer(output.status, output.headers, output.body);
        call.mark(response.headers_mut());
        call.record(response.status(), response.body().whole_len()).await;
        response
    }

    /// A request as the engine takes it, its body whole.
    fn input<'a>(
        &'a self,
        call: &Call,
        admitted: &Admitted,
        parts: &'a http::request::Parts,
        body: Bytes,
    ) -> CallInput<'a> {
        let memory = &*self.memory;
        let (path, query) = (parts.uri.path(), parts.uri.query());
        CallInput {
            call: call.id(),
            caller: Some(Arc::clone(&admitted.caller)),
            headers: &parts.headers,
            body,
            deadline: admitted.deadline,
            started_us: call.started_us(),
            traceparent: call.child_traceparent(),
            request_id: call.request_id(),
            arrival: Arrival { method: &parts.method, path, query, nonces: memory, answers: memory },
        }
    }

    /// The body to pass on, once its caller has proven that it is its own. Where the proof is over the body, that is read whole.
    async fn proven(
        &self,
        call: &mut Call,
        admitted: &Admitted,
        parts: &http::request::Parts,
        body: GatewayBody,
    ) -> Result<ForwardBody, Fault> {
        if !admitted.caller.is_sealed() && !admitted.caller.signs_requests() {
            return Ok(forward_body(body, &call.passes()));
        }
        let body = whole(body, admitted.deadline).await?;
        call.received(body.len() as u64);
        let input = self.input(call, admitted, parts, body.clone());
        qiao_engine::run::prove(&input, call.spans()).await?;
        Ok(if body.is_empty() { ForwardBody::Empty } else { ForwardBody::Whole(body) })
    }

    async fn forward(
        &self,
        active: &Active,
        mut call: Call,
        admitted: Admitted,
        parts: http::request::Parts,
        mut body: GatewayBody,
    ) -> Response<ResponseBody> {
        body.set_limit(admitted.interface.body_bytes);
        let body = match self.proven(&mut call, &admitted, &parts, body).await {
            Ok(body) => body,
            Err(fault) => {
                if proves_nothing(&fault) {
                    admitted.taken.give_back();
                }
                return self.refuse_call(call, &fault).await;
            }
        };
        let mut headers = parts.headers;
        for name in [&access::APP_ID, &access::APP_KEY, &DEADLINE] {
            headers.remove(name);
        }
        let passage = call.passes();
        let input = ForwardInput {
            call: call.id(),
            method: parts.method,
            rest: &admitted.rest,
            query: parts.uri.query(),
            headers,
            body,
            deadline: admitted.deadline,
            started_us: call.started_us(),
            traceparent: call.child_traceparent(),
        };
        match qiao_engine::run::forward(&active.plan, &admitted.interface, input, call.spans()).await {
            Err(fault) => {
                // Where the caller's own body broke off, that is the cause, whatever it looked like on the partner's side.
                self.refuse_call(call, passage.request_fault().unwrap_or(&fault)).await
            }
            Ok(output) => {
                call.ended(outcome_of(output.status), None, output.mocked);
                let mut response = Response::new(ResponseBody::empty());
                *response.status_mut() =
                    StatusCode::from_u16(output.status).unwrap_or(StatusCode::BAD_GATEWAY);
                *response.headers_mut() = output.headers;
                headers::strip_response(response.headers_mut());
                call.mark(response.headers_mut());
                let status = response.status();
                match output.body {
                    // Recorded first, so that head and body leave in one write.
                    AnswerBody::Whole(bytes) => {
                        call.record(status, bytes.len() as u64).await;
                        *response.body_mut() = ResponseBody::full(bytes);
                    }
                    AnswerBody::Stream(stream) => {
                        let stream = passage.answer(stream);
                        *response.body_mut() = ResponseBody::stream(stream).on_end(call.until_end(status));
                    }
                }
                response
            }
        }
    }

    /// Answers with a fault, after its record is kept.
    async fn refuse_call(&self, mut call: Call, fault: &Fault) -> Response<ResponseBody> {
        self.metrics.count_fault(fault.code());
        call.refused(fault);
        let mut response = plain_refusal(fault, call.id());
        call.mark(response.headers_mut());
        call.record(response.status(), response.body().whole_len()).await;
        response
    }
}

/// The whole body, by the call's deadline.
async fn whole(body: GatewayBody, deadline: Instant) -> Result<Bytes, Fault> {
    match tokio::time::timeout_at(deadline.into(), body.collect()).await {
        Ok(collected) => Ok(collected?),
        Err(_) => {
            Err(Fault::new(&fault_codes::BODY_TIMEOUT, "the body was not there by the call's deadline"))
        }
    }
}

/// Whoever cannot prove to be the caller, now, must not use up its quota.
fn proves_nothing(fault: &Fault) -> bool {
    fault.code() == &fault_codes::BAD_SIGNATURE || fault.code() == &fault_codes::REPLAYED
}

fn plain_refusal(fault: &Fault, call: CallId) -> Response<ResponseBody> {
    let refusal = fault_response(fault, call);
    answer(refusal.status, refusal.headers, refusal.body)
}

fn answer(status: StatusCode, headers: HeaderMap, body: Bytes) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::full(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn forward_body(body: GatewayBody, passage: &Arc<Passage>) -> ForwardBody {
    match body.declared() {
        Some(0) => ForwardBody::Empty,
        _ => ForwardBody::Stream(passage.request(body)),
    }
}

/// A forwarded answer is not judged; its status tells how the call ended, as it does for answers of flows.
fn outcome_of(status: u16) -> Outcome {
    match status {
        500.. => Outcome::Failed,
        400.. => Outcome::Refused,
        _ => Outcome::Ok,
    }
}

/// A 405 names the methods that are exposed there (RFC 9110 §15.5.6).
fn add_allow(active: &Active, parts: &http::request::Parts, response: &mut Response<ResponseBody>) {
    if response.status() == StatusCode::METHOD_NOT_ALLOWED
        && let Routed::WrongMethod { allowed } = active.plan.route(&parts.method, parts.uri.path())
    {
        let names: Vec<_> = allowed.iter().map(http::Method::as_str).collect();
        if let Ok(value) = HeaderValue::from_str(&names.join(", ")) {
            response.headers_mut().insert(header::ALLOW, value);
        }
    }
}

/// The interface's bound, or the caller's own where it is shorter.
fn deadline(headers: &HeaderMap, most: Duration) -> Result<Duration, Fault> {
    let Some(value) = headers.get(&DEADLINE) else { return Ok(most) };
    let millis = value.to_str().ok().and_then(|text| text.parse::<u64>().ok()).filter(|millis| *millis > 0);
    let millis = millis.ok_or_else(|| {
        Fault::new(
            &fault_codes::BAD_REQUEST,
            "X-Deadline-Ms is not a whole number of milliseconds above zero",
        )
    })?;
    Ok(most.min(Duration::from_millis(millis)))
}

/// The headers by which a caller recognises its call.
pub fn mark(headers: &mut HeaderMap, id: CallId, plan: u64, request_id: Option<&str>) {
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(CALL_ID.clone(), value);
    }
    headers.insert(PLAN.clone(), HeaderValue::from(plan));
    if let Some(value) = request_id.and_then(|id| HeaderValue::from_str(id).ok()) {
        headers.insert(REQUEST_ID.clone(), value);
    }
}
