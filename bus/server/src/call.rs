//! One call under way: its spans, its identity, and the record that is handed in however it ends.
use std::{sync::Arc, time::Instant};

use http::{HeaderMap, StatusCode};
use qiao_core::{BoxFuture, CallId, CallRecord, Clock, Fault, Outcome, Recorder, SpanKind, SystemClock};
use qiao_engine::{
    plan::{CallerPlan, InterfacePlan, Kept},
    run::{End, SpanLog},
};

use crate::{
    active::Active,
    gateway::{
        OnEnd,
        headers::{self, TraceParent},
    },
    handler::{self, BusHandler},
    keeper::Keeper,
    metrics::Metrics,
    observe::Observer,
    passage::Passage,
};

/// A call between acceptance and record. Dropped before it was recorded, it records itself as abandoned.
pub struct Call {
    active: Arc<Active>,
    recorder: Arc<dyn Recorder>,
    metrics: Arc<Metrics>,
    observer: Option<Arc<dyn Observer>>,
    accepted: Instant,
    spans: SpanLog,
    trace: TraceParent,
    passage: Option<Arc<Passage>>,
    /// Taken when the record is handed in.
    record: Option<Box<CallRecord>>,
}

impl Call {
    pub fn begin(bus: &BusHandler, active: Arc<Active>, headers: &HeaderMap) -> Self {
        let accepted = Instant::now();
        let id = CallId::generate();
        let trace = TraceParent::from_headers(headers).unwrap_or_else(|| TraceParent::of_call(id));
        let record = CallRecord {
            id,
            interface: Arc::from(""),
            caller: Arc::from(""),
            plan: active.plan.number,
            started_us: SystemClock.now_us(),
            duration_us: 0,
            outcome: Outcome::Abandoned,
            fault: None,
            status: 0,
            bytes_in: 0,
            bytes_out: 0,
            request_id: headers::request_id(headers).map(Into::into),
            trace_id: Some(trace.trace_id().into()),
            mocked: false,
            spans: Vec::new(),
            keys: Vec::new(),
            bodies: Vec::new(),
        };
        Self {
            active,
            recorder: Arc::clone(&bus.recorder),
            metrics: Arc::clone(&bus.metrics),
            observer: bus.observer.clone(),
            accepted,
            spans: SpanLog::new(accepted),
            trace,
            passage: None,
            record: Some(Box::new(record)),
        }
    }

    pub fn id(&self) -> CallId {
        self.record.as_ref().map_or_else(CallId::generate, |record| record.id)
    }

    pub fn active(&self) -> &Arc<Active> {
        &self.active
    }

    pub fn spans(&self) -> &SpanLog {
        &self.spans
    }

    pub fn accepted(&self) -> Instant {
        self.accepted
    }

    pub fn started_us(&self) -> i64 {
        self.record.as_ref().map_or(0, |record| record.started_us)
    }

    pub fn request_id(&self) -> Option<Box<str>> {
        self.record.as_ref().and_then(|record| record.request_id.clone())
    }

    /// The trace context for partners: a child of the caller's, or a trace named after the call.
    pub fn child_traceparent(&self) -> Option<Box<str>> {
        Some(self.trace.child().to_string().into())
    }

    /// Runs one phase under a span of its own.
    pub fn phase<T>(
        &mut self,
        name: &Arc<str>,
        phase: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let span = self.spans.open(None, SpanKind::Phase, Arc::clone(name));
        let result = phase(self);
        match &result {
            Ok(_) => span.finish(End::of(Outcome::Ok)),
            Err(fault) => span.finish(End::fault(fault).with(Outcome::Denied)),
        }
        result
    }

    pub fn on_interface(&mut self, interface: &InterfacePlan) {
        self.change(|record| record.interface = Arc::clone(&interface.id));
    }

    pub fn by_caller(&mut self, caller: &CallerPlan) {
        self.change(|record| record.caller = Arc::clone(&caller.id));
    }

    pub fn received(&mut self, bytes: u64) {
        self.change(|record| record.bytes_in = bytes);
    }

    /// The bodies of a forwarded call, whose fate the record tells.
    pub fn passes(&mut self) -> Arc<Passage> {
        Arc::clone(self.passage.get_or_insert_default())
    }

    /// How the flow ended. What went wrong is logged once, here.
    pub fn ended(&mut self, outcome: Outcome, fault: Option<&Fault>, mocked: bool) {
        self.log(outcome, fault);
        self.change(|record| {
            record.outcome = outcome;
            record.fault = fault.map(|fault| fault.code().number);
            record.mocked = mocked;
        });
    }

    fn log(&self, outcome: Outcome, fault: Option<&Fault>) {
        let Some(record) = &self.record else { return };
        let (interface, caller) = (&*record.interface, &*record.caller);
        let code = fault.map(|fault| tracing::field::display(fault.code()));
        let detail = fault.map(Fault::detail);
        match outcome {
            Outcome::Failed | Outcome::Unknown => {
                tracing::warn!(call = %record.id, interface, caller, outcome = outcome.as_str(), fault = code, detail, "the call failed");
            }
            // A caller must not be able to fill the log; its refusals are in the records.
            Outcome::Denied => {
                tracing::debug!(call = %record.id, interface, caller, fault = code, detail, "the call was denied");
            }
            _ => {}
        }
    }

    /// Keeps bodies and business keys with the record, encrypted and hashed.
    pub fn keep(&mut self, keeper: &Keeper, kept: &Kept) {
        self.change(|record| keeper.keep(record, kept));
    }

    /// The call was turned away with a fault before or instead of its flow.
    pub fn refused(&mut self, fault: &Fault) {
        let outcome = match fault.code().blame {
            qiao_core::Blame::Caller => Outcome::Denied,
            _ if fault.repeat() == qiao_core::Repeat::Unknown => Outcome::Unknown,
            _ => Outcome::Failed,
        };
        self.ended(outcome, Some(fault), false);
    }

    /// Adds the headers by which a caller recognises its call.
    pub fn mark(&self, headers: &mut HeaderMap) {
        if let Some(record) = &self.record {
            handler::mark(headers, record.id, record.plan, record.request_id.as_deref());
        }
    }

    /// Hands the record in and waits until it is kept.
    pub async fn record(mut self, status: StatusCode, bytes_out: u64) {
        if let Some(record) = self.close(status.as_u16(), bytes_out) {
            // A record that could not be kept is counted by the recorder; strict interfaces were refused before.
            let _kept: qiao_core::Recorded = self.recorder.record(record).await;
        }
    }

    /// Hands in the record of what never became a request.
    pub fn record_refusal(mut self, fault: &'static qiao_core::FaultCode, status: u16) {
        self.metrics.count_fault(fault);
        self.change(|record| {
            record.outcome = Outcome::Denied;
            record.fault = Some(fault.number);
        });
        if let Some(record) = self.close(status, 0) {
            self.recorder.record_detached(record);
        }
    }

    /// The hook of a streamed answer: the record is kept before the caller sees the answer's end.
    pub fn until_end(self, status: StatusCode) -> Streaming {
        Streaming { call: Some(self), status }
    }

    fn change(&mut self, change: impl FnOnce(&mut CallRecord)) {
        if let Some(record) = &mut self.record {
            change(record);
        }
    }

    /// Completes the record and takes it, once.
    fn close(&mut self, status: u16, bytes_out: u64) -> Option<CallRecord> {
        let mut record = self.record.take()?;
        if let Some(passage) = &self.passage {
            // A body that was read whole for its proof is counted already.
            record.bytes_in = record.bytes_in.max(passage.received());
        }
        let took = self.accepted.elapsed();
        record.status = status;
        record.bytes_out = bytes_out;
        record.duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        record.spans = self.spans.take().0;
        if let Some(counters) = self.active.counters(&record.interface) {
            counters.count(record.outcome, took);
        }
        if record.mocked {
            self.metrics.mocked.inc();
        }
        if let Some(observer) = &self.observer {
            observer.recorded(&record);
        }
        Some(*record)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.change(|record| record.outcome = Outcome::Abandoned);
        if let Some(record) = self.close(0, 0) {
            self.recorder.record_detached(record);
        }
    }
}

/// A call whose answer is still being streamed.
pub struct Streaming {
    call: Option<Call>,
    status: StatusCode,
}

impl OnEnd for Streaming {
    fn finish(&mut self, sent: u64) -> BoxFuture<'static, ()> {
        let status = self.status;
        match self.call.take() {
            Some(call) => Box::pin(call.record(status, sent)),
            None => Box::pin(async {}),
        }
    }

    fn abandon(&mut self, sent: u64) {
        if let Some(mut call) = self.call.take() {
            let broke = call.passage.as_ref().and_then(|passage| passage.answer_fault().cloned());
            match broke {
                Some(fault) => {
                    call.metrics.count_fault(fault.code());
                    let mocked = call.record.as_ref().is_some_and(|record| record.mocked);
                    call.ended(Outcome::Failed, Some(&fault), mocked);
                }
                None => call.change(|record| record.outcome = Outcome::Abandoned),
            }
            if let Some(record) = call.close(self.status.as_u16(), sent) {
                call.recorder.record_detached(record);
            }
        }
    }
}
