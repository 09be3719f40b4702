//! Callers that go away: their calls are recorded as abandoned, and their places at partners are free again.
use qiao_tests::{bus::Bus, http::Connection};

#[test]
fn a_caller_that_hangs_up_leaves_an_abandoned_call() {
    let folder = Bus::prepare();
    Bus::rewrite(folder.path(), "systems/hrss.yaml", |text| text.replace("timeout: 1500ms", "timeout: 50s"));
    Bus::rewrite(folder.path(), "interfaces/hrss/insurance-query.yaml", |text| {
        text.replace("deadline: 4s", "deadline: 55s")
    });
    Bus::rewrite(folder.path(), "interfaces/hrss/continuous-contribution.yaml", |text| {
        let kept: Vec<_> = text.lines().filter(|line| !line.starts_with("deadline:")).collect();
        format!("{}\ndeadline: 55s\n", kept.join("\n"))
    });
    let bus = Bus::start_in(folder);
    let slow = bus.admin("PUT", "/api/mocks/dials/hrss/slow", br#"{"delay": {"fixed": "50s"}}"#);
    assert!(slow.status < 300, "{}", slow.text());
    let active = |bus: &Bus, number: u32| {
        let line = format!("qiao_partner_active_calls{{system=\"hrss\"}} {number}");
        bus.admin("GET", "/metrics", b"").text().contains(&line).then_some(())
    };
    for interface in ["hrss.insurance-query", "hrss.continuous-contribution"] {
        let request = bus.request(interface, 1);
        let mut connection = Connection::open(bus.gateway).expect("open");
        let mut bytes = format!(
            "POST {} HTTP/1.1\r\nHost: bus\r\nContent-Length: {}\r\n",
            request.path,
            request.body.len()
        );
        for (name, value) in &request.headers {
            bytes.push_str(&format!("{name}: {value}\r\n"));
        }
        bytes.push_str("\r\n");
        connection.write(&[bytes.as_bytes(), &request.body].concat()).expect("sent");
        bus.until("the call at the partner", |bus| active(bus, 1));
        drop(connection);
        bus.until("the free place", |bus| active(bus, 0));
        let path = format!("/api/calls?interface={interface}&outcome=abandoned");
        let calls = bus.until("the record", |bus| {
            let calls = bus.admin("GET", &path, b"").json();
            calls.as_array().is_some_and(|calls| !calls.is_empty()).then_some(calls)
        });
        let record = bus.trace(calls[0]["id"].as_str().expect("an id"));
        let size = Some(request.body.len() as u64);
        assert_eq!((record["status"].as_u64(), record["bytes_in"].as_u64()), (Some(0), size), "{record}");
    }
}
