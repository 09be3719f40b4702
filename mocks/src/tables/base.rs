//! The rows of a table before anybody wrote: sample rows as given, all others made anew from the seed each time they are
//! asked for. Only keys and indexed values are kept.
use std::{collections::HashMap, sync::Arc};

use serde_json::Value;

use super::{Row, TableForm};
use crate::{city::City, matching::memo::scalar, spec::CitySpec};

/// The unchanging rows of one table.
pub struct Base {
    pub form: &'static TableForm,
    given: Vec<Row>,
    city: Arc<City>,
    keys: HashMap<Box<str>, u32>,
    /// By index, in the order of the form.
    indexes: Vec<HashMap<Box<str>, Vec<u32>>>,
    /// For pages.
    sorted: Vec<Box<str>>,
}

impl Base {
    /// Makes the keys and indexes. A sample row stands in place of a generated one with its key.
    pub fn new(form: &'static TableForm, city: &Arc<City>, spec: &CitySpec) -> Self {
        let given = spec.rows_of(form.name);
        let mut base = Self {
            form,
            given: given.iter().map(|row| complete(form, row)).collect(),
            city: Arc::clone(city),
            keys: HashMap::new(),
            indexes: vec![HashMap::new(); form.indexes.len()],
            sorted: Vec::new(),
        };
        for number in 0..base.given.len() {
            let row = base.given[number].clone();
            base.add(u32::try_from(number).unwrap_or(u32::MAX), |column| text(row.get(column)));
        }
        let first = u32::try_from(base.given.len()).unwrap_or(u32::MAX);
        for number in 0..city.people() {
            if city.has(form, number) {
                let city = Arc::clone(city);
                base.add(first + number, |column| city.cell(form, number, column));
            }
        }
        base.sorted = base.keys.keys().cloned().collect();
        base.sorted.sort_unstable();
        base
    }

    fn add(&mut self, number: u32, cell: impl Fn(&str) -> String) {
        let key = cell(self.form.key());
        if self.keys.contains_key(&*key) {
            return;
        }
        self.keys.insert(key.into(), number);
        for (index, column) in self.indexes.iter_mut().zip(self.form.indexes) {
            index.entry(cell(column).into()).or_default().push(number);
        }
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// The row of that key.
    pub fn row(&self, key: &str) -> Option<Row> {
        self.keys.get(key).map(|number| self.numbered(*number))
    }

    fn numbered(&self, number: u32) -> Row {
        match self.given.get(number as usize) {
            Some(row) => row.clone(),
            None => self.city.row(self.form, self.nth(number)),
        }
    }

    /// The keys of the rows with that value in an indexed column.
    pub fn keys_with(&self, column: &str, value: &str) -> Vec<Box<str>> {
        if column == self.form.key() {
            return self.keys.get_key_value(value).map(|(key, _)| key.clone()).into_iter().collect();
        }
        let place = self.form.indexes.iter().position(|index| *index == column);
        let found = place.and_then(|place| self.indexes[place].get(value));
        found.into_iter().flatten().map(|number| self.key_of(*number).into()).collect()
    }

    fn key_of(&self, number: u32) -> String {
        match self.given.get(number as usize) {
            Some(row) => text(row.get(self.form.key())),
            None => self.city.cell(self.form, self.nth(number), self.form.key()),
        }
    }

    /// The number in the city of a row that was not given.
    fn nth(&self, number: u32) -> u32 {
        number - u32::try_from(self.given.len()).unwrap_or(0)
    }

    /// All keys in order.
    pub fn sorted(&self) -> &[Box<str>] {
        &self.sorted
    }
}

/// A row with every column of its table, those not given null.
pub fn complete(form: &TableForm, row: &Row) -> Row {
    let value = |column: &&str| row.get(*column).cloned().unwrap_or(Value::Null);
    form.columns.iter().map(|column| ((*column).to_owned(), value(column))).collect()
}

/// A cell as the text it is found by.
pub fn text(value: Option<&Value>) -> String {
    value.and_then(scalar).map(|text| text.into_owned()).unwrap_or_default()
}
