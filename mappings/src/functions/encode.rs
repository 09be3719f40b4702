//! Text encodings: hexadecimal, base64, JSON in a field; and identifiers.

use super::{Call, FunctionError};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use qiao_vault::{Provider as _, PureProvider};
use serde_json::Value;

type Result<T> = std::result::Result<T, FunctionError>;

pub(super) fn hex_encode(call: &Call<'_>) -> Result<Value> {
    Ok(hex::encode(call.text()?.as_bytes()).into())
}

pub(super) fn hex_decode(call: &Call<'_>) -> Result<Value> {
    let bytes =
        hex::decode(call.text()?.trim()).map_err(|_| FunctionError::new("the value is not hexadecimal"))?;
    utf8(bytes)
}

pub(super) fn base64_encode(call: &Call<'_>) -> Result<Value> {
    Ok(BASE64_STANDARD.encode(call.text()?.as_bytes()).into())
}

pub(super) fn base64_decode(call: &Call<'_>) -> Result<Value> {
    let bytes = BASE64_STANDARD
        .decode(call.text()?.trim())
        .map_err(|_| FunctionError::new("the value is not base64"))?;
    utf8(bytes)
}

fn utf8(bytes: Vec<u8>) -> Result<Value> {
    let text =
        String::from_utf8(bytes).map_err(|_| FunctionError::new("the decoded bytes are not UTF-8 text"))?;
    Ok(text.into())
}

pub(super) fn parse_json(call: &Call<'_>) -> Result<Value> {
    crate::codec::json::decode(call.text()?.as_bytes())
        .map_err(|_| FunctionError::new("the value is not a JSON document"))
}

pub(super) fn to_json(call: &Call<'_>) -> Result<Value> {
    Ok(call.input.to_string().into())
}

pub(super) fn uuid(_call: &Call<'_>) -> Result<Value> {
    Ok(uuid::Uuid::new_v4().to_string().into())
}

pub(super) fn sm3(call: &Call<'_>) -> Result<Value> {
    Ok(hex::encode(PureProvider.sm3(&[call.text()?.as_bytes()])).into())
}

pub(super) fn parse_xml(call: &Call<'_>) -> Result<Value> {
    crate::codec::xml::decode_text(&call.text()?)
        .map_err(|error| FunctionError::new(format!("the value is not an XML document: {}", error.message)))
}

pub(super) fn to_xml(call: &Call<'_>) -> Result<Value> {
    crate::codec::xml::encode_text(call.input)
        .map(Value::from)
        .map_err(|error| FunctionError::new(error.message))
}
