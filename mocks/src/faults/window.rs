//! Times of day at which a fault strikes, such as a maintenance window.

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;
/// Beijing time is eight hours ahead of UTC, all year.
const BEIJING: i64 = 8 * 3_600_000;

/// From a time of day until another, past midnight where that comes earlier; the end excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    from_ms: i64,
    to_ms: i64,
}

impl Window {
    /// Reads `22:00-06:00`. None for another form, or for two times that are the same.
    pub fn parse(text: &str) -> Option<Self> {
        let (from, to) = text.split_once('-')?;
        let window = Self { from_ms: time_of_day(from)?, to_ms: time_of_day(to)? };
        (window.from_ms != window.to_ms).then_some(window)
    }

    /// Whether that Unix time in milliseconds lies within.
    pub fn holds(&self, now_ms: i64) -> bool {
        let length = (self.to_ms - self.from_ms).rem_euclid(DAY);
        (now_ms + BEIJING - self.from_ms).rem_euclid(DAY) < length
    }

    /// Whole seconds until it ends next, at least 1.
    pub fn seconds_left(&self, now_ms: i64) -> u64 {
        let left = (self.to_ms - now_ms - BEIJING).rem_euclid(DAY);
        u64::try_from(left).unwrap_or(0).div_ceil(1000).max(1)
    }
}

fn time_of_day(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let part = |text: &str, most: i64| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<i64>().ok()).flatten().filter(|number| *number < most)
    };
    Some((part(hours, 24)? * 60 + part(minutes, 60)?) * 60_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A time of day in Beijing, on 2026-11-21.
    fn at(hours: i64, minutes: i64) -> i64 {
        1_795_190_400_000 + (hours * 60 + minutes) * 60_000
    }

    #[test]
    fn a_window_may_span_midnight_and_tells_when_it_ends() {
        assert_eq!(at(0, 0).rem_euclid(DAY), DAY - BEIJING);
        let night = Window::parse("22:00-06:00").expect("a window");
        assert!(night.holds(at(22, 0)) && night.holds(at(3, 0)) && night.holds(at(5, 59)));
        assert!(!night.holds(at(6, 0)) && !night.holds(at(21, 59)) && !night.holds(at(12, 0)));
        assert_eq!(night.seconds_left(at(5, 59)), 60);
        assert_eq!(night.seconds_left(at(22, 0)), 8 * 3600);
        let noon = Window::parse("12:00-12:30").expect("a window");
        assert!(noon.holds(at(12, 29)) && !noon.holds(at(12, 30)));
    }

    #[test]
    fn refuses_what_is_no_window() {
        for text in
            ["", "22:00", "22:00-", "24:00-06:00", "22:60-06:00", "2:00-06:00", "+2:00-06:00", "06:00-06:00"]
        {
            assert_eq!(Window::parse(text), None, "{text}");
        }
    }
}
