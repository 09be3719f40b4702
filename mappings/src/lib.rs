//! The document model of the bus: codecs, selectors, conditions, templates, functions and compiled mappings.
//!
//! Everything is compiled once from a definition and then used by many calls at a time, without locks. For the engine,
//! the connectors and the mock partners.

pub mod codec;
mod document;
mod error;
mod expression;
pub mod functions;
mod mapping;
mod selector;
pub mod strict;
mod table;
pub mod template;
pub mod units;

pub use codec::{Charset, Codec, CodecKind, CodecSpec, Decoded, SoapFault, SoapVersion};
pub use document::{Layer, Scope, ScopeFunctions};
pub use error::{
    CodecError, CodecErrorKind, EvalError, EvalErrorKind, ExpressionError, MapError, MapErrorKind, SpecError,
};
pub use expression::{Expression, Functions, Known as KnownExpressions};
pub use mapping::{Mapping, MappingSpec, RuleSpec};
pub use selector::Selector;
pub use serde_json::Value;
pub use table::{NoTables, Table, TableSpec, Tables};
pub use template::{JsonText, Template};
