//! The built-in simple types of XML Schema Part 2: which texts they allow, and an example of each.
use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::STANDARD};
use regex::Regex;
use serde_json::{Value, json};

/// The types told apart; those derived from string without further rules count as string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builtin {
    Text,
    Boolean,
    /// Whole numbers with their bounds.
    Integer(i128, i128),
    Decimal,
    Double,
    Date,
    DateTime,
    Time,
    /// A row of [`PATTERNS`].
    Pattern(usize),
    Base64,
    Hex,
    Name,
}

const MAX: i128 = i128::MAX;

/// Parts of dates, and durations: name, pattern, example.
const PATTERNS: [(&str, &str, &str); 6] = [
    ("gYear", r"^-?\d{4,}(Z|[+-]\d{2}:\d{2})?$", "2026"),
    ("gYearMonth", r"^-?\d{4,}-\d{2}(Z|[+-]\d{2}:\d{2})?$", "2026-01"),
    ("gMonth", r"^--\d{2}(Z|[+-]\d{2}:\d{2})?$", "--01"),
    ("gMonthDay", r"^--\d{2}-\d{2}(Z|[+-]\d{2}:\d{2})?$", "--01-15"),
    ("gDay", r"^---\d{2}(Z|[+-]\d{2}:\d{2})?$", "---15"),
    ("duration", r"^-?P(\d+Y)?(\d+M)?(\d+D)?(T(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?$", "P1D"),
];

impl Builtin {
    /// The type of that local name; none for anyType and names that are none.
    pub fn named(local: &str) -> Option<Self> {
        if let Some(row) = PATTERNS.iter().position(|(name, ..)| *name == local) {
            return Some(Self::Pattern(row));
        }
        Some(match local {
            "string" | "normalizedString" | "token" | "anyURI" | "language" | "anySimpleType"
            | "NMTOKENS" | "IDREFS" | "ENTITIES" => Self::Text,
            "boolean" => Self::Boolean,
            "decimal" => Self::Decimal,
            "float" | "double" => Self::Double,
            "integer" => Self::Integer(-MAX, MAX),
            "nonPositiveInteger" => Self::Integer(-MAX, 0),
            "negativeInteger" => Self::Integer(-MAX, -1),
            "nonNegativeInteger" => Self::Integer(0, MAX),
            "positiveInteger" => Self::Integer(1, MAX),
            "long" => Self::Integer(i64::MIN.into(), i64::MAX.into()),
            "int" => Self::Integer(i32::MIN.into(), i32::MAX.into()),
            "short" => Self::Integer(i16::MIN.into(), i16::MAX.into()),
            "byte" => Self::Integer(i8::MIN.into(), i8::MAX.into()),
            "unsignedLong" => Self::Integer(0, u64::MAX.into()),
            "unsignedInt" => Self::Integer(0, u32::MAX.into()),
            "unsignedShort" => Self::Integer(0, u16::MAX.into()),
            "unsignedByte" => Self::Integer(0, u8::MAX.into()),
            "date" => Self::Date,
            "dateTime" => Self::DateTime,
            "time" => Self::Time,
            "base64Binary" => Self::Base64,
            "hexBinary" => Self::Hex,
            "QName" | "NCName" | "Name" | "NMTOKEN" | "ID" | "IDREF" | "ENTITY" | "NOTATION" => Self::Name,
            _ => return None,
        })
    }

    /// Whether a text, its outer white space taken away, is one of the type.
    pub fn allows(self, text: &str) -> bool {
        static DATE: LazyLock<Regex> =
            LazyLock::new(|| regex(r"^-?\d{4,}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])(Z|[+-]\d{2}:\d{2})?$"));
        static DATE_TIME: LazyLock<Regex> = LazyLock::new(|| {
            regex(
                r"^-?\d{4,}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-4]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]\d{2}:\d{2})?$",
            )
        });
        static TIME: LazyLock<Regex> =
            LazyLock::new(|| regex(r"^([01]\d|2[0-4]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]\d{2}:\d{2})?$"));
        static OTHERS: LazyLock<Vec<Regex>> =
            LazyLock::new(|| PATTERNS.iter().map(|(_, pattern, _)| regex(pattern)).collect());
        static DECIMAL: LazyLock<Regex> = LazyLock::new(|| regex(r"^[+-]?(\d+(\.\d*)?|\.\d+)$"));
        let text = if self == Self::Text { text } else { text.trim() };
        match self {
            Self::Text => true,
            Self::Boolean => matches!(text, "true" | "false" | "1" | "0"),
            Self::Integer(low, high) => {
                let digits = text.strip_prefix('+').unwrap_or(text);
                let whole = digits.strip_prefix('-').unwrap_or(digits);
                let all = !whole.is_empty() && whole.bytes().all(|byte| byte.is_ascii_digit());
                // Beyond 128 bits only the unbounded types allow it.
                all && digits
                    .parse::<i128>()
                    .map_or(low == -MAX || high == MAX, |n| (low..=high).contains(&n))
            }
            Self::Decimal => DECIMAL.is_match(text),
            Self::Double => {
                matches!(text, "INF" | "-INF" | "NaN")
                    || text.parse::<f64>().is_ok_and(|n| n.is_finite())
                        && !text.contains(|c: char| c.is_alphabetic() && !matches!(c, 'e' | 'E'))
            }
            Self::Date => DATE.is_match(text),
            Self::DateTime => DATE_TIME.is_match(text),
            Self::Time => TIME.is_match(text),
            Self::Pattern(row) => OTHERS[row].is_match(text),
            Self::Base64 => {
                let packed: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
                STANDARD.decode(packed).is_ok()
            }
            Self::Hex => text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit()),
            Self::Name => {
                !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || matches!(c, '<' | '&'))
            }
        }
    }

    /// An example, as JSON would write it.
    pub fn example(self) -> Value {
        match self {
            Self::Text => json!("string"),
            Self::Boolean => json!(true),
            Self::Integer(low, high) => {
                let wanted = 1_i128.clamp(low, high);
                json!(i64::try_from(wanted).unwrap_or(1))
            }
            Self::Decimal | Self::Double => json!(1.5),
            Self::Date => json!("2026-01-15"),
            Self::DateTime => json!("2026-01-15T09:30:00+08:00"),
            Self::Time => json!("09:30:00"),
            Self::Pattern(row) => json!(PATTERNS[row].2),
            Self::Base64 => json!("cWlhbw=="),
            Self::Hex => json!("71696F"),
            Self::Name => json!("name"),
        }
    }

    /// Whether bounds compare as numbers.
    pub fn is_number(self) -> bool {
        matches!(self, Self::Integer(..) | Self::Decimal | Self::Double)
    }
}

fn regex(text: &str) -> Regex {
    Regex::new(text).expect("a constant that the tests compile")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[&str] = &[
        "string",
        "boolean",
        "decimal",
        "float",
        "double",
        "integer",
        "negativeInteger",
        "positiveInteger",
        "long",
        "int",
        "short",
        "byte",
        "unsignedLong",
        "unsignedByte",
        "date",
        "dateTime",
        "time",
        "gYear",
        "gYearMonth",
        "gMonth",
        "gMonthDay",
        "gDay",
        "duration",
        "base64Binary",
        "hexBinary",
        "QName",
        "ID",
    ];

    #[test]
    fn every_example_is_of_its_type() {
        for name in ALL {
            let ty = Builtin::named(name).expect(name);
            let example = ty.example();
            let text = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
            assert!(ty.allows(&text), "{name}: {text}");
        }
    }

    #[test]
    fn refuses_texts_of_other_types() {
        for (name, text) in [
            ("int", "2147483648"),
            ("int", "1.0"),
            ("int", ""),
            ("unsignedByte", "-1"),
            ("boolean", "yes"),
            ("date", "2026-13-01"),
            ("date", "20260101"),
            ("dateTime", "2026-01-01"),
            ("decimal", "1e3"),
            ("double", "inf"),
            ("base64Binary", "a"),
            ("hexBinary", "abc"),
            ("time", "9:00"),
            ("positiveInteger", "0"),
        ] {
            assert!(!Builtin::named(name).expect(name).allows(text), "{name}: {text}");
        }
        assert!(Builtin::named("integer").expect("integer").allows(&"9".repeat(60)));
    }
}
