//! Which headers may pass between the bus's two sides, and which answers must not be believed (RFC 9110 §7.6.1, RFC 9112 §6).
use http::{
    HeaderMap, HeaderName, StatusCode,
    header::{
        CONNECTION, CONTENT_LENGTH, EXPECT, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
        TRANSFER_ENCODING, UPGRADE,
    },
};

/// Meant for one connection only, whether `Connection` names them or not.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    TRANSFER_ENCODING,
    UPGRADE,
    TE,
    TRAILER,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Removes what is meant for one connection only, the headers `Connection` names included.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Leaves of a caller's headers what may go to the partner; framing and `Host` are the connector's.
pub(super) fn strip_request(headers: &mut HeaderMap) {
    strip_hop_by_hop(headers);
    headers.remove(CONTENT_LENGTH);
    headers.remove(HOST);
    headers.remove(EXPECT);
}

/// Why an answer's head is not believed: each lets two readers see two different bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Suspicious {
    #[error("answer with both Content-Length and Transfer-Encoding")]
    TwoFramings,
    #[error("answer with a Transfer-Encoding other than `chunked`")]
    Encoding,
    #[error("answer with more than one Content-Length")]
    Lengths,
    #[error("answer 101 to a request that asked for no upgrade")]
    Upgrade,
}

/// What hyper lets pass and a governed proxy must not (RFC 9112 §6.1, §6.3). Conflicting lengths, lengths that are no
/// number, folded lines (§5.2) and Transfer-Encoding in HTTP/1.0 hyper refuses itself.
pub(super) fn check_answer(status: StatusCode, headers: &HeaderMap) -> Result<(), Suspicious> {
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Suspicious::Upgrade);
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let length = lengths.next();
    if lengths.next().is_some() || length.is_some_and(|value| value.as_bytes().contains(&b',')) {
        return Err(Suspicious::Lengths);
    }
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(encoding) = encodings.next() {
        if length.is_some() {
            return Err(Suspicious::TwoFramings);
        }
        if encodings.next().is_some() || !encoding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") {
            return Err(Suspicious::Encoding);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().expect("value")))
            .collect()
    }

    fn appended(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().expect("value"));
        }
        headers
    }

    #[test]
    fn headers_of_one_connection_and_those_it_names_do_not_pass() {
        let mut headers = appended(&[
            ("connection", "close, X-Hop"),
            ("connection", "x-other"),
            ("x-hop", "1"),
            ("x-other", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("proxy-authorization", "Basic eA=="),
            ("x-stays", "1"),
        ]);
        strip_hop_by_hop(&mut headers);
        assert_eq!(headers, map(&[("x-stays", "1")]));
    }

    #[test]
    fn framing_and_host_of_a_caller_do_not_pass() {
        let mut headers =
            map(&[("host", "bus"), ("content-length", "7"), ("expect", "100-continue"), ("accept", "*/*")]);
        strip_request(&mut headers);
        assert_eq!(headers, map(&[("accept", "*/*")]));
    }

    #[test]
    fn answers_two_readers_would_read_differently_are_refused() {
        let check = |lines: &[_]| check_answer(StatusCode::OK, &appended(lines));
        assert_eq!(check(&[("content-length", "5")]), Ok(()));
        assert_eq!(check(&[("transfer-encoding", "Chunked")]), Ok(()));
        let both = [("content-length", "5"), ("transfer-encoding", "chunked")];
        assert_eq!(check(&both), Err(Suspicious::TwoFramings));
        assert_eq!(check(&[("content-length", "5"), ("content-length", "5")]), Err(Suspicious::Lengths));
        assert_eq!(check(&[("content-length", "5, 5")]), Err(Suspicious::Lengths));
        assert_eq!(check(&[("transfer-encoding", "gzip, chunked")]), Err(Suspicious::Encoding));
        assert_eq!(check(&[("transfer-encoding", "xchunked")]), Err(Suspicious::Encoding));
        let upgrade = check_answer(StatusCode::SWITCHING_PROTOCOLS, &HeaderMap::new());
        assert_eq!(upgrade, Err(Suspicious::Upgrade));
    }
}
