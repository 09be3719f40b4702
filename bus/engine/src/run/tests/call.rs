//! The call step: repeats, deadlines, breaker, bulkhead, stand-ins.
use qiao_core::Outcome;
use serde_json::json;

use super::*;
use crate::partner::breaker::BreakerState;

fn down() -> Reaction {
    Reaction::Fault(Fault::new(&fault_codes::PARTNER_DOWN, "connection refused"))
}

fn ok() -> Reaction {
    Reaction::Answer(200, json!({"v": 1}))
}

const RETRY: &str = "retry: {attempts: 3, first: 100ms, most: 1s}
judge: [{when: status == 429, is: retry}, {when: status == 409, is: refused}, {when: status == 202, is: unknown}]";

fn flow(operation: &str, more: &str) -> String {
    format!(
        "  - id: asked\n    call: {{system: a, operation: {operation}{more}}}\n  - respond: {{body: {{v: '${{asked}}', is: '${{outcomes.asked.is}}', code: '${{outcomes.asked.code}}', from: '${{outcomes.asked.degradedFrom}}'}}}}\n"
    )
}

#[tokio::test(start_paused = true)]
async fn an_attempt_is_repeated_only_where_a_repeat_is_safe() {
    // reaction, then attempts made for: query (changes nothing), change, change with an idempotency header
    type Row = (fn() -> Reaction, [usize; 3], u16);
    let table: [Row; 6] = [
        (down, [3, 3, 3], 5001),
        (|| Reaction::Hang, [3, 1, 3], 5002),
        (|| Reaction::Answer(429, Value::Null), [3, 3, 3], 5007),
        (|| Reaction::Answer(409, Value::Null), [1, 1, 1], 5005),
        (|| Reaction::Answer(202, Value::Null), [1, 1, 1], 5008),
        (|| Reaction::Answer(302, Value::Null), [3, 1, 3], 5004),
    ];
    for (reaction, attempts, fault) in table {
        for (operation, expected) in ["query", "change", "keyed"].into_iter().zip(attempts) {
            let bench = Bench::with(vec![system("a", RETRY)], "", &flow(operation, ""), move |_| reaction());
            let ran = bench.call(json!({})).await;
            assert_eq!(bench.partners.asked(&format!("/{operation}")), expected, "{operation} {fault}");
            assert_eq!(ran.fault(), fault, "{operation}");
            assert_eq!(ran.spans.iter().filter(|span| &*span.name == "a.example").count(), expected);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_attempt_is_not_forgotten_when_its_repeat_fails_safely() {
    let bench = Bench::with(vec![system("a", RETRY)], "", &flow("keyed", ""), |seen| match seen.attempt {
        0 => Reaction::Hang,
        _ => down(),
    });
    let ran = bench.call(json!({})).await;
    assert_eq!(
        (ran.fault(), &ran.body["repeat"], ran.output.outcome),
        (5001, &json!("unknown"), Outcome::Unknown)
    );
}

#[tokio::test(start_paused = true)]
async fn repeats_keep_their_key_avoid_the_failed_endpoint_and_wait_longer_each_time() {
    let bench = Bench::with(vec![system("a", RETRY)], "", &flow("keyed", ""), |seen| match seen.attempt {
        2 => ok(),
        _ => down(),
    });
    let ran = bench.call(json!({})).await;
    assert_eq!(ran.body["is"], "ok");
    let seen = bench.partners.seen.lock();
    let key = format!("{}-asked", CallId::from_bytes([7; 16]));
    assert!(seen.iter().all(|seen| seen.key.as_deref() == Some(key.as_str())));
    assert_eq!(seen[0].avoid, None);
    assert_eq!(seen[1].avoid.as_deref(), Some("a.example"));
    let waits: Vec<_> = seen.windows(2).map(|pair| (pair[1].at - pair[0].at).as_millis()).collect();
    assert!((80..=121).contains(&waits[0]) && (160..=241).contains(&waits[1]), "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_repeat_that_would_not_end_in_time_is_not_begun() {
    let bench = Bench::with(vec![system("a", RETRY)], "", &flow("query", ", timeout: 70ms"), |_| down());
    let ran = bench.call(json!({})).await;
    assert_eq!((ran.fault(), bench.partners.asked("/query"), ran.took), (5001, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn the_shortest_of_attempt_step_and_call_bounds_a_wait() {
    // step timeout, caller's deadline, expected wait; the system's own timeout is 1s
    for (step, deadline, expected) in
        [("", 10_000, 1000), (", timeout: 300ms", 10_000, 300), (", timeout: 2s", 200, 200)]
    {
        for (operation, repeat) in [("query", "safe"), ("change", "unknown")] {
            let bench = Bench::new(&flow(operation, step), |_| Reaction::Hang);
            let ran = bench.call_within(json!({}), deadline).await;
            assert_eq!((ran.took, ran.fault()), (expected, 5002), "{operation} {step}");
            assert_eq!(ran.body["repeat"], repeat);
            let expected = if operation == "change" { Outcome::Unknown } else { Outcome::Failed };
            assert_eq!(ran.output.outcome, expected);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_without_time_left_is_not_sent_at_all() {
    let flow = "
  - {id: first, call: {system: a, operation: query, onFault: continue}}
  - {id: second, call: {system: a, operation: change}}
  - respond: {body: {}}";
    let ran = Bench::new(flow, |_| Reaction::Hang);
    let result = ran.call_within(json!({}), 500).await;
    assert_eq!((result.fault(), &result.body["repeat"]), (6005, &json!("safe")));
    assert_eq!(ran.partners.asked("/change"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_safe_fault_is_not_safe_for_the_call_once_a_step_took_effect() {
    let flow = "
  - {id: first, call: {system: a, operation: change, onFault: continue}}
  - {id: second, call: {system: b, operation: query}}
  - respond: {body: {}}";
    for (first, expected) in [(200, "unsafe"), (409, "safe"), (202, "unknown")] {
        let systems = vec![system("a", RETRY), system("b", "")];
        let bench = Bench::with(systems, "", flow, move |seen| match seen.system.as_str() {
            "a" => Reaction::Answer(first, Value::Null),
            _ => down(),
        });
        let ran = bench.call(json!({})).await;
        assert_eq!((ran.fault(), &ran.body["repeat"]), (5001, &json!(expected)), "{first}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_may_pass_shows_under_outcomes_and_the_result_is_null() {
    let bench = Bench::new(&flow("query", ", onFault: continue"), |_| Reaction::Hang);
    let ran = bench.call(json!({})).await;
    assert_eq!(ran.body, json!({"v": null, "is": "failed", "code": "QIAO-5002", "from": null}));
    let bench = Bench::new(&flow("change", ", onFault: continue"), |_| Reaction::Hang);
    assert_eq!(bench.call(json!({})).await.body["is"], "unknown");
}

#[tokio::test(start_paused = true)]
async fn stand_ins_are_tried_in_order_and_marked() {
    let degrade = ", degrade: {alternative: {system: b, operation: other}, lastGood: {key: request.id, maxAge: 1h}, static: {v: fixed}}";
    let state = Arc::new(Mutex::new((true, true)));
    let script = {
        let state = state.clone();
        move |seen: &Seen| match (*state.lock(), seen.system.as_str()) {
            ((true, _), "a") => Reaction::Answer(200, json!({"v": "real"})),
            ((_, true), "b") => Reaction::Answer(200, json!({"v": "other"})),
            _ => down(),
        }
    };
    let bench = Bench::new(&flow("query", degrade), script);
    assert_eq!(bench.call(json!({"id": 1})).await.body["v"], json!({"v": "real"}));
    *state.lock() = (false, true);
    let ran = bench.call(json!({"id": 1})).await;
    assert_eq!(
        ran.body,
        json!({"v": {"v": "other"}, "is": "degraded", "code": "QIAO-5001", "from": "alternative"})
    );
    assert_eq!(ran.output.headers["x-degraded"], "asked=alternative");
    assert_eq!((ran.output.outcome, ran.span("asked").outcome), (Outcome::Degraded, Outcome::Degraded));
    *state.lock() = (false, false);
    let ran = bench.call(json!({"id": 1})).await;
    assert_eq!((&ran.body["v"], &ran.body["from"]), (&json!({"v": "real"}), &json!("last-good")));
    let ran = bench.call(json!({"id": 2})).await;
    assert_eq!((&ran.body["v"], &ran.body["from"]), (&json!({"v": "fixed"}), &json!("static")));
    tokio::time::advance(ms(3_600_001)).await;
    assert_eq!(bench.call(json!({"id": 1})).await.body["from"], "static", "too old");
}

#[tokio::test(start_paused = true)]
async fn a_stand_in_covers_only_the_faults_it_names() {
    let named = ", degrade: {on: [refused], static: fixed}";
    let refused = |_: &Seen| Reaction::Answer(404, Value::Null);
    assert_eq!(Bench::new(&flow("query", named), refused).call(json!({})).await.body["v"], "fixed");
    assert_eq!(Bench::new(&flow("query", named), |_| down()).call(json!({})).await.fault(), 5001);
    let unnamed = ", degrade: {static: fixed}";
    assert_eq!(Bench::new(&flow("query", unnamed), refused).call(json!({})).await.fault(), 5005);
    assert_eq!(
        Bench::new(&flow("query", unnamed), |_| Reaction::Hang).call(json!({})).await.body["v"],
        "fixed"
    );
}

#[tokio::test(start_paused = true)]
async fn what_may_have_happened_is_not_done_once_more_elsewhere() {
    let degrade = ", degrade: {alternative: {system: b, operation: change}}";
    let bench = Bench::new(&flow("change", degrade), |seen| match seen.system.as_str() {
        "a" => Reaction::Hang,
        _ => ok(),
    });
    let ran = bench.call(json!({})).await;
    assert_eq!((ran.fault(), &ran.body["repeat"]), (5002, &json!("unknown")));
    assert_eq!(bench.partners.seen.lock().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_partner_that_keeps_failing_is_left_alone_until_a_trial_succeeds() {
    let breaker = "breaker: {window: 10s, minimum: 3, failureRate: 0.5, open: 5s}";
    let healthy = Arc::new(Mutex::new(false));
    let script = {
        let healthy = healthy.clone();
        move |_: &Seen| if *healthy.lock() { ok() } else { Reaction::Hang }
    };
    let bench = Bench::with(vec![system("a", breaker)], "", &flow("query", ""), script);
    let state = |bench: &Bench| bench.plan.partner_states().next().expect("a system").breaker;
    for _ in 0..3 {
        assert_eq!(bench.call(json!({})).await.fault(), 5002);
    }
    assert_eq!(state(&bench), BreakerState::Open);
    let ran = bench.call(json!({})).await;
    assert_eq!((ran.fault(), ran.took, bench.partners.asked("/query")), (5003, 0, 3));
    assert_eq!(ran.output.headers["retry-after"], "5");
    tokio::time::advance(ms(5000)).await;
    *healthy.lock() = true;
    assert_eq!(state(&bench), BreakerState::HalfOpen);
    assert_eq!(bench.call(json!({})).await.body["is"], "ok");
    assert_eq!(state(&bench), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn business_refusals_and_unfairly_short_deadlines_do_not_open_the_breaker() {
    let breaker = "breaker: {window: 1m, minimum: 2, failureRate: 0.5, open: 5s}";
    let systems = || vec![system("a", breaker)];
    let bench = Bench::with(systems(), "", &flow("query", ""), |_| Reaction::Answer(422, Value::Null));
    for _ in 0..5 {
        assert_eq!(bench.call(json!({})).await.fault(), 5005);
    }
    let bench = Bench::with(systems(), "", &flow("query", ""), |_| Reaction::Hang);
    for _ in 0..5 {
        assert_eq!(bench.call_within(json!({}), 100).await.fault(), 5002);
    }
    assert_eq!(bench.call(json!({})).await.fault(), 5002);
    assert_eq!(bench.call(json!({})).await.fault(), 5002);
    assert_eq!(bench.call(json!({})).await.fault(), 5003);
    let bench = Bench::with(systems(), "", &flow("query", ""), |_| Reaction::Answer(500, Value::Null));
    let faults = [
        bench.call(json!({})).await.fault(),
        bench.call(json!({})).await.fault(),
        bench.call(json!({})).await.fault(),
    ];
    assert_eq!(faults, [5005, 5005, 5003], "a 5xx nobody explained tells that the partner is not well");
}

#[tokio::test(start_paused = true)]
async fn a_slow_partner_holds_a_bounded_number_of_calls() {
    let limits = "limits: {concurrent: 2, waiting: 1, wait: 400ms}";
    let bench = Bench::with(vec![system("a", limits)], "", &flow("query", ""), |_| {
        Reaction::Late(900, 200, json!({}))
    });
    let calls = (0..4).map(|_| bench.call(json!({})));
    let ran = futures_util::future::join_all(calls).await;
    let mut came: Vec<_> = ran.iter().map(|ran| (ran.fault(), ran.took)).collect();
    came.sort_unstable();
    assert_eq!(came, [(0, 900), (0, 900), (5006, 0), (5006, 400)]);
    let state = bench.plan.partner_states().next().expect("a system");
    assert_eq!((state.concurrent, state.waiting), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_frees_its_place_and_its_spans_are_abandoned() {
    let bench = Bench::new(&flow("query", ""), |_| Reaction::Hang);
    let spans = SpanLog::new(Instant::now().into());
    let interface = bench.plan.interface("test.flow").expect("the interface");
    let input = CallInput {
        call: CallId::from_bytes([7; 16]),
        caller: None,
        headers: &HeaderMap::new(),
        body: Bytes::new(),
        deadline: StdInstant::from(Instant::now() + ms(5000)),
        started_us: 0,
        traceparent: None,
        request_id: None,
        arrival: Default::default(),
    };
    let left = tokio::time::timeout(ms(300), run(&bench.plan, interface, input, &spans)).await;
    assert!(left.is_err(), "still running when dropped");
    let state = bench.plan.partner_states().next().expect("a system");
    assert_eq!(state.concurrent, 0);
    let (spans, _) = spans.take();
    let attempt =
        spans.iter().find(|span| &*span.name == "a").expect("the attempt, its endpoint not known yet");
    assert_eq!((attempt.outcome, attempt.duration_us), (Outcome::Abandoned, 300_000));
}
