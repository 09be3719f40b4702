//! Bodies streamed through, both ways.
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use qiao_connectors::HttpConnector;
use qiao_core::{
    Answer, AnswerBody, Connector, Outbound, OutboundBody,
    connector::{self, StreamError},
    fault_codes as codes,
};
use tokio::sync::{Notify, mpsc};

use crate::partner::{OK, Partner, config, connector, outbound, query, settle, whole};

const LARGE: usize = 64 << 20;

fn stream(answer: Answer) -> connector::StreamBody {
    match answer.body {
        AnswerBody::Stream(stream) => stream,
        AnswerBody::Whole(_) => panic!("whole"),
    }
}

async fn length(mut stream: connector::StreamBody) -> Result<usize, StreamError> {
    let mut length = 0;
    while let Some(frame) = stream.frame().await {
        length += frame?.into_data().map_or(0, |data| data.len());
    }
    Ok(length)
}

/// Waits until the counter stands still while everything on the sockets has been taken note of.
async fn standstill(counter: &AtomicUsize) -> usize {
    let mut equal = 0;
    let mut last = counter.load(SeqCst);
    while equal < 20 {
        settle().await;
        let now = counter.load(SeqCst);
        equal = if now == last && now > 0 { equal + 1 } else { 0 };
        last = now;
    }
    last
}

#[tokio::test]
async fn an_answer_larger_than_every_bound_streams_and_waits_for_its_reader() {
    let written = Arc::new(AtomicUsize::new(0));
    let counting = written.clone();
    let partner = Partner::serve(move |_, mut peer| {
        let written = counting.clone();
        async move {
            let chunk = vec![b'x'; 64 << 10];
            while peer.request().await.is_some() {
                peer.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n").as_bytes()).await;
                for _ in 0..LARGE / chunk.len() {
                    peer.write(&chunk).await;
                    written.fetch_add(chunk.len(), SeqCst);
                }
            }
        }
    })
    .await;
    let connector = connector(&[&partner.url]);
    let answer = connector.forward(query()).await.expect("answer");
    assert_eq!(connector.health()[0].active, 1);
    let held = standstill(&written).await;
    assert!(held < LARGE / 2, "{held} bytes were taken from the partner unread");
    assert_eq!(length(stream(answer)).await.expect("whole"), LARGE);
    assert_eq!(connector.health()[0].active, 0);
    let again = connector.forward(query()).await.expect("answer");
    assert_eq!(length(stream(again)).await.expect("whole"), LARGE);
    assert_eq!(partner.connections(), 1, "a stream read to its end gives its connection back");
}

#[tokio::test]
async fn a_request_larger_than_every_bound_streams_and_waits_for_the_partner() {
    let read = Arc::new(Notify::new());
    let reading = read.clone();
    let partner = Partner::serve(move |_, mut peer| {
        let read = reading.clone();
        async move {
            read.notified().await;
            let request = peer.request().await.expect("request");
            assert_eq!(request.header("transfer-encoding"), ["chunked"]);
            let answer = request.body.len().to_string();
            peer.write(
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{answer}", answer.len()).as_bytes(),
            )
            .await;
        }
    })
    .await;
    let taken = Arc::new(AtomicUsize::new(0));
    let chunk = Bytes::from(vec![b'x'; 64 << 10]);
    let counting = taken.clone();
    let frames = futures_util::stream::iter((0..LARGE / chunk.len()).map(move |_| {
        counting.fetch_add(chunk.len(), SeqCst);
        Ok::<_, StreamError>(Frame::data(chunk.clone()))
    }));
    let body = OutboundBody::Stream(StreamBody::new(frames).boxed_unsync());
    let connector = connector(&[&partner.url]);
    let call = tokio::spawn(async move { connector.forward(Outbound { body, ..outbound() }).await });
    let held = standstill(&taken).await;
    assert!(held < LARGE / 2, "{held} bytes were taken from the caller unsent");
    read.notify_one();
    let answer = call.await.expect("no panic").expect("answer");
    assert_eq!(whole(&answer), LARGE.to_string().as_bytes());
}

#[tokio::test]
async fn a_short_answer_that_is_there_is_handed_on_whole() {
    let partner = Partner::answering(OK).await;
    let connector = connector(&[&partner.url]);
    for _ in 0..2 {
        assert_eq!(whole(&connector.forward(query()).await.expect("answer")), b"ok");
    }
    assert_eq!(partner.connections(), 1);
}

#[tokio::test]
async fn a_chunked_answer_streams_and_its_connection_is_used_again() {
    let partner = Partner::answering(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
    )
    .await;
    let connector = connector(&[&partner.url]);
    for _ in 0..2 {
        let answer = connector.forward(query()).await.expect("answer");
        assert!(!answer.headers.contains_key("transfer-encoding"));
        assert_eq!(length(stream(answer)).await.expect("whole"), 3);
    }
    assert_eq!(partner.connections(), 1);
}

#[tokio::test]
async fn a_stream_dropped_half_read_closes_its_connection() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let partner = Partner::serve(move |_, mut peer| {
        let tell = tell.clone();
        async move {
            peer.request().await.expect("request");
            peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").await;
            assert!(peer.closed().await);
            tell.send(()).expect("listening");
        }
    })
    .await;
    let connector = connector(&[&partner.url]);
    let mut body = stream(connector.forward(query()).await.expect("answer"));
    let first = body.frame().await.expect("frame").expect("data").into_data().expect("data");
    assert_eq!(first, "half");
    drop(body);
    told.recv().await.expect("closed");
    assert_eq!(connector.health()[0].active, 0);
}

/// Why the stream of a partner that says `said` breaks.
async fn broken(said: &'static str, close: bool) -> String {
    let partner = Partner::serve(move |_, mut peer| async move {
        peer.request().await.expect("request");
        peer.write(said.as_bytes()).await;
        if !close {
            peer.closed().await;
        }
    })
    .await;
    let mut config = config(&[&partner.url]);
    config.limits.stream_bytes = Some(8);
    let connector = HttpConnector::new(config).expect("valid");
    let body = stream(connector.forward(query()).await.expect("answer"));
    if !close {
        settle().await;
        tokio::time::pause();
    }
    length(body).await.expect_err("breaks").to_string()
}

#[tokio::test]
async fn a_stream_that_falls_silent_breaks_after_its_time() {
    let why = broken("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", false).await;
    assert!(why.contains("30s"), "{why}");
}

#[tokio::test]
async fn a_stream_over_its_bound_breaks_and_names_it() {
    let why = broken(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n3\r\nghi\r\n0\r\n\r\n",
        true,
    )
    .await;
    assert!(why.contains("limits.streamBytes = 8"), "{why}");
}

#[tokio::test]
async fn a_stream_the_partner_cuts_short_breaks() {
    let why = broken("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nabc", true).await;
    assert!(why.contains("broke off"), "{why}");
}

#[tokio::test]
async fn a_stream_declared_over_its_bound_is_refused_at_once() {
    let partner = Partner::answering_once("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789").await;
    let mut config = config(&[&partner.url]);
    config.limits.stream_bytes = Some(8);
    let connector = HttpConnector::new(config).expect("valid");
    let fault = connector.forward(query()).await.err().expect("refused");
    assert_eq!(fault.code(), &codes::PARTNER_PROTOCOL);
    assert!(fault.detail().contains("limits.streamBytes = 8"), "{fault}");
}

#[tokio::test]
async fn the_deadline_of_a_streamed_call_is_for_the_head_only() {
    let go_on = Arc::new(Notify::new());
    let going_on = go_on.clone();
    let partner = Partner::serve(move |_, mut peer| {
        let go_on = going_on.clone();
        async move {
            peer.request().await.expect("request");
            peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha").await;
            go_on.notified().await;
            peer.write(b"lf").await;
        }
    })
    .await;
    let mut config = config(&[&partner.url]);
    config.stream_idle = Duration::from_secs(3600);
    let connector = HttpConnector::new(config).expect("valid");
    let body = stream(connector.forward(query()).await.expect("answer"));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(60)).await;
    tokio::time::resume();
    go_on.notify_one();
    assert_eq!(length(body).await.expect("whole"), 4);
}
