//! The two time forms of X.509. For `certificate`.
use crate::format::der::{self, Element};

const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;

/// Unix seconds of a UTCTime (YYMMDDHHMMSSZ, 1950 to 2049) or GeneralizedTime (YYYYMMDDHHMMSSZ). RFC 5280 §4.1.2.5.
pub(crate) fn unix_seconds(element: &Element<'_>) -> Option<i64> {
    let digits = element.content.strip_suffix(b"Z")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let (year, rest) = match (element.tag, digits.len()) {
        (UTC_TIME, 12) => {
            let short = number(&digits[..2]);
            (if short < 50 { 2000 + short } else { 1900 + short }, &digits[2..])
        }
        (GENERALIZED_TIME, 14) => return seconds_of_digits(digits),
        _ => return None,
    };
    seconds_in(year, rest)
}

/// Unix seconds of YYYYMMDDHHMMSS.
pub(crate) fn seconds_of_digits(digits: &[u8]) -> Option<i64> {
    if digits.len() != 14 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    seconds_in(number(&digits[..4]), &digits[4..])
}

fn number(digits: &[u8]) -> i64 {
    digits.iter().fold(0i64, |sum, b| sum * 10 + i64::from(b - b'0'))
}

/// The rest is MMDDHHMMSS.
fn seconds_in(year: i64, rest: &[u8]) -> Option<i64> {
    let [month, day, hour, minute, second] = [0, 2, 4, 6, 8].map(|at| number(&rest[at..at + 2]));
    let fine =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 60;
    fine.then(|| ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second)
}

/// Days from 1970-01-01 in the Gregorian calendar, counting years from March so that the leap day comes last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let in_era = year.rem_euclid(400);
    let in_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719_468
}

/// YYYYMMDDHHMMSS of Unix seconds in the years 1950 to 9999; times outside become the nearest in it.
pub(crate) fn digits(seconds: i64) -> String {
    let seconds = seconds.clamp(-631_152_000, 253_402_300_799);
    let (day, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let in_era = shifted.rem_euclid(146_097);
    let year = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year + year / 4 - year / 100);
    let month = (5 * in_year + 2) / 153;
    let in_month = in_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}{month:02}{in_month:02}{hour:02}{minute:02}{second:02}")
}

/// A GeneralizedTime of Unix seconds.
pub(crate) fn generalized(seconds: i64) -> Vec<u8> {
    der::wrap(GENERALIZED_TIME, &[digits(seconds).as_bytes(), b"Z"])
}

/// The form X.509 wants: UTCTime before 2050, GeneralizedTime from then on.
pub(crate) fn write(seconds: i64) -> Vec<u8> {
    let text = digits(seconds);
    match text.as_str() < "2050" {
        true => der::wrap(UTC_TIME, &[&text.as_bytes()[2..], b"Z"]),
        false => generalized(seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tag: u8, text: &str) -> Option<i64> {
        unix_seconds(&Element { tag, content: text.as_bytes(), whole: &[] })
    }

    #[test]
    fn reads_both_forms_and_refuses_others() {
        assert_eq!(read(UTC_TIME, "700101000000Z"), Some(0));
        assert_eq!(read(UTC_TIME, "260101080000Z"), Some(1_767_254_400));
        assert_eq!(read(GENERALIZED_TIME, "20260101080000Z"), Some(1_767_254_400));
        assert_eq!(read(UTC_TIME, "491231235959Z"), Some(2_524_607_999));
        assert_eq!(read(GENERALIZED_TIME, "20500101000000Z"), Some(2_524_608_000));
        assert_eq!(read(GENERALIZED_TIME, "20000229000000Z"), Some(951_782_400));
        for bad in ["2601010800Z", "260101080000", "261301080000Z", "26010108000xZ", "260101240000Z"] {
            assert_eq!(read(UTC_TIME, bad), None, "{bad}");
        }
        assert_eq!(read(0x0c, "260101080000Z"), None);
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_reads_back(seconds in -631_152_000i64..253_402_300_799) {
            let written = write(seconds);
            let mut input = &written[..];
            let element = der::element(&mut input).unwrap();
            proptest::prop_assert_eq!(unix_seconds(&element), Some(seconds));
            let written = generalized(seconds);
            proptest::prop_assert_eq!(unix_seconds(&der::element(&mut &written[..]).unwrap()), Some(seconds));
        }
    }
}
