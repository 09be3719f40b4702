//! The reader's behaviour: what is read, what is refused, where mistakes are shown, in which words.
use proptest::prelude::*;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::*;

fn read(text: &str) -> Result<Source, Vec<Mistake>> {
    Source::read("a.yaml", text)
}

fn value(text: &str) -> Value {
    read(text).expect(text).value().clone()
}

/// The lines a person would see.
fn refused(text: &str) -> Vec<String> {
    let mistakes = read(text).err().unwrap_or_else(|| panic!("was read: {text}"));
    mistakes.iter().map(ToString::to_string).collect()
}

#[test]
fn reads_the_scalars_of_the_core_schema() {
    let read = value(
        "text: yes\ndate: 2026-01-01\nversion: 1.2.3\ndash: -a\nnothing:\ntilde: ~\ntruth: true\nint: -12\nplus: +3\n\
         hex: 0x1F\noctal: 0o17\nfloat: 1.5\nexp: 1e3\ndot: .5\nbig: 18446744073709551615\nquoted: '007'\nblock: |\n  a\n  b\n",
    );
    assert_eq!(
        read,
        json!({
            "text": "yes", "date": "2026-01-01", "version": "1.2.3", "dash": "-a", "nothing": null, "tilde": null,
            "truth": true, "int": -12, "plus": 3, "hex": 31, "octal": 15, "float": 1.5, "exp": 1000.0, "dot": 0.5,
            "big": u64::MAX, "quoted": "007", "block": "a\nb\n",
        })
    );
}

#[test]
fn keeps_the_order_of_keys_and_passes_over_a_byte_order_mark() {
    let read = value("\u{feff}z: 1\na: {y: 2, b: [3, {c: 4}]}\n");
    assert_eq!(read.to_string(), r#"{"z":1,"a":{"y":2,"b":[3,{"c":4}]}}"#);
    assert_eq!(value(""), Value::Null);
    assert_eq!(value("# only a comment\n"), Value::Null);
    assert_eq!(value("--- \na: 1\n...\n"), json!({"a": 1}));
}

#[test]
fn refuses_what_hides_mistakes_and_says_where() {
    for (text, expected) in [
        ("a: 1\nb: 2\na: 3\n", vec!["a.yaml:3:1: a: key given twice, first in line 1; keep one of them"]),
        (
            "a: 007\n",
            vec!["a.yaml:1:4: a: a number with leading zeros, which would be lost; put it in quotes"],
        ),
        (
            "a: -01\n",
            vec!["a.yaml:1:4: a: a number with leading zeros, which would be lost; put it in quotes"],
        ),
        (
            "a: 123456789012345678901234\n",
            vec!["a.yaml:1:4: a: a number beyond 64 bits; put it in quotes if text is meant"],
        ),
        (
            "a: .inf\n",
            vec!["a.yaml:1:4: a: not a number that JSON can hold; put it in quotes if text is meant"],
        ),
        ("200: a\n", vec!["a.yaml:1:1: a key must be text; put it in quotes"]),
        ("a: {true: 1}\n", vec!["a.yaml:1:5: a: a key must be text; put it in quotes"]),
        ("? [a, b]\n: 1\n", vec!["a.yaml:1:3: a key must be text, not a list or block; give it a name"]),
        (
            "a: &x 1\nb: *x\n",
            vec![
                "a.yaml:1:4: a: anchors (`&name`) are not supported; write the value out where it is used",
                "a.yaml:2:4: b: aliases (`*name`) are not supported; write the value out",
            ],
        ),
        (
            "a: !!str 1\n",
            vec!["a.yaml:1:4: a: tags (`!name`) are not supported; leave it out; quotes make text"],
        ),
        (
            "a:\n  <<: {b: 1}\n",
            vec!["a.yaml:2:3: a: merge keys (`<<`) are not supported; write the keys out"],
        ),
        ("a: 1\n---\nb: 2\n", vec!["a.yaml:2:1: a second document in one file; one file holds one document"]),
    ] {
        assert_eq!(refused(text), expected, "{text}");
    }
}

#[test]
fn text_that_is_not_yaml_is_refused_with_its_line_and_column_and_a_remedy() {
    for (text, place, remedy) in [
        ("a:\n\tb: 1\n", "a.yaml:2:2: a: ", "indent with spaces"),
        ("a: 1\n  b: 2\n", "a.yaml:2:4: ", "check the indentation; text that holds `: ` needs quotes"),
        ("a: b: c\n", "a.yaml:1:5: ", "check the indentation; text that holds `: ` needs quotes"),
        ("a: `x`\n", "a.yaml:1:4: a: ", "put the text in quotes"),
        ("a: 'x\nb: 2\n", "a.yaml:1:4: a: ", "is the closing quote missing?"),
        ("a: 'x\n", "a.yaml:1:4: a: ", "is the closing quote missing?"),
        ("a: \"\\q\"\n", "a.yaml:1:4: a: ", "use single quotes, or write `\\\\` for a backslash"),
        ("a: {b: 1\nc: 2\n", "a.yaml:2:2: a: ", "is a comma or the closing `}` missing?"),
        ("a: [1, 2\nc: 2\n", "a.yaml:2:2: a[1]: ", "is the closing `]` or `}` missing?"),
        ("a: [\n", "a.yaml:2:1: a[0]: ", "is a closing `]` or `}` missing?"),
        ("a: - b\n", "a.yaml:1:4: a: ", "begin the list on the next line"),
        ("a: 1\nb:2\n", "a.yaml:3:1: ", "the line before lacks `: ` or is indented wrongly"),
        ("a:\n  - b\n - c\n", "a.yaml:3:2: ", "check the indentation"),
        ("- a\nb: 1\n", "a.yaml:2:1: [1]: ", "check the indentation"),
        ("a: *x\n", "a.yaml:1:4: a: ", "aliases (`*name`) are not supported; put text in quotes"),
    ] {
        let lines = refused(text);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].starts_with(&format!("{place}not YAML: ")), "{text:?}: {lines:?}");
        assert!(lines[0].ends_with(&format!("; {remedy}")), "{text:?}: {lines:?}");
    }
}

#[test]
fn bounds_hold() {
    assert!(refused(&"[".repeat(200))[0].contains("more than 64"));
    assert!(refused(&"- ".repeat(200))[0].contains("more than 64"));
    assert!(
        refused(&format!("a: {}", "x".repeat(MAX_BYTES)))[0].contains("bytes; a file holds at most 4194304")
    );
    assert!(refused(&"- 1\n".repeat(MAX_NODES))[0].contains("more than 200000 values"));
    assert!(read(&format!("{}1{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH))).is_ok());
}

#[test]
fn locates_values_keys_of_blocks_and_the_nearest_parent() {
    let source = read(
        "# head\na:\n  b:\n    - c: 1\n      d.e: 2\n    - x\n  \"f\": [g]\nnull:\n"
            .replace("null:", "n:")
            .as_str(),
    )
    .expect("yaml");
    for (path, at) in [
        ("", (2, 1)),
        ("a", (2, 1)),
        ("a.b", (3, 3)),
        ("a.b[0]", (4, 7)),
        ("a.b[0].c", (4, 10)),
        ("a.b[0].d.e", (5, 12)),
        ("a.b[0][\"d.e\"]", (5, 12)),
        ("a.b.1", (6, 7)),
        ("a.b[7].c", (3, 3)),
        ("a.f[0]", (7, 9)),
        ("a.nowhere.at.all", (2, 1)),
        ("a.b[0].c.deeper", (4, 10)),
        ("n", (8, 1)),
        ("[nonsense", (2, 1)),
        ("a[\"b", (2, 1)),
    ] {
        assert_eq!(source.locate(path), at, "{path}");
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(dead_code, reason = "only decoded")]
struct Shop {
    name: String,
    #[serde(default)]
    open: bool,
    #[serde(default)]
    kind: Option<Kind>,
    #[serde(default)]
    shelves: Vec<Shelf>,
    #[serde(default)]
    #[schemars(range(min = 1, max = 10))]
    tills: Option<u32>,
    #[serde(default)]
    price: Option<Price>,
    #[serde(default)]
    rule: Option<Rule>,
    /// Id: lower-case letters.
    #[serde(default)]
    #[schemars(regex(pattern = r"^[a-z]+$"))]
    id: Option<String>,
    #[serde(default)]
    #[schemars(length(min = 1))]
    tags: Option<Vec<String>>,
    #[serde(default)]
    port: Option<u16>,
    #[serde(default)]
    names: std::collections::BTreeMap<String, u8>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    /// A small one.
    Corner,
    /// A large one.
    Market,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(dead_code, reason = "only decoded")]
struct Shelf {
    label: String,
    #[serde(default)]
    max_weight: Option<f64>,
    #[serde(default)]
    above: Option<Box<Shelf>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only decoded")]
enum Price {
    Plain(u32),
    Full(FullPrice),
    Free { free: bool },
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only decoded")]
struct FullPrice {
    net: u32,
    tax: u32,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(dead_code, reason = "only decoded")]
enum Rule {
    Fixed { amount: u32 },
    LookUp { table: String },
}

fn decoded(text: &str) -> Vec<String> {
    match read(text).expect(text).decode::<Shop>() {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn decodes_what_fits() {
    let shop = read("name: a\nopen: true\nkind: market\nprice: {net: 1, tax: 2}\nrule: {lookUp: {table: x}}\nshelves:\n- label: b\n")
        .expect("yaml")
        .decode::<Shop>()
        .expect("fits");
    assert!(shop.open && matches!(shop.kind, Some(Kind::Market)) && shop.shelves.len() == 1);
}

#[test]
fn every_mistake_is_told_once_at_its_place_with_its_remedy() {
    let known = "known here: name, open, kind, shelves, tills, price, rule, id, tags, port, names";
    let table: Vec<(&str, Vec<String>)> = vec![
        ("nam: x\n", vec!["a.yaml:1:1: nam: unknown key; did you mean `name`?".into()]),
        ("name: x\nzzzzzzz: 1\n", vec![format!("a.yaml:2:1: zzzzzzz: unknown key; {known}")]),
        ("open: true\n", vec!["a.yaml:1:1: `name` is missing".into()]),
        ("", vec!["a.yaml:1:1: wanted a block of keys, found nothing; give it a value or leave the key out".into()]),
        ("- 1\n", vec!["a.yaml:1:1: wanted a block of keys, found a list".into()]),
        ("name: 5\n", vec!["a.yaml:1:7: name: wanted text, found the number 5; put it in quotes".into()]),
        ("name:\n", vec!["a.yaml:1:1: name: wanted text, found nothing; give it a value or leave the key out".into()]),
        ("name: x\nopen: yes\n", vec!["a.yaml:2:7: open: wanted true or false, found text; write `true`".into()]),
        ("name: x\nkind: markt\n", vec!["a.yaml:2:7: kind: wanted `corner` or `market`, found `markt`; did you mean `market`?".into()]),
        ("name: x\nkind: zoo\n", vec!["a.yaml:2:7: kind: wanted `corner` or `market`, found `zoo`".into()]),
        ("name: x\nkind:\ntills:\n", vec![
            "a.yaml:2:1: kind: wanted `corner` or `market`, found nothing; give it a value or leave the key out".into(),
            "a.yaml:3:1: tills: wanted a whole number, found nothing; give it a value or leave the key out".into(),
        ]),
        ("name: x\nkind: 7\n", vec!["a.yaml:2:7: kind: wanted `corner` or `market`, found the number 7".into()]),
        ("name: x\nkind: [market]\n", vec!["a.yaml:2:1: kind: wanted `corner` or `market`, found a list".into()]),
        ("name: x\ntills: 11\n", vec!["a.yaml:2:8: tills: wanted 1 to 10, found 11".into()]),
        ("name: x\ntills: 1.5\n", vec!["a.yaml:2:8: tills: wanted a whole number, found the number 1.5".into()]),
        ("name: x\ntills: '3'\n", vec!["a.yaml:2:8: tills: wanted a whole number, found text; leave out the quotes".into()]),
        ("name: x\nport: 70000\n", vec!["a.yaml:2:7: port: wanted 0 to 65535, found 70000".into()]),
        ("name: x\nid: A1\n", vec!["a.yaml:2:5: id: wanted: Id: lower-case letters (pattern `^[a-z]+$`)".into()]),
        ("name: x\ntags: []\n", vec!["a.yaml:2:1: tags: wanted at least 1 items, found 0".into()]),
        ("name: x\ntags: one\n", vec!["a.yaml:2:7: tags: wanted a list, found text; write it as a list, each item after `- `".into()]),
        ("name: x\ntags: [a, 2]\n", vec!["a.yaml:2:11: tags[1]: wanted text, found the number 2; put it in quotes".into()]),
        ("name: x\nshelves:\n- labl: a\n", vec!["a.yaml:3:3: shelves[0].labl: unknown key; did you mean `label`?".into()]),
        ("name: x\nshelves:\n- max_weight: 1\n", vec![
            "a.yaml:3:3: shelves[0]: `label` is missing".into(),
            "a.yaml:3:3: shelves[0].max_weight: unknown key; did you mean `maxWeight`?".into(),
        ]),
        ("name: x\nshelves:\n- label: a\n  above:\n    above: {label: 3}\n    label: q\n", vec![
            "a.yaml:5:20: shelves[0].above.above.label: wanted text, found the number 3; put it in quotes".into(),
        ]),
        ("name: x\nshelves:\n- label: a\n  above:\n    x.y: 1\n    label: q\n", vec![
            "a.yaml:5:5: shelves[0].above[\"x.y\"]: unknown key; known here: label, maxWeight, above".into(),
        ]),
        ("name: x\nprice: cheap\n", vec!["a.yaml:2:8: price: wanted a whole number or a block of keys, found text".into()]),
        ("name: x\nprice: {net: 1, tx: 2}\n", vec!["a.yaml:2:17: price.tx: unknown key; did you mean `tax`?".into()]),
        ("name: x\nprice: {net: a, tax: 2}\n", vec!["a.yaml:2:14: price.net: wanted a whole number, found text".into()]),
        ("name: x\nrule: {fixd: {amount: 1}}\n", vec!["a.yaml:2:8: rule.fixd: unknown key; did you mean `fixed`?".into()]),
        ("name: x\nrule: {fixed: {amont: 1}}\n", vec!["a.yaml:2:16: rule.fixed.amont: unknown key; did you mean `amount`?".into()]),
        ("name: x\nrule: {}\n", vec!["a.yaml:2:1: rule: one of `fixed`, `lookUp` is missing".into()]),
        ("name: x\nnames: {a: 256}\n", vec!["a.yaml:2:12: names.a: wanted 0 to 255, found 256".into()]),
    ];
    for (text, expected) in table {
        assert_eq!(decoded(text), expected, "{text}");
    }
}

#[test]
fn many_mistakes_come_at_once_in_the_order_of_the_file() {
    let lines = decoded("nme: x\nopen: 1\nshelves:\n  - {label: 2}\n  - {}\n  - nothing\nkind: x\n");
    let places: Vec<&str> = lines
        .iter()
        .map(|line| &line["a.yaml:".len()..line["a.yaml:".len()..].find(' ').expect("a space") + 7])
        .collect();
    assert_eq!(places, ["1:1:", "2:7:", "4:13:", "5:5:", "6:5:", "7:7:"], "{lines:#?}");
}

#[test]
fn the_number_of_mistakes_shown_is_bounded() {
    let text = format!("name: x\ntags:\n{}", "- 1\n".repeat(500));
    let lines = decoded(&text);
    assert_eq!(lines.len(), MAX_MISTAKES + 1);
    assert!(lines[MAX_MISTAKES].ends_with("300 more mistakes are not shown"), "{}", lines[MAX_MISTAKES]);
}

#[test]
fn a_pattern_that_does_not_match_never_repeats_the_text_which_may_be_a_secret() {
    let lines = decoded("name: x\nid: Hunter2\n");
    assert!(!lines[0].contains("Hunter2"), "{lines:?}");
}

#[test]
fn near_words_are_found_and_far_ones_are_not() {
    let known = ["operation", "system", "onFault", "with"];
    for (word, near) in [
        ("operatoin", Some("operation")),
        ("on_fault", Some("onFault")),
        ("ONFAULT", Some("onFault")),
        ("wiht", Some("with")),
        ("sistem", Some("system")),
        ("timeout", None),
        ("x", None),
        ("", None),
    ] {
        assert_eq!(nearest(word, known), near, "{word}");
    }
}

/// Documents and their block form in YAML (JSON is YAML).
fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z \\\\\"':#é汉\u{1F600}.-]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map("[a-z.\\[\" 0-9]{1,6}", inner, 0..5)
                .prop_map(|keys| Value::Object(keys.into_iter().collect())),
        ]
    })
}

/// Every path of a document with the value there.
fn places(value: &Value, path: &mut Vec<Segment>, all: &mut Vec<(Vec<Segment>, Value)>) {
    all.push((path.clone(), value.clone()));
    let mut below = |segment, child: &Value| {
        path.push(segment);
        places(child, path, all);
        path.pop();
    };
    match value {
        Value::Array(items) => items.iter().enumerate().for_each(|(i, v)| below(Segment::Index(i), v)),
        Value::Object(keys) => keys.iter().for_each(|(k, v)| below(Segment::Key(k.clone()), v)),
        _ => {}
    }
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics_the_reader(text in ".{0,200}") {
        let _checked = read(&text).map(|source| source.decode::<Shop>().is_ok());
    }

    #[test]
    fn text_made_of_yaml_marks_never_panics_the_reader(text in "[-:?,\\[\\]{}#&*!|>'\"%@` \n\ta0~<]{0,80}") {
        let _checked = read(&text).map(|source| source.decode::<Shop>().is_ok());
    }

    #[test]
    fn what_json_writes_is_read_back_the_same(document in document()) {
        let pretty = serde_json::to_string_pretty(&document).expect("json");
        let source = read(&pretty).expect("JSON is YAML");
        prop_assert_eq!(source.value(), &document);
    }

    #[test]
    fn every_path_leads_back_to_its_own_value(document in document()) {
        let pretty = serde_json::to_string_pretty(&document).expect("json");
        let source = read(&pretty).expect("JSON is YAML");
        let lines: Vec<Vec<char>> = pretty.lines().map(|line| line.chars().collect()).collect();
        let mut all = Vec::new();
        places(&document, &mut Vec::new(), &mut all);
        for (segments, value) in all {
            let (line, column) = source.locate(&write_path(&segments));
            let shown: String = lines[line as usize - 1][column as usize - 1..].iter().collect();
            let key_shown = value.is_array() || value.is_object();
            let expected = match segments.last() {
                Some(Segment::Key(key)) if key_shown => Value::from(key.as_str()).to_string(),
                _ if value.is_array() => "[".to_owned(),
                _ if value.is_object() => "{".to_owned(),
                _ => value.to_string(),
            };
            prop_assert!(shown.starts_with(&expected), "{:?}: {} at {}", segments, expected, shown);
        }
    }
}
