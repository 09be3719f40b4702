//! How messages travel, compiled: requests are decoded, opened, unframed; answers are sealed, framed, encoded.
use std::sync::{Arc, OnceLock};

use http::HeaderValue;
use qiao_mappings::{
    Codec, CodecKind, Expression, Mapping, Scope, ScopeFunctions, Selector, SoapFault, SoapVersion, Template,
};
use qiao_vault::{Envelope, EnvelopeSpec, Params, Side, Vault, required_keys};
use serde_json::Value;

use crate::{
    facts::Facts,
    wsdl::{Call, Contract},
};

/// A request's body in its stages.
#[derive(Debug)]
pub struct Documents {
    /// As it travelled; null for an empty or unreadable body.
    pub wire: Value,
    /// The business document, where it differs from the wire document.
    pub plain: Option<Value>,
    /// Text: empty, or why the body could not be read or opened.
    pub problem: Value,
    /// Of a listener with a WSDL: the operation called.
    pub call: Option<Call>,
}

impl Documents {
    pub fn business(&self) -> &Value {
        self.plain.as_ref().unwrap_or(&self.wire)
    }

    fn broken(wire: Value, problem: String) -> Self {
        Self { wire, plain: Some(Value::Null), problem: Value::String(problem), call: None }
    }
}

/// An envelope, and the fields that a bad signature is made of.
pub struct Sealer {
    pub envelope: Envelope,
    /// Written fields that hold a signature or a keyed digest; all fields where there are none.
    pub signed: Vec<String>,
    pub spec: EnvelopeSpec,
    /// The same envelope with keys that nobody else knows, made when first asked for.
    pub stale: OnceLock<Result<Envelope, String>>,
}

/// What is wrong with a seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoil {
    Nothing,
    /// The signature does not fit.
    Signature,
    /// The keys are of another generation.
    Keys,
}

impl Sealer {
    fn stale(&self) -> Result<&Envelope, String> {
        let made = self.stale.get_or_init(|| {
            let failed = |error: qiao_vault::VaultError| format!("keys of another generation: {error}");
            let vault = Vault::in_memory().map_err(failed)?;
            for key in required_keys(&self.spec) {
                if !vault.exists(&key.key) {
                    vault.generate(&key.key, key.kind, key.purpose).map_err(failed)?;
                }
            }
            Envelope::compile(&self.spec, &vault, Side::Partner)
                .map_err(|_| "the envelope does not compile with other keys".to_owned())
        });
        made.as_ref().map_err(Clone::clone)
    }
}

/// From wire to business document.
pub struct RequestPath {
    pub wire: Codec,
    /// Reads in place of the codec.
    pub contract: Option<Arc<Contract>>,
    pub open: Option<Open>,
    pub frame: Option<Mapping>,
}

pub struct Open {
    pub sealer: Arc<Sealer>,
    pub from: Selector,
    pub when: Option<Expression>,
    pub plain: Codec,
    pub parameters: Vec<(String, Template)>,
}

/// From business document to wire.
pub struct AnswerPath {
    pub wire: Codec,
    /// The codec's Content-Type.
    pub content_type: Option<HeaderValue>,
    /// Writes in place of the codec.
    pub contract: Option<Arc<Contract>>,
    pub seal: Option<Seal>,
    pub frame: Option<Mapping>,
}

pub struct Seal {
    pub sealer: Arc<Sealer>,
    pub plain: Codec,
    pub parameters: Vec<(String, Template)>,
}

/// What is known while a request is opened.
struct Opening<'a> {
    facts: &'a Facts<'a>,
    wire: &'a Value,
    plain: Option<&'a Value>,
}

impl Scope for Opening<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        match name {
            "wire" => Some(self.wire),
            "plain" => self.plain,
            other => self.facts.outer(other),
        }
    }
}

impl RequestPath {
    /// Reads and opens the body. What goes wrong is told in the documents: a stub may answer it.
    pub fn read(&self, facts: &Facts<'_>) -> Documents {
        let Some(contract) = &self.contract else { return self.read_plain(facts) };
        let incoming = facts.incoming();
        let received = contract.read(&incoming.body, &incoming.headers);
        let documents = match &received.call.refusal {
            Some(refusal) if received.document.is_null() => {
                Documents::broken(received.document, refusal.text.clone())
            }
            _ => self.open(facts, received.document),
        };
        Documents { call: Some(received.call), ..documents }
    }

    fn read_plain(&self, facts: &Facts<'_>) -> Documents {
        let body = &facts.incoming().body;
        let wire = if body.is_empty() {
            Value::Null
        } else {
            match self.wire.decode(body) {
                Ok(decoded) => decoded.document,
                Err(error) => return Documents::broken(Value::Null, format!("unreadable: {error}")),
            }
        };
        self.open(facts, wire)
    }

    fn open(&self, facts: &Facts<'_>, wire: Value) -> Documents {
        let opened = match self.open.as_ref().map(|open| open.run(facts, &wire)) {
            None | Some(Ok(None)) => None,
            Some(Ok(opened)) => opened,
            Some(Err(problem)) => return Documents::broken(wire, format!("unopened: {problem}")),
        };
        let framed = self
            .frame
            .as_ref()
            .map(|frame| frame.apply(&Opening { facts, wire: &wire, plain: opened.as_ref() }));
        match framed {
            None => Documents { wire, plain: opened, problem: Value::from(""), call: None },
            Some(Ok(plain)) => Documents { wire, plain: Some(plain), problem: Value::from(""), call: None },
            Some(Err(error)) => Documents::broken(wire, format!("unframed: {error}")),
        }
    }
}

impl Open {
    /// The opened document, or none where nothing is to be opened.
    fn run(&self, facts: &Facts<'_>, wire: &Value) -> Result<Option<Value>, String> {
        let scope = Opening { facts, wire, plain: None };
        if let Some(when) = &self.when
            && !when.eval_bool(&scope).map_err(|error| error.to_string())?
        {
            return Ok(None);
        }
        let Some(sealed) = self.from.first(&scope) else { return Ok(None) };
        let params = params(&self.parameters, &scope)?;
        let plain = self.sealer.envelope.open(sealed, &params).map_err(|error| error.to_string())?;
        self.plain.decode(&plain).map(|decoded| Some(decoded.document)).map_err(|error| error.to_string())
    }
}

/// The documents of an answer on its way out.
struct Closing<'a> {
    scope: &'a dyn Scope,
    plain: &'a Value,
    sealed: Option<&'a Value>,
}

impl Scope for Closing<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        match name {
            "plain" => Some(self.plain),
            "sealed" => self.sealed,
            other => self.scope.get(other),
        }
    }

    fn now_millis(&self) -> i64 {
        self.scope.now_millis()
    }

    fn functions(&self) -> Option<Arc<dyn ScopeFunctions>> {
        self.scope.functions()
    }
}

impl AnswerPath {
    /// Seals, frames and encodes a business document.
    ///
    /// # Errors
    /// What could not be sealed, framed or encoded; nothing sealed that could be spoilt.
    pub fn write(&self, plain: &Value, scope: &dyn Scope, spoil: Spoil) -> Result<Vec<u8>, String> {
        let sealed = match &self.seal {
            None if spoil != Spoil::Nothing => return Err("the fault needs answers that are sealed".into()),
            None => None,
            Some(seal) => Some(seal.run(plain, scope, spoil)?),
        };
        let framed = match &self.frame {
            None => None,
            Some(frame) => {
                let scope = Closing { scope, plain, sealed: sealed.as_ref() };
                Some(frame.apply(&scope).map_err(|error| format!("the answer's frame: {error}"))?)
            }
        };
        let wire = framed.as_ref().or(sealed.as_ref()).unwrap_or(plain);
        self.encode(wire, scope)
    }

    /// Encodes a wire document; with a WSDL, as the answer of the operation called.
    ///
    /// # Errors
    /// A document the codec cannot carry.
    pub fn encode(&self, wire: &Value, scope: &dyn Scope) -> Result<Vec<u8>, String> {
        let encoded = match &self.contract {
            None => self.wire.encode(wire).map_err(|error| error.to_string()),
            Some(contract) => contract.write(called(scope), soap_version(scope), wire),
        };
        encoded.map_err(|error| format!("the answer cannot be encoded: {error}"))
    }

    /// Whether a document, business or wire, leaves as its JSON text and nothing else.
    pub fn is_json(&self, business: bool) -> bool {
        let bare = if business { self.is_plain() } else { self.contract.is_none() };
        bare && self.wire.kind() == CodecKind::Json
    }

    /// Encodes JSON text, where [`AnswerPath::is_json`].
    ///
    /// # Errors
    /// A character that the charset cannot carry, too many bytes.
    pub fn json(&self, text: String) -> Result<Vec<u8>, String> {
        let encoded = self.wire.encode_json_text(text).ok_or("the listener's answers are no JSON")?;
        encoded.map_err(|error| format!("the answer cannot be encoded: {error}"))
    }

    /// Encodes a SOAP fault.
    ///
    /// # Errors
    /// A text that XML cannot carry.
    pub fn fault(&self, fault: &SoapFault, scope: &dyn Scope) -> Result<Vec<u8>, String> {
        self.soap_codec(scope).encode_fault(fault).map_err(|error| error.to_string())
    }

    /// The Content-Type of its documents; none where a header cannot hold what is written.
    pub fn content_type(&self, scope: &dyn Scope) -> Option<HeaderValue> {
        match &self.contract {
            None => self.content_type.clone(),
            Some(_) => HeaderValue::from_str(self.soap_codec(scope).content_type()).ok(),
        }
    }

    fn soap_codec(&self, scope: &dyn Scope) -> &Codec {
        self.contract.as_ref().map_or(&self.wire, |contract| contract.codec(soap_version(scope)))
    }

    /// Whether a document's bytes depend on the document alone.
    pub fn is_plain(&self) -> bool {
        self.seal.is_none() && self.frame.is_none() && self.contract.is_none()
    }
}

fn called(scope: &dyn Scope) -> &str {
    scope.get("operation").and_then(Value::as_str).unwrap_or_default()
}

/// The version of the request, which its answer has too.
fn soap_version(scope: &dyn Scope) -> SoapVersion {
    match scope.get("soapVersion").and_then(Value::as_str) {
        Some("1.2") => SoapVersion::V12,
        _ => SoapVersion::V11,
    }
}

impl Seal {
    fn run(&self, plain: &Value, scope: &dyn Scope, spoil: Spoil) -> Result<Value, String> {
        let bytes =
            self.plain.encode(plain).map_err(|error| format!("the answer cannot be encoded: {error}"))?;
        let params = params(&self.parameters, &Closing { scope, plain, sealed: None })?;
        let envelope = if spoil == Spoil::Keys { self.sealer.stale()? } else { &self.sealer.envelope };
        let sealed = envelope.seal(&bytes, &params);
        let mut sealed = sealed.map_err(|error| format!("the answer cannot be sealed: {error}"))?;
        if spoil == Spoil::Signature
            && let Value::Object(fields) = &mut sealed
        {
            let spoilt = fields.iter_mut().filter(|(name, _)| self.sealer.signed.contains(name));
            spoilt.for_each(|(_, field)| alter(field));
        }
        Ok(sealed)
    }
}

fn params(parameters: &[(String, Template)], scope: &dyn Scope) -> Result<Params, String> {
    let mut params = Params::new();
    for (name, template) in parameters {
        let value = template.render(scope).map_err(|error| format!("the parameter {name}: {error}"))?;
        let text = crate::matching::memo::scalar(&value)
            .ok_or_else(|| format!("the parameter {name} is no text"))?;
        params.set(name, text);
    }
    Ok(params)
}

/// Changes one character in the middle to another of the same alphabet, so that decoding works and checking fails.
fn alter(field: &mut Value) {
    let Value::String(text) = field else { return };
    let middle = text.len() / 2;
    let place = text.char_indices().map(|(place, _)| place).find(|place| *place >= middle);
    let Some(place) = place else { return };
    let other = match text[place..].chars().next() {
        Some('0') => "1",
        Some('0'..='9') => "0",
        Some('A') => "B",
        Some('A'..='Z') => "A",
        Some('a') => "b",
        _ => "a",
    };
    let end = place + text[place..].chars().next().map_or(0, char::len_utf8);
    text.replace_range(place..end, other);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn altering_keeps_length_and_alphabet() {
        for text in ["3045022100abcdef", "MEUCIQDx+/8=", "A", "00000000"] {
            let mut field = Value::from(text);
            alter(&mut field);
            let altered = field.as_str().expect("text");
            assert_ne!(altered, text);
            assert_eq!(altered.len(), text.len());
        }
    }
}
