//! From business document to the bytes that travel: seal, frame, encode, path and headers.
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header::CONTENT_TYPE};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use qiao_core::{Fault, fault_codes};
use qiao_mappings::{CodecKind, Scope, Template};
use qiao_vault::Params;
use serde_json::Value;

use super::{aside::stepping_aside, faults, scope::CallDocument};
use crate::plan::{
    flow::AskPlan,
    forms::{HeaderPlan, HeaderSource},
    system::{PathPart, PathPlan},
};

/// RFC 3986 §2.3: everything but unreserved characters is encoded.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A request as it travels; built once per step, or once per attempt where it is sealed.
#[derive(Clone, Default)]
pub(crate) struct WireRequest {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// The documents of a request form.
struct RequestScope<'a> {
    ask: &'a AskPlan,
    call: &'a CallDocument,
    plain: &'a Value,
    sealed: Option<&'a Value>,
}

impl Scope for RequestScope<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        match name {
            "plain" => Some(self.plain),
            "sealed" => self.sealed,
            "parameters" => Some(&self.ask.system.parameters),
            "operation" => Some(&self.ask.operation.document),
            "call" => Some(self.call.document()),
            _ => None,
        }
    }
}

/// Seals, frames and encodes a business document.
pub(crate) fn encode(ask: &AskPlan, plain: &Value, call: &CallDocument) -> Result<WireRequest, Fault> {
    let (operation, form) = (&ask.operation, &ask.operation.request);
    let mut scope = RequestScope { ask, call, plain, sealed: None };
    let headers = headers(&ask.system.headers, &scope)?;
    let sealed = seal(ask, &scope)?;
    scope.sealed = sealed.as_ref();
    let framed = match &form.frame {
        None => None,
        Some(frame) => {
            Some(frame.apply(&scope).map_err(|error| faults::mapping(&error, "framing the request"))?)
        }
    };
    let document = framed.as_ref().or(scope.sealed).unwrap_or(plain);
    let path = path(&operation.path, plain, &scope)?;
    let mut request = WireRequest { path, headers, body: Bytes::new() };
    if operation.method != Method::GET && operation.method != Method::DELETE {
        let bytes = form.wire.encode(document);
        request.body = bytes.map_err(|error| faults::encode(&error, "encoding the request"))?.into();
        request.headers.entry(CONTENT_TYPE).or_insert_with(|| form.content_type.clone());
    } else if form.wire.kind() == CodecKind::Form {
        // A request without a body carries its form as the query.
        add_query(&mut request.path, ask, document)?;
    }
    Ok(request)
}

fn seal(ask: &AskPlan, scope: &RequestScope<'_>) -> Result<Option<Value>, Fault> {
    let Some(seal) = &ask.operation.request.seal else { return Ok(None) };
    let envelope =
        ask.system.envelopes.get(&seal.envelope).ok_or_else(|| unknown_envelope(&seal.envelope))?;
    let bytes = seal.plain.encode(scope.plain);
    let bytes = bytes.map_err(|error| faults::encode(&error, "encoding what is sealed"))?;
    let params = params(&seal.parameters, scope)?;
    let sealed = stepping_aside(envelope.blocks(), || envelope.seal(&bytes, &params));
    sealed.map(Some).map_err(|error| faults::seal(&error, "sealing the request"))
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
