//! The documented example is one that runs, and the partners of this folder load.
use std::path::Path;

use qiao_vault::Vault;
use serde_json::json;

use crate::help::{Client, serve_with};

fn here(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[tokio::test]
async fn the_documented_example_is_the_fixture_and_answers_as_it_says() {
    let yaml = here("tests/fixtures/example/partner.yaml");
    let more = here("tests/fixtures/example/stubs/more.yaml");
    let documented = here("../docs/mocks.md");
    assert!(documented.contains(&yaml) && documented.contains(&more), "docs/mocks.md shows another example");
    let files = [
        ("example/partner.yaml", yaml),
        ("example/stubs/more.yaml", more),
        ("example/tables/people.csv", here("tests/fixtures/example/tables/people.csv")),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let mocks = serve_with(&files, Vault::in_memory().expect("a vault"), |_| {});
    let apply = json!({"header": {"itemCode": "MZ-0231", "bizNo": "B1"}, "body": {"idNo": "310101199003074511", "age": 70}});
    let first = mocks.post("/mz/gateway", &apply).await;
    assert_eq!((first.stub(), &first.json()["name"]), ("allowance-accepted", &json!("张三")));
    let again = mocks.post("/mz/gateway", &apply).await;
    assert_eq!((again.stub(), &again.json()["acceptNo"]), ("allowance-again", &first.json()["acceptNo"]));
    let young = json!({"header": {"itemCode": "MZ-0231", "bizNo": "B2"}, "body": {"idNo": "310101199003074511", "age": 60}});
    assert_eq!(mocks.post("/mz/gateway", &young).await.stub(), "allowance-too-young");
    let query = mocks.connect().await.send("GET", "/mz/applications/B1", &[], "").await.expect("an answer");
    assert_eq!((query.stub(), &query.json()["acceptNo"]), ("application-status", &first.json()["acceptNo"]));
    assert_eq!(mocks.post("/mz/gateway", &json!({"header": {"itemCode": "X"}})).await.json()["code"], "E404");
}

#[tokio::test]
async fn the_documented_push_plan_loads_and_starts() {
    let page = here("../docs/mocks-pushes.md");
    let yaml = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let mocks = serve_with(&[("post/partner.yaml", yaml)], Vault::in_memory().expect("a vault"), |_| {});
    let order = json!({"orderNo": "A1", "operator": "desk"});
    assert_eq!(mocks.post("/post", &order).await.stub(), "order");
    let runs = mocks.admin("GET", "/api/mocks/plans/post?key=A1", None).await.json();
    assert_eq!(runs["runs"][0]["steps"].as_array().map(Vec::len), Some(3));
}

/// The blocks of a page: files by the path named before them, and those without one in their order.
fn blocks(page: &str) -> (Vec<(String, String)>, Vec<String>) {
    let (mut files, mut others) = (Vec::new(), Vec::new());
    for (at, _) in page.match_indices("```yaml\n") {
        let text = page[at + 8..].split("```").next().unwrap_or_default().to_owned();
        let before = page[..at].trim_end().lines().last().unwrap_or_default();
        match before.strip_prefix("`mocks/").and_then(|rest| rest.strip_suffix('`')) {
            Some(name) => files.push((name.to_owned(), text)),
            None => others.push(text),
        }
    }
    (files, others)
}

#[tokio::test]
async fn the_page_about_testing_shows_what_runs() {
    let (files, others) = blocks(&here("../docs/mocks-testing.md"));
    let [session, verification] = &others[..] else { panic!("another number of examples") };
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let mocks = serve_with(&files, Vault::in_memory().expect("a vault"), |_| {});
    let mut admin = Client::to(mocks.server.admin_addr().expect("an admin API")).await;
    let mut ask = async |path: &str, body: &str| {
        let answer =
            admin.send("POST", path, &[("content-type", "text/plain")], body).await.expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    assert_eq!(ask("/api/mocks/sessions", session).await["session"], "anna");
    let id = "310101199003074511";
    let mut client = mocks.connect().await;
    let mut send = async |session: &str, path: &str, body: serde_json::Value| {
        let headers = [("x-mock-session", session)];
        client.send("POST", path, &headers, &body.to_string()).await.expect("an answer").json()
    };
    assert_eq!(send("bert", "/card", json!({"idNo": id})).await, json!({"code": "0", "status": "LOST"}));
    assert_eq!(send("bert", "/card", json!({"idNo": id})).await, json!({"code": "1003"}));
    assert_eq!(send("bert", "/bank", json!({"idNo": id})).await, json!({"status": "3"}));
    assert_eq!(send("anna", "/card", json!({"idNo": id})).await, json!({"code": "1003"}), "cancelled there");
    assert_eq!(send("anna", "/bank", json!({"idNo": "x"})).await, json!({"status": "5"}));
    let exam = json!({"idNo": id, "exam": true, "reason": "丢失", "phone": "无"});
    assert_eq!(send("anna", "/card", exam).await["exam"], true);
    let scored = ask("/api/mocks/score", "session: anna").await;
    assert_eq!(scored["total"], json!({"points": 7.0, "of": 9.0, "percent": 77.8}), "{scored}");
    let verified = ask("/api/mocks/verify", &verification.replace("session: anna", "session: bert")).await;
    assert_eq!(verified["ok"], false, "one of two is not meant: {verified}");
    send("carl", "/card", json!({"idNo": id})).await;
    send("carl", "/bank", json!({"idNo": id})).await;
    let verified = ask("/api/mocks/verify", &verification.replace("session: anna", "session: carl")).await;
    assert_eq!(verified["ok"], true, "{verified}");
}

#[test]
fn every_partner_of_this_folder_loads() {
    let loaded =
        qiao_mocks::check(Path::new(env!("CARGO_MANIFEST_DIR")), &Vault::in_memory().expect("a vault"));
    let loaded = loaded.unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    assert!(loaded.partners >= 5 && loaded.stubs > 10, "{loaded:?}");
}

#[test]
fn the_committed_schemas_are_current() {
    for (name, schema) in qiao_mocks::schemas() {
        assert_eq!(schema["additionalProperties"], false, "{name}");
        let committed = here(&format!("../docs/schema/{name}.schema.json"));
        let current = committed == format!("{schema:#}\n");
        assert!(current, "{name} is not current; run `make schema`");
    }
}

/// All tests below a folder, by name.
fn tests_below(folder: &Path, found: &mut std::collections::HashSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            tests_below(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&entry).expect("text");
            let names =
                text.split("fn ").skip(1).filter_map(|rest| rest.split_once('(').map(|(name, _)| name));
            found.extend(names.map(str::to_owned));
        }
    }
}

#[test]
fn the_page_of_faults_has_no_empty_row_and_names_only_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut known = std::collections::HashSet::new();
    tests_below(&root.join("tests"), &mut known);
    tests_below(&root.join("../tests/tests"), &mut known);
    let page = here("../docs/mocks-faults.md");
    let sections: Vec<&str> = page.split("\n## ").skip(1).collect();
    for transport in ["HTTP", "SOAP", "TCP frames", "SFTP", "Carriers", "Queues", "Pushes"] {
        assert!(sections.iter().any(|section| section.starts_with(&format!("{transport}\n"))), "{transport}");
    }
    for section in sections {
        let title = section.lines().next().unwrap_or_default();
        let rows: Vec<Vec<&str>> = section
            .lines()
            .filter(|line| line.starts_with("| F"))
            .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
            .collect();
        assert_eq!(rows.len(), 26, "{title}");
        for (number, row) in (1..).zip(rows) {
            assert_eq!(row[0], format!("F{number:02}"), "{title}");
            let named: Vec<&str> =
                row[2].split('`').skip(1).step_by(2).filter(|name| name.contains('_')).collect();
            named
                .iter()
                .for_each(|name| assert!(known.contains(*name), "{title} {}: no test `{name}`", row[0]));
            let reason = row[2].strip_prefix("cannot occur: ").is_some_and(|reason| reason.len() > 10);
            assert!(!named.is_empty() || reason, "{title} {}: neither a test nor a reason", row[0]);
        }
    }
}
