//! Date patterns as partners write them: `yyyyMMddHHmmss`, `yyyy-MM-dd HH:mm:ss`, `yyyy年MM月dd日`.
//!
//! Letters are fields, everything else stands for itself; letters between quotes too: `yyyy-MM-dd'T'HH:mm:ss`.

use super::FunctionError;
use time::{Date, Month, PrimitiveDateTime, Time};

type Result<T> = std::result::Result<T, FunctionError>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece<'a> {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Milli,
    Literal(&'a str),
}

impl Piece<'_> {
    fn width(self) -> usize {
        match self {
            Piece::Year => 4,
            Piece::Milli => 3,
            _ => 2,
        }
    }
}

/// Checks that a pattern is well formed and names a year.
pub(crate) fn check(pattern: &str) -> Result<()> {
    let mut year = false;
    for piece in pieces(pattern) {
        year |= piece? == Piece::Year;
    }
    if year { Ok(()) } else { Err(wrong_pattern()) }
}

/// Reads a date or time. Fields the pattern lacks are the first of their range.
pub(crate) fn parse(pattern: &str, text: &str) -> Result<PrimitiveDateTime> {
    let (mut rest, mut year, mut month, mut day) = (text, None, 1, 1);
    let (mut hour, mut minute, mut second, mut milli) = (0, 0, 0, 0);
    for piece in pieces(pattern) {
        let piece = piece?;
        if let Piece::Literal(literal) = piece {
            rest = rest.strip_prefix(literal).ok_or_else(not_a_date)?;
            continue;
        }
        let digits = rest.get(..piece.width()).ok_or_else(not_a_date)?;
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(not_a_date());
        }
        rest = &rest[piece.width()..];
        let number: u16 = digits.parse().map_err(|_| not_a_date())?;
        match piece {
            Piece::Year => year = Some(number),
            Piece::Month => month = number,
            Piece::Day => day = number,
            Piece::Hour => hour = number,
            Piece::Minute => minute = number,
            Piece::Second => second = number,
            Piece::Milli => milli = number,
            Piece::Literal(_) => {}
        }
    }
    let small = |number: u16| u8::try_from(number).map_err(|_| not_a_date());
    let month = Month::try_from(small(month)?).map_err(|_| not_a_date())?;
    let year = year.filter(|_| rest.is_empty()).ok_or_else(not_a_date)?;
    let date = Date::from_calendar_date(i32::from(year), month, small(day)?).map_err(|_| not_a_date())?;
    let time = Time::from_hms_milli(small(hour)?, small(minute)?, small(second)?, milli)
        .map_err(|_| not_a_date())?;
    Ok(PrimitiveDateTime::new(date, time))
}

/// Writes a date and time.
pub(crate) fn format(pattern: &str, at: PrimitiveDateTime) -> Result<String> {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(pattern.len() + 4);
    for piece in pieces(pattern) {
        let piece = piece?;
        let (number, width) = match piece {
            Piece::Literal(literal) => {
                out.push_str(literal);
                continue;
            }
            Piece::Year => (u32::try_from(at.year()).map_err(|_| not_a_date())?, 4),
            Piece::Month => (u32::from(u8::from(at.month())), 2),
            Piece::Day => (u32::from(at.day()), 2),
            Piece::Hour => (u32::from(at.hour()), 2),
            Piece::Minute => (u32::from(at.minute()), 2),
            Piece::Second => (u32::from(at.second()), 2),
            Piece::Milli => (u32::from(at.millisecond()), 3),
        };
        write!(out, "{number:0width$}").map_err(|_| not_a_date())?;
    }
    Ok(out)
}

fn pieces(pattern: &str) -> impl Iterator<Item = Result<Piece<'_>>> {
    let mut rest = pattern;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        if first == '\'' {
            let Some((literal, after)) = rest[1..].split_once('\'') else {
                rest = "";
                return Some(Err(wrong_pattern()));
            };
            rest = after;
            return Some(Ok(Piece::Literal(literal)));
        }
        if !first.is_ascii_alphabetic() {
            let end = rest.find(|c: char| c.is_ascii_alphabetic() || c == '\'').unwrap_or(rest.len());
            let (literal, after) = rest.split_at(end);
            rest = after;
            return Some(Ok(Piece::Literal(literal)));
        }
        let end = rest.find(|c| c != first).unwrap_or(rest.len());
        let (field, after) = rest.split_at(end);
        rest = after;
        Some(match field {
            "yyyy" => Ok(Piece::Year),
            "MM" => Ok(Piece::Month),
            "dd" => Ok(Piece::Day),
            "HH" => Ok(Piece::Hour),
            "mm" => Ok(Piece::Minute),
            "ss" => Ok(Piece::Second),
            "SSS" => Ok(Piece::Milli),
            _ => Err(wrong_pattern()),
        })
    })
}

fn wrong_pattern() -> FunctionError {
    FunctionError::new(
        "a date pattern has yyyy and may have MM, dd, HH, mm, ss, SSS, signs and 'quoted' letters",
    )
}

fn not_a_date() -> FunctionError {
    FunctionError::new("the value is not a date or time of the expected pattern")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rewrite(text: &str, from: &str, to: &str) -> std::result::Result<String, String> {
        parse(from, text).and_then(|at| format(to, at)).map_err(|error| error.to_string())
    }

    #[test]
    fn rewrites_between_partner_patterns() {
        let cases = [
            ("20260309123015", "yyyyMMddHHmmss", "yyyy-MM-dd'T'HH:mm:ss.SSS", "2026-03-09T12:30:15.000"),
            ("2026年03月09日", "yyyy年MM月dd日", "yyyy/MM/dd", "2026/03/09"),
            ("202603", "yyyyMM", "yyyy-MM-dd", "2026-03-01"),
        ];
        for (text, from, to, expected) in cases {
            assert_eq!(rewrite(text, from, to).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn refuses_dates_that_do_not_exist_and_text_left_over() {
        for (text, pattern) in [
            ("20260230", "yyyyMMdd"),
            ("20261301", "yyyyMMdd"),
            ("2026030", "yyyyMMdd"),
            ("202603091", "yyyyMMdd"),
            ("2026-3-09", "yyyy-MM-dd"),
            ("+260309", "yyyyMMdd"),
            ("20260309246060", "yyyyMMddHHmmss"),
            ("二〇二六", "yyyy"),
        ] {
            assert!(parse(pattern, text).is_err(), "{text}");
        }
    }

    #[test]
    fn refuses_patterns_it_does_not_know() {
        for pattern in ["", "MMdd", "yy-MM-dd", "yyyy-MM-DD", "yyyy'T", "yyyy-QQ"] {
            assert!(check(pattern).is_err(), "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(seconds in 0_i64..253_402_300_799) {
            let at = time::OffsetDateTime::from_unix_timestamp(seconds).expect("within range");
            let at = PrimitiveDateTime::new(at.date(), at.time());
            let text = format("yyyyMMdd'T'HHmmss", at).expect("a date");
            prop_assert_eq!(parse("yyyyMMdd'T'HHmmss", &text).expect("its own text"), at);
        }

        #[test]
        fn never_panics(pattern in ".{0,12}", text in ".{0,16}") {
            drop(parse(&pattern, &text));
        }
    }
}
