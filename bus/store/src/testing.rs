//! Records for this crate's own tests: one fixed sample and a generator of arbitrary ones.
use proptest::prelude::*;
use qiao_core::{BodyPart, BusinessKey, CallId, CallRecord, KeptBody, Outcome, Span, SpanKind};

/// A record as a composite call leaves it: phases, steps, one attempt each.
pub fn sample(id: CallId) -> CallRecord {
    let span = |index: usize, kind, name: &str| Span {
        parent: index.checked_sub(1).map(|parent| parent as u16),
        kind,
        name: name.into(),
        start_us: 120 * index as u64,
        duration_us: 900,
        outcome: Outcome::Ok,
        fault: None,
        bytes_out: 512,
        bytes_in: 2048,
        note: Some("200 ok".into()),
    };
    CallRecord {
        id,
        interface: "card.query-status".into(),
        caller: "apps.senior-card".into(),
        plan: 42,
        started_us: 1_790_000_000_000_000,
        duration_us: 8_123,
        outcome: Outcome::Ok,
        fault: None,
        status: 200,
        bytes_in: 311,
        bytes_out: 1_204,
        request_id: Some("req-0001".into()),
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
        mocked: true,
        spans: vec![
            span(0, SpanKind::Phase, "identify"),
            span(1, SpanKind::Phase, "flow"),
            span(2, SpanKind::Step, "parties[2].query"),
            span(3, SpanKind::Attempt, "http://card-system/query"),
            span(4, SpanKind::Phase, "respond"),
        ],
        keys: vec![BusinessKey {
            name: "idNo".into(),
            hash: "ab".repeat(32).into(),
            masked: "310***4511".into(),
        }],
        bodies: Vec::new(),
    }
}

/// Compares what has no equality of its own.
pub fn as_json(record: &CallRecord) -> serde_json::Value {
    serde_json::to_value(record).expect("records are JSON")
}

fn outcome() -> impl Strategy<Value = Outcome> {
    (1_u64..=8).prop_map(|number| crate::codec::outcome_of(number).expect("1 to 8 are known"))
}

fn span() -> impl Strategy<Value = Span> {
    let kind = prop_oneof![Just(SpanKind::Phase), Just(SpanKind::Step), Just(SpanKind::Attempt)];
    let who = (any::<Option<u16>>(), kind, ".{0,40}", outcome(), any::<Option<u16>>());
    let numbers = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>());
    (who, numbers, proptest::option::of(".{0,256}")).prop_map(|(who, numbers, note)| Span {
        parent: who.0,
        kind: who.1,
        name: who.2.into(),
        start_us: numbers.0,
        duration_us: numbers.1,
        outcome: who.3,
        fault: who.4,
        bytes_out: numbers.2,
        bytes_in: numbers.3,
        note: note.map(Into::into),
    })
}

fn key() -> impl Strategy<Value = BusinessKey> {
    (".{0,20}", "[0-9a-f]{64}", ".{0,20}").prop_map(|(name, hash, masked)| BusinessKey {
        name: name.into(),
        hash: hash.into(),
        masked: masked.into(),
    })
}

fn body() -> impl Strategy<Value = KeptBody> {
    let part = prop_oneof![Just(BodyPart::Request), Just(BodyPart::Answer)];
    (part, any::<u64>(), any::<bool>(), "[0-9a-f]{64}").prop_map(|(part, bytes, cut, digest)| KeptBody {
        part,
        bytes,
        cut,
        digest: digest.into(),
        sealed: Vec::new(),
    })
}

/// Any record the types allow, up to eight spans.
pub fn any_record() -> impl Strategy<Value = CallRecord> {
    let who = (any::<[u8; 16]>(), ".{0,40}", ".{0,40}", outcome(), any::<Option<u16>>(), any::<u16>());
    let numbers = (any::<u64>(), any::<i64>(), any::<u64>(), any::<u64>(), any::<u64>());
    let texts = (proptest::option::of("[!-~]{0,128}"), proptest::option::of("[0-9a-f]{32}"), any::<bool>());
    let kept = (proptest::collection::vec(key(), 0..3), proptest::collection::vec(body(), 0..3));
    let all = (who, numbers, texts, proptest::collection::vec(span(), 0..8), kept);
    all.prop_map(|(who, numbers, texts, spans, kept)| CallRecord {
        id: CallId::from_bytes(who.0),
        interface: who.1.into(),
        caller: who.2.into(),
        plan: numbers.0,
        started_us: numbers.1,
        duration_us: numbers.2,
        outcome: who.3,
        fault: who.4,
        status: who.5,
        bytes_in: numbers.3,
        bytes_out: numbers.4,
        request_id: texts.0.map(Into::into),
        trace_id: texts.1.map(Into::into),
        mocked: texts.2,
        spans,
        keys: kept.0,
        bodies: kept.1,
    })
}

/// A store that can be switched off, in front of a real one.
pub struct Switched {
    pub inner: Box<dyn crate::ShipTarget>,
    pub up: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl Switched {
    fn check(&self) -> Result<(), qiao_core::StoreError> {
        if self.up.load(std::sync::atomic::Ordering::SeqCst) {
            return Ok(());
        }
        Err(qiao_core::StoreError::Unavailable { place: "test".into(), reason: "switched off".into() })
    }
}

impl crate::ShipTarget for Switched {
    fn position(&mut self, log: crate::LogId) -> Result<crate::Position, qiao_core::StoreError> {
        self.check()?;
        self.inner.position(log)
    }

    fn ship(
        &mut self,
        log: crate::LogId,
        payloads: &[&[u8]],
        next: crate::Position,
        durable: bool,
    ) -> Result<crate::ShipReport, qiao_core::StoreError> {
        self.check()?;
        self.inner.ship(log, payloads, next, durable)
    }
}
