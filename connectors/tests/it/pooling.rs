//! Which connections are kept, used again, closed and bounded.
use std::{sync::Arc, time::Duration};

use qiao_connectors::HttpConnector;
use qiao_core::{Connector, Outbound, Repeat, fault_codes as codes};
use tokio::sync::{Notify, mpsc};

use crate::partner::{OK, Partner, config, connector, outbound, query, settle};

/// A partner that tells when a connection's other side closed it.
async fn telling_of_closes() -> (Partner, mpsc::UnboundedReceiver<usize>) {
    let (tell, told) = mpsc::unbounded_channel();
    let partner = Partner::serve(move |number, mut peer| {
        let tell = tell.clone();
        async move {
            while peer.request().await.is_some() {
                peer.write(OK).await;
            }
            tell.send(number).unwrap_or_default();
        }
    })
    .await;
    (partner, told)
}

#[tokio::test]
async fn a_kept_connection_the_partner_closed_is_replaced_without_a_failure() {
    let partner = Partner::answering_once(OK).await;
    let connector = connector(&[&partner.url]);
    for _ in 0..3 {
        connector.call(outbound()).await.expect("answer");
        settle().await;
    }
    assert_eq!(partner.connections(), 3);
}

#[tokio::test]
async fn a_kept_connection_that_spoke_unasked_is_not_believed() {
    let partner = Partner::serve(|_, mut peer| async move {
        while peer.request().await.is_some() {
            peer.write(OK).await;
            settle().await;
            peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil").await;
        }
    })
    .await;
    let connector = connector(&[&partner.url]);
    for _ in 0..2 {
        let answer = connector.call(outbound()).await.expect("answer");
        assert_eq!(crate::partner::whole(&answer), b"ok");
        settle().await;
        settle().await;
    }
    assert_eq!(partner.connections(), 2);
}

#[tokio::test]
async fn a_cancelled_call_closes_its_connection_and_leaves_nothing_half_read() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let (tell_closed, mut closed) = mpsc::unbounded_channel();
    let partner = Partner::serve(move |number, mut peer| {
        let (tell, tell_closed) = (tell.clone(), tell_closed.clone());
        async move {
            peer.request().await.expect("request");
            if number == 0 {
                peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").await;
                tell.send(()).expect("listening");
                assert!(peer.closed().await);
                tell_closed.send(()).expect("listening");
            } else {
                peer.write(OK).await;
            }
        }
    })
    .await;
    let connector = Arc::new(connector(&[&partner.url]));
    let call = tokio::spawn({
        let connector = connector.clone();
        async move { connector.call(outbound()).await.map(|_| ()) }
    });
    told.recv().await.expect("half an answer");
    settle().await;
    call.abort();
    closed.recv().await.expect("closed");
    assert_eq!(connector.health()[0].active, 0);
    let answer = connector.call(outbound()).await.expect("answer");
    assert_eq!(crate::partner::whole(&answer), b"ok");
    assert_eq!(partner.connections(), 2);
}

#[tokio::test]
async fn a_connection_whose_answer_was_refused_is_not_used_again() {
    let partner = Partner::answering("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789").await;
    let mut config = config(&[&partner.url]);
    config.limits.answer_bytes = 8;
    let connector = HttpConnector::new(config).expect("valid");
    for _ in 0..2 {
        connector.call(query()).await.err().expect("over the bound");
    }
    assert_eq!(partner.connections(), 2);
}

#[tokio::test]
async fn unused_connections_close_after_their_time() {
    let (partner, mut closed) = telling_of_closes().await;
    let connector = connector(&[&partner.url]);
    connector.call(outbound()).await.expect("answer");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(closed.recv().await, Some(0));
}

#[tokio::test]
async fn draining_closes_unused_connections_and_keeps_none_afterwards() {
    let (partner, mut closed) = telling_of_closes().await;
    let connector = connector(&[&partner.url]);
    connector.call(outbound()).await.expect("answer");
    connector.drain();
    assert_eq!(closed.recv().await, Some(0));
    connector.call(outbound()).await.expect("still answers");
    assert_eq!(closed.recv().await, Some(1));
}

#[tokio::test]
async fn a_dropped_connector_closes_its_connections() {
    let (partner, mut closed) = telling_of_closes().await;
    let connector = connector(&[&partner.url]);
    connector.call(outbound()).await.expect("answer");
    drop(connector);
    assert_eq!(closed.recv().await, Some(0));
}

#[tokio::test]
async fn kept_connections_are_bounded_per_endpoint() {
    let both_here = Arc::new(tokio::sync::Barrier::new(2));
    let (tell, mut closed) = mpsc::unbounded_channel();
    let partner = Partner::serve(move |_, mut peer| {
        let (both_here, tell) = (both_here.clone(), tell.clone());
        async move {
            while peer.request().await.is_some() {
                both_here.wait().await;
                peer.write(OK).await;
            }
            tell.send(()).unwrap_or_default();
        }
    })
    .await;
    let mut config = config(&[&partner.url]);
    config.pool.max_idle_per_endpoint = 1;
    let connector = HttpConnector::new(config).expect("valid");
    let (one, two) = tokio::join!(connector.call(outbound()), connector.call(outbound()));
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(partner.connections(), 2);
    closed.recv().await.expect("one of the two");
}

#[tokio::test]
async fn a_bound_over_several_endpoints_closes_the_longest_unused_to_make_room() {
    let (one, mut one_closed) = telling_of_closes().await;
    let (two, mut two_closed) = telling_of_closes().await;
    let mut config = config(&[&one.url, &two.url]);
    config.pool.max_connections = 1;
    let connector = HttpConnector::new(config).expect("valid");
    connector.call(outbound()).await.expect("answer");
    connector.call(outbound()).await.expect("answer");
    assert_eq!(one_closed.recv().await, Some(0));
    connector.call(outbound()).await.expect("answer");
    assert_eq!(two_closed.recv().await, Some(0));
    assert_eq!((one.connections(), two.connections()), (2, 1));
}

/// A partner that holds its first answer until told.
async fn holding() -> (Partner, Arc<Notify>, mpsc::UnboundedReceiver<()>) {
    let release = Arc::new(Notify::new());
    let (tell, told) = mpsc::unbounded_channel();
    let held = release.clone();
    let partner = Partner::serve(move |_, mut peer| {
        let (held, tell) = (held.clone(), tell.clone());
        async move {
            while peer.request().await.is_some() {
                tell.send(()).unwrap_or_default();
                held.notified().await;
                peer.write(OK).await;
            }
        }
    })
    .await;
    (partner, release, told)
}

#[tokio::test]
async fn calls_over_the_bound_wait_and_then_use_the_same_connection() {
    let (partner, release, mut told) = holding().await;
    let mut config = config(&[&partner.url]);
    config.pool.max_connections = 1;
    let connector = HttpConnector::new(config).expect("valid");
    let first = connector.call(outbound());
    let second = connector.call(outbound());
    let releasing = async {
        for _ in 0..2 {
            told.recv().await.expect("request");
            assert_eq!(partner.connections(), 1);
            release.notify_one();
        }
    };
    let (first, second, ()) = tokio::join!(first, second, releasing);
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(partner.connections(), 1);
}

#[tokio::test]
async fn a_call_that_waits_for_a_connection_beyond_its_deadline_is_busy_and_safe_to_repeat() {
    let (partner, release, mut told) = holding().await;
    let mut config = config(&[&partner.url]);
    config.pool.max_connections = 1;
    let connector = Arc::new(HttpConnector::new(config).expect("valid"));
    let first = tokio::spawn({
        let connector = connector.clone();
        async move { connector.call(outbound()).await.map(|answer| answer.status) }
    });
    told.recv().await.expect("request");
    tokio::time::pause();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    let message = Outbound { deadline: deadline.into_std(), ..outbound() };
    let fault = connector.call(message).await.err().expect("no slot");
    assert_eq!((fault.code(), fault.repeat()), (&codes::PARTNER_BUSY, Repeat::Safe));
    assert!(fault.detail().contains("pool.maxConnections = 1"), "{fault}");
    tokio::time::resume();
    release.notify_one();
    assert_eq!(first.await.expect("no panic").expect("answer"), 200);
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_by_name() {
    let refused = |change: fn(&mut qiao_connectors::HttpConfig)| {
        let mut config = config(&["http://127.0.0.1:1"]);
        change(&mut config);
        HttpConnector::new(config).err().expect("refused").to_string()
    };
    for (change, place) in [
        ((|config| config.endpoints.clear()) as fn(&mut qiao_connectors::HttpConfig), "endpoints"),
        (|config| config.endpoints[0].weight = 0, "endpoints.weight"),
        (|config| config.endpoints[0].url = "ftp://x".into(), "endpoints[0].url"),
        (|config| config.pool.max_connections = 0, "pool.maxConnections"),
        (|config| config.connect_timeout = Duration::ZERO, "connectTimeout"),
        (|config| config.limits.header_bytes = 1, "limits.headerBytes"),
        (|config| config.operations[0].content_type = Some("a\nb".into()), "operations.query.contentType"),
    ] {
        let message = refused(change);
        assert!(message.contains("`card`") && message.contains(place), "{message}");
    }
}
