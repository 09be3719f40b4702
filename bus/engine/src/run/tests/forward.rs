//! Pass-through interfaces.
use http::Method;
use http_body_util::BodyExt;
use qiao_core::Outcome;
use serde_json::json;

use super::*;
use crate::{
    plan::Routed,
    run::{ForwardBody, ForwardInput, ForwardOutput, forward},
};

struct Through {
    plan: Arc<Plan>,
    partners: Arc<Partners>,
    spans: SpanLog,
}

fn through(
    more: &str,
    operation: &str,
    script: impl Fn(&Seen) -> Reaction + Send + Sync + 'static,
) -> Through {
    let partners = Partners::new(script);
    let face: InterfaceDefinition = read(&format!(
        "interface: test.pass\ntitle: 透传\npattern: sync\nexpose: {{path: '/pass/*', methods: [GET, POST]}}\nforward: {{system: a, operation: {operation}}}"
    ));
    let definitions = definitions(vec![system("a", more)], vec![face]);
    let plan = plan_of(&definitions, &partners, None).unwrap_or_else(|wrong| panic!("{wrong:#?}"));
    Through { plan, partners, spans: SpanLog::new(Instant::now().into()) }
}

impl Through {
    async fn send(&self, rest: &str, body: ForwardBody) -> Result<ForwardOutput, Fault> {
        let Routed::Found(interface) = self.plan.route(&Method::GET, "/pass/x") else { panic!("not found") };
        let mut headers = HeaderMap::new();
        headers.insert("x-mine", "1".parse().expect("a value"));
        let input = ForwardInput {
            call: CallId::from_bytes([7; 16]),
            method: Method::GET,
            rest,
            query: Some("q=1"),
            headers,
            body,
            deadline: StdInstant::from(Instant::now() + ms(5000)),
            started_us: 0,
            traceparent: None,
        };
        forward(&self.plan, &interface, input, &self.spans).await
    }

    fn busy(&self) -> u32 {
        self.plan.partner_states().next().expect("a system").concurrent
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_pass_unread_and_the_place_is_held_until_the_answer_ends() {
    let through =
        through("headers: {X-Call: '${call.id}'}", "query", |_| Reaction::Answer(418, json!({"any": 1})));
    let output = through.send("deep/er", ForwardBody::Whole("not json".into())).await.expect("passed on");
    assert_eq!(output.status, 418, "an answer of any status is passed on");
    assert_eq!(through.busy(), 1);
    let AnswerBody::Stream(stream) = output.body else { panic!("a stream") };
    let bytes = stream.collect().await.expect("whole").to_bytes();
    assert_eq!(bytes, r#"{"any":1}"#);
    assert_eq!(through.busy(), 0);
    let seen = through.partners.seen.lock()[0].clone();
    assert_eq!(
        (seen.path.as_str(), &seen.headers["x-mine"]),
        ("/query/deep/er?q=1", &"1".parse().expect("a value"))
    );
    assert_eq!(seen.headers["x-call"].to_str().ok(), Some(&*CallId::from_bytes([7; 16]).to_string()));
    let (spans, _) = through.spans.take();
    assert_eq!((spans.len(), &*spans[0].name, spans[0].outcome), (1, "a.example", Outcome::Ok));
}

#[tokio::test(start_paused = true)]
async fn only_an_empty_body_towards_an_unchanging_operation_is_sent_again() {
    let retry = "retry: {attempts: 3, first: 10ms}";
    let down = |_: &Seen| Reaction::Fault(Fault::new(&fault_codes::PARTNER_DOWN, "refused"));
    for (operation, body, expected) in [
        ("query", ForwardBody::Empty, 3),
        ("query", ForwardBody::Whole("x".into()), 1),
        ("change", ForwardBody::Empty, 1),
    ] {
        let through = through(retry, operation, down);
        let fault = through.send("", body).await.err().expect("down");
        assert_eq!(
            (fault.code().number, through.partners.seen.lock().len()),
            (5001, expected),
            "{operation}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn paths_that_lead_out_of_the_operation_are_refused() {
    let through = through("", "query", |_| Reaction::Answer(200, json!(null)));
    for rest in ["../admin", "a/../../b", "a/%2e%2E/b", ".", "a/.%2e"] {
        let fault = through.send(rest, ForwardBody::Empty).await.err().expect(rest);
        assert_eq!(fault.code(), &fault_codes::BAD_REQUEST);
    }
    for rest in ["a..b/c", "...", "%2e%2e%2e"] {
        assert!(through.send(rest, ForwardBody::Empty).await.is_ok(), "{rest}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_upstream_opens_the_breaker_of_a_forward_too() {
    let breaker = "breaker: {window: 10s, minimum: 3, failureRate: 0.5, open: 5s}";
    let through = through(breaker, "query", |_| Reaction::Answer(502, json!(null)));
    for _ in 0..3 {
        assert_eq!(through.send("", ForwardBody::Empty).await.expect("passed on").status, 502);
    }
    let fault = through.send("", ForwardBody::Empty).await.err().expect("open");
    assert_eq!(fault.code(), &fault_codes::BREAKER_OPEN);
    let through = self::through("", "query", |_| Reaction::Hang);
    let fault = through.send("", ForwardBody::Empty).await.err().expect("slow");
    assert_eq!((fault.code().number, through.busy()), (5002, 0));
}
