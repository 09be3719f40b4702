//! Why a request is turned away before any handler sees it: one table of reasons with their statuses, for the guard and for operators.
use http::{Response, StatusCode, header};
use qiao_core::{FaultCode, fault_codes};

use super::response::ResponseBody;

macro_rules! refusals {
    ($($name:ident = $status:ident, $reason:literal;)*) => {
        /// A reason to refuse a request before it reaches the handler.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Refusal { $(#[doc = $reason] $name),* }

        impl Refusal {
            /// Every refusal, in the order of their numbers.
            pub const ALL: &'static [Refusal] = &[$(Refusal::$name),*];

            /// The status the caller sees.
            pub fn status(self) -> StatusCode {
                match self { $(Refusal::$name => StatusCode::$status),* }
            }

            /// What is wrong and what to do about it, in English; holds nothing of the request.
            pub fn reason(self) -> &'static str {
                match self { $(Refusal::$name => $reason),* }
            }

            /// The name for metrics.
            pub fn name(self) -> &'static str {
                match self { $(Refusal::$name => stringify!($name)),* }
            }
        }
    };
}

refusals! {
    MalformedRequestLine = BAD_REQUEST, "the request line is not `METHOD target HTTP/1.1` with single spaces";
    InvalidMethod = BAD_REQUEST, "the method is not a token (RFC 9110 §9.1)";
    MethodNotImplemented = NOT_IMPLEMENTED, "the method is not served here: no CONNECT, no method above 32 characters";
    InvalidTarget = BAD_REQUEST, "the request target is not a path, `*` for OPTIONS, or an absolute http(s) URI with all other characters percent-encoded";
    TargetTooLong = URI_TOO_LONG, "the request target is longer than this gateway accepts: send long parameters in the body";
    UnsupportedVersion = HTTP_VERSION_NOT_SUPPORTED, "only HTTP/1.0, HTTP/1.1 and HTTP/2 are spoken here";
    HeadTooLarge = REQUEST_HEADER_FIELDS_TOO_LARGE, "the header fields together are larger than this gateway accepts";
    TooManyHeaders = REQUEST_HEADER_FIELDS_TOO_LARGE, "there are more header fields than this gateway accepts";
    MalformedHeader = BAD_REQUEST, "a header field is not `name: value` on one line, without control characters or space before the colon (RFC 9112 §5)";
    BareLineEnd = BAD_REQUEST, "a line of the head does not end in CR LF (RFC 9112 §2.2)";
    MissingHost = BAD_REQUEST, "an HTTP/1.1 request needs a Host field (RFC 9112 §3.2)";
    DuplicateHost = BAD_REQUEST, "there is more than one Host field";
    InvalidHost = BAD_REQUEST, "the Host field is not a host name or address with an optional port";
    HostMismatch = BAD_REQUEST, "the Host field names another authority than the request target";
    InvalidContentLength = BAD_REQUEST, "Content-Length is not a plain decimal number of at most 19 digits";
    DuplicateContentLength = BAD_REQUEST, "there is more than one Content-Length field";
    LengthAndChunked = BAD_REQUEST, "Content-Length and Transfer-Encoding must not both be sent";
    InvalidTransferEncoding = BAD_REQUEST, "Transfer-Encoding is sent more than once, or is not `chunked`";
    UnsupportedTransferCoding = NOT_IMPLEMENTED, "no transfer coding but `chunked` is served here";
    ChunkedInHttp10 = BAD_REQUEST, "HTTP/1.0 has no Transfer-Encoding";
    ExpectationFailed = EXPECTATION_FAILED, "no expectation but `100-continue` can be met";
    HeadTimeout = REQUEST_TIMEOUT, "the head of the request did not arrive in time";
    InvalidChunk = BAD_REQUEST, "the chunked body is malformed (RFC 9112 §7.1)";
    ChunkExtensionTooLong = BAD_REQUEST, "a chunk extension is longer than this gateway accepts";
    InvalidTrailer = BAD_REQUEST, "a trailer field is malformed, or not allowed in a trailer (RFC 9110 §6.5.1)";
    TrailerTooLarge = BAD_REQUEST, "the trailer fields together are larger than this gateway accepts";
    OutOfStep = BAD_REQUEST, "the message boundaries of this connection are in doubt";
}

impl Refusal {
    /// The refusal with this number.
    pub(crate) fn by_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The fault code that stands for it in records.
    pub fn fault(self) -> &'static FaultCode {
        match self {
            Refusal::HeadTimeout => &fault_codes::BODY_TIMEOUT,
            _ => &fault_codes::BAD_REQUEST,
        }
    }

    /// The plain answer: a JSON fault with code, text and reason.
    pub fn response(self) -> Response<ResponseBody> {
        fault_response(self.fault(), self.status(), self.reason())
    }
}

pub(crate) fn fault_response(fault: &FaultCode, status: StatusCode, reason: &str) -> Response<ResponseBody> {
    let body = serde_json::json!({ "code": fault.to_string(), "text": fault.text, "reason": reason });
    let mut response = Response::new(ResponseBody::full(body.to_string()));
    *response.status_mut() = status;
    let json = http::HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip_and_every_status_is_an_error() {
        for (number, refusal) in Refusal::ALL.iter().enumerate() {
            assert_eq!(Refusal::by_number(number as u8), Some(*refusal));
            assert_eq!(*refusal as usize, number);
            assert!(refusal.status().is_client_error() || refusal.status().is_server_error());
        }
        assert_eq!(Refusal::by_number(200), None);
    }
}
