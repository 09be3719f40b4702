//! From the bytes of an answer to the business document, and what the answer means.
use std::sync::OnceLock;

use http::HeaderMap;
use qiao_core::{Fault, Repeat, fault_codes};
use qiao_mappings::Scope;
use qiao_vault::VaultError;
use serde_json::{Value, json};

use super::{aside::stepping_aside, scope::CallDocument, wire};
use crate::{
    definitions::system::Judgement,
    plan::{flow::AskPlan, forms::OpenPlan},
};

static NULL: Value = Value::Null;
/// Characters of a partner's code or reason that are passed on.
const MOST_TEXT: usize = 512;

/// What an answer means.
pub(crate) struct Verdict {
    pub is: Judgement,
    pub code: Option<String>,
    pub text: Option<String>,
    /// Whether it tells that the partner is not well, whatever its business meaning.
    pub unwell: bool,
}

/// An answer read and judged.
pub(crate) struct ReadAnswer {
    /// The business document; null where nothing was opened.
    pub body: Value,
    pub verdict: Verdict,
}

/// The documents of an answer.
struct AnswerScope<'a> {
    status: Value,
    raw_headers: &'a HeaderMap,
    headers: OnceLock<Value>,
    wire: &'a Value,
    plain: Option<&'a Value>,
    body: Option<&'a Value>,
    soap_fault: &'a Value,
    ask: &'a AskPlan,
    call: &'a CallDocument,
}

impl Scope for AnswerScope<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        match name {
            "status" => Some(&self.status),
            "headers" => Some(self.headers.get_or_init(|| headers_document(self.raw_headers))),
            "wire" => Some(self.wire),
            "plain" => self.plain,
            "body" => Some(self.body.unwrap_or(&NULL)),
            "soapFault" => Some(self.soap_fault),
            "parameters" => Some(&self.ask.system.parameters),
            "operation" => Some(&self.ask.operation.document),
            "call" => Some(self.call.document()),
            _ => None,
        }
    }
}

/// Headers as flows see them: lower-case names to text; several of one name joined with a comma.
pub(crate) fn headers_document(headers: &HeaderMap) -> Value {
    let mut document = serde_json::Map::with_capacity(headers.len());
    for (name, value) in headers {
        let text = String::from_utf8_lossy(value.as_bytes());
        match document.get_mut(name.as_str()) {
            Some(Value::String(known)) => {
                known.push_str(", ");
                known.push_str(&text);
            }
            _ => {
                document.insert(name.as_str().to_owned(), Value::from(text));
            }
        }
    }
    Value::Object(document)
}

/// Decodes, opens, frames and judges an answer. Errors: `PARTNER_PROTOCOL` for a 2xx answer that cannot be read;
/// an answer that failed by its status is judged by what can be read of it.
pub(crate) fn read(
    ask: &AskPlan,
    call: &CallDocument,
    status: u16,
    headers: &HeaderMap,
    bytes: &[u8],
) -> Result<ReadAnswer, Fault> {
    let form = &ask.operation.answer;
    let success = (200..300).contains(&status);
    let decoded = lenient(success, decode(ask, bytes))?;
    let (wire, soap_fault) = decoded.unwrap_or_default();
    let mut scope = AnswerScope {
        status: Value::from(status),
        raw_headers: headers,
        headers: OnceLock::new(),
        wire: &wire,
        plain: None,
        body: None,
        soap_fault: &soap_fault,
        ask,
        call,
    };
    let opened = match &form.open {
        None => None,
        Some(open) => lenient(success, self::open(ask, open, &scope))?.flatten(),
    };
    scope.plain = opened.as_ref();
    let unopened = form.open.is_some() && opened.is_none();
    let (framed, unframed) = match &form.frame {
        Some(frame) if !unopened && soap_fault.is_null() => match frame.apply(&scope) {
            Ok(framed) => (Some(framed), None),
            Err(error) => (None, Some(broken(ask, format!("the answer cannot be framed: {error}")))),
        },
        _ => (None, None),
    };
    let business = if unframed.is_some() { None } else { framed.as_ref().or(opened.as_ref()) };
    let plain_wire = (form.open.is_none() && unframed.is_none()).then_some(&wire);
    scope.body = business.or(plain_wire);
    let unsealed = unopened && form.open.as_ref().is_some_and(|open| open.when.is_none());
    let verdict = judge(ask, status, &scope, unsealed)?;
    if let Some(fault) = unframed
        && matches!(verdict.is, Judgement::Ok | Judgement::Done | Judgement::Partial | Judgement::Broken)
    {
        // A refusal often lacks what the frame reads; an answer that is taken must not.
        return Err(fault);
    }
    drop(scope);
    let body = framed.or(opened).unwrap_or_else(|| if form.open.is_none() { wire } else { Value::Null });
    Ok(ReadAnswer { body, verdict })
}

/// What cannot be read of an answer that failed by its status is left out.
fn lenient<T>(success: bool, read: Result<T, Fault>) -> Result<Option<T>, Fault> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(fault) if success || fault.code() == &fault_codes::VAULT_SEALED => Err(fault),
        Err(_) => Ok(None),
    }
}

/// The wire document and the SOAP fault.
fn decode(ask: &AskPlan, bytes: &[u8]) -> Result<(Value, Value), Fault> {
    if bytes.is_empty() {
        return Ok((Value::Null, Value::Null));
    }
    let decoded = ask.operation.answer.wire.decode(bytes);
    let decoded = decoded.map_err(|error| broken(ask, format!("the answer cannot be read: {error}")))?;
    let fault = decoded.soap_fault.map(|fault| json!({"code": fault.code, "string": fault.string}));
    Ok((decoded.document, fault.unwrap_or_default()))
}

/// Opens the sealed object; null where there is none to open.
fn open(ask: &AskPlan, open: &OpenPlan, scope: &AnswerScope<'_>) -> Result<Option<Value>, Fault> {
    if let Some(when) = &open.when {
        let wanted = when.eval_bool(scope);
        if !wanted
            .map_err(|error| broken(ask, format!("whether the answer is sealed cannot be told: {error}")))?
        {
            return Ok(None);
        }
    }
    let Some(sealed) = open.from.first(scope).filter(|sealed| !sealed.is_null()) else { return Ok(None) };
    let envelope =
        ask.system.envelopes.get(&open.envelope).ok_or_else(|| wire::unknown_envelope(&open.envelope))?;
    let params = wire::params(&open.parameters, scope)?;
    let opened = stepping_aside(envelope.blocks(), || envelope.open(sealed, &params));
    let plain = opened.map_err(|error| match error {
        VaultError::Sealed | VaultError::Uninitialised | VaultError::Device { .. } => {
            super::faults::seal(&error, "opening the answer").with_repeat(repeat(ask))
        }
        error => broken(ask, format!("the answer cannot be opened: {}", error.operator_detail())),
    })?;
    let document = open.plain.decode(&plain);
    document
        .map(|decoded| Some(decoded.document))
        .map_err(|error| broken(ask, format!("what was sealed cannot be read: {error}")))
}

fn judge(ask: &AskPlan, status: u16, scope: &AnswerScope<'_>, unsealed: bool) -> Result<Verdict, Fault> {
    let success = (200..300).contains(&status);
    for (index, rule) in ask.operation.judge.iter().enumerate() {
        let applies = match rule.when.as_ref().map(|when| when.eval_bool(scope)) {
            None => true,
            Some(Ok(applies)) => applies,
            // An answer that failed by its status often lacks what rules read: then they do not apply.
            Some(Err(_)) if !success => false,
            Some(Err(error)) => {
                return Err(broken(ask, format!("judge[{index}] cannot be decided on this answer: {error}")));
            }
        };
        if applies {
            let text = |template: &Option<qiao_mappings::Template>| {
                let text = template.as_ref().and_then(|template| wire::text(template, scope, "judge").ok());
                text.filter(|text| !text.is_empty()).map(bounded)
            };
            let unwell = matches!(rule.is, Judgement::Retry | Judgement::Broken);
            return Ok(Verdict { is: rule.is, code: text(&rule.code), text: text(&rule.text), unwell });
        }
    }
    let is = match status {
        200..300 if unsealed => Judgement::Broken,
        200..300 => Judgement::Ok,
        429 | 502 | 503 | 504 => Judgement::Retry,
        400.. => Judgement::Refused,
        _ => Judgement::Broken,
    };
    // A SOAP fault travels with status 500 whatever it says.
    let unwell =
        matches!(is, Judgement::Retry | Judgement::Broken) || status >= 500 && scope.soap_fault.is_null();
    Ok(Verdict { is, code: None, text: None, unwell })
}

fn bounded(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MOST_TEXT) {
        text.truncate(end);
    }
    text
}

/// The partner's answer makes no sense; a changing operation may have happened nevertheless.
pub(crate) fn broken(ask: &AskPlan, detail: String) -> Fault {
    Fault::new(&fault_codes::PARTNER_PROTOCOL, detail).with_repeat(repeat(ask))
}

/// Once an answer came, the partner has done what was asked.
fn repeat(ask: &AskPlan) -> Repeat {
    if ask.operation.changing { Repeat::Unknown } else { Repeat::Safe }
}
