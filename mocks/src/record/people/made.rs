//! Pseudonyms as they are made: of the original's form, valid where it is valid, by draws of its own.
use std::collections::BTreeMap;

use time::{Date, Duration, Month};

use super::Kind;
use crate::{
    entropy::Entropy,
    generate::{id_check, luhn_check},
};

/// Surnames that begin a Chinese name.
const SURNAMES: &str = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段漕钱汤尹黎易常武乔贺赖龚文庞樊兰殷施陶洪翟安颜倪严牛温芦季俞章鲁葛伍韦申尤毕聂丛焦向柳邢路岳齐梅莫庄辛管祝左涂谷祁时舒耿牟卜詹关苗凌费纪靳盛童欧甄项曲成游阳裴席卫查屈鲍位覃霍翁隋植甘景薄单包司柏宁柯阮桂闵解强柴华车冉房边辜吉饶刁瞿戚丘古米池滕晋苑邬臧畅宫来嵺苟全褚廉简娄盖符奚木穆党燕郎邸冀谈姬屠连郜晏栾郁商蒙计喻揭窦迟宇敖糜鄢冷卓花仇艾蓝都巩稽井练仲乐虞卞封竺冼原官衣楚佟栗匡宗应台巫鞠僧桑荆谌银扬明沙薄伏岑习胥保和蔺仝𬱖";
const COMPOUND: [&str; 14] = [
    "欧阳", "司马", "上官", "诸葛", "东方", "皇甫", "尉迟", "公孙", "慕容", "令狐", "夏侯", "司徒", "端木",
    "长孙",
];
/// Surnames that pseudonyms have.
const DRAWN: &str = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯董程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆";
const GIVEN: &str = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华文辉建国玉兰红梅春燕小晨浩宇欣怡梓涵俊峰雪晴志远思雨嘉博宁安乐康雅琪佳慧天翔海波志鹏晓东立新";
const RARE: &str = "𬱖䶮㛃𠮷𫖯𬭎";
const SYLLABLES: [&str; 24] = [
    "an", "bo", "chen", "dan", "fei", "gang", "hao", "jia", "kai", "lan", "min", "nan", "ping", "qi", "rui",
    "shan", "tao", "wei", "xin", "yan", "yu", "zhen", "zhou", "zi",
];
const ROADS: [&str; 12] = [
    "中山路",
    "人民路",
    "延安路",
    "世纪大道",
    "淮海路",
    "江苏路",
    "四平路",
    "虹桥路",
    "漕溪路",
    "南京路",
    "平凉路",
    "衡山路",
];
/// A bitmap of one grey square.
const PICTURE: &str =
    "Qk1GAAAAAAAAADYAAAAoAAAAAgAAAAIAAAABABgAAAAAABAAAAATCwAAEwsAAAAAAAAAAAAAgICAgICAAACAgICAgIAAAA==";
/// Characters of a blob that are kept at most.
const BLOB: usize = 512;
/// A date of birth moves back by up to four years: the age band stays, and nobody is born in the future.
const DAYS: i64 = 4 * 365;

/// The surname that a name begins with.
pub fn surname(name: &str) -> Option<&str> {
    if let Some(compound) = COMPOUND.iter().find(|known| name.starts_with(**known)) {
        return Some(compound);
    }
    let first = name.chars().next().filter(|first| SURNAMES.contains(*first))?;
    Some(&name[..first.len_utf8()])
}

/// A pseudonym.
pub fn of(kind: Kind, original: &str, draws: &Entropy) -> String {
    match kind {
        Kind::Identity => identity(original, draws),
        Kind::Phone => kept(original, 3, draws),
        Kind::Card => card(original, draws),
        Kind::Number => kept(original, 0, draws),
        Kind::Name => name(original, draws),
        Kind::Address => address(original, draws),
        Kind::Email => format!("{}@example.com", kept(original.split('@').next().unwrap_or("a1"), 0, draws)),
        Kind::Birth => birth_moved(original, draws),
        Kind::Secret if original.len() < 4 => "***".into(),
        Kind::Secret => kept(original, 0, draws),
        Kind::Picture => picture(original, draws),
    }
}

/// Another digit for each digit, another letter of its case for each letter, behind `head` characters that stay.
fn kept(original: &str, head: usize, draws: &Entropy) -> String {
    let hex = original.len() >= 8 && original.bytes().all(|b| b.is_ascii_hexdigit());
    let letters = if hex { 6 } else { 26 };
    let drawn = |(place, c): (usize, char)| match c {
        c if place < head => c,
        '1'..='9' if place == 0 => *pick(&['1', '2', '3', '4', '5', '6', '7', '8', '9'], draws),
        '0'..='9' => char::from(b'0' + u8::try_from(draws.index(10)).unwrap_or(0)),
        'a'..='z' => char::from(b'a' + u8::try_from(draws.index(letters)).unwrap_or(0)),
        'A'..='Z' => char::from(b'A' + u8::try_from(draws.index(letters)).unwrap_or(0)),
        c if is_masked_name(c) => nth(GIVEN, draws),
        other => other,
    };
    original.chars().enumerate().map(drawn).collect()
}

/// Han characters in what is replaced character by character, which are what a mask shows of a name.
fn is_masked_name(c: char) -> bool {
    u32::from(c) >= 0x3400 && c.is_alphabetic()
}

fn pick<'l, T>(list: &'l [T], draws: &Entropy) -> &'l T {
    &list[draws.index(list.len())]
}

fn nth(text: &str, draws: &Entropy) -> char {
    text.chars().nth(draws.index(text.chars().count())).unwrap_or('明')
}

/// The place stays, the date moves back, the order is drawn with its parity, the check character is as right as it was.
fn identity(original: &str, draws: &Entropy) -> String {
    if original.len() == 15 {
        if original.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return kept(original, 3, draws);
        }
        let born = date(&format!("19{}", &original[6..12])).map(|born| back(born, draws));
        let born = born.map_or_else(|| original[6..12].to_owned(), |born| digits(born)[2..].to_owned());
        return format!("{}{born}{}", &original[..6], order(&original[12..15], draws));
    }
    let born = date(&original[6..14]).map(|born| digits(back(born, draws)));
    let born = born.unwrap_or_else(|| original[6..14].to_owned());
    let body = format!("{}{born}{}", &original[..6], order(&original[14..17], draws));
    let is_valid = original[17..].eq_ignore_ascii_case(&id_check(&original[..17]).to_string());
    let check = id_check(&body);
    let check = match (is_valid, check) {
        (true, 'X') if original.ends_with('x') => 'x',
        (true, check) => check,
        (false, '1') => '2',
        (false, _) => '1',
    };
    format!("{body}{check}")
}

/// Three digits of the same parity: the last says whether male or female.
fn order(original: &str, draws: &Entropy) -> String {
    let odd = original.bytes().last().is_some_and(|last| last % 2 == 1);
    let half = draws.between(0, 499);
    format!("{:03}", half * 2 + i64::from(odd))
}

fn card(original: &str, draws: &Entropy) -> String {
    let (body, check) = original.split_at(original.len() - 1);
    let is_valid = check.starts_with(luhn_check(body));
    let body = kept(body, 6.min(body.len().saturating_sub(6)), draws);
    let right = luhn_check(&body);
    let check = if is_valid {
        right
    } else if right == '9' {
        '0'
    } else {
        '9'
    };
    format!("{body}{check}")
}

/// As many characters; one beyond the basic plane stays one, so that charsets are still tried.
fn name(original: &str, draws: &Entropy) -> String {
    let count = original.chars().count();
    if original.chars().any(|c| c.is_ascii_alphabetic())
        || original.chars().all(|c| u32::from(c) < 0x3000 && c != '·')
    {
        let words = original.split(' ').map(|word| latin(word, draws));
        return words.collect::<Vec<_>>().join(" ");
    }
    let compound =
        COMPOUND.iter().any(|known| original.starts_with(known)) || count == 4 && !original.contains('·');
    let mut made = String::new();
    if compound && count > 2 {
        made.push_str(pick::<&str>(&COMPOUND, draws));
    }
    for c in original.chars().skip(made.chars().count()) {
        made.push(match c {
            '·' | '•' | '・' | '．' => c,
            rare if u32::from(rare) > 0xFFFF
                || matches!(u32::from(rare), 0x3400..=0x4DBF | 0xE000..=0xF8FF) =>
            {
                nth(RARE, draws)
            }
            _ if made.is_empty() => nth(DRAWN, draws),
            _ => nth(GIVEN, draws),
        });
    }
    made
}

fn latin(word: &str, draws: &Entropy) -> String {
    let mut made = String::new();
    while made.len() < word.len().max(2) {
        made.push_str(pick::<&str>(&SYLLABLES, draws));
    }
    if word.chars().all(|c| !c.is_lowercase()) {
        return made.to_uppercase();
    }
    if word.starts_with(char::is_uppercase) { made[..1].to_uppercase() + &made[1..] } else { made }
}

/// City and district stay; road and numbers are drawn, the units between them stay.
fn address(original: &str, draws: &Entropy) -> String {
    const PLACES: [char; 5] = ['省', '市', '区', '县', '镇'];
    const UNITS: &str = "弄号楼室幢栋单元层座支";
    let road = original.find(['路', '街', '道', '弄', '巷']).unwrap_or(original.len());
    let head = original[..road]
        .rfind(PLACES)
        .map_or(0, |at| at + original[at..].chars().next().map_or(0, char::len_utf8));
    let mut made = format!("{}{}", &original[..head], pick::<&str>(&ROADS, draws));
    let mut behind_digits = false;
    for c in original[head..].chars() {
        if c.is_ascii_digit() {
            let least = i64::from(!behind_digits);
            made.push_str(&draws.between(least, 9).to_string());
            behind_digits = true;
        } else {
            if UNITS.contains(c) && made.ends_with(|last: char| last.is_ascii_digit() || UNITS.contains(last))
            {
                made.push(c);
            }
            behind_digits = false;
        }
    }
    if made.ends_with(|last: char| last.is_ascii_digit() || UNITS.contains(last)) {
        made
    } else {
        format!("{made}{}号", draws.between(1, 999))
    }
}

fn picture(original: &str, draws: &Entropy) -> String {
    let known = ["/9j/", "iVBOR", "Qk0", "Qk1", "R0lGOD"].iter().any(|magic| original.starts_with(magic));
    if known {
        return PICTURE.into();
    }
    let cut: String = original.chars().take(BLOB).collect();
    kept(&cut, 0, draws)
}

fn date(digits: &str) -> Option<Date> {
    let part = |from: usize, to: usize| digits.get(from..to)?.parse::<u16>().ok();
    let month = Month::try_from(u8::try_from(part(4, 6)?).ok()?).ok()?;
    Date::from_calendar_date(i32::from(part(0, 4)?), month, u8::try_from(part(6, 8)?).ok()?).ok()
}

fn digits(date: Date) -> String {
    format!("{:04}{:02}{:02}", date.year(), u8::from(date.month()), date.day())
}

fn back(date: Date, draws: &Entropy) -> Date {
    date.checked_sub(Duration::days(draws.between(1, DAYS))).unwrap_or(date)
}

/// Whether six digits are a date yyMMdd of the twentieth century.
pub fn date6(digits: &str) -> bool {
    date(&format!("19{digits}")).is_some()
}

/// The date in an identity number of 18 characters.
pub fn birth(identity: &str) -> Option<&str> {
    identity.get(6..14).filter(|_| identity.len() == 18)
}

/// The date, yyyyMMdd, that a text begins with, whatever stands between its digits.
pub fn date_of(text: &str) -> Option<String> {
    let found: String = text.chars().filter(char::is_ascii_digit).take(8).collect();
    let fits = text.chars().count() <= 24 && text.starts_with(|c: char| c.is_ascii_digit());
    (fits && date(&found).is_some()).then_some(found)
}

/// The text with another date in its first eight digits.
fn with_date(text: &str, date: &str) -> String {
    let mut digits = date.chars();
    text.chars().map(|c| if c.is_ascii_digit() { digits.next().unwrap_or(c) } else { c }).collect()
}

fn birth_moved(original: &str, draws: &Entropy) -> String {
    let found = date_of(original).and_then(|found| date(&found));
    found.map_or_else(|| original.to_owned(), |found| with_date(original, &digits(back(found, draws))))
}

/// A date of birth that is that of an identity number of the same exchange moves with it.
pub fn moved_birth(original: &str, births: &BTreeMap<String, String>) -> Option<String> {
    births.get(&date_of(original)?).map(|to| with_date(original, to))
}
