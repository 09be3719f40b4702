//! Who lives in the city: identity numbers of three kinds, valid by their rules and each used once, and what each person has.
use std::collections::HashSet;

use crate::{
    entropy::Entropy,
    generate::{DISTRICTS, id_check},
};

/// Districts that were merged into others; people born there keep their numbers.
const RETIRED: [&str; 4] = ["310103", "310108", "310119", "310230"];
/// Where people come from who need a residence permit (GB/T 2260).
const ELSEWHERE: [&str; 12] = [
    "320506", "320583", "330106", "330282", "340104", "341203", "350203", "360103", "370203", "410105",
    "420106", "510107",
];
/// Hong Kong, Macao, Taiwan.
const HMT: [&str; 3] = ["810000", "820000", "830000"];
/// Nationalities of permanent residents (GB/T 2659).
const COUNTRIES: [&str; 6] = ["840", "124", "392", "410", "826", "276"];

/// A day of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day {
    pub year: i64,
    pub month: i64,
    pub day: i64,
}

impl Day {
    /// Reads `2026-01-31`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-').map(|part| part.parse().ok());
        Some(Self { year: parts.next()??, month: parts.next()??, day: parts.next()?? })
    }

    /// Months before (or, where negative, after) this one, on the same day of the month.
    pub fn months_before(self, months: i64) -> Self {
        let count = self.year * 12 + self.month - 1 - months;
        Self { year: count.div_euclid(12), month: count.rem_euclid(12) + 1, day: self.day }
    }

    /// `2026-01-31`.
    pub fn dashed(self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }

    /// `202601`.
    pub fn year_month(self) -> String {
        format!("{:04}{:02}", self.year, self.month)
    }

    /// Whole years from this day to another.
    pub fn years_to(self, other: Self) -> i64 {
        let before = (other.month, other.day) < (self.month, self.day);
        other.year - self.year - i64::from(before)
    }
}

/// Which rule an identity number follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Registered in the city.
    Local,
    /// Registered elsewhere.
    Migrant,
    /// Residence permit of Hong Kong, Macao or Taiwan.
    Hmt,
    /// Permanent resident of another nationality, card of 2023.
    Fpr,
}

/// What is kept of a person.
#[derive(Debug)]
pub struct Person {
    pub id_no: Box<str>,
    pub kind: Kind,
    pub female: bool,
    pub birth: Day,
    pub house: u32,
    pub has_card: bool,
    pub has_permit: bool,
    pub contributes: bool,
    pub has_senior_card: bool,
}

/// All people of a city.
pub fn all(seed: u64, count: u32, houses: u32, today: Day) -> Vec<Person> {
    let mut taken: HashSet<Box<str>> = HashSet::with_capacity(count as usize);
    let mut people = Vec::with_capacity(count as usize);
    for number in 0..count {
        let entropy = Entropy::of(seed, &[b"city", b"person"], u64::from(number));
        // Drawn again until it is nobody else's.
        let mut person = person(&entropy, houses, today);
        while !taken.insert(person.id_no.clone()) {
            person = self::person(&entropy, houses, today);
        }
        people.push(person);
    }
    people
}

fn person(entropy: &Entropy, houses: u32, today: Day) -> Person {
    let share = entropy.between(0, 999);
    let kind = match share {
        0..=649 => Kind::Local,
        650..=949 => Kind::Migrant,
        950..=974 => Kind::Hmt,
        _ => Kind::Fpr,
    };
    let female = entropy.between(0, 1) == 1;
    let birth = Day {
        year: today.year - entropy.between(1, 92),
        month: entropy.between(1, 12),
        day: entropy.between(1, 28),
    };
    let area = area(entropy, kind, birth);
    // The last digit of the order is odd for men.
    let order = entropy.between(0, 499) * 2 + i64::from(!female);
    let body = format!("{area}{:04}{:02}{:02}{order:03}", birth.year, birth.month, birth.day);
    let age = birth.years_to(today);
    let chance = |percent: i64| entropy.between(1, 100) <= percent;
    let (card, permit, contributes, senior) = (chance(90), chance(85), chance(80), chance(80));
    Person {
        id_no: format!("{body}{}", id_check(&body)).into(),
        kind,
        female,
        birth,
        house: u32::try_from(entropy.between(0, i64::from(houses) - 1)).unwrap_or(0),
        has_card: card,
        has_permit: permit && matches!(kind, Kind::Migrant | Kind::Hmt),
        contributes: contributes && (18..60).contains(&age),
        has_senior_card: senior && kind == Kind::Local && age >= 65,
    }
}

/// The first six digits.
fn area(entropy: &Entropy, kind: Kind, birth: Day) -> String {
    match kind {
        Kind::Local if birth.year < 1990 && entropy.between(1, 10) == 1 => {
            RETIRED[entropy.index(RETIRED.len())].to_owned()
        }
        Kind::Local => DISTRICTS[entropy.index(DISTRICTS.len())].0.to_owned(),
        Kind::Migrant => ELSEWHERE[entropy.index(ELSEWHERE.len())].to_owned(),
        Kind::Hmt => HMT[entropy.index(HMT.len())].to_owned(),
        // 9, the province that accepted the application, the nationality.
        Kind::Fpr => format!("931{}", COUNTRIES[entropy.index(COUNTRIES.len())]),
    }
}
