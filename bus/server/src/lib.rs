//! The parts of the `qiao` binary, as a library so that tests can drive them.
pub mod gateway;
