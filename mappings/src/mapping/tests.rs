//! Tests of mappings: rules as a definition writes them, and every mistake with its path.

use super::*;
use crate::error::MapErrorKind;
use crate::table::{NoTables, Table, TableSpec};
use proptest::prelude::*;
use serde_json::json;
use std::collections::HashMap;

fn tables() -> HashMap<String, Table> {
    let gender = TableSpec {
        entries: [("1", "男"), ("2", "女")].map(|(code, meaning)| (code.into(), meaning.into())).into(),
        ..TableSpec::default()
    };
    HashMap::from([("gender".to_owned(), Table::new(&gender))])
}

fn compile(rules: Value) -> Result<Mapping, Vec<String>> {
    let spec: MappingSpec = serde_json::from_value(rules).map_err(|error| vec![error.to_string()])?;
    Mapping::compile(&spec, &tables()).map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

fn map(rules: Value, documents: &Value) -> Result<Value, MapError> {
    compile(rules).expect("valid rules").apply(documents)
}

fn request() -> Value {
    json!({"request": {
        "person": {"name": " 张三 ", "sex": "1", "birth": "19900307", "none": null, "empty": ""},
        "materials": [{"id": 7, "type": "A"}, {"id": 8, "type": "B"}, {"type": "C"}],
        "one": {"id": 9}
    }, "vars": {"net": "N01"}})
}

#[test]
fn maps_fields_with_functions_constants_and_conditions() {
    let rules = json!([
        {"to": "person.name", "from": "$.request.person.name", "apply": ["trim"], "required": true},
        {"to": "person.sex", "from": "$.request.person.sex", "apply": ["lookup(gender)"]},
        {"to": "person.birth", "from": "$.request.person.birth", "apply": ["date(yyyyMMdd, yyyy-MM-dd)"]},
        {"to": "net", "text": "net ${vars.net}"},
        {"to": "count", "cel": "size(request.materials)"},
        {"to": "constant", "value": {"a": [1, null]}},
        {"to": "nothing", "value": null},
        {"to": "phone", "from": "$.request.person.phone"},
        {"to": "channel", "from": "$.request.channel", "default": "3.0"},
        {"to": "none", "from": "$.request.person.none", "default": "n"},
        {"to": "adult", "value": true, "when": "request.person.birth < '20000101'"},
        {"to": "minor", "value": true, "when": "request.person.birth >= '20000101'"},
        {"to": "@id", "value": 1}
    ]);
    let mapped = map(rules, &request()).expect("maps");
    assert_eq!(
        mapped.to_string(),
        r#"{"person":{"name":"张三","sex":"男","birth":"1990-03-07"},"net":"net N01","count":3,"constant":{"a":[1,null]},"nothing":null,"channel":"3.0","none":"n","adult":true,"@id":1}"#
    );
}

#[test]
fn repeats_rules_for_each_element() {
    let rules = json!([
        {"to": "files", "each": "$.request.materials", "as": "m", "rules": [
            {"to": "no", "cel": "index + 1"},
            {"to": "id", "from": "$.m.id", "default": 0},
            {"to": "net", "from": "$.vars.net"}
        ]},
        {"to": "types", "each": "$.request.materials", "from": "$.item.type", "apply": ["lower"]},
        {"to": "ids", "from": "$.request.materials[*].id"},
        {"to": "single", "each": "$.request.one", "from": "$.item.id"},
        {"to": "absent", "each": "$.request.absent", "from": "$.item.id"},
        {"to": "filtered", "each": "$.request.materials[?@.id > 7]", "cel": "item.type"}
    ]);
    let mapping = compile(rules).expect("valid");
    assert_eq!(
        mapping.apply(&request()).expect("maps"),
        json!({
            "files": [
                {"no": 1, "id": 7, "net": "N01"}, {"no": 2, "id": 8, "net": "N01"}, {"no": 3, "id": 0, "net": "N01"}
            ],
            "types": ["a", "b", "c"],
            "ids": [7, 8],
            "single": [9],
            "filtered": ["B"]
        })
    );
    assert_eq!(mapping.roots(), ["request", "vars"]);
    assert_eq!(
        mapping.targets(),
        ["files[].no", "files[].id", "files[].net", "types[]", "ids", "single[]", "absent[]", "filtered[]"]
    );
}

#[test]
fn nests_objects_and_replaces_the_whole() {
    let nested = json!([{"to": "a", "rules": [{"to": "b.c", "value": 1}]}, {"to": "a.d", "value": 2}]);
    assert_eq!(map(nested, &json!({})), Ok(json!({"a": {"b": {"c": 1}, "d": 2}})));
    for whole in ["$", "."] {
        let rules = json!([{"to": whole, "from": "$.request.one"}, {"to": "x", "value": 1}]);
        assert_eq!(map(rules, &request()), Ok(json!({"id": 9, "x": 1})));
    }
    let list = json!([{"to": "$", "each": "$.request.materials", "from": "$.item.type"}]);
    assert_eq!(map(list, &request()), Ok(json!(["A", "B", "C"])));
    assert_eq!(map(json!([]), &request()), Ok(json!({})));
}

#[test]
fn names_the_target_that_failed_and_why_without_the_value() {
    let cases = [
        (json!([{"to": "a.b", "from": "$.request.x", "required": true}]), "a.b", MapErrorKind::Missing),
        (
            json!([{"to": "a", "from": "$.request.person.empty", "required": true}]),
            "a",
            MapErrorKind::Missing,
        ),
        (
            json!([{"to": "a", "from": "$.request.person.name", "apply": ["number"]}]),
            "a",
            MapErrorKind::Format,
        ),
        (json!([{"to": "a", "cel": "request.x"}]), "a", MapErrorKind::Missing),
        (json!([{"to": "a", "cel": "1 + request.person.name"}]), "a", MapErrorKind::Format),
        (json!([{"to": "a", "text": "x${request.person}"}]), "a", MapErrorKind::Format),
        (json!([{"to": "a", "value": 1, "when": "request.person.name"}]), "a", MapErrorKind::Format),
        (
            json!([{"to": "f", "each": "$.request.materials", "rules": [{"to": "x.id", "from": "$.item.id", "required": true}]}]),
            "f[2].x.id",
            MapErrorKind::Missing,
        ),
        (
            json!([{"to": "f", "each": "$.request.materials", "cel": "item.id"}]),
            "f[2]",
            MapErrorKind::Missing,
        ),
        (json!([{"to": "a", "rules": [{"to": "b", "cel": "request.x"}]}]), "a.b", MapErrorKind::Missing),
    ];
    for (rules, to, kind) in cases {
        let error = map(rules.clone(), &request()).expect_err("fails");
        assert_eq!((error.to.as_str(), error.kind), (to, kind), "{rules}");
        assert!(!error.to_string().contains("张三"), "{error}");
    }
}

#[test]
fn a_default_stands_in_for_a_missing_member_of_an_expression() {
    let rules = json!([{"to": "a", "cel": "request.x.y", "default": "d"}, {"to": "b", "cel": "1 + 'x'", "default": "d"}]);
    let error = map(rules, &request()).expect_err("only a missing member has a default");
    assert_eq!(error.to, "b");
}

#[test]
fn reports_every_mistake_with_its_path() {
    let mistakes = compile(json!([
        {"to": "a..b", "value": 1},
        {"to": "b", "from": "request.x"},
        {"to": "c", "cel": "1 +"},
        {"to": "d", "from": "$.request.x", "apply": ["trim", "trimm", "lookup(nation)"]},
        {"to": "e"},
        {"to": "f", "value": 1, "from": "$.request.x"},
        {"to": "g", "each": "$.request.list", "rules": [{"to": "x", "text": "${nope(1)}"}]},
        {"to": "h", "value": 1, "as": "x"},
        {"to": "h", "value": 2},
        {"to": "i", "value": 1, "when": "size("},
        {"to": "j", "each": "$.request.list", "as": "a-b", "from": "$.request.x"}
    ]))
    .expect_err("all wrong");
    let places: Vec<_> =
        mistakes.iter().map(|mistake| mistake.split(": ").next().unwrap_or_default()).collect();
    assert_eq!(
        places,
        [
            "[0].to",
            "[1].from",
            "[2].cel",
            "[3].apply[1]",
            "[3].apply[2]",
            "[4]",
            "[5]",
            "[6].rules[0].text",
            "[7].as",
            "[8].to",
            "[9].when",
            "[10].as"
        ]
    );
}

#[test]
fn refuses_a_misspelt_key_and_keeps_a_written_null() {
    assert!(compile(json!([{"to": "a", "form": "$.x"}])).is_err());
    assert_eq!(map(json!([{"to": "a", "value": null}]), &json!({})), Ok(json!({"a": null})));
    let default = json!([{"to": "a", "from": "$.x.y", "default": null}]);
    assert_eq!(map(default, &json!({})), Ok(json!({"a": null})));
}

#[test]
fn its_schema_names_every_key_and_refuses_others() {
    let schema = serde_json::to_value(schemars::schema_for!(MappingSpec)).expect("a schema");
    let rule = &schema["$defs"]["RuleSpec"];
    assert_eq!(rule["additionalProperties"], json!(false));
    let keys: Vec<_> = rule["properties"].as_object().expect("properties").keys().cloned().collect();
    assert_eq!(
        keys,
        ["to", "from", "value", "cel", "text", "each", "as", "rules", "apply", "default", "required", "when"]
    );
    assert!(keys.iter().all(|key| rule["properties"][key]["description"].is_string()));
}

proptest! {
    #[test]
    fn copies_any_document_unchanged(text in ".{0,12}", number in any::<i64>()) {
        let documents = json!({"d": {"t": text, "l": [number, {"x": null}]}});
        let spec = serde_json::from_value(json!([{"to": "$", "from": "$.d"}])).expect("rules");
        let mapping = Mapping::compile(&spec, &NoTables).expect("compiles");
        prop_assert_eq!(mapping.apply(&documents).expect("copies"), documents["d"].clone());
    }
}
