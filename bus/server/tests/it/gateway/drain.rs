//! Stop, drain, force.
use qiao::gateway::{Drained, GatewayLimits};
use tokio::net::TcpStream;

use super::support::{Client, GET, start};

#[tokio::test]
async fn a_drain_finishes_what_is_under_way_and_takes_nothing_new() {
    let gateway = start(GatewayLimits::default());
    let mut busy = gateway.connect().await;
    busy.send("GET /gate HTTP/1.1\r\nHost: bus\r\n\r\n").await.expect("sent");
    let mut idle = gateway.connect().await;
    idle.send(GET).await.expect("sent");
    assert_eq!(idle.response().await.expect("an answer").status, 200);
    gateway.until_seen(2).await;
    gateway.drain.cancel();
    assert!(idle.closed().await);
    assert!(TcpStream::connect(gateway.address).await.is_err(), "the port is closed");
    gateway.echo.gate.add_permits(1);
    let answer = busy.response().await.expect("not cut off");
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("connection: close"), "{}", answer.head);
    assert!(busy.closed().await);
    assert_eq!(gateway.done.await.expect("no panic"), Drained { finished: 2, forced: 0 });
}

#[tokio::test]
async fn connections_still_in_the_backlog_are_served_when_the_drain_begins() {
    let gateway = start(GatewayLimits::default());
    // Nothing yields in between, so that none of these is accepted before the drain.
    let mut waiting: Vec<_> = (0..10)
        .map(|_| {
            let mut stream = std::net::TcpStream::connect(gateway.address).expect("the kernel takes it");
            std::io::Write::write_all(&mut stream, GET).expect("sent");
            stream.set_nonblocking(true).expect("set");
            Client::new(TcpStream::from_std(stream).expect("a socket"))
        })
        .collect();
    gateway.drain.cancel();
    for client in &mut waiting {
        let answer = client.response().await.expect("not reset");
        assert!(answer.head.contains("connection: close"), "{}", answer.head);
    }
    assert_eq!(gateway.done.await.expect("no panic").forced, 0);
}

#[tokio::test]
async fn what_never_ends_is_cut_off_by_force() {
    let gateway = start(GatewayLimits::default());
    let mut stuck = gateway.connect().await;
    stuck.send("GET /never HTTP/1.1\r\nHost: bus\r\n\r\n").await.expect("sent");
    gateway.until_seen(1).await;
    gateway.drain.cancel();
    gateway.force.cancel();
    assert!(stuck.closed().await);
    assert_eq!(gateway.done.await.expect("no panic"), Drained { finished: 0, forced: 1 });
}

#[tokio::test]
async fn no_call_is_cut_off_by_a_drain_under_load() {
    let gateway = start(GatewayLimits::default());
    let mut callers = Vec::new();
    for _ in 0..20 {
        let mut client = gateway.connect().await;
        callers.push(tokio::spawn(async move {
            let mut answered = 0_usize;
            loop {
                if client.send(GET).await.is_err() {
                    return (answered, "refused while sending");
                }
                let Some(answer) = client.response().await else { return (answered, "cut off") };
                answered += 1;
                if answer.head.contains("connection: close") {
                    return (answered, "told to close");
                }
            }
        }));
    }
    gateway.until_seen(500).await;
    gateway.drain.cancel();
    for caller in callers {
        let (answered, end) = caller.await.expect("no panic");
        assert_eq!(end, "told to close", "after {answered} answers");
    }
    assert_eq!(gateway.done.await.expect("no panic").forced, 0);
}
