//! The engine: definitions, their checks, the compiled plan and its execution. Partners only as `Connector`, storage only as `Store`.
pub mod definitions;
pub mod mistake;
pub mod run;
pub mod plan;
pub mod partner;

pub use mistake::{DefinitionId, Kind, PlanMistake};
