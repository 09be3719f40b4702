//! Framing and smuggling cases over HTTP/1: what is sent, what comes back, whether the connection stays, what the handler saw.

use qiao::gateway::Refusal::{self, self as R};

/// Whether another request can follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Kept,
    Closed,
}
use Then::{Closed, Kept};

pub struct Case {
    pub name: &'static str,
    pub wire: Vec<u8>,
    pub statuses: &'static [u16],
    pub then: Then,
    /// Requests that reach the handler.
    pub seen: usize,
    /// The reason the last answer gives.
    pub why: Option<Refusal>,
}

fn case(
    name: &'static str,
    wire: impl Into<Vec<u8>>,
    statuses: &'static [u16],
    then: Then,
    seen: usize,
) -> Case {
    Case { name, wire: wire.into(), statuses, then, seen, why: None }
}

/// One request, answered, and another can follow.
fn served(name: &'static str, wire: impl Into<Vec<u8>>) -> Case {
    case(name, wire, &[200], Kept, 1)
}

impl Case {
    fn because(self, why: Refusal) -> Self {
        Self { why: Some(why), ..self }
    }
}

/// Refused before the handler, and closed.
fn refused(name: &'static str, wire: impl Into<Vec<u8>>, why: Refusal) -> Case {
    let statuses: &'static [u16] = match why.status().as_u16() {
        414 => &[414],
        417 => &[417],
        431 => &[431],
        501 => &[501],
        505 => &[505],
        _ => &[400],
    };
    case(name, wire, statuses, Closed, 0).because(why)
}

/// A GET with extra header lines.
fn get(fields: &str) -> String {
    format!("GET /a HTTP/1.1\r\nHost: bus\r\n{fields}\r\n")
}

/// A POST with extra header lines and a body.
fn post(fields: &str, body: &str) -> String {
    format!("POST /a HTTP/1.1\r\nHost: bus\r\n{fields}\r\n{body}")
}

fn chunked(body: &str) -> String {
    post("Transfer-Encoding: chunked\r\n", body)
}

pub fn all() -> Vec<Case> {
    let mut cases = valid();
    cases.extend(lengths());
    cases.extend(codings());
    cases.extend(lines());
    cases.extend(hosts());
    cases.extend(targets());
    cases.extend(sizes());
    cases.extend(chunks());
    cases.extend(pipelines());
    cases
}

fn valid() -> Vec<Case> {
    vec![
        served("plain get", get("")),
        served("post with a length", post("Content-Length: 5\r\n", "hello")),
        served("chunked in any case", post("transfer-encoding: Chunked\r\n", "5\r\nhello\r\n0\r\n\r\n")),
        served("chunk extension", chunked("5;a=b;c=\"d e\"\r\nhello\r\n0\r\n\r\n")),
        served("harmless trailer", chunked("5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n")),
        served("upper-case chunk size with zeros", chunked("00A\r\nhellohello\r\n0\r\n\r\n")),
        served("one blank line before", format!("\r\n{}", get(""))),
        served("absolute form that matches host", "GET http://bus:80/a HTTP/1.1\r\nHost: BUS\r\n\r\n"),
        served("options asterisk", "OPTIONS * HTTP/1.1\r\nHost: bus\r\n\r\n"),
        served("ipv6 host", "GET /a HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"),
        case("http/1.0 without host", "GET /a HTTP/1.0\r\n\r\n", &[200], Closed, 1),
        served("http/1.0 keep-alive", "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
        case("connection close", get("Connection: close\r\n"), &[200], Closed, 1),
        served(
            "upgrade is ignored",
            get(
                "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
            ),
        ),
        served("websocket upgrade is ignored", get("Connection: Upgrade\r\nUpgrade: websocket\r\n")),
        served("expect continue", post("Expect: 100-continue\r\nContent-Length: 5\r\n", "hello")),
        served("empty field value", get("X-Empty:\r\n")),
        served(
            "obs-text in a value",
            [b"GET /a HTTP/1.1\r\nHost: bus\r\nX: \xe6\xa1\xa5\r\n\r\n".as_slice()].concat(),
        ),
        served("blanks around a value", get("X: \t v \t\r\n")),
        served("unknown method", "PURGE /a HTTP/1.1\r\nHost: bus\r\n\r\n"),
        served("get with a body", "GET /a HTTP/1.1\r\nHost: bus\r\nContent-Length: 2\r\n\r\nhi"),
    ]
}

fn lengths() -> Vec<Case> {
    vec![
        refused(
            "length and chunked",
            post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
            R::LengthAndChunked,
        ),
        refused(
            "chunked and length",
            post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"),
            R::LengthAndChunked,
        ),
        refused(
            "two equal lengths",
            post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
            R::DuplicateContentLength,
        ),
        refused(
            "two different lengths",
            post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"),
            R::DuplicateContentLength,
        ),
        refused("list of equal lengths", post("Content-Length: 5, 5\r\n", "hello"), R::InvalidContentLength),
        refused("length with a plus", post("Content-Length: +5\r\n", "hello"), R::InvalidContentLength),
        refused("length with a minus", post("Content-Length: -5\r\n", "hello"), R::InvalidContentLength),
        refused("length in hex", post("Content-Length: 0x5\r\n", "hello"), R::InvalidContentLength),
        refused(
            "length with a blank inside",
            post("Content-Length: 1 5\r\n", "hello"),
            R::InvalidContentLength,
        ),
        refused("empty length", post("Content-Length:\r\n", "hello"), R::InvalidContentLength),
        refused(
            "length that overflows",
            post("Content-Length: 18446744073709551617\r\n", "hello"),
            R::InvalidContentLength,
        ),
        refused(
            "length of twenty zeros",
            post("Content-Length: 00000000000000000005\r\n", "hello"),
            R::InvalidContentLength,
        ),
        refused("length with an underscore", post("Content_Length: 5\r\n", "hello"), R::InvalidContentLength),
        refused(
            "length in full-width digits",
            post("Content-Length: ５\r\n", "hello"),
            R::InvalidContentLength,
        ),
        case("length above the limit", post("Content-Length: 1048577\r\n", ""), &[413], Closed, 1),
    ]
}

fn codings() -> Vec<Case> {
    vec![
        refused(
            "two codings fields",
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
            R::InvalidTransferEncoding,
        ),
        refused(
            "identity then chunked field",
            post("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
            R::InvalidTransferEncoding,
        ),
        refused(
            "chunked twice",
            post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"),
            R::InvalidTransferEncoding,
        ),
        refused(
            "chunked not last",
            post("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"),
            R::InvalidTransferEncoding,
        ),
        refused(
            "gzip then chunked",
            post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
            R::UnsupportedTransferCoding,
        ),
        refused("identity", post("Transfer-Encoding: identity\r\n", ""), R::InvalidTransferEncoding),
        refused("xchunked", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), R::InvalidTransferEncoding),
        refused(
            "chunked with a parameter",
            post("Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n"),
            R::InvalidTransferEncoding,
        ),
        refused(
            "chunked in quotes",
            post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"),
            R::InvalidTransferEncoding,
        ),
        refused(
            "chunked after a vertical tab",
            post("Transfer-Encoding: \u{b}chunked\r\n", "0\r\n\r\n"),
            R::MalformedHeader,
        ),
        refused("empty coding", post("Transfer-Encoding:\r\n", "0\r\n\r\n"), R::InvalidTransferEncoding),
        refused(
            "coding with an underscore",
            post("Transfer_Encoding: chunked\r\n", "0\r\n\r\n"),
            R::InvalidTransferEncoding,
        ),
        refused(
            "chunked in http/1.0",
            "POST /a HTTP/1.0\r\nHost: bus\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            R::ChunkedInHttp10,
        ),
        refused(
            "blank before the colon",
            post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
            R::MalformedHeader,
        ),
        refused(
            "expectation unknown",
            post("Expect: 200-ok\r\nContent-Length: 5\r\n", "hello"),
            R::ExpectationFailed,
        ),
    ]
}

fn lines() -> Vec<Case> {
    vec![
        refused("folded field", get("X: a\r\n b\r\n"), R::MalformedHeader),
        refused("folded with a tab", get("X: a\r\n\tb\r\n"), R::MalformedHeader),
        refused(
            "blank line start before the first field",
            "GET /a HTTP/1.1\r\n Host: bus\r\n\r\n",
            R::MalformedHeader,
        ),
        refused("bare line feeds", "GET /a HTTP/1.1\nHost: bus\n\n", R::BareLineEnd),
        refused("one bare line feed", "GET /a HTTP/1.1\r\nHost: bus\nX: y\r\n\r\n", R::BareLineEnd),
        refused("bare carriage return in a value", get("X: a\rb\r\n"), R::MalformedHeader),
        refused(
            "bare carriage return in the request line",
            "GET /a\r HTTP/1.1\r\nHost: bus\r\n\r\n",
            R::InvalidTarget,
        ),
        refused("doubled carriage return", "GET /a HTTP/1.1\r\r\nHost: bus\r\n\r\n", R::MalformedRequestLine),
        refused("zero byte in a value", get("X: a\0b\r\n"), R::MalformedHeader),
        refused("control byte in a value", get("X: a\x01b\r\n"), R::MalformedHeader),
        refused("delete byte in a value", get("X: a\x7fb\r\n"), R::MalformedHeader),
        refused("zero byte in a name", get("X\0: a\r\n"), R::MalformedHeader),
        refused("blank inside a name", get("X Y: a\r\n"), R::MalformedHeader),
        refused("blank before the colon of any field", get("X : a\r\n"), R::MalformedHeader),
        refused("tab before the colon", get("X\t: a\r\n"), R::MalformedHeader),
        refused("empty name", get(": a\r\n"), R::MalformedHeader),
        refused("no colon", get("NoColon\r\n"), R::MalformedHeader),
        refused("name outside ascii", get("Ü: a\r\n"), R::MalformedHeader),
        refused("name in parentheses", get("X(y): a\r\n"), R::MalformedHeader),
        refused("two blank lines before", format!("\r\n\r\n{}", get("")), R::MalformedRequestLine),
        refused("line feed before", format!("\n{}", get("")), R::BareLineEnd),
        refused(
            "tls on a cleartext port",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(),
            R::InvalidMethod,
        ),
    ]
}

fn hosts() -> Vec<Case> {
    let host = |fields: &str| format!("GET /a HTTP/1.1\r\n{fields}\r\n");
    vec![
        refused("no host", host(""), R::MissingHost),
        refused("empty host", host("Host:\r\n"), R::InvalidHost),
        refused("two hosts", host("Host: bus\r\nHost: other\r\n"), R::DuplicateHost),
        refused("two equal hosts", host("Host: bus\r\nhost: bus\r\n"), R::DuplicateHost),
        refused("two hosts in http/1.0", "GET /a HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", R::DuplicateHost),
        refused("host with a path", host("Host: bus/a\r\n"), R::InvalidHost),
        refused("host with user information", host("Host: u@bus\r\n"), R::InvalidHost),
        refused("host with a blank", host("Host: bus other\r\n"), R::InvalidHost),
        refused("list of hosts", host("Host: bus, other\r\n"), R::InvalidHost),
        refused("host with a port too large", host("Host: bus:65536\r\n"), R::InvalidHost),
        refused("host with a port that is no number", host("Host: bus:80a\r\n"), R::InvalidHost),
        refused("host with a broken address", host("Host: [::1\r\n"), R::InvalidHost),
        refused(
            "other authority in the target",
            "GET http://other/a HTTP/1.1\r\nHost: bus\r\n\r\n",
            R::HostMismatch,
        ),
        refused(
            "other port in the target",
            "GET http://bus:81/a HTTP/1.1\r\nHost: bus\r\n\r\n",
            R::HostMismatch,
        ),
        refused("absolute target without host", "GET http://bus/a HTTP/1.1\r\n\r\n", R::MissingHost),
    ]
}

fn targets() -> Vec<Case> {
    let line = |line: &str| format!("{line}\r\nHost: bus\r\n\r\n");
    vec![
        refused("http/0.9", "GET /a\r\n\r\n", R::MalformedRequestLine),
        refused("http/1.2", line("GET /a HTTP/1.2"), R::UnsupportedVersion),
        refused("http/2.0 in the request line", line("GET /a HTTP/2.0"), R::UnsupportedVersion),
        refused("http/1.10", line("GET /a HTTP/1.10"), R::MalformedRequestLine),
        refused("lower-case protocol", line("GET /a http/1.1"), R::MalformedRequestLine),
        refused("other protocol", line("GET /a ICAP/1.0"), R::MalformedRequestLine),
        refused("two blanks", line("GET  /a HTTP/1.1"), R::InvalidTarget),
        refused("blank at the end", line("GET /a HTTP/1.1 "), R::MalformedRequestLine),
        refused("tab instead of a blank", line("GET\t/a HTTP/1.1"), R::InvalidMethod),
        refused("blank in the target", line("GET /a b HTTP/1.1"), R::InvalidTarget),
        refused("method that is no token", line("G(T /a HTTP/1.1"), R::InvalidMethod),
        refused(
            "method of 33 letters",
            line(&format!("{} /a HTTP/1.1", "M".repeat(33))),
            R::MethodNotImplemented,
        ),
        refused("connect", "CONNECT bus:443 HTTP/1.1\r\nHost: bus:443\r\n\r\n", R::MethodNotImplemented),
        refused("fragment", line("GET /a#b HTTP/1.1"), R::InvalidTarget),
        refused("backslash", line("GET /a\\b HTTP/1.1"), R::InvalidTarget),
        refused("target outside ascii", line("GET /桥 HTTP/1.1"), R::InvalidTarget),
        refused("control byte in the target", line("GET /a\x01 HTTP/1.1"), R::InvalidTarget),
        refused("broken percent sign", line("GET /a%2 HTTP/1.1"), R::InvalidTarget),
        refused("relative target", line("GET a HTTP/1.1"), R::InvalidTarget),
        refused("asterisk for get", line("GET * HTTP/1.1"), R::InvalidTarget),
        refused("other scheme", line("GET ftp://bus/a HTTP/1.1"), R::InvalidTarget),
        refused("user information in the target", line("GET http://u:p@bus/a HTTP/1.1"), R::InvalidTarget),
        refused(
            "second preface",
            format!("{}PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\r\n"),
            R::UnsupportedVersion,
        ),
    ]
}

fn sizes() -> Vec<Case> {
    let fields = |count: usize| (0..count).map(|number| format!("X-{number}: v\r\n")).collect::<String>();
    vec![
        served("as many fields as allowed", get(&fields(99))),
        refused("one field too many", get(&fields(100)), R::TooManyHeaders),
        refused("head too large", get(&format!("X: {}\r\n", "a".repeat(40_000))), R::HeadTooLarge),
        refused(
            "head too large without an end",
            format!("GET /a HTTP/1.1\r\nHost: bus\r\nX: {}", "a".repeat(40_000)),
            R::HeadTooLarge,
        ),
        refused(
            "target too long",
            format!("GET /{} HTTP/1.1\r\nHost: bus\r\n\r\n", "a".repeat(8192)),
            R::TargetTooLong,
        ),
        refused("target too long without an end", format!("GET /{}", "a".repeat(40_000)), R::TargetTooLong),
        served(
            "target as long as allowed",
            format!("GET /{} HTTP/1.1\r\nHost: bus\r\n\r\n", "a".repeat(8191)),
        ),
    ]
}

fn chunks() -> Vec<Case> {
    // The head is sound, so the handler starts, and its body breaks.
    let broken = |name, body: &str, why| case(name, chunked(body), &[400], Closed, 1).because(why);
    vec![
        broken("chunk size that is no number", "x\r\nhello\r\n0\r\n\r\n", R::InvalidChunk),
        broken("chunk size with a plus", "+5\r\nhello\r\n0\r\n\r\n", R::InvalidChunk),
        broken("negative chunk size", "-5\r\nhello\r\n0\r\n\r\n", R::InvalidChunk),
        broken("chunk size with 0x", "0x5\r\nhello\r\n0\r\n\r\n", R::InvalidChunk),
        broken("empty chunk size", "\r\nhello\r\n0\r\n\r\n", R::InvalidChunk),
        broken("chunk size that overflows", "FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n", R::InvalidChunk),
        broken("chunk size of sixteen digits", "0000000000000005\r\nhello\r\n0\r\n\r\n", R::InvalidChunk),
        broken("blank before the chunk size", " 5\r\nhello\r\n0\r\n\r\n", R::InvalidChunk),
        broken("blank after the chunk size", "5 \r\nhello\r\n0\r\n\r\n", R::InvalidChunk),
        broken("bare line feed after the chunk size", "5\nhello\r\n0\r\n\r\n", R::InvalidChunk),
        broken("bare line feed after a chunk", "5\r\nhello\n0\r\n\r\n", R::InvalidChunk),
        broken("chunk longer than its size", "5\r\nhellohello\r\n0\r\n\r\n", R::InvalidChunk),
        broken("carriage return without line feed", "5\rxhello\r\n0\r\n\r\n", R::InvalidChunk),
        broken("line feed in an extension", "5;a\nb\r\nhello\r\n0\r\n\r\n", R::InvalidChunk),
        broken("control byte in an extension", "5;a\x01\r\nhello\r\n0\r\n\r\n", R::InvalidChunk),
        broken(
            "extension too long",
            &format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(300)),
            R::ChunkExtensionTooLong,
        ),
        broken("transfer coding in a trailer", "0\r\nTransfer-Encoding: chunked\r\n\r\n", R::InvalidTrailer),
        broken("length in a trailer", "0\r\nContent_Length: 5\r\n\r\n", R::InvalidTrailer),
        broken("host in a trailer", "0\r\nHost: other\r\n\r\n", R::InvalidTrailer),
        broken("malformed trailer", "0\r\nno colon\r\n\r\n", R::InvalidTrailer),
        broken("folded trailer", "0\r\nX: a\r\n b\r\n\r\n", R::InvalidTrailer),
        broken("bare line feed after the last chunk", "0\r\n\n", R::InvalidTrailer),
        broken("trailers too large", &format!("0\r\nX: {}\r\n\r\n", "a".repeat(5000)), R::TrailerTooLarge),
    ]
}

fn pipelines() -> Vec<Case> {
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: bus\r\n\r\n";
    vec![
        case("two requests", format!("{}{}", get(""), get("")), &[200, 200], Kept, 2),
        case(
            "body then request",
            format!("{}{}", post("Content-Length: 5\r\n", "hello"), get("")),
            &[200, 200],
            Kept,
            2,
        ),
        case(
            "chunks then request",
            format!("{}{}", chunked("5\r\nhello\r\n0\r\n\r\n"), get("")),
            &[200, 200],
            Kept,
            2,
        ),
        case(
            "good then bad then good",
            format!("{}{}{}", get(""), "GET /b HTTP/1.1\r\n\r\n", get("")),
            &[200, 400],
            Closed,
            1,
        )
        .because(R::MissingHost),
        case("bad then good", format!("{}{}", "GET /b HTTP/1.1\r\n\r\n", get("")), &[400], Closed, 0)
            .because(R::MissingHost),
        case("close then request", format!("{}{}", get("Connection: close\r\n"), get("")), &[200], Closed, 1),
        case(
            "smuggled behind length and chunked",
            post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", &format!("0\r\n\r\n{smuggled}")),
            &[400],
            Closed,
            0,
        )
        .because(R::LengthAndChunked),
        case(
            "smuggled behind a hidden coding",
            post(
                "Content-Length: 43\r\nTransfer-Encoding\u{b}: chunked\r\n",
                &format!("0\r\n\r\n{smuggled}"),
            ),
            &[400],
            Closed,
            0,
        )
        .because(R::MalformedHeader),
        case(
            "smuggled behind a short chunk",
            format!("{}{smuggled}", chunked("5\r\nhel\r\n0\r\n\r\n")),
            &[400],
            Closed,
            1,
        )
        .because(R::InvalidChunk),
        case(
            "smuggled in a chunk extension",
            chunked(&format!("1;\n{smuggled}x\r\n0\r\n\r\n")),
            &[400],
            Closed,
            1,
        )
        .because(R::InvalidChunk),
        case(
            "request inside a body",
            format!("{}{}", post(&format!("Content-Length: {}\r\n", smuggled.len()), smuggled), get("")),
            &[200, 200],
            Kept,
            2,
        ),
        case(
            "rubbish after a body",
            format!("{}{}", post("Content-Length: 5\r\n", "hello"), "rubbish\r\n\r\n"),
            &[200, 400],
            Closed,
            1,
        )
        .because(R::MalformedRequestLine),
        case(
            "longer body than its length",
            post("Content-Length: 5\r\n", "hello\x01\r\n"),
            &[200, 400],
            Closed,
            1,
        )
        .because(R::InvalidMethod),
        case(
            "blank line between",
            format!("{}\r\n{}", post("Content-Length: 5\r\n", "hello"), get("")),
            &[200, 200],
            Kept,
            2,
        ),
    ]
}
