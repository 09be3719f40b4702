//! Plain scalars: the core schema of YAML 1.2 (§10.3.2), less what hides mistakes.
use serde_json::{Number, Value};

/// Why a plain scalar is refused, and the remedy.
pub(super) type Refusal = (&'static str, &'static str);

/// The value of an unquoted scalar. `yes`, `no`, `on`, `off` and dates are text.
pub(super) fn resolve(text: &str) -> Result<Value, Refusal> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "true" | "True" | "TRUE" => return Ok(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Value::Bool(false)),
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return Ok(Value::from(text));
    }
    if let Some(number) = radix(text, "0x", 16).or_else(|| radix(text, "0o", 8)) {
        return number;
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if is_digits(unsigned) {
        return decimal(text, unsigned);
    }
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Err(("not a number that JSON can hold", "put it in quotes if text is meant"));
    }
    if is_float(unsigned) {
        let number = text.parse::<f64>().ok().and_then(Number::from_f64);
        return number.map(Value::Number).ok_or(TOO_LARGE);
    }
    Ok(Value::from(text))
}

const TOO_LARGE: Refusal = ("a number beyond 64 bits", "put it in quotes if text is meant");

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn radix(text: &str, prefix: &str, radix: u32) -> Option<Result<Value, Refusal>> {
    let digits = text.strip_prefix(prefix)?;
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    Some(u64::from_str_radix(digits, radix).map(Value::from).map_err(|_| TOO_LARGE))
}

/// Leading zeros mean a code (`021`, `00`), whose zeros a number would lose.
fn decimal(text: &str, unsigned: &str) -> Result<Value, Refusal> {
    if unsigned.len() > 1 && unsigned.starts_with('0') {
        return Err(("a number with leading zeros, which would be lost", "put it in quotes"));
    }
    let text = text.strip_prefix('+').unwrap_or(text);
    if let Ok(number) = text.parse::<u64>() {
        return Ok(Value::from(number));
    }
    text.parse::<i64>().map(Value::from).map_err(|_| TOO_LARGE)
}

/// `( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn is_float(unsigned: &str) -> bool {
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let exponent_fits = exponent.is_none_or(|e| is_digits(e.strip_prefix(['+', '-']).unwrap_or(e)));
    let mantissa_fits = match mantissa.split_once('.') {
        Some(("", fraction)) => is_digits(fraction),
        Some((whole, fraction)) => is_digits(whole) && (fraction.is_empty() || is_digits(fraction)),
        None => is_digits(mantissa),
    };
    exponent_fits && mantissa_fits
}
