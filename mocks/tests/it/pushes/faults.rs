//! What goes wrong with pushes on purpose, and how it is told.
use super::*;

async fn dial(mocks: &Mocks, path: &str, target: Value, fault: Value) -> (u16, String) {
    let dial = json!({"for": target, "fault": fault});
    let put = mocks.admin("PUT", &format!("/api/mocks/dials/{path}"), Some(&dial)).await;
    (put.status, put.text())
}

async fn steps(mocks: &Mocks, key: &str) -> Value {
    mocks.admin("GET", &format!("/api/mocks/plans/post?key={key}"), None).await.json()["runs"][0]["steps"]
        .clone()
}

async fn by_hand(mocks: &Mocks, key: &str) {
    let start = json!({"key": key, "request": {"orderNo": key, "operator": "desk"}});
    let started = mocks.admin("POST", "/api/mocks/plans/post/five-days/start", Some(&start)).await;
    assert_eq!(started.status, 200, "{}", started.text());
}

#[tokio::test]
async fn push_f19_f20_f25_members_and_clocks_are_wrong() {
    let (mocks, receiver) = post_office().await;
    let strike = async |fault: Value, number: &str| {
        let dial = json!({"for": {"push": "collected"}, "fault": fault});
        let put = mocks.admin("PUT", "/api/mocks/dials/post/f", Some(&dial)).await;
        assert_eq!(put.status, 200, "{}", put.text());
        order(&mocks, number).await;
        advance(&mocks, "2h").await;
        let path = format!("/track/{number}");
        let heard = receiver.heard.lock();
        heard.iter().find(|(heard, _)| *heard == path).map(|(_, body)| body.clone())
    };
    let missing = strike(json!({"kind": "field-missing", "field": "no"}), "B1").await.expect("a push");
    assert!(missing.get("no").is_none() && missing["step"] == "collected", "{missing}");
    let rare = strike(json!({"kind": "rare-char", "field": "step"}), "B2").await.expect("a push");
    assert_eq!(rare["step"], "collecte\u{2CC56}");
    let early = strike(json!({"kind": "clock-skew", "skew": "-1h"}), "B3").await.expect("a push");
    assert_eq!(early["at"], "2026-03-01 13:00", "the clock shows 14:00");
    for (kind, number) in [("bad-signature", "B4"), ("stale-key", "B5")] {
        // These pushes are not sealed, so there is nothing to spoil: it is told, and nothing is sent.
        assert_eq!(strike(json!({"kind": kind}), number).await, None);
        let runs = mocks.admin("GET", &format!("/api/mocks/plans/post?key={number}"), None).await.text();
        assert!(runs.contains("needs answers that are sealed"), "{runs}");
    }
}

#[tokio::test]
async fn push_f10_an_old_push_is_sent_once_more_after_later_ones_byte_for_byte() {
    let (mocks, receiver) = post_office().await;
    order(&mocks, "E1").await;
    advance(&mocks, "11h").await;
    let run = mocks.admin("GET", "/api/mocks/plans/post?key=E1", None).await.json()["runs"][0]["run"].clone();
    let again = json!({"action": "again"});
    let path = format!("/api/mocks/runs/{run}/steps/collected");
    assert_eq!(mocks.admin("POST", &path, Some(&again)).await.status, 200);
    assert_eq!(receiver.steps(), ["collected", "departed", "collected"]);
    let heard = receiver.heard.lock().clone();
    assert_eq!(heard[0], heard[2], "with the time of the first");
}

#[tokio::test]
async fn push_f15_a_receiver_that_has_it_already_acknowledges_by_saying_so() {
    let (receiver, url) = Receiver::start().await;
    let rule = "retry: [5s, 1m]\n    acknowledged: \"status == 200 || status == 409\"";
    let yaml = TRACK.replace("retry: [5s, 1m]", rule);
    let mocks = serve_with(&[("post/partner.yaml", &yaml)], Vault::in_memory().expect("a vault"), |config| {
        config.parameters = Map::from_iter([("bus".to_owned(), Value::from(url))]);
    });
    super::stop_clock(&mocks).await;
    let duplicate =
        dial(&mocks, "post/twice", json!({"push": "collected"}), json!({"kind": "duplicate"})).await;
    assert_eq!(duplicate.0, 200, "{}", duplicate.1);
    receiver.statuses.lock().extend([200, 409]);
    order(&mocks, "E2").await;
    advance(&mocks, "3h").await;
    assert_eq!(receiver.steps(), ["collected", "collected"], "the second is not repeated");
    assert_eq!(steps(&mocks, "E2").await[0]["standing"], "done");
}

#[tokio::test]
async fn push_f17_pushes_of_the_maintenance_window_wait_for_its_end() {
    let (mocks, receiver) = post_office().await;
    let closed = json!({"kind": "maintenance", "window": "09:00-12:00"});
    let put = dial(&mocks, "post/closed", json!({"push": "*"}), closed).await;
    assert_eq!(put.0, 200, "{}", put.1);
    order(&mocks, "E3").await;
    assert_eq!(advance(&mocks, "3h").await, 1, "due at ten, put off");
    assert!(receiver.steps().is_empty());
    assert_eq!(steps(&mocks, "E3").await[0]["standing"], "waiting");
    advance(&mocks, "2h").await;
    assert_eq!(receiver.steps(), ["collected"]);
    assert_eq!(receiver.heard.lock()[0].1["at"], "2026-03-01 12:00", "when the window is over");
    let journal = mocks.admin("GET", "/api/mocks/journal?partner=post", None).await.text();
    assert!(journal.contains("maintenance (dial closed)"), "{journal}");
}

#[tokio::test]
async fn faults_that_pushes_cannot_have_are_refused_by_name() {
    let (mocks, _) = post_office().await;
    for (fault, told) in [
        (json!({"kind": "status"}), "`status` cannot occur on pushes"),
        (json!({"kind": "reset"}), "`reset` cannot occur on pushes"),
        (json!({"kind": "maintenance"}), "needs `window`"),
    ] {
        let (status, text) = dial(&mocks, "post/f", json!({"push": "*"}), fault).await;
        assert!(status == 422 && text.contains(told), "{text}");
    }
}

#[tokio::test]
async fn a_dial_of_a_session_strikes_the_pushes_of_that_session_only() {
    let (mocks, receiver) = post_office().await;
    let open = mocks.admin("POST", "/api/mocks/sessions", Some(&json!({"session": "anna"}))).await;
    assert!(open.status < 300, "{}", open.text());
    let put =
        dial(&mocks, "post/lost?session=anna", json!({"push": "collected"}), json!({"kind": "never"})).await;
    assert_eq!(put.0, 200, "{}", put.1);
    let body = json!({"orderNo": "S1", "operator": "anna"}).to_string();
    let sent = mocks.connect().await.send("POST", "/post/orders", &[("x-mock-session", "anna")], &body).await;
    assert_eq!(sent.expect("an answer").stub(), "order");
    order(&mocks, "S2").await;
    advance(&mocks, "3h").await;
    assert_eq!(
        receiver.heard.lock().iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(),
        ["/track/S2"]
    );
}

#[tokio::test]
async fn a_held_step_that_cannot_be_rendered_has_failed_and_says_why() {
    let (mocks, receiver) = post_office().await;
    let put = dial(&mocks, "post/late", json!({"push": "collected"}), json!({"kind": "out-of-order"})).await;
    assert_eq!(put.0, 200, "{}", put.1);
    // Started by hand there is no waybill number, which the step needs.
    by_hand(&mocks, "H1").await;
    advance(&mocks, "11h").await;
    assert_eq!(receiver.steps(), ["departed"]);
    let held = steps(&mocks, "H1").await[0].clone();
    assert_eq!(held["standing"], "failed");
    assert!(held["why"].as_str().is_some_and(|why| why.starts_with("json:")), "{held}");
}

#[tokio::test]
async fn a_step_held_behind_one_that_is_skipped_goes_out_with_the_last() {
    let (mocks, receiver) = post_office().await;
    for (id, step, kind) in [("late", "in-delivery", "out-of-order"), ("lost", "delivered", "never")] {
        dial(&mocks, &format!("post/{id}"), json!({"push": step}), json!({"kind": kind})).await;
    }
    order(&mocks, "H2").await;
    advance(&mocks, "6d").await;
    assert_eq!(receiver.steps(), ["collected", "departed", "arrived", "in-delivery"]);
}

#[tokio::test]
async fn templates_of_pushes_see_all_that_the_stub_saw_of_its_request() {
    let (receiver, url) = Receiver::start().await;
    let seen = "json: {step: s, url: \"${url}\", body: \"${body}\", cookie: \"${cookies.desk}\", soap: \"${soapVersion}\", no: \"${params.no}\"}";
    let yaml = format!(
        "mock: v1\npartner: post\ntitle: t\nlisten: [{{id: rest, proto: http, path: /post}}]\n\
         pushes: {{told: {{to: \"${{partner.bus}}/told\"}}}}\n\
         stubs:\n  - id: order\n    when: {{path: \"/orders/{{no}}\"}}\n    respond: {{json: {{}}}}\n    then: {{steps: [{{id: s, push: told, {seen}}}]}}\n"
    );
    let mocks = serve_with(&[("post/partner.yaml", &yaml)], Vault::in_memory().expect("a vault"), |config| {
        config.parameters = Map::from_iter([("bus".to_owned(), Value::from(url))]);
    });
    super::stop_clock(&mocks).await;
    let headers = [("cookie", "desk=7; other=1")];
    let sent = mocks.connect().await.send("POST", "/post/orders/A1?page=2", &headers, "{\"a\":1}").await;
    assert_eq!(sent.expect("an answer").stub(), "order");
    advance(&mocks, "1s").await;
    let expected = json!({"step": "s", "url": "/orders/A1?page=2", "body": "{\"a\":1}", "cookie": "7", "soap": "", "no": "A1"});
    assert_eq!(receiver.heard.lock()[0].1, expected);

    let wrong = yaml.replace("${url}", "${rows.card}");
    crate::help::write(&mocks.folder, "post/partner.yaml", &wrong);
    let refused = mocks.admin("POST", "/api/mocks/reload", None).await;
    assert!(
        refused.status == 422 && refused.text().contains("no document `rows` here"),
        "{}",
        refused.text()
    );
}

/// Pushes that carry a signature of the partner's.
#[tokio::test]
async fn push_f09_f24_a_bad_signature_or_another_generation_of_keys_is_refused_by_the_bus() {
    let (receiver, url) = Receiver::start().await;
    let vault = Vault::in_memory().expect("a vault");
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/permit/partner.yaml")).expect("permit");
    let source = qiao_mappings::strict::Source::read("permit", &text).expect("YAML");
    let envelope = source.value()["envelopes"]["light"].clone();
    let spec = serde_json::from_value(envelope.clone()).expect("an envelope");
    for key in qiao_vault::required_keys(&spec) {
        vault.generate(&key.key, key.kind, key.purpose).expect("a key");
    }
    let partner = json!({
        "mock": "v1", "partner": "post", "title": "t", "listen": [{"id": "rest", "proto": "http", "path": "/post"}],
        "envelopes": {"light": envelope},
        "pushes": {"told": {"to": "${partner.bus}/told", "form": {"wire": {"codec": "json"}, "seal": {"envelope": "light", "plain": {"codec": "json"}}}}},
        "plans": {"p": {"steps": [{"id": "s", "push": "told", "json": {"status": "30"}}]}},
    });
    let mocks = serve_with(&[("post/partner.yaml", &partner.to_string())], vault.clone(), |config| {
        config.parameters = Map::from_iter([("bus".to_owned(), Value::from(url))]);
    });
    super::stop_clock(&mocks).await;
    let bus = qiao_vault::Envelope::compile(&spec, &vault, qiao_vault::Side::Bus).expect("an envelope");
    for kind in ["none", "bad-signature", "stale-key"] {
        if kind != "none" {
            let put = dial(&mocks, "post/f", json!({"push": "s"}), json!({"kind": kind})).await;
            assert_eq!(put.0, 200, "{}", put.1);
        }
        let start = json!({"key": kind});
        mocks.admin("POST", "/api/mocks/plans/post/p/start", Some(&start)).await;
        advance(&mocks, "1s").await;
        let (_, sealed) = receiver.heard.lock().last().cloned().expect("a push");
        let opened = bus.open(&sealed, &qiao_vault::Params::new());
        assert_eq!(opened.is_ok(), kind == "none", "{kind}");
    }
    assert_eq!(receiver.heard.lock().len(), 3);
}
