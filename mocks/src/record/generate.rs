//! Values that a partner makes anew for each answer, told by their form and their course: times, UUIDs, growing numbers.
use serde_json::Value;
use time::{Date, Month, PrimitiveDateTime, Time, UtcOffset};

use super::{
    people::{Hint, hint},
    place::{cel_text, text},
};

/// A time of an answer lies this near to when it was given, in milliseconds.
const NEAR_MS: i64 = 10 * 60 * 1000;
/// China standard time.
const CHINA_MS: i64 = 8 * 3600 * 1000;
/// Numbers of one counter lie at most this far apart.
const GAP: u64 = 10_000;

/// A value with the Unix milliseconds at which it was given.
#[derive(Clone, Copy)]
pub struct Sample<'v> {
    pub at_ms: i64,
    pub value: &'v Value,
}

/// The template of a generator that makes such values; none where they are no generator's.
pub fn generator(name: &str, samples: &[Sample<'_>]) -> Option<Value> {
    let texts: Vec<String> = samples.iter().map(|sample| text(sample.value)).collect::<Option<_>>()?;
    let is_text = samples.iter().all(|sample| sample.value.is_string());
    let is_number = samples.iter().all(|sample| sample.value.is_number());
    if !is_text && !is_number {
        return None;
    }
    let varies = texts.windows(2).any(|pair| pair[0] != pair[1]);
    moment(name, samples, &texts, is_number)
        .or_else(|| if varies && is_text { uuid(&texts).or_else(|| secret(name)) } else { None })
        .or_else(|| counter(name, samples, &texts, is_number))
}

/// Whether a text is a UUID, or 32 hexadecimal digits.
pub fn is_uuid(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
    let dashed = text.len() == 36 && [8, 13, 18, 23].iter().all(|at| text.as_bytes()[*at] == b'-');
    digits == 32 && (dashed || text.len() == 32)
}

fn uuid(texts: &[String]) -> Option<Value> {
    if !texts.iter().all(|text| is_uuid(text)) {
        return None;
    }
    let dashed = texts.iter().all(|text| text.len() == 36);
    let capital = texts.iter().all(|text| !text.bytes().any(|b| b.is_ascii_lowercase()));
    let made = if dashed { "uuid()" } else { "replace(uuid(), '-', '')" };
    Some(if capital { format!("${{upper({made})}}") } else { format!("${{{made}}}") }.into())
}

/// A token, a signature: another one each time.
fn secret(name: &str) -> Option<Value> {
    (hint(name) == Some(Hint::Secret)).then(|| "${replace(uuid(), '-', '')}".into())
}

/// Whether a value is a time near to when it was given, whatever its pattern.
pub fn is_near(sample: &Sample<'_>) -> bool {
    text(sample.value).is_some_and(|text| {
        epoch(&text, sample.at_ms).is_some()
            || pattern(&text).is_some_and(|(pattern, at)| {
                pattern.contains("HH") && offset(&pattern, at, sample.at_ms).is_some()
            })
    })
}

fn moment(name: &str, samples: &[Sample<'_>], texts: &[String], is_number: bool) -> Option<Value> {
    let unit = epoch(&texts[0], samples[0].at_ms);
    if unit.is_some() && samples.iter().zip(texts).all(|(sample, text)| epoch(text, sample.at_ms) == unit) {
        let seconds = "int(timestamp(now(\"yyyy-MM-dd'T'HH:mm:ss'+08:00'\")))";
        let value = if unit == Some(1) { seconds.to_owned() } else { format!("{seconds} * 1000") };
        return Some(
            if is_number { format!("${{{value}}}") } else { format!("${{string({value})}}") }.into(),
        );
    }
    let (first, at) = pattern(&texts[0])?;
    if is_number && !first.bytes().all(|b| b.is_ascii_alphabetic()) {
        return None;
    }
    let shift = offset(&first, at, samples[0].at_ms)?;
    for (sample, text) in samples.iter().zip(texts) {
        let (pattern, at) = pattern(text)?;
        if pattern != first || offset(&pattern, at, sample.at_ms) != Some(shift) {
            return None;
        }
    }
    if !first.contains("HH") && !of_day(name) {
        return None;
    }
    let pattern = cel_text(&first);
    let now = format!("now({pattern})");
    let now = if shift == 0 { now } else { format!("dateAdd({now}, {pattern}, -8, 'hours')") };
    Some(if is_number { format!("${{number({now})}}") } else { format!("${{{now}}}") }.into())
}

/// Fields that hold the day of the answer, by their names.
fn of_day(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["date", "time", "day", "rq", "sj", "日期", "时间"].iter().any(|part| name.contains(part))
}

/// 1 for seconds, 1000 for milliseconds since 1970, where they are near.
fn epoch(text: &str, at_ms: i64) -> Option<i64> {
    let number: i64 = text.parse().ok()?;
    match text.len() {
        10 if (number * 1000 - at_ms).abs() <= NEAR_MS => Some(1),
        13 if (number - at_ms).abs() <= NEAR_MS => Some(1000),
        _ => None,
    }
}

/// The pattern of a date or a time, and the Unix milliseconds that it would be in UTC.
fn pattern(text: &str) -> Option<(String, i64)> {
    const LETTERS: &str = "yyyyMMddHHmmssSSS";
    if !(8..=32).contains(&text.len()) || !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let zone = text.len().checked_sub(6).filter(|at| text.is_char_boundary(*at)).map_or("", |at| &text[at..]);
    let zone = if zone.starts_with(['+', '-']) && zone.as_bytes()[3] == b':' { zone } else { "" };
    let (mut pattern, mut digits) = (String::new(), String::new());
    for c in text[..text.len() - zone.len()].chars() {
        if c.is_ascii_digit() {
            pattern.push(char::from(*LETTERS.as_bytes().get(digits.len())?));
            digits.push(c);
        } else if ![4, 6, 8, 10, 12, 14, 17].contains(&digits.len()) {
            return None;
        } else if c.is_ascii_alphabetic() {
            pattern.push_str(&format!("'{c}'"));
        } else if "-/:. 年月日时分秒".contains(c) {
            pattern.push(c);
        } else {
            return None;
        }
    }
    if !zone.is_empty() {
        pattern.push_str(&format!("'{zone}'"));
    }
    Some((pattern, unix_ms(&digits)?))
}

fn unix_ms(digits: &str) -> Option<i64> {
    if ![8, 12, 14, 17].contains(&digits.len()) {
        return None;
    }
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or("0").parse::<u16>().ok();
    let small = |from: usize, to: usize| u8::try_from(part(from, to)?).ok();
    let date =
        Date::from_calendar_date(i32::from(part(0, 4)?), Month::try_from(small(4, 6)?).ok()?, small(6, 8)?);
    let time = Time::from_hms_milli(small(8, 10)?, small(10, 12)?, small(12, 14)?, part(14, 17)?);
    let at = PrimitiveDateTime::new(date.ok()?, time.ok()?).assume_offset(UtcOffset::UTC);
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()
}

/// How far the time is behind China's: 0, or eight hours for UTC. None where it is not near in either.
fn offset(pattern: &str, at: i64, given: i64) -> Option<i64> {
    let utc = pattern.ends_with("'Z'") || pattern.ends_with("'+00:00'");
    if !pattern.contains("HH") {
        let day = |ms: i64| ms.div_euclid(86_400_000);
        return (day(given + CHINA_MS) == day(at)).then_some(0);
    }
    // A minute's pattern is cut down to the minute.
    let near = |shift: i64| (at - shift - given).abs() <= NEAR_MS;
    match (near(CHINA_MS) && !utc, near(0)) {
        (true, _) => Some(0),
        (_, true) => Some(CHINA_MS),
        _ => None,
    }
}

/// `MZ20261122000123`: letters, perhaps the day, and digits that grow.
fn counter(name: &str, samples: &[Sample<'_>], texts: &[String], is_number: bool) -> Option<Value> {
    let digits_at = |text: &str| text.len() - text.bytes().rev().take_while(u8::is_ascii_digit).count();
    let width = texts[0].len();
    let mut start = digits_at(&texts[0]);
    let same_form = texts.iter().all(|text| {
        text.is_ascii()
            && text.len() == width
            && digits_at(text) == start
            && text[..start] == texts[0][..start]
    });
    if !same_form || width - start < 4 {
        return None;
    }
    let day = |sample: &Sample<'_>, text: &str| {
        let (pattern, at) = pattern(text.get(start..start + 8)?)?;
        offset(&pattern, at, sample.at_ms)
    };
    let dated =
        width - start >= 12 && samples.iter().zip(texts).all(|(sample, text)| day(sample, text).is_some());
    let prefix = cel_text(&texts[0][..start]);
    let prefix = if dated && start == 0 {
        "now('yyyyMMdd')".to_owned()
    } else if dated {
        format!("{prefix} + now('yyyyMMdd')")
    } else {
        prefix
    };
    start += if dated { 8 } else { 0 };
    let numbers: Vec<u64> = texts.iter().map(|text| text[start..].parse().ok()).collect::<Option<_>>()?;
    let grows = numbers.windows(2).all(|pair| pair[1] > pair[0] && pair[1] - pair[0] <= GAP);
    // Two numbers grow by chance half of the time: their name must speak for it.
    let spoken = ["no", "num", "id", "seq", "serial", "code", "number", "lsh", "号"];
    let name = name.to_ascii_lowercase();
    if !grows || numbers.len() < 2 || numbers.len() == 2 && !spoken.iter().any(|end| name.ends_with(end)) {
        return None;
    }
    let digits = width - start;
    if digits > 18 {
        return None;
    }
    let made = format!("seq({prefix}, {digits})");
    Some(if is_number { format!("${{number({made})}}") } else { format!("${{{made}}}") }.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// 2026-11-22T06:20:00Z.
    const AT: i64 = 1_795_328_400_000;

    fn of(name: &str, values: &[Value]) -> Option<String> {
        let samples: Vec<_> =
            (0..).zip(values).map(|(n, value)| Sample { at_ms: AT + n * 1000, value }).collect();
        generator(name, &samples).map(|template| template.as_str().expect("a text").to_owned())
    }

    #[test]
    fn times_near_the_answer_become_now_in_their_pattern() {
        for (first, second, wanted) in [
            ("2026-11-22 14:20:00", "2026-11-22 14:20:01", "${now('yyyy-MM-dd HH:mm:ss')}"),
            ("20261122142000", "20261122142001", "${now('yyyyMMddHHmmss')}"),
            (
                "2026-11-22T14:20:00.123+08:00",
                "2026-11-22T14:20:01.456+08:00",
                "${now('yyyy-MM-dd\\'T\\'HH:mm:ss.SSS\\'+08:00\\'')}",
            ),
            (
                "2026-11-22T06:20:00Z",
                "2026-11-22T06:20:01Z",
                "${dateAdd(now('yyyy-MM-dd\\'T\\'HH:mm:ss\\'Z\\''), 'yyyy-MM-dd\\'T\\'HH:mm:ss\\'Z\\'', -8, 'hours')}",
            ),
        ] {
            assert_eq!(of("at", &[json!(first), json!(second)]).as_deref(), Some(wanted));
        }
        assert_eq!(of("birth", &[json!("19900307"), json!("19900308")]), None);
        assert_eq!(of("from", &[json!("2020-01-01 00:00:00"), json!("2020-01-02 00:00:00")]), None);
        assert!(of("ts", &[json!(AT), json!(AT + 1000)]).is_some_and(|made| made.contains("* 1000")));
        assert_eq!(
            of("applyDate", &[json!("2026-11-22"), json!("2026-11-22")]).as_deref(),
            Some("${now('yyyy-MM-dd')}")
        );
        assert_eq!(of("valid", &[json!("2026-11-22"), json!("2026-11-22")]), None);
    }

    #[test]
    fn uuids_and_growing_numbers_become_generators_and_other_numbers_do_not() {
        let (one, two) = ("0af76519-16cd-43dd-8448-eb211c80319c", "b7ad6b71-6920-4331-8448-eb211c80319c");
        assert_eq!(of("x", &[json!(one), json!(two)]).as_deref(), Some("${uuid()}"));
        assert_eq!(
            of("acceptNo", &[json!("MZ000123"), json!("MZ000125")]).as_deref(),
            Some("${seq('MZ', 6)}")
        );
        assert_eq!(
            of("acceptNo", &[json!("MZ20261122000123"), json!("MZ20261122000125")]).as_deref(),
            Some("${seq('MZ' + now('yyyyMMdd'), 6)}")
        );
        assert_eq!(of("no", &[json!(100_001), json!(100_002)]).as_deref(), Some("${number(seq('', 6))}"));
        for (name, values) in [
            ("age", [json!(36), json!(70)]),
            ("amount", [json!("100000"), json!("100500")]),
            ("acceptNo", [json!("MZ000125"), json!("MZ000123")]),
            ("acceptNo", [json!("MZ000125"), json!("YB000126")]),
            ("accountNo", [json!("6200000001"), json!("6210000001")]),
        ] {
            assert_eq!(of(name, &values), None, "{name}");
        }
    }
}
