//! What was written over the base, apart for each session, bounded in rows and in sessions.
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

use super::{Row, TableForm, base::text};

/// Rows that one session may write; the common one may write [`MAX_COMMON`].
pub const MAX_ROWS: usize = 10_000;
pub const MAX_COMMON: usize = 100_000;
/// Sessions with written rows; the longest untouched is forgotten for another.
const MAX_SESSIONS: usize = 1_000;
/// A session's rows are forgotten this long after their last use.
const TTL: Duration = Duration::from_secs(24 * 3600);

/// The common session's rows, and each other session's.
#[derive(Default)]
pub struct Layers {
    pub common: Layer,
    pub sessions: HashMap<Box<str>, Layer>,
}

impl Layers {
    /// The layers that a session sees, the uppermost first.
    pub fn seen(&mut self, session: &str, now: Instant) -> impl Iterator<Item = &Layer> {
        let own = if session.is_empty() { None } else { self.sessions.get_mut(session) };
        let own = own.map(|layer| {
            layer.touched = Some(now);
            &*layer
        });
        own.into_iter().chain([&self.common])
    }

    /// The layer that a session writes into.
    pub fn own(&mut self, session: &str, now: Instant) -> &mut Layer {
        if session.is_empty() {
            return &mut self.common;
        }
        if !self.sessions.contains_key(session) {
            self.sessions.retain(|_, layer| {
                layer.touched.is_some_and(|touched| now.saturating_duration_since(touched) < TTL)
            });
            if self.sessions.len() >= MAX_SESSIONS {
                let oldest = self.sessions.iter().min_by_key(|(name, layer)| (layer.touched, *name));
                if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                    self.sessions.remove(&oldest);
                }
            }
        }
        let layer = self.sessions.entry(session.into()).or_default();
        layer.touched = Some(now);
        layer
    }
}

/// The rows written in one session.
#[derive(Default)]
pub struct Layer {
    tables: HashMap<&'static str, Written>,
    rows: usize,
    touched: Option<Instant>,
}

#[derive(Default)]
struct Written {
    /// None where the row was removed.
    rows: BTreeMap<Box<str>, Option<Row>>,
    /// Keys by indexed column and value.
    index: HashMap<(&'static str, Box<str>), BTreeSet<Box<str>>>,
}

impl Layer {
    /// The row as written here; the outer none: it was not written here.
    #[allow(clippy::option_option, reason = "written and removed are two questions")]
    pub fn row(&self, table: &str, key: &str) -> Option<Option<&Row>> {
        self.tables.get(table)?.rows.get(key).map(Option::as_ref)
    }

    /// Keys of rows written here with that value in an indexed column.
    pub fn keys_with(
        &self,
        table: &str,
        column: &'static str,
        value: &str,
    ) -> impl Iterator<Item = &Box<str>> {
        let found = self.tables.get(table).and_then(|written| written.index.get(&(column, value.into())));
        found.into_iter().flatten()
    }

    /// All keys written here, removed ones too.
    pub fn keys(&self, table: &str) -> impl Iterator<Item = &Box<str>> {
        self.tables.get(table).into_iter().flat_map(|written| written.rows.keys())
    }

    /// Rows written here, removed ones too.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Writes a row, or its removal.
    pub fn put(&mut self, form: &'static TableForm, key: &str, row: Option<Row>) {
        let written = self.tables.entry(form.name).or_default();
        let columns = || std::iter::once(form.key()).chain(form.indexes.iter().copied());
        if let Some(Some(old)) = written.rows.get(key) {
            for column in columns() {
                let place = (column, text(old.get(column)).into());
                if let Some(keys) = written.index.get_mut(&place) {
                    keys.remove(key);
                    if keys.is_empty() {
                        written.index.remove(&place);
                    }
                }
            }
        }
        if let Some(row) = &row {
            for column in columns() {
                let place = (column, text(row.get(column)).into());
                written.index.entry(place).or_default().insert(key.into());
            }
        }
        if written.rows.insert(key.into(), row).is_none() {
            self.rows += 1;
        }
    }
}
