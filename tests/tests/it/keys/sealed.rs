//! A node whose vault does not open by itself: sealed at its start, unsealed by people, sealed again.
use super::*;

/// Keys in a database, opened by two of three custodians; every key is there.
fn with_custodians() -> tempfile::TempDir {
    let folder = prepared("{storage: database, file: data/vault.db}");
    let here = folder.path();
    done(here, &["init", "--single-control", "--custodians", "2/3", "--out", "shares"], b"");
    let shares = ["--share-file", "shares/custodian-1.share", "--share-file", "shares/custodian-2.share"];
    let run = |arguments: &[&str], input: &[u8]| done(here, &[arguments, &shares[..]].concat(), input);
    run(&["import-secret", "vault:caller/hotline-desk"], DESK.as_bytes());
    run(&["generate", "--missing", "--stand-ins"], b"");
    folder
}

fn share(number: u8) -> String {
    format!("shares/custodian-{number}.share")
}

#[test]
fn a_node_starts_sealed_and_serves_without_a_restart_once_enough_custodians_came() {
    let bus = Bus::serve_in(with_custodians());
    let (here, process) = (bus.folder(), bus.process());
    let answer = call(&bus);
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (503, Some("QIAO-7101")),
        "{}",
        answer.text()
    );
    assert_eq!(answer.json()["repeat"], "safe");
    assert_eq!(answer.one("retry-after"), "10");
    assert_eq!(plain(&bus, "/healthz"), (200, "sealed\n".to_owned()));
    assert_eq!(plain(&bus, "/readyz"), (503, "sealed\n".to_owned()));
    assert_eq!(bus.admin("GET", "/api/interfaces", b"").status, 503);
    assert_eq!(bus.admin("POST", "/api/reload", b"").status, 503);
    assert!(plain(&bus, "/metrics").1.contains("qiao_vault_sealed 1"));
    assert!(done(here, &["status"], b"").contains("2 of 3 custodians"));
    assert!(refused(here, &["list"], b"").contains("is sealed"));
    bus.signal("HUP");
    bus.until("a word on the hangup", |bus| bus.log().contains("nothing is read before").then_some(()));

    let said = done(here, &["unseal", "--share-file", &share(3)], b"");
    assert!(said.contains("1 of 2 shares given"), "{said}");
    assert!(refused(here, &["unseal", "--share-file", &share(3)], b"").contains("not accepted"));
    let mistyped = fs::read_to_string(here.join(share(1))).expect("a share").replacen("-2-1-", "-2-2-", 1);
    assert!(refused(here, &["unseal"], mistyped.as_bytes()).contains("not accepted"));
    assert_eq!(call(&bus).status, 503);
    let said = done(here, &["unseal", "--json", "--share-file", &share(1)], b"");
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((&said["progress"]["unsealed"], &said["plan"]), (&true.into(), &1.into()), "{said}");
    assert_eq!(call(&bus).status, 200, "{}", call(&bus).text());
    assert_eq!(plain(&bus, "/readyz").0, 200);
    assert_eq!(bus.process(), process);
    assert!(plain(&bus, "/metrics").1.contains("qiao_unseal_failures 2"));
    let shares: Vec<_> =
        (1..=3).map(|number| fs::read_to_string(here.join(share(number))).expect("a share")).collect();
    let log = bus.log();
    assert!(shares.iter().all(|share| !log.contains(share.trim())), "a share stands in the log");
}

#[test]
fn a_running_node_goes_back_to_sealed_and_serves_again_after_the_next_unsealing() {
    let folder = prepared("{file: data/vault.json, unseal: manual}");
    let passphrase = b"correct horse battery\n";
    let init = ["init", "--single-control", "--with", "passphrase"];
    done(folder.path(), &init, passphrase);
    let both = [&passphrase[..], DESK.as_bytes()].concat();
    done(folder.path(), &["import-secret", "vault:caller/hotline-desk"], &both);
    done(folder.path(), &["generate", "--missing", "--stand-ins"], passphrase);
    let bus = Bus::serve_in(folder);
    let here = bus.folder();
    assert!(refused(here, &["unseal"], b"a wrong passphrase\n").contains("does not open"));
    done(here, &["unseal"], passphrase);
    assert_eq!(call(&bus).status, 200);
    assert!(done(here, &["unseal"], b"").contains("already"));

    done(here, &["seal"], b"");
    let answer = call(&bus);
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (503, Some("QIAO-7101")),
        "{}",
        answer.text()
    );
    let id = answer.one("x-qiao-call-id").to_owned();
    assert_eq!(plain(&bus, "/readyz"), (503, "sealed\n".to_owned()));
    for tries in 1..=3 {
        let said = refused(here, &["unseal"], b"another wrong passphrase\n");
        assert!(said.contains("does not open"), "try {tries}: {said}");
    }
    // The third failure in a row costs a wait, the right passphrase too.
    let slowed = keys(here, &["unseal"], passphrase);
    if slowed.status.code() == Some(1) {
        assert!(text(&slowed).contains("too many failed tries"), "{}", text(&slowed));
        bus.until("the end of the wait", |_| {
            keys(here, &["unseal"], passphrase).status.success().then_some(())
        });
    }
    assert_eq!(call(&bus).status, 200);
    let trace = bus.trace(&id);
    assert_eq!((&trace["outcome"], &trace["status"]), (&"failed".into(), &503.into()), "recorded: {trace}");
    assert!(!bus.log().contains("correct horse"), "the passphrase stands in the log");
}

#[test]
fn calls_under_way_end_cleanly_while_the_vault_is_sealed_and_unsealed_again_and_again() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let folder = prepared("{storage: database, file: data/vault.db, unsealKeyFile: data/vault.key}");
    done(folder.path(), &["init", "--single-control"], b"");
    done(folder.path(), &["import-secret", "vault:caller/hotline-desk"], DESK.as_bytes());
    done(folder.path(), &["generate", "--missing", "--stand-ins"], b"");
    let bus = Bus::serve_in(folder);
    let over = AtomicBool::new(false);
    let (good, sealed) = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let (mut good, mut sealed) = (0, 0);
                    while !over.load(Ordering::SeqCst) {
                        let answer = call(&bus);
                        match (answer.status, answer.json()["code"].as_str()) {
                            (200, _) => good += 1,
                            (503, Some("QIAO-7101")) => sealed += 1,
                            // The rate of the caller's grant.
                            (429, _) => {}
                            _ => panic!("{}", answer.text()),
                        }
                    }
                    (good, sealed)
                })
            })
            .collect();
        for _ in 0..5 {
            done(bus.folder(), &["seal"], b"");
            done(bus.folder(), &["unseal"], b"");
        }
        over.store(true, Ordering::SeqCst);
        let counts = callers.into_iter().map(|caller| caller.join().expect("every answer was clean"));
        counts.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    });
    assert!(good > 0 && sealed > 0, "{good} good, {sealed} refused");
    assert_eq!(call(&bus).status, 200);
}
