//! When a grant lets calls in: days and daily hours at UTC+8, which knows no summer time.
use time::{Date, macros::format_description};

use crate::definitions::grant::Window as WindowDefinition;

const DAY_US: i64 = 86_400_000_000;
const MINUTE_US: i64 = 60_000_000;
/// China standard time is eight hours ahead of UTC all year.
const CHINA_US: i64 = 8 * 3_600_000_000;

/// A compiled window; the empty one is always open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Days since 1970-01-01, both included.
    from: Option<i64>,
    until: Option<i64>,
    /// Minutes of the day, start included, end not; an end before its start spans midnight.
    hours: Vec<(i64, i64)>,
}

impl Window {
    /// Compiles a window; errors are pairs of the path below the window and what is wrong there.
    pub fn new(definition: &WindowDefinition) -> Result<Self, Vec<(String, String)>> {
        let mut wrong = Vec::new();
        let mut day = |name: &str, text: &Option<String>| {
            let text = text.as_deref()?;
            let found = day_number(text);
            if found.is_none() {
                wrong.push((name.to_owned(), format!("`{text}` is not a day such as 2026-01-31")));
            }
            found
        };
        let from = day("from", &definition.from);
        let until = day("until", &definition.until);
        let mut hours = Vec::new();
        for (index, text) in definition.hours.iter().enumerate() {
            match span(text) {
                Some(span) => hours.push(span),
                None => {
                    let message = format!("`{text}` is not daily hours such as 08:00-20:00 or 22:00-06:00");
                    wrong.push((format!("hours[{index}]"), message));
                }
            }
        }
        if let (Some(from), Some(until)) = (from, until)
            && until < from
        {
            wrong.push(("until".into(), "the last day is before the first".into()));
        }
        if wrong.is_empty() { Ok(Self { from, until, hours }) } else { Err(wrong) }
    }

    /// Whether a call at `now_us` (Unix time, microseconds) is let in.
    pub fn is_open(&self, now_us: i64) -> bool {
        let local = now_us.saturating_add(CHINA_US);
        let today = local.div_euclid(DAY_US);
        if self.from.is_some_and(|from| today < from) || self.until.is_some_and(|until| today > until) {
            return false;
        }
        let minute = local.rem_euclid(DAY_US) / MINUTE_US;
        let within = |&(start, end): &(i64, i64)| {
            if start < end { (start..end).contains(&minute) } else { minute >= start || minute < end }
        };
        self.hours.is_empty() || self.hours.iter().any(within)
    }
}

/// The day of the quota that `now_us` (Unix time, microseconds) falls in: days since 1970-01-01 at UTC+8.
pub fn quota_day(now_us: i64) -> i64 {
    now_us.saturating_add(CHINA_US).div_euclid(DAY_US)
}

fn day_number(text: &str) -> Option<i64> {
    let date = Date::parse(text, format_description!("[year]-[month]-[day]")).ok()?;
    Some(i64::from(date.to_julian_day()) - i64::from(time::UtcDateTime::UNIX_EPOCH.date().to_julian_day()))
}

fn span(text: &str) -> Option<(i64, i64)> {
    let (start, end) = text.split_once('-')?;
    let span = (minute(start)?, minute(end)?);
    (span.0 != span.1).then_some(span)
}

fn minute(text: &str) -> Option<i64> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |part: &str| {
        (part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit())).then(|| part.parse().ok())?
    };
    let (hour, minute): (i64, i64) = (digits(hour)?, digits(minute)?);
    let within = hour < 24 && minute < 60 || hour == 24 && minute == 0;
    within.then_some(hour * 60 + minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(from: Option<&str>, until: Option<&str>, hours: &[&str]) -> Window {
        let text = |text: Option<&str>| text.map(str::to_owned);
        let hours = hours.iter().map(|hours| (*hours).to_owned()).collect();
        Window::new(&WindowDefinition { from: text(from), until: text(until), hours }).expect("compiles")
    }

    /// Unix time of a moment in Shanghai.
    fn shanghai(day: &str, hour: i64, minute: i64) -> i64 {
        day_number(day).expect(day) * DAY_US + (hour * 60 + minute) * MINUTE_US - CHINA_US
    }

    #[test]
    fn the_epoch_is_day_zero_and_days_start_at_midnight_in_shanghai() {
        assert_eq!(day_number("1970-01-01"), Some(0));
        assert_eq!(quota_day(1_767_196_799_999_999), day_number("2025-12-31").expect("day"));
        assert_eq!(quota_day(1_767_196_800_000_000), day_number("2026-01-01").expect("day"));
    }

    #[test]
    fn first_and_last_day_are_let_in() {
        let window = window(Some("2026-01-10"), Some("2026-01-11"), &[]);
        let open = |day, hour, minute| window.is_open(shanghai(day, hour, minute));
        assert!(!open("2026-01-09", 23, 59));
        assert!(open("2026-01-10", 0, 0));
        assert!(open("2026-01-11", 23, 59));
        assert!(!open("2026-01-12", 0, 0));
    }

    #[test]
    fn hours_include_their_start_but_not_their_end_and_may_span_midnight() {
        let window = window(None, None, &["08:00-12:00", "22:00-06:00"]);
        let open = |hour, minute| window.is_open(shanghai("2026-01-10", hour, minute));
        let table =
            [(7, 59, false), (8, 0, true), (12, 0, false), (22, 0, true), (0, 0, true), (6, 0, false)];
        for (hour, minute, expected) in table {
            assert_eq!(open(hour, minute), expected, "{hour}:{minute}");
        }
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let definition = WindowDefinition {
            from: Some("2026-02-30".into()),
            until: Some("tomorrow".into()),
            hours: vec!["8-12".into(), "08:00-24:00".into(), "09:00-09:00".into()],
        };
        let wrong = Window::new(&definition).expect_err("four mistakes");
        let places: Vec<_> = wrong.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(places, ["from", "until", "hours[0]", "hours[2]"]);
    }
}
