//! An overheard exchange as the draft may know it: read, without secrets, with pseudonyms in place of people.
use http::HeaderMap;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::{
    exchange::Exchange,
    people::{Hint, Originals, Pseudonyms, hint},
    wire::{self, Body},
};
use crate::matching::path;

/// Request headers that say nothing about the business.
const IDLE: [&str; 22] = [
    "host",
    "user-agent",
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "content-encoding",
    "date",
    "expect",
    "forwarded",
    "from",
    "origin",
    "pragma",
    "referer",
    "te",
    "transfer-encoding",
    "upgrade",
    "via",
];
/// Headers of answers that the draft gives too, beside `X-…`.
const ANSWERED: [&str; 3] = ["location", "retry-after", "soapaction"];

/// An exchange, read and made safe.
pub struct Seen {
    /// From 1, in the order recorded.
    pub number: usize,
    pub at_us: i64,
    pub latency_ms: u64,
    pub method: http::Method,
    /// Of the path, decoded.
    pub segments: Vec<String>,
    pub query: Map<String, Value>,
    pub headers: Map<String, Value>,
    pub request: Body,
    pub status: u16,
    pub answer_headers: Map<String, Value>,
    pub answer: Body,
    pub answer_type: Option<String>,
}

/// What could be read of a recording, and why the rest could not.
pub struct Read {
    pub seen: Vec<Seen>,
    /// By the exchange's number.
    pub left_out: Vec<(usize, &'static str)>,
}

/// Reads exchanges with their originals; nothing may be written of it before [`Seen::made_safe`].
pub fn read(exchanges: Vec<Exchange>) -> Read {
    let mut read = Read { seen: Vec::new(), left_out: Vec::new() };
    for (number, exchange) in (1..).zip(exchanges) {
        match one(number, exchange) {
            Ok(seen) => read.seen.push(seen),
            Err(why) => read.left_out.push((number, why)),
        }
    }
    read
}

fn one(number: usize, exchange: Exchange) -> Result<Seen, &'static str> {
    let is_packed =
        |headers: &HeaderMap| headers.get("content-encoding").is_some_and(|value| value != "identity");
    if is_packed(&exchange.headers) || is_packed(&exchange.answer_headers) {
        return Err("a compressed body");
    }
    let text = |headers: &HeaderMap, name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
    let content_type = |headers: &HeaderMap| text(headers, "content-type");
    let request = wire::read(content_type(&exchange.headers).as_deref(), &exchange.request)
        .map_err(|_| "a request that is neither JSON, a form, XML nor text")?;
    let answer_type = content_type(&exchange.answer_headers);
    let answer = wire::read(answer_type.as_deref(), &exchange.answer)
        .map_err(|_| "an answer that is neither JSON, a form, XML nor text")?;
    let business =
        |name: &str| !IDLE.contains(&name) && !name.starts_with("sec-") && !name.starts_with("x-forwarded");
    let given = |name: &str| ANSWERED.contains(&name) || name.starts_with("x-");
    Ok(Seen {
        number,
        at_us: exchange.at_us,
        latency_ms: u64::try_from(exchange.latency.as_millis()).unwrap_or(u64::MAX),
        method: exchange.method,
        segments: path::split(&exchange.path).map(decoded).collect(),
        query: query(exchange.query.as_deref().unwrap_or_default()),
        headers: kept(&exchange.headers, business),
        request,
        status: exchange.status,
        answer_headers: kept(&exchange.answer_headers, given),
        answer,
        answer_type,
    })
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn query(text: &str) -> Map<String, Value> {
    let mut query = Map::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let plain = |text: &str| decoded(&text.replace('+', " "));
        // Of a repeated parameter the first counts: the draft asks for none twice.
        query.entry(plain(name)).or_insert_with(|| plain(value).into());
    }
    query
}

/// Headers, the first of each name; those that carry secrets are left out at once.
fn kept(headers: &HeaderMap, wanted: impl Fn(&str) -> bool) -> Map<String, Value> {
    let mut kept = Map::new();
    for name in headers.keys().map(http::HeaderName::as_str).filter(|name| wanted(name) && !is_secret(name)) {
        if let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) {
            kept.insert(name.to_owned(), value.into());
        }
    }
    kept
}

/// Whether a header is never kept.
pub fn is_secret(name: &str) -> bool {
    let spoken = ["authorization", "cookie", "auth", "signature", "sign", "secret", "credential", "session"];
    hint(name) == Some(Hint::Secret) || spoken.iter().any(|part| name.contains(part))
}

/// The secrets of headers that are dropped; they may stand elsewhere too.
pub fn secrets(exchange: &Exchange, originals: &mut Originals) {
    for (name, value) in exchange.headers.iter().chain(&exchange.answer_headers) {
        if let (true, Ok(text)) = (is_secret(name.as_str()), value.to_str()) {
            // `Bearer <token>`, `name=value; …`, `keyId="…"`.
            for part in text.split([' ', ';', ',', '"']) {
                originals.secret(part.split_once('=').map_or(part, |(_, value)| value).trim());
            }
        }
    }
}

impl Seen {
    /// Takes everything personal that it holds.
    pub fn collect(&self, originals: &mut Originals) {
        for (name, value) in self.query.iter().chain(&self.headers).chain(&self.answer_headers) {
            originals.collect(name, value);
        }
        self.segments.iter().for_each(|segment| originals.collect("", &Value::from(segment.as_str())));
        originals.collect("", &self.request.document);
        originals.collect("", &self.answer.document);
        if let Some(fault) = &self.answer.fault {
            originals.collect("", &Value::from(fault.string.as_str()));
        }
    }

    /// The same with pseudonyms.
    pub fn made_safe(mut self, pseudonyms: &Pseudonyms) -> Self {
        let mut births = pseudonyms.births(&self.request.document);
        births.extend(pseudonyms.births(&self.answer.document));
        births.extend(pseudonyms.births(&Value::Object(self.query.clone())));
        let text = |name: &str, text: &str| pseudonyms.text(hint(name), text, &births, 0);
        let map = |map: &Map<String, Value>| -> Map<String, Value> {
            let safe =
                |(name, value): (&String, &Value)| (name.clone(), pseudonyms.document(name, value, &births));
            map.iter().map(safe).collect()
        };
        self.query = map(&self.query);
        self.headers = map(&self.headers);
        self.answer_headers = map(&self.answer_headers);
        self.segments = self.segments.iter().map(|segment| text("", segment)).collect();
        self.request.document = pseudonyms.document("", &self.request.document, &births);
        self.answer.document = pseudonyms.document("", &self.answer.document, &births);
        if let Some(fault) = &mut self.answer.fault {
            fault.string = text("", &fault.string);
            fault.detail = None;
        }
        self
    }
}
