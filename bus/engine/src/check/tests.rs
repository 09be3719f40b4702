//! Every kind of mistake with the exact line a person sees. Each case is a sound set of definitions with one text replaced.
use proptest::prelude::*;

use super::*;
use crate::{
    load::{DefinitionFile, load_texts},
    run::tests::{Partners, Reaction, plan_of},
};

mod cases;

const HRSS: &str = "\
system: hrss
title: 人社
protocol: http
endpoints: {mock: [{url: \"http://127.0.0.1:8090/hrss\"}]}
timeout: 2s
connectTimeout: 500ms
limits: {concurrent: 8}
retry: {attempts: 2, first: 50ms, most: 1s}
health: {path: /health, every: 10s, timeout: 1s}
credential: {header: {name: X-Key, value: \"vault:hrss/key\"}}
envelopes: {light: {open: [{name: plain, read: {field: data, as: base64}}]}}
judge:
  - {when: status >= 500, is: retry}
  - {is: ok}
operations:
  query:
    title: 查询
    changing: false
    answer: {wire: {codec: json}, open: {envelope: light, from: $.wire.data, plain: {codec: json}}}
    accepts:
      type: object
      required: [idNo]
      properties: {idNo: {type: string}, items: {type: array, items: {type: object, properties: {code: {type: string}}}}}
    returns:
      type: object
      properties: {months: {type: integer}}
  update: {title: 变更, changing: true}
";
const PORTAL: &str = "\
caller: portal
title: 门户
credential: {key: \"vault:portal/key\"}
";
const GRANT: &str = "\
grant: portal
caller: portal
interfaces: [apps.one]
";
const SEX: &str = "\
table: sex
title: 性别
entries: {男: \"1\"}
";
const ONE: &str = "\
interface: apps.one
title: 一
pattern: sync
deadline: 5s
contract:
  request:
    type: object
    required: [idNo]
    properties: {idNo: {type: string, pattern: '^[0-9]{18}$'}, sex: {type: string}}
flow:
  - id: asked
    call:
      system: hrss
      operation: query
      timeout: 2s
      with:
        - {to: idNo, from: $.request.idNo}
      answer:
        - {to: months, from: $.body.months}
  - id: both
    parallel:
      branches:
        - name: left
          steps: [{id: a, map: [{to: sex, from: $.request.sex, apply: [lookup(sex)]}]}]
        - name: right
          steps: [{id: b, set: {x: \"${asked.months}\"}}]
  - branch:
      - when: asked.months > 6 && outcomes.left.is == 'ok'
        steps: [{respond: {body: {n: \"${asked.months}\"}}}]
      - steps: [{fail: {code: \"1\", text: 不足}}]
examples:
  - {name: good, caller: portal, request: {idNo: \"310101199001010012\"}, expect: {that: [\"body.n > 0\"]}}
";

const FILES: [(&str, &str); 5] = [
    ("systems/hrss.yaml", HRSS),
    ("callers/portal.yaml", PORTAL),
    ("grants/portal.yaml", GRANT),
    ("tables/sex.yaml", SEX),
    ("interfaces/apps/one.yaml", ONE),
];

/// The sound set with `from` replaced by `to` in one file (`+` before a name: a new file with the text `to`).
fn changed(file: &str, from: &str, to: &str) -> Loaded {
    let mut files: Vec<DefinitionFile> = FILES
        .iter()
        .map(|(path, text)| DefinitionFile { path: (*path).into(), text: (*text).into() })
        .collect();
    if let Some(path) = file.strip_prefix('+') {
        files.push(DefinitionFile { path: path.into(), text: to.into() });
    } else if !file.is_empty() {
        let changed = files.iter_mut().find(|f| f.path.contains(file)).expect(file);
        assert!(changed.text.contains(from), "{file} holds no {from}");
        changed.text = changed.text.replacen(from, to, 1);
    }
    load_texts(&files, "")
}

fn reviewed(loaded: &Loaded) -> (Vec<String>, Vec<String>) {
    let review = review(loaded, |_| Ok(()));
    let lines = |mistakes: Vec<Mistake>| mistakes.iter().map(ToString::to_string).collect();
    (lines(review.mistakes), lines(review.warnings))
}

#[test]
fn a_sound_set_has_neither_mistakes_nor_warnings() {
    let (mistakes, warnings) = reviewed(&changed("", "", ""));
    assert_eq!((mistakes, warnings), (Vec::<String>::new(), Vec::new()));
}

#[test]
fn every_mistake_is_told_once_with_its_place_and_remedy() {
    assert!(cases::MISTAKES.len() >= 40, "only {}", cases::MISTAKES.len());
    let mut wrong = Vec::new();
    for (file, from, to, expected) in cases::MISTAKES {
        let (lines, _) = reviewed(&changed(file, from, to));
        if lines != *expected {
            wrong.push(format!("{file}: {to}\n  wanted {expected:#?}\n  found {lines:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn warnings_are_told_and_publishing_goes_on() {
    for (file, from, to, expected) in cases::WARNINGS {
        let (mistakes, warnings) = reviewed(&changed(file, from, to));
        assert_eq!((mistakes, warnings.as_slice()), (Vec::new(), &expected.map(str::to_owned)[..]), "{to}");
    }
}

#[test]
fn a_definition_with_three_mistakes_reports_three_with_line_and_column() {
    let mut loaded = changed("", "", "");
    let text = ONE
        .replace("operation: query", "operatoin: query")
        .replace("deadline: 5s", "deadline: 5")
        .replace("sync", "snyc");
    let files = [DefinitionFile { path: "interfaces/apps/one.yaml".into(), text }];
    loaded.mistakes = load_texts(&files, "routes").mistakes;
    let lines: Vec<String> = loaded.mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "routes/interfaces/apps/one.yaml:3:10: pattern: wanted `sync`, `async`, `push`, `event` or `scheduled`, found `snyc`; did you mean `sync`?",
            "routes/interfaces/apps/one.yaml:4:11: deadline: wanted text: A length of time: 500ms, 2s, 5m, 1h, 1d; found the number 5",
            "routes/interfaces/apps/one.yaml:14:7: flow[0].call.operatoin: unknown key; did you mean `operation`?",
        ]
    );
}

#[test]
fn a_definition_that_could_not_be_read_makes_no_mistakes_elsewhere() {
    let (lines, warnings) = reviewed(&changed("systems/hrss", "title: 人社", "titel: 人社"));
    assert_eq!(lines, ["systems/hrss.yaml:2:1: titel: unknown key; did you mean `title`?"]);
    assert_eq!(warnings, [""; 0]);
}

#[test]
fn what_checks_and_compiler_both_find_is_told_once() {
    let loaded = changed("apps/one", "operation: query", "operation: qery");
    let id = DefinitionId::new(Kind::Interface, "apps.one");
    let review: Review<()> = review(&loaded, |_| {
        Err(vec![
            PlanMistake::new(id.clone(), "flow[0].call.operation", "system `hrss` offers no `qery`"),
            PlanMistake::new(id.clone(), "flow[2].branch[0].when", "not CEL"),
        ])
    });
    let lines: Vec<String> = review.mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "interfaces/apps/one.yaml:14:18: flow[0].call.operation: system `hrss` offers no operation `qery`; did you mean `query`?",
            "interfaces/apps/one.yaml:28:15: flow[2].branch[0].when: not CEL",
        ]
    );
    assert!(review.plan.is_none());
}

#[test]
fn the_compiler_accepts_what_the_checks_accept_and_repeats_nothing_they_found() {
    let partners = Partners::new(|_| Reaction::Hang);
    let lines_of = |loaded: &Loaded| {
        let review = review(loaded, |definitions| plan_of(definitions, &partners, None));
        (review.plan.is_some(), review.mistakes.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(lines_of(&changed("", "", "")), (true, Vec::new()));
    let mut wrong = Vec::new();
    for (file, from, to, expected) in cases::MISTAKES {
        let (planned, lines) = lines_of(&changed(file, from, to));
        if planned || lines != *expected {
            wrong.push(format!("{file}: {to}\n  wanted {expected:#?}\n  found {lines:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

proptest! {
    #[test]
    fn no_damage_to_a_definition_makes_reading_and_checking_panic(
        file in 0..FILES.len(), at in 0..900_usize, cut in 0..60_usize, put in "[-a-z0-9:{}\\[\\]$.\"' \n]{0,20}",
    ) {
        let (path, text) = FILES[file];
        let damaged: String =
            text.chars().take(at).chain(put.chars()).chain(text.chars().skip(at + cut)).collect();
        let mut files: Vec<DefinitionFile> =
            FILES.iter().map(|(path, text)| DefinitionFile { path: (*path).into(), text: (*text).into() }).collect();
        files[file].text = damaged;
        let (lines, _) = reviewed(&load_texts(&files, ""));
        for line in lines {
            prop_assert!(FILES.iter().any(|(path, _)| line.starts_with(path)), "{}: {}", path, line);
        }
    }
}

#[test]
fn every_check_has_its_own_name_and_says_what_holds() {
    for (index, check) in CHECKS.iter().enumerate() {
        assert!(
            !check.about.is_empty() && CHECKS[..index].iter().all(|other| other.name != check.name),
            "{}",
            check.name
        );
    }
}
