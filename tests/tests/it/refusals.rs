//! Refused requests: what the caller is told, what it is not told, and the evidence that stays.
use qiao_tests::{
    bus::{Bus, Request},
    http::{Answer, Connection},
};
use serde_json::Value;

fn send(bus: &Bus, request: &Request) -> Answer {
    request.send(&mut Connection::open(bus.gateway).expect("open")).expect("an answer")
}

fn code(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["code"].as_str().unwrap_or_default().to_owned())
}

/// The note of the span in which the call was denied.
fn reason(trace: &Value) -> String {
    let spans = trace["spans"].as_array().expect("spans");
    let denied = spans.iter().find(|span| span["fault"].is_u64()).expect("a span with the fault");
    denied["note"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_tampered_envelope_gets_no_hint_and_leaves_evidence() {
    let bus = Bus::start();
    let request = bus.request("permit.registration-upload", 1);
    let mut texts = Vec::new();
    for field in ["cipher", "sign", "encKey"] {
        let mut sealed: Value = serde_json::from_slice(&request.body).expect("JSON");
        let text = sealed[field].as_str().expect("text").to_owned();
        let first = if text.starts_with('A') { "B" } else { "A" };
        sealed[field] = Value::from(format!("{first}{}", &text[1..]));
        let mut tampered = request.clone();
        tampered.body = sealed.to_string().into_bytes();
        let answer = send(&bus, &tampered);
        assert_eq!(code(&answer), (401, "QIAO-2002".to_owned()), "{field}: {}", answer.text());
        let id = answer.one("x-qiao-call-id").to_owned();
        texts.push(answer.text().replace(&id, ""));
        let trace = bus.trace(&id);
        assert_eq!((trace["outcome"].as_str(), trace["caller"].as_str()), (Some("denied"), Some("civil")));
        assert!(!reason(&trace).is_empty(), "the operator is told what did not hold: {trace}");
    }
    assert!(texts.windows(2).all(|pair| pair[0] == pair[1]), "answers differ by what was wrong: {texts:?}");
}

#[test]
fn a_body_over_the_interfaces_bound_is_refused_however_it_comes() {
    let bus = Bus::start();
    let mut request = bus.request("card.card-query", 1);
    request.body = vec![b' '; 17 << 10];
    assert_eq!(code(&send(&bus, &request)), (413, "QIAO-1004".to_owned()));
    // Passed through without an announced length: the bound is met on the way.
    let request = bus.request("hrss.insurance-query", 1);
    let mut connection = Connection::open(bus.gateway).expect("open");
    let mut bytes = format!("POST {} HTTP/1.1\r\nHost: bus\r\nTransfer-Encoding: chunked\r\n", request.path);
    for (name, value) in &request.headers {
        bytes.push_str(&format!("{name}: {value}\r\n"));
    }
    bytes.push_str("\r\n");
    for _ in 0..5 {
        bytes.push_str(&format!("10000\r\n{}\r\n", "x".repeat(65536)));
    }
    bytes.push_str("0\r\n\r\n");
    connection.write(bytes.as_bytes()).expect("sent");
    let answer = connection.read().expect("an answer");
    assert_eq!(code(&answer), (413, "QIAO-1004".to_owned()), "{}", answer.text());
}

#[test]
fn a_breach_of_the_contract_names_the_place_and_not_the_value() {
    let bus = Bus::start();
    let mut request = bus.request("card.card-query", 1);
    request.body = br#"{"idNo": "31010119900307X511"}"#.to_vec();
    let answer = send(&bus, &request);
    assert_eq!(code(&answer), (422, "QIAO-1007".to_owned()));
    assert!(answer.text().contains("idNo"), "{}", answer.text());
    let trace = bus.trace(answer.one("x-qiao-call-id"));
    assert!(reason(&trace).contains("idNo"), "{trace}");
    for text in [answer.text(), trace.to_string(), bus.log()] {
        assert!(!text.contains("31010119900307X511"), "{text}");
    }
    for body in [&b"no JSON"[..], b"{\"idNo\": ", b"\xff\xfe"] {
        request.body = body.to_vec();
        assert_eq!(code(&send(&bus, &request)), (400, "QIAO-1001".to_owned()));
    }
}

#[test]
fn a_wrong_method_a_wrong_deadline_and_no_request_at_all_are_answered_and_recorded() {
    let bus = Bus::start();
    let request = bus.request("card.card-query", 1);
    let mut connection = Connection::open(bus.gateway).expect("open");
    let answer = connection.send("GET", &request.path, &[], b"").expect("an answer");
    assert_eq!((code(&answer).0, answer.one("allow")), (405, "POST"));
    let answer = connection.send("POST", "/nowhere", &[], b"").expect("an answer");
    assert_eq!(code(&answer), (404, "QIAO-1002".to_owned()));
    let mut hurried = request.clone();
    hurried.headers.push(("X-Deadline-Ms".to_owned(), "soon".to_owned()));
    assert_eq!(code(&send(&bus, &hurried)), (400, "QIAO-1001".to_owned()));
    connection.write(b"GET / HTTP/1.1\r\n\r\n").expect("sent");
    let answer = connection.read().expect("an answer");
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(bus.trace(answer.one("x-qiao-call-id"))["outcome"], "denied");
}

#[test]
fn a_call_keeps_its_request_id_and_belongs_to_a_trace_whether_or_not_the_caller_has_one() {
    let bus = Bus::start();
    let mut request = bus.request("card.card-query", 1);
    let answer = send(&bus, &request);
    let id = answer.one("x-qiao-call-id").to_owned();
    assert_eq!(bus.trace(&id)["trace_id"], id.as_str());
    let trace = "0af7651916cd43dd8448eb211c80319c";
    request.headers.push(("traceparent".to_owned(), format!("00-{trace}-b7ad6b7169203331-01")));
    request.headers.push(("X-Request-Id".to_owned(), "desk-17".to_owned()));
    let answer = send(&bus, &request);
    assert_eq!(answer.one("x-request-id"), "desk-17");
    let record = bus.trace(answer.one("x-qiao-call-id"));
    assert_eq!((record["trace_id"].as_str(), record["request_id"].as_str()), (Some(trace), Some("desk-17")));
}
