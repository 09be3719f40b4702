//! WireMock mappings taken over: each stub answers a request made for it, and no longer when one criterion is not met.
use std::path::{Path, PathBuf};

use qiao_mappings::strict::Source;
use qiao_mocks::import::{Files, Format, Imported, import, read};
use regex_syntax::hir::{Class, Hir, HirKind};
use serde_json::{Map, Value, json};

use crate::help::{Client, Mocks, PATIENCE, Reply, serve_with};

mod others;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/wiremock")
}

fn imported(files: &Files, partner: &str) -> Imported {
    import(Format::Wiremock, files, partner).unwrap_or_else(|error| panic!("{error}"))
}

fn serve_draft(draft: &Imported) -> Mocks {
    let texts: Vec<(String, String)> = draft
        .files
        .iter()
        .map(|(name, bytes)| {
            (format!("{}/{name}", draft.partner), String::from_utf8(bytes.clone()).expect("a text"))
        })
        .collect();
    let files: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    serve_with(&files, qiao_vault::Vault::in_memory().expect("a vault"), |_| {})
}

fn stubs(draft: &Imported) -> Vec<Value> {
    let files = draft.files.iter().filter(|(name, _)| name.starts_with("stubs/"));
    files
        .flat_map(|(name, bytes)| {
            let source = Source::read(name, &String::from_utf8_lossy(bytes)).expect("YAML");
            source.value()["stubs"].as_array().expect("stubs").clone()
        })
        .collect()
}

/// A request under construction.
#[derive(Default)]
struct Made {
    method: String,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    cookies: Vec<(String, String)>,
    document: Option<Value>,
    text: String,
}

/// Which criterion is not met.
#[derive(Clone, Copy, PartialEq)]
enum Broken {
    Nothing,
    Method,
    Path,
    All(usize),
    Any,
    Not(usize),
}

/// The values a criterion allows, or refuses.
fn value(criterion: &Value, fits: bool) -> Option<Value> {
    let text = |key: &str| criterion[key].as_str();
    if let Some(wanted) = criterion.get("equals") {
        return Some(if fits { wanted.clone() } else { json!("something else") });
    }
    if let Some(wanted) = criterion.get("equalsJson") {
        return Some(if fits { wanted.clone() } else { json!({"something": "else"}) });
    }
    if let Some(pattern) = text("matches") {
        let mut made = String::new();
        write(&regex_syntax::parse(pattern).expect("a pattern"), &mut made);
        return Some(if fits { made.into() } else { json!("~ fits no pattern ~") });
    }
    if let Some(part) = text("contains") {
        return Some(if fits { format!("before {part} after").into() } else { json!("nothing of it") });
    }
    match criterion["exists"].as_bool() {
        Some(exists) => (exists == fits).then(|| json!("there")),
        None => panic!("{criterion}"),
    }
}

fn write(hir: &Hir, out: &mut String) {
    match hir.kind() {
        HirKind::Literal(literal) => out.push_str(&String::from_utf8_lossy(&literal.0)),
        HirKind::Class(Class::Unicode(class)) => {
            let holds = |c: &char| class.iter().any(|range| (range.start()..=range.end()).contains(c));
            let first = class.iter().next().map(|range| range.start());
            out.extend(['1', 'A', 'a', 'x'].into_iter().find(holds).or(first));
        }
        HirKind::Repetition(repetition) => (0..repetition.min).for_each(|_| write(&repetition.sub, out)),
        HirKind::Capture(capture) => write(&capture.sub, out),
        HirKind::Concat(parts) => parts.iter().for_each(|part| write(part, out)),
        HirKind::Alternation(parts) => write(&parts[0], out),
        _ => {}
    }
}

fn made(stub: &Value, broken: Broken) -> Made {
    let when = &stub["when"];
    let mut made = Made { method: when["method"].as_str().unwrap_or("POST").into(), ..Made::default() };
    if broken == Broken::Method {
        made.method = "PATCH".into();
    }
    let path = when["path"].as_str().unwrap_or("/");
    made.path = path
        .split('/')
        .map(|part| if part.starts_with('{') { "some" } else { part })
        .collect::<Vec<_>>()
        .join("/");
    let list = |key: &str| when[key].as_array().cloned().unwrap_or_default();
    for (at, criterion) in list("not").iter().enumerate() {
        put(&mut made, criterion, broken == Broken::Not(at), path);
    }
    if let Some(first) = list("any").first() {
        put(&mut made, first, broken != Broken::Any, path);
    }
    for (at, criterion) in list("all").iter().enumerate() {
        // A place that is only said to be there may have been given its value already.
        let already = criterion["exists"] == true && list("not").iter().any(|not| same_place(not, criterion));
        if !already || broken == Broken::All(at) {
            put(&mut made, criterion, broken != Broken::All(at), path);
        }
    }
    if broken == Broken::Path {
        made.path.push_str("/further");
    }
    made
}

fn same_place(one: &Value, other: &Value) -> bool {
    ["json", "header", "query", "param"].iter().all(|key| one.get(key) == other.get(key))
}

/// Writes what a criterion wants, or does not want, to its place.
fn put(made: &mut Made, criterion: &Value, fits: bool, pattern: &str) {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let place = |key: &str| criterion[key].as_str();
    if let Some(cel) = place("cel") {
        return xml(made, cel, fits);
    }
    let value = value(criterion, fits);
    let set = |list: &mut Vec<(String, String)>, name: &str, value: &Option<Value>| {
        list.retain(|(known, _)| known != name);
        list.extend(value.as_ref().map(|value| (name.to_owned(), text(value))));
    };
    if let Some(name) = place("header") {
        return set(&mut made.headers, name, &value);
    }
    if let Some(name) = place("query") {
        return set(&mut made.query, name, &value);
    }
    if let Some(name) = place("param") {
        let at = pattern.split('/').position(|part| part == format!("{{{name}}}")).expect("a segment");
        let mut parts: Vec<String> = made.path.split('/').map(str::to_owned).collect();
        parts[at] = text(&value.expect("a value")).replace([' ', '~'], "-");
        made.path = parts.join("/");
        return;
    }
    let json = place("json").expect("a place");
    if let Some(name) = json.strip_prefix("$.cookies['") {
        return set(&mut made.cookies, name.trim_end_matches("']"), &value);
    }
    match json {
        "$.url" if fits => {
            let url = text(&value.expect("a URL"));
            let (path, query) = url.split_once('?').unwrap_or((&url, ""));
            made.path = path.into();
            made.query = query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .map(|(k, v)| (k.into(), v.into()))
                .collect();
        }
        "$.url" => made.query.push(("further".into(), "1".into())),
        "$.path" => made.path = text(&value.expect("a path")).replace([' ', '~'], "-"),
        "$.body" => made.text = format!("{}{}", text(&value.expect("a text")), made.text),
        "$.request" => made.document = value,
        path => set_in(
            made.document.get_or_insert_with(|| json!({})),
            path.trim_start_matches("$.request."),
            value,
        ),
    }
}

fn set_in(document: &mut Value, path: &str, value: Option<Value>) {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let (name, listed) = first.strip_suffix("[0]").map_or((first, false), |name| (name, true));
    let members = document.as_object_mut().expect("an object");
    let mut at = members.entry(name.to_owned()).or_insert(if listed { json!([{}]) } else { json!({}) });
    if listed {
        at = &mut at[0];
    }
    match (rest, value) {
        ("", Some(value)) => *at = value,
        ("", None) => drop(members.shift_remove(name)),
        (rest, value) => set_in(at, rest, value),
    }
}

/// XML for the two forms of conditions that the import writes.
fn xml(made: &mut Made, cel: &str, fits: bool) {
    let texts: Vec<String> = match cel.strip_prefix("has(parseXml(body).") {
        Some(path) => vec![path.trim_end_matches(')').to_owned()],
        None => cel.split('"').skip(1).step_by(2).map(str::to_owned).collect(),
    };
    if cel.starts_with("parseXml") {
        made.text = if fits { texts[0].clone() } else { "<other/>".into() };
        return;
    }
    let (path, wanted) = (&texts[0], texts.get(1).map_or("there", String::as_str));
    let steps: Vec<&str> = path.split('.').skip(1).collect();
    let mut inner = if fits { wanted.to_owned() } else { String::from("other") };
    for step in steps.iter().rev() {
        inner = if !fits && texts.len() == 1 { String::new() } else { format!("<{step}>{inner}</{step}>") };
    }
    let before = made.text.trim_start_matches("<order>").trim_end_matches("</order>").to_owned();
    made.text = format!("<order>{before}{inner}</order>");
}

async fn send(mocks: &Mocks, partner: &str, made: &Made) -> Reply {
    let query: Vec<String> =
        made.query.iter().map(|(name, value)| format!("{name}={}", value.replace(' ', "+"))).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let mut headers = made.headers.clone();
    if !made.cookies.is_empty() {
        let cookies: Vec<String> =
            made.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        headers.push(("cookie".into(), cookies.join("; ")));
    }
    let headers: Vec<(&str, &str)> =
        headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let body = made.document.as_ref().map_or_else(|| made.text.clone(), Value::to_string);
    let path = format!("/{partner}{}{query}", made.path);
    mocks.connect().await.send(&made.method, &path, &headers, &body).await.expect("an answer")
}

/// Puts the scenario into a state that the stub asks for.
async fn prepare(mocks: &Mocks, partner: &str, stub: &Value, fits: bool) {
    let Some(machine) = stub["state"]["machine"].as_str() else { return };
    let wanted = stub["state"]["in"][0].as_str().unwrap_or("new");
    let states: Map<String, Value> =
        [(machine.to_owned(), json!(if fits { wanted } else { "elsewhere" }))].into_iter().collect();
    let reply = mocks
        .admin("PUT", &format!("/api/mocks/state/{partner}/all"), Some(&json!({"states": states})))
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

/// The criteria that the journal says were not met.
async fn failed(mocks: &Mocks, reply: &Reply, stub: &str) -> Vec<String> {
    let id = reply.header("x-mock-miss").expect("a miss");
    let asked = std::time::Instant::now();
    loop {
        let entry = mocks.admin("GET", &format!("/api/mocks/journal/{id}"), None).await.json();
        if let Some(nearest) = entry["nearest"].as_array() {
            let ours = nearest
                .iter()
                .find(|near| near["stub"] == stub)
                .unwrap_or_else(|| panic!("{stub}: {nearest:?}"));
            let criteria = ours["criteria"].as_array().expect("criteria");
            let failed = criteria.iter().filter(|criterion| criterion["ok"] == false);
            return failed
                .map(|criterion| criterion["criterion"].as_str().unwrap_or_default().to_owned())
                .collect();
        }
        assert!(asked.elapsed() < PATIENCE, "no diagnosis");
        tokio::task::yield_now().await;
    }
}

/// Every way to break a stub's conditions, with the name that the explanation must give.
fn mutations(stub: &Value) -> Vec<(Broken, String)> {
    let when = &stub["when"];
    let mut mutations = Vec::new();
    if when.get("method").is_some() {
        mutations.push((Broken::Method, "method".to_owned()));
    }
    if when.get("path").is_some() {
        mutations.push((Broken::Path, "path".to_owned()));
    }
    let name = |criterion: &Value| {
        let of = |key: &str, prefix: &str| criterion[key].as_str().map(|name| format!("{prefix}{name}"));
        let param = || criterion.get("param").map(|_| "segment".to_owned());
        let name = of("json", "").or(of("header", "header ")).or(of("query", "query ")).or_else(param);
        name.unwrap_or_else(|| "cel".into())
    };
    let list = |key: &str| when[key].as_array().cloned().unwrap_or_default();
    for (at, criterion) in list("all").iter().enumerate() {
        mutations.push((Broken::All(at), name(criterion)));
    }
    for (at, criterion) in list("not").iter().enumerate() {
        mutations.push((Broken::Not(at), name(criterion)));
    }
    if let Some(first) = list("any").first() {
        mutations.push((Broken::Any, name(first)));
    }
    mutations
}

#[tokio::test]
async fn every_imported_stub_answers_its_request_and_misses_when_one_criterion_is_not_met() {
    let files = read(Format::Wiremock, &corpus()).expect("the corpus");
    let (mut hits, mut misses) = (0, 0);
    for name in files.keys().filter(|name| name.starts_with("mappings/") && !name.contains("refused-")) {
        // Each file alone, so that a miss is not another file's hit.
        let mut one: Files = files
            .iter()
            .filter(|(name, _)| name.starts_with("__files"))
            .map(|(n, b)| (n.clone(), b.clone()))
            .collect();
        one.insert(name.clone(), files[name].clone());
        let draft = imported(&one, "wm");
        assert!(draft.report.refused.is_empty(), "{name}: {:?}", draft.report.refused);
        let mocks = serve_draft(&draft);
        for stub in stubs(&draft) {
            let id = stub["id"].as_str().expect("an id");
            prepare(&mocks, "wm", &stub, true).await;
            let reply = send(&mocks, "wm", &made(&stub, Broken::Nothing)).await;
            assert_eq!(reply.stub(), id, "{name}: {stub:#}\n{}", reply.text());
            assert_eq!(
                reply.status,
                stub["respond"]["status"]
                    .as_u64()
                    .map_or(200, |status| u16::try_from(status).expect("a status"))
            );
            hits += 1;
            for (broken, criterion) in mutations(&stub) {
                prepare(&mocks, "wm", &stub, true).await;
                let reply = send(&mocks, "wm", &made(&stub, broken)).await;
                assert_ne!(reply.stub(), id, "{name}: {criterion} was not met");
                if reply.header("x-mock-miss").is_some() {
                    let failed = failed(&mocks, &reply, id).await;
                    assert!(
                        failed.iter().any(|name| name.starts_with(&criterion)),
                        "{name} {id}: {criterion} is not among {failed:?}"
                    );
                    misses += 1;
                }
            }
            if stub.get("state").is_some() {
                prepare(&mocks, "wm", &stub, false).await;
                let reply = send(&mocks, "wm", &made(&stub, Broken::Nothing)).await;
                assert!(
                    failed(&mocks, &reply, id).await.iter().any(|name| name.starts_with("state To do list"))
                );
            }
        }
    }
    assert!(hits >= 26 && misses >= 60, "{hits} hits, {misses} misses");
}

#[test]
fn refused_files_name_what_stands_in_the_way() {
    let files = read(Format::Wiremock, &corpus()).expect("the corpus");
    let draft = imported(&files, "wm");
    let refused: Map<String, Value> = draft
        .report
        .refused
        .iter()
        .map(|refused| (refused.file.clone(), json!([refused.pointer, refused.reason])))
        .collect();
    let expected = [
        ("proxy", "/response/proxyBaseUrl", "`proxyBaseUrl` is not supported"),
        ("multipart", "/request/multipartPatterns", "`multipartPatterns` is not supported"),
        ("lookahead", "/request/urlPathPattern", "look-around"),
        ("date", "/request/queryParameters/since/before", "`before` is not supported"),
        ("one-of-two", "/mappings/1/response/fault", "MALFORMED_RESPONSE_CHUNK"),
        ("helper", "/response/body", "{{hostname}}"),
        ("jayway", "/request/bodyPatterns/0/matchesJsonPath", "RFC 9535"),
        ("webhook", "/postServeActions", "`postServeActions` is not supported"),
        ("no-json", "", "not JSON: EOF"),
    ];
    for (name, pointer, reason) in expected {
        let told = &refused[&format!("mappings/refused-{name}.json")];
        assert!(
            told[0] == pointer && told[1].as_str().is_some_and(|told| told.contains(reason)),
            "{name}: {told}"
        );
    }
    assert_eq!(refused.len(), expected.len(), "{refused:#?}");
    let taken: usize = draft.report.imported.iter().map(|taken| taken.stubs.len()).sum();
    assert!(taken >= 26, "{taken}");
}

#[tokio::test]
async fn bodies_templates_and_scenarios_answer_as_they_did() {
    let draft = imported(&read(Format::Wiremock, &corpus()).expect("the corpus"), "wm");
    let mocks = serve_draft(&draft);
    let ask = async |method: &str, path: &str, body: &str| {
        let headers = [("user-agent", "tester")];
        mocks.connect().await.send(method, &format!("/wm{path}"), &headers, body).await.expect("an answer")
    };
    let echo = ask("POST", "/echo/li?page=3", r#"{"order": {"no": 7}}"#).await;
    assert_eq!(
        echo.json(),
        json!({"name": "li", "page": "page 3", "no": "7", "agent": "tester", "segment": "echo"})
    );
    assert_eq!(echo.header("x-id").map(str::len), Some(36));
    assert_eq!(ask("POST", "/text", "ping").await.text(), "costs ${5}");
    assert_eq!(ask("GET", "/bodies/base64", "").await.text(), "qiao");
    assert_eq!(ask("GET", "/bodies/file", "").await.text(), "开放时间 9:00–17:00\n");
    assert_eq!(ask("GET", "/todo/items", "").await.text(), "[]");
    assert_eq!(ask("POST", "/todo/items", "buy milk").await.status, 201);
    assert_eq!(ask("GET", "/todo/items", "").await.text(), "[\"milk\"]");
    assert_eq!(ask("GET", "/prio/known", "").await.text(), "known");
    assert_eq!(ask("GET", "/prio/other", "").await.status, 404);
}

#[tokio::test]
async fn a_connection_reset_is_reset() {
    let mapping =
        json!({"request": {"method": "GET", "url": "/r"}, "response": {"fault": "CONNECTION_RESET_BY_PEER"}});
    let files = Files::from([("reset.json".to_owned(), mapping.to_string().into_bytes())]);
    let mocks = serve_draft(&imported(&files, "wm"));
    let mut client: Client = mocks.connect().await;
    assert!(client.send("GET", "/wm/r", &[], "").await.is_err());
}
