//! Masking of personal data for display, counted in characters, so that a rare character is never cut in half.

use super::{Call, FunctionError};
use serde_json::Value;

type Result<T> = std::result::Result<T, FunctionError>;

const KINDS: &[&str] = &["name", "idNo", "phone", "card", "address", "email", "last4"];

/// Masks `text` as `kind` says.
pub(super) fn mask(call: &Call<'_>) -> Result<Value> {
    let text = call.text()?;
    let masked = match call.argument(0)?.as_ref() {
        "name" => name(&text),
        "idNo" => keep(&text, 3, 4),
        "phone" => keep(&text, 3, 4),
        "card" => keep(&text, 6, 4),
        "address" => address(&text),
        "email" => email(&text),
        "last4" => keep(&text, 0, 4),
        _ => return Err(unknown()),
    };
    Ok(masked.into())
}

pub(super) fn check_kind(arguments: &[Value]) -> Result<()> {
    match arguments.first().and_then(Value::as_str) {
        Some(kind) if !KINDS.contains(&kind) => Err(unknown()),
        _ => Ok(()),
    }
}

fn unknown() -> FunctionError {
    FunctionError::new(format!("a mask is one of {}", KINDS.join(", ")))
}

/// 张*, 张*三, 欧**桥: the first character, and from three characters on the last; Latin names keep the first letter.
fn name(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    match chars.as_slice() {
        [] => String::new(),
        [_] => "*".into(),
        [first, ..] if first.is_ascii_alphabetic() => format!("{first}***"),
        [first, _] => format!("{first}*"),
        [first, middle @ .., last] => format!("{first}{}{last}", "*".repeat(middle.len())),
    }
}

/// Keeps characters at both ends; a text not longer than what would be kept is hidden altogether.
fn keep(text: &str, head: usize, tail: usize) -> String {
    let count = text.chars().count();
    if count <= head + tail {
        return "*".repeat(count);
    }
    let shown = |(index, c): (usize, char)| if index < head || index >= count - tail { c } else { '*' };
    text.chars().enumerate().map(shown).collect()
}

/// Keeps up to the district, town or street, whichever comes last in the first half.
fn address(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let level =
        |unit: &[char]| chars.windows(unit.len()).rposition(|part| part == unit).map(|at| at + unit.len());
    let cut = level(&['街', '道'])
        .or_else(|| level(&['区']))
        .or_else(|| level(&['县']))
        .or_else(|| level(&['市']))
        .filter(|cut| *cut < chars.len());
    match cut {
        Some(cut) => chars[..cut].iter().collect::<String>() + "***",
        None => keep(text, 3.min(chars.len() / 2), 0),
    }
}

fn email(text: &str) -> String {
    match text.split_once('@') {
        Some((local, domain)) => {
            let first = local.chars().next().map(String::from).unwrap_or_default();
            format!("{first}***@{domain}")
        }
        None => keep(text, 1, 0),
    }
}
