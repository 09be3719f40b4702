//! Conversions between text, numbers and booleans.

use super::{Call, FunctionError};
use serde_json::{Number, Value};

type Result<T> = std::result::Result<T, FunctionError>;

pub(super) fn text(call: &Call<'_>) -> Result<Value> {
    Ok(call.text()?.into_owned().into())
}

pub(super) fn number(call: &Call<'_>) -> Result<Value> {
    if let Value::Number(number) = call.input {
        return Ok(Value::Number(number.clone()));
    }
    let text = call.text()?;
    let text = text.trim();
    let decimal = text.strip_prefix(['-', '+']).unwrap_or(text);
    let plain = !decimal.is_empty() && decimal.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if !plain || !decimal.starts_with(|c: char| c.is_ascii_digit()) || decimal.ends_with('.') {
        return Err(FunctionError::new("the value is not a decimal number"));
    }
    if !decimal.contains('.') {
        let exact = text.parse::<i64>().map(Number::from).or_else(|_| text.parse::<u64>().map(Number::from));
        return exact
            .map(Value::Number)
            .map_err(|_| FunctionError::new("the number exceeds 64 bits; keep it as text"));
    }
    let number = text.parse::<f64>().ok().and_then(Number::from_f64);
    number.map(Value::Number).ok_or_else(|| FunctionError::new("the value is not a decimal number"))
}

pub(super) fn boolean(call: &Call<'_>) -> Result<Value> {
    if let Value::Bool(bool) = call.input {
        return Ok(Value::Bool(*bool));
    }
    match call.text()?.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "y" | "yes" | "是" => Ok(Value::Bool(true)),
        "false" | "0" | "n" | "no" | "否" => Ok(Value::Bool(false)),
        _ => Err(FunctionError::new("the value is neither true nor false")),
    }
}
