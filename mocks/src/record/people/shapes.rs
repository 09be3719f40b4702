//! Personal data found in texts: by the field's name, by check digits, by form.
use std::{ops::Range, sync::LazyLock};

use regex::Regex;
use time::{Date, Month};

use super::{Found, Hint, Kind, hint, made};
use crate::generate::luhn_check;

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern of this file, which every test compiles")
}

static EMAIL: LazyLock<Regex> =
    LazyLock::new(|| regex(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,4}"));
/// A JSON web token, a PEM block.
static TOKEN: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*|-----BEGIN [A-Z ]+-----[A-Za-z0-9+/=\s]+-----END [A-Z ]+-----",
    )
});
static BLOB: LazyLock<Regex> = LazyLock::new(|| regex(r"[A-Za-z0-9+/_-]{128,}={0,2}"));
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?:\p{Han}{2,8}(?:省|市|区|县|镇|乡)){0,4}\p{Han}{1,8}(?:路|街|道|弄|巷|村)\d{1,5}(?:弄|号|支弄)(?:\d{1,5}(?:号楼|号|弄|幢|栋|楼|单元|层|室|座|-)?){0,5}",
    )
});
/// Elements of XML within text, and pairs of forms.
static ELEMENT: LazyLock<Regex> =
    LazyLock::new(|| regex(r"<([\p{L}_][\p{L}\p{N}_.:-]*)(?:\s[^<>]*)?>([^<>]+)</"));
static PAIR: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?:^|[?&;\s])([\p{L}_][\p{L}\p{N}_.-]*)=([^&;\s<>]+)"));
static MASKED: LazyLock<Regex> =
    LazyLock::new(|| regex(r"[0-9]{2,8}\*{3,}[0-9]{1,6}[Xx]?|\*{3,}[0-9]{3,6}[Xx]?"));

/// What is personal in a text of a field.
pub fn find(under: Option<Hint>, text: &str) -> Vec<Found> {
    if let Some(found) = under.and_then(|hint| of_field(hint, text)) {
        return vec![found];
    }
    let mut all = Vec::new();
    if text.contains('<') {
        inside(&ELEMENT, text, &mut all);
    }
    if text.contains('=') {
        inside(&PAIR, text, &mut all);
    }
    let mut each = |regex: &Regex, kind, anywhere| {
        all.extend(regex.find_iter(text).map(|found| Found { range: found.range(), kind, anywhere }));
    };
    each(&TOKEN, Kind::Secret, true);
    each(&EMAIL, Kind::Email, true);
    each(&ADDRESS, Kind::Address, true);
    each(&BLOB, Kind::Picture, false);
    numbers(text, &mut all);
    all
}

fn inside(regex: &Regex, text: &str, all: &mut Vec<Found>) {
    for captures in regex.captures_iter(text) {
        let (Some(name), Some(value)) = (captures.get(1), captures.get(2)) else { continue };
        if let Some(found) = hint(name.as_str()).and_then(|hint| of_field(hint, value.as_str())) {
            let start = value.start();
            all.push(Found { range: start + found.range.start..start + found.range.end, ..found });
        }
    }
}

/// What a field's whole value is.
fn of_field(hint: Hint, text: &str) -> Option<Found> {
    let start = text.len() - text.trim_start().len();
    let value = text.trim();
    if value.is_empty() || value.contains('*') && hint != Hint::Secret {
        return None;
    }
    let of = |kind, anywhere| Some(Found { range: start..start + value.len(), kind, anywhere });
    // What stands within the value is found by its form as well.
    let within = || {
        let mut all = Vec::new();
        numbers(value, &mut all);
        all.into_iter().next()
    };
    let is_number = |least| {
        let letters = value.chars().filter(char::is_ascii_alphanumeric).count();
        letters >= least && value.is_ascii() && value.contains(|c: char| c.is_ascii_digit())
    };
    match hint {
        Hint::Identity | Hint::Phone | Hint::Card | Hint::Number => match within() {
            Some(found) if found.range == (0..value.len()) => of(found.kind, true),
            Some(_) => None,
            None if hint == Hint::Card && value.len() >= 12 && value.bytes().all(|b| b.is_ascii_digit()) => {
                of(Kind::Card, true)
            }
            None => is_number(6).then(|| of(Kind::Number, value.len() >= 8)).flatten(),
        },
        Hint::Name => name(value).and_then(|sure| of(Kind::Name, sure)),
        Hint::MaybeName => maybe_name(value).and_then(|sure| of(Kind::Name, sure)),
        Hint::Address => {
            (value.chars().count() >= 6 && !value.is_ascii()).then(|| of(Kind::Address, true)).flatten()
        }
        Hint::Email => None,
        Hint::Birth => made::date_of(value).and_then(|_| of(Kind::Birth, false)),
        Hint::Secret => {
            // A short nonce may be part of anything.
            let telling = value.len() >= 12 && !value.bytes().all(|b| b.is_ascii_digit());
            of(Kind::Secret, telling)
        }
        Hint::Picture => (value.len() >= 32 && value.is_ascii()).then(|| of(Kind::Picture, false)).flatten(),
    }
}

fn is_han(c: char) -> bool {
    // With the extensions, the compatibility forms and the private characters that stand for rare ones.
    matches!(u32::from(c), 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xE000..=0xF8FF | 0xF900..=0xFAFF | 0x2_0000..=0x3_23AF)
}

/// Whether a text can be a person's name; and whether so surely that it is replaced in other texts too.
fn name(value: &str) -> Option<bool> {
    let count = value.chars().count();
    if value.chars().all(is_han) {
        return (2..=20).contains(&count).then(|| count <= 4 && made::surname(value).is_some());
    }
    if value.contains(['·', '•', '・', '．']) && value.chars().all(|c| is_han(c) || "·•・．".contains(c))
    {
        return Some(count >= 4);
    }
    let latin = |c: char| c.is_alphabetic() && !is_han(c) || " .'-,".contains(c);
    (count >= 2 && value.chars().all(latin)).then(|| count >= 6 && value.contains(' '))
}

/// The same where the field may be a thing's.
fn maybe_name(value: &str) -> Option<bool> {
    const THINGS: &str = "市区县省局卡费金贴补证表单所部处科室厅院校店司会社心务请询业类型";
    let count = value.chars().count();
    if value.chars().all(is_han) {
        let surname = made::surname(value);
        let known = surname.is_some_and(|surname| count == 2 || count == 3 || surname.chars().count() == 2);
        let thing = value.chars().last().is_some_and(|last| THINGS.contains(last));
        return ((2..=4).contains(&count) && (known || !thing)).then_some(known);
    }
    let words: Vec<&str> = value.split(' ').collect();
    let capital = |word: &&str| word.starts_with(|c: char| c.is_ascii_uppercase());
    if value.is_ascii() && !(words.len() >= 2 && words.iter().all(capital)) {
        return None;
    }
    name(value)
}

/// Numbers by their length and check digits.
fn numbers(text: &str, all: &mut Vec<Found>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let mut end = at + bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let x = matches!(bytes.get(end), Some(b'X' | b'x'));
        if end - at == 17 && x && !bytes.get(end + 1).is_some_and(u8::is_ascii_alphanumeric) {
            end += 1;
        }
        let letters = at >= 3 && bytes[at - 3..at].iter().all(u8::is_ascii_uppercase);
        if letters
            && end - at == 12
            && (at == 3 || !bytes[at - 4].is_ascii_alphanumeric())
            && made::date6(&text[at..at + 6])
        {
            // The permanent residence card before 2023.
            all.push(Found { range: at - 3..end, kind: Kind::Identity, anywhere: true });
        } else if let Some((skip, kind)) = number(&text[at..end]) {
            all.push(Found { range: at + skip..end, kind, anywhere: true });
        }
        at = end;
    }
}

/// What a run of digits is, and how many of them stand before it.
fn number(digits: &str) -> Option<(usize, Kind)> {
    let mobile = |text: &str| {
        let bytes = text.as_bytes();
        bytes.len() == 11 && bytes[0] == b'1' && bytes[1] >= b'3'
    };
    match digits.len() {
        11 if mobile(digits) => Some((0, Kind::Phone)),
        13 if digits.starts_with("86") && mobile(&digits[2..]) => Some((2, Kind::Phone)),
        15 if is_province(digits) && made::date6(&digits[6..12]) => Some((0, Kind::Identity)),
        18 if is_identity(digits) => Some((0, Kind::Identity)),
        16..=19 if is_card(digits) => Some((0, Kind::Card)),
        _ => None,
    }
}

/// GB/T 2260: the first two digits of a place.
fn is_province(digits: &str) -> bool {
    matches!(
        &digits[..2],
        "11" | "12"
            | "13"
            | "14"
            | "15"
            | "21"
            | "22"
            | "23"
            | "31"
            | "32"
            | "33"
            | "34"
            | "35"
            | "36"
            | "37"
            | "41"
            | "42"
            | "43"
            | "44"
            | "45"
            | "46"
            | "50"
            | "51"
            | "52"
            | "53"
            | "54"
            | "61"
            | "62"
            | "63"
            | "64"
            | "65"
            | "71"
            | "81"
            | "82"
            | "83"
            | "91"
            | "92"
            | "93"
            | "94"
            | "95"
            | "96"
            | "97"
            | "98"
    ) || digits.starts_with('9')
}

/// Place and date of birth are possible; the check character may be wrong, as in a test's.
fn is_identity(text: &str) -> bool {
    let date = || {
        let number = |range: Range<usize>| text.get(range)?.parse::<u16>().ok();
        let (year, month, day) = (number(6..10)?, number(10..12)?, number(12..14)?);
        let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
        Date::from_calendar_date(i32::from(year), month, u8::try_from(day).ok()?)
            .ok()
            .filter(|_| (1850..2100).contains(&year))
    };
    is_province(text) && date().is_some()
}

/// Cards of payment networks begin with 3 to 6, some Chinese ones with 9; UnionPay's with 62.
fn is_card(digits: &str) -> bool {
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return false;
    }
    let (body, check) = digits.split_at(digits.len() - 1);
    let holds = check.starts_with(luhn_check(body));
    holds && matches!(digits.as_bytes()[0], b'3'..=b'6' | b'9')
        || digits.starts_with("62") && matches!(digits.len(), 16 | 19)
}

/// Parts that somebody else has masked already: what they show still belongs to a person.
pub fn masked(under: Option<Hint>, text: &str) -> Vec<Range<usize>> {
    if !text.contains('*') {
        return Vec::new();
    }
    let is_name = matches!(under, Some(Hint::Name | Hint::MaybeName)) && text.contains(is_han);
    if is_name && text.chars().all(|c| is_han(c) || c == '*') {
        let whole = 0..text.len();
        return std::iter::once(whole).collect();
    }
    MASKED.find_iter(text).map(|found| found.range()).collect()
}
