//! Rotation under load: every key of a sealed interface, with overlap and retirement, and no call fails.
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

use qiao_tests::bus::Request;

use super::*;

const CONNECTIONS: usize = 16;
const ROUNDS: u32 = 5;
/// The bus's pairs and both partners', which the mock partners use: what seals and signs on every leg.
const PAIRS: [&str; 6] = [
    "vault:bus/sign",
    "vault:bus/encrypt",
    "vault:civil/sign",
    "vault:civil/encrypt",
    "vault:permit/sign",
    "vault:permit/encrypt",
];

/// What callers send now, and how many answers came to each of what they sent.
struct Load {
    request: std::sync::Mutex<(usize, Request)>,
    answers: [AtomicUsize; ROUNDS as usize + 1],
    over: AtomicBool,
}

fn call_until_told(load: &Load, gateway: std::net::SocketAddr) {
    let mut connection = Connection::open(gateway).expect("open");
    while !load.over.load(SeqCst) {
        let (round, request) = load.request.lock().expect("no caller failed").clone();
        let answer = request.send(&mut connection).expect("an answer");
        assert_eq!(answer.status, 200, "sealed in round {round}: {}", answer.text());
        load.answers[round].fetch_add(1, SeqCst);
    }
}

#[test]
fn no_call_fails_while_every_key_on_its_way_rotates_and_the_old_ones_retire() {
    let folder = Bus::prepare_serve("");
    for file in ["callers/civil.yaml", "grants/civil-permit.yaml"] {
        Bus::rewrite(folder.path(), file, |text| {
            text.lines().filter(|line| !line.starts_with("rate:")).map(|line| format!("{line}\n")).collect()
        });
    }
    // Callers repeat what they sealed, which is what tells old versions from new ones here.
    Bus::let_repeat(folder.path());
    let bus = Bus::serve_in(folder);
    let first = bus.request("permit.registration-upload", 1);
    assert!(String::from_utf8_lossy(&first.body).contains("encKey"), "the interface is sealed");
    let load = Arc::new(Load {
        request: std::sync::Mutex::new((0, first)),
        answers: Default::default(),
        over: AtomicBool::new(false),
    });
    let callers: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (load, gateway) = (Arc::clone(&load), bus.gateway);
            thread::spawn(move || call_until_told(&load, gateway))
        })
        .collect();
    let answered = |round: u32, at_least: usize| {
        bus.until("answers", |_| {
            let enough = load.answers[round as usize].load(SeqCst) >= at_least;
            (enough || callers.iter().any(thread::JoinHandle::is_finished)).then_some(())
        });
    };
    answered(0, CONNECTIONS);
    for round in 1..=ROUNDS {
        for pair in PAIRS {
            done(bus.folder(), &["rotate", pair], b"");
        }
        // From here on callers seal and sign with the new versions; what they sent before is still accepted.
        *load.request.lock().expect("no caller failed") =
            (round as usize, bus.request("permit.registration-upload", 1));
        // Each caller has one request under way at most: after so many answers none is left of the round before.
        answered(round, 2 * CONNECTIONS);
        for pair in PAIRS {
            done(bus.folder(), &["retire", &format!("{pair}#{round}")], b"");
        }
    }
    load.over.store(true, SeqCst);
    callers.into_iter().for_each(|caller| caller.join().expect("no call failed"));
    let answers: usize = load.answers.iter().map(|count| count.load(SeqCst)).sum();
    println!(
        "{answers} calls answered, all with 200, while {} versions were made and retired",
        ROUNDS as usize * PAIRS.len()
    );
    let (code, rows) = bus.json(&["selftest"]);
    assert_eq!(code, 0, "{rows}");
    let listed = done(bus.folder(), &["list", "--json"], b"");
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    let states = |name: &str| -> Vec<String> {
        let rows = listed.as_array().expect("rows").iter().filter(|row| row["name"] == name);
        rows.map(|row| row["state"].as_str().expect("a state").to_owned()).collect()
    };
    assert_eq!(states("bus/sign"), ["retired", "retired", "retired", "retired", "retired", "active"]);
}

#[test]
fn keys_are_announced_taken_back_scheduled_and_warned_of_before_they_expire() {
    let bus = Bus::serve_in(Bus::prepare_serve(""));
    let here = bus.folder();
    assert!(done(here, &["announce", "vault:bus/sign"], b"").contains("#2 pending"));
    assert!(done(here, &["activate", "vault:bus/sign#2"], b"").contains("#2 active"));
    assert!(done(here, &["activate", "vault:bus/sign#1"], b"").contains("#1 active"));
    assert!(refused(here, &["destroy", "vault:bus/sign#1"], b"").contains("this needs retired"));
    assert!(refused(here, &["retire", "vault:nobody#1"], b"").contains("vault:nobody"));

    assert!(refused(here, &["schedule", "vault:bus/sign", "--every", "90d"], b"").contains("by hand"));
    done(here, &["schedule", "vault:audit/sign", "--every", "90d", "--overlap", "7d"], b"");
    assert!(done(here, &["list"], b"").contains("every 90d, overlap 7d"));
    done(here, &["schedule", "vault:audit/sign", "--off"], b"");

    assert_eq!(
        keys(here, &["expiry", "vault:bus/sign"], b"").status.code(),
        Some(2),
        "until when is not said"
    );
    done(here, &["list", "--expiring", "365d"], b"");
    done(here, &["expiry", "vault:bus/sign", "--in", "20d"], b"");
    let said = done(here, &["list"], b"");
    assert!(said.contains("soon expired, to be rotated: vault:bus/sign#1"), "{said}");
    assert!(refused(here, &["list", "--expiring", "30d"], b"").contains("1 version(s) expire"));
    done(here, &["list", "--expiring", "10d"], b"");
    let metrics = plain(&bus, "/metrics").1;
    let line = metrics.lines().find(|line| line.starts_with("qiao_key_expiry_seconds{")).expect("the gauge");
    assert!(line.contains("key=\"bus/sign\",version=\"1\""), "{line}");
    let left: i64 = line.rsplit(' ').next().and_then(|text| text.parse().ok()).expect("seconds");
    assert!((20 * 86_400 - 600..=20 * 86_400).contains(&left), "{left}");

    let csr = done(here, &["csr", "vault:bus/sign", "--common-name", "bus.example.cn"], b"");
    assert!(csr.starts_with("-----BEGIN CERTIFICATE REQUEST-----"), "{csr}");
}
