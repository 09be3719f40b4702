//! OpenAPI descriptions, WSDL, the admin API and drafts written out.
use super::*;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

#[tokio::test]
async fn openapi_examples_become_stubs() {
    let files = read(Format::Openapi, &fixture("openapi/cards.yaml")).expect("a description");
    let draft = import(Format::Openapi, &files, "cards").expect("a draft");
    assert!(draft.report.refused.is_empty(), "{:?}", draft.report);
    assert!(draft.report.notes.iter().any(|note| note.contains("/reports/{day}.csv is left out")));
    let mocks = serve_draft(&draft);
    let ask = async |method: &str, path: &str, choice: &str| {
        let headers = [("x-mock-example", choice)];
        mocks.connect().await.send(method, &format!("/cards{path}"), &headers, "").await.expect("an answer")
    };
    assert_eq!(ask("GET", "/cards/7", "").await.json(), json!({"cardNo": "1", "status": "active"}));
    assert_eq!(ask("GET", "/cards/7", "lost").await.json()["status"], "lost");
    let none = ask("GET", "/cards/7", "404").await;
    assert_eq!((none.status, none.json()), (404, json!({"code": 4, "text": "查无此卡"})));
    let made = ask("POST", "/cards", "").await;
    assert_eq!(
        (made.status, &made.json()["no"], &made.json()["made"]),
        (201, &json!("A1"), &json!("2026-01-15"))
    );
    let notice = ask("GET", "/notices", "").await;
    assert_eq!((notice.text().as_str(), notice.header("content-type")), ("price ${5}", Some("text/plain")));
}

#[test]
fn a_description_of_another_version_or_with_foreign_references_is_refused() {
    let told = |text: &str| {
        let files = Files::from([("a.yaml".to_owned(), text.as_bytes().to_vec())]);
        let draft = import(Format::Openapi, &files, "a").expect("an empty draft");
        format!("{:?}", draft.report.refused)
    };
    assert!(told("swagger: \"2.0\"\n").contains("must be 3.0 or 3.1"));
    let foreign = "openapi: 3.1.0\npaths: {/a: {get: {responses: {\"200\": {$ref: other.yaml}}}}}\n";
    let told = told(foreign);
    assert!(told.contains("/paths/~1a/get/responses/200/$ref") && told.contains("other files"), "{told}");
}

#[tokio::test]
async fn a_wsdl_becomes_a_partner_with_a_stub_for_every_operation() {
    let files = read(Format::Wsdl, &fixture("marriage/wsdl/marriage.wsdl")).expect("a description");
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(names, ["wsdl/marriage.wsdl", "xsd/simple.xsd", "xsd/types.xsd"]);
    let draft = import(Format::Wsdl, &files, "marriage").expect("a draft");
    let mocks = serve_draft(&draft);
    let body = "<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Body><m:CertificateNo xmlns:m='urn:city:marriage'>J310101-2020-000001</m:CertificateNo></e:Body></e:Envelope>";
    let reply = mocks.connect().await.send("POST", "/marriage", &[], body).await.expect("an answer");
    assert_eq!((reply.stub(), reply.status), ("checkcertificate", 200), "{}", reply.text());
    assert!(reply.text().contains("CertificateState>valid<"));
}

#[tokio::test]
async fn the_admin_api_gives_a_draft_back() {
    let mocks =
        crate::help::serve("p", "mock: v1\npartner: p\ntitle: t\nlisten: [{id: a, proto: http, path: /p}]\n");
    let mapping = json!({"request": {"url": "/a"}, "response": {"body": "b"}}).to_string();
    let given =
        json!({"format": "wiremock", "partner": "made", "files": {"a.json": mapping, "b.json": "{}"}});
    let reply = mocks.admin("POST", "/api/mocks/import", Some(&given)).await.json();
    assert!(
        reply["files"]["stubs/a.yaml"].as_str().is_some_and(|yaml| yaml.contains("text: b")),
        "{reply:#}"
    );
    assert_eq!(reply["report"]["refused"][0]["file"], "b.json");
    let unfit = json!({"format": "wiremock", "partner": "Not An Id", "files": {}});
    assert_eq!(mocks.admin("POST", "/api/mocks/import", Some(&unfit)).await.status, 422);
}

#[test]
fn a_draft_is_written_as_a_folder_that_passes_the_check_and_never_over_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let draft = imported(&read(Format::Wiremock, &corpus()).expect("the corpus"), "wm");
    draft.write(folder.path()).expect("written");
    let checked = qiao_mocks::check(folder.path(), &qiao_vault::Vault::in_memory().expect("a vault"));
    assert!(checked.unwrap_or_else(|mistakes| panic!("{mistakes:#?}")).stubs >= 26);
    assert!(draft.write(folder.path()).is_err());
}
