//! No input of an import panics: a file is taken over whole, into a draft that loads, or refused with its place.
use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Words of WireMock's mappings and of OpenAPI, so that random documents get past the first look.
const MAPPING: &[&str] = &[
    "mappings",
    "request",
    "response",
    "method",
    "url",
    "urlPath",
    "urlPattern",
    "urlPathPattern",
    "urlPathTemplate",
    "headers",
    "queryParameters",
    "cookies",
    "bodyPatterns",
    "basicAuth",
    "username",
    "password",
    "equalTo",
    "contains",
    "matches",
    "doesNotMatch",
    "doesNotContain",
    "absent",
    "and",
    "or",
    "not",
    "caseInsensitive",
    "equalToJson",
    "ignoreArrayOrder",
    "matchesJsonPath",
    "expression",
    "equalToXml",
    "matchesXPath",
    "status",
    "body",
    "jsonBody",
    "base64Body",
    "bodyFileName",
    "transformers",
    "fault",
    "fixedDelayMilliseconds",
    "delayDistribution",
    "type",
    "lower",
    "upper",
    "median",
    "sigma",
    "chunkedDribbleDelay",
    "totalDuration",
    "priority",
    "scenarioName",
    "requiredScenarioState",
    "newScenarioState",
    "name",
    "a",
    "~/",
];
const DESCRIPTION: &[&str] = &[
    "openapi",
    "paths",
    "/a",
    "/a/{id}",
    "/{x}.csv",
    "get",
    "post",
    "operationId",
    "summary",
    "responses",
    "200",
    "404",
    "default",
    "2XX",
    "999",
    "content",
    "application/json",
    "text/plain",
    "example",
    "examples",
    "value",
    "schema",
    "$ref",
    "type",
    "properties",
    "items",
    "allOf",
    "oneOf",
    "anyOf",
    "enum",
    "const",
    "format",
    "minimum",
    "components",
    "schemas",
    "S",
];
const TEXTS: &[&str] = &[
    "GET",
    "ANY",
    "/a/b",
    "/a/{id}",
    "/a?b=c",
    "$.a.b",
    "$.a[?(@.b == 1)]",
    "$",
    "(",
    "[a-z]{3}",
    "(?=x)",
    "{{request.path}}",
    "{{",
    "${x}",
    "response-template",
    "uniform",
    "lognormal",
    "CONNECTION_RESET_BY_PEER",
    "Started",
    "<a/>",
    "<a",
    "/a/b",
    "//a",
    "cWlhbw==",
    "3.0.3",
    "#/components/schemas/S",
    "#/paths",
    "other.yaml",
    "object",
    "array",
    "string",
    "integer",
    "张三",
];

fn document(words: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        3 => prop::sample::select(TEXTS).prop_map(Value::from),
        1 => "\\PC{0,8}".prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    leaf.prop_recursive(7, 120, 6, move |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            4 => prop::collection::vec((prop::sample::select(words), inner), 0..7)
                .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

/// A random mapping whose request and response are such.
fn mapping() -> impl Strategy<Value = Value> {
    let url = prop_oneof![
        Just(json!({"method": "POST", "urlPath": "/a/b"})),
        Just(json!({"url": "/a?b=c"})),
        Just(json!({"urlPathTemplate": "/a/{id}"})),
        Just(json!({"urlPattern": "/a.*"})),
    ];
    let known = (url, document(MAPPING), document(MAPPING)).prop_map(|(mut request, patterns, response)| {
        request["bodyPatterns"] = json!([patterns]);
        json!({"request": request, "response": response})
    });
    prop_oneof![known, document(MAPPING)]
}

fn description() -> impl Strategy<Value = Value> {
    (document(DESCRIPTION), document(DESCRIPTION), document(DESCRIPTION)).prop_map(
        |(responses, schema, schemas)| {
            json!({
                "openapi": "3.0.3",
                "paths": {"/a/{id}": {"get": {"responses": {
                    "200": {"content": {"application/json": {"schema": schema}}},
                    "404": responses,
                }}}},
                "components": {"schemas": {"S": schemas}},
            })
        },
    )
}

/// What came of one file: taken over and loadable, or refused at a place that is there.
fn told(format: Format, name: &str, bytes: &[u8], document: Option<&Value>) -> Result<(), TestCaseError> {
    let files = Files::from([(name.to_owned(), bytes.to_vec())]);
    let draft = match import(format, &files, "p") {
        Ok(draft) => draft,
        // A WSDL is the whole partner: nothing is left of one that is refused.
        Err(reason) => {
            prop_assert!(format == Format::Wsdl && !reason.is_empty(), "{}", reason);
            return Ok(());
        }
    };
    let report = &draft.report;
    prop_assert_eq!(report.imported.len() + report.refused.len(), 1, "{:?}", report);
    for refused in &report.refused {
        prop_assert!(refused.file == name && !refused.reason.is_empty(), "{:?}", refused);
        if let Some(document) = document {
            prop_assert!(document.pointer(&refused.pointer).is_some(), "{:?}", refused);
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    draft.write(folder.path()).expect("written");
    let vault = qiao_vault::Vault::in_memory().expect("a vault");
    let checked = crate::check(folder.path(), &vault);
    prop_assert!(checked.is_ok(), "{:?}", checked);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_json_is_taken_over_as_a_mapping_or_refused_at_its_place(document in mapping()) {
        told(Format::Wiremock, "m.json", document.to_string().as_bytes(), Some(&document))?;
    }

    #[test]
    fn any_description_is_taken_over_or_refused_at_its_place(document in description(), yaml in any::<bool>()) {
        let (name, text) = match yaml {
            true => ("d.yaml", yaml::write(&document)),
            false => ("d.json", document.to_string()),
        };
        told(Format::Openapi, name, text.as_bytes(), Some(&document))?;
    }

    #[test]
    fn any_bytes_are_refused_or_taken_over(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,60}|[-:{}\\[\\]\"' a0\n]{0,60}") {
        for (format, name) in [(Format::Wiremock, "m.json"), (Format::Openapi, "d.yaml"), (Format::Openapi, "d.json"), (Format::Wsdl, "w.wsdl")] {
            told(format, name, &bytes, None)?;
            told(format, name, text.as_bytes(), None)?;
        }
    }

    #[test]
    fn a_wsdl_with_pieces_gone_doubled_or_exchanged_is_served_or_refused(edits in prop::collection::vec((0usize..4_000, 1usize..120, 0u8..3), 1..4)) {
        let mut text = String::from_utf8_lossy(include_bytes!("../../tests/fixtures/counter/wsdl/counter.wsdl")).into_owned();
        for (at, length, kind) in edits {
            let tags: Vec<usize> = text.match_indices('<').map(|(at, _)| at).collect();
            let Some(from) = tags.get(at % tags.len().max(1)).copied() else { break };
            let to = tags.iter().copied().find(|end| *end >= from + length).unwrap_or(text.len());
            let piece = text[from..to].to_owned();
            match kind {
                0 => text.replace_range(from..to, ""),
                1 => text.insert_str(from, &piece),
                _ => {
                    text.replace_range(from..to, "");
                    let middle = text.match_indices('<').map(|(at, _)| at).nth(length % 7).unwrap_or(0);
                    text.insert_str(middle, &piece);
                }
            }
        }
        told(Format::Wsdl, "w.wsdl", text.as_bytes(), None)?;
    }
}

#[test]
fn schemas_that_refer_to_themselves_in_many_places_end() {
    let itself = json!({"$ref": "#/components/schemas/S"});
    let properties: serde_json::Map<String, Value> =
        (0..40).map(|number| (format!("p{number}"), itself.clone())).collect();
    for schema in [
        json!({"type": "object", "properties": properties}),
        json!({"oneOf": [itself]}),
        json!({"anyOf": [{"allOf": [itself, itself]}]}),
        json!({"type": "array", "items": {"allOf": [itself, itself, itself]}}),
    ] {
        let document = json!({
            "openapi": "3.1.0",
            "paths": {"/a": {"get": {"responses": {"200": {"content": {"application/json": {"schema": itself}}}}}}},
            "components": {"schemas": {"S": schema}},
        });
        let files = Files::from([("d.json".to_owned(), document.to_string().into_bytes())]);
        let draft = import(Format::Openapi, &files, "p").expect("a draft");
        assert_eq!(draft.report.imported.len(), 1, "{:?}", draft.report);
        let bytes: usize = draft.files.values().map(Vec::len).sum();
        assert!(bytes < 1 << 20, "{bytes} bytes");
    }
}
