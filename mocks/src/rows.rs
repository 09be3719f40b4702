//! What a stub does with shared tables, compiled: the rows it looks at and the changes it makes.
use qiao_mappings::{Scope, Selector, Template};
use serde_json::{Map, Value, json};

use crate::{
    matching::memo::scalar,
    tables::{Change, Row, TableForm, View, text_of},
};

/// A row that a stub looks at.
#[derive(Debug)]
pub struct RowLook {
    pub name: Box<str>,
    pub form: &'static TableForm,
    pub column: Box<str>,
    pub value: Selector,
    pub fits: Vec<(Box<str>, Vec<Wanted>)>,
    /// Whether there must be such a row, or must not.
    pub exists: bool,
}

/// A value that a column must have.
#[derive(Debug)]
pub enum Wanted {
    Text(Box<str>),
    Template(Template),
}

impl Wanted {
    fn is(&self, seen: &str, scope: &dyn Scope) -> bool {
        match self {
            Self::Text(text) => **text == *seen,
            Self::Template(template) => template
                .render(scope)
                .ok()
                .and_then(|value| scalar(&value).map(|text| *text == *seen))
                .unwrap_or(false),
        }
    }
}

/// What came of a look.
pub struct Looked {
    /// The row that fits.
    pub row: Option<Row>,
    /// Whether the stub may answer.
    pub holds: bool,
    /// Rows with that value, whether they fit or not.
    pub found: Vec<Row>,
}

impl RowLook {
    /// Looks as a session sees the tables.
    pub fn look(&self, view: &View<'_>, session: &str, scope: &dyn Scope) -> Looked {
        let value = self.value.first(scope).and_then(scalar).filter(|text| !text.is_empty());
        let found = value.map(|value| view.find(session, self.form.name, &self.column, &value));
        // The column was checked when the stub was compiled.
        let found = found.and_then(Result::ok).unwrap_or_default();
        let fits = |row: &&Row| {
            self.fits.iter().all(|(column, wanted)| {
                let seen = text_of(row.get(&**column));
                wanted.iter().any(|wanted| wanted.is(&seen, scope))
            })
        };
        let row = found.iter().find(fits).cloned();
        Looked { holds: row.is_some() == self.exists, row, found }
    }

    /// The look in words: what is wanted.
    pub fn wanted(&self) -> String {
        let value = |wanted: &Wanted| match wanted {
            Wanted::Text(text) => text.to_string(),
            Wanted::Template(_) => "as the request says".to_owned(),
        };
        let one = |(column, wanted): &(Box<str>, Vec<Wanted>)| {
            format!("{column} in {}", wanted.iter().map(value).collect::<Vec<_>>().join(", "))
        };
        let conditions: Vec<String> = self.fits.iter().map(one).collect();
        let what = if self.exists { "a row" } else { "no row" };
        if conditions.is_empty() {
            what.to_owned()
        } else {
            format!("{what} with {}", conditions.join(" and "))
        }
    }

    /// What was seen, as far as it is looked at.
    pub fn seen(&self, looked: &Looked) -> Option<String> {
        let one = |row: &Row| {
            let columns =
                self.fits.iter().map(|(column, _)| format!("{column}={}", text_of(row.get(&**column))));
            let columns: Vec<String> = columns.collect();
            format!("{} {}", text_of(row.get(self.form.key())), columns.join(" ")).trim_end().to_owned()
        };
        let rows: Vec<String> = looked.found.iter().take(4).map(one).collect();
        (!rows.is_empty()).then(|| rows.join("; "))
    }
}

/// A change that a stub makes.
#[derive(Debug)]
pub struct Write {
    pub form: &'static TableForm,
    pub key: Template,
    pub kind: WriteKind,
}

#[derive(Debug)]
pub enum WriteKind {
    Set(Vec<(String, Template)>),
    Insert(Vec<(String, Template)>),
    Remove,
}

/// A change with its values.
pub type Made = (&'static TableForm, String, Change);

impl Write {
    /// The change with its values.
    ///
    /// # Errors
    /// The template that failed.
    pub fn make(&self, scope: &dyn Scope) -> Result<Made, String> {
        let place = format!("write {}", self.form.name);
        let key = self.key.render(scope).map_err(|error| format!("{place}: key: {error}"))?;
        let key = scalar(&key).ok_or_else(|| format!("{place}: the key is no text"))?.into_owned();
        let row = |cells: &[(String, Template)]| -> Result<Row, String> {
            let cell = |(name, template): &(String, Template)| match template.render(scope) {
                Ok(value) => Ok((name.clone(), value)),
                Err(error) => Err(format!("{place}: {name}: {error}")),
            };
            cells.iter().map(cell).collect()
        };
        let change = match &self.kind {
            WriteKind::Set(cells) => Change::Set(row(cells)?),
            WriteKind::Insert(cells) => Change::Insert(row(cells)?),
            WriteKind::Remove => Change::Remove,
        };
        Ok((self.form, key, change))
    }
}

/// Changes in words, for the journal and the dry run.
pub fn told(changes: &[Made]) -> Value {
    let one = |(form, key, change): &Made| match change {
        Change::Set(row) | Change::Put(row) => json!({"table": form.name, "key": key, "set": row}),
        Change::Insert(row) => json!({"table": form.name, "key": key, "insert": row}),
        Change::Remove => json!({"table": form.name, "key": key, "remove": true}),
    };
    changes.iter().map(one).collect()
}

/// Rows by the names under which templates see them, and where they are.
#[derive(Debug, Default)]
pub struct Bound {
    pub rows: Map<String, Value>,
    places: Vec<(Box<str>, &'static TableForm, String)>,
}

impl Bound {
    pub fn add(&mut self, look: &RowLook, row: Option<Row>) {
        if let Some(row) = &row {
            self.places.push((look.name.clone(), look.form, text_of(row.get(look.form.key()))));
        }
        self.rows.insert(look.name.to_string(), row.map_or(Value::Null, Value::Object));
    }

    /// Sees the rows again, after changes.
    pub fn refresh(&self, view: &View<'_>, session: &str, rows: &mut Value) {
        for (name, form, key) in &self.places {
            let row = view.row(session, form.name, key).ok().flatten();
            rows[&**name] = row.map_or(Value::Null, Value::Object);
        }
    }
}
