//! Synthetic people for templates: identifiers valid by their rule, names, phones, cards, addresses. Nobody real is meant.
use crate::entropy::Entropy;

/// GB/T 2260 codes of Shanghai's districts, with their names.
pub const DISTRICTS: [(&str, &str); 16] = [
    ("310101", "黄浦区"),
    ("310104", "徐汇区"),
    ("310105", "长宁区"),
    ("310106", "静安区"),
    ("310107", "普陀区"),
    ("310109", "虹口区"),
    ("310110", "杨浦区"),
    ("310112", "闵行区"),
    ("310113", "宝山区"),
    ("310114", "嘉定区"),
    ("310115", "浦东新区"),
    ("310116", "金山区"),
    ("310117", "松江区"),
    ("310118", "青浦区"),
    ("310120", "奉贤区"),
    ("310151", "崇明区"),
];
/// Surnames, the last ones rare or compound, so that names exercise charsets.
const SURNAMES: [&str; 16] =
    ["王", "李", "张", "刘", "陈", "杨", "赵", "黄", "周", "吴", "徐", "孙", "欧阳", "司马", "仝", "𬱖"];
const GIVEN: [&str; 20] = [
    "伟", "芳", "娜", "敏", "静", "丽", "强", "磊", "军", "洋", "勇", "艳", "杰", "娟", "涛", "明", "超",
    "秀英", "䶮", "㛃",
];
const ROADS: [&str; 10] =
    ["中山路", "人民路", "延安路", "世纪大道", "淮海路", "江苏路", "四平路", "虹桥路", "漕溪路", "南京路"];

/// A resident identity number by GB 11643: district, birth date 1940–2005, order, check character.
pub fn id_number(entropy: &Entropy) -> String {
    let (district, _) = DISTRICTS[entropy.index(DISTRICTS.len())];
    let year = entropy.between(1940, 2005);
    let month = entropy.between(1, 12);
    let day = entropy.between(1, 28);
    let order = entropy.between(1, 999);
    let body = format!("{district}{year:04}{month:02}{day:02}{order:03}");
    let check = id_check(&body);
    format!("{body}{check}")
}

/// The check character of GB 11643 (MOD 11-2) for the first 17 digits.
pub fn id_check(body: &str) -> char {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 =
        body.bytes().zip(WEIGHTS).map(|(digit, weight)| u32::from(digit.wrapping_sub(b'0')) * weight).sum();
    char::from(b"10X98765432"[(sum % 11) as usize])
}

/// A Chinese name; some hold characters outside the older charsets.
pub fn name(entropy: &Entropy) -> String {
    let surname = SURNAMES[entropy.index(SURNAMES.len())];
    let given = GIVEN[entropy.index(GIVEN.len())];
    format!("{surname}{given}")
}

/// A mobile number of eleven digits in the range 199.
pub fn phone(entropy: &Entropy) -> String {
    format!("199{:08}", entropy.between(0, 99_999_999))
}

/// A bank card number of nineteen digits with its Luhn digit; the issuer 629999 is not assigned.
pub fn card_number(entropy: &Entropy) -> String {
    let body = format!("629999{:012}", entropy.between(0, 999_999_999_999));
    let check = luhn_check(&body);
    format!("{body}{check}")
}

/// The Luhn check digit (ISO/IEC 7812-1 annex B) of the digits before it.
pub fn luhn_check(body: &str) -> char {
    let sum: u32 = body
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit.wrapping_sub(b'0'));
            if place % 2 == 0 { digit * 2 / 10 + digit * 2 % 10 } else { digit }
        })
        .sum();
    char::from(b"0987654321"[(sum % 10) as usize])
}

/// An address in Shanghai.
pub fn address(entropy: &Entropy) -> String {
    let (_, district) = DISTRICTS[entropy.index(DISTRICTS.len())];
    let road = ROADS[entropy.index(ROADS.len())];
    format!(
        "上海市{district}{road}{}弄{}号{}室",
        entropy.between(1, 999),
        entropy.between(1, 99),
        entropy.between(101, 2404)
    )
}

/// A version 4 UUID made of drawn bits.
pub fn uuid(entropy: &Entropy) -> String {
    let (high, low) = (entropy.draw(), entropy.draw());
    let (a, b, c) = (high >> 32, (high >> 16) & 0xFFFF, high & 0x0FFF);
    let (d, e) = ((low >> 48) & 0x3FFF | 0x8000, low & 0xFFFF_FFFF_FFFF);
    format!("{a:08x}-{b:04x}-4{c:03x}-{d:04x}-{e:012x}")
}

/// `prefix` and `digits` drawn digits; at most 18 digits.
pub fn serial(entropy: &Entropy, prefix: &str, digits: u32) -> String {
    let digits = digits.clamp(1, 18);
    let number = entropy.draw() % 10_u64.pow(digits);
    format!("{prefix}{number:0width$}", width = digits as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn check_characters_agree_with_published_numbers() {
        assert_eq!(id_check("11010519491231002"), 'X');
        assert_eq!(id_check("31010119900307451"), '1');
        assert_eq!(luhn_check("7992739871"), '3');
        assert_eq!(luhn_check("622848000000000001"), '8');
    }

    /// MOD 11-2 seen from the verifying side: the weighted sum over all 18 characters is 1 modulo 11.
    fn id_is_valid(id: &str) -> bool {
        let value = |c: char| if c == 'X' { 10 } else { c.to_digit(10).unwrap_or(99) };
        let sum: u32 = id.chars().enumerate().map(|(i, c)| value(c) * (2_u32.pow(17 - i as u32) % 11)).sum();
        id.len() == 18 && sum % 11 == 1
    }

    fn luhn_is_valid(card: &str) -> bool {
        let sum: u32 = card
            .bytes()
            .rev()
            .enumerate()
            .map(|(i, b)| {
                let digit = u32::from(b - b'0') * if i % 2 == 1 { 2 } else { 1 };
                if digit > 9 { digit - 9 } else { digit }
            })
            .sum();
        sum.is_multiple_of(10)
    }

    proptest! {
        #[test]
        fn generated_people_are_valid_by_rule(seed: u64, count: u64) {
            let entropy = Entropy::of(seed, &[b"p"], count);
            let id = id_number(&entropy);
            prop_assert!(id_is_valid(&id), "{}", id);
            let card = card_number(&entropy);
            prop_assert!(card.len() == 19 && luhn_is_valid(&card), "{}", card);
            prop_assert_eq!(phone(&entropy).len(), 11);
            prop_assert!(uuid::Uuid::parse_str(&super::uuid(&entropy)).is_ok_and(|u| u.get_version_num() == 4 && u.get_variant() == uuid::Variant::RFC4122));
            prop_assert!(address(&entropy).starts_with("上海市"));
            prop_assert!((2..=4).contains(&name(&entropy).chars().count()));
        }

        #[test]
        fn serials_have_their_width(seed: u64, digits in 1_u32..=18) {
            let serial = serial(&Entropy::of(seed, &[], 0), "EMS", digits);
            prop_assert_eq!(serial.len(), 3 + digits as usize);
        }
    }
}
