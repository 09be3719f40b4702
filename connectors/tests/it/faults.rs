//! What a failed attempt is called, and whether a repeat is safe.
use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::{BodyExt, StreamBody};
use qiao_connectors::{HttpConfig, HttpConnector};
use qiao_core::{
    Connector, Fault, Outbound, OutboundBody, Repeat, connector::StreamError, fault_codes as codes,
};
use tokio::sync::{Notify, mpsc};

use crate::partner::{OK, Partner, config, connector, outbound, query, refusing, settle};

/// The fault of one call to a partner that answers with these bytes and closes.
async fn fault_of(
    answer: impl Into<Vec<u8>>,
    change: impl FnOnce(&mut HttpConfig),
    message: Outbound,
) -> Fault {
    let partner = Partner::answering_once(answer).await;
    let mut config = config(&[&partner.url]);
    change(&mut config);
    let connector = HttpConnector::new(config).expect("valid");
    let fault = connector.call(message).await.err().expect("refused");
    assert_eq!(fault.endpoint().map(|endpoint| &**endpoint), Some(&*partner.url));
    fault
}

#[tokio::test]
async fn a_refused_connection_is_down_and_a_repeat_is_safe() {
    let (url, _held) = refusing();
    let fault = connector(&[&url]).call(outbound()).await.err().expect("refused");
    assert_eq!((fault.code(), fault.repeat()), (&codes::PARTNER_DOWN, Repeat::Safe));
    assert!(fault.detail().contains("card") && fault.detail().contains(&url), "{fault}");
    assert_eq!(fault.endpoint().map(|endpoint| &**endpoint), Some(&*url));
}

#[tokio::test]
async fn a_name_without_address_is_down() {
    let fault = connector(&["http://partner.invalid/"]).call(outbound()).await.err().expect("refused");
    assert_eq!((fault.code(), fault.repeat()), (&codes::PARTNER_DOWN, Repeat::Safe));
}

#[tokio::test]
async fn a_reset_after_the_request_leaves_a_change_unknown_and_a_query_repeatable() {
    let partner = Partner::serve(|_, mut peer| async move {
        peer.request().await.expect("request");
        peer.reset();
    })
    .await;
    let connector = connector(&[&partner.url]);
    let fault = connector.call(outbound()).await.err().expect("reset");
    assert_eq!((fault.code(), fault.repeat()), (&codes::PARTNER_PROTOCOL, Repeat::Unknown));
    let fault = connector.call(query()).await.err().expect("reset");
    assert_eq!((fault.code(), fault.repeat()), (&codes::PARTNER_PROTOCOL, Repeat::Safe));
    assert_eq!(partner.connections(), 2, "a request that left is never sent again by the connector");
}

#[tokio::test]
async fn an_answer_cut_short_is_unknown() {
    for answer in ["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "HTTP/1.1 200 OK\r\nConte", ""] {
        let fault = fault_of(answer, |_| (), outbound()).await;
        assert_eq!((fault.code(), fault.repeat()), (&codes::PARTNER_PROTOCOL, Repeat::Unknown), "{answer}");
    }
}

#[tokio::test]
async fn what_is_not_a_trustworthy_http_answer_is_refused() {
    for answer in [
        "garbage\r\n\r\n",
        "HTTP/1.1 abc\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-Folded: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nX-Space : a\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let fault = fault_of(answer, |_| (), outbound()).await;
        assert_eq!((fault.code(), fault.repeat()), (&codes::PARTNER_PROTOCOL, Repeat::Unknown), "{answer:?}");
    }
}

#[tokio::test]
async fn an_answer_over_a_bound_is_refused_and_the_bound_is_named() {
    let small = |config: &mut HttpConfig| config.limits.answer_bytes = 8;
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n4\r\nfghi\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nuntil the end",
    ] {
        let fault = fault_of(answer, small, query()).await;
        assert_eq!((fault.code(), fault.repeat()), (&codes::PARTNER_PROTOCOL, Repeat::Unsafe));
        assert!(fault.detail().contains("limits.answerBytes = 8"), "{fault}");
    }
    let head = format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\nContent-Length: 2\r\n\r\nok", "x".repeat(2000));
    let fault = fault_of(head, |config| config.limits.header_bytes = 1024, outbound()).await;
    assert_eq!((fault.code(), fault.repeat()), (&codes::PARTNER_PROTOCOL, Repeat::Unknown));
    assert!(fault.detail().contains("limits.headerBytes = 1024"), "{fault}");
}

#[tokio::test]
async fn an_answer_exactly_at_the_bound_passes() {
    let partner = Partner::answering(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n3\r\nfgh\r\n0\r\n\r\n",
    )
    .await;
    let mut config = config(&[&partner.url]);
    config.limits.answer_bytes = 8;
    let connector = HttpConnector::new(config).expect("valid");
    let answer = connector.call(outbound()).await.expect("answer");
    assert_eq!(crate::partner::whole(&answer), b"abcdefgh");
}

/// The fault of a call whose partner says `said` after the request, and then nothing until after the deadline.
async fn fault_after_silence(said: &'static str, message: fn() -> Outbound) -> Fault {
    let (tell, mut told) = mpsc::unbounded_channel();
    let partner = Partner::serve(move |_, mut peer| {
        let tell = tell.clone();
        async move {
            peer.request().await.expect("request");
            peer.write(said.as_bytes()).await;
            tell.send(()).expect("listening");
            peer.closed().await;
        }
    })
    .await;
    let connector = connector(&[&partner.url]);
    let call = tokio::spawn(async move { connector.call(message()).await });
    told.recv().await.expect("request arrived");
    settle().await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(31)).await;
    call.await.expect("no panic").err().expect("timed out")
}

#[tokio::test]
async fn a_silent_partner_times_out_and_a_change_is_unknown() {
    let fault = fault_after_silence("", outbound).await;
    assert_eq!((fault.code(), fault.repeat()), (&codes::PARTNER_TIMEOUT, Repeat::Unknown));
}

#[tokio::test]
async fn a_silent_partner_times_out_and_a_query_may_be_repeated() {
    let fault = fault_after_silence("", query).await;
    assert_eq!((fault.code(), fault.repeat()), (&codes::PARTNER_TIMEOUT, Repeat::Safe));
}

#[tokio::test]
async fn half_an_answer_does_not_extend_the_deadline() {
    let fault = fault_after_silence("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", outbound).await;
    assert_eq!((fault.code(), fault.repeat()), (&codes::PARTNER_TIMEOUT, Repeat::Unknown));
    assert!(fault.detail().contains("reading the answer"), "{fault}");
}

#[tokio::test]
async fn a_dripping_answer_ends_at_the_deadline() {
    let drip = Arc::new(Notify::new());
    let (tell, mut told) = mpsc::unbounded_channel();
    let dripping = drip.clone();
    let partner = Partner::serve(move |_, mut peer| {
        let (drip, tell) = (dripping.clone(), tell.clone());
        async move {
            peer.request().await.expect("request");
            peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").await;
            loop {
                peer.write(b"x").await;
                tell.send(()).expect("listening");
                drip.notified().await;
            }
        }
    })
    .await;
    let connector = connector(&[&partner.url]);
    let call = tokio::spawn(async move { connector.call(outbound()).await });
    told.recv().await.expect("first drop");
    settle().await;
    tokio::time::pause();
    for _ in 0..4 {
        assert!(!call.is_finished(), "8 seconds each do not reach the 30 of the deadline");
        tokio::time::advance(Duration::from_secs(8)).await;
        drip.notify_one();
        told.recv().await.expect("next drop");
    }
    let fault = call.await.expect("no panic").err().expect("timed out");
    assert_eq!((fault.code(), fault.repeat()), (&codes::PARTNER_TIMEOUT, Repeat::Unknown));
}

#[tokio::test]
async fn an_attempt_after_its_deadline_sends_nothing() {
    let partner = Partner::answering(OK).await;
    let message = Outbound { deadline: tokio::time::Instant::now().into_std(), ..outbound() };
    let fault = connector(&[&partner.url]).call(message).await.err().expect("refused");
    assert_eq!((fault.code(), fault.repeat()), (&codes::PARTNER_TIMEOUT, Repeat::Safe));
    assert_eq!(partner.connections(), 0);
}

/// A request whose body breaks off once `broken` is notified.
fn breaking(broken: Arc<Notify>) -> Outbound {
    let half = futures_util::stream::iter([Ok(http_body::Frame::data(Bytes::from_static(b"half")))]);
    let hang_up = futures_util::stream::once(async move {
        broken.notified().await;
        Err::<_, StreamError>("the caller hung up".into())
    });
    let body = StreamBody::new(half.chain(hang_up)).boxed_unsync();
    Outbound { body: OutboundBody::Stream(body), ..outbound() }
}

#[tokio::test]
async fn a_callers_body_that_breaks_off_is_the_callers_fault_and_unknown_once_some_of_it_left() {
    let broken = Arc::new(Notify::new());
    let breaks = broken.clone();
    let partner = Partner::serve(move |_, mut peer| {
        let breaks = breaks.clone();
        async move {
            peer.head().await.expect("head");
            breaks.notify_one();
            peer.request().await;
        }
    })
    .await;
    let fault = connector(&[&partner.url]).forward(breaking(broken)).await.err().expect("refused");
    assert_eq!((fault.code(), fault.repeat()), (&codes::BAD_REQUEST, Repeat::Unknown));
}

#[tokio::test]
async fn a_callers_body_that_breaks_off_before_anything_left_is_safe_to_repeat() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let partner = Partner::serve(move |_, mut peer| {
        let tell = tell.clone();
        async move { tell.send(peer.closed().await).expect("listening") }
    })
    .await;
    let broken = Arc::new(Notify::new());
    broken.notify_one();
    let fault = connector(&[&partner.url]).forward(breaking(broken)).await.err().expect("refused");
    assert_eq!((fault.code(), fault.repeat()), (&codes::BAD_REQUEST, Repeat::Safe));
    assert_eq!(told.recv().await, Some(true), "the partner saw no byte");
}

#[tokio::test]
async fn a_header_or_path_that_would_split_the_request_is_refused_before_sending() {
    let partner = Partner::answering(OK).await;
    let connector = connector(&[&partner.url]);
    let path = Outbound { path: "/a b".to_owned(), ..outbound() };
    let trace = Outbound { traceparent: Some("00\r\nX-Evil: 1".into()), ..outbound() };
    let operation = Outbound { operation: 7, ..outbound() };
    for message in [path, trace, operation] {
        let fault = connector.call(message).await.err().expect("refused");
        assert_eq!((fault.code(), fault.repeat()), (&codes::FLOW_FAULT, Repeat::Unsafe));
    }
}
