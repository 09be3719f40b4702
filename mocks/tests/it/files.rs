//! Partners' files over the admin API: validated, exported, searched; and refusals in one shape.
use qiao_vault::Vault;
use serde_json::{Value, json};

use crate::help::{Client, Mocks, Reply, serve, serve_with, write};

const PARTNER: &str = r#"
mock: v1
partner: civil
title: 民政
listen: [{id: rest, proto: http, path: /mz}]
select: $.request.item
stubs:
  - {id: apply, title: 高龄津贴申请, item: MZ-0231, when: {method: POST, path: /gateway}, respond: {json: {code: "0"}}}
  - {id: status, when: {method: GET, path: "/applications/{bizNo}"}, respond: {bodyFile: bodies/status.bin}}
"#;
const MORE: &str =
    "stubs:\n  - {id: any, priority: -5, respond: {json: {name: \"${table('people', '1').name}\"}}}\n";

fn civil() -> Mocks {
    let files = [
        ("civil/partner.yaml", PARTNER),
        ("civil/stubs/more.yaml", MORE),
        ("civil/tables/people.csv", "id,name\n1,张三\n"),
        ("civil/bodies/status.bin", "plain"),
        ("civil/bodies/unused.txt", "nothing refers to it"),
        (
            "other/partner.yaml",
            "mock: v1\npartner: other\ntitle: 别\nlisten: [{id: rest, proto: http, path: /other}]\n",
        ),
    ];
    serve_with(&files, Vault::in_memory().expect("a vault"), |_| {})
}

async fn validate(mocks: &Mocks, body: Value) -> Value {
    let answer = mocks.admin("POST", "/api/mocks/validate", Some(&body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

async fn send(mocks: &Mocks, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut client = Client::to(mocks.server.admin_addr().expect("an admin API")).await;
    client.send(method, path, headers, body).await.expect("an answer")
}

#[tokio::test]
async fn every_mistake_of_every_file_is_told_with_its_place_and_nothing_changes() {
    let mocks = civil();
    let wrong = PARTNER.replace("method: GET", "method: GET, patth: x").replace("title: 民政", "titel: 民政");
    let checked = validate(&mocks, json!({"files": {"partner.yaml": wrong, "stubs/more.yaml": "stubs:\n  - {id: x}\n  - 1\n", "tables/p.csv": "a,b\n1\n"}})).await;
    assert_eq!((&checked["ok"], &checked["stubs"]), (&json!(false), &Value::Null));
    let places: Vec<(String, u64, String)> = checked["mistakes"]
        .as_array()
        .expect("mistakes")
        .iter()
        .map(|m| {
            (
                m["file"].as_str().unwrap_or_default().to_owned(),
                m["line"].as_u64().unwrap_or(0),
                m["pointer"].as_str().unwrap_or_default().to_owned(),
            )
        })
        .collect();
    for (file, line, pointer) in [
        ("partner.yaml", 4, "/titel"),
        ("partner.yaml", 9, "/stubs/1/when/patth"),
        ("stubs/more.yaml", 3, "/stubs/1"),
    ] {
        assert!(
            places.contains(&(file.to_owned(), line, pointer.to_owned())),
            "{file}:{line} {pointer} not in {checked:#}"
        );
    }
    let listed = mocks.admin("GET", "/api/mocks/partners", None).await.json();
    assert_eq!((&listed["version"], &listed["partners"][0]["stubs"]), (&json!(1), &json!(3)));
}

#[tokio::test]
async fn one_file_is_checked_over_the_served_ones_and_lints_are_mistakes() {
    let mocks = civil();
    let more = "stubs:\n  - {id: any, priority: -5, respond: {json: {a: 1}}}\n  - {id: never, priority: -6, item: A, respond: {json: {a: 1}}}\n";
    let checked =
        validate(&mocks, json!({"partner": "civil", "files": {"stubs/more.yaml": more, "notes.txt": "x"}}))
            .await;
    assert!(
        checked["mistakes"][0]["message"].as_str().is_some_and(|text| text.contains("never answers")),
        "{checked}"
    );
    let yaml = [("content-type", "application/yaml")];
    let path = "/api/mocks/validate?partner=civil&file=stubs/more.yaml";
    let right = send(&mocks, "POST", path, &yaml, MORE).await.json();
    assert_eq!((&right["ok"], &right["stubs"], &right["unused"]), (&json!(true), &json!(3), &json!([])));
    let unused = validate(
        &mocks,
        json!({"partner": "civil", "files": {"stubs/more.yaml": MORE, "stub/typo.yaml": MORE}}),
    )
    .await;
    assert_eq!((&unused["ok"], &unused["unused"]), (&json!(true), &json!(["stub/typo.yaml"])));
    assert_eq!(mocks.admin("GET", "/api/mocks/partners/civil/stubs", None).await.json()["total"], 3);
}

#[tokio::test]
async fn a_place_that_another_partner_has_is_a_mistake() {
    let mocks = civil();
    let yaml = PARTNER
        .replace("path: /mz", "path: /other")
        .replace("respond: {bodyFile: bodies/status.bin}", "respond: {text: x}");
    let checked = validate(&mocks, json!({"files": {"partner.yaml": yaml}})).await;
    let mistake = &checked["mistakes"][0];
    assert_eq!((&mistake["pointer"], &mistake["line"]), (&json!("/listen/0"), &json!(5)), "{checked}");
    assert!(mistake["remedy"].as_str().is_some_and(|text| text.contains("`other`")), "{checked}");
    let own =
        validate(&mocks, json!({"files": {"partner.yaml": yaml.replace("path: /other", "path: /mz")}})).await;
    assert_eq!(own["ok"], true, "its own place is free for it: {own}");
}

#[tokio::test]
async fn what_is_exported_is_what_was_loaded_and_is_valid_again() {
    let mocks = civil();
    write(&mocks.folder, "civil/bodies/unused.txt", "changed: nobody minds");
    let exported = mocks.admin("GET", "/api/mocks/partners/civil/export", None).await.json();
    let names: Vec<&String> = exported["files"].as_object().expect("files").keys().collect();
    assert_eq!(names, ["bodies/status.bin", "partner.yaml", "stubs/more.yaml", "tables/people.csv"]);
    assert_eq!(exported["files"]["stubs/more.yaml"], MORE);
    assert_eq!(validate(&mocks, json!({"files": exported["files"]})).await["ok"], true);
    std::fs::write(mocks.folder.path().join("civil/bodies/status.bin"), [0xff, 0, 1]).expect("written");
    assert_eq!(mocks.admin("GET", "/api/mocks/partners/civil/export", None).await.status, 409);
    mocks.client().reload().await.expect("reloaded");
    let bytes = mocks.admin("GET", "/api/mocks/partners/civil/export", None).await.json();
    assert_eq!(bytes["files"]["bodies/status.bin"], json!({"base64": "/wAB"}));
    assert_ne!(bytes["hash"], exported["hash"]);
    assert_eq!(validate(&mocks, json!({"files": bytes["files"]})).await["ok"], true);
}

#[tokio::test]
async fn private_keys_are_named_and_not_given() {
    let key = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate");
    let yaml = "mock: v1\npartner: safe\ntitle: 密\nlisten: [{id: tls, proto: http, port: 18443, tls: {certificate: tls/chain.pem, key: tls/key.pem}}]\n";
    let (chain, private) = (key.cert.pem(), key.signing_key.serialize_pem());
    let files = [("safe/partner.yaml", yaml), ("safe/tls/chain.pem", &chain), ("safe/tls/key.pem", &private)];
    let mocks = serve_with(&files, Vault::in_memory().expect("a vault"), |_| {});
    let exported = mocks.admin("GET", "/api/mocks/partners/safe/export", None).await;
    assert_eq!(exported.json()["withheld"], json!(["tls/key.pem"]));
    assert!(!exported.text().contains("PRIVATE KEY") && exported.text().contains("BEGIN CERTIFICATE"));
    let over = validate(&mocks, json!({"partner": "safe", "files": {}})).await;
    assert_eq!(over["ok"], true, "the key is read where it lies: {over}");
}

#[tokio::test]
async fn stubs_are_searched_filtered_and_paged() {
    let mocks = civil();
    let found = async |query: &str| {
        let page = mocks.admin("GET", &format!("/api/mocks/partners/civil/stubs?{query}"), None).await;
        let page = page.json();
        let ids = page["stubs"].as_array().unwrap_or_else(|| panic!("{page}")).iter();
        (
            ids.map(|stub| stub["id"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>().join(" "),
            page["next"].clone(),
        )
    };
    for (query, wanted) in [
        ("", "apply status any"),
        ("q=%E9%AB%98%E9%BE%84", "apply"),
        ("q=mz-02", "apply"),
        ("q=APPLI", "status"),
        ("item=MZ-0231", "apply"),
        ("method=get", "status any"),
        ("method=POST&q=a", "apply any"),
        ("listener=rest", "apply status any"),
    ] {
        assert_eq!(found(query).await, (wanted.to_owned(), Value::Null), "{query}");
    }
    assert_eq!(found("limit=2").await, ("apply status".to_owned(), json!("status")));
    assert_eq!(found("limit=2&after=status").await, ("any".to_owned(), Value::Null));
    let paths = mocks.admin("GET", "/api/mocks/partners/civil/stubs?q=status", None).await.json();
    assert_eq!(
        (&paths["stubs"][0]["method"], &paths["stubs"][0]["path"]),
        (&json!("GET"), &json!("/applications/{bizNo}"))
    );
}

#[tokio::test]
async fn the_list_of_stubs_has_a_version_that_changes_with_the_files() {
    let mocks = civil();
    let path = "/api/mocks/partners/civil/stubs";
    let first = send(&mocks, "GET", path, &[], "").await.header("etag").expect("a version").to_owned();
    let asked = async |known: &str| send(&mocks, "GET", path, &[("if-none-match", known)], "").await.status;
    assert_eq!(asked(&format!("\"other\", {first}")).await, 304);
    mocks.client().reload().await.expect("reloaded");
    assert_eq!(asked(&first).await, 304, "the files are the same");
    write(&mocks.folder, "civil/tables/people.csv", "id,name\n1,李四\n");
    mocks.client().reload().await.expect("reloaded");
    assert_eq!(asked(&first).await, 200);
}

#[tokio::test]
async fn every_refusal_has_one_shape() {
    let mocks =
        serve("civil", "mock: v1\npartner: civil\ntitle: 试\nlisten: [{id: rest, proto: http, path: /mz}]\n");
    let json = [("content-type", "application/json")];
    let large = format!("{{\"key\": \"{}\"}}", "x".repeat(2 << 20));
    for (status, method, path, headers, body) in [
        (404, "GET", "/api/mocks/nothing", &[][..], ""),
        (404, "GET", "/api/mocks/partners/civil/nothing", &[], ""),
        (405, "PATCH", "/api/mocks/clock", &[], ""),
        (400, "GET", "/api/mocks/journal?limit=many", &[], ""),
        (400, "GET", "/api/mocks/journal/x", &[], ""),
        (400, "PUT", "/api/mocks/clock", &json, "{"),
        (413, "POST", "/api/mocks/plans/civil/p/start", &json, &large),
        (415, "PUT", "/api/mocks/clock", &[("content-type", "text/plain")], "run"),
        (422, "PUT", "/api/mocks/clock", &json, "{\"rum\": true}"),
        (422, "POST", "/api/mocks/sessions", &[], "- a"),
    ] {
        let refused = send(&mocks, method, path, headers, body).await;
        assert_eq!(refused.status, status, "{method} {path}: {}", refused.text());
        assert_eq!(refused.header("content-type"), Some("application/json"), "{method} {path}");
        assert!(refused.json()["error"].as_str().is_some_and(|text| text.len() > 10), "{}", refused.text());
    }
    let allowed = send(&mocks, "PATCH", "/api/mocks/clock", &[], "").await;
    assert!(allowed.header("allow").is_some_and(|allow| allow.contains("PUT")), "{allowed:?}");
}
