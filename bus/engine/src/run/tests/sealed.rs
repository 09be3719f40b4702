//! Sealed callers and sealed partners, with the light JSON envelope in both directions.
use qiao_core::Outcome;
use qiao_vault::{Envelope, Params, Side, required_keys};
use serde_json::json;

use super::*;
use crate::definitions::CallerDefinition;

/// The light JSON envelope between the bus and `partner`.
fn envelope(partner: &str) -> String {
    format!(
        "envelopes:
  light:
    keys: {{ours.sign: 'vault:bus/sign', ours.encrypt: 'vault:bus/encrypt', theirs.sign: 'vault:{partner}/sign', theirs.encrypt: 'vault:{partner}/encrypt'}}
    seal:
      - {{name: key, random: 16}}
      - {{name: iv, random: 16}}
      - {{name: encKey, sm2Encrypt: {{data: key, key: theirs.encrypt, order: c1c3c2, point: bare}}}}
      - {{name: cipher, sm4Encrypt: {{mode: cbc, key: key, iv: iv, data: plain}}}}
      - {{name: sign, sm2Sign: {{data: cipher, key: ours.sign, id: '1234567812345678', format: raw}}}}
    write:
      encKey: {{part: encKey, as: base64}}
      iv: {{part: iv, as: base64}}
      cipher: {{part: cipher, as: base64}}
      sign: {{part: sign, as: base64}}
    open:
      - {{name: cipher, read: {{field: cipher, as: base64}}}}
      - {{name: sign, read: {{field: sign, as: base64}}}}
      - {{name: verified, sm2Verify: {{data: cipher, signature: sign, key: theirs.sign, id: '1234567812345678', format: raw}}}}
      - {{name: encKey, read: {{field: encKey, as: base64}}}}
      - {{name: iv, read: {{field: iv, as: base64}}}}
      - {{name: key, sm2Decrypt: {{data: encKey, key: ours.encrypt, order: c1c3c2, point: bare}}}}
      - {{name: plain, sm4Decrypt: {{mode: cbc, key: key, iv: iv, data: cipher}}}}
"
    )
}

fn partner() -> SystemDefinition {
    read(&format!(
        "system: p
title: 合作方
protocol: http
retry: {{attempts: 2, first: 10ms}}
parameters: {{org: '3101'}}
{}request:
  wire: {{codec: json}}
  seal: {{envelope: light, plain: {{codec: json}}}}
  frame: [{{to: org, from: $.parameters.org}}, {{to: op, from: $.operation.id}}, {{to: sealed, from: $.sealed}}]
answer:
  wire: {{codec: json}}
  open: {{envelope: light, from: $.wire.sealed, plain: {{codec: json}}}}
judge:
  - {{when: body != null && body.code == '0', is: ok}}
  - {{when: body != null && body.code == '9', is: retry}}
  - {{when: body != null, is: refused, code: '${{body.code}}'}}
operations:
  ask: {{title: 问, path: /ask, changing: true}}
",
        envelope("p")
    ))
}

fn caller_system() -> SystemDefinition {
    read(&format!("system: civil\ntitle: 民政\n{}", envelope("civil")))
}

struct Sealed {
    bench: Bench,
    /// As the caller uses it.
    envelope: Envelope,
    caller: Arc<crate::plan::CallerPlan>,
}

fn vault_for(systems: &[SystemDefinition]) -> Vault {
    let vault = Vault::in_memory().expect("a vault");
    for needed in systems.iter().flat_map(|system| system.envelopes.values()).flat_map(required_keys) {
        if !vault.exists(&needed.key) {
            vault.generate(&needed.key, needed.kind, needed.purpose).expect("a key");
        }
    }
    vault
}

fn sealed_bench(flow: &str, react: impl Fn(&Seen, &Envelope) -> Reaction + Send + Sync + 'static) -> Sealed {
    bench_of(caller_system(), flow, react)
}

fn bench_of(
    caller: SystemDefinition,
    flow: &str,
    react: impl Fn(&Seen, &Envelope) -> Reaction + Send + Sync + 'static,
) -> Sealed {
    let systems = vec![partner(), caller];
    let vault = vault_for(&systems);
    let as_partner = |system: &SystemDefinition| {
        Envelope::compile(&system.envelopes["light"], &vault, Side::Partner).expect("compiles")
    };
    let (partner, envelope) = (as_partner(&systems[0]), as_partner(&systems[1]));
    let partners = Partners::new(move |seen| react(seen, &partner));
    let mut definitions = definitions(systems, vec![interface("contract: {request: {required: [n]}}", flow)]);
    let caller: CallerDefinition =
        read("caller: civil\ntitle: 民政\ncredential: {envelope: {system: civil, envelope: light}}");
    definitions.callers.insert("civil".into(), Arc::new(caller));
    let factory = Factory(partners.clone());
    let context = CompileContext { vault: &vault, connectors: &factory, previous: None, number: 1 };
    let plan = Arc::new(compile(&definitions, &context).unwrap_or_else(|wrong| panic!("{wrong:#?}")));
    let caller = plan.caller("civil").expect("the caller").clone();
    Sealed { bench: Bench { partners, plan }, envelope, caller }
}

impl Sealed {
    async fn call(&self, body: Value) -> Ran {
        let now = StdInstant::from(Instant::now());
        let input = CallInput {
            call: CallId::from_bytes([7; 16]),
            caller: Some(self.caller.clone()),
            headers: &HeaderMap::new(),
            body: body.to_string().into(),
            deadline: now + ms(5000),
            started_us: 0,
            traceparent: None,
            request_id: None,
            arrival: Default::default(),
        };
        self.bench.input(input, &SpanLog::new(now)).await
    }

    fn seal(&self, plain: &Value) -> Value {
        self.envelope.seal(plain.to_string().as_bytes(), &Params::new()).expect("sealed")
    }

    fn open(&self, ran: &Ran) -> Value {
        let plain = self.envelope.open(&ran.body, &Params::new()).expect("opened");
        serde_json::from_slice(&plain).expect("JSON")
    }
}

const FLOW: &str = "
  - {id: asked, call: {system: p, operation: ask}}
  - respond: {body: {got: '${asked.echo}', who: '${caller.id}'}}";

fn echo(seen: &Seen, envelope: &Envelope) -> Reaction {
    let plain = envelope.open(&seen.body["sealed"], &Params::new()).expect("the bus sealed it");
    let plain: Value = serde_json::from_slice(&plain).expect("JSON");
    let code = plain["n"].as_str().unwrap_or("0");
    let code = if code == "9" && seen.attempt > 0 { "0" } else { code };
    let answer = json!({"code": code, "echo": plain});
    let sealed = envelope.seal(answer.to_string().as_bytes(), &Params::new()).expect("sealed");
    Reaction::Answer(200, json!({"sealed": sealed}))
}

#[tokio::test(start_paused = true)]
async fn a_sealed_request_goes_sealed_to_the_partner_and_comes_back_sealed() {
    let sealed = sealed_bench(FLOW, echo);
    let ran = sealed.call(sealed.seal(&json!({"n": "0", "secret": "3101"}))).await;
    assert_eq!((ran.output.status.as_u16(), ran.output.outcome), (200, Outcome::Ok));
    assert_eq!(sealed.open(&ran), json!({"got": {"n": "0", "secret": "3101"}, "who": "civil"}));
    let seen = sealed.bench.partners.seen.lock()[0].clone();
    assert_eq!((&seen.body["org"], &seen.body["op"]), (&json!("3101"), &json!("ask")));
}

#[tokio::test(start_paused = true)]
async fn faults_and_refusals_after_the_opening_are_sealed_too() {
    let sealed = sealed_bench(FLOW, echo);
    let ran = sealed.call(sealed.seal(&json!({"n": "E5"}))).await;
    assert_eq!((ran.output.status.as_u16(), ran.fault()), (422, 5005));
    assert_eq!(sealed.open(&ran)["partnerCode"], "E5");
    let ran = sealed.call(sealed.seal(&json!({"other": 1}))).await;
    assert_eq!((ran.fault(), &sealed.open(&ran)["code"]), (1007, &json!("QIAO-1007")));
}

#[tokio::test(start_paused = true)]
async fn an_envelope_that_does_not_hold_is_refused_without_saying_why() {
    let sealed = sealed_bench(FLOW, echo);
    let good = sealed.seal(&json!({"n": "0"}));
    let other = sealed.seal(&json!({"n": "1"}));
    let mut answers = Vec::new();
    for field in ["cipher", "sign", "encKey"] {
        let mut tampered = good.clone();
        tampered[field] = other[field].clone();
        let ran = sealed.call(tampered).await;
        assert_eq!(
            (ran.output.status.as_u16(), ran.fault(), ran.output.outcome),
            (401, 2002, Outcome::Denied),
            "{field}"
        );
        answers.push(ran.body);
    }
    let ran = sealed.call(json!({"cipher": "x"})).await;
    answers.push(ran.body);
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    assert_eq!(answers[0]["msg"], fault_codes::BAD_SIGNATURE.text);
    assert_eq!(sealed.call(json!("text")).await.fault(), 1001);
    assert_eq!(sealed.bench.partners.seen.lock().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_remembered_is_refused_and_never_runs() {
    let mut caller = caller_system();
    let envelope = caller.envelopes.get_mut("light").expect("the envelope");
    envelope.freshness =
        Some(qiao_vault::FreshnessSpec { nonce: Some("cipher".to_owned()), ..Default::default() });
    let sealed = bench_of(caller, FLOW, echo);
    // The node of these tests has no memory.
    let ran = sealed.call(sealed.seal(&json!({"n": "0"}))).await;
    assert_eq!((ran.output.status.as_u16(), ran.fault(), &ran.body["repeat"]), (503, 3004, &json!("safe")));
    let other = sealed.seal(&json!({"n": "1"}));
    let mut tampered = sealed.seal(&json!({"n": "0"}));
    tampered["sign"] = other["sign"].clone();
    assert_eq!(sealed.call(tampered).await.fault(), 2002, "nothing is remembered of what does not hold");
    assert_eq!(sealed.bench.partners.seen.lock().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_repeat_is_sealed_afresh() {
    let sealed = sealed_bench(FLOW, echo);
    let ran = sealed.call(sealed.seal(&json!({"n": "9"}))).await;
    assert_eq!(ran.output.status, 200);
    let seen = sealed.bench.partners.seen.lock();
    assert_eq!(seen.len(), 2);
    assert_ne!(seen[0].body["sealed"]["cipher"], seen[1].body["sealed"]["cipher"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_should_be_sealed_but_is_not_is_broken() {
    for answer in [json!({"code": "0", "echo": {}}), json!({"sealed": {"cipher": "AAAA"}})] {
        let sealed = sealed_bench(FLOW, move |_, _| Reaction::Answer(200, answer.clone()));
        let ran = sealed.call(sealed.seal(&json!({"n": "0"}))).await;
        assert_eq!(ran.fault(), 5004);
        assert_eq!(sealed.open(&ran)["repeat"], "unknown", "the operation changes the partner's state");
    }
    let sealed = sealed_bench(FLOW, |_, _| Reaction::Answer(503, json!({"oops": 1})));
    let ran = sealed.call(sealed.seal(&json!({"n": "0"}))).await;
    assert_eq!(ran.fault(), 5007, "a failed status is judged without its body");
}

#[test]
fn a_callers_key_is_compared_and_its_absence_refused() {
    let vault = Vault::in_memory().expect("a vault");
    let key = "vault:portal/key".parse().expect("a reference");
    vault
        .import(&key, qiao_vault::KeyKind::Secret, qiao_vault::Purpose::Secret, b"0123456789abcdef")
        .expect("imported");
    let mut definitions = Definitions::default();
    let caller = |key: &str| {
        read::<CallerDefinition>(&format!("caller: portal\ntitle: 门户\ncredential: {{key: '{key}'}}"))
    };
    definitions.callers.insert("portal".into(), Arc::new(caller("vault:portal/key")));
    let factory = Factory(Partners::new(|_| Reaction::Hang));
    let context = CompileContext { vault: &vault, connectors: &factory, previous: None, number: 1 };
    let plan = compile(&definitions, &context).unwrap_or_else(|wrong| panic!("{wrong:#?}"));
    let portal = plan.caller("portal").expect("the caller");
    assert!(portal.prove(Some(b"0123456789abcdef")).is_ok());
    for wrong in [None, Some(&b"0123456789abcdeX"[..]), Some(b""), Some(b"0123456789abcdef0")] {
        assert_eq!(portal.prove(wrong).expect_err("refused").code(), &fault_codes::UNKNOWN_CALLER);
    }
    vault.seal();
    assert_eq!(portal.prove(Some(b"x")).expect_err("sealed").code(), &fault_codes::VAULT_SEALED);
}

#[tokio::test(start_paused = true)]
async fn an_answer_said_to_be_in_the_clear_is_not_opened_and_judged_as_it_is() {
    let system: SystemDefinition = read(&format!(
        "system: p
title: 合作方
protocol: http
{}answer:
  wire: {{codec: json}}
  open: {{envelope: light, from: $.wire.sealed, when: wire.hasData, plain: {{codec: json}}}}
judge: [{{when: status == 200 && wire.code == 'no', is: refused, code: '${{wire.code}}'}}]
operations: {{ask: {{title: 问, path: /ask, changing: false}}}}
",
        envelope("p")
    ));
    let flow = "
  - {id: asked, call: {system: p, operation: ask}}
  - respond: {body: '${asked}'}";
    for (code, fault, body) in [("no", 5005, None), ("yes", 0, Some(Value::Null))] {
        let systems = vec![system.clone()];
        let bench = Bench::with(systems, "", flow, move |_| {
            Reaction::Answer(200, json!({"hasData": false, "code": code}))
        });
        let ran = bench.call(json!({})).await;
        assert_eq!(ran.fault(), fault);
        assert!(
            body.is_none_or(|body| body == ran.body),
            "nothing was opened: the business document is null"
        );
    }
}
