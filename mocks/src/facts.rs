//! What is known of one request: the scope that conditions and templates read. Each part is made when first asked for.
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::{HeaderMap, Method};
use qiao_mappings::{Scope, ScopeFunctions, SoapVersion};
use serde_json::{Map, Value};

use crate::{
    entropy::Fnv, forms::Documents, functions::OwnTables, matching::path, partner::Listener,
    partner::Partner, wsdl::Call,
};

/// A request as it came, with the path below the listener's.
#[derive(Debug)]
pub struct Incoming {
    pub method: Method,
    /// Starts with `/`, still percent-encoded.
    pub path: String,
    pub query: Option<String>,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// From `X-Mock-Session`; empty in the common session.
    pub session: Box<str>,
}

/// A request seen by one listener.
pub struct Facts<'p> {
    incoming: &'p Incoming,
    partner: &'p Partner,
    listener: &'p Listener,
    documents: OnceLock<Documents>,
    segments: OnceLock<Vec<String>>,
    query: OnceLock<Value>,
    headers: OnceLock<Value>,
    texts: OnceLock<Texts>,
    item: OnceLock<Option<String>>,
    item_value: OnceLock<Value>,
    operation: OnceLock<Value>,
    soap_version: OnceLock<Value>,
    body: OnceLock<Value>,
    cookies: OnceLock<Value>,
    tables: OnceLock<Arc<OwnTables>>,
}

struct Texts {
    method: Value,
    path: Value,
    /// Path and query.
    url: Value,
}

impl<'p> Facts<'p> {
    pub fn new(incoming: &'p Incoming, partner: &'p Partner, listener: &'p Listener) -> Self {
        Self {
            incoming,
            partner,
            listener,
            documents: OnceLock::new(),
            segments: OnceLock::new(),
            query: OnceLock::new(),
            headers: OnceLock::new(),
            texts: OnceLock::new(),
            item: OnceLock::new(),
            item_value: OnceLock::new(),
            operation: OnceLock::new(),
            soap_version: OnceLock::new(),
            body: OnceLock::new(),
            cookies: OnceLock::new(),
            tables: OnceLock::new(),
        }
    }

    /// Takes documents that are known already.
    pub fn know(&self, documents: Documents) {
        // Documents that were read before stay.
        drop(self.documents.set(documents));
    }

    pub fn incoming(&self) -> &'p Incoming {
        self.incoming
    }

    /// The body, read and opened.
    pub fn documents(&self) -> &Documents {
        self.documents.get_or_init(|| self.listener.request.read(self))
    }

    /// Whether the body, or the dispatch key, has been read already.
    pub fn is_read(&self) -> bool {
        self.documents.get().is_some() || self.item.get().is_some()
    }

    /// The body, where it has been read already.
    pub fn read_documents(&self) -> Option<&Documents> {
        self.documents.get()
    }

    /// The segments of the path, decoded.
    pub fn segments(&self) -> &[String] {
        self.segments.get_or_init(|| path::split(&self.incoming.path).map(decoded).collect())
    }

    /// Query parameters; a repeated one is a list.
    pub fn query(&self) -> &Map<String, Value> {
        match self.query_value() {
            Value::Object(query) => query,
            _ => EMPTY.get_or_init(Map::new),
        }
    }

    fn query_value(&self) -> &Value {
        self.query.get_or_init(|| {
            let mut query = Map::new();
            for pair in
                self.incoming.query.as_deref().unwrap_or_default().split('&').filter(|pair| !pair.is_empty())
            {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                let plain = |text: &str| decoded(&text.replace('+', " "));
                add(&mut query, plain(name), plain(value));
            }
            Value::Object(query)
        })
    }

    fn headers_value(&self) -> &Value {
        self.headers.get_or_init(|| {
            let mut headers = Map::new();
            for (name, value) in &self.incoming.headers {
                add(
                    &mut headers,
                    name.as_str().to_owned(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                );
            }
            Value::Object(headers)
        })
    }

    /// The dispatch key as text.
    pub fn item(&self) -> Option<&str> {
        let read = || {
            let value = self.listener.select.as_ref()?.first(self)?;
            crate::matching::memo::scalar(value).map(|text| text.into_owned())
        };
        self.item.get_or_init(read).as_deref()
    }

    /// The business key by the partner's rule; none where the request has none.
    pub fn key(&self) -> Option<String> {
        let value = self.partner.instance.as_ref()?.first(self)?;
        crate::matching::memo::scalar(value).filter(|text| !text.is_empty()).map(|text| text.into_owned())
    }

    /// What stands for the business key of a request without one: its content.
    pub fn content_key(&self) -> String {
        let mut hash = Fnv::new();
        for part in
            [self.incoming.method.as_str(), &self.incoming.path, self.incoming.query.as_deref().unwrap_or("")]
        {
            hash.write(part.as_bytes());
            hash.write(b"\n");
        }
        hash.write(&self.incoming.body);
        format!("#{:016x}", hash.finish())
    }

    fn operation(&self) -> &Value {
        self.operation.get_or_init(|| {
            if let Some(contract) = &self.listener.contract {
                let number = self.call().and_then(|call| call.operation);
                return number.map_or("", |number| contract.operations[number].name.as_str()).into();
            }
            let name = match &self.documents().wire {
                Value::Object(members) if self.listener.soap && members.len() == 1 => members.keys().next(),
                _ => None,
            };
            Value::String(
                name.map(|name| name.rsplit(':').next().unwrap_or_default().to_owned()).unwrap_or_default(),
            )
        })
    }

    /// The call of a listener with a WSDL.
    pub fn call(&self) -> Option<&Call> {
        self.listener.contract.as_ref()?;
        self.documents().call.as_ref()
    }

    /// `1.1` or `1.2`; empty where no WSDL tells.
    fn soap_version(&self) -> &Value {
        self.soap_version.get_or_init(|| match self.call().map(|call| call.version) {
            None => "".into(),
            Some(SoapVersion::V11) => "1.1".into(),
            Some(SoapVersion::V12) => "1.2".into(),
        })
    }

    /// The body as text, whatever its form; bytes that are no UTF-8 are replaced.
    fn body(&self) -> &Value {
        self.body.get_or_init(|| String::from_utf8_lossy(&self.incoming.body).into_owned().into())
    }

    /// RFC 6265 §4.2: `name=value` pairs; a repeated name is a list.
    fn cookies(&self) -> &Value {
        self.cookies.get_or_init(|| {
            let mut cookies = Map::new();
            for header in self.incoming.headers.get_all(http::header::COOKIE) {
                let header = String::from_utf8_lossy(header.as_bytes());
                for (name, value) in header.split(';').filter_map(|pair| pair.trim().split_once('=')) {
                    add(&mut cookies, name.trim().to_owned(), value.trim().trim_matches('"').to_owned());
                }
            }
            Value::Object(cookies)
        })
    }

    /// What is known before the body is opened; the rest would need the body itself.
    pub fn outer(&self, name: &str) -> Option<&Value> {
        let texts = || {
            self.texts.get_or_init(|| Texts {
                method: Value::from(self.incoming.method.as_str()),
                path: Value::from(self.incoming.path.as_str()),
                url: match &self.incoming.query {
                    None => Value::from(self.incoming.path.as_str()),
                    Some(query) => Value::from(format!("{}?{query}", self.incoming.path)),
                },
            })
        };
        match name {
            "method" => Some(&texts().method),
            "path" => Some(&texts().path),
            "url" => Some(&texts().url),
            "body" => Some(self.body()),
            "cookies" => Some(self.cookies()),
            "query" => Some(self.query_value()),
            "headers" => Some(self.headers_value()),
            "partner" => Some(&self.partner.parameters),
            _ => None,
        }
    }
}

static EMPTY: OnceLock<Map<String, Value>> = OnceLock::new();

impl Scope for Facts<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        match name {
            "request" => Some(self.documents().business()),
            "wire" => Some(&self.documents().wire),
            "problem" => Some(&self.documents().problem),
            "operation" => Some(self.operation()),
            "soapVersion" => Some(self.soap_version()),
            "item" => Some(self.item_value.get_or_init(|| self.item().map_or(Value::Null, Value::from))),
            other => self.outer(other),
        }
    }

    fn functions(&self) -> Option<Arc<dyn ScopeFunctions>> {
        let tables = self.tables.get_or_init(|| Arc::new(OwnTables(Arc::clone(&self.partner.tables))));
        Some(Arc::clone(tables) as Arc<dyn ScopeFunctions>)
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Adds a text under a name; several under one name become a list.
fn add(map: &mut Map<String, Value>, name: String, text: String) {
    match map.get_mut(&name) {
        None => {
            map.insert(name, Value::String(text));
        }
        Some(Value::Array(texts)) => texts.push(Value::String(text)),
        Some(first) => *first = Value::Array(vec![first.take(), Value::String(text)]),
    }
}
