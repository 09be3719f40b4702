//! Recording a live partner over real sockets: the draft answers as the partner did, and nobody of it is in the draft.
use std::{net::SocketAddr, time::Duration};

use qiao_mocks::record::{Reason, RecordSettings, Recorded, Recorder};
use qiao_vault::Vault;
use serde_json::{Value, json};

use crate::help::{Client, Mocks, PATIENCE, Reply, serve_with};

mod others;
mod upstream;

use upstream::{COOKIE, PEOPLE, TOKEN};

const UNKNOWN: &str = "310104198701013418";

async fn recorder(target: SocketAddr, adjust: impl FnOnce(&mut RecordSettings)) -> Recorder {
    let mut settings = RecordSettings::new(format!("http://{target}"), "live");
    settings.seed = Some(7);
    adjust(&mut settings);
    Recorder::start(settings).await.unwrap_or_else(|why| panic!("{why}"))
}

async fn send(to: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    Client::to(to).await.send(method, path, headers, body).await.expect("an answer")
}

async fn call(to: SocketAddr, item: &str, biz: &str, body: Value) -> Reply {
    let token = format!("Bearer {TOKEN}");
    let headers = [("content-type", "application/json"), ("authorization", token.as_str())];
    let sign = format!("{:064x}", biz.len() * 31 + item.len());
    let asked = json!({
        "header": {"itemCode": item, "bizNo": biz, "timestamp": upstream::now(), "sign": sign},
        "body": body,
    });
    send(to, "POST", "/gateway", &headers, &asked.to_string()).await
}

async fn finished(recorder: Recorder) -> Recorded {
    recorder.stop(PATIENCE).await;
    recorder.finish().unwrap_or_else(|why| panic!("{why}"))
}

fn text<'r>(recorded: &'r Recorded, name: &str) -> &'r str {
    let bytes = recorded.files.get(name).unwrap_or_else(|| panic!("{name} of {:?}", recorded.files.keys()));
    std::str::from_utf8(bytes).expect("a text")
}

/// Serves a draft; the table of that name gets a line more.
fn serve(recorded: &Recorded, more: &[(&str, String)]) -> Mocks {
    let texts: Vec<(String, String)> = recorded
        .files
        .keys()
        .map(|name| {
            let added = more.iter().filter(|(table, _)| table == name).map(|(_, line)| line.as_str());
            let all: String = std::iter::once(text(recorded, name)).chain(added).collect();
            (format!("live/{name}"), all)
        })
        .collect();
    let files: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    serve_with(&files, Vault::in_memory().expect("a vault"), |_| {})
}

fn assert_nobody(recorded: &Recorded) {
    for (name, bytes) in &recorded.files {
        let text = String::from_utf8_lossy(bytes);
        let people = PEOPLE.iter().flatten().copied();
        // The road and its number are the address; the district stays.
        let roads = ["人民大道200", "世纪大道88", "漕溪路18号"];
        for original in people.chain(roads).chain([UNKNOWN, TOKEN, COOKIE, "Bearer"]) {
            assert!(!text.contains(original), "{original} in {name}:\n{text}");
        }
    }
}

fn unexplained(recorded: &Recorded) -> Vec<String> {
    let differing = recorded.replay.differing.iter();
    let each = differing.flat_map(|replayed| {
        let differences = replayed.differences.iter().filter(|other| other.reason != Reason::Generated);
        differences.map(|other| format!("{} {other:?}", replayed.path))
    });
    each.collect()
}

/// What the test below asks of the partner.
async fn conversation(at: SocketAddr) {
    for (number, [id, name, ..]) in PEOPLE.iter().enumerate() {
        let biz = |what: &str| format!("BIZ-{what}-{number:04}");
        call(at, "CARD-QUERY", &biz("Q"), json!({"idNo": id})).await;
        call(at, "CARD-QUERY", &biz("R"), json!({"idNo": id})).await;
        call(at, "APPLY", &biz("A"), json!({"idNo": id, "name": name})).await;
        call(at, "PROGRESS", &biz("P"), json!({"idNo": id})).await;
        call(at, "PROGRESS", &biz("O"), json!({"idNo": id})).await;
        send(at, "GET", &format!("/people/{id}"), &[], "").await;
    }
    call(at, "CARD-QUERY", "BIZ-U-0001", json!({"idNo": UNKNOWN})).await;
    send(at, "GET", &format!("/people/{UNKNOWN}"), &[], "").await;
}

#[tokio::test]
async fn a_recording_becomes_a_draft_that_answers_as_the_partner_did() {
    let recorder = recorder(upstream::serve().await, |_| {}).await;
    conversation(recorder.address()).await;
    let counts = recorder.counts();
    assert_eq!((counts.forwarded, counts.failed), (20, 0));
    let recorded = finished(recorder).await;
    let report = text(&recorded, "replay.txt");
    assert_eq!(unexplained(&recorded), [""; 0], "{report}");
    assert_eq!((recorded.replay.exchanges, recorded.replay.different), (20, 0), "{report}");
    assert_eq!(recorded.replay.same + recorded.replay.generated, 20, "{report}");
    assert_nobody(&recorded);

    // Somebody more in the table is answered as well.
    let (name, table) = recorded
        .files
        .iter()
        .find(|(name, _)| name.contains("card-query") && name.ends_with(".csv"))
        .expect("a table of cards");
    let table = String::from_utf8(table.clone()).expect("a text");
    let mut lines = table.lines();
    let head: Vec<&str> = lines.next().expect("a head").split(',').collect();
    let first = lines.next().expect("a row").to_owned();
    let known = first.split(',').next().expect("a key").to_owned();
    let added = "310112196511230036";
    let line = first.replacen(&known, added, 1) + "\n";
    let mocks = serve(&recorded, &[(name.as_str(), line)]);
    let at = mocks.server.addr();
    let ask = |item: &'static str, biz: &'static str, id: &str| {
        let (token, id) = ("x".to_owned(), id.to_owned());
        let asked = json!({"header": {"itemCode": item, "bizNo": biz, "sign": token}, "body": {"idNo": id, "name": "李四"}});
        async move {
            send(at, "POST", "/live/gateway", &[("content-type", "application/json")], &asked.to_string())
                .await
        }
    };
    for id in [known.as_str(), added] {
        let answer = ask("CARD-QUERY", "NEVER-SEEN-1", id).await.json();
        assert_eq!(
            (&answer["code"], &answer["bizNo"]),
            (&json!("0000"), &json!("NEVER-SEEN-1")),
            "{answer}\n{table}"
        );
        assert!(
            answer["data"]["points"].is_number() && answer["data"]["cards"].is_array(),
            "{answer} {head:?}"
        );
        assert_eq!(answer["data"]["idNo"], id);
    }
    let nobody = ask("CARD-QUERY", "NEVER-SEEN-2", "310106200001010018").await.json();
    assert_eq!(nobody, json!({"code": "1002", "msg": "查无此人", "bizNo": "NEVER-SEEN-2"}));

    let (one, two) = (ask("APPLY", "NEW-1", added).await.json(), ask("APPLY", "NEW-2", added).await.json());
    assert_eq!((&one["name"], &one["note"]), (&json!("李四"), &json!("业务NEW-1已受理")));
    let number = one["acceptNo"].as_str().expect("a number");
    assert!(number.starts_with("MZ20") && number.len() == 16, "{number}");
    assert_ne!((&one["acceptNo"], &one["serial"]), (&two["acceptNo"], &two["serial"]));

    let statuses = [ask("PROGRESS", "P1", &known).await.json(), ask("PROGRESS", "P2", &known).await.json()];
    assert_eq!(statuses.map(|answer| answer["status"].clone()), [json!("受理中"), json!("已办结")]);
    let person = send(at, "GET", &format!("/live/people/{known}"), &[], "").await;
    assert_eq!((person.status, &person.json()["idNo"]), (200, &json!(known)));
    assert_eq!(send(at, "GET", &format!("/live/people/{added}"), &[], "").await.status, 404);
}

#[tokio::test]
async fn answers_at_random_are_named_by_the_report() {
    let recorder = recorder(upstream::serve().await, |_| {}).await;
    for n in 0..12 {
        call(recorder.address(), "LOTTERY", &format!("L{n:05}"), json!({"idNo": PEOPLE[0][0]})).await;
    }
    let recorded = finished(recorder).await;
    assert!(recorded.replay.different >= 10, "{}", text(&recorded, "replay.txt"));
    let replayed =
        recorded.replay.differing.iter().find(|replayed| replayed.exchange == 5).expect("the fifth");
    let number = replayed.differences.iter().find(|other| other.pointer == "/body/number").expect("named");
    assert_eq!(number.reason, Reason::Varies);
    let report = text(&recorded, "replay.txt");
    assert!(report.contains("varies    /body/number  recorded "), "{report}");
}

#[tokio::test]
async fn the_same_seed_gives_the_same_draft_and_nothing_of_it_tells_the_seed() {
    let target = upstream::serve().await;
    let mut tables = Vec::new();
    for seed in [7, 7, 8] {
        let recorder = recorder(target, |settings| settings.seed = Some(seed)).await;
        for person in &PEOPLE {
            send(recorder.address(), "GET", &format!("/people/{}", person[0]), &[], "").await;
        }
        let recorded = finished(recorder).await;
        assert!(!text(&recorded, "partner.yaml").contains("seed"));
        let table = recorded.files.keys().find(|name| name.ends_with(".csv")).expect("a table").clone();
        tables.push(text(&recorded, &table).to_owned());
    }
    assert!(tables[0] == tables[1] && tables[0] != tables[2], "{tables:?}");
}

#[tokio::test]
async fn one_exchange_gives_constants_and_echoes_of_what_is_telling() {
    let recorder = recorder(upstream::serve().await, |_| {}).await;
    call(recorder.address(), "APPLY", "BIZ-0001", json!({"name": "张三丰"})).await;
    let recorded = finished(recorder).await;
    let stubs = recorded.files.iter().find(|(name, _)| name.starts_with("stubs/")).expect("stubs").1;
    let stubs = String::from_utf8_lossy(stubs);
    assert!(stubs.contains("${request.header.bizNo}") && stubs.contains("${request.body.name}"), "{stubs}");
    assert!(stubs.contains("受理成功") && !stubs.contains("uuid()"), "{stubs}");
    assert_eq!(recorded.replay.same, 1, "{}", text(&recorded, "replay.txt"));
}

#[tokio::test]
async fn a_draft_is_never_written_over_anything() {
    let recorder = recorder(upstream::serve().await, |_| {}).await;
    send(recorder.address(), "GET", "/people/1", &[], "").await;
    let recorded = finished(recorder).await;
    let folder = tempfile::tempdir().expect("a folder");
    let home = recorded.write(folder.path()).expect("written");
    assert!(home.join("partner.yaml").is_file() && home.join("replay.txt").is_file());
    let again = recorded.write(folder.path()).expect_err("there is a draft already");
    assert!(again.contains("not empty"), "{again}");
    qiao_mocks::check(folder.path(), &Vault::in_memory().expect("a vault")).expect("it loads");
}

#[tokio::test]
async fn what_is_beyond_the_bounds_is_passed_on_and_counted() {
    let target = upstream::serve().await;
    let recorder = recorder(target, |settings| settings.max = 1).await;
    let at = recorder.address();
    for _ in 0..2 {
        assert_eq!(send(at, "GET", "/people/1", &[], "").await.status, 404);
    }
    let large = send(at, "GET", "/large", &[], "").await;
    assert_eq!((large.status, large.body.len()), (200, (1 << 20) + 1));
    recorder.stop(PATIENCE).await;
    let counts = recorder.counts();
    assert_eq!((counts.forwarded, counts.kept, counts.beyond, counts.too_large), (3, 1, 1, 1));
    assert!(tokio::net::TcpStream::connect(at).await.is_err(), "it listens no longer");
}

#[tokio::test]
async fn a_target_that_is_not_there_is_told_to_the_caller() {
    let nobody =
        tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let recorder = recorder(nobody, |settings| settings.patience = Duration::from_secs(5)).await;
    let answer = send(recorder.address(), "GET", "/x", &[], "").await;
    assert_eq!(answer.status, 502);
    assert!(answer.text().contains("no connection"), "{}", answer.text());
    assert_eq!(recorder.counts().failed, 1);
    assert!(recorder.finish().expect_err("nothing").contains("send requests"));
}

#[tokio::test]
async fn settings_that_cannot_be_are_refused_with_their_name() {
    let refused = |adjust: fn(&mut RecordSettings)| {
        let mut settings = RecordSettings::new("http://127.0.0.1:1", "live");
        adjust(&mut settings);
        async move { Recorder::start(settings).await.err().unwrap_or_default() }
    };
    assert!(
        refused(|settings| settings.listen = SocketAddr::from(([0, 0, 0, 0], 0))).await.contains("listen: ")
    );
    assert!(refused(|settings| settings.target = "http://a.test/base".into()).await.contains("target: "));
    assert!(refused(|settings| settings.select = Some("request.item".into())).await.contains("select: "));
    assert!(refused(|settings| settings.partner = "Live".into()).await.contains("partner's id"));
    assert!(refused(|settings| settings.max = 0).await.contains("max: "));
}
