//! Answers, compiled: what is constant is encoded once, the rest rendered per request.
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use qiao_mappings::{JsonText, Scope, ScopeFunctions, SoapFault, Template};
use serde_json::{Map, Value};

use crate::{
    facts::Facts,
    faults::{Fault, alter},
    forms::Spoil,
    functions::{Draws, Luck},
    partner::Listener,
    spec::{FaultKind, Proto},
};

/// A compiled answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(HeaderName, Template)>,
    pub payload: Payload,
    /// By the listener's number, as far as there are any: the body, where it is the same for every request.
    pub ready: Vec<Option<Bytes>>,
    /// The document as JSON text, for listeners whose answers are nothing but that.
    pub json: Option<Box<JsonText>>,
}

#[derive(Debug)]
pub enum Payload {
    Empty,
    /// A business document, which is sealed, framed and encoded.
    Business(Template),
    /// A wire document, which is encoded only.
    Wire(Template),
    Text(Template),
    File(Bytes),
    SoapFault {
        code: String,
        text: Template,
    },
}

/// A rendered answer.
#[derive(Clone, Debug)]
pub struct Rendered {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// What templates of an answer see.
pub struct AnswerScope<'a> {
    pub facts: &'a Facts<'a>,
    /// The object `inst`.
    pub inst: Value,
    /// The object `params`.
    pub params: Value,
    /// The object `rows`.
    pub rows: Value,
    pub luck: Luck<'a>,
    /// The functions of its templates, made when first asked for.
    pub draws: OnceLock<Arc<Draws>>,
    /// Unix time in milliseconds by the mock partners' clock.
    pub now_ms: i64,
}

impl Scope for AnswerScope<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        match name {
            "inst" => Some(&self.inst),
            "params" => Some(&self.params),
            "rows" => Some(&self.rows),
            other => self.facts.get(other),
        }
    }

    fn functions(&self) -> Option<Arc<dyn ScopeFunctions>> {
        Some(Arc::clone(self.draws.get_or_init(|| Arc::new(self.luck.draws()))) as Arc<dyn ScopeFunctions>)
    }

    fn now_millis(&self) -> i64 {
        self.now_ms
    }
}

impl Answer {
    /// Encodes the body ahead for the listener of that number, where it is the same for every request.
    ///
    /// # Errors
    /// A document that the listener's codec cannot carry.
    pub fn prepare(&mut self, number: usize, listener: &Listener) -> Result<(), String> {
        let nothing = Map::new();
        let body = match &self.payload {
            Payload::Empty => Some(Bytes::new()),
            Payload::File(bytes) => Some(bytes.clone()),
            Payload::Business(template) if template.is_constant() && listener.answer.is_plain() => {
                let document = template.render(&nothing).map_err(|error| error.to_string())?;
                Some(listener.answer.encode(&document, &nothing)?.into())
            }
            Payload::Wire(template) if template.is_constant() && listener.contract.is_none() => {
                let document = template.render(&nothing).map_err(|error| error.to_string())?;
                Some(listener.answer.encode(&document, &nothing)?.into())
            }
            _ => None,
        };
        if let Some(body) = body {
            if self.ready.len() <= number {
                self.ready.resize(number + 1, None);
            }
            self.ready[number] = Some(body);
        } else if let Payload::Business(template) | Payload::Wire(template) = &self.payload
            && self.json.is_none()
            && listener.answer.is_json(matches!(self.payload, Payload::Business(_)))
        {
            self.json = Some(Box::new(template.json_text()));
        }
        Ok(())
    }

    /// Renders the answer on the listener of that number, with what a fault does to its document and seal.
    ///
    /// # Errors
    /// The template that failed, what could not be sealed or encoded, a fault that the answer cannot have.
    pub fn render(
        &self,
        number: usize,
        listener: &Listener,
        scope: &dyn Scope,
        fault: Option<&Fault>,
    ) -> Result<Rendered, String> {
        let mut headers = HeaderMap::with_capacity(self.headers.len() + 3);
        if let Some(content_type) = self.content_type(listener, scope) {
            headers.insert(CONTENT_TYPE, content_type);
        }
        for (name, template) in &self.headers {
            let value = template.render(scope).map_err(|error| format!("the header {name}: {error}"))?;
            let text = crate::matching::memo::scalar(&value).unwrap_or_default();
            let value = HeaderValue::from_str(&text).or_else(|_| HeaderValue::from_bytes(text.as_bytes()));
            headers.insert(name, value.map_err(|_| format!("the header {name} holds control characters"))?);
        }
        let body = match fault.filter(|fault| fault.is_of_document()) {
            None => self.usual(number, listener, scope)?,
            Some(fault) => self.body(listener, scope, Some(fault))?.into(),
        };
        Ok(Rendered { status: self.status, headers, body })
    }

    /// The body without a fault of the document, the shortest way.
    fn usual(&self, number: usize, listener: &Listener, scope: &dyn Scope) -> Result<Bytes, String> {
        if let Some(ready) = self.ready.get(number).and_then(Option::as_ref) {
            return Ok(ready.clone());
        }
        match &self.json {
            Some(json) if listener.answer.is_json(matches!(self.payload, Payload::Business(_))) => {
                let text = json.render(scope).map_err(|error| format!("the template: {error}"))?;
                Ok(listener.answer.json(text)?.into())
            }
            _ => Ok(self.body(listener, scope, None)?.into()),
        }
    }

    fn body(&self, listener: &Listener, scope: &dyn Scope, fault: Option<&Fault>) -> Result<Vec<u8>, String> {
        let rendered =
            |template: &Template| template.render(scope).map_err(|error| format!("the template: {error}"));
        if let Some(business) = fault.and_then(|fault| fault.business.as_ref()) {
            return listener.answer.write(&rendered(business)?, scope, Spoil::Nothing);
        }
        let altered = |template: &Template| {
            let mut document = rendered(template)?;
            fault.map_or(Ok(()), |fault| alter::document(fault, &mut document))?;
            Ok::<_, String>(document)
        };
        // The signature of a file is no part of its document.
        let spoil = match fault.map(|fault| fault.kind) {
            Some(FaultKind::BadSignature)
                if listener.proto != Proto::Sftp && !listener.proto.is_carrier() =>
            {
                Spoil::Signature
            }
            Some(FaultKind::StaleKey) if listener.proto != Proto::Sftp => Spoil::Keys,
            _ => Spoil::Nothing,
        };
        if let Some(fault) = fault.filter(|fault| fault.kind.is_of_field() || spoil != Spoil::Nothing)
            && !matches!(self.payload, Payload::Business(_) | Payload::Wire(_))
        {
            return Err(format!("the fault `{}` needs an answer that is a document", fault.kind.name()));
        }
        match &self.payload {
            Payload::Empty => Ok(Vec::new()),
            Payload::File(bytes) => Ok(bytes.to_vec()),
            Payload::Business(template) => listener.answer.write(&altered(template)?, scope, spoil),
            Payload::Wire(template) => listener.answer.encode(&altered(template)?, scope),
            Payload::Text(template) => {
                let value = rendered(template)?;
                let text = crate::matching::memo::scalar(&value).ok_or("the text is a list or an object")?;
                Ok(text.into_owned().into_bytes())
            }
            Payload::SoapFault { code, text } => {
                let string = match rendered(text)? {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                let fault = SoapFault { code: code.clone(), string, detail: None };
                listener.answer.fault(&fault, scope)
            }
        }
    }

    fn content_type(&self, listener: &Listener, scope: &dyn Scope) -> Option<HeaderValue> {
        match &self.payload {
            Payload::Empty => None,
            Payload::Text(_) => Some(HeaderValue::from_static("text/plain; charset=utf-8")),
            Payload::File(_) => Some(HeaderValue::from_static("application/octet-stream")),
            _ => listener.answer.content_type(scope),
        }
    }
}
