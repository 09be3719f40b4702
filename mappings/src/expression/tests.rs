//! Tests of expressions: CEL on documents as they are, and errors that tell no values.

use super::*;
use crate::table::{Table, TableSpec};
use serde_json::json;
use std::collections::HashMap;

fn documents() -> Value {
    json!({
        "request": {
            "person": {"name": "张三", "age": 30, "score": 1.5, "none": null, "big": 18_446_744_073_709_551_615_u64},
            "list": [{"code": "a", "n": 1}, {"code": "b", "n": 2}],
            "tags": ["x", "y"],
            "empty": {}
        },
        "vars": {"code": "b"}
    })
}

fn eval(text: &str) -> Result<Value, String> {
    let expression = Expression::parse(text).map_err(|error| format!("compile: {error}"))?;
    expression.eval(&documents()).map_err(|error| error.to_string())
}

#[test]
fn reads_documents_by_member_index_and_comprehension() {
    for (text, expected) in [
        ("request.person.name", json!("张三")),
        ("request['person']['name'] + '!'", json!("张三!")),
        ("request.list[1].code", json!("b")),
        ("request.list.map(x, x.n * 2)", json!([2, 4])),
        ("request.list.filter(x, x.code == vars.code)", json!([{"code": "b", "n": 2}])),
        ("request.list.exists(x, x.n > 1)", json!(true)),
        ("size(request.list) + size(request.person)", json!(7)),
        ("request.empty.size() == 0", json!(true)),
        ("'name' in request.person", json!(true)),
        ("'x' in request.tags && !('z' in request.tags)", json!(true)),
        ("request.tags + ['z']", json!(["x", "y", "z"])),
        ("request.person.all(key, size(key) > 2)", json!(true)),
        ("has(request.person.name) && !has(request.person.phone)", json!(true)),
        ("request.person.?phone.orValue('none')", json!("none")),
        ("request.person.big", json!(u64::MAX)),
        ("request.person", documents()["request"]["person"].clone()),
        ("type(request.person.age) == int", json!(true)),
    ] {
        assert_eq!(eval(text), Ok(expected), "{text}");
    }
}

#[test]
fn compares_numbers_of_different_types_by_value() {
    for text in [
        "request.person.age == 30.0",
        "request.person.score > 1",
        "request.person.age < request.person.big",
        "30u == request.person.age",
        "request.person.age in [29.0, 30.0]",
    ] {
        assert_eq!(eval(text), Ok(json!(true)), "{text}");
    }
}

#[test]
fn compares_documents_with_literals_on_either_side() {
    for text in [
        "request.list[0] == {'code': 'a', 'n': 1}",
        "{'code': 'a', 'n': 1} == request.list[0]",
        "request.tags == ['x', 'y']",
        "['x', 'y'] == request.tags",
        "[{'n': 1, 'code': 'a'}] != request.list",
        "request.list[0] == request.list[0]",
        "request.person.none == null",
        "request.list[0] != {'code': 'a'}",
    ] {
        assert_eq!(eval(text), Ok(json!(true)), "{text}");
    }
}

#[test]
fn keeps_the_order_of_members_a_map_is_written_in() {
    let value = eval("{'z': 1, 'a': {'y': vars.code, 'b': [{'x': 1, 'c': 2}]}, 'm': null}").expect("a map");
    assert_eq!(value.to_string(), r#"{"z":1,"a":{"y":"b","b":[{"x":1,"c":2}]},"m":null}"#);
    let built = eval("request.tags.map(t, {'z': t, 'a': 1})").expect("maps");
    assert_eq!(built.to_string(), r#"[{"a":1,"z":"x"},{"a":1,"z":"y"}]"#);
}

#[test]
fn calls_the_mapping_functions_both_ways() {
    for (text, expected) in [
        ("trim('  a ')", json!("a")),
        ("request.person.name.mask('name')", json!("张*")),
        ("padLeft(request.person.age, 5)", json!("00030")),
        ("split('a,b', ',')[1]", json!("b")),
        ("join(request.tags, '|')", json!("x|y")),
        ("parseJson('{\"a\":[1]}').a[0] + 1", json!(2)),
        ("toJson(request.list[0])", json!("{\"code\":\"a\",\"n\":1}")),
        ("coalesce(request.person.none, '', 'c')", json!("c")),
        ("isIdNo('310101199003074511') && !isIdNo('310101199003074512')", json!(true)),
        ("size(uuid())", json!(36)),
        ("get(request, 'person.name', '')", json!("张三")),
        ("get(request, 'person.phone.home', 'none')", json!("none")),
        ("request.get('list', [])[0].n", json!(1)),
        ("size(now('yyyyMMdd'))", json!(8)),
        ("get(request, 'list[1].code', '') + get(request, 'list[9].code', '-')", json!("b-")),
        ("get(request, 'person.none', 'n')", json!("n")),
        ("request.person.name.matches('^张') && !matches('ab', '^b')", json!(true)),
        ("request.tags.filter(t, t.matches('x|z'))", json!(["x"])),
    ] {
        assert_eq!(eval(text), Ok(expected), "{text}");
    }
}

#[test]
fn looks_up_the_code_tables_it_was_compiled_with() {
    let spec = TableSpec { entries: [("1".into(), "男".into())].into(), ..TableSpec::default() };
    let tables = HashMap::from([("gender".to_owned(), Table::new(&spec))]);
    let expression = Expression::compile("lookup('1', 'gender') + reverseLookup('男', 'gender')", &tables);
    assert_eq!(expression.expect("known").eval(&json!({})), Ok(json!("男1")));
    for (text, part) in [("lookup('1', 'nation')", "nation"), ("lookup('1', vars.table)", "literal")] {
        let message = Expression::compile(text, &tables).expect_err(text).message;
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn lists_documents_but_not_loop_variables_or_types() {
    let roots = |text: &str| Expression::parse(text).expect(text).roots().to_vec();
    assert_eq!(roots("request.list.map(x, x.n + vars.y)"), ["request", "vars"]);
    assert_eq!(roots("request.a.b"), ["request"]);
    assert_eq!(roots("type(item) == string && has(caller.id)"), ["item", "caller"]);
    assert!(roots("[1].exists(x, x == 1)").is_empty());
}

#[test]
fn refuses_mistakes_when_compiled_and_says_where() {
    for (text, part) in [
        ("1 +", "line 1"),
        ("request.", "line 1"),
        ("", "line 1"),
        ("trimm(a)", "did you mean trim()"),
        ("trim()", "trim(text)"),
        ("padLeft(a, 1, 2, 3)", "padLeft"),
        ("get(a, 'b')", "get(document, path, default)"),
        ("Person{name: 'x'}", "Person"),
        ("date(a, 'yyyyMMdd', 'yyyy-QQ')", "pattern"),
        ("a.mask('nothing')", "a mask is one of"),
        ("a.matches('(')", "regular expression"),
        ("a.matches(b)", "literal"),
        ("a.matches('x', 'y')", "literal"),
    ] {
        let message = Expression::parse(text).expect_err(text).message;
        assert!(message.contains(part), "{text}: {message}");
    }
}

#[test]
fn tells_what_is_missing_but_never_a_value() {
    for (text, part) in [
        ("request.person.phone", "no member `phone`"),
        ("size(request.person.phone)", "no member `phone`"),
        ("nothing.a", "`nothing`"),
        ("size(nothing)", "`nothing`"),
        ("request.person.name.first", "a string"),
        ("request.list[7]", "no such element"),
        ("request.person[request.person.name]", "no such member"),
        ("request.person.name + 1", ""),
        ("request.person.name < 1", ""),
        ("int(request.person.name)", ""),
        ("request.person.age / 0", "division by zero"),
        ("idNo(request.person.name)", "idNo: the value is not an identity number"),
        ("timestamp(request.person.name)", ""),
        ("request.person.age.matches('3')", "matches: the value is not text"),
        ("lookup(request.person.name, 'gender')", "gender"),
    ] {
        let message = eval(text).expect_err(text);
        assert!(message.contains(part), "{text}: {message}");
        assert!(!message.contains("张三"), "{text}: {message}");
    }
}

#[test]
fn a_condition_must_be_a_boolean() {
    let holds = |text: &str| Expression::parse(text).expect(text).eval_bool(&documents());
    assert_eq!(holds("request.person.age > 18"), Ok(true));
    assert!(holds("request.person.age").is_err());
    assert!(holds("1 + 1").is_err());
    assert!(holds("request.absent == 1").is_err());
}

#[test]
fn every_function_of_the_table_is_callable_in_cel_unless_it_says_otherwise() {
    for function in crate::functions::FUNCTIONS {
        let standard = check::STANDARD.contains(&function.name);
        assert_eq!(standard, !function.in_cel, "{}", function.name);
    }
}

#[test]
fn nested_text_is_bounded_and_does_not_panic() {
    assert!(Expression::parse(&"(".repeat(9_000)).is_err());
    assert!(Expression::parse(&"(".repeat(2_000)).is_err());
    assert!(Expression::parse(&format!("{}1{}", "[".repeat(500), "]".repeat(500))).is_err());
}
