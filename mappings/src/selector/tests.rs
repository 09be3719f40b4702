//! Tests of selectors: the examples of RFC 9535, and the refusals that make a selector mean one thing.

use super::*;
use crate::document::Scope;
use proptest::prelude::*;
use serde_json::json;

/// Evaluates a plain RFC 9535 query on one document.
fn query(text: &str, document: &Value) -> Result<Vec<Value>, String> {
    let query = compile::bare(text).map_err(|error| error.to_string())?;
    let scope = json!({});
    Ok(walk::all(&query.segments, document, &scope).into_iter().cloned().collect())
}

fn bookstore() -> Value {
    json!({"store": {
        "book": [
            {"category": "reference", "author": "Nigel Rees", "title": "Sayings of the Century", "price": 8.95},
            {"category": "fiction", "author": "Evelyn Waugh", "title": "Sword of Honour", "price": 12.99},
            {"category": "fiction", "author": "Herman Melville", "title": "Moby Dick", "isbn": "0-553-21311-3", "price": 8.99},
            {"category": "fiction", "author": "J. R. R. Tolkien", "title": "The Lord of the Rings", "isbn": "0-395-19395-8", "price": 22.99}
        ],
        "bicycle": {"color": "red", "price": 399}
    }})
}

#[test]
fn selects_as_the_examples_of_rfc_9535_figure_1() {
    let (document, authors) =
        (bookstore(), json!(["Nigel Rees", "Evelyn Waugh", "Herman Melville", "J. R. R. Tolkien"]));
    let count = |text: &str| query(text, &document).map(|found| found.len());
    assert_eq!(query("$.store.book[*].author", &document).map(Value::from), Ok(authors.clone()));
    assert_eq!(query("$..author", &document).map(Value::from), Ok(authors));
    assert_eq!(count("$.store.*"), Ok(2));
    assert_eq!(count("$.store..price"), Ok(5));
    assert_eq!(query("$..book[2].author", &document), Ok(vec![json!("Herman Melville")]));
    assert_eq!(query("$..book[2].publisher", &document), Ok(vec![]));
    assert_eq!(query("$..book[-1].title", &document), Ok(vec![json!("The Lord of the Rings")]));
    assert_eq!(count("$..book[0,1]"), Ok(2));
    assert_eq!(count("$..book[:2]"), Ok(2));
    assert_eq!(count("$..book[?@.isbn]"), Ok(2));
    assert_eq!(count("$..book[?@.price<10]"), Ok(2));
    assert_eq!(count("$..*"), Ok(27));
}

#[test]
fn compares_as_rfc_9535_table_11() {
    let document = json!({"obj": {"x": "y"}, "arr": [2, 3]});
    let holds =
        |condition: &str| query(&format!("$[?{condition}]"), &document).map(|found| !found.is_empty());
    for (condition, expected) in [
        ("$.absent1 == $.absent2", true),
        ("$.absent1 <= $.absent2", true),
        ("$.absent == 'g'", false),
        ("$.absent1 != $.absent2", false),
        ("$.absent != 'g'", true),
        ("1 <= 2", true),
        ("1 > 2", false),
        ("13 == '13'", false),
        ("'a' <= 'b'", true),
        ("'a' > 'b'", false),
        ("$.obj == $.arr", false),
        ("$.obj != $.arr", true),
        ("$.obj == $.obj", true),
        ("$.arr == $.arr", true),
        ("$.obj == 17", false),
        ("$.obj != 17", true),
        ("$.obj <= $.arr", false),
        ("$.obj <= $.obj", true),
        ("1 <= $.arr", false),
        ("true <= true", true),
        ("true > true", false),
    ] {
        assert_eq!(holds(condition), Ok(expected), "{condition}");
    }
}

#[test]
fn evaluates_the_functions_of_rfc_9535() {
    let document = json!([{"a": "ab", "l": [1, 2]}, {"a": "b", "l": []}, {"a": "a\nb", "l": [3]}]);
    let count = |filter: &str| query(&format!("$[?{filter}]"), &document).map(|found| found.len());
    assert_eq!(count("length(@.a) == 2"), Ok(1));
    assert_eq!(count("length(@.l) >= 1"), Ok(2));
    assert_eq!(count("count(@.*) == 2"), Ok(3));
    assert_eq!(count("value(@.l[*]) == 3"), Ok(1));
    assert_eq!(count("match(@.a, 'a.*')"), Ok(1));
    assert_eq!(count("match(@.a, 'a|b')"), Ok(1));
    assert_eq!(count("search(@.a, 'b')"), Ok(3));
    assert_eq!(count("!search(@.a, 'a[.]')"), Ok(3));
}

#[test]
fn slices_in_both_directions() {
    let document = json!([0, 1, 2, 3, 4, 5, 6]);
    for (text, expected) in [
        ("$[1:5:2]", json!([1, 3])),
        ("$[5:1:-2]", json!([5, 3])),
        ("$[::-1]", json!([6, 5, 4, 3, 2, 1, 0])),
        ("$[-2:]", json!([5, 6])),
        ("$[:-9007199254740991]", json!([])),
        ("$[0:3:0]", json!([])),
        ("$[10:]", json!([])),
        ("$[:0:-1]", json!([6, 5, 4, 3, 2, 1])),
    ] {
        assert_eq!(query(text, &document).map(Value::from), Ok(expected), "{text}");
    }
}

#[test]
fn reads_names_from_a_scope_and_in_filters_too() {
    let scope =
        json!({"request": {"list": [{"c": "1", "n": "a"}, {"c": "2", "n": "b"}]}, "vars": {"code": "2"}});
    let selector = Selector::parse("$.request.list[?@.c == $.vars.code].n").expect("valid");
    assert_eq!(selector.select(&scope), vec![&json!("b")]);
    assert_eq!((selector.root(), selector.roots().len()), ("request", 2));
    assert!(!selector.is_singular());
    let chain = Selector::parse("$['request'].list[-1]['n']").expect("valid");
    assert!(chain.is_singular());
    assert_eq!(chain.first(&scope), Some(&json!("b")));
    assert_eq!(Selector::parse("$.absent.a").expect("valid").first(&scope), None);
}

#[test]
fn refuses_what_rfc_9535_refuses_or_the_library_would_misread() {
    for (text, part) in [
        ("", "JSONPath"),
        ("request.a", "JSONPath"),
        ("$", "names a document"),
        ("$[0].a", "names a document"),
        ("$..a", "names a document"),
        ("$.a[01]", "JSONPath"),
        ("$.a[-0]", "JSONPath"),
        ("$.a.", "JSONPath"),
        ("$.a[?@.b in $.c]", "JSONPath"),
        ("$.a[?nin(@.b, @.c)]", "not a function of RFC 9535"),
        ("$.a[?length(@.*) == 1]", "one value"),
        ("$.a[?length(@.b)]", "compare it"),
        ("$.a[?count(1) == 1]", "path"),
        ("$.a[?match(@.b, 'x') == true]", ""),
        ("$.a[?match(@.b, @.c)]", "literal"),
        ("$.a[?match(@.b, '(')]", "regular expression"),
        ("$.a[?@.* == 1]", ""),
        ("$.a..b..c..d", "descendant"),
        ("$.a.b\u{a0}", "white space"),
        ("$.a[?@.x == $]", "names a document"),
        ("$.a[?@.x == $[0]]", "names a document"),
    ] {
        let message = Selector::parse(text).expect_err(text).message;
        assert!(message.contains(part), "{text}: {message}");
    }
}

#[test]
fn numbers_compare_by_value_without_an_epsilon() {
    let document = json!([1e-17, 2e-17, 9_007_199_254_740_993_i64]);
    assert_eq!(query("$[?@ == 1e-17]", &document), Ok(vec![json!(1e-17)]));
    assert_eq!(query("$[?@ > 9007199254740991]", &document), Ok(vec![json!(9_007_199_254_740_993_i64)]));
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\$?[.\\[\\]'\"a-c?@*:,0-9()!=<>&| -]{0,24}") {
        drop(Selector::parse(&text));
    }

    #[test]
    fn a_name_in_quotes_selects_that_member(name in "[^'\\\\\u{0}-\u{1f}]{1,8}") {
        let scope = json!({"d": {name.clone(): 1}});
        let selector = Selector::parse(&format!("$.d['{name}']")).expect("a quoted name");
        prop_assert_eq!(selector.first(&scope as &dyn Scope), Some(&json!(1)));
    }
}
