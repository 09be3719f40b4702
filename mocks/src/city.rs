//! The city: synthetic people with cards, permits, houses, contributions and accounts that fit one another. Every value is a
//! function of the seed and the person's number, so that nothing but identity numbers has to be kept.
mod people;
mod rows;

use qiao_mappings::strict::did_you_mean;
use serde_json::Value;

use crate::{
    spec::CitySpec,
    tables::{Row, TableForm},
};
use people::{Day, Person};

/// People when the declaration does not say.
const PEOPLE: u32 = 10_000;

macro_rules! table {
    ($name:literal, $title:literal, [$($column:literal),+], [$($index:literal),*]) => {
        TableForm { name: $name, title: $title, columns: &[$($column),+], indexes: &[$($index),*] }
    };
}

/// The tables of the city.
pub const TABLES: &[TableForm] = &[
    table!(
        "city.citizens",
        "居民",
        [
            "idNo",
            "name",
            "latinName",
            "gender",
            "birth",
            "nation",
            "country",
            "idKind",
            "hukou",
            "status",
            "phone",
            "district",
            "address",
            "houseCode"
        ],
        ["phone", "houseCode"]
    ),
    table!(
        "city.cards",
        "社会保障卡",
        [
            "cardNo",
            "idNo",
            "name",
            "status",
            "finStatus",
            "bankCode",
            "account",
            "applyTime",
            "makeTime",
            "waybillNo",
            "lossTime"
        ],
        ["idNo", "account"]
    ),
    table!(
        "city.accounts",
        "银行账户",
        ["account", "idNo", "name", "bankCode", "status", "openDate", "cardNo"],
        ["idNo", "cardNo"]
    ),
    table!(
        "city.permits",
        "居住证",
        ["rpNo", "idNo", "name", "status", "validFrom", "validTo", "address", "houseCode"],
        ["idNo"]
    ),
    table!("city.houses", "房屋", ["houseCode", "address", "district", "property", "state"], ["address"]),
    table!(
        "city.contributions",
        "社保缴纳",
        ["idNo", "name", "continuousMonths", "lastPaidMonth", "unit", "types", "insured"],
        []
    ),
    table!("city.seniors", "敬老卡", ["cardNo", "idNo", "name", "status", "bankCode", "account"], ["idNo"]),
];

/// The form of one of the city's tables.
///
/// # Errors
/// There is none of that name, with the nearest name.
pub fn form(name: &str) -> Result<&'static TableForm, String> {
    TABLES.iter().find(|form| form.name == name).ok_or_else(|| {
        let near = did_you_mean(name, TABLES.iter().map(|form| form.name));
        format!("there is no table `{name}`{}", near.map(|near| format!("; {near}")).unwrap_or_default())
    })
}

/// The people, by number.
pub struct City {
    seed: u64,
    today: Day,
    people: Vec<Person>,
    houses: u32,
}

impl City {
    /// The city of a declaration, the same each time.
    pub fn new(spec: &CitySpec) -> Self {
        let today =
            spec.as_of.as_deref().and_then(Day::parse).unwrap_or(Day { year: 2026, month: 1, day: 1 });
        let count = spec.citizens.unwrap_or(PEOPLE);
        let houses = (count * 2 / 5).max(1);
        let people = people::all(spec.seed, count, houses, today);
        Self { seed: spec.seed, today, people, houses }
    }

    /// How many numbers there are, people's and houses'.
    pub fn people(&self) -> u32 {
        u32::try_from(self.people.len()).unwrap_or(u32::MAX)
    }

    /// Whether the person, or house, of that number has a row in a table.
    pub fn has(&self, form: &TableForm, number: u32) -> bool {
        if form.name == "city.houses" {
            return number < self.houses;
        }
        self.people.get(number as usize).is_some_and(|person| match form.name {
            "city.citizens" => true,
            "city.cards" | "city.accounts" => person.has_card,
            "city.permits" => person.has_permit,
            "city.contributions" => person.contributes,
            "city.seniors" => person.has_senior_card,
            _ => false,
        })
    }

    /// One cell as text; keys and indexed columns without the rest of the row.
    pub fn cell(&self, form: &TableForm, number: u32, column: &str) -> String {
        match self.quick(form.name, number, column) {
            Some(text) => text,
            None => crate::tables::text_of(self.row(form, number).get(column)),
        }
    }

    fn quick(&self, table: &str, number: u32, column: &str) -> Option<String> {
        let person = self.people.get(number as usize)?;
        Some(match (table, column) {
            ("city.houses", "houseCode") => rows::house_code(self.seed, number),
            ("city.houses", "address") => rows::address(self.seed, number),
            (_, "idNo") => person.id_no.to_string(),
            (_, "houseCode") => rows::house_code(self.seed, person.house),
            (_, "phone") => rows::phone(self.seed, number),
            ("city.cards" | "city.accounts", "cardNo") => rows::card_no(self.seed, number),
            ("city.seniors", "cardNo") => rows::senior_no(self.seed, number),
            (_, "account") => rows::account(self.seed, number),
            (_, "rpNo") => rows::permit_no(self.seed, number),
            _ => return None,
        })
    }

    /// The row of that number.
    pub fn row(&self, form: &TableForm, number: u32) -> Row {
        let cells = match (form.name, self.people.get(number as usize)) {
            ("city.houses", _) => rows::house(self, number),
            (_, None) => Vec::new(),
            ("city.citizens", Some(person)) => rows::citizen(self, number, person),
            ("city.cards", Some(person)) => rows::card(self, number, person),
            ("city.accounts", Some(person)) => rows::bank_account(self, number, person),
            ("city.permits", Some(person)) => rows::permit(self, number, person),
            ("city.contributions", Some(person)) => rows::contribution(self, number, person),
            (_, Some(person)) => rows::senior(self, number, person),
        };
        let mut row: Row = form.columns.iter().map(|column| ((*column).to_owned(), Value::Null)).collect();
        row.extend(cells.into_iter().map(|(name, value)| (name.to_owned(), value)));
        row
    }
}

#[cfg(test)]
mod tests;
