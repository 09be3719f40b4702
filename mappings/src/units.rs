//! Quantities as operators write them: `500ms`, `2s`, `64KiB`. The unit is never left out.
use std::{fmt, str::FromStr, time};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A length of time: a whole number and `ms`, `s`, `m`, `h` or `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(pub time::Duration);

/// A size in bytes: a whole number and `B`, `KiB`, `MiB` or `GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// Text that is not a quantity of the kind wanted.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not {wanted}")]
pub struct NotAQuantity {
    text: String,
    wanted: &'static str,
}

const TIME_UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZE_UNITS: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// The number times its unit, or none where the text has another form or the product does not fit.
fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn write(value: u64, units: &[(&str, u64)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (name, factor) = units
        .iter()
        .rev()
        .find(|(_, factor)| value != 0 && value.is_multiple_of(*factor))
        .unwrap_or(&units[0]);
    write!(f, "{}{name}", value / factor)
}

impl FromStr for Duration {
    type Err = NotAQuantity;

    fn from_str(text: &str) -> Result<Self, NotAQuantity> {
        let wanted = "a length of time such as 500ms, 2s, 5m, 1h or 1d";
        let millis = parse(text, &TIME_UNITS).ok_or_else(|| NotAQuantity { text: text.into(), wanted })?;
        Ok(Self(time::Duration::from_millis(millis)))
    }
}

impl FromStr for Bytes {
    type Err = NotAQuantity;

    fn from_str(text: &str) -> Result<Self, NotAQuantity> {
        let wanted = "a size such as 512B, 64KiB, 10MiB or 1GiB";
        parse(text, &SIZE_UNITS).map(Self).ok_or_else(|| NotAQuantity { text: text.into(), wanted })
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX), &TIME_UNITS, f)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(self.0, &SIZE_UNITS, f)
    }
}

macro_rules! quantity_as_text {
    ($name:ident, $pattern:literal, $about:literal, $example:literal) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "pattern": $pattern, "description": $about, "examples": [$example]})
            }
        }
    };
}

quantity_as_text!(Duration, "^[0-9]{1,9}(ms|s|m|h|d)$", "A length of time: 500ms, 2s, 5m, 1h, 1d.", "2s");
quantity_as_text!(
    Bytes,
    "^[0-9]{1,9}(B|KiB|MiB|GiB)$",
    "A size in bytes: 512B, 64KiB, 10MiB, 1GiB.",
    "64KiB"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_round_trip_in_their_largest_whole_unit() {
        for text in ["500ms", "2s", "90s", "5m", "1h", "7d"] {
            assert_eq!(text.parse::<Duration>().expect(text).to_string(), text);
        }
        assert_eq!("1024KiB".parse::<Bytes>().expect("size").to_string(), "1MiB");
    }

    #[test]
    fn a_number_without_its_unit_is_refused_and_says_what_is_wanted() {
        for text in ["2", "", "s", "-1s", "2 s", "2S", "99999999999999999999s"] {
            let refusal = text.parse::<Duration>().expect_err(text).to_string();
            assert!(refusal.contains("500ms"), "{refusal}");
        }
    }
}
