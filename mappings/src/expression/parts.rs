//! What an expression is compiled with beside its text: code tables and regular expressions, handed to functions as a
//! variable no expression can name.

use crate::table::Table;
use cel::common::types::Type;
use cel::common::value::{StaticVal, Val};
use regex::Regex;
use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

/// The name of that variable.
pub(super) const NAME: &str = "@parts";

/// The parts of one expression; cloning shares them.
#[derive(Debug, Clone, Default)]
pub(super) struct Parts(pub Arc<Inner>);

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub tables: HashMap<String, Table>,
    pub patterns: Vec<Regex>,
}

static PARTS_TYPE: Type = Type::new_unspecified_type("parts");

impl Val for Parts {
    fn get_type(&self) -> &Type {
        &PARTS_TYPE
    }

    fn cel_type() -> &'static Type {
        &PARTS_TYPE
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Parts {}
