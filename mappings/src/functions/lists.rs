//! Functions on lists and choices between values.

use super::{Call, FunctionError};
use serde_json::Value;

type Result<T> = std::result::Result<T, FunctionError>;

pub(super) fn coalesce(call: &Call<'_>) -> Result<Value> {
    let mut values = std::iter::once(call.input).chain(call.arguments);
    let empty = |value: &Value| value.is_null() || value.as_str() == Some("");
    Ok(values.find(|value| !empty(value)).cloned().unwrap_or(Value::Null))
}

pub(super) fn size(call: &Call<'_>) -> Result<Value> {
    match call.input {
        Value::String(text) => Ok(text.chars().count().into()),
        Value::Array(elements) => Ok(elements.len().into()),
        Value::Object(members) => Ok(members.len().into()),
        _ => Err(FunctionError::new("the value has no size")),
    }
}

pub(super) fn list(call: &Call<'_>) -> Result<Value> {
    Ok(match call.input {
        Value::Null => Value::Array(Vec::new()),
        Value::Array(_) => call.input.clone(),
        other => Value::Array(vec![other.clone()]),
    })
}
