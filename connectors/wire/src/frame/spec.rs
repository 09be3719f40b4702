//! The declaration of a framing and the checks it passes before use.

use qiao_mappings::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The largest bound a definition may state for one frame, in bytes.
pub const MAX_FRAME: usize = 64 << 20;

/// How messages follow one another on a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum FrameSpec {
    /// A length in front, or within the head.
    Length(LengthSpec),
    /// A delimiter behind each message.
    Delimiter(DelimiterSpec),
    /// All messages have the same size.
    Fixed(FixedSpec),
}

/// How a length is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LengthForm {
    /// Big-endian binary.
    #[default]
    Big,
    /// Little-endian binary.
    Little,
    /// ASCII decimal digits, zero-padded.
    Digits,
}

/// A length field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LengthSpec {
    /// Bytes of the head before the length field.
    #[serde(default)]
    pub offset: usize,
    /// Bytes of the length field: 1, 2, 4 or 8; with digits 1 to 18.
    pub size: usize,
    /// How the length is written; big unless given.
    #[serde(default)]
    pub form: LengthForm,
    /// The length counts the head (the bytes up to and with the length field) too, not only what follows it.
    #[serde(default)]
    pub inclusive: bool,
    /// Added to the stated length before use.
    #[serde(default)]
    pub adjust: i64,
    /// The message is what follows the head; otherwise it is everything, head included.
    #[serde(default = "yes")]
    pub strip: bool,
    /// The fewest bytes of a message; by default one byte besides the head. 0 allows empty messages (keep-alives).
    #[serde(default)]
    pub min: Option<usize>,
    /// The most bytes of a message, at most 64 MiB.
    pub max: usize,
}

fn yes() -> bool {
    true
}

impl LengthSpec {
    /// Four big-endian bytes in front that count the message behind them, of at most `max` bytes.
    pub fn new(max: usize) -> LengthSpec {
        let form = LengthForm::Big;
        LengthSpec { offset: 0, size: 4, form, inclusive: false, adjust: 0, strip: true, min: None, max }
    }
}

/// A delimiter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DelimiterSpec {
    /// The text behind each message, as UTF-8; it is not part of the message.
    pub delimiter: String,
    /// The most bytes of a message, at most 64 MiB.
    pub max: usize,
}

/// A fixed size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FixedSpec {
    /// Bytes of each message, at most 64 MiB.
    pub size: usize,
}

/// A checked framing.
#[derive(Debug, Clone)]
pub struct Framing {
    pub(super) kind: Kind,
    /// Bytes of a message, as given to the caller.
    pub(super) min: usize,
    pub(super) max: usize,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    Length(LengthSpec),
    Delimiter(Vec<u8>),
    Fixed,
}

impl FrameSpec {
    /// Checks the declaration.
    ///
    /// # Errors
    /// Every mistake with its path in the declaration.
    pub fn compile(&self) -> Result<Framing, Vec<SpecError>> {
        let mut mistakes = Vec::new();
        let mut check = |fine: bool, path: &str, message: &str| {
            if !fine {
                mistakes.push(SpecError { path: path.to_owned(), message: message.to_owned() });
            }
        };
        let framing = match self {
            FrameSpec::Length(spec) => {
                check_length(spec, &mut check);
                let head = if spec.strip { 0 } else { spec.offset.saturating_add(spec.size) };
                let min = spec.min.unwrap_or(head.saturating_add(1));
                check(min <= spec.max, "min", "is above max");
                check(min >= head, "min", "is below the bytes of the head, which the message includes");
                check((1..=MAX_FRAME).contains(&spec.max), "max", "must be 1 to 67108864 bytes");
                Framing { kind: Kind::Length(spec.clone()), min, max: spec.max }
            }
            FrameSpec::Delimiter(spec) => {
                check(!spec.delimiter.is_empty(), "delimiter", "must not be empty");
                check((1..=MAX_FRAME).contains(&spec.max), "max", "must be 1 to 67108864 bytes");
                Framing { kind: Kind::Delimiter(spec.delimiter.clone().into_bytes()), min: 0, max: spec.max }
            }
            FrameSpec::Fixed(spec) => {
                check((1..=MAX_FRAME).contains(&spec.size), "size", "must be 1 to 67108864 bytes");
                Framing { kind: Kind::Fixed, min: spec.size, max: spec.size }
            }
        };
        if mistakes.is_empty() { Ok(framing) } else { Err(mistakes) }
    }
}

fn check_length(spec: &LengthSpec, check: &mut impl FnMut(bool, &str, &str)) {
    match spec.form {
        LengthForm::Digits => check((1..=18).contains(&spec.size), "size", "must be 1 to 18 digits"),
        _ => check(matches!(spec.size, 1 | 2 | 4 | 8), "size", "must be 1, 2, 4 or 8 bytes"),
    }
    check(spec.offset <= 1024, "offset", "must be at most 1024 bytes");
    check(spec.adjust.unsigned_abs() <= 1 << 32, "adjust", "must be within four gigabytes");
    let message = "must be 0 when the head is stripped: writing could not fill the bytes before the length";
    check(!spec.strip || spec.offset == 0, "offset", message);
}
