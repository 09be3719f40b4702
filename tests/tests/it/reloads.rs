//! Reloads under load: whole plans only, bad ones refused, no call disturbed.
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use qiao_tests::{bus::Bus, folder, http::Connection};

const CONNECTIONS: usize = 100;
const RELOADS: usize = 500;

/// The project's definitions with no rate for the caller used here, which would refuse a load like this one, as it should.
fn without_rates() -> tempfile::TempDir {
    let folder = Bus::prepare();
    for file in ["callers/card.yaml", "grants/card-ems.yaml"] {
        let path = folder.path().join("routes").join(file);
        let text = fs::read_to_string(&path).expect("a definition");
        let kept: Vec<_> = text.lines().filter(|line| !line.starts_with("rate:")).collect();
        fs::write(path, kept.join("\n") + "\n").expect("written");
    }
    folder
}

/// What one connection saw: how many answers.
fn call_until_told(
    request: &qiao_tests::bus::Request,
    gateway: std::net::SocketAddr,
    active: &AtomicU64,
    over: &AtomicBool,
) -> usize {
    let mut connection = Connection::open(gateway).expect("open");
    let mut answers = 0;
    while !over.load(Ordering::SeqCst) {
        let at_acceptance = active.load(Ordering::SeqCst);
        let answer = request.send(&mut connection).expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let plan: u64 = answer.one("x-qiao-plan").parse().expect("a number");
        assert!(
            plan >= at_acceptance,
            "plan {plan} answered, but {at_acceptance} was active before the call"
        );
        answers += 1;
    }
    answers
}

#[test]
fn five_hundred_good_and_bad_reloads_disturb_no_call() {
    let bus = Bus::start_in(without_rates());
    let request = bus.request("hrss.insurance-query", 1);
    let file = bus.folder().join("routes/systems/hrss.yaml");
    let good = fs::read_to_string(&file).expect("the definition");
    let bad = good.replace("operations:", "operatoins:");
    let (active, over) = (Arc::new(AtomicU64::new(1)), Arc::new(AtomicBool::new(false)));
    let callers: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (request, gateway) = (request.clone(), bus.gateway);
            let (active, over) = (Arc::clone(&active), Arc::clone(&over));
            thread::spawn(move || call_until_told(&request, gateway, &active, &over))
        })
        .collect();
    for round in 0..RELOADS {
        let is_bad = round % 2 == 1;
        let text = if is_bad { bad.clone() } else { format!("{good}# round {round}\n") };
        folder::replace(&file, &text).expect("written");
        let answer = bus.admin("POST", "/api/reload", b"");
        if is_bad {
            assert_eq!(answer.status, 422, "{}", answer.text());
            assert!(answer.text().contains("operatoins"), "{}", answer.text());
        } else {
            assert_eq!(answer.status, 200, "{}", answer.text());
            active.fetch_max(answer.json()["plan"].as_u64().expect("a number"), Ordering::SeqCst);
        }
    }
    over.store(true, Ordering::SeqCst);
    let answers: usize = callers.into_iter().map(|caller| caller.join().expect("no call failed")).sum();
    assert!(answers >= CONNECTIONS, "{answers} answers");
    assert!(active.load(Ordering::SeqCst) > (RELOADS / 2) as u64);
}

/// Asks until the plan's number is at least this; the patience of the client bounds it.
fn wait_for_plan(bus: &Bus, number: u64) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let ready = bus.admin("GET", "/readyz", b"").text();
        let plan: u64 = ready.trim().rsplit(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0);
        if plan >= number {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "plan {number} did not become active: {ready}");
        thread::yield_now();
    }
}

#[test]
fn a_changed_file_and_a_hangup_both_bring_a_new_plan() {
    let bus = Bus::start();
    let file = bus.folder().join("routes/grants/permit-hrss.yaml");
    let text = fs::read_to_string(&file).expect("the definition");
    folder::replace(&file, &format!("{text}# changed\n")).expect("written");
    wait_for_plan(&bus, 2);
    let before: u64 = bus.admin("POST", "/api/reload", b"").json()["plan"].as_u64().expect("a number");
    bus.signal("HUP");
    wait_for_plan(&bus, before + 1);
}
