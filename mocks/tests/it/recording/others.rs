//! Recordings of XML, forms, SOAP and TLS, and the admin API.
use std::net::SocketAddr;

use qiao_mocks::{Ports, record::RecordSettings, record::Recorder};
use qiao_vault::Vault;
use serde_json::json;

use super::{
    PEOPLE, assert_nobody, call, finished, recorder, send, serve as serve_draft, text, unexplained, upstream,
};
use crate::help::{serve, serve_with, write};

const XML: [(&str, &str); 1] = [("content-type", "application/xml")];
const FORM: [(&str, &str); 1] = [("content-type", "application/x-www-form-urlencoded")];

#[tokio::test]
async fn xml_and_forms_are_drafted_each_at_its_path() {
    let recorder = recorder(upstream::serve().await, |_| {}).await;
    let at = recorder.address();
    for (number, person) in PEOPLE.iter().enumerate() {
        let asked = format!("<ask><no>N{number:05}</no><idNo>{}</idNo></ask>", person[0]);
        send(at, "POST", "/register", &XML, &asked).await;
    }
    for number in 0..2 {
        send(at, "POST", "/form", &FORM, &format!("waybillNo=EMS000{number}&apiCode=040001")).await;
    }
    let recorded = finished(recorder).await;
    assert_eq!(unexplained(&recorded), [""; 0], "{}", text(&recorded, "replay.txt"));
    assert_nobody(&recorded);
    let mocks = serve_draft(&recorded, &[]);
    let table = recorded.files.keys().find(|name| name.ends_with(".csv")).expect("a table");
    let row = text(&recorded, table).lines().nth(1).expect("a row").to_owned();
    let (id, name) = row.split_once(',').expect("two columns");
    let asked = format!("<ask><no>X1</no><idNo>{id}</idNo></ask>");
    let answer = send(mocks.server.addr(), "POST", "/live/register", &XML, &asked).await;
    assert_eq!(answer.header("content-type"), Some("application/xml; charset=utf-8"));
    let wanted = format!(r#"<answer xmlns="urn:reg"><no>X1</no><holder><xm>{name}</xm></holder></answer>"#);
    assert!(answer.text().contains(&wanted), "{}", answer.text());
    let answer =
        send(mocks.server.addr(), "POST", "/live/form", &FORM, "waybillNo=EMS77&apiCode=040001").await;
    assert_eq!(answer.json()["retCode"], "00000", "{}", answer.text());
}

#[tokio::test]
async fn answers_of_many_forms_become_whole_documents_of_the_table() {
    let recorder = recorder(upstream::serve().await, |_| {}).await;
    for no in 0..40 {
        send(recorder.address(), "GET", &format!("/shapes/{no}"), &[], "").await;
    }
    let recorded = finished(recorder).await;
    assert_eq!(recorded.replay.same, 40, "{}", text(&recorded, "replay.txt"));
    assert_eq!(recorded.files.keys().filter(|name| name.starts_with("stubs/")).count(), 1);
    let stubs = recorded.files.iter().find(|(name, _)| name.starts_with("stubs/")).expect("stubs").1;
    assert!(stubs.len() < 1_000, "{}", String::from_utf8_lossy(stubs));
    let mocks = serve_draft(&recorded, &[]);
    let answer = send(mocks.server.addr(), "GET", "/live/shapes/17", &[], "").await;
    assert_eq!(answer.json(), json!({"found": {"of-17": "17"}}));
}

const SOAP: &str = r#"
mock: v1
partner: card
title: 卡
listen:
  - id: ws
    proto: soap
    path: /card
    answer: {wire: {codec: soap, namespace: "urn:card", prefix: s}}
stubs:
  - {id: query, item: cardQuery, respond: {json: {cardQueryResponse: {code: "0", idNo: "${request.cardQuery.idNo}", xm: "${get({'310101199003074511': '欧阳秀英'}, request.cardQuery.idNo, '张三丰')}"}}}}
  - {id: loss, item: cardLoss, respond: {soapFault: {code: Server, text: closed}}}
"#;

#[tokio::test]
async fn soap_is_drafted_by_operation_with_its_faults() {
    let live = serve("card", SOAP);
    let recorder = recorder(live.server.addr(), |_| {}).await;
    let envelope = |operation: &str, id: &str| {
        format!(
            r#"<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><q:{operation} xmlns:q="urn:card"><idNo>{id}</idNo></q:{operation}></e:Body></e:Envelope>"#
        )
    };
    let headers = [("content-type", "text/xml; charset=utf-8")];
    for person in &PEOPLE[..2] {
        let answer =
            send(recorder.address(), "POST", "/card", &headers, &envelope("cardQuery", person[0])).await;
        assert!(answer.text().contains(person[1]), "{}", answer.text());
    }
    send(recorder.address(), "POST", "/card", &headers, &envelope("cardLoss", PEOPLE[0][0])).await;
    let recorded = finished(recorder).await;
    assert_eq!(unexplained(&recorded), [""; 0], "{}", text(&recorded, "replay.txt"));
    assert_nobody(&recorded);
    let mocks = serve_draft(&recorded, &[]);
    let fault = send(mocks.server.addr(), "POST", "/live/card", &headers, &envelope("cardLoss", "1")).await;
    assert!(
        fault.status == 500 && fault.text().contains("<faultstring>closed</faultstring>"),
        "{}",
        fault.text()
    );
    let table = recorded.files.keys().find(|name| name.ends_with(".csv")).expect("a table");
    let row = text(&recorded, table).lines().nth(1).expect("a row").to_owned();
    let (id, name) = row.split_once(',').expect("two columns");
    let answer = send(mocks.server.addr(), "POST", "/live/card", &headers, &envelope("cardQuery", id)).await;
    assert!(answer.text().contains(&format!("<xm>{name}</xm>")), "{}", answer.text());
    assert!(answer.text().contains(r#"cardQueryResponse xmlns:m="urn:card""#), "{}", answer.text());
}

const SAFE: &str = r#"
mock: v1
partner: safe
title: 加密
listen: [{id: web, proto: http, port: 9443, tls: {}}]
stubs:
  - {id: ok, respond: {json: {code: "0", by: "${method}"}}}
"#;

#[tokio::test]
async fn a_target_under_tls_is_verified_against_the_roots_given() {
    let live = serve_with(&[("safe/partner.yaml", SAFE)], Vault::in_memory().expect("a vault"), |config| {
        config.ports = Ports::Free;
    });
    let port = live.server.listener_addr("safe", "web").expect("listens").port();
    write(&live.folder, "roots.pem", live.server.authority_pem());
    let mut settings = RecordSettings::new(format!("https://localhost:{port}"), "live");
    settings.roots = Some(live.folder.path().join("roots.pem"));
    let recorder = Recorder::start(settings.clone()).await.expect("starts");
    let answer = send(recorder.address(), "GET", "/x", &[], "").await;
    assert_eq!((answer.status, answer.json()["by"].as_str()), (200, Some("GET")));
    let recorded = finished(recorder).await;
    assert_eq!(recorded.replay.same, 1);

    // Roots of somebody else are not believed.
    let stranger =
        serve_with(&[("safe/partner.yaml", SAFE)], Vault::in_memory().expect("a vault"), |config| {
            config.ports = Ports::Free;
        });
    write(&live.folder, "roots.pem", stranger.server.authority_pem());
    let recorder = Recorder::start(settings).await.expect("starts");
    let answer = send(recorder.address(), "GET", "/x", &[], "").await;
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert!(answer.text().contains("no TLS with"), "{}", answer.text());
}

#[tokio::test]
async fn recordings_are_started_counted_finished_and_forgotten_over_the_admin_api() {
    let target = upstream::serve().await;
    let mocks = serve("card", SOAP);
    let path = "/api/mocks/recordings";
    let refused =
        mocks.admin("POST", path, Some(&json!({"target": "http://10.0.0.8:80", "partner": "live"}))).await;
    assert!(refused.status == 422 && refused.text().contains("neither loopback nor"), "{}", refused.text());
    let wanted = json!({"target": format!("http://{target}"), "partner": "live", "title": "实", "select": "$.request.header.itemCode", "seed": 7, "for": "5m"});
    let started = mocks.admin("POST", path, Some(&wanted)).await;
    assert_eq!(started.status, 201, "{}", started.text());
    let id = started.json()["id"].as_u64().expect("an id");
    let at: SocketAddr = started.json()["address"].as_str().expect("an address").parse().expect("an address");
    for person in &PEOPLE {
        call(at, "CARD-QUERY", "B1", json!({"idNo": person[0]})).await;
    }
    let listed = mocks.admin("GET", path, None).await.json();
    assert_eq!(listed["recordings"][0]["counts"]["kept"], 3, "{listed}");
    assert_eq!(mocks.admin("GET", &format!("{path}/{id}"), None).await.json()["counts"]["forwarded"], 3);
    let made = mocks.admin("POST", &format!("{path}/{id}/finish"), None).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let made_json = made.json();
    let partner = made_json["files"]["partner.yaml"].as_str().expect("YAML");
    assert!(
        partner.contains("select: $.request.header.itemCode") && partner.contains("title: 实"),
        "{partner}"
    );
    assert_eq!(made_json["replay"]["different"], 0, "{}", made_json["replay"]);
    assert!(PEOPLE.iter().all(|person| !made.text().contains(person[0])));
    assert_eq!(mocks.admin("GET", &format!("{path}/{id}"), None).await.status, 404);

    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(mocks.admin("POST", path, Some(&wanted)).await.json()["id"].as_u64().expect("an id"));
    }
    assert_eq!(mocks.admin("POST", path, Some(&wanted)).await.status, 429);
    for id in ids {
        assert_eq!(mocks.admin("DELETE", &format!("{path}/{id}"), None).await.status, 200);
    }
    assert_eq!(mocks.admin("GET", path, None).await.json()["recordings"], json!([]));
}
