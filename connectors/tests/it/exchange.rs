//! What goes over the wire and what comes back of it.
use http::{HeaderName, HeaderValue, Method};
use qiao_connectors::{
    Credential, HttpConfig, HttpConnector, HttpProtocol, SecretString, credentials::fixed,
};
use qiao_core::{Connector, Outbound};
use tokio::sync::mpsc;

use crate::partner::{OK, Partner, Received, config, connector, outbound, query, whole};

/// Sends one message and gives what the partner received.
async fn received(change: impl FnOnce(&mut HttpConfig), message: Outbound) -> Received {
    let (tell, mut told) = mpsc::unbounded_channel();
    let partner = Partner::serve(move |_, mut peer| {
        let tell = tell.clone();
        async move {
            tell.send(peer.request().await.expect("request")).expect("listening");
            peer.write(OK).await;
        }
    })
    .await;
    let mut config = config(&[&format!("{}/base/", partner.url)]);
    change(&mut config);
    let connector = HttpConnector::new(config).expect("valid");
    assert_eq!(connector.call(message).await.expect("answer").status, 200);
    told.recv().await.expect("received")
}

#[tokio::test]
async fn calls_one_after_another_share_a_connection() {
    let partner = Partner::answering(OK).await;
    let connector = connector(&[&partner.url]);
    for _ in 0..3 {
        let answer = connector.call(outbound()).await.expect("answer");
        assert_eq!((answer.status, whole(&answer)), (200, &b"ok"[..]));
        assert_eq!(*answer.endpoint, *partner.url);
        assert!(answer.mocked.is_none());
    }
    assert_eq!(partner.connections(), 1);
}

#[tokio::test]
async fn a_request_carries_what_the_message_and_the_definition_say_and_nothing_of_the_callers_connection() {
    let mut message = outbound();
    message.idempotency_key = Some("k-1".into());
    message.traceparent = Some("00-0191a2b3c4d57e8f90a1b2c3d4e5f607-00f067aa0ba902b7-01".into());
    for (name, value) in [
        ("host", "bus.example"),
        ("connection", "close, x-hop"),
        ("x-hop", "1"),
        ("transfer-encoding", "chunked"),
        ("content-length", "99"),
        ("expect", "100-continue"),
        ("authorization", "Bearer callers"),
        ("x-kept", "yes"),
    ] {
        message.headers.append(name, HeaderValue::from_static(value));
    }
    let change = |config: &mut HttpConfig| {
        config.credential = Credential::Bearer(fixed(SecretString::new("ours")));
        config.operations[0].content_type = Some("application/json".to_owned());
        config.operations[0].idempotency_header = Some(HeaderName::from_static("x-idempotency-key"));
    };
    let received = received(change, message).await;
    assert!(received.head.starts_with("POST /base/card HTTP/1.1\r\n"), "{}", received.head);
    assert_eq!(received.body, b"{}");
    assert!(received.header("host")[0].starts_with("127.0.0.1:"));
    for (name, values) in [
        ("content-length", &["2"][..]),
        ("content-type", &["application/json"]),
        ("authorization", &["Bearer ours"]),
        ("x-idempotency-key", &["k-1"]),
        ("traceparent", &["00-0191a2b3c4d57e8f90a1b2c3d4e5f607-00f067aa0ba902b7-01"]),
        ("x-kept", &["yes"]),
        ("connection", &[]),
        ("x-hop", &[]),
        ("transfer-encoding", &[]),
        ("expect", &[]),
    ] {
        assert_eq!(received.header(name), values, "{name}");
    }
}

#[tokio::test]
async fn an_empty_post_says_that_it_is_empty_and_a_get_says_nothing() {
    let mut message = outbound();
    message.body = qiao_core::OutboundBody::Whole(bytes::Bytes::new());
    assert_eq!(received(|_| (), message).await.header("content-length"), ["0"]);
    assert!(received(|_| (), query()).await.header("content-length").is_empty());
}

#[tokio::test]
async fn soap_posts_with_its_content_type_and_action_whatever_the_caller_said() {
    let mut message = query();
    message.headers.append("content-type", HeaderValue::from_static("application/json"));
    let change = |config: &mut HttpConfig| {
        config.protocol = HttpProtocol::Soap11;
        config.operations[0].soap_action = Some("urn:card/query".to_owned());
    };
    let received = received(change, message).await;
    assert!(received.head.starts_with("POST "));
    assert_eq!(received.header("content-type"), ["text/xml; charset=utf-8"]);
    assert_eq!(received.header("soapaction"), ["\"urn:card/query\""]);
}

#[tokio::test]
async fn a_soap_fault_with_status_500_is_an_answer() {
    let fault = "<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"/>";
    let head = format!("HTTP/1.1 500 Internal Server Error\r\nContent-Length: {}\r\n\r\n", fault.len());
    let partner = Partner::answering(head + fault).await;
    let mut config = config(&[&partner.url]);
    config.protocol = HttpProtocol::Soap11;
    let connector = HttpConnector::new(config).expect("valid");
    let answer = connector.call(outbound()).await.expect("answer");
    assert_eq!((answer.status, whole(&answer)), (500, fault.as_bytes()));
}

#[tokio::test]
async fn an_answer_of_a_mock_partner_says_so_and_loses_what_belongs_to_its_connection() {
    let partner = Partner::answering(
        "HTTP/1.1 200 OK\r\nX-Mocked: civil/stub-1@ab12\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n\
         Keep-Alive: timeout=5\r\nX-Kept: 1\r\nContent-Length: 2\r\n\r\nok",
    )
    .await;
    let answer = connector(&[&partner.url]).call(outbound()).await.expect("answer");
    assert_eq!(answer.mocked.as_deref(), Some("civil/stub-1@ab12"));
    let mut names: Vec<_> = answer.headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "x-kept", "x-mocked"]);
}

#[tokio::test]
async fn answers_are_read_however_they_are_framed() {
    for (answer, status, body) in [
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n",
            200,
            "abcde",
        ),
        ("HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, "until the end"),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end", 200, "until the end"),
        (
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\nx",
            201,
            "x",
        ),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, ""),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n", 304, ""),
    ] {
        let partner = Partner::answering_once(answer).await;
        let read = connector(&[&partner.url]).call(outbound()).await.expect(answer);
        assert_eq!((read.status, whole(&read)), (status, body.as_bytes()), "{answer}");
    }
}

#[tokio::test]
async fn an_answer_to_head_has_its_length_and_no_body_and_leaves_the_connection_usable() {
    let partner = Partner::answering("HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n").await;
    let connector = connector(&[&partner.url]);
    for _ in 0..2 {
        let message = Outbound { method: Method::HEAD, ..query() };
        let answer = connector.call(message).await.expect("answer");
        assert_eq!(
            (&answer.headers["content-length"], whole(&answer)),
            (&"77".parse().expect("value"), &b""[..])
        );
    }
    assert_eq!(partner.connections(), 1);
}

#[tokio::test]
async fn an_answer_in_many_pieces_is_put_together() {
    let partner = Partner::serve(|_, mut peer| async move {
        peer.request().await.expect("request");
        for piece in ["HTTP/1.1 200 OK\r\nContent-", "Length: 6\r\n\r\nab", "cd", "ef"] {
            peer.write(piece.as_bytes()).await;
            crate::partner::settle().await;
        }
        peer.closed().await;
    })
    .await;
    let answer = connector(&[&partner.url]).call(outbound()).await.expect("answer");
    assert_eq!(whole(&answer), b"abcdef");
}
