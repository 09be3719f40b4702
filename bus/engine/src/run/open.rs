//! The first and the last thing done to a call's body: open what the caller sealed, seal what it gets.
use std::sync::LazyLock;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use qiao_core::{Fault, fault_codes};
use qiao_mappings::{Codec, CodecSpec};
use qiao_vault::{Envelope, Params, VaultError, Zeroizing};
use serde_json::Value;

use super::{CallInput, CallOutput, answer, aside::stepping_aside, no_document};

/// The strict JSON codec: duplicate names, excess depth and anything after the document are refused.
static JSON: LazyLock<Codec> = LazyLock::new(|| {
    Codec::compile(&CodecSpec::default()).expect("the default codec has no setting to be wrong")
});

/// The request document: the body as JSON, opened first where the caller seals. Errors: `BAD_REQUEST` for what is not
/// JSON; `BAD_SIGNATURE` for an envelope that does not hold, which never says why.
pub(crate) fn open(input: &CallInput<'_>) -> Result<Opened, Fault> {
    let Some(envelope) = input.caller.as_ref().and_then(|caller| caller.envelope()) else {
        let document = if input.body.is_empty() { no_document() } else { decode(&input.body)? };
        return Ok(Opened { document, plain: None });
    };
    let sealed = decode(&input.body)?;
    if !sealed.is_object() {
        return Err(Fault::new(&fault_codes::BAD_REQUEST, "the sealed body is not a JSON object"));
    }
    let opened = stepping_aside(envelope.blocks(), || envelope.open(&sealed, &params(input)));
    let plain = opened.map_err(|error| match error {
        VaultError::Sealed | VaultError::Uninitialised | VaultError::Device { .. } => {
            super::faults::seal(&error, "opening the request")
        }
        error => Fault::new(&fault_codes::BAD_SIGNATURE, error.operator_detail()),
    })?;
    let document = if plain.is_empty() { no_document() } else { decode(&plain)? };
    Ok(Opened { document, plain: Some(plain) })
}

/// A request as the flow sees it, and its bytes where they were sealed.
pub(crate) struct Opened {
    pub document: Value,
    plain: Option<Zeroizing<Vec<u8>>>,
}

impl Opened {
    /// The body in the clear.
    pub fn bytes(&self, input: &CallInput<'_>) -> Bytes {
        self.plain.as_ref().map_or_else(|| input.body.clone(), |plain| Bytes::copy_from_slice(plain))
    }
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
    Params::new()
        .with("caller", caller)
        .with("call", input.call.to_string())
        .with("timestamp", (input.started_us / 1000).to_string())
}

fn decode(bytes: &[u8]) -> Result<Value, Fault> {
    JSON.decode(bytes).map(|decoded| decoded.document).map_err(|error| {
        let text = format!("{}：{error}", fault_codes::BAD_REQUEST.text);
        Fault::new(&fault_codes::BAD_REQUEST, format!("the body is not JSON: {error}")).with_text(text)
    })
}
