//! Phases, simple steps, answers and faults.
use qiao_core::Outcome;
use serde_json::json;

use super::*;

fn echo(seen: &Seen) -> Reaction {
    Reaction::Answer(200, json!({"path": seen.path, "got": seen.body}))
}

#[tokio::test(start_paused = true)]
async fn a_flow_maps_calls_sets_and_responds_with_a_span_for_everything() {
    let flow = "
  - id: built
    map: [{to: who, from: $.request.name}]
  - id: asked
    call: {system: a, operation: query, with: [{to: n, from: $.built.who}], answer: [{to: seen, from: $.body.got.n}]}
  - set: {copy: '${asked.seen}'}
  - respond:
      status: 201
      headers: {X-Who: 'who-${vars.copy}'}
      body: {who: '${vars.copy}', trace: '${call.traceId}', at: '${call.startedAt}', caller: '${caller.id}'}
";
    let bench = Bench::new(flow, echo);
    let ran = bench.call(json!({"name": "x"})).await;
    assert_eq!((ran.output.status.as_u16(), ran.output.outcome), (201, Outcome::Ok));
    let id = CallId::from_bytes([7; 16]).to_string();
    assert_eq!(ran.body, json!({"who": "x", "trace": id, "at": "2026-01-01T08:00:00+08:00", "caller": null}));
    assert_eq!(ran.output.headers["x-who"], "who-x");
    assert_eq!(ran.output.headers["content-type"], "application/json");
    let names: Vec<_> = ran.spans.iter().map(|span| &*span.name).collect();
    assert_eq!(
        names,
        ["open", "validate", "flow", "built", "asked", "a.example", "set", "respond", "respond"]
    );
    let attempt = ran.span("a.example");
    assert_eq!(attempt.parent.map(|index| &*ran.spans[usize::from(index)].name), Some("asked"));
    assert_eq!(attempt.note.as_deref(), Some("status 200, judged ok"));
    assert!(attempt.bytes_out > 0 && attempt.bytes_in > 0);
    let order = |span: &Span, index: usize| span.parent.is_none_or(|parent| usize::from(parent) < index);
    assert!(ran.spans.iter().enumerate().all(|(index, span)| order(span, index)));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_not_json_or_does_not_fit_the_contract_never_reaches_the_flow() {
    let contract = "contract: {request: {type: object, required: [idNo], properties: {idNo: {type: string, maxLength: 3}}}}";
    let bench = Bench::with(vec![], contract, "  - respond: {body: {}}", echo);
    let ran = bench.call(json!({"idNo": "310101199003074511"})).await;
    assert_eq!((ran.output.status.as_u16(), ran.fault(), ran.output.outcome), (422, 1007, Outcome::Denied));
    let text = ran.body["msg"].as_str().expect("a text");
    assert!(text.contains("/idNo"), "{text}");
    assert!(!ran.output.body.windows(6).any(|part| part == b"310101"), "the value is not told");
    assert!(ran.spans.iter().all(|span| span.note.as_deref().is_none_or(|note| !note.contains("310101"))));
    let spans = SpanLog::new(Instant::now().into());
    let input = |body: &'static str| CallInput {
        call: CallId::from_bytes([7; 16]),
        caller: None,
        headers: Box::leak(Box::default()),
        body: Bytes::from_static(body.as_bytes()),
        deadline: StdInstant::from(Instant::now() + ms(1000)),
        started_us: 0,
        traceparent: None,
        request_id: None,
        arrival: Default::default(),
    };
    let ran = bench.input(input("{\"idNo\": 1, \"idNo\": 2}"), &spans).await;
    assert_eq!((ran.output.status.as_u16(), ran.fault()), (400, 1001));
    let ran = bench.input(input(""), &SpanLog::new(Instant::now().into())).await;
    assert_eq!(ran.fault(), 1007, "no body is an empty object, which lacks idNo");
}

#[tokio::test(start_paused = true)]
async fn a_step_whose_condition_is_false_is_skipped_and_gives_null() {
    let flow = "
  - id: maybe
    when: request.ask
    call: {system: a, operation: query}
  - respond: {body: {result: '${maybe}', is: '${outcomes.maybe.is}'}}
";
    let bench = Bench::new(flow, echo);
    let ran = bench.call(json!({"ask": false})).await;
    assert_eq!(ran.body, json!({"result": null, "is": "skipped"}));
    assert_eq!(ran.span("maybe").outcome, Outcome::Skipped);
    assert_eq!(bench.partners.asked("/query"), 0);
    let ran = bench.call(json!({"ask": true})).await;
    assert_eq!(ran.body["is"], "ok");
    let ran = bench.call(json!({})).await;
    assert_eq!(ran.fault(), 4201, "a condition that has no value is a fault of the flow");
}

#[tokio::test(start_paused = true)]
async fn a_branch_runs_the_first_arm_that_holds_and_goes_on_without_one() {
    let flow = "
  - branch:
      - {when: request.n > 10, steps: [{set: {size: large}}]}
      - {when: request.n > 5, steps: [{set: {size: middle}}, {when: request.n == 7, respond: {body: seven}}]}
  - respond: {body: '${has(vars.size) ? vars.size : \"none\"}'}
";
    let bench = Bench::new(flow, echo);
    for (n, expected) in [(11, "large"), (6, "middle"), (7, "seven"), (1, "none")] {
        assert_eq!(bench.call(json!({"n": n})).await.body, json!(expected), "{n}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_validate_step_blames_the_caller_for_the_request_and_the_flow_for_other_documents() {
    let flow = "
  - {when: request.check == 'own', validate: {of: $.request.n, schema: {type: string}}}
  - {when: request.check == 'vars', set: {n: 5}}
  - {when: request.check == 'vars', validate: {of: $.vars.n, schema: {type: string}}}
  - respond: {from: $.request}
";
    let bench = Bench::new(flow, echo);
    assert_eq!(bench.call(json!({"check": "own", "n": 5})).await.fault(), 1007);
    assert_eq!(bench.call(json!({"check": "vars"})).await.fault(), 4102);
    assert_eq!(bench.call(json!({"check": "own", "n": "x"})).await.body, json!({"check": "own", "n": "x"}));
}

#[tokio::test(start_paused = true)]
async fn a_fail_step_gives_the_flows_own_code_and_text() {
    let flow = "  - fail: {code: 'B${request.n}', text: '不满${request.n}个月', status: 409}";
    let ran = Bench::new(flow, echo).call(json!({"n": 6})).await;
    assert_eq!((ran.output.status.as_u16(), ran.fault(), ran.output.outcome), (409, 6004, Outcome::Refused));
    let id = CallId::from_bytes([7; 16]).to_string();
    assert_eq!(ran.body, json!({"code": "B6", "msg": "不满6个月", "traceId": id, "repeat": "unsafe"}));
}

#[tokio::test(start_paused = true)]
async fn a_flow_without_an_answer_and_a_broken_mapping_are_faults_of_the_bus() {
    let ran = Bench::new("  - set: {a: 1}", echo).call(json!({})).await;
    assert_eq!((ran.fault(), ran.output.status.as_u16(), ran.output.outcome), (4201, 500, Outcome::Failed));
    let flow = "  - map: [{to: a, from: $.request.none, required: true}]\n  - respond: {body: {}}";
    let ran = Bench::new(flow, echo).call(json!({})).await;
    assert_eq!((ran.fault(), &ran.body["repeat"]), (4101, &json!("unsafe")));
    assert_eq!(ran.span("map").fault, Some(4101));
}

#[tokio::test(start_paused = true)]
async fn headers_are_shown_to_flows_that_read_them_but_never_credentials() {
    let flow = "  - respond: {body: {mine: '${headers[\"x-mine\"]}', key: '${\"x-app-key\" in headers}'}}";
    let bench = Bench::new(flow, echo);
    let mut headers = HeaderMap::new();
    headers.insert("X-Mine", "1".parse().expect("a value"));
    headers.insert("X-App-Key", "secret".parse().expect("a value"));
    let now = StdInstant::from(Instant::now());
    let input = CallInput {
        call: CallId::from_bytes([7; 16]),
        caller: None,
        headers: &headers,
        body: Bytes::new(),
        deadline: now + ms(1000),
        started_us: 0,
        traceparent: None,
        request_id: None,
        arrival: Default::default(),
    };
    let ran = bench.input(input, &SpanLog::new(now)).await;
    assert_eq!(ran.body, json!({"mine": "1", "key": false}));
}

#[tokio::test(start_paused = true)]
async fn paths_and_queries_take_values_of_the_document_percent_encoded() {
    let definition = "
system: q
title: 测试系统
protocol: http
headers: {X-Op: '${operation.id}', X-Fixed: yes}
parameters: {org: 城建}
operations:
  one: {title: 查, path: '/people/${idNo}/${parameters.org}', method: GET, changing: false, request: {wire: {codec: form}}}
";
    let flow = "  - call: {system: q, operation: one}\n  - respond: {body: {}}";
    let bench = Bench::with(vec![read(definition)], "", flow, echo);
    let ran = bench.call(json!({"idNo": "a/b", "q": "x y"})).await;
    assert_eq!(ran.output.status, 200);
    let seen = bench.partners.seen.lock()[0].clone();
    assert!(seen.path.starts_with("/people/a%2Fb/%E5%9F%8E%E5%BB%BA?"), "{}", seen.path);
    assert!(seen.path.contains("q=x"), "{}", seen.path);
    assert_eq!(
        (&seen.headers["x-op"], &seen.headers["x-fixed"]),
        (&"one".parse().expect("a value"), &"yes".parse().expect("a value"))
    );
    assert!(seen.body.is_null());
    assert_eq!(bench.call(json!({"idNo": ".."})).await.fault(), 4102);
    assert_eq!(bench.call(json!({"idNo": ""})).await.fault(), 4101);
}
