//! From an outbound message to an HTTP request: method, path and headers; built before an endpoint is picked as far as possible.
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING},
    uri::PathAndQuery,
};
use http_body::Body;
use qiao_core::{Fault, Outbound};

use super::{body::OutBody, failure::Scene, headers, pool::Lease};
use crate::{
    config::{ConfigError, HttpConfig, HttpProtocol},
    credentials::Credential,
    soap::SoapHeaders,
};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// One operation, its headers built once.
pub(super) struct Operation {
    method: Option<Method>,
    content_type: Option<HeaderValue>,
    soap: Option<SoapHeaders>,
    idempotency_header: Option<HeaderName>,
}

impl Operation {
    pub(super) fn compile(config: &HttpConfig) -> Result<Vec<Self>, ConfigError> {
        let compile = |operation: &crate::config::HttpOperation| {
            let place = |setting: &str| format!("operations.{}.{setting}", operation.name);
            let soap = SoapHeaders::new(config.protocol, &config.charset, operation.soap_action.as_deref())
                .map_err(|reason| config.mistake(place("soapAction"), reason))?;
            let content_type = operation.content_type.as_deref().map(HeaderValue::from_str).transpose();
            Ok(Self {
                method: match config.protocol {
                    HttpProtocol::Http => operation.method.clone(),
                    HttpProtocol::Soap11 | HttpProtocol::Soap12 => Some(Method::POST),
                },
                content_type: content_type
                    .map_err(|_| config.mistake(place("contentType"), "holds a control character"))?,
                soap,
                idempotency_header: operation.idempotency_header.clone(),
            })
        };
        config.operations.iter().map(compile).collect()
    }
}

/// A request without an endpoint yet.
pub(super) struct Prepared {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: OutBody,
}

impl Prepared {
    pub(super) fn new(
        outbound: Outbound,
        operations: &[Operation],
        credential: &Credential,
        scene: &Scene<'_>,
    ) -> Result<Self, Fault> {
        let Outbound { operation, path, method, mut headers, body, idempotency_key, traceparent, .. } =
            outbound;
        let operation = operations
            .get(operation)
            .ok_or_else(|| scene.unsendable(&format!("has no operation number {operation}")))?;
        let body = OutBody::from(body);
        let method = operation.method.clone().unwrap_or(method);
        headers::strip_request(&mut headers);
        let value = |text: &str, name: &HeaderName| {
            HeaderValue::from_str(text)
                .map_err(|_| scene.unsendable(&format!("header `{name}` holds a control character")))
        };
        if let Some(soap) = &operation.soap {
            soap.apply(&mut headers);
        } else if let Some(content_type) = &operation.content_type
            && !body.is_end_stream()
            && !headers.contains_key(CONTENT_TYPE)
        {
            headers.insert(CONTENT_TYPE, content_type.clone());
        }
        if let (Some(name), Some(key)) = (&operation.idempotency_header, idempotency_key) {
            headers.insert(name, value(&key, name)?);
        }
        if let Some(traceparent) = traceparent {
            headers.insert(TRACEPARENT, value(&traceparent, &TRACEPARENT)?);
        }
        credential.apply(&mut headers)?;
        Ok(Self { method, path, headers, body })
    }

    /// The request for the endpoint and HTTP version of the lease.
    pub(super) fn request(self, lease: &Lease, scene: &Scene<'_>) -> Result<Request<OutBody>, Fault> {
        let Self { method, path, mut headers, body } = self;
        let target = &lease.call.endpoint().target;
        let path = joined(&target.base, path)
            .ok_or_else(|| scene.unsendable("the path holds characters that must be percent-encoded"))?;
        let mut uri = http::uri::Parts::default();
        uri.path_and_query = Some(path);
        let version = if lease.is_http2() {
            uri.scheme = Some(target.scheme.clone());
            uri.authority = Some(target.authority.clone());
            Version::HTTP_2
        } else {
            headers.insert(HOST, target.host_header.clone());
            frame(&method, &mut headers, &body);
            Version::HTTP_11
        };
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = Uri::from_parts(uri).map_err(|_| scene.unsendable("the path cannot be sent"))?;
        *request.version_mut() = version;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

/// Where hyper would leave the framing out: an empty body of a method that usually has one (RFC 9110 §8.6), and a streamed
/// body of a method that usually has none.
fn frame(method: &Method, headers: &mut HeaderMap, body: &OutBody) {
    let bodiless =
        matches!(*method, Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS | Method::TRACE);
    if body.is_end_stream() {
        if !bodiless {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
    } else if bodiless && body.size_hint().exact().is_none() {
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

/// `base` has no slash at its end; `path` may be empty, or begin with `/` or `?`.
fn joined(base: &str, path: String) -> Option<PathAndQuery> {
    let joined = if base.is_empty() && path.starts_with('/') {
        path
    } else if path.is_empty() && !base.is_empty() {
        base.to_owned()
    } else if path.starts_with('/') || (path.starts_with('?') && !base.is_empty()) {
        format!("{base}{path}")
    } else {
        format!("{base}/{path}")
    };
    // A fragment would be cut off silently.
    if joined.contains('#') { None } else { PathAndQuery::try_from(joined).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_join_with_exactly_one_slash() {
        for (base, path, whole) in [
            ("", "", "/"),
            ("", "/card?x=1", "/card?x=1"),
            ("", "card", "/card"),
            ("", "?x=1", "/?x=1"),
            ("/base", "", "/base"),
            ("/base", "/card", "/base/card"),
            ("/base", "card", "/base/card"),
            ("/base", "?x=1", "/base?x=1"),
        ] {
            let joined = joined(base, path.to_owned()).expect("valid");
            assert_eq!(joined.as_str(), whole, "`{base}` and `{path}`");
        }
    }

    #[test]
    fn a_path_that_would_change_the_request_line_is_refused() {
        for path in ["/a b", "/a\r\nX-Evil: 1", "/a#b", "/\u{0}"] {
            assert!(joined("", path.to_owned()).is_none(), "{path:?}");
        }
    }
}
