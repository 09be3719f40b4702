//! Starting, stopping one partner, reloading, draining.
use std::time::Duration;

use serde_json::json;

use crate::help::{Broken, serve, serve_with, write};

fn partner(id: &str, answer: &str) -> String {
    format!(
        "mock: v1\npartner: {id}\ntitle: 一\nlisten: [{{id: r, proto: http, path: /{id}}}]\nstubs:\n  - {{id: ok, respond: {{json: {{v: {answer}}}}}}}\n"
    )
}

#[tokio::test]
async fn a_stopped_partner_resets_while_the_others_answer() {
    let files = [("a/partner.yaml", &*partner("a", "1")), ("b/partner.yaml", &*partner("b", "2"))];
    let mocks = serve_with(&files, qiao_vault::Vault::in_memory().expect("a vault"), |_| {});
    let mut kept = mocks.connect().await;
    assert_eq!(
        kept.send("GET", "/a/health", &[], "").await.expect("an answer").json(),
        json!({"partner": "a", "status": "up"})
    );
    assert!(mocks.server.stop("a"));
    assert!(!mocks.server.stop("nobody"));
    assert_eq!(kept.send("GET", "/a/health", &[], "").await, Err(Broken::Reset), "an open connection too");
    assert_eq!(mocks.connect().await.send("POST", "/a", &[], "{}").await, Err(Broken::Reset));
    assert_eq!(mocks.post("/b", &json!({})).await.json(), json!({"v": 2}));
    assert_eq!(mocks.admin("POST", "/api/mocks/partners/a/start", None).await.status, 200);
    assert_eq!(mocks.post("/a", &json!({})).await.json(), json!({"v": 1}));
}

#[tokio::test]
async fn a_reload_replaces_all_or_nothing_and_names_every_mistake() {
    let mocks = serve("a", &partner("a", "1"));
    write(&mocks.folder, "a/partner.yaml", &partner("a", "2"));
    write(&mocks.folder, "b/partner.yaml", &partner("b", "3").replace("{v: 3}", "{v: \"${no.such}\"}"));
    let refused = mocks.admin("POST", "/api/mocks/reload", None).await;
    assert_eq!(refused.status, 422);
    let mistakes = refused.json()["mistakes"].clone();
    assert_eq!(
        (&mistakes[0]["line"], &mistakes[0]["path"]),
        (&json!(6), &json!("stubs[0].respond.json")),
        "{mistakes}"
    );
    assert_eq!(mocks.post("/a", &json!({})).await.json(), json!({"v": 1}), "the old one stays");
    write(&mocks.folder, "b/partner.yaml", &partner("b", "3"));
    let done = mocks.server.reload().expect("no mistake");
    assert_eq!((done.version, done.partners, done.stubs), (2, 2, 2));
    assert_eq!(mocks.post("/a", &json!({})).await.json(), json!({"v": 2}));
    assert_eq!(mocks.post("/b", &json!({})).await.json(), json!({"v": 3}));
}

#[tokio::test]
async fn state_survives_a_reload() {
    let yaml = "mock: v1\npartner: s\ntitle: 态\nlisten: [{id: r, proto: http, path: /s}]\ninstance: {key: $.request.k}\nstubs:\n  - {id: done, state: {in: [seen]}, respond: {json: {v: again}}}\n  - {id: see, state: {in: [new], to: seen}, respond: {json: {v: first}}}\n";
    let mocks = serve("s", yaml);
    assert_eq!(mocks.post("/s", &json!({"k": 1})).await.stub(), "see");
    mocks.server.reload().expect("no mistake");
    assert_eq!(mocks.post("/s", &json!({"k": 1})).await.stub(), "done");
}

#[tokio::test]
async fn mistakes_are_told_all_at_once_with_line_and_column() {
    let folder = tempfile::tempdir().expect("a folder");
    write(
        &folder,
        "civil/partner.yaml",
        r#"mock: v1
partner: civil
title: 错
listen: [{id: rest, proto: http, path: /mz}]
select: $.request.item
stubs:
  - {id: one, item: A, respond: {json: {}}}
  - {id: one, item: B, listener: rset, respond: {json: {}}}
  - {id: never, item: A, respond: {json: {}}}
  - {id: regex, item: C, when: {all: [{json: $.request.a, matches: "("}]}, respond: {}}
  - {id: where, item: D, when: {all: [{json: $.requst.a, equals: 1}]}, respond: {text: "${nope(1)}"}}
  - {id: two, item: E, when: {all: [{json: $.request.a, equals: 1, gte: 2}, {equals: 1}]}, respond: {json: {}, text: x}}
  - {id: fault, item: F, fault: {kind: reset, status: 500}, delay: {fixed: 11m}, respond: {}}
"#,
    );
    let vault = qiao_vault::Vault::in_memory().expect("a vault");
    let mistakes = qiao_mocks::check(folder.path(), &vault).expect_err("mistakes");
    let told: Vec<String> =
        mistakes.iter().map(|m| format!("{}: {}: {}", m.line, m.path, m.message)).collect();
    let has = |line: u32, path: &str, part: &str| {
        let wanted = |m: &&qiao_mappings::strict::Mistake| {
            m.line == line && m.path == path && m.message.contains(part)
        };
        assert!(mistakes.iter().any(|m| wanted(&m)), "{line} {path} {part} not in {told:#?}");
    };
    has(8, "stubs[1].listener", "no listener `rset`");
    has(9, "stubs[2].id", "never answers: `one`");
    has(10, "stubs[3].when.all[0].matches", "");
    has(11, "stubs[4].when.all[0].json", "no document `requst`");
    has(11, "stubs[4].respond.text", "nope");
    has(12, "stubs[5].when.all[0]", "exactly one of equals");
    has(12, "stubs[5].when.all[1]", "exactly one of json");
    has(12, "stubs[5].respond", "at most one of json");
    has(13, "stubs[6].fault.status", "`reset` has no `status`");
    has(13, "stubs[6].delay", "at most 10m");
}

#[tokio::test]
async fn ids_used_twice_and_shared_paths_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let twice = partner("a", "1") + "  - {id: ok, priority: 3, when: {method: GET}, respond: {json: {}}}\n";
    write(&folder, "a/partner.yaml", &twice);
    let vault = qiao_vault::Vault::in_memory().expect("a vault");
    let told = |folder: &tempfile::TempDir| {
        let mistakes = qiao_mocks::check(folder.path(), &vault).expect_err("mistakes");
        mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    assert!(told(&folder).contains("there is another stub `ok`"), "{}", told(&folder));
    write(&folder, "a/partner.yaml", &partner("a", "1"));
    write(&folder, "b/partner.yaml", &partner("b", "1").replace("path: /b", "path: /a"));
    assert!(told(&folder).contains("taken by `a`"), "{}", told(&folder));
}

#[tokio::test]
async fn shutdown_lets_the_answer_at_hand_finish_and_accepts_no_more() {
    let slow = partner("a", "1").replace("respond:", "delay: {fixed: 300ms}, respond:");
    let mocks = serve("a", &slow);
    let mut client = mocks.connect().await;
    client.write("POST", "/a", &[], "{}").await;
    let asked = std::time::Instant::now();
    while mocks.admin("GET", "/api/mocks/journal", None).await.json()["entries"]
        .as_array()
        .is_none_or(Vec::is_empty)
    {
        assert!(asked.elapsed() < crate::help::PATIENCE);
    }
    let addr = mocks.server.addr();
    let server = mocks.server.clone();
    let shut = tokio::spawn(async move { server.shutdown(Duration::from_secs(10)).await });
    assert_eq!(client.read().await.expect("the answer at hand").json(), json!({"v": 1}));
    assert_eq!(shut.await.expect("a task"), 0, "nothing had to be forced");
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn bodies_over_the_bound_and_paths_of_nobody_are_refused() {
    let mocks = serve("a", &partner("a", "1").replace("path: /a}", "path: /a, bodyBytes: 1KiB}"));
    let long = "x".repeat(2_000);
    assert_eq!(mocks.connect().await.send("POST", "/a", &[], &long).await.expect("an answer").status, 413);
    assert_eq!(mocks.post("/nobody", &json!({})).await.status, 404);
    assert_eq!(mocks.post("/ab", &json!({})).await.status, 404, "a path is matched by whole segments");
}

#[tokio::test]
async fn a_change_of_the_folder_is_served_without_asking() {
    let vault = qiao_vault::Vault::in_memory().expect("a vault");
    let mocks = serve_with(&[("a/partner.yaml", &partner("a", "1"))], vault, |config| config.watch = true);
    write(&mocks.folder, "a/partner.yaml", &partner("a", "2"));
    let changed = std::time::Instant::now();
    while mocks.post("/a", &json!({})).await.json() != json!({"v": 2}) {
        assert!(changed.elapsed() < crate::help::PATIENCE, "the change was not noticed");
        tokio::task::yield_now().await;
    }
}
