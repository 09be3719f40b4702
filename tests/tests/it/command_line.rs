//! The command line as a newcomer meets it: exit codes, and errors that say what to do.
use std::{fs, process::Output};

use qiao_tests::bus::{Bus, qiao};

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn wrong_usage_ends_with_two_and_shows_the_usage() {
    for arguments in [
        &["frobnicate"][..],
        &["call"],
        &["serve"],
        &["trace"],
        &["call", "x", "--data", "f", "--example", "1"],
    ] {
        let output = qiao(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output));
        assert!(text(&output).contains("Usage"), "{arguments:?}: {}", text(&output));
    }
}

#[test]
fn without_a_node_commands_say_how_to_start_one() {
    let nowhere = tempfile::tempdir().expect("a folder");
    let node = nowhere.path().display().to_string();
    for arguments in [&["call", "ems.order-create", "--node", &node][..], &["selftest", "--node", &node]] {
        let output = qiao(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(text(&output).contains("qiao demo"), "{}", text(&output));
    }
}

#[test]
fn a_definition_with_three_mistakes_reports_three_with_line_and_column() {
    let folder = Bus::prepare();
    let file = folder.path().join("routes/systems/hrss.yaml");
    let text_before = fs::read_to_string(&file).expect("the definition");
    let text_after = text_before
        .replace("timeout: 1500ms", "timeout: soon")
        .replace("protocol: http\n", "protocol: htpp\n")
        .replace("    title: 参保数据查询", "    tilte: 参保数据查询\n    title: 参保数据查询");
    fs::write(&file, &text_after).expect("written");
    let routes = folder.path().join("routes").display().to_string();
    let output = qiao(&["check", &routes, "--no-examples"]);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let line_of = |part: &str| 1 + text_after.lines().position(|line| line.contains(part)).expect("a line");
    let lines: Vec<_> = text.lines().filter(|line| line.contains("hrss.yaml:")).collect();
    assert_eq!(lines.len(), 3, "{text}");
    for (part, column) in [("timeout: soon", 10), ("protocol: htpp", 11), ("tilte:", 5)] {
        let place = format!("hrss.yaml:{}:{column}:", line_of(part));
        assert!(lines.iter().any(|line| line.contains(&place)), "{place} in\n{text}");
    }
    assert!(text.contains("did you mean `title`"), "{text}");
}

#[test]
fn the_projects_own_definitions_pass_their_check_with_every_example() {
    let output = qiao(&["check"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("all passing"), "{}", text(&output));
}

#[test]
fn the_catalogue_is_listed_with_and_without_a_node() {
    let output = qiao(&["interfaces", "--node", "nowhere"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("permit.registration-upload"), "{}", text(&output));
    let bus = Bus::start();
    let (code, rows) = bus.json(&["interfaces"]);
    assert_eq!(code, 0);
    assert!(rows.as_array().is_some_and(|rows| rows.iter().all(|row| row["status"] == "on")), "{rows}");
}

#[test]
fn a_call_tells_its_id_and_a_trace_shows_the_waterfall() {
    let bus = Bus::start();
    let output = bus.command(&["call", "apps.one-screen"]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let id = said.split("qiao trace ").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("an id");
    let trace = text(&bus.command(&["trace", id]));
    for part in ["apps.one-screen", "accept", "card", "permit", "senior", "█"] {
        assert!(trace.contains(part), "{part} in\n{trace}");
    }
    let unknown = bus.command(&["trace", "00000000000000000000000000000000"]);
    assert_eq!(unknown.status.code(), Some(1));
    let output = bus.command(&["call", "ems.order-craete"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("qiao interfaces"), "{}", text(&output));
}

#[test]
fn a_reader_that_goes_away_ends_the_output_and_nothing_else() {
    use std::{io::Read, process::Stdio};
    for arguments in [&["functions"][..], &["functions", "--json"], &["interfaces", "--node", "nowhere"]] {
        let mut child = std::process::Command::new(qiao_tests::bus::binary())
            .args(arguments)
            .current_dir(qiao_tests::folder::project())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        drop(child.stdout.take());
        let mut said = String::new();
        child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
        assert_eq!((child.wait().expect("it ends").code(), said.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn a_check_for_machines_is_one_json_object() {
    let output = qiao(&["check", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON value");
    assert_eq!(report["mistakes"], serde_json::json!([]));
    assert!(report["examples"].as_array().is_some_and(|examples| !examples.is_empty()), "{report}");
    let output = qiao(&["check", "no-such-folder"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("no-such-folder is not a folder"), "{}", text(&output));
}

#[test]
fn what_is_sent_may_be_anything_and_the_bus_answers_it() {
    let bus = Bus::start();
    fs::write(bus.folder().join("odd"), b"\xff\xfe no JSON").expect("written");
    fs::write(bus.folder().join("large"), vec![b'1'; 2 << 20]).expect("written");
    let (code, call) = bus.json(&["call", "card.card-query", "--data", "odd"]);
    assert_eq!((code, call["status"].as_u64()), (1, Some(400)), "{call}");
    let (code, call) = bus.json(&["call", "card.card-query", "--data", "large"]);
    assert_eq!((code, call["status"].as_u64()), (1, Some(413)), "{call}");
    // Sealed, the same comes out of the envelope: it is opened and then refused.
    let (code, call) = bus.json(&["call", "permit.registration-upload", "--data", "odd"]);
    assert_eq!((code, call["body"]["code"].as_str()), (1, Some("QIAO-1001")), "{call}");
    let output = bus.command(&["call", "card.card-query", "--data", "missing-file"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("missing-file"), "{}", text(&output));
    assert_eq!(bus.command(&["trace", "no-id"]).status.code(), Some(2));
}
