//! The table of an operation: its columns, its rows, and how templates look into it.
use std::collections::BTreeSet;

use serde_json::Value;

use super::{Plan, answer_name, value};
use crate::{
    import::escaped,
    record::{
        leaves::{Case, Leaf, Made},
        place::{Steps, cel_member, cel_text, last_name, text},
    },
};

/// A column of the table.
pub(super) struct Column {
    name: String,
    form: ColumnForm,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ColumnForm {
    Text,
    Number,
    Flag,
    /// Any value, as the only element of a JSON list.
    Json,
}

impl Plan<'_> {
    /// A column for every place of data, by its last name.
    pub(super) fn find_columns(&mut self) {
        let paths: BTreeSet<Steps> = self
            .leaves
            .iter()
            .filter(|leaf| leaf.made == Made::Data)
            .map(|leaf| leaf.steps.clone())
            .collect();
        let mut used: BTreeSet<String> = ["answer".to_owned(), self.key_column()].into();
        for steps in paths {
            let holds = |case: &&Case<'_>| self.data(case.variant).any(|leaf| leaf.steps == steps);
            let values: Vec<&Value> =
                self.cases.iter().filter(holds).map(|case| value(case, &steps)).collect();
            let of = |is: fn(&Value) -> bool| values.iter().all(|value| is(value));
            let form = match () {
                () if of(Value::is_string) => ColumnForm::Text,
                () if of(Value::is_number) => ColumnForm::Number,
                () if of(Value::is_boolean) => ColumnForm::Flag,
                () => ColumnForm::Json,
            };
            let base = match last_name(&steps) {
                "" => "value".to_owned(),
                name => name.to_owned(),
            };
            let mut name = base.clone();
            let mut number = 2;
            while used.iter().any(|other| *other == name || other.starts_with(&format!("{name}_"))) {
                name = format!("{base}{number}");
                number += 1;
            }
            used.insert(name.clone());
            self.columns.insert(steps, Column { name, form });
        }
    }

    fn key_column(&self) -> String {
        let name = self.key.as_ref().and_then(|key| match key.places.as_slice() {
            [one] => Some(one.name()),
            _ => None,
        });
        name.filter(|name| !name.is_empty()).unwrap_or("key").to_owned()
    }

    /// Its name and its CSV, where answers depend on a key.
    pub(super) fn table(&self) -> Option<(String, String)> {
        if !self.needs_table() {
            return None;
        }
        let many = self.variants > 1;
        let steps = |name: &str| (0..self.steps).map(|step| self.at_step(name, step)).collect::<Vec<_>>();
        let mut head = vec![self.key_column()];
        if many {
            head.extend(steps("answer"));
        }
        self.columns.values().for_each(|column| head.extend(steps(&column.name)));
        let mut csv = line(&head);
        let otherwise = self.otherwise();
        for (key, course) in &self.courses {
            let is_other = |number: &usize| Some(self.cases[*number].variant) == otherwise;
            if course.iter().all(is_other) {
                continue;
            }
            let mut row = vec![key.clone()];
            if many {
                row.extend((0..self.steps).map(|step| answer_name(self.case_at(course, step).variant)));
            }
            for (steps, column) in &self.columns {
                for step in 0..self.steps {
                    let case = self.case_at(course, step);
                    let holds = self.data(case.variant).any(|leaf| leaf.steps == *steps);
                    row.push(if holds { cell(column.form, value(case, steps)) } else { String::new() });
                }
            }
            csv.push_str(&line(&row));
        }
        Some((self.name.clone(), csv))
    }

    /// The template of a column's cell.
    pub(super) fn looked_up(&self, first: &Case<'_>, leaf: &Leaf, step: usize) -> Value {
        let column = self.columns.get(&leaf.steps);
        let (Some(column), Some(key)) = (column, self.key.as_ref()) else {
            return escaped(value(first, &leaf.steps));
        };
        if key.places.is_empty() {
            // Without a key the step alone says which answer it is.
            let course = self.courses.first().map_or(&[][..], |(_, course)| course.as_slice());
            return escaped(value(self.case_at(course, step), &leaf.steps));
        }
        let member = cel_member(&self.at_step(&column.name, step));
        let cell = format!("table({}, {}){member}", cel_text(&self.name), key.cel());
        match column.form {
            ColumnForm::Text => format!("${{{cell}}}").into(),
            ColumnForm::Number => format!("${{number({cell})}}").into(),
            ColumnForm::Flag => format!("${{{cell} == 'true'}}").into(),
            ColumnForm::Json => format!("${{parseJson({cell})[0]}}").into(),
        }
    }
}

fn cell(form: ColumnForm, value: &Value) -> String {
    match form {
        ColumnForm::Json => Value::Array(vec![value.clone()]).to_string(),
        _ => text(value).unwrap_or_default(),
    }
}

/// A line of CSV (RFC 4180).
fn line(fields: &[String]) -> String {
    let quoted = fields.iter().map(|field| {
        let plain = !field.is_empty() && !field.contains([',', '"', '\n', '\r', '\u{feff}']);
        if plain || field.is_empty() { field.clone() } else { format!("\"{}\"", field.replace('"', "\"\"")) }
    });
    // A line that is nothing but an empty field would be no line.
    let line = quoted.collect::<Vec<_>>().join(",");
    if line.is_empty() { "\"\"\n".into() } else { line + "\n" }
}
