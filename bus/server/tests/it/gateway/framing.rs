//! HTTP/1 over a raw socket.
use qiao::gateway::{GatewayLimits, Refusal};
use tokio::io::AsyncReadExt;

use super::{
    cases::{self, Then},
    support::{Client, GET, MEMORY, resident_bytes, start},
};

fn limits() -> GatewayLimits {
    GatewayLimits { body_bytes: 1 << 20, ..Default::default() }
}

#[tokio::test]
async fn every_framing_case_is_answered_as_written() {
    let cases = cases::all();
    assert!(cases.len() >= 90, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let gateway = start(limits());
        let mut client = gateway.connect().await;
        client.send(&case.wire).await.expect("sent");
        let (mut statuses, mut last) = (Vec::new(), String::new());
        while statuses.len() < case.statuses.len() {
            match client.response().await {
                Some(answer) => {
                    statuses.push(answer.status);
                    last = answer.body;
                }
                None => break,
            }
        }
        let seen = gateway.seen();
        let then = match case.then {
            Then::Closed if client.closed().await => Then::Closed,
            Then::Closed => Then::Kept,
            Then::Kept => kept(&mut client).await,
        };
        if (statuses.as_slice(), then, seen) != (case.statuses, case.then, case.seen) {
            wrong.push(format!(
                "{}: {statuses:?} {then:?}, {seen} seen; expected {:?} {:?}, {}",
                case.name, case.statuses, case.then, case.seen
            ));
        }
        if let Some(why) = case.why
            && !last.contains(why.reason())
        {
            wrong.push(format!("{}: expected {why:?}, the answer is {last}", case.name));
        }
        assert_eq!(gateway.stats.refused(Refusal::OutOfStep), 0, "{}", case.name);
    }
    let unused: Vec<_> =
        Refusal::ALL.iter().filter(|why| !cases.iter().any(|case| case.why == Some(**why))).collect();
    assert_eq!(unused, [&Refusal::HeadTimeout, &Refusal::OutOfStep], "every other reason has a case");
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

async fn kept(client: &mut Client<tokio::net::TcpStream>) -> Then {
    if client.send(GET).await.is_err() {
        return Then::Closed;
    }
    match client.response().await {
        Some(answer) if answer.body == "GET /after 0" => Then::Kept,
        _ => Then::Closed,
    }
}

#[tokio::test]
async fn the_cases_come_out_the_same_byte_by_byte() {
    let gateway = start(limits());
    for case in cases::all().iter().filter(|case| case.wire.len() < 400) {
        let before = gateway.seen();
        let mut client = gateway.connect().await;
        client.stream.set_nodelay(true).expect("set");
        for byte in &case.wire {
            if client.send(std::slice::from_ref(byte)).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        for status in case.statuses {
            let answer = client.response().await;
            assert_eq!(answer.map(|answer| answer.status), Some(*status), "{}", case.name);
        }
        assert_eq!(gateway.seen() - before, case.seen, "{}", case.name);
    }
}

#[tokio::test]
async fn pipelined_answers_keep_their_order() {
    let gateway = start(limits());
    let mut client = gateway.connect().await;
    let mut wire = String::new();
    for number in 0..50 {
        wire.push_str(&format!("POST /{number} HTTP/1.1\r\nHost: bus\r\nContent-Length: 3\r\n\r\nabc"));
    }
    client.send(wire).await.expect("sent");
    for number in 0..50 {
        let answer = client.response().await.expect("an answer");
        assert_eq!(answer.body, format!("POST /{number} 3"));
    }
}

#[tokio::test]
async fn reserved_and_connection_fields_do_not_reach_the_handler() {
    let gateway = start(limits());
    let mut client = gateway.connect().await;
    client
        .send(
            "GET /fields HTTP/1.1\r\nHost: bus\r\nX-Qiao-Caller: a\r\nx_qIAO_caller: a\r\nX-MOCKED: a\r\nX-Mock-Fault: a\r\n\
             Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nTE: trailers\r\nX-Request-Id: 1\r\n\r\n",
        )
        .await
        .expect("sent");
    assert_eq!(client.response().await.expect("an answer").body, "host x-request-id");
}

#[tokio::test]
async fn the_answer_to_a_body_too_large_can_be_read_although_much_of_the_body_was_sent() {
    let _large = MEMORY.read().await;
    let gateway = start(limits());
    let mut client = gateway.connect().await;
    client.send("POST /a HTTP/1.1\r\nHost: bus\r\nContent-Length: 8000000\r\n\r\n").await.expect("sent");
    // All of it is taken, though none of it is read by the handler.
    client.send(vec![b'x'; 8_000_000]).await.expect("the gateway lingers");
    assert_eq!(client.response().await.expect("an answer").status, 413);
    drop(client);
    gateway.serves_others().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_their_turn() {
    let gateway = start(GatewayLimits { connections: 1, ..limits() });
    let mut first = gateway.connect().await;
    first.send(GET).await.expect("sent");
    assert_eq!(first.response().await.expect("an answer").status, 200);
    let mut second = gateway.connect().await;
    second.send(GET).await.expect("sent");
    assert_eq!(gateway.stats.accepted(), 1);
    drop(first);
    assert_eq!(second.response().await.expect("an answer").status, 200);
}

#[tokio::test]
async fn a_thousand_idle_connections_stay_small() {
    let _alone = MEMORY.write().await;
    let gateway = start(GatewayLimits::default());
    let before = resident_bytes();
    let mut idle = Vec::new();
    for _ in 0..1000 {
        let mut client = gateway.connect().await;
        client.send(GET).await.expect("sent");
        assert_eq!(client.response().await.expect("an answer").status, 200);
        idle.push(client);
    }
    let each = resident_bytes().saturating_sub(before) / 1000;
    // Client and server side together, in an unoptimised build.
    assert!(each <= 40 << 10, "{each} bytes per idle connection");
    let mut byte = [0];
    assert!(idle[0].stream.try_read(&mut byte).is_err(), "still open");
    idle[0].send(GET).await.expect("sent");
    assert_eq!(idle[0].stream.read(&mut byte).await.expect("an answer"), 1);
}
