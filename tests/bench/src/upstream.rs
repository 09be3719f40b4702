//! The partner behind every proxy: fixed answers, as fast as hyper serves.
use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::Result;

const PLAIN: &[u8] = br#"{"code":"0","msg":"ok","data":{"insured":true,"types":["a","b","c"],"unit":"example","note":"a plain answer of about two hundred and fifty bytes, as a query of one record gives, with a few more words to reach that size"}}"#;
const SOAP: &[u8] = br#"<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><b:cardQueryResponse xmlns:b="urn:bench"><b:code>0</b:code><b:msg>ok</b:msg><b:name>Zhang San</b:name><b:cardNo>A12345678</b:cardNo><b:status>NORMAL</b:status><b:finStatus>1</b:finStatus><b:bankCode>10200</b:bankCode><b:applyTime>2024-03-01</b:applyTime><b:makeTime>2024-03-08</b:makeTime><b:address>Example Road 1</b:address><b:note>first &amp; only</b:note></b:cardQueryResponse></soap:Body></soap:Envelope>"#;

/// Serves on the loopback port until the process is ended.
pub fn serve(port: &str) -> Result<()> {
    let port: u16 = port.parse()?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(async move {
                let served =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await;
                drop(served);
            });
        }
    })
}

async fn answer(request: Request<Incoming>) -> std::result::Result<Response<Full<Bytes>>, Infallible> {
    let (body, kind) = match request.uri().path().ends_with("/soap") {
        true => (SOAP, "text/xml; charset=utf-8"),
        false => (PLAIN, "application/json"),
    };
    drop(request.into_body().collect().await);
    let mut response = Response::new(Full::new(Bytes::from_static(body)));
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    Ok(response)
}
