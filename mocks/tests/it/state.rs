//! State per business key: one step under one lock, apart per session.
use std::sync::Arc;

use serde_json::json;

use crate::help::serve;

const ALLOWANCE: &str = r#"
mock: v1
partner: civil
title: 状态
listen: [{id: rest, proto: http, path: /mz}]
instance: {key: $.request.bizNo, ttl: 1h, max: 1000}
stubs:
  - id: again
    state: {machine: allowance, in: [accepted]}
    respond: {json: {is: again, acceptNo: "${inst.data.acceptNo}", state: "${inst.state}", count: "${inst.count}"}}
  - id: fresh
    state: {machine: allowance, in: [new], to: accepted, set: {acceptNo: "${seq('MZ', 10)}"}}
    respond: {json: {is: fresh, acceptNo: "${inst.data.acceptNo}", key: "${inst.key}"}}
"#;

/// Rounds of the race.
const KEYS: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sixty_four_at_once_exactly_one_sees_new() {
    let mocks = Arc::new(serve("civil", ALLOWANCE));
    let mut clients = Vec::new();
    for _ in 0..64 {
        clients.push(mocks.connect().await);
    }
    let gate = Arc::new(tokio::sync::Barrier::new(64));
    let tasks: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            let gate = Arc::clone(&gate);
            tokio::spawn(async move {
                let mut answers = Vec::new();
                for key in 0..KEYS {
                    let body = json!({"bizNo": key}).to_string();
                    gate.wait().await;
                    answers.push(client.send("POST", "/mz", &[], &body).await.expect("an answer").json());
                }
                answers
            })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.expect("a task"));
    }
    for key in 0..KEYS {
        let of_key = || answers.iter().map(|answers| &answers[key]);
        assert_eq!(of_key().filter(|answer| answer["is"] == "fresh").count(), 1, "key {key}");
        assert_eq!(of_key().filter(|answer| answer["is"] == "again").count(), 63, "key {key}");
        let numbers: std::collections::HashSet<_> =
            of_key().map(|answer| answer["acceptNo"].to_string()).collect();
        assert_eq!(numbers.len(), 1, "all were told the number that was given once");
    }
}

#[tokio::test]
async fn keys_and_sessions_do_not_trample_each_other() {
    let mocks = serve("civil", ALLOWANCE);
    let mut client = mocks.connect().await;
    let mut ask = async |key: &str, session: &str| {
        let body = json!({"bizNo": key}).to_string();
        let reply =
            client.send("POST", "/mz", &[("x-mock-session", session)], &body).await.expect("an answer");
        reply.json()["is"].as_str().expect("text").to_owned()
    };
    assert_eq!(ask("B1", "").await, "fresh");
    assert_eq!(ask("B2", "").await, "fresh");
    assert_eq!(ask("B1", "exam-1").await, "fresh");
    assert_eq!(ask("B1", "").await, "again");
    assert_eq!(ask("B1", "exam-1").await, "again");
}

#[tokio::test]
async fn state_is_seen_set_and_forgotten_by_the_admin_api() {
    let mocks = serve("civil", ALLOWANCE);
    mocks.post("/mz", &json!({"bizNo": "B1"})).await;
    let seen = mocks.admin("GET", "/api/mocks/state/civil/B1", None).await.json();
    assert_eq!(seen["states"], json!({"allowance": "accepted"}));
    let given = json!({"states": {"allowance": "accepted"}, "data": {"acceptNo": "MZ-BY-HAND"}});
    mocks.admin("PUT", "/api/mocks/state/civil/B9", Some(&given)).await;
    assert_eq!(mocks.post("/mz", &json!({"bizNo": "B9"})).await.json()["acceptNo"], "MZ-BY-HAND");
    let listed = mocks.admin("GET", "/api/mocks/state/civil", None).await.json();
    assert_eq!(listed["keys"].as_array().map(Vec::len), Some(2));
    assert_eq!(mocks.admin("DELETE", "/api/mocks/state/civil/B1", None).await.status, 200);
    assert_eq!(mocks.post("/mz", &json!({"bizNo": "B1"})).await.json()["is"], "fresh");
    mocks.admin("POST", "/api/mocks/reset", Some(&json!({}))).await;
    assert_eq!(mocks.admin("GET", "/api/mocks/state/civil/B9", None).await.status, 404);
}
