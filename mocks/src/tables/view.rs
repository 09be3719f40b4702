//! One thread's look at the shared tables: rows found, and changes that all happen or none.
use std::{cell::RefCell, collections::BTreeSet, time::Instant};

use parking_lot::ReentrantMutexGuard;
use serde_json::Value;

use super::{
    MAX_FOUND, Row, SharedTables, TableForm,
    base::{complete, text},
    layer::{Layers, MAX_COMMON, MAX_ROWS},
};

/// Bytes of a row as JSON.
const MAX_ROW: usize = 16 * 1024;

/// What is done to one row.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Columns of a row that is there.
    Set(Row),
    /// A row that is not there yet.
    Insert(Row),
    /// The row, whether it is there or not.
    Put(Row),
    Remove,
}

/// The tables, locked.
pub struct View<'t> {
    tables: &'t SharedTables,
    layers: ReentrantMutexGuard<'t, RefCell<Layers>>,
}

impl<'t> View<'t> {
    pub(super) fn new(tables: &'t SharedTables, layers: ReentrantMutexGuard<'t, RefCell<Layers>>) -> Self {
        Self { tables, layers }
    }

    /// The row of that key as a session sees it: its own writing, else the common one's, else the base.
    ///
    /// # Errors
    /// There is no such table.
    pub fn row(&self, session: &str, table: &str, key: &str) -> Result<Option<Row>, String> {
        let form = self.tables.form(table)?;
        Ok(self.seen(session, form, key))
    }

    fn seen(&self, session: &str, form: &TableForm, key: &str) -> Option<Row> {
        let mut layers = self.layers.borrow_mut();
        let written = layers.seen(session, Instant::now()).find_map(|layer| layer.row(form.name, key));
        match written {
            Some(row) => row.cloned(),
            None => self.tables.base(form.name).and_then(|base| base.row(key)),
        }
    }

    /// The rows with that value in the key or an indexed column, in the order of keys, [`MAX_FOUND`] at most.
    ///
    /// # Errors
    /// There is no such table, or the column is not indexed.
    pub fn find(&self, session: &str, table: &str, column: &str, value: &str) -> Result<Vec<Row>, String> {
        let form = self.tables.form(table)?;
        let indexed = std::iter::once(form.key()).chain(form.indexes.iter().copied());
        let Some(column) = indexed.clone().find(|known| *known == column) else {
            let known = indexed.collect::<Vec<_>>().join(", ");
            return Err(format!("`{table}` is not found by `{column}`, but by {known}"));
        };
        let mut keys: BTreeSet<Box<str>> = BTreeSet::new();
        if let Some(base) = self.tables.base(form.name) {
            keys.extend(base.keys_with(column, value));
        }
        {
            let mut layers = self.layers.borrow_mut();
            for layer in layers.seen(session, Instant::now()) {
                keys.extend(layer.keys_with(form.name, column, value).cloned());
            }
        }
        // A row may have been written since: what counts is what is seen now.
        let rows = keys.iter().filter_map(|key| self.seen(session, form, key));
        Ok(rows.filter(|row| text(row.get(column)) == value).take(MAX_FOUND).collect())
    }

    /// Makes all changes, or, where one cannot be made, none. `dry`: none in any case.
    ///
    /// # Errors
    /// Which change cannot be made and why.
    pub fn apply(
        &self,
        session: &str,
        changes: Vec<(&'static TableForm, String, Change)>,
        dry: bool,
    ) -> Result<(), String> {
        let mut staged: Vec<(&'static TableForm, String, Option<Row>)> = Vec::with_capacity(changes.len());
        for (form, key, change) in changes {
            let before =
                match staged.iter().rev().find(|(other, at, _)| other.name == form.name && *at == key) {
                    Some((_, _, row)) => row.clone(),
                    None => self.seen(session, form, &key),
                };
            let row = changed(form, &key, before, change).map_err(|why| format!("{}: {why}", form.name))?;
            staged.push((form, key, row));
        }
        if dry {
            return Ok(());
        }
        let mut layers = self.layers.borrow_mut();
        let max = if session.is_empty() { MAX_COMMON } else { MAX_ROWS };
        let own = layers.own(session, Instant::now());
        if own.len() + staged.len() > max {
            return Err(format!("a session writes at most {max} rows; reset it"));
        }
        for (form, key, row) in staged {
            own.put(form, &key, row);
        }
        Ok(())
    }

    /// Up to `limit` rows after a key, in the order of keys, and the key to go on from.
    ///
    /// # Errors
    /// There is no such table.
    pub fn page(
        &self,
        session: &str,
        table: &str,
        after: &str,
        limit: usize,
    ) -> Result<(Vec<Row>, Option<String>), String> {
        let form = self.tables.form(table)?;
        let sorted = self.tables.base(form.name).map_or(&[][..], |base| base.sorted());
        let from = sorted.partition_point(|key| **key <= *after);
        let mut written: BTreeSet<Box<str>> = BTreeSet::new();
        {
            let mut layers = self.layers.borrow_mut();
            for layer in layers.seen(session, Instant::now()) {
                written.extend(layer.keys(form.name).filter(|key| &***key > after).cloned());
            }
        }
        let (mut base, mut own) = (sorted[from..].iter().peekable(), written.iter().peekable());
        let (mut rows, mut last) = (Vec::new(), None);
        while rows.len() < limit {
            let key = match (base.peek(), own.peek()) {
                (None, None) => return Ok((rows, None)),
                (Some(left), Some(right)) => (*left).min(right),
                (Some(key), None) | (None, Some(key)) => *key,
            };
            let key = key.clone();
            base.next_if(|next| **next == key);
            own.next_if(|next| **next == key);
            rows.extend(self.seen(session, form, &key));
            last = Some(key);
        }
        Ok((rows, last.map(String::from)))
    }

    /// Rows of a table before anybody wrote.
    pub fn base_len(&self, table: &str) -> usize {
        self.tables.base(table).map_or(0, super::Base::len)
    }

    /// Rows that a session has written.
    pub fn written(&self, session: &str) -> usize {
        let layers = self.layers.borrow();
        let layer = if session.is_empty() { Some(&layers.common) } else { layers.sessions.get(session) };
        layer.map_or(0, super::layer::Layer::len)
    }

    /// Forgets what a session wrote, or, without one, what all of them wrote.
    pub fn clear(&self, session: Option<&str>) {
        let mut layers = self.layers.borrow_mut();
        match session {
            None => *layers = Layers::default(),
            Some("") => layers.common = super::layer::Layer::default(),
            Some(session) => drop(layers.sessions.remove(session)),
        }
    }
}

/// The row after a change; none where it is removed.
fn changed(form: &TableForm, key: &str, before: Option<Row>, change: Change) -> Result<Option<Row>, String> {
    if key.is_empty() || key.len() > 200 {
        return Err("a key has 1 to 200 bytes".into());
    }
    if let Change::Set(given) | Change::Insert(given) | Change::Put(given) = &change
        && let Some(unknown) = given.keys().find(|name| !form.columns.contains(&name.as_str()))
    {
        return Err(format!("there is no column `{unknown}`, but {}", form.columns.join(", ")));
    }
    let mut row = match (change, before) {
        (Change::Remove, Some(_)) => return Ok(None),
        (Change::Remove | Change::Set(_), None) => return Err("there is no row of this key".into()),
        (Change::Insert(_), Some(_)) => return Err("there is a row of this key already".into()),
        (Change::Set(set), Some(mut row)) => {
            row.extend(set);
            row
        }
        (Change::Insert(row) | Change::Put(row), None) => complete(form, &row),
        (Change::Put(set), Some(mut row)) => {
            row.extend(set);
            row
        }
    };
    row.insert(form.key().to_owned(), Value::from(key));
    if Value::Object(row.clone()).to_string().len() > MAX_ROW {
        return Err("a row has at most 16 KiB".into());
    }
    Ok(Some(row))
}
