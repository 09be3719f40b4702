//! What answers mean: a 200 may still be a no.
use qiao_core::Outcome;
use serde_json::json;

use super::*;

const RULES: &str = "judge:
  - {when: status == 200 && body.code == '0', is: ok}
  - {when: body.code == '1004', is: done, code: '${body.code}'}
  - {when: body.code == '207', is: partial, code: '${body.code}', text: '${body.msg}'}
  - {when: body.code == '429', is: retry}
  - {when: body.code == '202', is: unknown}
  - {when: body.code == 'X', is: broken}
  - {when: 'status == 200', is: refused, code: '${body.code}', text: '${body.msg}'}";

const FLOW: &str = "
  - id: asked
    call: {system: a, operation: query}
  - respond: {body: {is: '${outcomes.asked.is}', partnerCode: '${outcomes.asked.partnerCode}', text: '${outcomes.asked.text}'}}
";

async fn judged(rules: &str, status: u16, body: Value) -> Ran {
    let bench =
        Bench::with(vec![system("a", rules)], "", FLOW, move |_| Reaction::Answer(status, body.clone()));
    bench.call(json!({})).await
}

#[tokio::test(start_paused = true)]
async fn the_first_rule_that_applies_says_what_an_answer_means() {
    let table = [("0", "ok", json!(null)), ("1004", "done", json!("1004")), ("207", "partial", json!("207"))];
    for (code, is, partner_code) in table {
        let ran = judged(RULES, 200, json!({"code": code, "msg": "部分成功"})).await;
        assert_eq!((&ran.body["is"], &ran.body["partnerCode"]), (&json!(is), &partner_code));
    }
    let table = [("429", 5007, "safe"), ("202", 5008, "unknown"), ("X", 5004, "safe")];
    for (code, fault, repeat) in table {
        let ran = judged(RULES, 200, json!({"code": code})).await;
        assert_eq!((ran.fault(), &ran.body["repeat"]), (fault, &json!(repeat)), "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_200_with_a_refusal_inside_is_a_refusal_with_the_partners_code_and_reason() {
    let ran = judged(RULES, 200, json!({"code": "E17", "msg": "余额不足"})).await;
    assert_eq!((ran.output.status.as_u16(), ran.fault(), ran.output.outcome), (422, 5005, Outcome::Refused));
    assert_eq!((&ran.body["partnerCode"], &ran.body["msg"]), (&json!("E17"), &json!("余额不足")));
    let attempt = ran.span("a.example");
    assert_eq!(
        (attempt.outcome, attempt.note.as_deref()),
        (Outcome::Refused, Some("status 200, judged refused"))
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_matching_rule_the_status_decides() {
    let table =
        [(204, 0), (429, 5007), (502, 5007), (503, 5007), (504, 5007), (500, 5005), (404, 5005), (302, 5004)];
    for (status, fault) in table {
        let ran = judged("", status, Value::Null).await;
        assert_eq!(ran.fault(), fault, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_cannot_be_decided_makes_a_2xx_broken_but_does_not_apply_to_a_failed_status() {
    let ran = judged("judge: [{when: body.code == '0', is: ok}]", 200, json!({"other": 1})).await;
    assert_eq!(ran.fault(), 5004);
    let ran = judged("judge: [{when: body.code == '0', is: ok}]", 503, Value::from("busy")).await;
    assert_eq!(ran.fault(), 5007);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_readable_is_the_partners_fault() {
    let definition = "
system: a
title: 测试系统
protocol: http
answer: {wire: {codec: xml}}
operations:
  query: {title: 查, path: /query, changing: false}
  change: {title: 改, path: /change, changing: true}
";
    for (operation, repeat) in [("query", "safe"), ("change", "unknown")] {
        let flow = format!("  - call: {{system: a, operation: {operation}}}\n  - respond: {{body: {{}}}}");
        let bench =
            Bench::with(vec![read(definition)], "", &flow, |_| Reaction::Answer(200, json!({"not": "xml"})));
        let ran = bench.call(json!({})).await;
        assert_eq!((ran.fault(), &ran.body["repeat"]), (5004, &json!(repeat)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_need_not_have_what_the_frame_reads_but_an_ok_must() {
    let definition = "
system: a
title: 测试系统
protocol: http
answer: {wire: {codec: json}, frame: [{to: v, from: $.wire.v, required: true}]}
judge: [{when: wire.ok, is: ok}, {is: refused, code: '${wire.code}'}]
operations:
  query: {title: 查, path: /query, changing: false}
";
    for (answer, fault) in [
        (json!({"ok": true, "v": 1}), 0),
        (json!({"ok": false, "code": "E1"}), 5005),
        (json!({"ok": true}), 5004),
    ] {
        let bench =
            Bench::with(vec![read(definition)], "", FLOW, move |_| Reaction::Answer(200, answer.clone()));
        assert_eq!(bench.call(json!({})).await.fault(), fault);
    }
}
