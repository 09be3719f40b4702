//! The MMDDHHMMSS times inside CMPP logins and message ids, SMGP logins and message ids, and SGIP sequences.

/// A month, day and time without a year, in the carrier's local time (UTC+8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
}

impl Stamp {
    /// Month 1–12, day 1–31, hour 0–23, minute 0–59, second 0–60; `None` outside. The day is not checked against the
    /// month: the year is not known.
    pub fn new(month: u8, day: u8, hour: u8, minute: u8, second: u8) -> Option<Stamp> {
        let fits =
            (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
        fits.then_some(Stamp { month, day, hour, minute, second })
    }

    /// Reads the decimal number MMDDHHMMSS; `None` when it is no such time.
    pub fn from_digits(digits: u32) -> Option<Stamp> {
        let two = |divisor: u32| u8::try_from(digits / divisor % 100).ok();
        let month = u8::try_from(digits / 100_000_000).ok()?;
        Stamp::new(month, two(1_000_000)?, two(10_000)?, two(100)?, two(1)?)
    }

    /// The decimal number MMDDHHMMSS.
    pub fn digits(self) -> u32 {
        let pairs = [self.month, self.day, self.hour, self.minute, self.second];
        pairs.iter().fold(0, |number, pair| number * 100 + u32::from(*pair))
    }

    /// Month, day, hour, minute, second.
    pub fn parts(self) -> [u8; 5] {
        [self.month, self.day, self.hour, self.minute, self.second]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn writes_the_time_of_the_sgip_document() {
        let stamp = Stamp::new(11, 20, 20, 32, 25).expect("a time");
        assert_eq!(stamp.digits(), 1_120_203_225);
        assert_eq!(Stamp::from_digits(1_120_203_225), Some(stamp));
    }

    #[test]
    fn refuses_what_is_no_time() {
        for digits in [0, 1_301_000_000, 100_000_000, 132_000_000, 101_240_000, 101_006_000, u32::MAX] {
            assert_eq!(Stamp::from_digits(digits), None, "{digits}");
        }
    }

    proptest! {
        #[test]
        fn any_number_is_a_time_and_back_or_none(digits: u32) {
            if let Some(stamp) = Stamp::from_digits(digits) {
                prop_assert_eq!(stamp.digits(), digits);
            }
        }
    }
}
