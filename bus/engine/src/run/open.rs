//! The first and the last thing done to a call's body: open what the caller sealed or signed, seal what it gets.
use std::sync::LazyLock;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use qiao_core::{Fault, fault_codes};
use qiao_mappings::{Codec, CodecSpec};
use qiao_vault::{Envelope, Params, Provider, PureProvider, Stamp, TimeForm, VaultError, Zeroizing};
use serde_json::{Map, Value};

use super::{CallInput, CallOutput, answer, aside::stepping_aside, no_document};
use crate::plan::CallerProof;

/// The strict JSON codec: duplicate names, excess depth and anything after the document are refused.
static JSON: LazyLock<Codec> = LazyLock::new(|| {
    Codec::compile(&CodecSpec::default()).expect("the default codec has no setting to be wrong")
});

/// The request document: the body as JSON, opened first where the caller seals. Errors: `BAD_REQUEST` for what is not
/// JSON; `BAD_SIGNATURE` for an envelope that does not hold, which never says why.
pub(crate) fn open(input: &CallInput<'_>) -> Result<Opened, Fault> {
    let proven = prove(input)?;
    let body = proven.plain.as_ref().map_or(&input.body[..], |plain| plain);
    let document = if body.is_empty() { no_document() } else { decode(body)? };
    Ok(Opened { document, proven })
}

/// What the caller's envelope holds, where it has one. Errors: as for [`open`], but the message itself may be of any form.
pub(crate) fn prove(input: &CallInput<'_>) -> Result<Proven, Fault> {
    let proof = input.caller.as_ref().map(|caller| &caller.proof);
    let (envelope, wire) = match proof {
        None | Some(CallerProof::Key(_)) => return Ok(Proven::default()),
        Some(CallerProof::Envelope(envelope)) => (envelope, decode(&input.body)?),
        Some(CallerProof::Request(envelope)) => (envelope, whole_request(input)?),
    };
    if !wire.is_object() {
        return Err(Fault::new(&fault_codes::BAD_REQUEST, "the sealed body is not a JSON object"));
    }
    let opened = stepping_aside(envelope.blocks(), || envelope.open_fresh(&wire, &params(input)));
    let (plain, stamp) = opened.map_err(|error| match error {
        VaultError::Sealed | VaultError::Uninitialised | VaultError::Device { .. } => {
            super::faults::seal(&error, "opening the request")
        }
        error => Fault::new(&fault_codes::BAD_SIGNATURE, error.operator_detail()),
    })?;
    Ok(Proven { plain: Some(plain), stamp })
}

/// A request whose proof held.
#[derive(Default)]
pub(crate) struct Proven {
    /// The message, where it was sealed or signed.
    pub plain: Option<Zeroizing<Vec<u8>>>,
    /// What it says of its newness, still to be checked.
    pub stamp: Option<Stamp>,
}

/// A request as the flow sees it, and its bytes where they were sealed.
pub(crate) struct Opened {
    pub document: Value,
    pub proven: Proven,
}

impl Opened {
    /// The body in the clear.
    pub fn bytes(&self, input: &CallInput<'_>) -> Bytes {
        let plain = self.proven.plain.as_ref();
        plain.map_or_else(|| input.body.clone(), |plain| Bytes::copy_from_slice(plain))
    }

    /// Tells one request from another, sealed how ever: SM3 over where it goes and what it says.
    pub fn digest(&self, input: &CallInput<'_>) -> [u8; 32] {
        let body = self.proven.plain.as_ref().map_or(&input.body[..], |plain| plain);
        let arrival = &input.arrival;
        let (method, query) = (arrival.method.as_str(), arrival.query.unwrap_or_default());
        let parts = [method, arrival.path, query];
        let lengths = parts.map(|part| (part.len() as u64).to_le_bytes());
        let mut all: Vec<&[u8]> = lengths.iter().map(|length| &length[..]).collect();
        all.extend(parts.iter().map(|part| part.as_bytes()));
        all.push(body);
        PureProvider.sm3(&all)
    }
}

/// `{method, path, query, headers, body}`. A header that is there twice is left out: which one was signed cannot be told.
fn whole_request(input: &CallInput<'_>) -> Result<Value, Fault> {
    let body = std::str::from_utf8(&input.body)
        .map_err(|_| Fault::new(&fault_codes::BAD_REQUEST, "a signed body is text in UTF-8"))?;
    let mut headers = Map::with_capacity(input.headers.keys_len());
    for name in input.headers.keys() {
        let mut values = input.headers.get_all(name).iter();
        let single = values.next().filter(|_| values.next().is_none());
        if let Some(text) = single.and_then(|value| value.to_str().ok()) {
            headers.insert(name.as_str().to_owned(), text.into());
        }
    }
    let mut wire = Map::with_capacity(5);
    wire.insert("method".into(), input.arrival.method.as_str().into());
    wire.insert("path".into(), input.arrival.path.into());
    wire.insert("query".into(), input.arrival.query.unwrap_or_default().into());
    wire.insert("headers".into(), headers.into());
    wire.insert("body".into(), body.into());
    Ok(wire.into())
}

/// Seals an answer in place.
pub(crate) fn seal(envelope: &Envelope, input: &CallInput<'_>, output: &mut CallOutput) -> Result<(), Fault> {
    let sealed = stepping_aside(envelope.blocks(), || envelope.seal(&output.body, &params(input)))
        .map_err(|error| super::faults::seal(&error, "sealing the answer"))?;
    output.body = answer::to_bytes(&sealed);
    output.headers.insert(CONTENT_TYPE, answer::JSON);
    Ok(())
}

/// What the envelope of a caller may ask for.
fn params(input: &CallInput<'_>) -> Params {
    let caller = input.caller.as_ref().map_or("", |caller| &*caller.id);
    let millis = input.started_us / 1000;
    Params::new()
        .with("caller", caller)
        .with("call", input.call.to_string())
        .with("timestamp", millis.to_string())
        .with("time", TimeForm::Compact.write(millis))
        .with("method", input.arrival.method.as_str())
        .with("path", input.arrival.path)
}

fn decode(bytes: &[u8]) -> Result<Value, Fault> {
    JSON.decode(bytes).map(|decoded| decoded.document).map_err(|error| {
        let text = format!("{}：{error}", fault_codes::BAD_REQUEST.text);
        Fault::new(&fault_codes::BAD_REQUEST, format!("the body is not JSON: {error}")).with_text(text)
    })
}
