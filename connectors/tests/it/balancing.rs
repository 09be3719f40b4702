//! Which endpoint gets a call, by turns, by avoidance and by health.
use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering::SeqCst},
    },
    time::Duration,
};

use qiao_connectors::{HealthConfig, HttpConnector};
use qiao_core::{Connector, Outbound, fault_codes as codes};
use tokio::time::timeout;

use crate::partner::{OK, Partner, config, connector, outbound, query, refusing};

#[tokio::test]
async fn calls_spread_by_weight() {
    let (one, two) = (Partner::answering(OK).await, Partner::answering(OK).await);
    let mut config = config(&[&one.url, &two.url]);
    config.endpoints[0].weight = 3;
    let connector = HttpConnector::new(config).expect("valid");
    let mut to_one = 0;
    for _ in 0..8 {
        let answer = connector.call(outbound()).await.expect("answer");
        to_one += usize::from(*answer.endpoint == *one.url);
    }
    assert_eq!(to_one, 6);
}

#[tokio::test]
async fn a_repeat_goes_to_another_endpoint_than_the_one_that_failed() {
    let (refused, _held) = refusing();
    let healthy = Partner::answering(OK).await;
    let connector = connector(&[&refused, &healthy.url]);
    for _ in 0..2 {
        match connector.call(outbound()).await {
            Ok(answer) => assert_eq!(*answer.endpoint, *healthy.url),
            Err(fault) => {
                let again = Outbound { attempt: 1, avoid: fault.endpoint().cloned(), ..outbound() };
                let answer = connector.call(again).await.expect("the other endpoint");
                assert_eq!(*answer.endpoint, *healthy.url);
            }
        }
    }
}

#[tokio::test]
async fn an_endpoint_that_refuses_again_and_again_gets_no_calls_until_its_hold_is_over() {
    let (refused, _held) = refusing();
    let healthy = Partner::answering(OK).await;
    let mut config = config(&[&refused, &healthy.url]);
    config.passive.fall = 2;
    let connector = HttpConnector::new(config).expect("valid");
    let mut failed = 0;
    for _ in 0..12 {
        failed += usize::from(connector.call(outbound()).await.is_err());
    }
    assert_eq!(failed, 2);
    let health = connector.health();
    assert_eq!((health[0].healthy, health[1].healthy), (false, true));
    assert_eq!(*health[0].endpoint, *refused);
}

#[tokio::test]
async fn with_every_endpoint_down_a_call_is_tried_all_the_same() {
    let (refused, held) = refusing();
    let mut config = config(&[&refused]);
    config.passive.fall = 1;
    let connector = HttpConnector::new(config).expect("valid");
    let fault = connector.call(outbound()).await.err().expect("refused");
    assert_eq!(fault.code(), &codes::PARTNER_DOWN);
    assert!(!connector.health()[0].healthy);
    let listener = held.listen(8).expect("listens now");
    let answering = async {
        let (tcp, _) = listener.accept().await.expect("accepted");
        let mut peer = crate::partner::Peer::new(tcp);
        peer.request().await.expect("request");
        peer.write(OK).await;
    };
    let (answer, ()) = tokio::join!(connector.call(outbound()), answering);
    assert_eq!(answer.expect("answer").status, 200);
    assert!(connector.health()[0].healthy, "a connect that succeeds ends the hold");
}

#[tokio::test]
async fn health_checks_take_an_endpoint_out_and_bring_it_back() {
    let status = Arc::new(AtomicU16::new(200));
    let scripted = status.clone();
    let partner = Partner::serve(move |_, mut peer| {
        let status = scripted.clone();
        async move {
            let request = peer.request().await.expect("request");
            assert!(request.head.starts_with("GET /health HTTP/1.1\r\n"), "{}", request.head);
            assert_eq!(request.header("connection"), ["close"]);
            peer.write(format!("HTTP/1.1 {} X\r\nContent-Length: 0\r\n\r\n", status.load(SeqCst)).as_bytes())
                .await;
        }
    })
    .await;
    let other = Partner::answering(OK).await;
    let mut config = config(&[&format!("{}/base", partner.url), &other.url]);
    config.health = Some(HealthConfig {
        path: "/health".to_owned(),
        every: Duration::from_millis(2),
        timeout: Duration::from_secs(20),
        fall: 2,
        rise: 2,
    });
    let connector = HttpConnector::new(config).expect("valid");
    let mut changes = connector.watch_health();
    let patience = Duration::from_secs(30);
    assert!(connector.health()[0].healthy);

    status.store(503, SeqCst);
    timeout(patience, changes.changed()).await.expect("falls").expect("alive");
    assert!(!connector.health()[0].healthy);
    for _ in 0..4 {
        assert_eq!(*connector.call(query()).await.expect("answer").endpoint, *other.url);
    }
    status.store(204, SeqCst);
    timeout(patience, changes.changed()).await.expect("rises").expect("alive");
    assert!(connector.health()[0].healthy);
}

#[tokio::test]
async fn health_checks_end_with_their_connector() {
    let partner = Partner::answering(OK).await;
    let mut config = config(&[&partner.url]);
    let every = Duration::from_secs(3600);
    config.health = Some(HealthConfig {
        path: "/".to_owned(),
        every,
        timeout: Duration::from_secs(20),
        fall: 1,
        rise: 1,
    });
    let connector = HttpConnector::new(config).expect("valid");
    let mut changes = connector.watch_health();
    drop(connector);
    let ended = timeout(Duration::from_secs(30), changes.changed()).await.expect("ends");
    assert!(ended.is_err(), "nobody is left who could change it");
}
