//! Tables that partners share: a change by one is seen by another, made with the state or not at all, apart per session.
use std::sync::Arc;

use qiao_vault::Vault;
use serde_json::json;

use crate::help::{Mocks, Reply, serve_with, write};

const CITY: &str = r#"
city: v1
seed: 20260101
citizens: 2000
rows:
  city.cards:
    - {cardNo: C1, idNo: "310101199003074511", name: 张三, status: NORMAL, account: "6299990000000000018", finStatus: "1"}
  city.accounts:
    - {account: "6299990000000000018", idNo: "310101199003074511", name: 张三, status: "1", cardNo: C1}
"#;
const CARD: &str = r#"
mock: v1
partner: card
title: 卡
listen: [{id: rest, proto: http, path: /card}]
instance: {key: $.request.idNo}
select: $.request.kind
stubs:
  - id: loss
    item: loss
    rows: {card: {table: city.cards, by: {idNo: $.request.idNo}, where: {status: [NORMAL]}}}
    state: {machine: loss, to: reported, set: {lostCard: "${rows.card.cardNo}"}}
    write:
      - {table: city.cards, key: "${rows.card.cardNo}", set: {status: LOST, lossTime: "${request.at}"}}
      - {table: city.accounts, key: "${rows.card.account}", set: {status: "3"}}
    respond: {json: {was: "${inst.state}", status: "${rows.card.status}", card: "${inst.data.lostCard}", ticket: "${seq('L', 12)}"}}
  - id: loss-again
    item: loss
    priority: -1
    rows: {card: {table: city.cards, by: {idNo: $.request.idNo}, where: {status: LOST}}}
    respond: {json: {again: "${rows.card.lossTime}"}}
  - {id: loss-nobody, item: loss, priority: -2, respond: {json: {nobody: true}}}
  - id: broken
    item: broken
    state: {in: [new], to: half}
    write:
      - {table: city.cards, key: C1, set: {status: MAKING}}
      - {table: city.cards, key: nobody, set: {status: MAKING}}
    respond: {json: {}}
  - id: open
    item: open
    rows: {card: {table: city.cards, by: {idNo: $.request.idNo}, exists: false}}
    write: [{table: city.cards, key: "N${request.idNo}", insert: {idNo: "${request.idNo}", name: "${request.name}", status: MAKING}}]
    respond: {json: {opened: "${table('city.cards', 'N' + request.idNo).name}", row: "${rows.card}"}}
  - {id: opened, item: open, priority: -1, respond: {json: {already: "${lookup('city.cards', 'idNo', request.idNo).size()}"}}}
"#;
const BANK: &str = r#"
mock: v1
partner: bank
title: 银行
listen: [{id: rest, proto: http, path: /bank}]
stubs:
  - id: status
    rows: {account: {table: city.accounts, by: {idNo: $.request.idNo}}}
    respond: {json: {status: "${rows.account.status}"}}
"#;

fn mocks() -> Mocks {
    let files = [("city/city.yaml", CITY), ("card/partner.yaml", CARD), ("bank/partner.yaml", BANK)];
    serve_with(&files, Vault::in_memory().expect("a vault"), |_| {})
}

async fn ask(mocks: &Mocks, session: &str, path: &str, body: serde_json::Value) -> Reply {
    let headers: &[(&str, &str)] = if session.is_empty() { &[] } else { &[("x-mock-session", session)] };
    mocks.connect().await.send("POST", path, headers, &body.to_string()).await.expect("an answer")
}

const ID: &str = "310101199003074511";

#[tokio::test]
async fn a_loss_reported_to_one_partner_shows_in_anothers_answer_and_only_in_that_session() {
    let mocks = mocks();
    let loss = json!({"kind": "loss", "idNo": ID, "at": "2026-01-05"});
    let told = ask(&mocks, "s1", "/card", loss.clone()).await.json();
    assert_eq!((&told["was"], &told["status"], &told["card"]), (&json!("new"), &json!("LOST"), &json!("C1")));
    assert_eq!(ask(&mocks, "s1", "/bank", json!({"idNo": ID})).await.json()["status"], "3");
    assert_eq!(ask(&mocks, "s2", "/bank", json!({"idNo": ID})).await.json()["status"], "1");
    assert_eq!(ask(&mocks, "", "/bank", json!({"idNo": ID})).await.json()["status"], "1");
    assert_eq!(ask(&mocks, "s1", "/card", loss.clone()).await.json(), json!({"again": "2026-01-05"}));
    // What the common session writes, all others see that have not written the same row.
    assert_eq!(ask(&mocks, "", "/card", loss.clone()).await.stub(), "loss");
    assert_eq!(ask(&mocks, "s2", "/bank", json!({"idNo": ID})).await.json()["status"], "3");
    mocks.client().reset(None).await.expect("reset");
    assert_eq!(ask(&mocks, "s1", "/bank", json!({"idNo": ID})).await.json()["status"], "1");
    assert_eq!(ask(&mocks, "s1", "/card", loss).await.json()["ticket"], told["ticket"], "everything anew");
}

#[tokio::test]
async fn changes_are_all_made_with_the_states_move_or_nothing_happens() {
    let mocks = mocks();
    let answer = ask(&mocks, "", "/card", json!({"kind": "broken", "idNo": ID})).await;
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains("no row of this key"), "{}", answer.text());
    let row = mocks.client().row("city.cards", "C1").await.expect("a table").expect("a row");
    assert_eq!(row["status"], "NORMAL");
    let state = mocks.client().state("card", ID).await.expect("a state");
    assert_eq!(state["states"], json!({}), "{state}");
}

#[tokio::test]
async fn rows_are_inserted_once_and_the_journal_tells_what_was_written() {
    let mocks = mocks();
    let open = json!({"kind": "open", "idNo": "310115200002290021", "name": "李娜"});
    assert_eq!(ask(&mocks, "", "/card", open.clone()).await.json(), json!({"opened": "李娜", "row": null}));
    assert_eq!(ask(&mocks, "", "/card", open).await.json(), json!({"already": 1}));
    let entry = mocks.admin("GET", "/api/mocks/journal/1?raw=true", None).await.json();
    assert_eq!(
        entry["writes"][0]["insert"],
        json!({"idNo": "310115200002290021", "name": "李娜", "status": "MAKING"})
    );
}

#[tokio::test]
async fn a_dry_run_writes_nothing_and_shows_what_would_be_written() {
    let mocks = mocks();
    let trial = json!({"partner": "card", "document": {"kind": "loss", "idNo": ID, "at": "x"}});
    let shown = mocks.admin("POST", "/api/mocks/try", Some(&trial)).await.json();
    assert_eq!(
        (&shown["stub"].as_str().map(|stub| &stub[..9]), &shown["writes"][1]["set"]),
        (&Some("card/loss"), &json!({"status": "3"})),
        "{shown}"
    );
    assert_eq!(ask(&mocks, "", "/bank", json!({"idNo": ID})).await.json()["status"], "1");
}

#[tokio::test]
async fn a_miss_names_the_row_that_did_not_fit() {
    let mocks = mocks();
    let miss = ask(&mocks, "", "/bank", json!({"idNo": "nobody"})).await;
    assert_eq!(miss.status, 404);
    let asked = std::time::Instant::now();
    let nearest = loop {
        let entry = mocks.admin("GET", "/api/mocks/journal/1", None).await.json();
        if entry["nearest"].is_array() {
            break entry["nearest"].clone();
        }
        assert!(asked.elapsed() < crate::help::PATIENCE);
    };
    let row = &nearest[0]["criteria"][0];
    assert_eq!(
        (&row["criterion"], &row["wanted"], &row["ok"]),
        (&json!("city.accounts by idNo"), &json!("a row"), &json!(false))
    );
}

#[tokio::test]
async fn rows_are_read_found_written_and_removed_by_the_admin_api_masked_unless_asked_for() {
    let mocks = mocks();
    let found = mocks
        .admin("GET", &format!("/api/mocks/tables/city.cards?column=idNo&value={ID}"), None)
        .await
        .json();
    assert_eq!(
        (&found["rows"][0]["name"], &found["rows"][0]["idNo"]),
        (&json!("张*"), &json!("310***********4511"))
    );
    let found = mocks
        .admin("GET", &format!("/api/mocks/tables/city.cards?column=idNo&value={ID}&raw=true"), None)
        .await
        .json();
    assert_eq!(found["rows"][0]["name"], "张三");
    let put = mocks
        .admin("PUT", "/api/mocks/tables/city.cards/C1?session=s1", Some(&json!({"status": "LOST"})))
        .await;
    assert_eq!((put.status, &put.json()["status"]), (200, &json!("LOST")));
    assert_eq!(ask(&mocks, "s1", "/card", json!({"kind": "loss", "idNo": ID})).await.stub(), "loss-again");
    assert_eq!(ask(&mocks, "", "/card", json!({"kind": "loss", "idNo": ID, "at": "1"})).await.stub(), "loss");
    assert_eq!(mocks.admin("DELETE", "/api/mocks/tables/city.cards/C1?session=s1", None).await.status, 200);
    assert_eq!(ask(&mocks, "s1", "/card", json!({"kind": "loss", "idNo": ID})).await.stub(), "loss-nobody");
    let refused =
        mocks.admin("PUT", "/api/mocks/tables/city.cards/C1", Some(&json!({"colour": "red"}))).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("colour"));
    assert_eq!(mocks.admin("GET", "/api/mocks/tables/city.nothing", None).await.status, 404);
    let (mut after, mut keys) = (String::new(), 0);
    loop {
        let page = mocks
            .admin("GET", &format!("/api/mocks/tables/city.houses?limit=300&after={after}"), None)
            .await
            .json();
        keys += page["rows"].as_array().expect("rows").len();
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(keys, 800, "two fifths of 2000");
}

#[tokio::test]
async fn mistakes_about_tables_are_told_at_their_places() {
    let mocks = mocks();
    let wrong = CARD
        .replace("where: {status: [NORMAL]}", "where: {statsu: [NORMAL]}")
        .replace("{table: city.accounts, key", "{table: city.acounts, key")
        .replace("by: {idNo: $.request.idNo}, where: {status: LOST}", "by: {status: $.request.idNo}");
    write(&mocks.folder, "card/partner.yaml", &wrong);
    write(&mocks.folder, "city/city.yaml", &CITY.replace("finStatus: \"1\"", "finstatus: \"1\""));
    let told = mocks.server.reload().expect_err("mistakes");
    let told: Vec<String> = told.iter().map(ToString::to_string).collect();
    let all = told.join("\n");
    assert!(all.contains("finstatus"), "{all}");
    write(&mocks.folder, "city/city.yaml", CITY);
    let told = mocks.server.reload().expect_err("mistakes");
    let all = told
        .iter()
        .map(|mistake| format!("{} {}", mistake.path, mistake.message))
        .collect::<Vec<_>>()
        .join("\n");
    for part in ["stubs[0].rows.card.where.statsu", "city.acounts", "are found by cardNo, idNo, account"] {
        assert!(all.contains(part), "{part} not in {all}");
    }
}

/// Each connection takes whole cases, each in its own order; a session and a table row belong to one case.
async fn answers(connections: usize) -> Vec<(String, Reply)> {
    let mocks = Arc::new(mocks());
    for session in ["a", "b"] {
        let overlay = json!({"session": session, "partners": {"card": {"stubs": [{"id": format!("own-{session}"), "item": "open", "respond": {"json": {"own": "${cnName()}"}}}]}}});
        let opened = mocks.admin("POST", "/api/mocks/sessions", Some(&overlay)).await;
        assert_eq!(opened.status, 200, "{}", opened.text());
    }
    let people = mocks.admin("GET", "/api/mocks/tables/city.cards?limit=500&raw=true", None).await.json();
    let ids: Vec<String> = people["rows"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| row["idNo"].as_str().expect("text").to_owned())
        .collect();
    let ids = Arc::new(ids);
    let tasks: Vec<_> = (0..connections)
        .map(|connection| {
            let (mocks, ids) = (Arc::clone(&mocks), Arc::clone(&ids));
            tokio::spawn(async move {
                let mut client = mocks.connect().await;
                let mut answers = Vec::new();
                for case in (connection..500).step_by(connections) {
                    let id = &ids[case % ids.len()];
                    for step in 0..20 {
                        let session = ["", "a", "b", "c"][step % 4];
                        let kind = ["loss", "open", "loss", "status", "loss"][step / 4];
                        let path = if kind == "status" { "/bank" } else { "/card" };
                        let body = json!({"kind": kind, "idNo": id, "at": step, "name": "x"}).to_string();
                        let headers: &[(&str, &str)] =
                            if session.is_empty() { &[] } else { &[("x-mock-session", session)] };
                        let mut reply = client.send("POST", path, headers, &body).await.expect("an answer");
                        reply.headers.retain(|(name, _)| name != "date" && name != "x-mock-miss");
                        answers.push((format!("{session} {body}"), reply));
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
async fn ten_thousand_requests_with_tables_and_sessions_get_the_same_answers_over_one_and_sixty_four_connections()
 {
    let one = answers(1).await;
    let many = answers(64).await;
    assert_eq!(one.len(), 10_000);
    let differs = one.iter().zip(&many).find(|(one, many)| one != many);
    assert!(differs.is_none(), "an answer depends on the order of requests: {differs:?}");
    let stubs: std::collections::BTreeSet<&str> = one.iter().map(|(_, reply)| reply.stub()).collect();
    for stub in ["loss", "loss-again", "own-a", "own-b", "opened", "status"] {
        assert!(stubs.contains(stub), "{stub} not in {stubs:?}");
    }
}
