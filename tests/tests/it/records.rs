//! Nothing lost: what was answered is recorded, even when the process is killed; what was refused leaves evidence too.
use std::thread;

use qiao_tests::{bus::Bus, http::Connection};

#[test]
fn calls_answered_before_a_kill_are_all_traced_afterwards() {
    let mut bus = Bus::start();
    let request = bus.request("hrss.insurance-query", 1);
    let senders: Vec<_> = (0..8)
        .map(|_| {
            let (request, gateway) = (request.clone(), bus.gateway);
            thread::spawn(move || {
                let mut connection = Connection::open(gateway).expect("open");
                let answers = (0..25).map(|_| request.send(&mut connection).expect("an answer"));
                answers.map(|answer| answer.one("x-qiao-call-id").to_owned()).collect::<Vec<_>>()
            })
        })
        .collect();
    let ids: Vec<_> = senders.into_iter().flat_map(|sender| sender.join().expect("sent")).collect();
    bus.signal("KILL");
    bus.wait();
    assert_eq!(ids.len(), 200);
    for id in ids.iter().step_by(20).chain(ids.last()) {
        let (code, trace) = bus.json(&["trace", id]);
        assert_eq!((code, trace["id"].as_str()), (0, Some(id.as_str())), "{trace}");
    }
}

#[test]
fn a_refused_call_is_recorded_with_its_fault() {
    let bus = Bus::start();
    let mut request = bus.request("card.card-query", 1);
    for (name, value) in &mut request.headers {
        if name == "x-app-key" {
            value.push('x');
        }
    }
    let answer = request.send(&mut Connection::open(bus.gateway).expect("open")).expect("an answer");
    assert_eq!((answer.status, answer.json()["code"].as_str()), (401, Some("QIAO-2001")));
    let id = answer.one("x-qiao-call-id");
    assert_eq!(answer.json()["traceId"], id);
    let (_, trace) = bus.json(&["trace", id]);
    assert_eq!((trace["outcome"].as_str(), trace["fault"].as_u64()), (Some("denied"), Some(2001)), "{trace}");
}

#[test]
fn no_personal_data_and_no_key_reaches_disk_or_log() {
    let bus = Bus::start();
    let (code, _) = bus.json(&["selftest"]);
    assert_eq!(code, 0);
    let key = bus
        .request("card.card-query", 1)
        .headers
        .into_iter()
        .find(|(name, _)| name == "x-app-key")
        .expect("a key")
        .1;
    let metrics = bus.admin("GET", "/metrics", b"").text();
    assert!(metrics.contains("qiao_calls_total{interface=\"card.card-query\",outcome=\"ok\"}"), "{metrics}");
    let mut texts =
        vec![("metrics".to_owned(), metrics.into_bytes()), ("log".to_owned(), bus.log().into_bytes())];
    let (data, log) = (bus.data(), bus.data().join("log"));
    for folder in [data, log] {
        for file in
            std::fs::read_dir(folder).expect("the data folder").flatten().filter(|file| file.path().is_file())
        {
            texts.push((file.path().display().to_string(), std::fs::read(file.path()).expect("readable")));
        }
    }
    assert!(texts.len() > 3, "the data folder holds records");
    for secret in ["310101199003074511", "13800005678", "张三", key.as_str()] {
        for (place, text) in &texts {
            let found = text.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} stands in {place}");
        }
    }
}
