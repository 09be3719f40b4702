//! WireMock mappings taken over: each stub answers a request made for it, and no longer when one criterion is not met.
use std::path::{Path, PathBuf};

use qiao_mappings::strict::Source;
use qiao_mocks::import::{Files, Format, Imported, import, read};
use serde_json::{Map, Value, json};

use crate::help::{Client, Mocks, serve_with};
use made::{Broken, failed, made, mutations, prepare, send};

mod corpus;
mod made;
mod others;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/wiremock")
}

fn imported(files: &Files, partner: &str) -> Imported {
    import(Format::Wiremock, files, partner).unwrap_or_else(|error| panic!("{error}"))
}

fn serve_draft(draft: &Imported) -> Mocks {
    let texts: Vec<(String, String)> = draft
        .files
        .iter()
        .map(|(name, bytes)| {
            (format!("{}/{name}", draft.partner), String::from_utf8(bytes.clone()).expect("a text"))
        })
        .collect();
    let files: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    serve_with(&files, qiao_vault::Vault::in_memory().expect("a vault"), |_| {})
}

fn stubs(draft: &Imported) -> Vec<Value> {
    let files = draft.files.iter().filter(|(name, _)| name.starts_with("stubs/"));
    files
        .flat_map(|(name, bytes)| {
            let source = Source::read(name, &String::from_utf8_lossy(bytes)).expect("YAML");
            source.value()["stubs"].as_array().expect("stubs").clone()
        })
        .collect()
}

#[tokio::test]
async fn every_imported_stub_answers_its_request_and_misses_when_one_criterion_is_not_met() {
    let files = read(Format::Wiremock, &corpus()).expect("the corpus");
    let (mut hits, mut misses) = (0, 0);
    for name in files.keys().filter(|name| name.starts_with("mappings/") && !name.contains("refused-")) {
        // Each file alone, so that a miss is not another file's hit.
        let mut one: Files = files
            .iter()
            .filter(|(name, _)| name.starts_with("__files"))
            .map(|(n, b)| (n.clone(), b.clone()))
            .collect();
        one.insert(name.clone(), files[name].clone());
        let draft = imported(&one, "wm");
        assert!(draft.report.refused.is_empty(), "{name}: {:?}", draft.report.refused);
        let mocks = serve_draft(&draft);
        for stub in stubs(&draft) {
            let id = stub["id"].as_str().expect("an id");
            prepare(&mocks, "wm", &stub, true).await;
            let reply = send(&mocks, "wm", &made(&stub, Broken::Nothing)).await;
            assert_eq!(reply.stub(), id, "{name}: {stub:#}\n{}", reply.text());
            assert_eq!(
                reply.status,
                stub["respond"]["status"]
                    .as_u64()
                    .map_or(200, |status| u16::try_from(status).expect("a status"))
            );
            hits += 1;
            for (broken, criterion) in mutations(&stub) {
                prepare(&mocks, "wm", &stub, true).await;
                let reply = send(&mocks, "wm", &made(&stub, broken)).await;
                assert_ne!(reply.stub(), id, "{name}: {criterion} was not met");
                if reply.header("x-mock-miss").is_some() {
                    let failed = failed(&mocks, &reply, id).await;
                    assert!(
                        failed.iter().any(|name| name.starts_with(&criterion)),
                        "{name} {id}: {criterion} is not among {failed:?}"
                    );
                    misses += 1;
                }
            }
            if stub.get("state").is_some() {
                prepare(&mocks, "wm", &stub, false).await;
                let reply = send(&mocks, "wm", &made(&stub, Broken::Nothing)).await;
                assert!(
                    failed(&mocks, &reply, id).await.iter().any(|name| name.starts_with("state To do list"))
                );
            }
        }
    }
    assert!(hits >= 26 && misses >= 60, "{hits} hits, {misses} misses");
}

#[test]
fn refused_files_name_what_stands_in_the_way() {
    let files = read(Format::Wiremock, &corpus()).expect("the corpus");
    let draft = imported(&files, "wm");
    let refused: Map<String, Value> = draft
        .report
        .refused
        .iter()
        .map(|refused| (refused.file.clone(), json!([refused.pointer, refused.reason])))
        .collect();
    let expected = [
        ("proxy", "/response/proxyBaseUrl", "`proxyBaseUrl` is not supported"),
        ("multipart", "/request/multipartPatterns", "`multipartPatterns` is not supported"),
        ("lookahead", "/request/urlPathPattern", "look-around"),
        ("date", "/request/queryParameters/since/before", "`before` is not supported"),
        ("one-of-two", "/mappings/1/response/fault", "MALFORMED_RESPONSE_CHUNK"),
        ("helper", "/response/body", "{{hostname}}"),
        ("jayway", "/request/bodyPatterns/0/matchesJsonPath", "RFC 9535"),
        ("webhook", "/postServeActions", "`postServeActions` is not supported"),
        ("no-json", "", "not JSON: EOF"),
    ];
    for (name, pointer, reason) in expected {
        let told = &refused[&format!("mappings/refused-{name}.json")];
        assert!(
            told[0] == pointer && told[1].as_str().is_some_and(|told| told.contains(reason)),
            "{name}: {told}"
        );
    }
    assert_eq!(refused.len(), expected.len(), "{refused:#?}");
    let taken: usize = draft.report.imported.iter().map(|taken| taken.stubs.len()).sum();
    assert!(taken >= 26, "{taken}");
}

#[tokio::test]
async fn bodies_templates_and_scenarios_answer_as_they_did() {
    let draft = imported(&read(Format::Wiremock, &corpus()).expect("the corpus"), "wm");
    let mocks = serve_draft(&draft);
    let ask = async |method: &str, path: &str, body: &str| {
        let headers = [("user-agent", "tester")];
        mocks.connect().await.send(method, &format!("/wm{path}"), &headers, body).await.expect("an answer")
    };
    let echo = ask("POST", "/echo/li?page=3", r#"{"order": {"no": 7}}"#).await;
    assert_eq!(
        echo.json(),
        json!({"name": "li", "page": "page 3", "no": "7", "agent": "tester", "segment": "echo"})
    );
    assert_eq!(echo.header("x-id").map(str::len), Some(36));
    assert_eq!(ask("POST", "/text", "ping").await.text(), "costs ${5}");
    assert_eq!(ask("GET", "/bodies/base64", "").await.text(), "qiao");
    assert_eq!(ask("GET", "/bodies/file", "").await.text(), "开放时间 9:00–17:00\n");
    assert_eq!(ask("GET", "/todo/items", "").await.text(), "[]");
    assert_eq!(ask("POST", "/todo/items", "buy milk").await.status, 201);
    assert_eq!(ask("GET", "/todo/items", "").await.text(), "[\"milk\"]");
    assert_eq!(ask("GET", "/prio/known", "").await.text(), "known");
    assert_eq!(ask("GET", "/prio/other", "").await.status, 404);
}

#[tokio::test]
async fn a_connection_reset_is_reset() {
    let mapping =
        json!({"request": {"method": "GET", "url": "/r"}, "response": {"fault": "CONNECTION_RESET_BY_PEER"}});
    let files = Files::from([("reset.json".to_owned(), mapping.to_string().into_bytes())]);
    let mocks = serve_draft(&imported(&files, "wm"));
    let mut client: Client = mocks.connect().await;
    assert!(client.send("GET", "/wm/r", &[], "").await.is_err());
}
