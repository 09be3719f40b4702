//! Sessions: what one tester lays over the partners, another does not see.
use qiao_vault::Vault;
use serde_json::{Value, json};

use crate::help::{Mocks, Reply, serve_with, write};

const PARTNER: &str = r#"
mock: v1
partner: civil
title: 民政
listen: [{id: rest, proto: http, path: /mz}]
instance: {key: $.request.bizNo}
stubs:
  - {id: again, state: {in: [accepted]}, respond: {json: {is: again}}}
  - {id: fresh, state: {in: [new], to: accepted}, respond: {json: {is: fresh, at: "${now('yyyy-MM-dd')}"}}}
"#;
const CITY: &str = "city: v1\nseed: 1\ncitizens: 10\n";
const PACK: &str = r#"
pack: v1
title: 期中考试
partners:
  civil:
    stubs:
      - {id: exam, when: {all: [{json: $.request.exam, equals: true}]}, respond: {json: {is: exam, card: "${table('city.cards', 'EXAM').status}"}}}
rows:
  city.cards: [{cardNo: EXAM, idNo: P1, status: LOST}]
score:
  - {id: register, message: {bizNo: B1, exam: true}}
"#;

fn mocks() -> Mocks {
    let files =
        [("civil/partner.yaml", PARTNER), ("city/city.yaml", CITY), ("packs/midterm/pack.yaml", PACK)];
    serve_with(&files, Vault::in_memory().expect("a vault"), |_| {})
}

async fn ask(mocks: &Mocks, session: &str, body: Value) -> Reply {
    let headers = [("x-mock-session", session)];
    mocks.connect().await.send("POST", "/mz", &headers, &body.to_string()).await.expect("an answer")
}

async fn open(mocks: &Mocks, body: Value) -> Value {
    let opened = mocks.admin("POST", "/api/mocks/sessions", Some(&body)).await;
    assert_eq!(opened.status, 200, "{}", opened.text());
    opened.json()
}

#[tokio::test]
async fn a_sessions_stubs_come_first_and_two_testers_do_not_trample_each_other() {
    let mocks = mocks();
    let own = |text: &str| json!({"id": "mine", "priority": -5, "when": {"all": [{"json": "$.request.own", "equals": true}]}, "respond": {"json": {"is": text}}});
    let client = mocks.client();
    let anna = client.session().named("anna").stub("civil", own("anna's")).open().await.expect("open");
    let _bert = client.session().named("bert").stub("civil", own("bert's")).open().await.expect("open");
    for (session, wanted) in [("anna", "anna's"), ("bert", "bert's"), ("nobody", "fresh")] {
        let answer = ask(&mocks, session, json!({"bizNo": "B1", "own": true})).await.json();
        assert_eq!(answer["is"], wanted, "{session}");
    }
    assert_eq!(ask(&mocks, "anna", json!({"bizNo": "B1"})).await.json()["is"], "fresh");
    assert_eq!(ask(&mocks, "bert", json!({"bizNo": "B1"})).await.json()["is"], "fresh");
    // Anna starts anew: Bert's case goes on.
    anna.reset().await.expect("anew");
    assert_eq!(ask(&mocks, "anna", json!({"bizNo": "B1"})).await.json()["is"], "fresh");
    assert_eq!(ask(&mocks, "bert", json!({"bizNo": "B1"})).await.json()["is"], "again");
    anna.end().await.expect("over");
    assert_eq!(ask(&mocks, "anna", json!({"bizNo": "B9", "own": true})).await.json()["is"], "fresh");
    assert_eq!(mocks.admin("GET", "/api/mocks/sessions/anna", None).await.status, 404);
}

#[tokio::test]
async fn a_sessions_dials_clock_and_rows_are_its_own() {
    let mocks = mocks();
    let spec = json!({
        "session": "s", "ahead": "48h", "rows": {"city.cards": [{"cardNo": "X", "status": "MAKING"}]},
        "partners": {"civil": {"dials": [{"id": "once", "fault": {"kind": "status", "status": 503, "first": 1}}]}},
    });
    assert_eq!(open(&mocks, spec).await["rows"], 1);
    assert_eq!(ask(&mocks, "t", json!({"bizNo": "B1"})).await.status, 200);
    assert_eq!(ask(&mocks, "s", json!({"bizNo": "B1"})).await.status, 503);
    assert_eq!(ask(&mocks, "s", json!({"bizNo": "B2"})).await.status, 200);
    mocks.admin("POST", "/api/mocks/sessions/s/reset", None).await;
    assert_eq!(ask(&mocks, "s", json!({"bizNo": "B2"})).await.status, 503, "counted anew");
    let (theirs, ours) =
        (ask(&mocks, "s", json!({"bizNo": "B3"})).await, ask(&mocks, "t", json!({"bizNo": "B3"})).await);
    assert!(theirs.json()["at"].as_str() > ours.json()["at"].as_str(), "{} {}", theirs.text(), ours.text());
    assert_eq!(mocks.admin("GET", "/api/mocks/tables/city.cards/X?session=s", None).await.status, 200);
    assert_eq!(mocks.admin("GET", "/api/mocks/tables/city.cards/X", None).await.status, 404);
    let dial = json!({"fault": {"kind": "status", "status": 500}, "ttl": "1m"});
    assert_eq!(mocks.admin("PUT", "/api/mocks/dials/civil/now?session=s", Some(&dial)).await.status, 200);
    assert_eq!(ask(&mocks, "s", json!({"bizNo": "B4"})).await.status, 500);
    assert_eq!(ask(&mocks, "t", json!({"bizNo": "B4"})).await.status, 200);
    assert_eq!(mocks.admin("DELETE", "/api/mocks/dials/civil/now?session=s", None).await.status, 200);
    assert_eq!(ask(&mocks, "s", json!({"bizNo": "B5"})).await.status, 200);
}

#[tokio::test]
async fn a_pack_lays_its_stubs_and_rows_over_the_sessions_that_name_it() {
    let mocks = mocks();
    let session = open(&mocks, json!({"pack": "midterm"})).await;
    let name = session["session"].as_str().expect("a name that was made up");
    let answer = ask(&mocks, name, json!({"bizNo": "B1", "exam": true})).await.json();
    assert_eq!(answer, json!({"is": "exam", "card": "LOST"}));
    assert_eq!(ask(&mocks, "", json!({"bizNo": "B1", "exam": true})).await.json()["is"], "fresh");
    let scored = mocks.admin("POST", "/api/mocks/score", Some(&json!({"session": name}))).await.json();
    assert_eq!(scored["total"], json!({"points": 2.0, "of": 2.0, "percent": 100.0}), "{scored}");
}

#[tokio::test]
async fn what_cannot_be_a_session_is_refused_with_every_mistake() {
    let mocks = mocks();
    let wrong = json!({
        "session": "s", "pack": "finals", "accounts": [{"partner": "nobody", "account": "1"}],
        "rows": {"city.cards": [{"cardNo": "X", "colour": "red"}]},
        "partners": {"civl": {}, "civil": {"stubs": [{"id": "a", "when": {"all": [{"json": "$.requst.a", "equals": 1}]}, "respond": {}}]}},
    });
    let refused = mocks.admin("POST", "/api/mocks/sessions", Some(&wrong)).await;
    assert_eq!(refused.status, 422);
    for part in ["no pack `finals`", "no mock partner `nobody`", "colour", "no mock partner `civl`", "requst"]
    {
        assert!(refused.text().contains(part), "{part} not in {}", refused.text());
    }
    open(&mocks, json!({"session": "s"})).await;
    assert_eq!(mocks.admin("POST", "/api/mocks/sessions", Some(&json!({"session": "s"}))).await.status, 409);
    for n in 0..199 {
        open(&mocks, json!({"session": format!("n{n}")})).await;
    }
    assert_eq!(mocks.admin("POST", "/api/mocks/sessions", Some(&json!({}))).await.status, 409, "bounded");
}

#[tokio::test]
async fn sessions_fit_themselves_to_reloaded_partners_and_tell_what_no_longer_fits() {
    let mocks = mocks();
    let stub = json!({"id": "mine", "listener": "rest", "when": {"all": [{"json": "$.request.own", "equals": true}]}, "respond": {"json": {"is": "mine"}}});
    open(&mocks, json!({"session": "s", "partners": {"civil": {"stubs": [stub]}}})).await;
    write(&mocks.folder, "civil/partner.yaml", &PARTNER.replace("is: fresh", "is: newer"));
    mocks.server.reload().expect("no mistake");
    assert_eq!(ask(&mocks, "s", json!({"bizNo": "B1", "own": true})).await.json()["is"], "mine");
    assert_eq!(ask(&mocks, "s", json!({"bizNo": "B1"})).await.json()["is"], "newer");
    write(&mocks.folder, "civil/partner.yaml", &PARTNER.replace("id: rest", "id: other"));
    mocks.server.reload().expect("the partners themselves are well");
    assert_eq!(ask(&mocks, "s", json!({"bizNo": "B2", "own": true})).await.json()["is"], "fresh");
    let told = mocks.admin("GET", "/api/mocks/sessions/s", None).await.json();
    assert!(told["problems"][0]["message"].as_str().is_some_and(|text| text.contains("rest")), "{told}");
    write(&mocks.folder, "packs/midterm/pack.yaml", &PACK.replace("city.cards: [", "city.card: ["));
    assert!(mocks.server.reload().is_err(), "a pack with mistakes is one of the folder's");
}
