//! Parallel branches and items of a list.
use qiao_core::Outcome;
use serde_json::json;

use super::*;

/// Branches `x` (system a) and `y` (system b), and `z` (system c), each asking `query`.
fn parallel(settings: &str) -> String {
    format!(
        "
  - id: parts
    parallel:
      {settings}
      branches:
        - {{name: x, steps: [{{id: fromA, call: {{system: a, operation: query}}}}, {{set: {{x: done}}}}]}}
        - {{name: y, timeout: 500ms, steps: [{{id: fromB, call: {{system: b, operation: query}}}}]}}
        - {{name: z, steps: [{{id: fromC, call: {{system: c, operation: change}}}}]}}
  - respond:
      body:
        values: ['${{fromA}}', '${{fromB}}', '${{fromC}}']
        is: ['${{outcomes.x.is}}', '${{outcomes.y.is}}', '${{outcomes.z.is}}']
        code: '${{outcomes.y.code}}'
        vars: '${{vars}}'
"
    )
}

fn bench(settings: &str, script: impl Fn(&Seen) -> Reaction + Send + Sync + 'static) -> Bench {
    let systems = vec![system("a", ""), system("b", ""), system("c", "")];
    Bench::with(systems, "", &parallel(settings), script)
}

fn by_system(seen: &Seen, reactions: [(u64, u16); 3]) -> Reaction {
    let index = usize::from(seen.system.as_bytes()[0] - b'a');
    let (after, status) = reactions[index];
    Reaction::Late(after, status, json!(seen.system))
}

#[tokio::test(start_paused = true)]
async fn all_waits_for_every_branch_at_the_same_time() {
    let bench = bench("join: all", |seen| by_system(seen, [(100, 200), (300, 200), (200, 200)]));
    let ran = bench.call(json!({})).await;
    assert_eq!(ran.took, 300);
    let expected =
        json!({"values": ["a", "b", "c"], "is": ["ok", "ok", "ok"], "code": null, "vars": {"x": "done"}});
    assert_eq!(ran.body, expected);
    let step = ran.span("parts.x.fromA");
    assert_eq!(step.parent.map(|index| &*ran.spans[usize::from(index)].name), Some("parts.x"));
    assert_eq!(ran.span("parts").note.as_deref(), Some("3 of 3 branches succeeded"));
}

#[tokio::test(start_paused = true)]
async fn all_ends_with_the_first_failure_and_cancels_the_others() {
    let bench = bench("join: all", |seen| by_system(seen, [(100, 404), (300, 200), (200, 200)]));
    let ran = bench.call(json!({})).await;
    assert_eq!((ran.took, ran.fault()), (100, 5005));
    assert_eq!(ran.body["repeat"], "unsafe");
    assert_eq!(ran.span("parts.y").outcome, Outcome::Skipped);
    assert_eq!(ran.span("parts.y.fromB").outcome, Outcome::Skipped);
    assert_eq!(ran.span("b").outcome, Outcome::Skipped, "the attempt under way");
}

#[tokio::test(start_paused = true)]
async fn all_may_go_on_with_the_branches_that_succeeded() {
    let bench = bench("onFault: continue", |seen| by_system(seen, [(100, 200), (900, 200), (200, 404)]));
    let ran = bench.call(json!({})).await;
    assert_eq!(ran.took, 500, "the slow branch is bounded by its own timeout");
    let expected = json!({"values": ["a", null, null], "is": ["ok", "failed", "refused"], "code": "QIAO-5002", "vars": {"x": "done"}});
    assert_eq!(ran.body, expected);
}

#[tokio::test(start_paused = true)]
async fn first_is_decided_by_the_first_success_not_by_an_earlier_failure() {
    let bench = bench("join: first", |seen| by_system(seen, [(100, 404), (200, 200), (300, 200)]));
    let ran = bench.call(json!({})).await;
    assert_eq!(ran.took, 200);
    assert_eq!(ran.body["is"], json!(["refused", "ok", "skipped"]));
    assert_eq!(ran.body["values"], json!([null, "b", null]));
}

#[tokio::test(start_paused = true)]
async fn first_fails_when_every_branch_failed() {
    let bench = bench("join: first", |seen| by_system(seen, [(100, 404), (50, 503), (150, 404)]));
    let ran = bench.call(json!({})).await;
    assert_eq!((ran.took, ran.fault()), (150, 5007), "with the fault that came first");
}

#[tokio::test(start_paused = true)]
async fn n_of_m_is_decided_as_soon_as_it_is_won_or_can_no_longer_be() {
    let settings = "{join: n-of-m, need: 2}".trim_matches(['{', '}']).replace(", ", "\n      ");
    let won = bench(&settings, |seen| by_system(seen, [(100, 200), (200, 200), (900, 200)]));
    let ran = won.call(json!({})).await;
    assert_eq!((ran.took, &ran.body["is"]), (200, &json!(["ok", "ok", "skipped"])));
    let lost = bench(&settings, |seen| by_system(seen, [(100, 404), (200, 503), (900, 200)]));
    let ran = lost.call(json!({})).await;
    assert_eq!((ran.took, ran.fault()), (200, 5005));
}

#[tokio::test(start_paused = true)]
async fn losers_may_finish_in_the_background() {
    for (losers, places) in [("finish", 1), ("cancel", 0)] {
        let settings = format!("join: first\n      losers: {losers}");
        let bench = bench(&settings, |seen| by_system(seen, [(100, 200), (200, 404), (800, 200)]));
        let ran = bench.call(json!({})).await;
        assert_eq!((ran.took, &ran.body["values"]), (100, &json!(["a", null, null])), "{losers}");
        let busy = || bench.plan.partner_states().find(|state| &*state.system == "c").expect("c").concurrent;
        assert_eq!(busy(), places, "{losers}");
        tokio::time::sleep(ms(1000)).await;
        assert_eq!(busy(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_changing_attempt_that_was_cancelled_makes_a_repeat_unknown() {
    let flow = format!(
        "{}\n",
        parallel("join: first")
            .replace("  - respond:", "  - {id: last, call: {system: a, operation: other}}\n  - respond:")
    );
    let systems = vec![system("a", ""), system("b", ""), system("c", "")];
    let bench = Bench::with(systems, "", &flow, |seen| match seen.path.as_str() {
        "/other" => Reaction::Fault(Fault::new(&fault_codes::PARTNER_DOWN, "refused")),
        _ => by_system(seen, [(100, 200), (200, 200), (800, 200)]),
    });
    let ran = bench.call(json!({})).await;
    assert_eq!((ran.fault(), &ran.body["repeat"]), (5001, &json!("unknown")));
}

#[tokio::test(start_paused = true)]
async fn respond_in_a_branch_ends_the_flow() {
    let flow = "
  - parallel:
      onFault: continue
      branches:
        - {name: x, steps: [{respond: {body: early}}]}
        - {name: y, steps: [{call: {system: a, operation: query}}]}
  - respond: {body: late}";
    let ran = Bench::new(flow, |_| Reaction::Late(100, 200, json!({}))).call(json!({})).await;
    assert_eq!((ran.took, ran.body), (0, json!("early")));
}

fn each(settings: &str) -> String {
    format!(
        "
  - id: parties
    each:
      over: $.request.list
      {settings}
      steps:
        - {{id: card, call: {{system: a, operation: keyed, with: [{{to: n, from: $.item}}, {{to: at, from: $.index}}]}}}}
        - {{set: {{last: '${{item}}'}}}}
  - respond: {{body: {{list: '${{parties}}', is: '${{outcomes.parties.is}}', last: '${{vars.?last.orValue(0)}}', card: '${{card}}'}}}}
"
    )
}

fn items(seen: &Seen) -> Reaction {
    let n = seen.body["n"].as_u64().unwrap_or(0);
    Reaction::Late(100 * n, if n == 4 { 404 } else { 200 }, seen.body.clone())
}

#[tokio::test(start_paused = true)]
async fn each_runs_a_bounded_number_of_items_at_once_and_keeps_their_order() {
    let bench = Bench::new(&each("concurrency: 2\n      collect: 'v${card.n}-${index}'"), items);
    let ran = bench.call(json!({"list": [3, 1, 2]})).await;
    assert_eq!(ran.took, 300, "3 beside 1 then 2");
    let list =
        json!([{"ok": true, "value": "v3-0"}, {"ok": true, "value": "v1-1"}, {"ok": true, "value": "v2-2"}]);
    assert_eq!(ran.body, json!({"list": list, "is": "ok", "last": 2, "card": null}));
    assert_eq!(ran.span("parties[2].card").outcome, Outcome::Ok);
    let keys: Vec<_> = bench.partners.seen.lock().iter().filter_map(|seen| seen.key.clone()).collect();
    let id = CallId::from_bytes([7; 16]);
    assert_eq!(keys, [0, 1, 2].map(|index| format!("{id}-parties[{index}].card")));
}

#[tokio::test(start_paused = true)]
async fn each_without_collect_gives_the_last_steps_result() {
    let ran = Bench::new(&each("concurrency: 1"), items).call(json!({"list": [1]})).await;
    assert_eq!(ran.body["list"], json!([{"ok": true, "value": {"n": 1, "at": 0}}]));
    let ran = Bench::new(&each("concurrency: 1"), items).call(json!({})).await;
    assert_eq!(ran.body["list"], json!([]), "no list is an empty one");
}

#[tokio::test(start_paused = true)]
async fn a_failed_item_stops_the_rest_or_shows_in_the_result() {
    let bench = Bench::new(&each("concurrency: 2"), items);
    let ran = bench.call(json!({"list": [4, 9, 1]})).await;
    assert_eq!((ran.fault(), ran.took, bench.partners.asked("/keyed")), (5005, 400, 2));
    assert_eq!(ran.span("parties[1]").outcome, Outcome::Skipped);
    let ran = Bench::new(&each("onFault: continue"), items).call(json!({"list": [4, 1]})).await;
    let failed =
        json!({"ok": false, "fault": {"code": "QIAO-5005", "text": fault_codes::PARTNER_REFUSED.text}});
    assert_eq!((&ran.body["list"][0], &ran.body["is"]), (&failed, &json!("partial")));
    let needs = each("onFault: continue\n      need: 2");
    assert_eq!(Bench::new(&needs, items).call(json!({"list": [4, 1]})).await.fault(), 6004);
    assert_eq!(Bench::new(&needs, items).call(json!({"list": [4, 1, 1]})).await.fault(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_too_long_or_no_list_is_refused() {
    let bench = Bench::new(&each("most: 2"), items);
    assert_eq!(bench.call(json!({"list": [1, 1, 1]})).await.fault(), 1007);
    assert_eq!(bench.call(json!({"list": "x"})).await.fault(), 4201);
}

#[tokio::test(start_paused = true)]
async fn spans_of_a_call_are_bounded_and_the_rest_counted() {
    let bench =
        Bench::new(&each("most: 1000\n      onFault: continue"), |_| Reaction::Answer(200, json!({})));
    let ran = bench.call(json!({"list": vec![0; 300]})).await;
    // open, validate, flow, parties; per item: the item, card, its attempt, set; two for respond.
    assert_eq!((ran.spans.len(), ran.dropped), (512, 4 + 300 * 4 + 2 - 512));
    assert_eq!(ran.body["list"].as_array().map(Vec::len), Some(300));
}

#[tokio::test(start_paused = true)]
async fn stand_ins_inside_branches_and_items_mark_the_whole_answer_within_a_bound() {
    let flow = "
  - id: parties
    each:
      over: $.request.list
      steps: [{id: card, call: {system: a, operation: query, degrade: {static: none}}}]
  - parallel:
      branches: [{name: x, steps: [{id: inner, call: {system: a, operation: query, degrade: {static: none}}}]}]
  - respond: {body: '${outcomes.x}'}
";
    let bench = Bench::new(flow, |_| Reaction::Fault(Fault::new(&fault_codes::PARTNER_DOWN, "refused")));
    let ran = bench.call(json!({"list": [1]})).await;
    assert_eq!(ran.output.headers["x-degraded"], "parties[0].card=static, x.inner=static");
    assert_eq!((ran.output.outcome, &ran.body["is"]), (Outcome::Degraded, &json!("degraded")));
    assert_eq!(
        (ran.span("x").outcome, ran.span("parties[0]").outcome),
        (Outcome::Degraded, Outcome::Degraded)
    );
    let ran = bench.call(json!({"list": vec![0; 100]})).await;
    let marks = ran.output.headers["x-degraded"].to_str().expect("ASCII").to_owned();
    assert!(marks.ends_with("parties[7].card=static, +93"), "{marks}");
}
