//! The end of a node: no call is cut off, and the process ends within its grace period.
use std::{
    io,
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use qiao_tests::{bus::Bus, http::Connection};

#[test]
fn terminated_under_load_it_cuts_no_call_off_and_ends_in_time() {
    const CALLERS: usize = 50;
    let folder = Bus::prepare();
    Bus::let_repeat(folder.path());
    let mut bus = Bus::start_in(folder);
    let request = bus.request("permit.registration-upload", 1);
    let under_way = Arc::new(Barrier::new(CALLERS + 1));
    let answered = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (request, gateway) = (request.clone(), bus.gateway);
            let (under_way, answered) = (Arc::clone(&under_way), Arc::clone(&answered));
            thread::spawn(move || -> io::Result<()> {
                let mut connection = Connection::open(gateway)?;
                request.send(&mut connection)?;
                under_way.wait();
                while !connection.closing {
                    let answer = request.send(&mut connection)?;
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            })
        })
        .collect();
    under_way.wait();
    bus.signal("TERM");
    for caller in callers {
        caller.join().expect("no refused call").expect("no call cut off");
    }
    let (code, took) = bus.wait();
    assert_eq!(code, Some(0), "{}", bus.log());
    assert!(answered.load(Ordering::Relaxed) >= CALLERS, "each caller had an answer that said close");
    assert!(took < Duration::from_secs(30), "the grace period is 30 s, it took {took:?}");
}

#[test]
fn while_it_drains_it_is_not_ready() {
    let bus = Bus::start();
    assert_eq!(bus.admin("GET", "/readyz", b"").status, 200);
    assert_eq!(bus.admin("GET", "/healthz", b"").status, 200);
}
