//! Header fields that stop at the bus: its own reserved names in any spelling, and those that concern one connection only.
use http::{HeaderMap, HeaderName, HeaderValue, header};

pub use super::trace_context::TraceParent;

/// Reserved names, whatever their case and with `_` for `-`. A name that ends in `-` stands for all that begin with it.
/// Stripped from every request and from every partner's answer; only the bus itself sets them.
pub const RESERVED: &[&str] = &["x-qiao-", "x-mocked", "x-mock-miss", "x-mock-fault"];

/// What a request asked of a mock partner in `X-Mock-Fault`: taken out of the headers into the request's extensions, for the
/// handler to honour where policy allows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MockFault(pub HeaderValue);

/// The longest `X-Request-Id` that is honoured, in characters.
pub const REQUEST_ID_MAX: usize = 128;

/// Fields that `Connection` may not take out of a message: naming one there is an old way to hide it from whoever is behind.
const NOT_NOMINABLE: &[&str] = &[
    "authorization",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "soapaction",
    "traceparent",
    "tracestate",
    "x-forwarded-for",
    "x-request-id",
];

/// Whether the name is one of [`RESERVED`].
pub fn is_reserved(name: &str) -> bool {
    let same = |byte: u8, want: u8| (if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }) == want;
    // All reserved names begin alike: most names are through after one comparison.
    if !name.as_bytes().first().is_some_and(|first| same(*first, b'x')) {
        return false;
    }
    RESERVED.iter().any(|reserved| {
        let fits =
            if reserved.ends_with('-') { name.len() > reserved.len() } else { name.len() == reserved.len() };
        fits && name.bytes().zip(reserved.bytes()).all(|(byte, want)| same(byte, want))
    })
}

fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "expect"
            | "http2-settings"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            // Servers behind us may take `_` for `-`: framing is not to be had by that door.
            | "content_length"
            | "transfer_encoding"
    )
}

/// Removes from a request what must not pass the bus (RFC 9110 §7.6.1 and [`RESERVED`]).
pub fn strip_request(headers: &mut HeaderMap) {
    strip(headers, true);
}

/// Removes from a partner's answer what must not pass the bus. To be called before the bus adds fields of its own.
pub fn strip_response(headers: &mut HeaderMap) {
    strip(headers, true);
}

/// Removes what concerns the connection only; leaves the bus's own fields.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    strip(headers, false);
}

fn strip(headers: &mut HeaderMap, reserved: bool) {
    let mut doomed: Vec<HeaderName> = Vec::new();
    for name in headers.keys() {
        if is_hop_by_hop(name.as_str()) || (reserved && is_reserved(name.as_str())) {
            doomed.push(name.clone());
        }
    }
    if doomed.is_empty() {
        return;
    }
    for value in headers.get_all(header::CONNECTION) {
        for nominated in value.as_bytes().split(|byte| *byte == b',') {
            let Ok(name) = HeaderName::from_bytes(nominated.trim_ascii()) else { continue };
            if !NOT_NOMINABLE.contains(&name.as_str()) && headers.contains_key(&name) {
                doomed.push(name);
            }
        }
    }
    for name in doomed {
        headers.remove(name);
    }
}

/// The caller's `X-Request-Id`, if there is exactly one, of 1 to 128 visible ASCII characters.
pub fn request_id(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all("x-request-id").iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let bytes = value.as_bytes();
    let valid = (1..=REQUEST_ID_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
    if valid { value.to_str().ok() } else { None }
}

/// The request id to use: the caller's own, or else the call's id.
pub fn request_id_or(headers: &HeaderMap, call: &qiao_core::CallId) -> Box<str> {
    request_id(headers).map_or_else(|| call.to_string().into_boxed_str(), Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        headers
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn reserved_names_are_known_in_every_spelling_and_others_are_left() {
        for name in [
            "x-qiao-caller",
            "X-QIAO-Caller",
            "x_qiao_caller",
            "X-Qiao_x",
            "X-Mocked",
            "x_mocked",
            "x-mock-fault",
        ] {
            assert!(is_reserved(name), "{name}");
        }
        for name in ["x-qiao", "x-qiao-", "x-mockedx", "x-request-id", "host", "qiao-x", "x-mock-faults", ""]
        {
            assert!(!is_reserved(name), "{name}");
        }
    }

    #[test]
    fn a_request_loses_reserved_and_connection_fields_and_keeps_the_rest() {
        let mut headers = map(&[
            ("host", "bus"),
            ("x-qiao-caller", "admin"),
            ("x_qiao_caller", "admin"),
            ("x-mocked", "a/b"),
            ("connection", "close, X-Private , authorization"),
            ("x-private", "1"),
            ("authorization", "token"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("transfer_encoding", "chunked"),
            ("content_length", "5"),
            ("content-type", "text/xml"),
        ]);
        strip_request(&mut headers);
        assert_eq!(names(&headers), ["authorization", "content-type", "host"]);
    }

    #[test]
    fn stripping_the_connection_only_leaves_what_the_bus_set() {
        let mut headers = map(&[("x-qiao-call", "1"), ("keep-alive", "timeout=5"), ("etag", "1")]);
        strip_hop_by_hop(&mut headers);
        assert_eq!(names(&headers), ["etag", "x-qiao-call"]);
    }

    #[test]
    fn a_request_id_is_honoured_only_if_it_is_one_short_visible_text() {
        assert_eq!(request_id(&map(&[("x-request-id", "a-1")])), Some("a-1"));
        assert_eq!(request_id(&map(&[("x-request-id", &"a".repeat(128))])).map(str::len), Some(128));
        assert_eq!(request_id(&map(&[("x-request-id", &"a".repeat(129))])), None);
        for bad in ["", "a b", "a\tb"] {
            assert_eq!(request_id(&map(&[("x-request-id", bad)])), None);
        }
        assert_eq!(request_id(&map(&[("x-request-id", "a"), ("x-request-id", "b")])), None);
        assert_eq!(request_id(&HeaderMap::new()), None);
        let call = qiao_core::CallId::generate();
        assert_eq!(&*request_id_or(&HeaderMap::new(), &call), call.to_string());
        assert_eq!(&*request_id_or(&map(&[("x-request-id", "a-1")]), &call), "a-1");
    }
}
