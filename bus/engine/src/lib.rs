//! The engine: definitions, their checks, the compiled plan and its execution. Partners only as `Connector`, storage only as `Store`.
pub mod check;
pub mod definitions;
pub mod load;
pub mod mistake;
pub mod partner;
pub mod plan;
pub mod run;
pub mod schema;

pub use mistake::{DefinitionId, Kind, PlanMistake};
