//! The admin API and its OpenAPI document say the same: the same operations, and answers of the documented form.
mod checked;
mod walk;

use std::collections::BTreeSet;

use serde_json::Value;

use checked::document;

const METHODS: [&str; 4] = ["get", "put", "post", "delete"];

/// Every operation of the document: path, method, and what it says.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let common = item["parameters"].as_array().cloned().unwrap_or_default();
        for method in METHODS.into_iter().filter(|method| item.get(method).is_some()) {
            let mut operation = item[method].clone();
            let own = operation["parameters"].as_array().cloned().unwrap_or_default();
            let all = common.iter().chain(&own).map(|parameter| resolved(document, parameter));
            operation["parameters"] = all.collect();
            found.push((path.clone(), method.to_uppercase(), operation));
        }
    }
    found
}

fn resolved(document: &Value, parameter: &Value) -> Value {
    let Some(reference) = parameter["$ref"].as_str() else { return parameter.clone() };
    let place = reference.strip_prefix('#').expect("a reference within the document");
    document.pointer(place).unwrap_or_else(|| panic!("{reference} leads nowhere")).clone()
}

#[test]
fn the_document_and_the_router_have_the_same_operations() {
    let document = document();
    let documented: BTreeSet<(String, String)> =
        operations(&document).into_iter().map(|(path, method, _)| (path, method)).collect();
    let served: BTreeSet<(String, String)> = qiao_mocks::admin_operations()
        .into_iter()
        .map(|operation| (operation.path.to_owned(), operation.method.to_string()))
        .collect();
    let missing: Vec<_> = served.difference(&documented).collect();
    assert!(missing.is_empty(), "docs/openapi/mocks.yaml lacks {missing:#?}");
    let gone: Vec<_> = documented.difference(&served).collect();
    assert!(gone.is_empty(), "docs/openapi/mocks.yaml has {gone:#?}, which no route serves");
}

#[test]
fn operations_are_named_once_and_name_their_parameters() {
    let document = document();
    let mut names = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let place = format!("{method} {path}");
        let name = operation["operationId"].as_str().unwrap_or_else(|| panic!("{place} has no operationId"));
        assert!(names.insert(name.to_owned()), "{name} is the name of two operations");
        assert!(operation["summary"].as_str().is_some_and(|text| text.len() > 4), "{place} has no summary");
        let declared: BTreeSet<&str> = operation["parameters"]
            .as_array()
            .expect("parameters")
            .iter()
            .filter(|parameter| parameter["in"] == "path")
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        let within: BTreeSet<&str> =
            path.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
        assert_eq!(declared, within, "{place}");
        assert!(operation["responses"].get("default").is_some(), "{place} has no default response");
    }
}

#[test]
fn operations_with_a_query_are_those_that_document_one() {
    let document = document();
    let asks = |path: &str, method: &str| {
        let served = qiao_mocks::admin_operations();
        let found = served.iter().find(|served| served.path == path && served.method.as_str() == method);
        found.is_some_and(|found| found.asks)
    };
    for (path, method, operation) in operations(&document) {
        let parameters = operation["parameters"].as_array().expect("parameters");
        let documented = parameters.iter().any(|parameter| parameter["in"] == "query");
        assert_eq!(asks(&path, &method), documented, "{method} {path}");
    }
}
