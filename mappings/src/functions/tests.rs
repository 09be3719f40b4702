//! Tests of the function table: the same calls as `apply` rules make, with the vectors of the standards.

use super::call::Applied;
use super::*;
use crate::table::TableSpec;
use proptest::prelude::*;
use serde_json::json;
use std::collections::HashMap;

fn run(text: &str, input: Value) -> Result<Value, String> {
    let gender = TableSpec {
        entries: [("1", "男"), ("2", "女")].map(|(code, meaning)| (code.into(), meaning.into())).into(),
        ..TableSpec::default()
    };
    let tables = HashMap::from([("gender".to_owned(), Table::new(&gender))]);
    let applied = Applied::parse(text, &tables).map_err(|error| error.to_string())?;
    applied.run(&input, &json!({})).map_err(|error| error.to_string())
}

#[test]
fn every_row_is_documented_and_named_once() {
    for (index, function) in FUNCTIONS.iter().enumerate() {
        assert!(function.signature.starts_with(&format!("{}(", function.name)), "{}", function.name);
        assert!(function.doc.ends_with('.'), "{}", function.name);
        assert!(FUNCTIONS[..index].iter().all(|other| other.name != function.name), "{}", function.name);
    }
}

#[test]
fn works_on_text_by_character() {
    for (call, input, expected) in [
        ("trim", json!("\u{3000} 张三 \t"), json!("张三")),
        ("upper", json!("ab12x"), json!("AB12X")),
        ("substring(1)", json!("𬱖三李"), json!("三李")),
        ("substring(-2)", json!("𬱖三李"), json!("三李")),
        ("substring(1, 2)", json!("𬱖三李"), json!("三")),
        ("substring(5, 9)", json!("abc"), json!("")),
        ("replace(-, '')", json!("2026-03-09"), json!("20260309")),
        ("concat(' ', 'b')", json!("a"), json!("a b")),
        ("join('|')", json!(["a", 1, null]), json!("a|1|")),
        ("split('|')", json!("a||b"), json!(["a", "", "b"])),
        ("split('|')", json!(""), json!([])),
        ("padLeft(4)", json!("七"), json!("000七")),
        ("padRight(3, '*')", json!("七"), json!("七**")),
        ("padLeft(2)", json!("abc"), json!("abc")),
    ] {
        assert_eq!(run(call, input), Ok(expected), "{call}");
    }
}

#[test]
fn converts_numbers_exactly_or_refuses() {
    assert_eq!(run("number", json!(" -12 ")), Ok(json!(-12)));
    assert_eq!(run("number", json!("12.50")), Ok(json!(12.5)));
    assert_eq!(run("number", json!("18446744073709551615")), Ok(json!(u64::MAX)));
    for text in ["", "1e3", "0x10", "1.", ".5", "99999999999999999999", "一", "1,000"] {
        assert!(run("number", json!(text)).is_err(), "{text}");
    }
    assert_eq!(run("bool", json!("是")), Ok(json!(true)));
    assert!(run("bool", json!("2")).is_err());
    assert_eq!(run("text", json!(12)), Ok(json!("12")));
}

#[test]
fn moves_dates_and_months_within_the_calendar() {
    assert_eq!(run("date(yyyyMMdd, yyyy-MM-dd)", json!("20240229")), Ok(json!("2024-02-29")));
    assert_eq!(run("dateAdd(yyyyMMdd, 1, years)", json!("20240229")), Ok(json!("20250228")));
    assert_eq!(
        run("dateAdd(yyyyMMddHHmmss, -1, seconds)", json!("20260101000000")),
        Ok(json!("20251231235959"))
    );
    assert_eq!(run("addMonths(-6)", json!("202603")), Ok(json!("202509")));
    assert_eq!(run("monthsBetween(202603)", json!("202509")), Ok(json!(6)));
    assert!(run("dateAdd(yyyyMMdd, 1, weeks)", json!("20240229")).is_err());
    assert!(run("date(yyyyMMdd, yyyy-MM-dd)", json!("20230229")).is_err());
}

#[test]
fn writes_the_present_in_china_standard_time() {
    struct Fixed;
    impl crate::document::Scope for Fixed {
        fn get(&self, _: &str) -> Option<&Value> {
            None
        }
        fn now_millis(&self) -> i64 {
            1_767_225_600_123
        }
    }
    let now = |text| Applied::parse(text, &crate::table::NoTables).expect(text).run(&Value::Null, &Fixed);
    assert_eq!(now("now"), Ok(json!("2026-01-01 08:00:00")));
    assert_eq!(now("now(yyyyMMddHHmmssSSS)"), Ok(json!("20260101080000123")));
}

#[test]
fn accepts_the_published_identity_numbers_and_no_damaged_one() {
    let samples = [
        ("11010519491231002X", "resident", "2", "19491231"),
        ("310101199003074511", "resident", "1", "19900307"),
        ("310115200002290021", "resident", "2", "20000229"),
        ("932682198501010017", "fpr", "1", "19850101"),
        ("911124198108030024", "fpr", "2", "19810803"),
        ("810000199408230021", "hmt", "2", "19940823"),
        ("830000199201300022", "hmt", "2", "19920130"),
    ];
    for (number, kind, gender, birth) in samples {
        assert_eq!(run("idNo", json!(number.to_lowercase())), Ok(json!(number)));
        assert_eq!(run("idKind", json!(number)), Ok(json!(kind)));
        assert_eq!(run("idGender", json!(number)), Ok(json!(gender)));
        assert_eq!(run("idBirth", json!(number)), Ok(json!(birth)));
        for position in 0..17 {
            let mut damaged = number.as_bytes().to_vec();
            damaged[position] = b'0' + (damaged[position] - b'0' + 1) % 10;
            let damaged = String::from_utf8(damaged).expect("digits");
            assert_eq!(run("isIdNo", json!(damaged)), Ok(json!(false)), "{damaged}");
        }
    }
    assert!(run("idNo(fpr hmt)", json!("310101199003074511")).is_err());
    assert_eq!(run("idBirth(yyyy-MM-dd)", json!("310101199003074511")), Ok(json!("1990-03-07")));
    assert!(run("idNo(other)", json!("x")).is_err());
}

#[test]
fn checks_credit_codes_and_card_numbers() {
    assert_eq!(run("uscc", json!("91350100m000100y43")), Ok(json!("91350100M000100Y43")));
    assert_eq!(run("isUscc", json!("91350100M000100Y44")), Ok(json!(false)));
    assert_eq!(run("luhn", json!("79927398713")), Ok(json!("79927398713")));
    assert_eq!(run("isLuhn", json!("6228480000000000018")), Ok(json!(true)));
    assert_eq!(run("isLuhn", json!("79927398710")), Ok(json!(false)));
}

#[test]
fn masks_by_character() {
    for (kind, text, expected) in [
        ("name", "张三", "张*"),
        ("name", "张小三", "张*三"),
        ("name", "欧阳娜·古丽", "欧****丽"),
        ("name", "𬱖三", "𬱖*"),
        ("name", "MARY ANN", "M***"),
        ("idNo", "310101199003074511", "310***********4511"),
        ("phone", "13800005678", "138****5678"),
        ("card", "6228480000000000018", "622848*********0018"),
        ("email", "abc@example.com", "a***@example.com"),
        ("address", "上海市浦东新区世纪大道1号", "上海市浦东新区***"),
        ("last4", "沪A12345", "***2345"),
        ("phone", "110", "***"),
    ] {
        assert_eq!(run(&format!("mask({kind})"), json!(text)), Ok(json!(expected)), "{text}");
    }
}

#[test]
fn folds_names_to_the_form_to_compare() {
    assert_eq!(run("foldName", json!(" 欧阳娜・古丽 ")), Ok(json!("欧阳娜·古丽")));
    assert_eq!(run("foldName", json!("\u{E81E}三\u{E863}")), Ok(json!("\u{9FB4}三\u{E863}")));
    assert_eq!(run("foldName", json!("ＡＢ\u{3000}Ｃ")), Ok(json!("AB C")));
}

#[test]
fn reads_code_tables_both_ways() {
    assert_eq!(run("lookup(gender)", json!(1)), Ok(json!("男")));
    assert_eq!(run("reverseLookup(gender)", json!("女")), Ok(json!("2")));
    assert!(run("lookup(gender)", json!("9")).is_err());
}

#[test]
fn encodes_both_ways() {
    for (there, back) in [("hexEncode", "hexDecode"), ("base64Encode", "base64Decode")] {
        let encoded = run(there, json!("社保卡 𬱖")).expect(there);
        assert_eq!(run(back, encoded), Ok(json!("社保卡 𬱖")));
    }
    assert_eq!(run("parseJson", json!("{\"a\":[1]}")), Ok(json!({"a": [1]})));
    assert_eq!(run("toJson", json!({"a": [1]})), Ok(json!("{\"a\":[1]}")));
    assert!(run("base64Decode", json!("%")).is_err());
    assert_eq!(run("parseXml", json!("<a><b>1</b></a>")), Ok(json!({"a": {"b": "1"}})));
    assert_eq!(run("toXml", json!({"a": {"b": "<"}})), Ok(json!("<a><b>&lt;</b></a>")));
    // GB/T 32905 annex A, example 1
    let digest = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0";
    assert_eq!(run("sm3", json!("abc")), Ok(json!(digest)));
}

#[test]
fn chooses_and_lists() {
    assert_eq!(run("coalesce('', x)", Value::Null), Ok(json!("x")));
    assert_eq!(run("size", json!("𬱖三")), Ok(json!(2)));
    assert_eq!(run("list", json!("a")), Ok(json!(["a"])));
    assert_eq!(run("list", Value::Null), Ok(json!([])));
}

#[test]
fn no_error_repeats_the_value() {
    for function in FUNCTIONS.iter().filter(|function| function.min_arguments == 0 && function.takes_input) {
        if let Err(message) = run(function.name, json!("机密\u{1}9Z")) {
            assert!(!message.contains("机密"), "{}: {message}", function.name);
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_a_function_panic(text in ".{0,24}") {
        for function in FUNCTIONS.iter().filter(|function| function.min_arguments == 0) {
            drop(run(function.name, json!(text)));
        }
        for call in ["substring(-3, 2)", "mask(name)", "mask(address)", "mask(email)", "date(yyyyMMdd, yyyy)", "split(a)"] {
            drop(run(call, json!(text)));
        }
    }

    #[test]
    fn a_mask_never_shows_the_middle(text in "[0-9]{8,19}") {
        let masked = run("mask(phone)", json!(text)).expect("digits");
        let masked = masked.as_str().expect("text");
        prop_assert_eq!(masked.len(), text.len());
        prop_assert!(masked[3..text.len() - 4].bytes().all(|b| b == b'*'));
    }
}
