//! The city: valid numbers, each once, rows that fit one another, the same city each time.
use std::{collections::HashSet, sync::Arc};

use serde_json::json;

use super::*;
use crate::tables::SharedTables;

fn spec(citizens: u32) -> CitySpec {
    serde_json::from_value(json!({"city": "v1", "seed": 7, "citizens": citizens})).expect("a declaration")
}

fn tables(citizens: u32) -> Arc<SharedTables> {
    SharedTables::of(Some(spec(citizens)), &Arc::default())
}

fn rows(tables: &SharedTables, table: &str) -> Vec<Row> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let (rows, next) = tables.view().page("", table, &after, 500).expect("a table");
        all.extend(rows);
        match next {
            Some(next) => after = next,
            None => return all,
        }
    }
}

/// MOD 11-2 seen from the verifying side.
fn is_valid(id: &str) -> bool {
    let value = |c: char| if c == 'X' { 10 } else { c.to_digit(10).unwrap_or(99) };
    let sum: u32 = id.chars().enumerate().map(|(i, c)| value(c) * (2_u32.pow(17 - i as u32) % 11)).sum();
    id.len() == 18 && sum % 11 == 1
}

fn text<'r>(row: &'r Row, column: &str) -> &'r str {
    row[column].as_str().unwrap_or_else(|| panic!("{column} of {row:?}"))
}

#[test]
fn ten_thousand_people_have_valid_numbers_of_all_kinds_each_once() {
    let people = rows(&tables(10_000), "city.citizens");
    assert_eq!(people.len(), 10_000);
    let ids: HashSet<&str> = people.iter().map(|row| text(row, "idNo")).collect();
    assert_eq!(ids.len(), 10_000);
    assert!(ids.iter().all(|id| is_valid(id)));
    for row in &people {
        let id = text(row, "idNo");
        assert_eq!(&id[6..14], text(row, "birth"));
        let order = id.as_bytes()[16] - b'0';
        assert_eq!(text(row, "gender"), if order % 2 == 1 { "1" } else { "2" }, "{id}");
        let kind = match &id[..2] {
            "81" | "82" | "83" => "hmt",
            "93" => "fpr",
            _ => "resident",
        };
        assert_eq!(text(row, "idKind"), kind);
        if kind == "fpr" {
            assert_eq!(&id[3..6], text(row, "country"));
        }
    }
    let count = |kind: &str| people.iter().filter(|row| row["idKind"] == kind).count();
    assert!(count("hmt") > 100 && count("fpr") > 100, "{} {}", count("hmt"), count("fpr"));
    let phones: HashSet<&str> = people.iter().map(|row| text(row, "phone")).collect();
    assert_eq!(phones.len(), 10_000);
    let is_rare = |name: &str| name.chars().any(|c| u32::from(c) > 0xFFFF || "䶮㛃".contains(c));
    assert!(people.iter().filter(|row| is_rare(text(row, "name"))).count() > 50);
}

#[test]
fn every_table_tells_the_same_of_a_person() {
    let tables = tables(2_000);
    let view = tables.view();
    let one = |table, key: &str| view.row("", table, key).expect("a table");
    for card in rows(&tables, "city.cards") {
        let person = one("city.citizens", text(&card, "idNo")).expect("its holder");
        assert_eq!(person["name"], card["name"]);
        let account = one("city.accounts", text(&card, "account")).expect("its account");
        assert_eq!(
            (&account["cardNo"], &account["bankCode"], &account["idNo"]),
            (&card["cardNo"], &card["bankCode"], &card["idNo"])
        );
        assert_eq!(card["status"] == "LOST", account["status"] == "3");
        assert!(view.find("", "city.cards", "idNo", text(&card, "idNo")).expect("indexed").contains(&card));
    }
    for permit in rows(&tables, "city.permits") {
        let person = one("city.citizens", text(&permit, "idNo")).expect("its holder");
        assert_ne!(person["hukou"], "local", "who is at home needs no permit");
        let house = one("city.houses", text(&permit, "houseCode")).expect("its house");
        assert_eq!((&house["address"], &permit["address"]), (&person["address"], &person["address"]));
        assert!(text(&permit, "validFrom") < text(&permit, "validTo"));
    }
    for senior in rows(&tables, "city.seniors") {
        assert!(text(&senior, "idNo")[6..10].parse::<i32>().expect("a year") <= 1961);
    }
    for paid in rows(&tables, "city.contributions") {
        assert_eq!(paid["insured"] == true, paid["continuousMonths"] != 0);
    }
}

#[test]
fn a_seed_gives_one_city_and_another_seed_another() {
    let (one, same) = (rows(&tables(300), "city.cards"), rows(&tables(300), "city.cards"));
    assert_eq!(one, same);
    let mut other = spec(300);
    other.seed = 8;
    assert_ne!(one, rows(&SharedTables::of(Some(other), &Arc::default()), "city.cards"));
}

#[test]
fn quick_cells_are_those_of_the_rows() {
    let city = City::new(&spec(500));
    for form in TABLES {
        for number in (0..500).filter(|number| city.has(form, *number)) {
            let row = city.row(form, number);
            for column in std::iter::once(form.key()).chain(form.indexes.iter().copied()) {
                assert_eq!(city.cell(form, number, column), text(&row, column), "{} {column}", form.name);
            }
            assert_eq!(row.len(), form.columns.len(), "{}", form.name);
        }
    }
}
