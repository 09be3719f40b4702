//! `qiao mocks …` against a running node: the documented commands, exit codes, where the token comes from.
use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Output, Stdio},
};

use qiao_tests::{
    bus::{Bus, binary, in_folder},
    folder, http,
};
use serde_json::Value;

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The fenced blocks of a page: the name in the line before, the kind, the text.
fn blocks(page: &str) -> Vec<(Option<String>, String, String)> {
    let mut blocks = Vec::new();
    let mut parts = page.split("```");
    let mut before = parts.next().unwrap_or_default();
    while let (Some(block), Some(after)) = (parts.next(), parts.next()) {
        let (kind, text) = block.split_once('\n').unwrap_or((block, ""));
        let last = before.trim_end().lines().last().unwrap_or_default();
        let name = last.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')).map(str::to_owned);
        blocks.push((name, kind.to_owned(), text.to_owned()));
        before = after;
    }
    blocks
}

#[test]
fn the_documented_commands_run_as_they_stand() {
    let page = fs::read_to_string(folder::project().join("docs/mocks-admin.md")).expect("the page");
    let bus = Bus::start();
    std::os::unix::fs::symlink(bus.data(), bus.folder().join("qiao-data")).expect("the demo's data folder");
    let tools = binary().parent().expect("a folder").display().to_string();
    let path = format!("{tools}:{}", std::env::var("PATH").unwrap_or_default());
    let mut ran = 0;
    for (name, kind, block) in blocks(&page) {
        if let Some(name) = name {
            fs::write(bus.folder().join(name), &block).expect("written");
        }
        for line in block.lines().filter(|_| kind == "sh") {
            let mut shell = Command::new("sh");
            shell.args(["-c", line]).current_dir(bus.folder()).env("PATH", &path);
            let output = shell.output().expect("a shell");
            let wanted = if line.contains("# exits with 1") { 1 } else { 0 };
            assert_eq!(output.status.code(), Some(wanted), "{line}\n{}\n{}", text(&output), bus.log());
            ran += 1;
        }
    }
    assert!(ran > 35, "only {ran} commands were found");
}

#[test]
fn answers_for_people_and_for_machines_say_the_same() {
    let bus = Bus::start();
    let (code, call) = bus.json(&["call", "card.card-query"]);
    assert_eq!(code, 0, "{call}");
    let (code, page) = bus.json(&["mocks", "journal", "--partner", "card"]);
    let entry = &page["entries"][0];
    assert_eq!((code, entry["item"].as_str()), (0, Some("cardQuery")), "{page}");
    let shown = text(&bus.command(&["mocks", "journal", "--partner", "card"]));
    assert!(shown.contains("cardQuery") && shown.contains("card-query"), "{shown}");
    let whole = text(&bus.command(&["mocks", "journal", &entry["id"].to_string()]));
    assert!(whole.contains("cardQueryResponse") && whole.contains('*'), "masked: {whole}");
    let (code, verified) =
        bus.json(&["mocks", "verify", "--partner", "card", "--stub", "card-query", "--count", "2"]);
    assert_eq!((code, verified["ok"].as_bool(), verified["matched"].as_u64()), (1, Some(false), Some(1)));
    let (code, tried) = bus.json(&["mocks", "try", "card"]);
    assert_eq!((code, &tried["stub"]), (1, &Value::Null), "{tried}");
    assert!(tried["nearest"].as_array().is_some_and(|nearest| !nearest.is_empty()), "{tried}");
}

#[test]
fn validating_names_the_line_of_each_mistake_and_leaves_the_served_partner_alone() {
    let bus = Bus::start();
    let file = bus.folder().join("mocks/card/partner.yaml");
    let (_, before) = bus.json(&["mocks", "export", "card"]);
    let copy = bus.folder().join("card");
    fs::create_dir(&copy).expect("a folder");
    let yaml = fs::read_to_string(&file).expect("the partner");
    fs::write(copy.join("partner.yaml"), yaml.replace("    title: 社保卡查询", "    titel: 社保卡查询"))
        .expect("written");
    let line = 1 + yaml.lines().position(|line| line.contains("title: 社保卡查询")).expect("the line");
    let output = bus.command(&["mocks", "validate", "card"]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains(&format!("partner.yaml:{line}:5: stubs[0].titel")) && said.contains("`title`"),
        "{said}"
    );
    fs::write(copy.join("partner.yaml"), &yaml).expect("written");
    let right = bus.command(&["mocks", "validate", "card/partner.yaml"]);
    assert_eq!(right.status.code(), Some(0), "{}", text(&right));
    let (_, after) = bus.json(&["mocks", "export", "card"]);
    assert_eq!(before, after);
}

#[test]
fn a_server_by_its_url_gets_only_a_token_given_by_hand() {
    let bus = Bus::start();
    let url = format!("http://{}", bus.admin);
    let run = |more: &[&str], token: &str| {
        let mut command = Command::new(binary());
        command.args(["mocks", "clock", "--url", &url]).args(more).current_dir(bus.folder());
        command.env("QIAO_ADMIN_TOKEN", token).output().expect("the binary runs")
    };
    let refused = run(&[], "");
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused);
    assert!(said.contains("--token-file") && said.contains("QIAO_ADMIN_TOKEN"), "{said}");
    assert_eq!(run(&[], "wrong").status.code(), Some(1));
    for output in [run(&[], &bus.token), run(&["--token-file", "data/admin-token"], "")] {
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    }
    let nobody = Command::new(binary()).args(["mocks", "partners", "--url", "http://127.0.0.1:1"]).output();
    let nobody = nobody.expect("the binary runs");
    assert!(
        nobody.status.code() == Some(1) && text(&nobody).contains("no mock server answers"),
        "{}",
        text(&nobody)
    );
}

#[test]
fn wrong_usage_of_a_mocks_command_ends_with_two() {
    for arguments in [
        &["mocks"][..],
        &["mocks", "frobnicate"],
        &["mocks", "reset"],
        &["mocks", "try"],
        &["mocks", "journal", "--miss", "--matched"],
        &["mocks", "dial", "card", "x"],
        &["mocks", "dial", "card", "x", "--fault", "status;502"],
        &["mocks", "verify", "--count", "1", "--min", "1"],
        &["mocks", "clock", "--run", "--reset"],
        &["mocks", "partners", "--url", "http://a", "--node", "b"],
        &["mocks", "score"],
        &["mocks", "import"],
    ] {
        let output = qiao_tests::bus::qiao(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output));
        assert!(text(&output).contains("Usage") || text(&output).contains("--help"), "{}", text(&output));
    }
}

#[test]
fn following_the_journal_shows_entries_as_they_come() {
    let bus = Bus::start();
    let mut follower = Command::new(binary())
        .args([
            "mocks",
            "journal",
            "--follow",
            "--count",
            "1",
            "--json",
            "--partner",
            "card",
            "--node",
            "data",
        ])
        .current_dir(bus.folder())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut lines = BufReader::new(follower.stdout.take().expect("piped")).lines();
    let (sender, receiver) = std::sync::mpsc::channel();
    let reading = std::thread::spawn(move || sender.send(lines.next()).is_ok());
    // The follower may begin at any moment: calls are made until it has shown one.
    let shown = bus.until("an entry", |bus| {
        let (code, call) = bus.json(&["call", "card.card-query"]);
        assert_eq!(code, 0, "{call}");
        receiver.try_recv().ok()
    });
    let entry: Value = serde_json::from_str(&shown.expect("a line").expect("text")).expect("JSON");
    assert_eq!((entry["partner"].as_str(), entry["item"].as_str()), (Some("card"), Some("cardQuery")));
    assert!(reading.join().is_ok_and(|sent| sent));
    assert_eq!(follower.wait().expect("it ends").code(), Some(0));
}

#[test]
fn mock_partners_alone_are_found_by_their_settings() {
    let folder = Bus::prepare();
    // A port that was free a moment ago: the settings must name one that commands can find.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port");
    let settings = format!(
        "data: data\nmocks: {{folder: mocks, listen: \"127.0.0.1:0\", journal: 1MiB}}\nadmin: {{listen: \"{free}\"}}\n\
         vault: {{file: data/vault.json, unsealKeyFile: data/vault.key}}\n"
    );
    fs::write(folder.path().join("mocks.yaml"), settings).expect("written");
    // Its vault is made by a node's commands, which read a node's settings.
    fs::write(folder.path().join("qiao.yaml"), qiao_tests::bus::settings("")).expect("written");
    for action in [&["init", "--single-control"][..], &["generate", "--missing", "--stand-ins"]] {
        let arguments = [&["keys"], action, &["--config", "qiao.yaml"]].concat();
        let output = qiao_tests::bus::in_folder(folder.path(), &arguments, b"");
        assert!(output.status.success(), "{}", text(&output));
    }
    let mut server = Command::new(binary())
        .args(["mocks", "--config", "mocks.yaml"])
        .current_dir(folder.path())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let log = BufReader::new(server.stderr.take().expect("piped"));
    let serving = log.lines().map_while(Result::ok).any(|line| line.contains("mock partners are serving"));
    let partners =
        qiao_tests::bus::in_folder(folder.path(), &["mocks", "partners", "--config", "mocks.yaml"], b"");
    server.kill().expect("ended");
    server.wait().expect("ended");
    assert!(serving, "it ended before it served");
    assert!(partners.status.success() && text(&partners).contains("社保卡"), "{}", text(&partners));
}

#[test]
fn recording_ends_at_a_signal_with_a_draft_that_loads_and_never_overwrites_one() {
    let bus = Bus::start();
    let target = format!("http://{}", bus.admin);
    let arguments = ["mocks", "record", "--target", &target, "--out", "drafts", "--partner", "node"];
    let mut recorder = Command::new(binary())
        .args(arguments)
        .current_dir(bus.folder())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut lines = BufReader::new(recorder.stdout.take().expect("piped")).lines();
    let first = lines.next().expect("a line").expect("text");
    let address = first.split_whitespace().nth(1).and_then(|url| url.strip_prefix("http://"));
    let address = address.and_then(|address| address.parse().ok()).unwrap_or_else(|| panic!("{first}"));
    for _ in 0..2 {
        let answer = http::once(address, "GET", "/healthz", &[], b"").expect("passed on");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let kill = Command::new("kill").args(["-INT", &recorder.id().to_string()]).status().expect("kill");
    assert!(kill.success());
    let said: Vec<String> = lines.map(|line| line.expect("text")).collect();
    assert!(recorder.wait().expect("ended").success(), "{said:?}");
    assert!(said.iter().any(|line| line.contains("heard     2 requests, 2 exchanges kept")), "{said:?}");
    let checked = bus.command(&["mocks", "validate", "drafts/node"]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked));
    let report = fs::read_to_string(bus.folder().join("drafts/node/replay.json")).expect("a report");
    let report: Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!((&report["exchanges"], &report["different"]), (&2.into(), &0.into()), "{report}");
    let again = in_folder(bus.folder(), &arguments, b"");
    assert_eq!(again.status.code(), Some(1), "the draft stays: {}", text(&again));
}
