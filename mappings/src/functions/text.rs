//! Functions on text. Positions and widths count characters (Unicode code points), never bytes.

use super::{Call, FunctionError, integer_of};
use serde_json::Value;

const MAX_WIDTH: i64 = 1_000;
/// Texts grow by replacing, joining and concatenating; a mapped field has no business beyond this.
const MAX_BYTES: usize = 8 << 20;

type Result<T> = std::result::Result<T, FunctionError>;

pub(super) fn trim(call: &Call<'_>) -> Result<Value> {
    Ok(call.text()?.trim().into())
}

pub(super) fn upper(call: &Call<'_>) -> Result<Value> {
    Ok(call.text()?.to_uppercase().into())
}

pub(super) fn lower(call: &Call<'_>) -> Result<Value> {
    Ok(call.text()?.to_lowercase().into())
}

pub(super) fn substring(call: &Call<'_>) -> Result<Value> {
    let text = call.text()?;
    let count = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    let position = |index: usize| -> Result<i64> {
        let position = call.integer(index)?;
        Ok(if position < 0 { count.saturating_add(position) } else { position }.clamp(0, count))
    };
    let start = position(0)?;
    let end = if call.arguments.len() > 1 { position(1)? } else { count };
    let (skip, take) = (start, (end - start).max(0));
    let chars =
        text.chars().skip(usize::try_from(skip).unwrap_or(0)).take(usize::try_from(take).unwrap_or(0));
    Ok(chars.collect::<String>().into())
}

pub(super) fn check_positions(arguments: &[Value]) -> Result<()> {
    arguments.iter().try_for_each(|argument| integer_of(argument).map(drop))
}

pub(super) fn replace(call: &Call<'_>) -> Result<Value> {
    let (text, from, to) = (call.text()?, call.argument(0)?, call.argument(1)?);
    if from.is_empty() {
        return Err(FunctionError::new("the text to replace is empty"));
    }
    let grown = text.len() + text.matches(from.as_ref()).count().saturating_mul(to.len());
    bounded(grown)?;
    Ok(text.replace(from.as_ref(), &to).into())
}

pub(super) fn check_not_empty(arguments: &[Value]) -> Result<()> {
    match arguments.first().and_then(Value::as_str) {
        Some("") => Err(FunctionError::new("the first argument is empty")),
        _ => Ok(()),
    }
}

pub(super) fn concat(call: &Call<'_>) -> Result<Value> {
    let mut out = String::new();
    for part in std::iter::once(call.input).chain(call.arguments) {
        match crate::document::scalar_text(part) {
            Some(part) => out.push_str(&part),
            None => return Err(FunctionError::new("a part is neither text nor number")),
        }
        bounded(out.len())?;
    }
    Ok(out.into())
}

pub(super) fn join(call: &Call<'_>) -> Result<Value> {
    let separator = call.argument(0)?;
    let Value::Array(elements) = call.input else {
        return Err(FunctionError::new("the value is not a list"));
    };
    let mut out = String::new();
    for (index, element) in elements.iter().enumerate() {
        if index > 0 {
            out.push_str(&separator);
        }
        match crate::document::scalar_text(element) {
            Some(text) => out.push_str(&text),
            None => return Err(FunctionError::new("an element is neither text nor number")),
        }
        bounded(out.len())?;
    }
    Ok(out.into())
}

pub(super) fn split(call: &Call<'_>) -> Result<Value> {
    let (text, separator) = (call.text()?, call.argument(0)?);
    if separator.is_empty() {
        return Err(FunctionError::new("the separator is empty"));
    }
    if text.is_empty() {
        return Ok(Value::Array(Vec::new()));
    }
    Ok(text.split(separator.as_ref()).map(Value::from).collect())
}

pub(super) fn pad_left(call: &Call<'_>) -> Result<Value> {
    let text = call.text()?;
    let mut out = fill(call, &text, '0')?;
    out.push_str(&text);
    Ok(out.into())
}

pub(super) fn pad_right(call: &Call<'_>) -> Result<Value> {
    let text = call.text()?;
    let fill = fill(call, &text, ' ')?;
    Ok((text.into_owned() + &fill).into())
}

pub(super) fn check_width(arguments: &[Value]) -> Result<()> {
    let width = integer_of(arguments.first().unwrap_or(&Value::Null))?;
    if !(0..=MAX_WIDTH).contains(&width) {
        return Err(FunctionError::new(format!("the width is not between 0 and {MAX_WIDTH}")));
    }
    match arguments.get(1).and_then(Value::as_str) {
        Some(fill) if fill.chars().count() != 1 => Err(FunctionError::new("the fill is not one character")),
        _ => Ok(()),
    }
}

fn fill(call: &Call<'_>, text: &str, default: char) -> Result<String> {
    check_width(call.arguments)?;
    let width = usize::try_from(call.integer(0)?).unwrap_or(0);
    let character = call.optional(1)?.and_then(|fill| fill.chars().next()).unwrap_or(default);
    Ok(std::iter::repeat_n(character, width.saturating_sub(text.chars().count())).collect())
}

fn bounded(bytes: usize) -> Result<()> {
    if bytes > MAX_BYTES {
        return Err(FunctionError::new(format!("the result exceeds {MAX_BYTES} bytes")));
    }
    Ok(())
}
