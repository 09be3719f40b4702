//! Pseudonyms: valid where the original is valid, of its form, the same everywhere, another one for everybody.
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::generate::{id_check, luhn_check};

fn pseudonyms(documents: &[Value], seed: u8) -> Pseudonyms {
    let mut originals = Originals::default();
    documents.iter().for_each(|document| originals.collect("", document));
    Pseudonyms::of(originals, [seed; 32])
}

fn safe(document: &Value) -> Value {
    let pseudonyms = pseudonyms(std::slice::from_ref(document), 7);
    let births = pseudonyms.births(document);
    pseudonyms.document("", document, &births)
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer} of {value}"))
}

/// MOD 11-2 from the verifying side.
fn is_valid(id: &str) -> bool {
    id.len() == 18 && id.is_ascii() && id[17..].eq_ignore_ascii_case(&id_check(&id[..17]).to_string())
}

#[test]
fn a_person_is_the_same_other_person_in_every_text() {
    let document = json!({
        "idNo": "310101199003074511",
        "name": "张三丰",
        "birth": "1990-03-07",
        "mobile": "13800005678",
        "bankCardNo": "6228480000000000018",
        "socialCardNo": "A12345678",
        "address": "上海市黄浦区人民大道200号3号楼502室",
        "email": "san.feng@mail.test",
        "note": "申请人张三丰（310101199003074511，电话13800005678）住上海市黄浦区人民大道200号",
        "retBody": "{\"name\":\"张三丰\",\"tel\":\"+8613800005678\"}",
        "xml": "<p><name>张三丰</name><card>6228480000000000018</card></p>",
        "url": "http://a.test/p?name=%E5%BC%A0%E4%B8%89%E4%B8%B0&x=1",
        "masked": "310***********4511",
        "rows": [{"name": "张*丰", "310101199003074511": 1}],
        "code": "0000",
        "bizNo": "MZ20260105000001",
    });
    let made = safe(&document);
    let all = made.to_string();
    for original in [
        "310101199003074511",
        "张三丰",
        "13800005678",
        "6228480000000000018",
        "A12345678",
        "人民大道200",
        "san.feng",
        "%E5%BC%A0",
        "张*丰",
        "1990-03-07",
    ] {
        assert!(!all.contains(original), "{original} in {all}");
    }
    let (id, name, phone) = (text(&made, "/idNo"), text(&made, "/name"), text(&made, "/mobile"));
    assert!(is_valid(id) && id.starts_with("310101"), "{id}");
    assert_eq!(text(&made, "/birth").replace('-', ""), id[6..14]);
    assert_eq!((name.chars().count(), &phone[..3], phone.len()), (3, "138", 11));
    let note = text(&made, "/note");
    assert!(note.contains(id) && note.contains(name) && note.contains(phone), "{note}");
    let inner: Value = serde_json::from_str(text(&made, "/retBody")).expect("JSON");
    assert_eq!((text(&inner, "/name"), text(&inner, "/tel")), (name, &*format!("+86{phone}")));
    assert!(text(&made, "/xml").contains(&format!("<name>{name}</name>")));
    assert!(percent_decode_str(text(&made, "/url")).decode_utf8_lossy().contains(name));
    assert_eq!(text(&made, "/masked"), format!("{}***********{}", &id[..3], &id[14..]));
    let chars: Vec<char> = name.chars().collect();
    assert_eq!(text(&made, "/rows/0/name"), format!("{}*{}", chars[0], chars[2]));
    assert!(made.pointer(&format!("/rows/0/{id}")).is_some(), "{made}");
    let address = text(&made, "/address");
    assert!(address.starts_with("上海市黄浦区") && address.ends_with('室'), "{address}");
    assert_eq!((text(&made, "/code"), text(&made, "/bizNo")), ("0000", "MZ20260105000001"));
}

#[test]
fn every_kind_of_identity_number_stays_one() {
    for original in [
        "310115200002290021",
        "11010519491231002X",
        "932682198501010017",
        "911124198108030024",
        "931840198001010017",
        "810000198507120034",
        "820000199001011224",
        "830000197811200046",
    ] {
        let made = safe(&json!(format!("no {original}.")));
        let made = made.as_str().expect("a text").trim_start_matches("no ").trim_end_matches('.');
        assert!(is_valid(made), "{original} {made}");
        assert_eq!(made[..6], original[..6]);
        assert_eq!(made.as_bytes()[16] % 2, original.as_bytes()[16] % 2, "{original} {made}");
        assert_ne!(made, original);
    }
    // A number with a wrong check character is a test of its own: it stays wrong.
    let wrong = safe(&json!({"idNo": "310101199003074512"}));
    assert!(!is_valid(text(&wrong, "/idNo")), "{wrong}");
    for (name, original) in
        [("idNo", "310101900307451"), ("certNo", "SAU310185010100"), ("passportNo", "E12345678")]
    {
        let made = safe(&json!({name: original}));
        let made = text(&made, &format!("/{name}"));
        assert!(made.len() == original.len() && made != original, "{made}");
    }
}

#[test]
fn things_stay_what_they_are() {
    let document = json!({
        "code": "0000", "msg": "操作成功", "deptName": "张江镇政府", "itemName": "高龄津贴", "name": "高龄津贴申请",
        "applyTime": "2026-11-22 14:20:00", "acceptNo": "MZ20261122000123", "ts": 1_795_328_400_000_u64, "amount": 12.5,
        "district": "上海市黄浦区", "uuid": "0af76519-16cd-43dd-8448-eb211c80319c",
    });
    assert_eq!(safe(&document), document);
}

#[test]
fn secrets_are_replaced_by_others_of_their_form() {
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";
    let document = json!({"accessToken": "a1B2c3D4e5F6", "sign": "MEUCIQDx+/8=", "note": format!("Bearer {token}"), "pwd": "abc"});
    let made = safe(&document);
    assert_eq!(text(&made, "/accessToken").len(), 12);
    for (pointer, original) in [("/accessToken", "a1B2c3D4e5F6"), ("/sign", "MEUCIQDx+/8="), ("/pwd", "abc")]
    {
        assert_ne!(text(&made, pointer), original);
    }
    assert!(!text(&made, "/note").contains(token));
}

#[test]
fn what_is_about_to_be_written_is_searched_for_originals() {
    let pseudonyms = pseudonyms(&[json!({"idNo": "310101199003074511", "accessToken": "a1B2c3D4e5F6"})], 1);
    assert_eq!(pseudonyms.leaks("key,name\n310101199003074511,x\n"), Some(Kind::Identity));
    assert_eq!(pseudonyms.leaks("token: a1B2c3D4e5F6"), Some(Kind::Secret));
    assert_eq!(pseudonyms.leaks("nothing"), None);
}

#[test]
fn a_short_number_is_not_looked_for_within_longer_ones() {
    let document = json!({"socialCardNo": "20261122", "at": "20261122142000", "note": "卡20261122可用"});
    let made = safe(&document);
    assert_eq!(text(&made, "/at"), "20261122142000");
    assert!(text(&made, "/note").contains(text(&made, "/socialCardNo")), "{made}");
    assert_ne!(text(&made, "/socialCardNo"), "20261122");
    let pseudonyms = pseudonyms(&[document], 7);
    assert_eq!(pseudonyms.leaks("no: 620261122999"), None);
    assert_eq!(pseudonyms.leaks("no: 20261122"), Some(Kind::Number));
}

#[test]
fn many_people_stay_apart_and_another_seed_gives_others() {
    let people: Vec<Value> = (0..800)
        .map(|n| {
            let body = format!("3101011990{:02}{:02}{:03}", n % 12 + 1, n % 28 + 1, n);
            json!({"idNo": format!("{body}{}", id_check(&body)), "phone": format!("138{n:08}")})
        })
        .collect();
    let (one, two) = (pseudonyms(&people, 1), pseudonyms(&people, 2));
    let made = |pseudonyms: &Pseudonyms| -> Vec<String> {
        people.iter().map(|person| pseudonyms.document("", person, &Births::new()).to_string()).collect()
    };
    let (ones, twos) = (made(&one), made(&two));
    let fields = |made: &[String]| -> BTreeSet<String> {
        let each = made.iter().flat_map(|text| {
            let value: Value = serde_json::from_str(text).expect("JSON");
            [self::text(&value, "/idNo").to_owned(), self::text(&value, "/phone").to_owned()]
        });
        each.collect()
    };
    assert_eq!(fields(&ones).len(), 1600, "everybody has numbers of their own");
    let alike = ones.iter().zip(&twos).filter(|(one, two)| one == two).count();
    assert_eq!(alike, 0);
    assert!(people.iter().all(|person| !fields(&ones).contains(text(person, "/idNo"))));
    assert_eq!(ones, made(&pseudonyms(&people, 1)), "the same key gives the same people");
}

proptest! {
    #[test]
    fn identity_numbers_stay_valid_of_their_place_sex_and_age(
        year in 1900_i32..2020, month in 1_u8..=12, day in 1_u8..=28, order in 1_u32..999, seed: u8,
    ) {
        let body = format!("310115{year:04}{month:02}{day:02}{order:03}");
        let original = format!("{body}{}", id_check(&body));
        let document = json!({"a": original, "b": [format!("x{original}.")]});
        let pseudonyms = pseudonyms(std::slice::from_ref(&document), seed);
        let made = pseudonyms.document("", &document, &Births::new());
        let id = text(&made, "/a");
        prop_assert!(is_valid(id) && id != original, "{}", id);
        prop_assert_eq!(&id[..6], "310115");
        prop_assert_eq!(id.as_bytes()[16] % 2, original.as_bytes()[16] % 2);
        let born: i32 = id[6..10].parse().expect("a year");
        prop_assert!((year - 4..=year).contains(&born), "{} {}", year, born);
        prop_assert_eq!(text(&made, "/b/0"), format!("x{id}."));
        prop_assert_eq!(pseudonyms.kind_of(id), Some(Kind::Identity));
    }

    #[test]
    fn bank_cards_keep_issuer_length_and_check_digit(digits in "62[0-9]{13,16}", seed: u8) {
        let original = format!("{digits}{}", luhn_check(&digits));
        let document = json!({"bankCardNo": original});
        let made = pseudonyms(std::slice::from_ref(&document), seed).document("", &document, &Births::new());
        let card = text(&made, "/bankCardNo");
        let (body, check) = card.split_at(card.len() - 1);
        prop_assert!(card.len() == original.len() && card != original, "{}", card);
        // An 18-digit card whose digits are a date as well counts as an identity number.
        if original.len() != 18 {
            prop_assert!(card[..6] == original[..6] && check.starts_with(luhn_check(body)), "{}", card);
        }
    }

    #[test]
    fn any_document_is_rewritten_without_panic_and_keeps_its_shape(texts in prop::collection::vec("\\PC{0,40}|[0-9*X%<>=&{}\\[\\]\"]{0,30}", 1..6), name in "name|idNo|address|token|phone|birth|photo|x") {
        let document = json!({name.clone(): texts[0], "list": texts});
        let made = safe(&document);
        prop_assert!(made[&name].is_string() || made[&name].is_null());
        prop_assert_eq!(made["list"].as_array().map(Vec::len), Some(texts.len()));
    }

    #[test]
    fn names_keep_their_length(given in "[\u{4E00}-\u{9FA5}]{1,3}", seed: u8) {
        let original = format!("张{given}");
        let document = json!({"xm": original});
        let made = pseudonyms(std::slice::from_ref(&document), seed).document("", &document, &Births::new());
        prop_assert_eq!(text(&made, "/xm").chars().count(), original.chars().count());
        prop_assert_ne!(text(&made, "/xm"), original);
    }
}
