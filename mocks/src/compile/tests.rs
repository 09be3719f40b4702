//! The compiled partner: what the index leaves to be tried, what is encoded ahead, what needs state.
use bytes::Bytes;
use http::{HeaderMap, Method};

use super::*;
use crate::files::PartnerFiles;
use crate::{
    facts::{Facts, Incoming},
    matching::{Memo, explain},
};

const HEAD: &str = "mock: v1\npartner: p\ntitle: t\nlisten: [{id: r, proto: http, path: /p}]\nselect: $.request.item\nstubs:\n";

fn compiled(text: &str) -> Partner {
    let files = PartnerFiles::of_text("p", text).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    let vault = Vault::in_memory().expect("a vault");
    partner(files, &vault, &Arc::default(), None).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

fn refused(text: &str) -> String {
    let vault = Vault::in_memory().expect("a vault");
    let result = PartnerFiles::of_text("p", text)
        .and_then(|files| partner(files, &vault, &Arc::default(), None).map(|_| ()));
    result.expect_err("mistakes").iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn post(body: &str) -> Incoming {
    Incoming {
        method: Method::POST,
        path: "/".into(),
        query: None,
        headers: HeaderMap::new(),
        body: Bytes::copy_from_slice(body.as_bytes()),
        session: "".into(),
    }
}

fn tried(partner: &Partner, incoming: &Incoming) -> usize {
    let facts = Facts::new(incoming, partner, &partner.listeners[0]);
    let mut memo = Memo::new(&facts, &partner.sources);
    partner.listeners[0].index.candidates(&mut memo).count()
}

#[test]
fn of_thousands_of_stubs_of_one_item_the_index_leaves_one_to_try() {
    let mut text = HEAD.to_owned();
    for n in 0..2_000 {
        text.push_str(&format!(
            "  - {{id: s{n}, item: A, when: {{all: [{{json: $.request.id, equals: {n}}}]}}, respond: {{json: {{n: {n}}}}}}}\n"
        ));
    }
    let partner = compiled(&text);
    assert_eq!(tried(&partner, &post(r#"{"item": "A", "id": 7}"#)), 1);
    assert_eq!(tried(&partner, &post(r#"{"item": "A", "id": 2000}"#)), 0);
}

#[test]
fn stubs_told_apart_by_item_alone_never_look_elsewhere() {
    let mut text = HEAD.to_owned();
    for n in 0..500 {
        text.push_str(&format!("  - {{id: s{n}, item: I{n}, respond: {{json: {{}}}}}}\n"));
    }
    text.push_str("  - {id: rest, priority: -1, respond: {json: {}}}\n");
    let partner = compiled(&text);
    assert_eq!(tried(&partner, &post(r#"{"item": "I42"}"#)), 2);
    assert_eq!(tried(&partner, &post(r#"{"item": "none"}"#)), 1);
}

#[test]
fn constant_answers_are_encoded_ahead_and_need_no_state() {
    let partner = compiled(
        &(HEAD.to_owned()
            + "  - {id: a, item: A, respond: {json: {n: 1}}}\n  - {id: b, item: B, respond: {json: {n: \"${inst.count}\"}}}\n"),
    );
    let find = |id: &str| partner.stubs.iter().find(|stub| *stub.id == *id).expect(id);
    assert_eq!(find("a").answer.ready[0].as_deref(), Some(&b"{\"n\":1}"[..]));
    assert!(!find("a").needs_instance);
    assert!(find("b").answer.ready.first().and_then(Option::as_ref).is_none() && find("b").needs_instance);
}

#[test]
fn stubs_on_one_path_with_alternatives_are_not_taken_for_one_another() {
    let stub = |id: &str, when: &str| {
        format!("  - {{id: {id}, when: {{path: /x, {when}}}, respond: {{json: {{}}}}}}\n")
    };
    let alike = [
        stub("a", "all: [{json: $.request.n, equals: 1}]"),
        stub("b", "any: [{json: $.request.n, equals: 2}]"),
        stub("c", "all: [{json: $.request.n, equals: 3}]"),
    ];
    assert_eq!(compiled(&(HEAD.to_owned() + &alike.concat())).stubs.len(), 3);
    let prioritised =
        alike.concat().replace("{id: a,", "{id: a, priority: 3,").replace("{id: b,", "{id: b, priority: 2,");
    assert_eq!(compiled(&(HEAD.to_owned() + &prioritised)).stubs.len(), 3);
}

#[test]
fn a_stub_is_shadowed_only_by_one_that_always_answers_before_it() {
    let shadowed = |stubs: &str| refused(&(HEAD.to_owned() + stubs));
    let wider_first = "  - {id: a, priority: 1, item: A, respond: {}}\n  - {id: b, item: A, when: {method: POST, all: [{json: $.request.x, equals: 1}]}, respond: {}}\n";
    assert!(shadowed(wider_first).contains("stubs[1].id: never answers: `a`"), "{}", shadowed(wider_first));
    // One that looks at state may let requests through.
    compiled(
        &(HEAD.to_owned()
            + "  - {id: a, priority: 1, item: A, state: {in: [done]}, respond: {}}\n  - {id: b, item: A, respond: {}}\n"),
    );
    compiled(
        &(HEAD.to_owned()
            + "  - {id: a, item: A, respond: {}}\n  - {id: b, item: A, when: {method: POST}, respond: {}}\n"),
    );
}

#[test]
fn stubs_told_apart_by_one_value_among_shared_conditions_do_not_shadow_one_another() {
    let stub = |id: &str, header: &str| {
        format!(
            "  - {{id: {id}, when: {{method: GET, path: \"/a/{{b}}\", header: {{{header}}}}}, respond: {{}}}}\n"
        )
    };
    let plain = "  - {id: plain, when: {method: GET, path: \"/a/{b}\"}, respond: {}}\n";
    compiled(&(HEAD.to_owned() + plain + &stub("x", "h: x") + &stub("y", "h: y") + &stub("z", "h: z")));
}

#[test]
fn templates_and_selectors_name_only_documents_that_are_there() {
    let told = refused(
        &(HEAD.to_owned()
            + "  - {id: a, item: A, when: {all: [{json: $.inst.state, equals: x}]}, respond: {json: {a: \"${sealed.x}\", b: \"${seq(1)\"}}}\n"),
    );
    assert!(told.contains("stubs[0].when.all[0].json: there is no document `inst` here"), "{told}");
    assert!(told.contains("stubs[0].respond.json.b"), "{told}");
}

#[test]
fn the_diagnosis_shows_the_nearest_of_thousands() {
    let mut text = HEAD.to_owned();
    for n in 0..3_000 {
        text.push_str(&format!(
            "  - {{id: s{n}, item: A, when: {{all: [{{json: $.request.id, equals: {n}}}, {{json: $.request.age, gte: {}}}]}}, respond: {{}}}}\n",
            n % 100
        ));
    }
    let partner = compiled(&text);
    let nearest = explain::nearest(&partner, None, 0, &post(r#"{"item": "A", "id": 99, "age": -1}"#));
    assert_eq!(nearest.len(), 3);
    assert_eq!(nearest[0].stub, "s99", "the only one whose id fits");
    let misses: usize =
        nearest.iter().map(|stub| stub.criteria.iter().filter(|criterion| !criterion.ok).count()).sum();
    assert_eq!(misses, 1 + 2 + 2, "the nearest by one criterion, the others by two: {nearest:?}");
}
