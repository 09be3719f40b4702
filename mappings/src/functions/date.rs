//! Functions on dates, times and months, in partner patterns (see [`super::pattern`]).

use super::{Call, FunctionError, integer_of, pattern};
use serde_json::Value;
use time::{Date, Duration, Month, OffsetDateTime, PrimitiveDateTime, UtcOffset};

type Result<T> = std::result::Result<T, FunctionError>;

const DEFAULT_NOW: &str = "yyyy-MM-dd HH:mm:ss";

pub(super) fn date(call: &Call<'_>) -> Result<Value> {
    let at = pattern::parse(&call.argument(0)?, &call.text()?)?;
    Ok(pattern::format(&call.argument(1)?, at)?.into())
}

pub(super) fn date_add(call: &Call<'_>) -> Result<Value> {
    let pattern = call.argument(0)?;
    let at = pattern::parse(&pattern, &call.text()?)?;
    let amount = call.integer(1)?;
    let moved = moved(at, amount, &call.argument(2)?)?;
    Ok(pattern::format(&pattern, moved)?.into())
}

fn moved(at: PrimitiveDateTime, amount: i64, unit: &str) -> Result<PrimitiveDateTime> {
    let seconds = match unit {
        "years" => return months_later(at, amount.saturating_mul(12)),
        "months" => return months_later(at, amount),
        "days" => 86_400,
        "hours" => 3_600,
        "minutes" => 60,
        "seconds" => 1,
        _ => {
            return Err(FunctionError::new("the unit is not years, months, days, hours, minutes or seconds"));
        }
    };
    at.checked_add(Duration::seconds(amount.saturating_mul(seconds))).ok_or_else(beyond)
}

fn months_later(at: PrimitiveDateTime, months: i64) -> Result<PrimitiveDateTime> {
    let (year, month) = month_later(i64::from(at.year()), i64::from(u8::from(at.month())), months)?;
    let day = at.day().min(month.length(year));
    let date = Date::from_calendar_date(year, month, day).map_err(|_| beyond())?;
    Ok(PrimitiveDateTime::new(date, at.time()))
}

fn month_later(year: i64, month: i64, months: i64) -> Result<(i32, Month)> {
    let index = (year * 12 + month - 1).checked_add(months).ok_or_else(beyond)?;
    let year = i32::try_from(index.div_euclid(12)).ok().filter(|year| (0..=9999).contains(year));
    let month = u8::try_from(index.rem_euclid(12) + 1).ok().and_then(|month| Month::try_from(month).ok());
    year.zip(month).ok_or_else(beyond)
}

fn beyond() -> FunctionError {
    FunctionError::new("the date lies beyond the years 0 to 9999")
}

pub(super) fn now(call: &Call<'_>) -> Result<Value> {
    let pattern = call.optional(0)?;
    let nanos = i128::from((call.now_millis)()) * 1_000_000;
    let at = OffsetDateTime::from_unix_timestamp_nanos(nanos).map_err(|_| beyond())?;
    let china = UtcOffset::from_hms(8, 0, 0).map_err(|_| beyond())?;
    let at = at.to_offset(china);
    let at = PrimitiveDateTime::new(at.date(), at.time());
    Ok(pattern::format(pattern.as_deref().unwrap_or(DEFAULT_NOW), at)?.into())
}

pub(super) fn add_months(call: &Call<'_>) -> Result<Value> {
    let (year, month) = month_of(&call.text()?)?;
    let (year, month) = month_later(year, month, call.integer(0)?)?;
    Ok(format!("{year:04}{:02}", u8::from(month)).into())
}

pub(super) fn months_between(call: &Call<'_>) -> Result<Value> {
    let (from_year, from_month) = month_of(&call.text()?)?;
    let (to_year, to_month) = month_of(&call.argument(0)?)?;
    Ok(((to_year - from_year) * 12 + to_month - from_month).into())
}

fn month_of(text: &str) -> Result<(i64, i64)> {
    let at = pattern::parse("yyyyMM", text)?;
    Ok((i64::from(at.year()), i64::from(u8::from(at.month()))))
}

pub(super) fn check_two_patterns(arguments: &[Value]) -> Result<()> {
    arguments.iter().filter_map(Value::as_str).try_for_each(pattern::check)
}

pub(super) fn check_one_pattern(arguments: &[Value]) -> Result<()> {
    check_two_patterns(arguments)
}

pub(super) fn check_date_add(arguments: &[Value]) -> Result<()> {
    check_one_pattern(arguments.get(..1).unwrap_or_default())?;
    integer_of(arguments.get(1).unwrap_or(&Value::Null))?;
    match arguments.get(2).and_then(Value::as_str) {
        Some(unit) => moved(PrimitiveDateTime::MIN, 0, unit).map(drop).or_else(|error| {
            // The earliest date cannot be moved at all; only an unknown unit is a mistake of the author.
            if error == beyond() { Ok(()) } else { Err(error) }
        }),
        None => Ok(()),
    }
}

pub(super) fn check_months(arguments: &[Value]) -> Result<()> {
    integer_of(arguments.first().unwrap_or(&Value::Null)).map(drop)
}
