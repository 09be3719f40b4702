//! The rows of the city's people: names, numbers, statuses and dates that fit their identity numbers and one another.
use serde_json::{Value, json};

use super::{
    City,
    people::{Kind, Person},
};
use crate::{
    entropy::{Entropy, Fnv},
    generate::{DISTRICTS, luhn_check},
};

type Cells = Vec<(&'static str, Value)>;

const SURNAMES: [&str; 48] = [
    "王", "李", "张", "刘", "陈", "杨", "赵", "黄", "周", "吴", "徐", "孙", "胡", "朱", "高", "林", "何",
    "郭", "马", "罗", "梁", "宋", "郑", "谢", "韩", "唐", "冯", "于", "董", "萧", "程", "曹", "袁", "邓",
    "许", "傅", "沈", "曾", "彭", "吕", "苏", "卢", "蒋", "蔡", "贾", "丁", "魏", "薛",
];
/// Compound and rare surnames, some outside the older charsets.
const RARE_SURNAMES: [&str; 8] = ["欧阳", "司马", "上官", "诸葛", "仝", "亓", "𬱖", "𠮷"];
const GIVEN: [&str; 40] = [
    "伟", "芳", "娜", "敏", "静", "丽", "强", "磊", "军", "洋", "勇", "艳", "杰", "娟", "涛", "明", "超",
    "霞", "平", "刚", "桂", "英", "华", "玉", "建", "国", "文", "晓", "志", "海", "秀", "兰", "红", "春",
    "梅", "云", "龙", "鑫", "宇", "浩",
];
/// Characters that older charsets, or older fonts, do not have.
const RARE_GIVEN: [&str; 8] = ["䶮", "㛃", "𤋮", "𰻞", "喆", "堃", "燚", "玥"];
/// Names with a middle dot (间隔号).
const DOTTED: [&str; 4] = ["阿依古丽·买买提", "欧阳娜·古丽", "扎西·多吉", "麦尔丹·艾力"];
const LATIN: [&str; 6] =
    ["SMITH, JOHN", "GARCIA, MARIA", "TANAKA, YUI", "KIM, MINJUN", "BROWN, EMMA", "MUELLER, ANNA"];
const TRANSLITERATED: [&str; 6] =
    ["约翰·史密斯", "玛丽亚·加西亚", "田中结衣", "金民俊", "艾玛·布朗", "安娜·穆勒"];
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
    "莘松路",
    "沪太路",
];
const UNITS: [&str; 6] = [
    "上海示例科技有限公司",
    "上海示例餐饮有限公司",
    "上海示例商贸有限公司",
    "上海示例物流有限公司",
    "上海示例建设有限公司",
    "上海示例教育中心",
];
/// Banks as the card system numbers them.
const BANKS: [&str; 6] = ["10200", "10300", "10400", "10500", "30100", "31000"];

fn draws(seed: u64, what: &'static str, number: u32) -> Entropy {
    Entropy::of(seed, &[b"city", what.as_bytes()], u64::from(number))
}

/// A number of that many digits that no other person has: a step through all of them that meets each once.
fn unique(seed: u64, what: &str, number: u32, digits: u32) -> u64 {
    // Coprime to every power of ten.
    const STEP: u128 = 7_368_787;
    let modulus = 10_u128.pow(digits);
    let start = u128::from(Fnv::hash(format!("{seed} {what}").as_bytes())) % modulus;
    u64::try_from((start + u128::from(number) * STEP) % modulus).unwrap_or(0)
}

pub fn phone(seed: u64, number: u32) -> String {
    format!("199{:08}", unique(seed, "phone", number, 8))
}

pub fn card_no(seed: u64, number: u32) -> String {
    format!("A{:08}", unique(seed, "card", number, 8))
}

pub fn senior_no(seed: u64, number: u32) -> String {
    format!("S{:09}", unique(seed, "senior", number, 9))
}

pub fn permit_no(seed: u64, number: u32) -> String {
    format!("RP{:012}", unique(seed, "permit", number, 12))
}

/// Nineteen digits with the Luhn digit; the issuer 629999 is not assigned.
pub fn account(seed: u64, number: u32) -> String {
    let body = format!("629999{:012}", unique(seed, "account", number, 12));
    let check = luhn_check(&body);
    format!("{body}{check}")
}

fn house_district(seed: u64, house: u32) -> (&'static str, &'static str) {
    DISTRICTS[draws(seed, "house", house).index(DISTRICTS.len())]
}

pub fn house_code(seed: u64, house: u32) -> String {
    format!("H{}{:06}", house_district(seed, house).0, house + 1)
}

pub fn address(seed: u64, house: u32) -> String {
    let entropy = draws(seed, "address", house);
    let road = ROADS[entropy.index(ROADS.len())];
    let (lane, building) = (entropy.between(1, 1999), entropy.between(1, 99));
    let (floor, room) = (entropy.between(1, 28), entropy.between(1, 6));
    format!("上海市{}{road}{lane}弄{building}号{floor}{room:02}室", house_district(seed, house).1)
}

/// The name in Chinese and, for permanent residents, in Latin letters.
fn name(city: &City, number: u32, person: &Person) -> (String, Option<&'static str>) {
    let entropy = draws(city.seed, "name", number);
    if person.kind == Kind::Fpr {
        let place = entropy.index(LATIN.len());
        return (TRANSLITERATED[place].to_owned(), Some(LATIN[place]));
    }
    match entropy.between(0, 99) {
        0 => (DOTTED[entropy.index(DOTTED.len())].to_owned(), None),
        1..=3 => (RARE_SURNAMES[entropy.index(RARE_SURNAMES.len())].to_owned() + given(&entropy), None),
        4..=6 => {
            let surname = SURNAMES[entropy.index(SURNAMES.len())];
            (surname.to_owned() + RARE_GIVEN[entropy.index(RARE_GIVEN.len())], None)
        }
        _ => {
            let surname = SURNAMES[entropy.index(SURNAMES.len())];
            let second = if entropy.between(0, 1) == 1 { given(&entropy) } else { "" };
            (format!("{surname}{}{second}", given(&entropy)), None)
        }
    }
}

fn given(entropy: &Entropy) -> &'static str {
    GIVEN[entropy.index(GIVEN.len())]
}

pub fn citizen(city: &City, number: u32, person: &Person) -> Cells {
    let (name, latin) = name(city, number, person);
    let entropy = draws(city.seed, "citizen", number);
    let nation = if name.contains('·') && latin.is_none() { "05" } else { "01" };
    let nation = if person.kind == Kind::Fpr { "97" } else { nation };
    let country = match person.kind {
        Kind::Fpr => &person.id_no[3..6],
        Kind::Hmt => match &person.id_no[..2] {
            "81" => "344",
            "82" => "446",
            _ => "158",
        },
        _ => "156",
    };
    let (kind, hukou) = match person.kind {
        Kind::Local => ("resident", "local"),
        Kind::Migrant => ("resident", "elsewhere"),
        Kind::Hmt => ("hmt", "none"),
        Kind::Fpr => ("fpr", "none"),
    };
    let age = person.birth.years_to(city.today);
    let status = if age >= 75 && entropy.between(0, 99) < 3 { "DECEASED" } else { "NORMAL" };
    vec![
        ("idNo", json!(person.id_no)),
        ("name", json!(name)),
        ("latinName", json!(latin)),
        ("gender", json!(if person.female { "2" } else { "1" })),
        ("birth", json!(person.birth.dashed().replace('-', ""))),
        ("nation", json!(nation)),
        ("country", json!(country)),
        ("idKind", json!(kind)),
        ("hukou", json!(hukou)),
        ("status", json!(status)),
        ("phone", json!(phone(city.seed, number))),
        ("district", json!(house_district(city.seed, person.house).1)),
        ("address", json!(address(city.seed, person.house))),
        ("houseCode", json!(house_code(city.seed, person.house))),
    ]
}

fn bank(city: &City, number: u32) -> &'static str {
    BANKS[draws(city.seed, "bank", number).index(BANKS.len())]
}

/// Card and account tell the same story: both lost, both closed, both in use.
fn standing(city: &City, number: u32) -> (&'static str, &'static str, &'static str) {
    match draws(city.seed, "standing", number).between(0, 99) {
        0..=1 => ("LOST", "3", "3"),
        2 => ("TEMP_LOST", "2", "2"),
        3..=4 => ("CANCELLED", "5", "5"),
        5..=7 => ("MAKING", "0", "1"),
        _ => ("NORMAL", "1", "1"),
    }
}

pub fn card(city: &City, number: u32, person: &Person) -> Cells {
    let entropy = draws(city.seed, "card", number);
    let applied = city.today.months_before(entropy.between(6, 96));
    let (status, financial, _) = standing(city, number);
    let made = (status != "MAKING").then(|| applied.months_before(-1).dashed());
    let lost = matches!(status, "LOST" | "TEMP_LOST").then(|| city.today.months_before(1).dashed());
    vec![
        ("cardNo", json!(card_no(city.seed, number))),
        ("idNo", json!(person.id_no)),
        ("name", json!(name(city, number, person).0)),
        ("status", json!(status)),
        ("finStatus", json!(financial)),
        ("bankCode", json!(bank(city, number))),
        ("account", json!(account(city.seed, number))),
        ("applyTime", json!(applied.dashed())),
        ("makeTime", json!(made)),
        ("lossTime", json!(lost)),
    ]
}

pub fn bank_account(city: &City, number: u32, person: &Person) -> Cells {
    let entropy = draws(city.seed, "card", number);
    let applied = city.today.months_before(entropy.between(6, 96));
    vec![
        ("account", json!(account(city.seed, number))),
        ("idNo", json!(person.id_no)),
        ("name", json!(name(city, number, person).0)),
        ("bankCode", json!(bank(city, number))),
        ("status", json!(standing(city, number).2)),
        ("openDate", json!(applied.dashed())),
        ("cardNo", json!(card_no(city.seed, number))),
    ]
}

pub fn permit(city: &City, number: u32, person: &Person) -> Cells {
    let entropy = draws(city.seed, "permit", number);
    let since = city.today.months_before(entropy.between(0, 14));
    // A year's endorsement; some have let it lapse.
    let until = since.months_before(-12);
    let status = if until < city.today { "90" } else { "60" };
    vec![
        ("rpNo", json!(permit_no(city.seed, number))),
        ("idNo", json!(person.id_no)),
        ("name", json!(name(city, number, person).0)),
        ("status", json!(status)),
        ("validFrom", json!(since.dashed())),
        ("validTo", json!(until.dashed())),
        ("address", json!(address(city.seed, person.house))),
        ("houseCode", json!(house_code(city.seed, person.house))),
    ]
}

pub fn house(city: &City, house: u32) -> Cells {
    let entropy = draws(city.seed, "property", house);
    let property = ["自有", "自有", "租赁", "宿舍"][entropy.index(4)];
    let state = if entropy.between(0, 99) < 2 { "CLOSED" } else { "OPEN" };
    vec![
        ("houseCode", json!(house_code(city.seed, house))),
        ("address", json!(address(city.seed, house))),
        ("district", json!(house_district(city.seed, house).1)),
        ("property", json!(property)),
        ("state", json!(state)),
    ]
}

pub fn contribution(city: &City, number: u32, person: &Person) -> Cells {
    let entropy = draws(city.seed, "contribution", number);
    let possible = (person.birth.years_to(city.today) - 18) * 12;
    let months = entropy.between(0, possible.clamp(1, 240));
    let last = city.today.months_before(1).year_month();
    let types = if entropy.between(0, 9) == 0 {
        json!(["养老"])
    } else {
        json!(["养老", "医疗", "失业", "工伤", "生育"])
    };
    vec![
        ("idNo", json!(person.id_no)),
        ("name", json!(name(city, number, person).0)),
        ("continuousMonths", json!(months)),
        ("lastPaidMonth", json!((months > 0).then_some(last))),
        ("unit", json!(UNITS[entropy.index(UNITS.len())])),
        ("types", types),
        ("insured", json!(months > 0)),
    ]
}

pub fn senior(city: &City, number: u32, person: &Person) -> Cells {
    let status = if draws(city.seed, "senior", number).between(0, 99) < 3 { "LOST" } else { "NORMAL" };
    vec![
        ("cardNo", json!(senior_no(city.seed, number))),
        ("idNo", json!(person.id_no)),
        ("name", json!(name(city, number, person).0)),
        ("status", json!(status)),
        ("bankCode", json!(bank(city, number))),
        ("account", json!(account(city.seed, number))),
    ]
}
