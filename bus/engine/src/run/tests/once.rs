//! Idempotency keys: what a call leaves behind for its repeats, however it ends.
use qiao_core::{
    AnswerStore, NoMemory, StoreError,
    once::{AnswerKey, Begun, Ended},
};
use serde_json::json;

use super::*;
use crate::{definitions::CallerDefinition, plan::CallerPlan, run::Arrival};

/// Remembers how the last key ended, and tells what it is told to.
struct Memory {
    tells: Begun,
    ended: Mutex<Option<Ended>>,
}

impl AnswerStore for Memory {
    fn begin<'a>(
        &'a self,
        _: &'a AnswerKey,
        _: [u8; 32],
        _: i64,
    ) -> BoxFuture<'a, Result<Begun, StoreError>> {
        Box::pin(async { Ok(self.tells.clone()) })
    }

    fn finish(&self, _: &AnswerKey, ended: Ended) {
        *self.ended.lock() = Some(ended);
    }
}

fn bench(script: impl Fn(&Seen) -> Reaction + Send + Sync + 'static) -> (Bench, Arc<CallerPlan>) {
    let partners = Partners::new(script);
    let flow = "\n  - {id: done, call: {system: p, operation: change}}\n  - respond: {body: {ok: true}}";
    let system: SystemDefinition = read(
        "system: p\ntitle: 合作方\nprotocol: http\ntimeout: 1s\nrequest: {wire: {codec: json}}\nanswer: {wire: {codec: json}}\noperations: {change: {title: 改, path: /change, changing: true}}\n",
    );
    let mut definitions = definitions(vec![system], vec![interface("", flow)]);
    let caller: CallerDefinition = read("caller: a\ntitle: 甲\ncredential: {key: 'vault:a/key'}");
    definitions.callers.insert("a".into(), Arc::new(caller));
    let plan = plan_of(&definitions, &partners, None).unwrap_or_else(|wrong| panic!("{wrong:#?}"));
    let caller = plan.caller("a").expect("the caller").clone();
    (Bench { partners, plan }, caller)
}

/// Runs the call for at most so many milliseconds; none where it was dropped then.
async fn call(bench: &(Bench, Arc<CallerPlan>), memory: &Memory, patience: u64) -> Option<Ran> {
    let now = StdInstant::from(Instant::now());
    let mut headers = HeaderMap::new();
    headers.insert("Idempotency-Key", "k".parse().expect("a value"));
    let input = CallInput {
        call: CallId::from_bytes([7; 16]),
        caller: Some(bench.1.clone()),
        headers: &headers,
        body: Bytes::from_static(b"{}"),
        deadline: now + ms(5000),
        started_us: 0,
        traceparent: None,
        request_id: None,
        arrival: Arrival { answers: memory, nonces: &NoMemory, ..Arrival::default() },
    };
    tokio::time::timeout(ms(patience), bench.0.input(input, &SpanLog::new(now))).await.ok()
}

fn memory(tells: Begun) -> Memory {
    Memory { tells, ended: Mutex::default() }
}

#[tokio::test(start_paused = true)]
async fn an_answer_a_refusal_and_an_unknown_result_are_kept_and_what_had_no_effect_is_not() {
    let gone = || Fault::new(&fault_codes::PARTNER_DOWN, "gone").with_repeat(Repeat::Safe);
    let cases: [(fn() -> Reaction, u16); 3] = [
        (|| Reaction::Answer(200, json!({})), 0),
        (|| Reaction::Answer(400, json!({})), 5005),
        (|| Reaction::Hang, 5002),
    ];
    for (reaction, fault) in cases {
        let (bench, memory) = (bench(move |_| reaction()), memory(Begun::First));
        let ran = call(&bench, &memory, 60_000).await.expect("it ended");
        assert_eq!(ran.fault(), fault);
        let ended = memory.ended.lock().take();
        let Some(Ended::Answer(kept)) = ended else { panic!("{fault}: {ended:?}") };
        assert_eq!((kept.status, &kept.body), (ran.output.status, &ran.output.body));
    }
    let (bench, memory) = (bench(move |_| Reaction::Fault(gone())), memory(Begun::First));
    assert_eq!(call(&bench, &memory, 60_000).await.expect("it ended").fault(), 5001);
    assert!(matches!(*memory.ended.lock(), Some(Ended::Nothing)));
}

#[tokio::test(start_paused = true)]
async fn of_a_call_that_was_dropped_nobody_knows_the_end() {
    let (bench, memory) = (bench(|_| Reaction::Hang), memory(Begun::First));
    assert!(call(&bench, &memory, 300).await.is_none());
    assert!(matches!(*memory.ended.lock(), Some(Ended::Unknown)));
}

#[tokio::test(start_paused = true)]
async fn a_repeat_is_told_what_became_of_the_first_and_reaches_no_partner() {
    let cases = [
        (Begun::Running, 1009, "safe"),
        (Begun::Unknown, 1010, "unknown"),
        (Begun::Other, 1008, "unsafe"),
        (Begun::Full, 3004, "safe"),
    ];
    for (tells, fault, repeat) in cases {
        let (bench, memory) = (bench(|_| Reaction::Hang), memory(tells));
        let ran = call(&bench, &memory, 60_000).await.expect("it ended");
        assert_eq!((ran.fault(), &ran.body["repeat"]), (fault, &json!(repeat)));
        assert!(memory.ended.lock().is_none(), "the key is not its own");
        assert_eq!(bench.0.partners.asked("/change"), 0);
    }
}
