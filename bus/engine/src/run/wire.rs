//! From business document to the bytes that travel: seal, frame, encode, path and headers.
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header::CONTENT_TYPE};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use qiao_core::{Fault, fault_codes};
use qiao_mappings::{CodecKind, Scope, Template};
use qiao_vault::Params;
use serde_json::Value;

use super::{faults, scope::Named};
use crate::plan::{
    flow::AskPlan,
    forms::{HeaderPlan, HeaderSource},
    system::{PathPart, PathPlan},
};

/// RFC 3986 §2.3: everything but unreserved characters is encoded.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A request as it travels; built once per step, or once per attempt where it is sealed.
pub(crate) struct WireRequest {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Seals, frames and encodes a business document.
pub(crate) fn encode(ask: &AskPlan, plain: &Value, call: &Value) -> Result<WireRequest, Fault> {
    let (system, operation) = (&ask.system, &ask.operation);
    let form = &operation.request;
    let parameters = Some(&*system.parameters);
    let documents = |sealed| {
        Named([
            ("plain", Some(plain)),
            ("sealed", sealed),
            ("parameters", parameters),
            ("operation", Some(&operation.document)),
            ("call", Some(call)),
        ])
    };
    let sealed = match &form.seal {
        None => None,
        Some(seal) => {
            let envelope =
                system.envelopes.get(&seal.envelope).ok_or_else(|| unknown_envelope(&seal.envelope))?;
            let bytes = seal
                .plain
                .encode(plain)
                .map_err(|error| faults::encode(&error, "encoding what is sealed"))?;
            let params = params(&seal.parameters, &documents(None))?;
            Some(
                envelope
                    .seal(&bytes, &params)
                    .map_err(|error| faults::seal(&error, "sealing the request"))?,
            )
        }
    };
    let framed = match &form.frame {
        None => None,
        Some(frame) => {
            let scope = documents(sealed.as_ref());
            Some(frame.apply(&scope).map_err(|error| faults::mapping(&error, "framing the request"))?)
        }
    };
    let document = framed.as_ref().or(sealed.as_ref()).unwrap_or(plain);
    let mut path = path(&operation.path, plain, &documents(sealed.as_ref()))?;
    let mut headers = headers(&system.headers, &documents(None))?;
    let mut body = Bytes::new();
    if operation.method != Method::GET && operation.method != Method::DELETE {
        let bytes =
            form.wire.encode(document).map_err(|error| faults::encode(&error, "encoding the request"))?;
        body = bytes.into();
        let kind = HeaderValue::from_str(form.wire.content_type());
        headers.entry(CONTENT_TYPE).or_insert(kind.map_err(|_| bad_header("content-type"))?);
    } else if form.wire.kind() == CodecKind::Form {
        // A request without a body carries its form as the query.
        add_query(&mut path, ask, document)?;
    }
    Ok(WireRequest { path, headers, body })
}

fn add_query(path: &mut String, ask: &AskPlan, document: &Value) -> Result<(), Fault> {
    let wire = &ask.operation.request.wire;
    let query = wire.encode(document).map_err(|error| faults::encode(&error, "encoding the query"))?;
    let query = String::from_utf8(query)
        .map_err(|_| Fault::new(&fault_codes::NOT_ENCODABLE, "the query holds characters beyond ASCII"))?;
    if !query.is_empty() {
        path.push(if path.contains('?') { '&' } else { '?' });
        path.push_str(&query);
    }
    Ok(())
}

/// The values of an envelope's parameters.
pub(crate) fn params(templates: &[(String, Template)], scope: &dyn Scope) -> Result<Params, Fault> {
    let mut params = Params::new();
    for (name, template) in templates {
        params.set(name.as_str(), text(template, scope, "an envelope's parameter")?);
    }
    Ok(params)
}

pub(crate) fn unknown_envelope(name: &str) -> Fault {
    Fault::new(&fault_codes::FLOW_FAULT, format!("there is no envelope `{name}`"))
}

/// A template's value as text: null is empty, numbers and booleans as in JSON.
pub(crate) fn text(template: &Template, scope: &dyn Scope, what: &str) -> Result<String, Fault> {
    match template.render(scope).map_err(|error| faults::eval(&error, what))? {
        Value::String(text) => Ok(text),
        Value::Null => Ok(String::new()),
        other => Ok(other.to_string()),
    }
}

/// Headers with their templates filled in.
pub(crate) fn headers(plans: &[HeaderPlan], scope: &dyn Scope) -> Result<HeaderMap, Fault> {
    let mut headers = HeaderMap::with_capacity(plans.len() + 2);
    for plan in plans {
        let value = match &plan.value {
            HeaderSource::Fixed(value) => value.clone(),
            HeaderSource::Template(template) => {
                header_value(plan.name.as_str(), &text(template, scope, "a header")?)?
            }
        };
        headers.append(plan.name.clone(), value);
    }
    Ok(headers)
}

pub(crate) fn header_value(name: &str, text: &str) -> Result<HeaderValue, Fault> {
    HeaderValue::from_str(text).map_err(|_| bad_header(name))
}

fn bad_header(name: &str) -> Fault {
    Fault::new(
        &fault_codes::FLOW_FAULT,
        format!("the value of header `{name}` holds characters no header may hold"),
    )
}

/// The business document's members by name, over the documents of the form.
struct PathScope<'a> {
    document: &'a Value,
    named: &'a dyn Scope,
}

impl Scope for PathScope<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.named.get(name).or_else(|| self.document.get(name))
    }
}

fn path(plan: &PathPlan, document: &Value, named: &dyn Scope) -> Result<String, Fault> {
    let scope = PathScope { document, named };
    let mut path = String::new();
    for part in &plan.0 {
        match part {
            PathPart::Literal(literal) => path.push_str(literal),
            PathPart::Value(template) => {
                let value = text(template, &scope, "the path")?;
                match value.as_str() {
                    "" => {
                        return Err(Fault::new(&fault_codes::FIELD_MISSING, "a value of the path is empty"));
                    }
                    "." | ".." => {
                        return Err(Fault::new(
                            &fault_codes::FIELD_FORMAT,
                            "a value of the path is `.` or `..`",
                        ));
                    }
                    value => path.extend(utf8_percent_encode(value, RESERVED)),
                }
            }
        }
    }
    Ok(path)
}
