//! Layers over the base: who sees what, indexes that follow, changes that all happen or none.
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn tables() -> Arc<SharedTables> {
    let spec = json!({"city": "v1", "seed": 1, "citizens": 20, "rows": {"city.cards": [
        {"cardNo": "C1", "idNo": "P1", "status": "NORMAL", "account": "A1"},
        {"cardNo": "C2", "idNo": "P1", "status": "CANCELLED", "account": "A2"},
    ]}});
    SharedTables::of(serde_json::from_value(spec).ok(), &Arc::default())
}

fn row(cells: Value) -> Row {
    cells.as_object().expect("an object").clone()
}

fn put(tables: &SharedTables, session: &str, key: &str, change: Change) -> Result<(), String> {
    let form = tables.form("city.cards").expect("the table");
    tables.view().apply(session, vec![(form, key.to_owned(), change)], false)
}

fn status(tables: &SharedTables, session: &str, key: &str) -> Option<Value> {
    tables.view().row(session, "city.cards", key).expect("the table").map(|row| row["status"].clone())
}

fn keys(tables: &SharedTables, session: &str, column: &str, value: &str) -> Vec<String> {
    let found = tables.view().find(session, "city.cards", column, value).expect("indexed");
    found.iter().map(|row| text_of(row.get("cardNo"))).collect()
}

#[test]
fn a_session_sees_its_own_writing_over_the_common_one_over_the_base() {
    let tables = tables();
    put(&tables, "", "C1", Change::Set(row(json!({"status": "LOST"})))).expect("there is one");
    assert_eq!(
        (status(&tables, "", "C1"), status(&tables, "s", "C1")),
        (Some(json!("LOST")), Some(json!("LOST")))
    );
    put(&tables, "s", "C1", Change::Set(row(json!({"status": "MAKING"})))).expect("there is one");
    assert_eq!(
        (status(&tables, "", "C1"), status(&tables, "s", "C1")),
        (Some(json!("LOST")), Some(json!("MAKING")))
    );
    assert_eq!(status(&tables, "t", "C1"), Some(json!("LOST")), "another session");
    tables.view().clear(Some("s"));
    assert_eq!(status(&tables, "s", "C1"), Some(json!("LOST")));
    tables.view().clear(None);
    assert_eq!(status(&tables, "", "C1"), Some(json!("NORMAL")));
}

#[test]
fn rows_are_found_by_what_they_hold_now() {
    let tables = tables();
    assert_eq!(keys(&tables, "", "idNo", "P1"), ["C1", "C2"]);
    put(&tables, "s", "C1", Change::Set(row(json!({"idNo": "P2"})))).expect("there is one");
    put(&tables, "s", "C3", Change::Insert(row(json!({"idNo": "P1"})))).expect("a new one");
    put(&tables, "s", "C2", Change::Remove).expect("there is one");
    assert_eq!(keys(&tables, "s", "idNo", "P1"), ["C3"]);
    assert_eq!(keys(&tables, "s", "idNo", "P2"), ["C1"]);
    assert_eq!(keys(&tables, "s", "cardNo", "C2"), Vec::<String>::new());
    assert_eq!(keys(&tables, "", "idNo", "P1"), ["C1", "C2"]);
    assert!(
        tables
            .view()
            .find("", "city.cards", "status", "LOST")
            .is_err_and(|why| why.contains("cardNo, idNo, account"))
    );
}

#[test]
fn of_several_changes_all_are_made_or_none() {
    let tables = tables();
    let form = tables.form("city.cards").expect("the table");
    let lost = || Change::Set(row(json!({"status": "LOST"})));
    let refused =
        tables.view().apply("", vec![(form, "C1".into(), lost()), (form, "nobody".into(), lost())], false);
    assert!(refused.is_err_and(|why| why.contains("no row of this key")));
    assert_eq!(status(&tables, "", "C1"), Some(json!("NORMAL")));
    let insert = Change::Insert(row(json!({"status": "MAKING"})));
    let both = vec![(form, "C9".to_owned(), insert.clone()), (form, "C9".to_owned(), lost())];
    tables.view().apply("", both, false).expect("the second sees the first");
    assert_eq!(status(&tables, "", "C9"), Some(json!("LOST")));
    assert!(put(&tables, "", "C9", insert).is_err_and(|why| why.contains("already")));
    assert!(
        put(&tables, "", "C1", Change::Set(row(json!({"colour": 1}))))
            .is_err_and(|why| why.contains("colour"))
    );
    tables.view().apply("", vec![(form, "C1".into(), lost())], true).expect("dry");
    assert_eq!(status(&tables, "", "C1"), Some(json!("NORMAL")), "a dry run writes nothing");
}

#[test]
fn what_a_session_writes_is_bounded() {
    let tables = tables();
    let form = tables.form("city.cards").expect("the table");
    let view = tables.view();
    let many =
        (0..super::layer::MAX_ROWS).map(|n| (form, format!("K{n}"), Change::Insert(Row::new()))).collect();
    view.apply("s", many, false).expect("just within the bound");
    assert!(
        put(&tables, "s", "one more", Change::Insert(Row::new())).is_err_and(|why| why.contains("reset"))
    );
    put(&tables, "t", "one more", Change::Insert(Row::new())).expect("another session has its own bound");
    assert_eq!((view.written("s"), view.written("t"), view.written("")), (super::layer::MAX_ROWS, 1, 0));
}

#[test]
fn a_changed_declaration_starts_another_city_and_the_same_one_goes_on() {
    let first = tables();
    put(&first, "", "C1", Change::Remove).expect("there is one");
    let same = SharedTables::of(tables().spec.clone(), &first);
    assert!(Arc::ptr_eq(&first, &same));
    assert!(!Arc::ptr_eq(&first, &SharedTables::of(None, &first)));
    let none = SharedTables::default();
    assert!(none.form("city.cards").is_err_and(|why| why.contains("city/city.yaml")));
    assert!(first.form("city.card").is_err_and(|why| why.contains("city.cards")));
}

proptest! {
    /// Against a plain map per session.
    #[test]
    fn pages_and_lookups_agree_with_a_plain_map(
        steps in prop::collection::vec((0..3_usize, 0..6_u8, 0..4_u8), 0..60),
    ) {
        let tables = tables();
        let form = tables.form("city.cards").expect("the table");
        let sessions = ["", "s", "t"];
        let mut own: Vec<std::collections::BTreeMap<String, Option<String>>> = vec![Default::default(); 3];
        for (who, key, value) in steps {
            let key = format!("Z{key}");
            let change = if value == 0 { Change::Remove } else { Change::Put(row(json!({"idNo": format!("V{value}")}))) };
            let seen = |at: usize, key: &str| own[at].get(key).or_else(|| own[0].get(key)).cloned().flatten();
            let there = seen(who, &key).is_some();
            let done = tables.view().apply(sessions[who], vec![(form, key.clone(), change)], false);
            prop_assert_eq!(done.is_ok(), value != 0 || there);
            if done.is_ok() {
                own[who].insert(key, (value != 0).then(|| format!("V{value}")));
            }
        }
        for (at, session) in sessions.into_iter().enumerate() {
            let mut seen = own[0].clone();
            seen.extend(own[at].clone());
            let seen: Vec<(String, String)> = seen.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
            let (rows, _) = tables.view().page(session, "city.cards", "Y", 100).expect("the table");
            let listed: Vec<(String, String)> = rows.iter().map(|row| (text_of(row.get("cardNo")), text_of(row.get("idNo")))).collect();
            prop_assert_eq!(&listed, &seen);
            for value in ["V1", "V2", "V3"] {
                let wanted: Vec<String> = seen.iter().filter(|(_, has)| has == value).map(|(key, _)| key.clone()).collect();
                prop_assert_eq!(keys(&tables, session, "idNo", value), wanted);
            }
        }
    }
}
