//! Compiling: every mistake with its place, routing, grants, and what outlives a plan.
use http::Method;
use serde_json::json;

use super::*;
use crate::{
    definitions::{GrantDefinition, InterfaceDefinition},
    partner::breaker::BreakerState,
    run::tests::{Bench, Partners, Reaction, definitions, interface, plan_of, read, system},
};

fn mistakes(flow: &str) -> Vec<(String, String)> {
    let partners = Partners::new(|_| Reaction::Hang);
    let definitions = definitions(vec![system("a", "")], vec![interface("", flow)]);
    let Err(wrong) = plan_of(&definitions, &partners, None) else { panic!("compiled") };
    wrong
        .into_iter()
        .map(|mistake| (mistake.path, mistake.message + &mistake.remedy.unwrap_or_default()))
        .collect()
}

#[test]
fn every_mistake_of_a_flow_is_told_with_its_place() {
    let found = mistakes(
        "
  - {id: one, call: {system: aa, operation: query}}
  - {id: two, when: 'request.', call: {system: a, operation: quer}}
  - {id: three, call: {system: a, operation: query, with: [{to: x, from: request.a}, {to: y, from: $.nowhere.a}]}}
  - {id: three, map: [], set: {}}
  - branch: [{steps: [{respond: {body: {}, from: $.request}}]}, {when: 'twoo.x', steps: []}]
  - parallel: {join: n-of-m, need: 3, branches: [{name: two, steps: []}]}
  - {validate: {schema: {type: 5}}}
  - {id: vars, each: {over: $.request.list, as: one, steps: [{fail: {code: '${x}', text: t}}]}}",
    );
    let places: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
    for place in [
        "flow[0].call.system",
        "flow[1].when",
        "flow[1].call.operation",
        "flow[2].call.with[0].from",
        "flow[3].id",
        "flow[3]",
        "flow[4].branch[0].when",
        "flow[4].branch[0].steps[0].respond",
        "flow[4].branch[1].when",
        "flow[5].parallel.branches[0].name",
        "flow[5].parallel.need",
        "flow[6].validate.schema.type",
        "flow[7].id",
        "flow[7].each.as",
        "flow[7].each.steps[0].fail.code",
    ] {
        assert!(places.contains(&place), "{place} is missing in {found:#?}");
    }
    let said = |place: &str| &found.iter().find(|(path, _)| path == place).expect(place).1;
    assert!(said("flow[1].call.operation").contains("query"), "{}", said("flow[1].call.operation"));
    assert!(said("flow[4].branch[1].when").contains("twoo"));
}

#[test]
fn a_document_no_step_gives_is_a_mistake() {
    let found = mistakes(
        "  - {call: {system: a, operation: query, with: [{to: y, from: $.nowhere.a}]}}\n  - respond: {body: {}}",
    );
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].0, "flow[0].call.with");
    assert!(found[0].1.contains("nowhere"));
}

#[test]
fn a_system_tells_its_mistakes_and_those_who_use_it_do_not_repeat_them() {
    let broken = read(
        "
system: a
title: 坏系统
protocol: http
headers: {'bad name': x, X-A: '${other}'}
judge: [{when: 'boody.x == 1', is: ok}]
request: {wire: {codec: json}, seal: {envelope: none, plain: {codec: json}}}
operations: {query: {title: 查, path: '/x/${', changing: false}}
",
    );
    let partners = Partners::new(|_| Reaction::Hang);
    let flow = "  - call: {system: a, operation: query}\n  - respond: {body: {}}";
    let Err(wrong) = plan_of(&definitions(vec![broken], vec![interface("", flow)]), &partners, None) else {
        panic!("compiled")
    };
    assert!(wrong.iter().all(|mistake| mistake.definition.kind == Kind::System), "{wrong:#?}");
    let places: Vec<_> = wrong.iter().map(|mistake| mistake.path.as_str()).collect();
    for place in [
        "headers[\"bad name\"]",
        "headers.X-A",
        "judge[0].when",
        "operations.query.request.seal.envelope",
        "operations.query.path",
    ] {
        let bare = place.replace("[\"", ".").replace("\"]", "");
        assert!(
            places.contains(&place) || places.contains(&bare.as_str()),
            "{place} is missing in {wrong:#?}"
        );
    }
}

fn exposed(id: &str, path: &str, methods: &str) -> InterfaceDefinition {
    let work = if path.ends_with('*') {
        "forward: {system: a, operation: query}"
    } else {
        "flow: [{respond: {body: {}}}]"
    };
    read(&format!(
        "interface: {id}\ntitle: 测试\npattern: sync\nexpose: {{path: '{path}', methods: [{methods}]}}\n{work}"
    ))
}

#[test]
fn routes_exact_paths_first_then_the_longest_prefix() {
    let faces = vec![
        exposed("a.exact", "/a/b", "POST"),
        exposed("a.get", "/a/b", "GET"),
        exposed("a.short", "/a/*", "GET, POST"),
        exposed("a.long", "/a/b/*", "GET"),
    ];
    let partners = Partners::new(|_| Reaction::Hang);
    let plan = plan_of(&definitions(vec![system("a", "")], faces), &partners, None).expect("compiles");
    let route = |method: Method, path: &str| match plan.route(&method, path) {
        Routed::Found(found) => found.id.to_string(),
        Routed::WrongMethod { allowed } => format!("{allowed:?}"),
        Routed::Nothing => "nothing".into(),
    };
    assert_eq!(route(Method::POST, "/a/b"), "a.exact");
    assert_eq!(route(Method::GET, "/a/b"), "a.get");
    assert_eq!(route(Method::PUT, "/a/b"), "[POST, GET]");
    assert_eq!(route(Method::GET, "/a/b/c"), "a.long");
    assert_eq!(route(Method::POST, "/a/b/c"), "[GET, HEAD]");
    assert_eq!(route(Method::HEAD, "/a/b/c"), "a.long", "what passes GET through passes HEAD too");
    assert_eq!(route(Method::HEAD, "/a/b"), "[POST, GET]", "a flow does not answer HEAD");
    assert_eq!(route(Method::POST, "/a/x/y"), "a.short");
    assert_eq!(route(Method::GET, "/a"), "a.short");
    assert_eq!(route(Method::GET, "/ab"), "nothing");
}

#[test]
fn two_interfaces_at_one_place_are_a_mistake() {
    let faces = vec![exposed("a.one", "/a", "GET, POST"), exposed("a.two", "/a", "POST")];
    let partners = Partners::new(|_| Reaction::Hang);
    let Err(wrong) = plan_of(&definitions(vec![], faces), &partners, None) else { panic!("compiled") };
    assert_eq!((wrong[0].definition.id.as_str(), wrong[0].path.as_str()), ("a.two", "expose.path"));
}

#[test]
fn grants_cover_interfaces_by_id_or_by_provider() {
    let mut definitions =
        definitions(vec![], vec![exposed("a.one", "/1", "POST"), exposed("b.one", "/2", "POST")]);
    let caller = "caller: portal\ntitle: 门户\ncredential: {key: 'vault:portal/key'}";
    definitions.callers.insert("portal".into(), Arc::new(read(caller)));
    let grant = |id: &str, interfaces: &str, more: &str| -> Arc<GrantDefinition> {
        Arc::new(read(&format!("grant: {id}\ncaller: portal\ninterfaces: [{interfaces}]\n{more}")))
    };
    definitions.grants.insert("g1".into(), grant("g1", "a.*", "window: {hours: ['08:00-09:00']}"));
    definitions.grants.insert("g2".into(), grant("g2", "a.one, a.*", "rate: {perSecond: 5}"));
    let partners = Partners::new(|_| Reaction::Hang);
    let plan = plan_of(&definitions, &partners, None).unwrap_or_else(|wrong| panic!("{wrong:#?}"));
    let ids = |caller: &str, interface: &str| -> Vec<_> {
        plan.grants(caller, interface).iter().map(|grant| grant.id.to_string()).collect()
    };
    assert_eq!(ids("portal", "a.one"), ["g1", "g2"]);
    assert!(ids("portal", "b.one").is_empty() && ids("nobody", "a.one").is_empty());
    definitions.grants.insert("g3".into(), grant("g3", "c.*, b.two", "window: {from: 2026-02-30}"));
    let Err(wrong) = plan_of(&definitions, &partners, None) else { panic!("compiled") };
    let places: Vec<_> = wrong.iter().map(|mistake| mistake.path.as_str()).collect();
    assert_eq!(places, ["window.from", "interfaces[0]", "interfaces[1]"]);
}

#[tokio::test(start_paused = true)]
async fn a_partners_state_outlives_the_plan_unless_its_limits_change() {
    let flow = "  - {id: asked, call: {system: a, operation: query, degrade: {lastGood: {key: request.id, maxAge: 1h}}}}
  - respond: {body: '${asked}'}";
    let breaker = |minimum: u32| format!("breaker: {{minimum: {minimum}, window: 1m, open: 1m}}");
    let healthy = Arc::new(parking_lot::Mutex::new(true));
    let script = {
        let healthy = healthy.clone();
        move |_: &_| if *healthy.lock() { Reaction::Answer(200, json!("kept")) } else { Reaction::Hang }
    };
    let first = Bench::with(vec![system("a", &breaker(2))], "", flow, script);
    assert_eq!(first.call(json!({"id": 1})).await.body, json!("kept"));
    *healthy.lock() = false;
    assert_eq!(first.call(json!({"id": 2})).await.fault(), 5002, "one of two failed");
    let state = |plan: &Plan| plan.partner_states().next().expect("a system").breaker;
    assert_eq!(state(&first.plan), BreakerState::Open);
    let again = |minimum, flow: &str| {
        let definitions = definitions(vec![system("a", &breaker(minimum))], vec![interface("", flow)]);
        let plan = plan_of(&definitions, &first.partners, Some(&first.plan)).expect("compiles");
        Bench { partners: first.partners.clone(), plan }
    };
    let same = again(2, &format!("{flow}\n  - set: {{more: 1}}"));
    assert_eq!((state(&same.plan), same.plan.number), (BreakerState::Open, 2));
    assert_eq!(same.call(json!({"id": 1})).await.body, json!("kept"));
    let changed = again(50, flow);
    assert_eq!(state(&changed.plan), BreakerState::Closed);
    assert_eq!(
        changed.call(json!({"id": 1})).await.body,
        json!("kept"),
        "the last good answers are not lost"
    );
    let other = again(2, &flow.replace("1h", "2h"));
    assert_eq!(other.call(json!({"id": 1})).await.fault(), 5003, "another definition, other answers");
}

#[tokio::test]
async fn the_definitions_of_this_project_compile() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../routes");
    let loaded = crate::load::load(&folder);
    assert!(loaded.mistakes.is_empty(), "{:#?}", loaded.mistakes);
    let partners = Partners::new(|_| Reaction::Hang);
    let plan = plan_of(&loaded.definitions, &partners, None).unwrap_or_else(|wrong| panic!("{wrong:#?}"));
    assert_eq!(plan.interfaces().count(), loaded.definitions.interfaces.len());
    assert!(
        plan.interface("permit.registration-upload").is_some_and(|interface| interface.request.is_some())
    );
}
