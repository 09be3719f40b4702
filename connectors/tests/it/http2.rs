//! HTTP/2, declared or negotiated: one connection for many calls.
use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use qiao_connectors::{HttpConnector, HttpVersion};
use qiao_core::Connector;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Barrier,
};

use crate::{
    partner::{OK, Partner, Peer, config, outbound, whole},
    tls::negotiating,
};

/// Answers with method, path, header and body, once two calls are there at the same time.
async fn echo(
    request: Request<Incoming>,
    both_here: Arc<Barrier>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    both_here.wait().await;
    let (head, body) = request.into_parts();
    let body = body.collect().await.expect("body").to_bytes();
    let host = head.uri.authority().is_some_and(|authority| authority.host() == "127.0.0.1");
    let line = format!("{} {} {host} {}", head.method, head.uri.path(), String::from_utf8_lossy(&body));
    Ok(Response::new(Full::from(line)))
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, both_here: Arc<Barrier>) {
    let service = service_fn(move |request| echo(request, both_here.clone()));
    http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await
        .unwrap_or_default();
}

async fn two_calls_share(connector: HttpConnector, partner: &Partner) {
    let (one, two) = tokio::join!(connector.call(outbound()), connector.call(outbound()));
    for answer in [one.expect("answer"), two.expect("answer")] {
        assert_eq!(whole(&answer), b"POST /card true {}");
    }
    assert_eq!(partner.connections(), 1);
    assert_eq!(connector.health()[0].active, 0);
}

#[tokio::test]
async fn declared_http2_needs_no_tls_and_shares_one_connection() {
    let both_here = Arc::new(Barrier::new(2));
    let partner = Partner::serve_streams("http", move |_, tcp| serve(tcp, both_here.clone())).await;
    let mut config = config(&[&partner.url]);
    config.version = HttpVersion::Http2;
    two_calls_share(HttpConnector::new(config).expect("valid"), &partner).await;
}

#[tokio::test]
async fn negotiated_http2_shares_one_connection() {
    let (acceptor, tls) = negotiating(&[b"h2", b"http/1.1"]);
    let both_here = Arc::new(Barrier::new(2));
    let partner = Partner::serve_streams("https", move |_, tcp| {
        let (acceptor, both_here) = (acceptor.clone(), both_here.clone());
        async move { serve(acceptor.accept(tcp).await.expect("TLS"), both_here).await }
    })
    .await;
    let mut config = config(&[&partner.url]);
    config.version = HttpVersion::Negotiate;
    config.tls = Some(tls);
    two_calls_share(HttpConnector::new(config).expect("valid"), &partner).await;
}

#[tokio::test]
async fn a_partner_that_declines_http2_is_spoken_to_in_http1() {
    let (acceptor, tls) = negotiating(&[b"http/1.1"]);
    let partner = Partner::serve_streams("https", move |_, tcp| {
        let acceptor = acceptor.clone();
        async move {
            let mut peer = Peer::new(acceptor.accept(tcp).await.expect("TLS"));
            while peer.request().await.is_some() {
                peer.write(OK).await;
            }
        }
    })
    .await;
    let mut config = config(&[&partner.url]);
    config.version = HttpVersion::Negotiate;
    config.tls = Some(tls);
    let connector = HttpConnector::new(config).expect("valid");
    for _ in 0..3 {
        assert_eq!(connector.call(outbound()).await.expect("answer").status, 200);
    }
    assert_eq!(partner.connections(), 1);
}
