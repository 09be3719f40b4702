//! Tables that all partners share: what one partner writes, another answers. A base that never changes, and over it what
//! was written, apart for each session.
mod base;
mod layer;
mod view;

use std::{
    cell::RefCell,
    sync::{Arc, OnceLock},
};

use parking_lot::ReentrantMutex;
use qiao_mappings::strict::did_you_mean;
use serde_json::{Map, Value};

use crate::{city::City, spec::CitySpec};
use base::Base;
pub use base::text as text_of;
use layer::Layers;
pub use view::{Change, View};

/// Rows that one lookup gives at most.
pub const MAX_FOUND: usize = 100;

/// What a shared table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableForm {
    /// Such as `city.cards`.
    pub name: &'static str,
    pub title: &'static str,
    /// The first column is the key.
    pub columns: &'static [&'static str],
    /// Columns that rows are found by, beside the key.
    pub indexes: &'static [&'static str],
}

impl TableForm {
    pub fn key(&self) -> &'static str {
        self.columns[0]
    }

    /// Whether rows can be found by that column.
    pub fn is_indexed(&self, column: &str) -> bool {
        column == self.key() || self.indexes.contains(&column)
    }
}

/// A row: an object with the table's columns.
pub type Row = Map<String, Value>;

/// The shared tables of one folder of mock partners. Reading and writing take turns under one lock, which a request that
/// writes holds from its first look to its last change.
pub struct SharedTables {
    /// None where the folder declares no city.
    spec: Option<CitySpec>,
    /// Made when first looked at.
    bases: OnceLock<Vec<Base>>,
    layers: ReentrantMutex<RefCell<Layers>>,
}

impl Default for SharedTables {
    fn default() -> Self {
        Self { spec: None, bases: OnceLock::new(), layers: ReentrantMutex::default() }
    }
}

impl SharedTables {
    /// The tables of a city; those of `before` with all that was written, where its declaration is the same.
    pub fn of(spec: Option<CitySpec>, before: &Arc<Self>) -> Arc<Self> {
        if before.spec == spec {
            return Arc::clone(before);
        }
        Arc::new(Self { spec, ..Self::default() })
    }

    /// The tables there are.
    pub fn forms(&self) -> &'static [TableForm] {
        if self.spec.is_some() { crate::city::TABLES } else { &[] }
    }

    /// The form of a table.
    ///
    /// # Errors
    /// There is none of that name, with the nearest name.
    pub fn form(&self, name: &str) -> Result<&'static TableForm, String> {
        self.forms().iter().find(|form| form.name == name).ok_or_else(|| {
            if self.spec.is_none() && crate::city::TABLES.iter().any(|form| form.name == name) {
                return "there is no city: declare it in `city/city.yaml` beside the partners".to_owned();
            }
            let near = did_you_mean(name, self.forms().iter().map(|form| form.name));
            format!("there is no table `{name}`{}", near.map(|near| format!("; {near}")).unwrap_or_default())
        })
    }

    fn bases(&self) -> &[Base] {
        self.bases.get_or_init(|| match &self.spec {
            None => Vec::new(),
            Some(spec) => {
                let city = Arc::new(City::new(spec));
                crate::city::TABLES.iter().map(|form| Base::new(form, &city, spec)).collect()
            }
        })
    }

    fn base(&self, name: &str) -> Option<&Base> {
        self.bases().iter().find(|base| base.form.name == name)
    }

    /// The tables for as long as the view lives: nobody else reads or writes in between. The same thread may look again.
    pub fn view(&self) -> View<'_> {
        View::new(self, self.layers.lock())
    }
}

#[cfg(test)]
mod tests;
