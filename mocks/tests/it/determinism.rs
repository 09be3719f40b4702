//! Concurrency changes no answer.
use std::sync::Arc;

use serde_json::json;

use crate::help::{Mocks, Reply, serve};

const RANDOM: &str = r#"
mock: v1
partner: ems
title: 随机
seed: 20260101
listen: [{id: rest, proto: http, path: /ems}]
instance: {key: $.request.orderNo, max: 10000}
dials:
  - {id: flaky, fault: {kind: status, status: 503, p: 0.1}}
  - {id: once, for: {stub: query}, fault: {kind: business, json: {code: B1}, first: 1, per: key}}
stubs:
  - id: order
    when: {all: [{json: $.request.kind, equals: order}]}
    state: {to: placed, set: {waybill: "${seq('EMS', 13)}"}}
    respond: {headers: {x-serial: "${uuid()}"}, json: {waybill: "${inst.data.waybill}", who: "${cnName()}", id: "${cnIdNo()}", pick: "${pick(['a', 'b', 'c'])}", n: "${randomInt(1, 1000000)}", nth: "${inst.count}"}}
  - id: query
    when: {all: [{json: $.request.kind, equals: query}]}
    respond: {json: {card: "${cnCardNo()}", at: "${request.orderNo}"}}
"#;

/// Every request is one of a business case; the cases are spread over the connections, each in its own order.
async fn answers(mocks: Mocks, connections: usize) -> Vec<(String, Reply)> {
    let mocks = Arc::new(mocks);
    let tasks: Vec<_> = (0..connections)
        .map(|connection| {
            let mocks = Arc::clone(&mocks);
            tokio::spawn(async move {
                let mut client = mocks.connect().await;
                let mut answers = Vec::new();
                for case in (connection..500).step_by(connections) {
                    for kind in ["order", "query", "order", "query"] {
                        let body = json!({"orderNo": format!("N{case}"), "kind": kind}).to_string();
                        let mut reply = client.send("POST", "/ems", &[], &body).await.expect("an answer");
                        reply.headers.retain(|(name, _)| name != "date");
                        answers.push((body, reply));
                    }
                }
                answers
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.expect("a task"));
    }
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_requests_get_the_same_answers_over_one_and_sixty_four_connections() {
    let one = answers(serve("ems", RANDOM), 1).await;
    let many = answers(serve("ems", RANDOM), 64).await;
    assert_eq!(one.len(), 2_000);
    assert!(one == many, "an answer depends on the order of requests");
    let failed = one.iter().filter(|(_, reply)| reply.status == 503).count();
    assert!((120..280).contains(&failed), "about a tenth fails: {failed}");
    let waybills: std::collections::HashSet<_> =
        one.iter().filter(|(_, reply)| reply.status == 200).map(|(_, reply)| reply.body.clone()).collect();
    assert!(waybills.len() > 1_000, "answers differ from case to case");
}
