//! SOAP services from their WSDL, called by clients that know nothing of mocks.
use qiao_vault::Vault;
use serde_json::{Value, json};

use crate::{
    help::{Mocks, serve_with},
    peers,
};

/// The partners of `tests/fixtures` that have a WSDL.
fn services() -> Mocks {
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let names = [
        "marriage/partner.yaml",
        "marriage/wsdl/marriage.wsdl",
        "marriage/xsd/types.xsd",
        "marriage/xsd/simple.xsd",
        "counter/partner.yaml",
        "counter/wsdl/counter.wsdl",
    ];
    let files = names.map(|name| (name, std::fs::read_to_string(fixtures.join(name)).expect(name)));
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    serve_with(&files, Vault::in_memory().expect("a vault"), |_| {})
}

fn urls(mocks: &Mocks) -> [String; 2] {
    let addr = mocks.server.addr();
    [format!("http://{addr}/ws/marriage?wsdl"), format!("http://{addr}/counter?wsdl")]
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[tokio::test]
async fn zeep_calls_a_service_from_its_wsdl_in_both_versions() {
    let mocks = services();
    let [marriage, counter] = urls(&mocks);
    let seen = peers::run("python", "soap_zeep.py", &[&marriage, &counter]).await;
    for (version, code) in [("Soap11", "soapenv:Client"), ("Soap12", "soapenv:Sender")] {
        let answers = &seen[version];
        let stub = &answers["stub"];
        assert_eq!((&stub["code"], &stub["total"]), (&json!("0000"), &json!(2)), "{seen:#}");
        let record = &stub["record"][0];
        assert_eq!(record["no"], "J310101-2020-000123");
        assert_eq!(record["fee"]["_value_1"], "9.00");
        assert_eq!(
            (&record["spouse"][0]["name"], &record["spouse"][0]["since"]),
            (&json!("张三"), &json!("2020-05-20"))
        );
        assert_eq!(record["spouse"][1]["since"], Value::Null);
        let skeleton = &answers["skeleton"]["record"][0];
        assert_eq!(
            (&skeleton["state"], &skeleton["spouse"][1]["idNo"]),
            (&json!("valid"), &json!("111111111111111111"))
        );
        assert_eq!(skeleton["spouse"][0]["since"], "2026-01-15", "typed as a date");
        assert_eq!(answers["bare"], "valid");
        assert_eq!(answers["fault"]["message"], "证书已注销");
        assert_eq!(answers["strict"]["code"], code);
        assert!(
            text(&answers["strict"]["message"]).starts_with("queryRecord/person/idNo: does not fit"),
            "{seen:#}"
        );
    }
    assert_eq!(seen["rpc"], json!({"no": 42, "hall": "east"}));
}

#[tokio::test]
async fn node_soap_calls_a_service_from_its_wsdl_in_both_versions() {
    let mocks = services();
    let [marriage, counter] = urls(&mocks);
    let seen = peers::run("node", "soap_node.js", &[&marriage, &counter]).await;
    for version in ["Soap11", "Soap12"] {
        let answers = &seen[version];
        assert_eq!(
            (&answers["stub"]["code"], &answers["stub"]["total"]),
            (&json!("0000"), &json!(2)),
            "{seen:#}"
        );
        assert_eq!(answers["stub"]["record"][0]["spouse"][0]["name"], "张三");
        assert!(answers["strict"].to_string().contains("queryRecord/person/idNo: does not fit"), "{seen:#}");
    }
    assert_eq!(seen["rpc"]["ticket"]["no"], "42", "{seen:#}");
}

/// Body, content type of the request, SOAPAction.
async fn post(mocks: &Mocks, body: &str, content_type: &str, action: &str) -> (u16, String, String) {
    let headers = [("content-type", content_type), ("soapaction", action)];
    let reply = mocks.connect().await.send("POST", "/ws/marriage", &headers, body).await.expect("an answer");
    (reply.status, reply.header("content-type").unwrap_or_default().to_owned(), reply.text())
}

fn envelope(namespace: &str, body: &str) -> String {
    format!("<s:Envelope xmlns:s='{namespace}'><s:Body>{body}</s:Body></s:Envelope>")
}

const V11: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const V12: &str = "http://www.w3.org/2003/05/soap-envelope";

#[tokio::test]
async fn what_the_service_has_not_is_a_fault_in_the_version_asked_in() {
    let mocks = services();
    let unknown = "<x xmlns='urn:other'/>";
    let (status, kind, body) = post(&mocks, &envelope(V11, unknown), "text/xml", "").await;
    assert_eq!((status, kind.as_str()), (500, "text/xml; charset=UTF-8"));
    assert!(
        body.contains("<faultcode>soapenv:Client</faultcode>") && body.contains("{urn:other}x"),
        "{body}"
    );
    let (status, kind, body) = post(&mocks, &envelope(V12, unknown), "application/soap+xml", "").await;
    assert_eq!((status, kind.as_str()), (400, "application/soap+xml; charset=UTF-8"));
    assert!(body.contains("<soapenv:Value>soapenv:Sender</soapenv:Value>"), "{body}");
    let (status, _, body) = post(&mocks, "<a/>", "text/xml", "").await;
    assert!(status == 500 && body.contains("unreadable"), "{body}");
    let (status, _, body) = post(&mocks, "<!DOCTYPE a><a/>", "text/xml", "").await;
    assert!(status == 500 && body.contains("document type"), "{body}");
    let page = mocks.admin("GET", "/api/mocks/journal?miss=true", None).await.json();
    assert_eq!(
        page["entries"].as_array().map(Vec::len),
        Some(4),
        "a refused request is a miss in the journal"
    );
    assert!(text(&page["entries"][3]["problem"]).contains("{urn:other}x"));
}

#[tokio::test]
async fn an_operation_without_answer_is_accepted() {
    let mocks = services();
    let notice = "<n:notice xmlns:n='urn:city:marriage'>a</n:notice>";
    let (status, _, body) = post(&mocks, &envelope(V11, notice), "text/xml", "\"urn:notify\"").await;
    assert_eq!((status, body.as_str()), (202, ""));
}

#[tokio::test]
async fn a_wsdl_with_a_mistake_is_told_at_its_listener() {
    let folder = tempfile::tempdir().expect("a folder");
    let yaml = "mock: v1\npartner: p\ntitle: t\nlisten:\n  - {id: a, proto: soap, path: /a, wsdl: none.wsdl}\n  - {id: b, proto: soap, path: /b, strict: true}\n  - {id: c, proto: http, path: /c, wsdl: none.wsdl}\n";
    crate::help::write(&folder, "p/partner.yaml", yaml);
    let told = qiao_mocks::check(folder.path(), &Vault::in_memory().expect("a vault")).expect_err("mistakes");
    let told: Vec<String> = told.iter().map(ToString::to_string).collect();
    let told = told.join("\n");
    assert!(told.contains(":5:") && told.contains("listen[0].wsdl: none.wsdl: cannot be read"), "{told}");
    assert!(told.contains("listen[1].strict: `strict` checks requests against a `wsdl`"), "{told}");
    assert!(told.contains("listen[2].wsdl: only `proto: soap`"), "{told}");
}
