//! Identity numbers (GB 11643, the 2023 permanent residence card, residence permits of Hong Kong, Macao and Taiwan),
//! unified social credit codes (GB 32100) and bank card numbers (Luhn).

use super::{Call, FunctionError, pattern};
use serde_json::Value;
use time::PrimitiveDateTime;

type Result<T> = std::result::Result<T, FunctionError>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Resident,
    Fpr,
    Hmt,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Resident, Kind::Fpr, Kind::Hmt];

    fn name(self) -> &'static str {
        match self {
            Kind::Resident => "resident",
            Kind::Fpr => "fpr",
            Kind::Hmt => "hmt",
        }
    }
}

struct Identity {
    number: String,
    kind: Kind,
    birth: PrimitiveDateTime,
}

/// Reads an 18-character identity number: its check character and date of birth must hold.
fn identity(text: &str) -> Option<Identity> {
    let number = text.trim().to_ascii_uppercase();
    let bytes: &[u8; 18] = number.as_bytes().try_into().ok()?;
    let digits = &bytes[..17];
    if !digits.iter().all(u8::is_ascii_digit) || bytes[17] != check_character(digits) {
        return None;
    }
    let kind = match (bytes[0], &bytes[..6]) {
        (b'9', _) => Kind::Fpr,
        (b'8', b"810000" | b"820000" | b"830000") => Kind::Hmt,
        (b'1'..=b'6', _) => Kind::Resident,
        _ => return None,
    };
    let birth = pattern::parse("yyyyMMdd", &number[6..14]).ok().filter(|birth| birth.year() >= 1800)?;
    Some(Identity { number, kind, birth })
}

/// MOD 11-2 (GB 11643, ISO 7064) over 17 digits.
fn check_character(digits: &[u8]) -> u8 {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = digits.iter().zip(WEIGHTS).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    b"10X98765432"[(sum % 11) as usize]
}

fn accepted(call: &Call<'_>) -> Result<Identity> {
    let refused =
        || FunctionError::new("the value is not an identity number: length, date or check character");
    let identity = identity(&call.text()?).ok_or_else(refused)?;
    // A birth in the future cannot be right; one day's grace for clocks.
    let now = time::OffsetDateTime::from_unix_timestamp((call.now_millis)() / 1000 + 86_400).ok();
    if now.is_some_and(|now| identity.birth.date() > now.date()) {
        return Err(refused());
    }
    match call.optional(0)? {
        Some(kinds) if !kinds.split_whitespace().any(|kind| kind == identity.kind.name()) => {
            Err(FunctionError::new("the value is an identity number of another kind"))
        }
        _ => Ok(identity),
    }
}

pub(super) fn check_kinds(arguments: &[Value]) -> Result<()> {
    let known = |kind: &str| Kind::ALL.iter().any(|known| known.name() == kind);
    match arguments.first().and_then(Value::as_str) {
        Some(kinds) if kinds.trim().is_empty() || !kinds.split_whitespace().all(known) => {
            Err(FunctionError::new("the kinds are resident, fpr and hmt, separated by blanks"))
        }
        _ => Ok(()),
    }
}

pub(super) fn id_no(call: &Call<'_>) -> Result<Value> {
    Ok(accepted(call)?.number.into())
}

pub(super) fn is_id_no(call: &Call<'_>) -> Result<Value> {
    Ok(accepted(call).is_ok().into())
}

pub(super) fn id_kind(call: &Call<'_>) -> Result<Value> {
    Ok(accepted(call)?.kind.name().into())
}

pub(super) fn id_gender(call: &Call<'_>) -> Result<Value> {
    let odd = accepted(call)?.number.as_bytes()[16] % 2 == 1;
    Ok(if odd { "1" } else { "2" }.into())
}

pub(super) fn id_birth(call: &Call<'_>) -> Result<Value> {
    // The argument is a pattern here, not kinds.
    let identity = accepted(&Call { arguments: &[], ..*call })?;
    let pattern = call.optional(0)?;
    Ok(pattern::format(pattern.as_deref().unwrap_or("yyyyMMdd"), identity.birth)?.into())
}

pub(super) fn uscc(call: &Call<'_>) -> Result<Value> {
    social_credit_code(&call.text()?)
        .map(Value::from)
        .ok_or_else(|| FunctionError::new("the value is not a unified social credit code"))
}

pub(super) fn is_uscc(call: &Call<'_>) -> Result<Value> {
    Ok(social_credit_code(&call.text()?).is_some().into())
}

/// GB 32100: 18 characters, the last a check over the others modulo 31.
fn social_credit_code(text: &str) -> Option<String> {
    const ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
    const WEIGHTS: [usize; 17] = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];
    let code = text.trim().to_ascii_uppercase();
    let bytes: &[u8; 18] = code.as_bytes().try_into().ok()?;
    let mut sum = 0;
    for (byte, weight) in bytes.iter().zip(WEIGHTS) {
        sum += ALPHABET.iter().position(|c| c == byte)? * weight;
    }
    (bytes[17] == ALPHABET[(31 - sum % 31) % 31]).then_some(code)
}

pub(super) fn luhn(call: &Call<'_>) -> Result<Value> {
    let text = call.text()?;
    if luhn_holds(text.trim()) {
        Ok(text.trim().into())
    } else {
        Err(FunctionError::new("the value is not a card number: 10 to 19 digits and a Luhn check digit"))
    }
}

pub(super) fn is_luhn(call: &Call<'_>) -> Result<Value> {
    Ok(luhn_holds(call.text()?.trim()).into())
}

fn luhn_holds(text: &str) -> bool {
    if !(10..=19).contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_digit()) {
        return false;
    }
    let sum: u32 = text
        .bytes()
        .rev()
        .enumerate()
        .map(|(index, digit)| match (index % 2, u32::from(digit - b'0')) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => digit * 2 - 9,
            (_, digit) => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}
